"""How many promises were kept: numerators and denominators per service, agreement, promise and period (semantics 6).

A `Contribution` is what one cycle of a clock counts for. `Tally` keeps, for one service, agreement and promise, the counts of
every period; a contribution is taken out and put in again whenever it changes, so that corrections and repetitions are exact.
A due instant still to come is kept aside and counted when time has reached it.

A rolling period holds what lies in `(now - length, now]`. It is counted from the contributions when it is asked for, and published
when it has moved by a step, a sixtieth of its length (semantics 5.7).
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from slastream.core.newest import Item, Newest
from slastream.core.periods import ROLLING, Periods
from slastream.core.policies import Agreement
from slastream.core.prediction import HISTORY_POINTS
from slastream.core.signs import NO_SIGNS, Signs
from slastream.core.units import Duration, Instant

STEPS = 60
"""A rolling period moves in steps of this part of its length."""


class Contribution(NamedTuple):
    """One cycle of a clock: `status` is a verdict's; a cancelled one counts only as cancelled, when it ended."""

    status: str
    started_at: Instant
    due_at: Instant | None
    stopped_at: Instant | None
    priority: str | None
    signs: Signs = NO_SIGNS

    @property
    def is_met(self) -> bool:
        return self.status == "met"

    @property
    def is_open(self) -> bool:
        return self.stopped_at is None

    @property
    def finished_at(self) -> Instant | None:
        """When it was met, or stopped late; None for an open and a cancelled one."""
        return None if self.status == "cancelled" else self.stopped_at

    def counted_at(self, basis: str, now: Instant) -> Instant | None:
        """The instant whose period it counts in, by this basis; None: in none, or not yet."""
        if self.status == "cancelled":
            return None
        match basis:
            case "completed":
                at = self.stopped_at
            case "due":
                at = self.due_at
            case _:
                at = self.started_at
        return at if at is not None and at <= now else None


@dataclass(slots=True)
class Counts:
    """Of one period: `met` of `total` by each basis, the cancelled beside them, and of all that ended those with a sign."""

    completed_met: int = 0
    completed_total: int = 0
    due_met: int = 0
    due_total: int = 0
    started_met: int = 0
    started_total: int = 0
    cancelled: int = 0
    overridden: int = 0
    reopened: int = 0
    priority_changed_after_warning: int = 0
    paused_before_due: int = 0
    pauses: int = 0
    pauses_with_reason: int = 0

    def of(self, basis: str) -> tuple[int, int]:
        match basis:
            case "completed":
                return self.completed_met, self.completed_total
            case "due":
                return self.due_met, self.due_total
            case _:
                return self.started_met, self.started_total

    @property
    def ended(self) -> int:
        """The clocks that stopped or were cancelled: what the signs are shares of."""
        return self.completed_total + self.cancelled

    def end(self, one: Contribution, sign: int) -> None:
        """Puts in (1) or takes out (-1) a clock that ended in this period."""
        if one.status == "cancelled":
            self.cancelled += sign
        else:
            self.completed_total += sign
            self.completed_met += sign if one.is_met else 0
        signs = one.signs
        if signs is not NO_SIGNS:
            self.overridden += sign if signs.overridden else 0
            self.reopened += sign if signs.reopened else 0
            self.priority_changed_after_warning += sign if signs.priority_changed_after_warning else 0
            self.paused_before_due += sign if signs.paused_before_due else 0
            self.pauses += sign * signs.pauses
            self.pauses_with_reason += sign * signs.pauses_with_reason

    @property
    def is_empty(self) -> bool:
        return not (self.completed_total or self.due_total or self.started_total or self.cancelled)


class Line(NamedTuple):
    """A period of a tally as it stands; `breached` and `open` only for the running period."""

    start: Instant
    end: Instant
    counts: Counts
    breached: int | None
    open: int | None


@dataclass(slots=True)
class Tally:
    """The counts of one service, agreement and promise, by period. `now` never goes back."""

    agreement: Agreement
    calendar_periods: Periods
    now: Instant
    contributions: dict[str, Contribution] = field(default_factory=dict)
    periods: dict[Instant, Counts] = field(default_factory=dict)
    open: int = 0
    breached: int = 0
    touched: set[Instant] = field(default_factory=set)
    finished: Newest = field(default_factory=lambda: Newest(HISTORY_POINTS))
    """Which clocks finished last; a correction of one of them is another version, too."""
    _due: list[tuple[Instant, str]] = field(default_factory=list)
    _step: int | None = None

    @property
    def rolling(self) -> Duration | None:
        """The length of a rolling period; None for a calendar one."""
        return ROLLING.get(self.agreement.objective.period)

    def put(self, clock: str, contribution: Contribution | None) -> None:
        """Sets what a clock counts for; None takes it out."""
        old = self.contributions.get(clock)
        if old == contribution:
            return
        if old is not None:
            self._count(old, -1)
            if (finished_at := old.finished_at) is not None:
                self.finished.take_out((finished_at, clock))
        if contribution is None:
            self.contributions.pop(clock, None)
            return
        self.contributions[clock] = contribution
        self._count(contribution, 1)
        if (finished_at := contribution.finished_at) is not None:
            self.finished.put((finished_at, clock))
        due_at = contribution.due_at
        if due_at is not None and due_at > self.now and contribution.status != "cancelled":
            heapq.heappush(self._due, (due_at, clock))

    def advance(self, now: Instant) -> None:
        """Counts what fell due up to `now`, which is included."""
        if now <= self.now:
            return
        before, self.now = self.now, now
        while self._due and self._due[0][0] <= now:
            due_at, clock = entry = heapq.heappop(self._due)
            while self._due and self._due[0] == entry:
                heapq.heappop(self._due)
            one = self.contributions.get(clock)
            is_due = one is not None and one.due_at == due_at and due_at > before and one.status != "cancelled"
            if one is not None and is_due and self.rolling is None:
                counts = self._counts_at(due_at)
                counts.due_total += 1
                counts.due_met += one.is_met

    def newest_finished(self) -> list[str]:
        """The clocks that finished last, at most `HISTORY_POINTS`, in the order of their stops."""
        return [clock for _, clock in self.finished.newest(self._all_finished)]

    def _all_finished(self) -> Iterator[Item]:
        for clock, one in self.contributions.items():
            if (finished_at := one.finished_at) is not None:
                yield finished_at, clock

    @property
    def wake_at(self) -> Instant | None:
        """The next due instant that is still to be counted."""
        return self._due[0][0] if self._due else None

    def lines(self, every: bool = True) -> Iterator[Line]:
        """The periods in order (`every`), or those touched since the last call; the running one is always among them."""
        length = self.rolling
        if length is not None:
            step = self.now // max(1, length // STEPS)
            if every or step != self._step:
                self._step = step
                start = Instant(self.now - length)
                yield Line(start, self.now, self.running_counts(self.now), self.breached, self.open)
            return
        running, end = self.calendar_periods.of(self.now)
        self.periods.setdefault(running, Counts())
        for start in sorted(self.periods if every else self.touched | {running}):
            counts = self.periods.get(start)
            if counts is None or (counts.is_empty and start != running):
                if start != running and not every and counts is not None:
                    yield Line(start, self._end_of(start), counts, None, None)
                continue
            if start == running:
                yield Line(start, end, counts, self.breached, self.open)
            else:
                yield Line(start, self._end_of(start), counts, None, None)
        self.touched.clear()

    def running_counts(self, at: Instant) -> Counts:
        """Of the running period at `at`, which does not lie before `now`."""
        length = self.rolling
        if length is None:
            return self.periods.get(self.calendar_periods.of(at)[0], Counts())
        counts, start = Counts(), at - length
        for one in self.contributions.values():
            if one.status == "cancelled":
                ended_at = one.stopped_at if one.stopped_at is not None else one.started_at
                if start < ended_at <= at:
                    counts.end(one, 1)
                continue
            if start < one.started_at <= at:
                counts.started_total += 1
                counts.started_met += one.is_met
            if one.due_at is not None and start < one.due_at <= at:
                counts.due_total += 1
                counts.due_met += one.is_met
            if one.stopped_at is not None and start < one.stopped_at <= at:
                counts.end(one, 1)
        return counts

    def _end_of(self, start: Instant) -> Instant:
        return self.calendar_periods.of(start)[1]

    def _counts_at(self, at: Instant) -> Counts:
        start = self.calendar_periods.of(at)[0]
        self.touched.add(start)
        return self.periods.setdefault(start, Counts())

    def _count(self, one: Contribution, sign: int) -> None:
        if one.stopped_at is None and one.status != "cancelled":
            self.open += sign
            self.breached += sign if one.status == "breached" else 0
        if self.rolling is not None:
            return
        if one.status == "cancelled":
            self._counts_at(one.stopped_at if one.stopped_at is not None else one.started_at).end(one, sign)
            return
        met = sign if one.is_met else 0
        counts = self._counts_at(one.started_at)
        counts.started_total += sign
        counts.started_met += met
        if one.due_at is not None and one.due_at <= self.now:
            counts = self._counts_at(one.due_at)
            counts.due_total += sign
            counts.due_met += met
        if one.stopped_at is not None:
            self._counts_at(one.stopped_at).end(one, sign)


def budget_remaining(objective: Decimal, met: int, total: int) -> Decimal:
    """Failures that the objective still allows, signed: (1 - objective) * total - (total - met)."""
    return (1 - objective) * total - (total - met)
