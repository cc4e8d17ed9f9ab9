"""What a scrape shows: read from the owned, restored partitions of this process, at most once a second."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from slastream.core.compliance import Line, Tally, budget_remaining, credit_amount
from slastream.core.units import SECOND
from slastream.export.catalogue import BY_NAME, DELAY_BUCKETS, DURATION_BUCKETS
from slastream.stream.runtime import OwnedPartition, Runtime
from slastream.stream.service_stage import ServicePartition
from slastream.stream.ticket_stage import TicketPartition

BASES = ("completed", "due", "started")
Labels = tuple[str, ...]


class Histogram:
    """Counts of observations by bucket; `bounds` in the unit of the metric."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip([*map(str, map(float, self.bounds)), "+Inf"], self.counts, strict=True):
            running += count
            found.append((bound, running))
        return found


class SlaCollector(Collector):
    """Collects from a worker's runtime. Called on the worker's own thread, between its chunks."""

    def __init__(self, runtime: Runtime, clock: Callable[[], float] = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._taken_at = float("-inf")
        self._families: list[Metric] = []
        self._ages = Histogram(DELAY_BUCKETS)
        self._delays = Histogram(DELAY_BUCKETS)
        self._left: dict[str, Counter[Labels]] = defaultdict(Counter)
        self._seen: dict[int, tuple[Any, dict[str, Counter[Labels]]]] = {}

    def collect(self) -> Iterable[Metric]:
        now = self._clock()
        if now - self._taken_at >= 1.0:
            self._families = list(self._collect())
            series = sum(len(family.samples) for family in self._families)
            self._families.append(_gauges("slastream_series", {(): float(series + 1)}))
            self._taken_at = now
        return self._families

    def _collect(self) -> Iterator[Metric]:
        owned = list(self._runtime.owned.values())
        running = [one.processor for one in owned if one.is_running]
        services = [one for one in running if isinstance(one, ServicePartition)]
        tickets = [one for one in running if isinstance(one, TicketPartition)]
        yield from self._clocks(services)
        yield from self._compliance(services)
        yield from self._process(tickets, services)
        yield from self._partitions(owned)

    # ---- services ------------------------------------------------------------------------------------------------

    def _clocks(self, partitions: Sequence[ServicePartition]) -> Iterator[Metric]:
        clocks: Counter[Labels] = Counter()
        verdicts: Counter[Labels] = Counter()
        next_due: dict[Labels, float] = {}
        oldest: dict[Labels, float] = {}
        durations: dict[Labels, Histogram] = {}
        for partition in partitions:
            for counted in partition.clocks.values():
                one, key = counted.contribution, counted.tally_key
                priority = one.priority or ""
                if one.stopped_at is None:
                    clocks[*key, priority, counted.status] += 1
                    started = one.started_at / SECOND
                    oldest[key] = min(oldest.get(key, started), started)
                    if one.due_at is not None and one.status != "breached":
                        due = one.due_at / SECOND
                        next_due[key] = min(next_due.get(key, due), due)
                else:
                    name = (key[0], key[2], priority)
                    if name not in durations:
                        durations[name] = Histogram(DURATION_BUCKETS)
                    durations[name].observe(counted.elapsed_us / SECOND)
                if one.status in ("met", "breached", "cancelled"):
                    verdicts[*key, priority, one.status] += 1
        yield _gauges("sla_clocks", clocks)
        yield _counters("sla_verdicts_total", verdicts)
        yield _gauges("sla_next_due_timestamp_seconds", next_due)
        yield _gauges("sla_oldest_open_timestamp_seconds", oldest)
        yield _histograms("sla_duration_seconds", durations)

    def _compliance(self, partitions: Sequence[ServicePartition]) -> Iterator[Metric]:
        met: dict[Labels, float] = {}
        total: dict[Labels, float] = {}
        ratio: dict[Labels, float] = {}
        objective: dict[Labels, float] = {}
        budget: dict[Labels, float] = {}
        credit: dict[Labels, float] = defaultdict(float)
        info: dict[Labels, float] = {}
        for partition in partitions:
            for (service, agreement_name, promise), tally in partition.tallies.items():
                line = _running(tally)
                agreement = tally.agreement
                window = (service, agreement_name, promise, agreement.objective.period)
                for basis in BASES:
                    kept, counted = line.counts.of(basis)
                    met[*window, basis], total[*window, basis] = kept, counted
                kept, counted = line.counts.of(agreement.objective.basis)
                if counted:
                    ratio[window] = kept / counted
                goal = agreement.objective.target
                if goal is not None:
                    objective[window] = float(goal)
                    allowed = (1 - goal) * counted
                    if allowed:
                        budget[window] = float(budget_remaining(goal, kept, counted) / allowed)
                if agreement.credits is not None:
                    name = (agreement.customer or "", agreement_name, agreement.credits.currency)
                    credit[name] += float(credit_amount(agreement.credits, kept, counted))
                known = partition.book.policy.services.get(service)
                who = (known.customer, known.provider, known.team) if known is not None else (None, None, None)
                info[service, agreement_name, agreement.kind, *(one or "" for one in who)] = 1
        yield _gauges("sla_compliance_met", met)
        yield _gauges("sla_compliance_total", total)
        yield _gauges("sla_compliance_ratio", ratio)
        yield _gauges("sla_objective_ratio", objective)
        yield _gauges("sla_budget_remaining_ratio", budget)
        yield _gauges("sla_credit_exposure", credit)
        yield _gauges("sla_info", info)

    # ---- the process ---------------------------------------------------------------------------------------------

    def _process(self, tickets: Sequence[TicketPartition], services: Sequence[ServicePartition]) -> Iterator[Metric]:
        """Counters of this process's life: what a partition that has left had counted stays counted."""
        present: dict[int, tuple[Any, dict[str, Counter[Labels]]]] = {}
        for ticket in tickets:
            present[id(ticket)] = (ticket, _counts_of(ticket))
            for us in ticket.ages_us:
                self._ages.observe(max(0, us) / SECOND)
            for us in ticket.delays_us:
                self._delays.observe(max(0, us) / SECOND)
            ticket.ages_us.clear()
            ticket.delays_us.clear()
        for service in services:
            rejected: Counter[Labels] = Counter({("sla.verdicts", r): n for r, n in service.rejected.items()})
            present[id(service)] = (service, {"slastream_rejected_total": rejected})
        for key, (_, counts) in self._seen.items():
            if key not in present:
                for name, counter in counts.items():
                    self._left[name].update(counter)
        self._seen = present
        names = (
            "slastream_events_total",
            "slastream_rejected_total",
            "slastream_late_events_total",
            "slastream_corrections_total",
        )
        for name in names:
            sums = Counter(self._left[name])
            for _, counts in present.values():
                sums.update(counts.get(name, {}))
            yield _counters(name, sums)
        yield _histograms("slastream_event_age_seconds", {("sla.tickets",): self._ages})
        yield _histograms("slastream_deadline_delay_seconds", {(): self._delays})

    def _partitions(self, owned: Sequence[OwnedPartition]) -> Iterator[Metric]:
        at: dict[Labels, float] = {}
        lag: dict[Labels, float] = {}
        owns: dict[Labels, float] = {}
        restoring: dict[Labels, float] = {}
        restore: dict[Labels, float] = {}
        commit: dict[Labels, float] = {}
        keys: dict[Labels, float] = defaultdict(float)
        for one in owned:
            name, table = (one.stage.sources[0], str(one.partition)), (one.stage.table,)
            owns[name], restoring[name] = 1, float(not one.is_running)
            restore[table] = max(restore.get(table, 0.0), one.restore_seconds)
            if not one.is_running:
                continue
            commit[table] = max(commit.get(table, 0.0), one.last_commit_seconds)
            lag[name] = sum(source.lag_records for source in one.sources.values())
            processor = one.processor
            if isinstance(processor, TicketPartition | ServicePartition):
                if processor.offset >= 0:
                    at[name] = processor.time / SECOND
                keys[table] += len(processor.entries if isinstance(processor, TicketPartition) else processor.clocks)
        yield _gauges("slastream_partition_time_seconds", at)
        yield _gauges("slastream_lag_records", lag)
        yield _gauges("slastream_partition_owned", owns)
        yield _gauges("slastream_partition_restoring", restoring)
        yield _gauges("slastream_restore_seconds", restore)
        yield _gauges("slastream_state_keys", keys)
        yield _gauges("slastream_commit_seconds", commit)


def _counts_of(partition: TicketPartition) -> dict[str, Counter[Labels]]:
    return {
        "slastream_events_total": Counter({("sla.tickets", source): n for source, n in partition.events.items()}),
        "slastream_rejected_total": Counter({("sla.tickets", reason): n for reason, n in partition.rejected.items()}),
        "slastream_late_events_total": Counter({("sla.tickets",): partition.late}),
        "slastream_corrections_total": Counter({(reason,): n for reason, n in partition.corrections.items()}),
    }


def _running(tally: Tally) -> Line:
    return next(line for line in tally.lines() if line.open is not None)


def _gauges(name: str, values: dict[Labels, Any] | Counter[Labels]) -> Metric:
    metric = BY_NAME[name]
    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels in sorted(values):
        family.add_metric(labels, float(values[labels]))
    return family


def _counters(name: str, values: Counter[Labels]) -> Metric:
    metric = BY_NAME[name]
    family = CounterMetricFamily(name.removesuffix("_total"), metric.help, labels=metric.labels)
    for labels in sorted(values):
        family.add_metric(labels, float(values[labels]))
    return family


def _histograms(name: str, values: dict[Labels, Histogram]) -> Metric:
    metric = BY_NAME[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    for labels in sorted(values):
        family.add_metric(labels, values[labels].buckets(), values[labels].total)
    return family
