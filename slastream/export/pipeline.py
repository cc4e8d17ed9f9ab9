"""What this process did since it started, and what its partitions are doing: the `slastream_…` metrics.

The partitions' own counts begin at 0 with each life of a partition here; what they grew by since they were last looked at is
added to totals of the process, which never fall. A partition that has gone is looked at once more.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from slastream.core.units import SECOND
from slastream.export import catalogue
from slastream.export.bounds import Words
from slastream.export.owned import Monitoring, MonitoringPartition, Owned, ServiceState, TicketState
from slastream.export.samples import HistogramSample, Labels, Sample, Samples
from slastream.wire.events import REASONS

RESTORED_STATES = frozenset({"running", "draining"})
_BEFORE_ALL_TIME = -(2**62)


class Histogram:
    """Cumulative counts of durations; below 0 (an event dated a little ahead) is 0."""

    def __init__(self, bounds_us: Sequence[int]) -> None:
        self._bounds_us = bounds_us
        self._counts = [0] * (len(bounds_us) + 1)
        self._total_us = 0

    def take(self, durations_us: list[int]) -> None:
        """Add a list and empty it: 0.1 µs each."""
        if not durations_us:
            return
        ordered = sorted(durations_us)
        durations_us.clear()
        for index, bound in enumerate(self._bounds_us):
            self._counts[index] += bisect_right(ordered, bound)
        self._counts[-1] += len(ordered)
        self._total_us += sum(ordered[bisect_right(ordered, 0) :])

    def sample(self, labels: Labels) -> HistogramSample:
        return labels, self._bounds_us, tuple(self._counts), self._total_us / SECOND


@dataclass(slots=True)
class _Seen:
    """A partition and its counts when they were last added to the totals."""

    owned: Owned
    counts: Counter[tuple[str, Labels]] = field(default_factory=Counter)
    commits: int = 0
    commit_seconds: float = 0.0


class Pipeline:
    """The totals of the process."""

    def __init__(self) -> None:
        self._totals: Counter[tuple[str, Labels]] = Counter()
        self._sources: defaultdict[str, Words] = defaultdict(lambda: Words(catalogue.MAX_SOURCES))
        self._ages: dict[str, Histogram] = {}
        self._delays = Histogram(catalogue.DEADLINE_DELAY.buckets_us)
        self._commits: dict[str, tuple[int, float]] = {}
        self._seen: dict[int, _Seen] = {}

    def drain(self, partitions: Iterable[Owned]) -> None:
        """Add what has happened since the last call; 20 µs a partition and 0.1 µs an event. Call it once a second."""
        present = {id(owned): owned for owned in partitions}
        for key, owned in present.items():
            self._seen.setdefault(key, _Seen(owned))
        for key, seen in list(self._seen.items()):
            self._add(seen)
            if key not in present:
                del self._seen[key]

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

    def _add(self, seen: _Seen) -> None:
        owned, processor = seen.owned, seen.owned.processor
        table = owned.stage.table
        number, seconds = self._commits.get(table, (0, 0.0))
        self._commits[table] = (
            number + owned.commits - seen.commits,
            seconds + owned.commit_seconds - seen.commit_seconds,
        )
        seen.commits, seen.commit_seconds = owned.commits, owned.commit_seconds
        topic = owned.stage.sources[0]
        match processor:
            case TicketState():
                self._add_counts(seen, self._counts_of_tickets(topic, processor))
                self._ages.setdefault(topic, Histogram(catalogue.EVENT_AGE.buckets_us)).take(processor.ages_us)
                self._delays.take(processor.delays_us)
            case ServiceState():
                counts = self._rejects(topic, processor.rejected)
                if isinstance(processor, MonitoringPartition):
                    for source in owned.stage.sources[1:]:
                        counts.update(self._counts_of_monitoring(source, processor.monitoring))
                self._add_counts(seen, counts)
            case _:
                pass  # not restored yet

    def _add_counts(self, seen: _Seen, counts: Counter[tuple[str, Labels]]) -> None:
        for key, number in counts.items():
            self._totals[key] += number - seen.counts[key]
        seen.counts = counts

    def _counts_of_tickets(self, topic: str, state: TicketState) -> Counter[tuple[str, Labels]]:
        counts = self._rejects(topic, state.rejected)
        for source, number in state.events.items():
            counts[catalogue.EVENTS.name, (topic, self._sources[topic].bounded(source))] += number
        counts[catalogue.LATE.name, (topic,)] = state.late
        for reason in catalogue.CORRECTION_REASONS:
            counts[catalogue.CORRECTIONS.name, (topic, reason)] = state.corrections[reason]
        return counts

    def _counts_of_monitoring(self, topic: str, state: Monitoring) -> Counter[tuple[str, Labels]]:
        counts = self._rejects(
            topic, Counter({reason: number for (of, reason), number in state.rejected.items() if of == topic})
        )
        for (of, source), number in state.events.items():
            if of == topic:
                counts[catalogue.EVENTS.name, (topic, self._sources[topic].bounded(source))] += number
        counts[catalogue.LATE.name, (topic,)] = state.late[topic]
        counts[catalogue.CORRECTIONS.name, (topic, "retracted")] = state.corrections[topic]
        return counts

    def _rejects(self, topic: str, rejected: Counter[str]) -> Counter[tuple[str, Labels]]:
        """All reasons from the start: the first reject of a reason is an increase, too."""
        return Counter({(catalogue.REJECTED.name, (topic, reason)): rejected[reason] for reason in REASONS})


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
