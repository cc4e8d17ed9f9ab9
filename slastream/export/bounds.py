"""What keeps the number of series small, though names come from outside. What is left out is counted."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import cast

from slastream.export.catalogue import BY_NAME, OTHER
from slastream.export.samples import HistogramSample, Sample, Samples


class Words:
    """The first words that a process sees, so many and no more; every further one is `OTHER`.

    >>> words = Words(2)
    >>> [words.bounded(each) for each in ("P1", "P2", "P3", "P1")]
    ['P1', 'P2', 'other']
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def bounded(self, word: str) -> str:
        if word not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(word)
        return word


def count_series(samples: Samples) -> int:
    """How many series Prometheus makes of them: buckets, sum and count of a histogram are each one."""
    return sum(series for name, found in samples.items() for _, series in _sizes(name, found))


def within(samples: Samples, limit: int, first: Collection[str]) -> Samples:
    """The same samples, or when they are more than `limit` series: without whole services, to keep below it.

    The services of `first` stay longest, each group by name; what has no service stays always.
    """
    total = count_series(samples)
    if total <= limit:
        return samples
    of_services: Counter[str] = Counter()
    for name, found in samples.items():
        if (place := _place_of_service(name)) is not None:
            for labels, series in _sizes(name, found):
                of_services[labels[place]] += series
    for service in sorted(of_services, key=lambda each: (each not in first, each), reverse=True):
        if total <= limit:
            break
        total -= of_services.pop(service)
    return {name: _of_services(name, found, of_services) for name, found in samples.items()}


Found = Sequence[Sample] | Sequence[HistogramSample]


def _of_services(name: str, found: Found, services: Collection[str]) -> Found:
    place = _place_of_service(name)
    if place is None:
        return found
    return cast(Found, [each for each in found if each[0][place] in services])


def _sizes(name: str, found: Found) -> Iterator[tuple[tuple[str, ...], int]]:
    """Labels and number of series of each sample."""
    kind = BY_NAME[name].type
    if kind in ("histogram", "summary"):
        for labels, _, counts, _ in cast(Sequence[HistogramSample], found):
            yield labels, 2 + (len(counts) if kind == "histogram" else 0)
    else:
        for labels, _ in cast(Sequence[Sample], found):
            yield labels, 1


def _place_of_service(name: str) -> int | None:
    labels = BY_NAME[name].labels
    return labels.index("service") if "service" in labels else None
