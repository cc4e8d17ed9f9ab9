"""One promise of one service: its windows, its budget, and what is to be declared of it (semantics 5.5 to 5.8)."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from slastream.core.accounts import Account, Outage, Sums, pieces_of
from slastream.core.burns import Line, burns_of, first_offset, rules_of
from slastream.core.calendars import Calendar
from slastream.core.periods import ROLLING, period_of
from slastream.core.policies import Agreement, ServicePromise
from slastream.core.units import Instant

STEPS = 60
"""A rolling window moves in steps of this part of its length."""
PACE = 30
"""The part of a window whose bad time is the present pace."""
BREACHED, RECOVERED, AT_RISK = "availability_breached", "recovered", "at_risk"
BURN_STARTED, BURN_STOPPED = "burn_started", "burn_stopped"


class Window(NamedTuple):
    """`kind` is the word of the policy; half-open for time, `(start, end]` for counted events."""

    kind: str
    start: Instant
    end: Instant


class Reading(NamedTuple):
    """A window as it stands at `until`: sums of the elapsed part, in parts of `whole` to a microsecond, or in events.

    `budget` is that of the whole window, in microseconds or events. The last three are 0 for events.
    """

    window: Window
    until: Instant
    sums: Sums
    whole: int
    budget: Fraction
    outages: int
    downtime_us: int
    longest_us: int

    @property
    def excluded(self) -> int:
        return (min(self.window.end, self.until) - self.window.start) * self.whole - self.sums.counted

    @property
    def coverage(self) -> Fraction | None:
        """None where nothing counts."""
        return Fraction(self.sums.known, self.sums.counted) if self.sums.counted else None

    @property
    def budget_remaining(self) -> Fraction:
        return self.budget - Fraction(self.sums.bad, self.whole)

    def ratio(self, min_coverage: Decimal) -> Fraction | None:
        return ratio_of(self.sums, Fraction(min_coverage))


class ServiceFact(NamedTuple):
    """Something to declare of a promise of a service; `window` only where it is of one calendar window."""

    fact: str
    at: int
    threshold: str | None = None
    window: Window | None = None
    predicted_at: int | None = None


def ratio_of(sums: Sums, min_coverage: Fraction) -> Fraction | None:
    """None without anything known, and where less than `min_coverage` of what counts is."""
    if sums.known == 0 or sums.known < min_coverage * sums.counted:
        return None
    return Fraction(sums.good, sums.known)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is needed to read any window of one promise of one service.

    `account` serves the windows, `alert_account` the alerts (there the time before the first news is unknown). Before
    `begins_at` there is no window to show; None: there is only the running one. `opens_at`: when the promise takes effect.
    """

    agreement: Agreement
    promise: ServicePromise
    account: Account
    alert_account: Account
    outages: tuple[Outage, ...]
    down: Account
    begins_at: int | None
    opens_at: int | None
    is_of_events: bool

    @property
    def calendar(self) -> Calendar:
        return self.promise.calendar

    def windows(self, until: Instant, since: int | None = None) -> Iterator[Window]:
        """Each calendar window that began before `until` and ended after `since`, or the rolling one as of then."""
        kind = self.promise.window
        if kind in ROLLING:
            yield Window(kind, Instant(until - ROLLING[kind]), until)
            return
        zone = self.agreement.calendar
        at = until - 1 if self.begins_at is None else self.begins_at
        start, end = period_of(Instant(at if since is None else max(at, since)), kind, zone)
        while start < until:
            yield Window(kind, start, end)
            start, end = period_of(end, kind, zone)

    def next_step(self, at: Instant) -> Instant:
        """The instant after `at` at which the window moves: the next sixtieth, or its end."""
        kind = self.promise.window
        if kind in ROLLING:
            step = ROLLING[kind] // STEPS
            return Instant((at // step + 1) * step)
        start, end = period_of(at, kind, self.agreement.calendar)
        length = end - start
        return Instant(start - -((at - start) * STEPS // length + 1) * length // STEPS)

    def read(self, window: Window, until: Instant) -> Reading:
        end = min(window.end, until)
        sums = self.account.between(window.start, end)
        inside = [
            Outage(max(one.start, window.start), min(end, end if one.end is None else one.end)) for one in self.outages
        ]
        lengths = [self.down.between(one.start, one.end).bad for one in inside if one.end and one.start < one.end]
        return Reading(
            window,
            until,
            sums,
            self.account.whole,
            self._budget(window, sums),
            sum(window.start <= one.start < end for one in self.outages),
            sum(lengths),
            max(lengths, default=0),
        )

    def facts(self, until: Instant, since: int | None = None, before: Sequence[ServiceFact] = ()) -> list[ServiceFact]:
        """Everything to declare by `until`, in order.

        With `since` only what the time from there on decides: of calendar windows that end after it, and of alerts and
        rolling windows from there on, of which `before` are the facts until then, in order.
        """
        found: list[ServiceFact] = []
        if self.promise.window in ROLLING:
            is_breached = next((one.fact == BREACHED for one in reversed(before) if one.threshold is None), False)
            found.extend(self._rolling_facts(until, since, is_breached))
        else:
            for window in self.windows(until, since):
                found.extend(self._window_facts(window, until))
        if self.promise.burn_alerts:
            for rule in rules_of(self.promise.window):
                last = next((one for one in reversed(before) if one.threshold == rule.text), None)
                on_since = last.at if last is not None and last.fact == BURN_STARTED else None
                for burn in burns_of(self.alert_account, rule, self.promise, until, since, on_since):
                    if burn.started_at != on_since:
                        found.append(ServiceFact(BURN_STARTED, burn.started_at, rule.text))
                    if burn.stopped_at is not None:
                        found.append(ServiceFact(BURN_STOPPED, burn.stopped_at, rule.text))
        return sorted(found, key=lambda one: (one.at, one.fact, one.threshold or ""))

    # ---- budgets -------------------------------------------------------------------------------------------------

    @property
    def _allowed(self) -> Fraction:
        return 1 - Fraction(self.promise.target)

    def _open_us(self, window: Window) -> int:
        start = window.start if self.opens_at is None else Instant(max(window.start, self.opens_at))
        return self.calendar.open_between(start, window.end)

    def _budget(self, window: Window, sums: Sums) -> Fraction:
        if self.is_of_events:
            return self._allowed * Fraction(sums.known, self.account.whole)
        return self._allowed * Fraction(self._counted(window, sums), self.account.whole)

    def _counted(self, window: Window, sums: Sums) -> int:
        """Time that counts in the whole window: its open time, what is still to come included, less what was excluded."""
        return self._open_us(window) * self.account.whole - (sums.open - sums.counted)

    # ---- calendar windows ----------------------------------------------------------------------------------------

    def _window_facts(self, window: Window, until: Instant) -> list[ServiceFact]:
        if self.is_of_events:
            return self._event_facts(window, until)
        found: list[ServiceFact] = []
        breached_at = self._breached_at(window, until)
        risk = self._at_risk(window, until, breached_at)
        if risk is not None:
            found.append(risk)
        if breached_at is not None:
            found.append(ServiceFact(BREACHED, breached_at, window=window))
        return found

    def _breached_at(self, window: Window, until: Instant) -> int | None:
        """The instant at which the budget is used up and more follows; what is over it never shrinks in a window."""
        end = min(window.end, until + 1)
        if self._over(window, end).value <= 0:
            return None
        for start, stop in pieces_of(self.account, window.start, end):
            if self._over(window, stop).value > 0:
                offset = first_offset([self._over(window, start)], stop - start)
                return start + offset if offset is not None else stop
        return None

    def _over(self, window: Window, at: int) -> Line:
        """What is bad over what the budget allows, and its slope from `at` on."""
        n, d = self._allowed.numerator, self._allowed.denominator
        sums = self.account.between(window.start, at)
        rate = self.account.at(at + 1).less(self.account.at(at))
        return Line(sums.bad * d - self._counted(window, sums) * n, rate.bad * d + (rate.open - rate.counted) * n, True)

    def _at_risk(self, window: Window, until: Instant, breached_at: int | None) -> ServiceFact | None:
        """At the first step at which the present pace uses up what remains before the end."""
        length = window.end - window.start
        pane = length // PACE
        first = self.account.next_bad(window.start)
        if first is None:
            return None
        for step in range(max(1, (first - window.start) * STEPS // length), STEPS):
            at = window.start + step * length // STEPS
            if at > until or (breached_at is not None and at >= breached_at):
                return None
            recent = self.account.between(at - pane, at).bad
            if recent <= 0:
                continue
            sums = self.account.between(window.start, at)
            remaining = self._allowed * self._counted(window, sums) - sums.bad
            predicted_at = at + ceil(remaining * pane / recent)
            if predicted_at < window.end:
                return ServiceFact(AT_RISK, at, window=window, predicted_at=predicted_at)
        return None

    def _event_facts(self, window: Window, until: Instant) -> list[ServiceFact]:
        """Of counted events the total is not known before the end: what is over the budget may get under it again."""
        found: list[ServiceFact] = []
        target, is_breached = Fraction(self.promise.target), False
        starts, before = self.account.starts, self.account.at(window.start)
        for index in range(bisect_right(starts, window.start), bisect_right(starts, min(window.end, until))):
            sums = self.account.sums[index].less(before)
            is_below = sums.good < target * sums.known
            if is_below != is_breached:
                is_breached = is_below
                found.append(ServiceFact(BREACHED if is_below else RECOVERED, starts[index], window=window))
        return found

    # ---- rolling windows -----------------------------------------------------------------------------------------

    def _rolling_facts(self, until: Instant, since: int | None, is_breached: bool) -> Iterator[ServiceFact]:
        """Looked at in steps from the epoch on; where nothing is bad in the window, on to the next that is."""
        length = ROLLING[self.promise.window]
        step, target, coverage = length // STEPS, Fraction(self.promise.target), Fraction(self.promise.min_coverage)
        bad_at = since
        if since is None:
            bad_at = self.account.next_bad(self.account.starts[0]) if self.account.starts else None
        while bad_at is not None and bad_at <= until:
            at = -(-bad_at // step) * step
            if at > until:
                return
            sums = self.account.between(at - length, at)
            ratio = ratio_of(sums, coverage)
            if ratio is not None and (ratio < target) != is_breached:
                is_breached = not is_breached
                yield ServiceFact(BREACHED if is_breached else RECOVERED, at)
            is_quiet = sums.bad == 0 and not is_breached
            bad_at = self.account.next_bad(at) if is_quiet else at + step
            bad_at = at + step if bad_at == at else bad_at
