"""What this process did since it started, and what its partitions are doing: the `slastream_…` metrics.

What a partition did comes with the cut that made it durable, so that a crash never counts twice; the totals belong to the process
and never fall, though partitions come and go.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from slastream.core.units import SECOND
from slastream.export import catalogue
from slastream.export.bounds import Words
from slastream.export.owned import CountsShape, DoneShape, MonitoringPartition, Owned, ServiceState, TicketState
from slastream.export.samples import Exemplar, Exemplars, HistogramSample, Labels, Sample, Samples
from slastream.wire.events import REASONS

RESTORED_STATES = frozenset({"running", "draining"})
_BEFORE_ALL_TIME = -(2**62)
CORRECTED = {
    "sla.tickets": catalogue.CORRECTION_REASONS,
    "sla.monitoring": ("retracted",),
    "sla.maintenance": ("retracted",),
}
"""What events of a topic may change of the published."""


class Histogram:
    """Counts of durations by bucket; below 0 (an event dated a little ahead) is 0."""

    def __init__(self, bounds_us: Sequence[int]) -> None:
        self._bounds_us = bounds_us
        self._counts = [0] * (len(bounds_us) + 1)
        self._total_us = 0

    def bucket(self, duration_us: int) -> int:
        """The number of the bucket of a duration."""
        return bisect_left(self._bounds_us, duration_us)

    def take(self, durations_us: Iterable[int]) -> None:
        """Add them: 0.3 µs each."""
        for each in durations_us:
            self._counts[bisect_left(self._bounds_us, each)] += 1
            if each > 0:
                self._total_us += each

    def sample(self, labels: Labels) -> HistogramSample:
        return labels, self._bounds_us, tuple(accumulate(self._counts)), self._total_us / SECOND


class Pipeline:
    """The totals of the process."""

    def __init__(self) -> None:
        self._totals: Counter[tuple[str, Labels]] = Counter()
        self._topics: set[str] = set()
        self._sources: defaultdict[str, Words] = defaultdict(lambda: Words(catalogue.MAX_SOURCES))
        self._ages: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(catalogue.EVENT_AGE.buckets_us))
        self._delays = Histogram(catalogue.DEADLINE_DELAY.buckets_us)
        self._commits: dict[str, tuple[int, float]] = {}
        self._exemplars: dict[tuple[str, Labels, int | None], Exemplar] = {}

    def begin(self, topics: Iterable[str]) -> None:
        """Show the counters of topics that are read from now on: the first increase is one, too."""
        for topic in topics:
            if topic in self._topics:
                continue
            self._topics.add(topic)
            zeros: list[tuple[str, Labels]] = [(catalogue.REJECTED.name, (topic, reason)) for reason in REASONS]
            zeros += [(catalogue.CORRECTIONS.name, (topic, reason)) for reason in CORRECTED.get(topic, ())]
            zeros += [(catalogue.LATE.name, (topic,))] if topic in CORRECTED else []
            self._totals.update(dict.fromkeys(zeros, 0))

    def take(self, done: Iterable[DoneShape]) -> None:
        """Add what became durable: 5 µs a cut and 0.3 µs an event."""
        for each in done:
            number, seconds = self._commits.get(each.table, (0, 0.0))
            self._commits[each.table] = number + 1, seconds + each.seconds
            if each.counts is not None:
                self._add(each.counts, each.durable_at)

    def _add(self, counts: CountsShape, durable_at: int) -> None:
        totals = self._totals
        for (topic, source), number in counts.events.items():
            totals[catalogue.EVENTS.name, (topic, self._sources[topic].bounded(source))] += number
        for labels, number in counts.rejected.items():
            totals[catalogue.REJECTED.name, labels] += number
        for topic, number in counts.late.items():
            totals[catalogue.LATE.name, (topic,)] += number
        for labels, number in counts.corrections.items():
            totals[catalogue.CORRECTIONS.name, labels] += number
        for topic, instants in counts.occurred_at.items():
            self._ages[topic].take(durable_at - at for at in instants)
        self._delays.take(durable_at - at for at in counts.due_at)
        if counts.breach is not None:
            breach_id, due_at = counts.breach
            delay_us = max(0, durable_at - due_at)
            key = catalogue.DEADLINE_DELAY.name, (), self._delays.bucket(delay_us)
            self._exemplars[key] = Exemplar(breach_id, delay_us / SECOND, durable_at / SECOND)

    def samples(self) -> Samples:
        """The counters and histograms."""
        by_name: dict[str, list[Sample]] = {}
        for (name, labels), number in self._totals.items():
            by_name.setdefault(name, []).append((labels, number))
        return {
            **by_name,
            catalogue.EVENT_AGE.name: [ages.sample((topic,)) for topic, ages in self._ages.items()],
            catalogue.DEADLINE_DELAY.name: [self._delays.sample(())],
            catalogue.COMMIT_SECONDS.name: [
                ((table,), (), (number,), seconds) for table, (number, seconds) in self._commits.items()
            ],
        }

    def exemplars(self) -> Exemplars:
        """The last breach of each bucket of the delays."""
        return dict(self._exemplars)


def partition_samples(partitions: Iterable[Owned]) -> Samples:
    """What each owned partition is doing now."""
    owned_ones: list[Sample] = []
    restoring: list[Sample] = []
    lag: list[Sample] = []
    time: list[Sample] = []
    restores: dict[Labels, float] = {}
    keys: dict[Labels, float] = {}
    unlisted: list[Sample] = []
    for each in partitions:
        is_restored = each.processor is not None and each.state in RESTORED_STATES
        for source, (topic, number) in [(each.sources[key], key) for key in each.sources]:
            labels = topic, str(number)
            owned_ones.append((labels, 1))
            restoring.append((labels, int(not is_restored)))
            if is_restored:
                lag.append((labels, source.lag_records))
        processor = each.processor
        if not is_restored or not isinstance(processor, TicketState | ServiceState):
            continue
        if processor.time > _BEFORE_ALL_TIME:
            time.append(((each.stage.tick_topic, str(each.partition)), processor.time / SECOND))
        if isinstance(processor, MonitoringPartition):
            unlisted.append(((each.stage.tick_topic, str(each.partition)), processor.monitoring.unlisted))
        table = (each.stage.table,)
        restores[table] = max(restores.get(table, 0.0), each.restore_seconds)
        held = processor.entries if isinstance(processor, TicketState) else processor.clocks
        keys[table] = keys.get(table, 0) + len(held)
    return {
        catalogue.OWNED.name: owned_ones,
        catalogue.RESTORING.name: restoring,
        catalogue.LAG.name: lag,
        catalogue.PARTITION_TIME.name: time,
        catalogue.RESTORE_SECONDS.name: list(restores.items()),
        catalogue.STATE_KEYS.name: list(keys.items()),
        catalogue.UNLISTED.name: unlisted,
    }
