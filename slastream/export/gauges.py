"""Tickets' clocks and tallies added up to the `sla_…` metrics.

`TicketGauges.read` copies what is needed in one go (0.2 ms for 50,000 clocks: references only, a clock is immutable);
`add_up` then takes slices, so that the stream gets its turns; `samples` may run in any thread.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slastream.core.compliance import budget_remaining
from slastream.core.policies import Agreement, Policy
from slastream.core.units import SECOND, Instant
from slastream.export import catalogue
from slastream.export.bounds import Words
from slastream.export.owned import CountedClock, ServiceState
from slastream.export.samples import Exemplar, Exemplars, HistogramSample, Labels, Sample, Samples

SLICE_CLOCKS = 2048
"""Clocks added up before the loop gets a turn: 1 ms."""
NEVER = Instant(2**62)

Key = tuple[str, str, str]
"""(service, agreement, promise)."""
Group = tuple[str, str, str, str | None]
"""A key, and a priority."""
_BOUNDS = catalogue.DURATION.buckets_us


@dataclass(slots=True)
class ClockCounts:
    """The clocks of one key and priority."""

    running: int = 0
    paused: int = 0
    breached: int = 0
    at_risk: int = 0
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(catalogue.VERDICT_WORDS, 0))
    next_due: int = NEVER
    oldest_open: int = NEVER
    ages: list[int] = field(default_factory=lambda: [0] * len(catalogue.AGES))
    stopped: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    stopped_us: int = 0

    def add(self, other: "ClockCounts") -> None:
        """Take the clocks of the other in."""
        self.running += other.running
        self.paused += other.paused
        self.breached += other.breached
        self.at_risk += other.at_risk
        for verdict, number in other.verdicts.items():
            self.verdicts[verdict] += number
        self.next_due = min(self.next_due, other.next_due)
        self.oldest_open = min(self.oldest_open, other.oldest_open)
        self.ages = list(map(int.__add__, self.ages, other.ages))
        self.stopped = list(map(int.__add__, self.stopped, other.stopped))
        self.stopped_us += other.stopped_us


class TallyReading(NamedTuple):
    """The running period of a tally."""

    key: Key
    agreement: Agreement
    shares: tuple[tuple[str, int, int], ...]
    """(basis, met, total)"""


class Floors:
    """Counters made from state may not fall in the eyes of a reader, though a reopened ticket leaves its verdict."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, Labels], tuple[float, ...]] = {}

    def raise_to(self, name: str, labels: Labels, values: Sequence[float]) -> tuple[float, ...]:
        """The values, or those shown before where they were higher."""
        before = self._shown.get((name, labels))
        now = tuple(values) if before is None else tuple(map(max, values, before))
        self._shown[name, labels] = now
        return now


class TicketGauges:
    """One snapshot of the restored partitions of stage 2."""

    def __init__(self, now: Instant) -> None:
        """`now`: of the wall clock, from which on ages are counted."""
        self._now = now
        self._clocks: list[list[CountedClock]] = []
        self._tallies: list[TallyReading] = []
        self._breaches: dict[Group, tuple[str, Instant]] = {}
        self._counts: dict[tuple[str, str, str, str], ClockCounts] = {}

    def read(self, state: ServiceState) -> None:
        """Take what a partition has now."""
        self._clocks.append(list(state.clocks.values()))
        self._breaches.update(state.newest_breaches)
        for key, tally in state.tallies.items():
            counts = tally.running_counts(max(tally.now, state.time))
            shares = tuple((basis, *counts.of(basis)) for basis in catalogue.BASES)
            self._tallies.append(TallyReading(key, tally.agreement, shares))

    async def add_up(self, priorities: Words) -> None:
        """Add the clocks up, slice by slice."""
        groups: dict[Group, ClockCounts] = {}
        for clocks in self._clocks:
            for start in range(0, len(clocks), SLICE_CLOCKS):
                add_clocks(groups, clocks[start : start + SLICE_CLOCKS], self._now)
                await asyncio.sleep(0)
        self._clocks.clear()
        known = {each.key for each in self._tallies}
        for (*key, priority), counts in groups.items():
            service, agreement, promise = key
            if (service, agreement, promise) in known:
                shown = service, agreement, promise, priorities.bounded(priority or "")
                self._counts.setdefault(shown, ClockCounts()).add(counts)

    def samples(self, policy: Policy, floors: Floors) -> Samples:
        """The samples of all metrics of tickets."""
        return {
            catalogue.CLOCKS.name: list(self._open_clocks()),
            catalogue.VERDICTS.name: list(self._verdicts(floors)),
            catalogue.NEXT_DUE.name: self._earliest([(group[:3], c.next_due) for group, c in self._counts.items()]),
            catalogue.OLDEST_OPEN.name: self._earliest([(group[:3], c.oldest_open) for group, c in self._counts.items()]),
            catalogue.OPEN_AGES.name: list(self._open_ages()),
            catalogue.DURATION.name: list(self._durations(floors)),
            **self._compliance(),
            **_agreements(self._tallies, policy),
        }  # fmt: skip

    def exemplars(self, priorities: Words) -> Exemplars:
        """The newest breach of each series that counts breaches."""
        found: dict[tuple[str, Labels, int | None], Exemplar] = {}
        for (*key, priority), (breach_id, at) in sorted(self._breaches.items(), key=lambda each: each[1][1]):
            labels = *key, priorities.bounded(priority or ""), "breached"
            found[catalogue.VERDICTS.name, labels, None] = Exemplar(breach_id, 1, at / SECOND)
        return found

    def _open_clocks(self) -> Iterator[Sample]:
        for (*parts, priority), counts in self._counts.items():
            numbers = (counts.running, counts.paused, counts.breached, counts.at_risk)
            for status, number in zip(catalogue.OPEN_STATUSES, numbers, strict=True):
                yield (*parts, priority, status), number

    def _open_ages(self) -> Iterator[Sample]:
        totals: dict[Key, list[int]] = {}
        for (service, agreement, promise, _), counts in self._counts.items():
            key = service, agreement, promise
            totals[key] = list(map(int.__add__, totals.get(key, [0] * len(counts.ages)), counts.ages))
        for key, ages in totals.items():
            for age, number in zip(catalogue.AGES, ages, strict=True):
                yield (*key, age), number

    def _verdicts(self, floors: Floors) -> Iterator[Sample]:
        for (*parts, priority), counts in self._counts.items():
            for verdict, number in counts.verdicts.items():
                labels = *parts, priority, verdict
                yield labels, floors.raise_to(catalogue.VERDICTS.name, labels, (number,))[0]

    def _earliest(self, instants: Iterable[tuple[Key, int]]) -> list[Sample]:
        found: dict[Key, int] = {}
        for key, at in instants:
            found[key] = min(at, found.get(key, NEVER))
        return [(key, at / SECOND) for key, at in found.items() if at != NEVER]

    def _durations(self, floors: Floors) -> Iterator[HistogramSample]:
        merged: dict[Labels, tuple[list[int], int]] = {}
        for (service, _, promise, priority), counts in self._counts.items():
            labels: Labels = (service, promise, priority)
            buckets, total_us = merged.get(labels, ([0] * len(counts.stopped), 0))
            merged[labels] = list(map(int.__add__, buckets, counts.stopped)), total_us + counts.stopped_us
        for labels, (buckets, total_us) in merged.items():
            cumulative = [sum(buckets[: end + 1]) for end in range(len(buckets))]
            *shown, total = floors.raise_to(catalogue.DURATION.name, labels, [*cumulative, total_us])
            yield labels, _BOUNDS, shown, total / SECOND

    def _compliance(self) -> Samples:
        met: list[Sample] = []
        total: list[Sample] = []
        ratio: list[Sample] = []
        objective: list[Sample] = []
        budget: list[Sample] = []
        for key, agreement, shares in self._tallies:
            goal = agreement.objective
            labels = (*key, goal.period)
            if goal.target is not None:
                objective.append((labels, float(goal.target)))
            for basis, kept, counted in shares:
                met.append(((*labels, basis), kept))
                total.append(((*labels, basis), counted))
                if basis == goal.basis and counted:
                    ratio.append((labels, kept / counted))
                    if goal.target is not None and goal.target < 1:
                        allowed = (1 - goal.target) * counted
                        budget.append((labels, float(budget_remaining(goal.target, kept, counted) / allowed)))
        return {
            catalogue.COMPLIANCE_MET.name: met,
            catalogue.COMPLIANCE_TOTAL.name: total,
            catalogue.COMPLIANCE_RATIO.name: ratio,
            catalogue.OBJECTIVE_RATIO.name: objective,
            catalogue.BUDGET_RATIO.name: budget,
        }


def add_clocks(groups: dict[Group, ClockCounts], clocks: Iterable[CountedClock], now: Instant) -> None:
    """The hot loop: 0.5 µs a clock, so that 50,000 take 25 ms."""
    for clock in clocks:
        status, started_at, due_at, stopped_at, priority, _ = clock.contribution
        group = (clock.service, clock.agreement, clock.promise, priority)
        counts = groups.get(group)
        if counts is None:
            counts = groups[group] = ClockCounts()
        if status in counts.verdicts:
            counts.verdicts[status] += 1
        if stopped_at is not None:
            if status != "cancelled":
                elapsed_us = clock.elapsed_us
                counts.stopped[bisect_left(_BOUNDS, elapsed_us)] += 1
                counts.stopped_us += elapsed_us
            continue
        counts.ages[bisect_left(catalogue.AGES_US, now - started_at)] += 1
        if started_at < counts.oldest_open:
            counts.oldest_open = started_at
        if status == "breached":
            counts.breached += 1
            continue
        if due_at is not None and due_at < counts.next_due:
            counts.next_due = due_at
        if clock.is_at_risk:
            counts.at_risk += 1
        elif status == "paused":
            counts.paused += 1
        else:
            counts.running += 1


def _agreements(tallies: Iterable[TallyReading], policy: Policy) -> Samples:
    """Who stands behind what."""
    infos: dict[Labels, None] = {}
    supports: dict[Labels, None] = {}
    for (service_name, _, _), agreement, _ in tallies:
        service = policy.services.get(service_name)
        customer = agreement.customer or (service.customer if service else None) or ""
        provider, team = (service.provider or "", service.team or "") if service else ("", "")
        infos[service_name, agreement.name, agreement.kind, customer, provider, team] = None
        supports |= {(service_name, agreement.name, other): None for other in agreement.supports}
    return {
        catalogue.INFO.name: [(labels, 1) for labels in infos],
        catalogue.SUPPORT.name: [(labels, 1) for labels in supports],
    }
