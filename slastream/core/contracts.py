"""Service level management over a whole log: ledgers, chains, statements, scopes and experience of a replay, by identity.

Each function reads tickets as they stand at the end of time; none changes them.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from slastream.core.availability import Measured
from slastream.core.calendars import Calendar
from slastream.core.chains import Chain, Chains
from slastream.core.credits import NOTHING, ClockResults, ItemKey, Result, Statement, is_credited, item_key, statement
from slastream.core.engine import TicketReplay, contribution_of
from slastream.core.experience import Experience, Rated, experience_of, rated
from slastream.core.ledger import Ledger, ledger_of
from slastream.core.periods import ROLLING, Periods
from slastream.core.policies import Agreement
from slastream.core.scopes import Covered, ScopeReport, Scopes, scope_reports
from slastream.core.tickets import Ticket
from slastream.core.units import SECOND, Instant

Period = tuple[Instant, Instant]


class Felt(NamedTuple):
    """The ratings of a service and agreement (None: tickets without one) in a period; `promise` None: no promise is about them."""

    service: str | None
    agreement: Agreement | None
    promise: str | None
    window: str
    start: Instant
    end: Instant
    experience: Experience


class PeriodsOf:
    """The periods of one kind in a zone; of a rolling one there is only that which ends at `now`."""

    def __init__(self, period: str, calendar: Calendar, now: Instant) -> None:
        self._length = ROLLING.get(period)
        self._periods = Periods(period, calendar)
        self._now = now

    def of(self, at: Instant) -> Period | None:
        if self._length is None:
            return self._periods.of(at)
        start = Instant(self._now - self._length)
        return (start, self._now) if start < at <= self._now else None


def tickets_of(engine: TicketReplay) -> Iterator[Ticket]:
    for ticket_id in sorted(engine.tickets):
        yield engine.tickets[ticket_id]


def ledgers_of(tickets: Iterable[Ticket], end: Instant) -> Iterator[Ledger]:
    for ticket in tickets:
        ledger = ledger_of(ticket, end)
        if ledger is not None:
            yield ledger


def chains_of(engine: TicketReplay, end: Instant) -> Iterator[Chain]:
    chains = Chains(engine.book)
    for ticket in tickets_of(engine):
        yield from chains.of(ticket, end)


def scope_reports_of(engine: TicketReplay, end: Instant) -> Iterator[ScopeReport]:
    scopes, found = Scopes(engine.book.policy), dict[str, list[Covered]]()
    if scopes:
        for ticket in tickets_of(engine):
            for one in scopes.of(ticket):
                found.setdefault(one.agreement, []).append(one)
    for agreement in sorted(engine.book.policy.agreements, key=lambda one: one.name):
        if agreement.scope is not None:
            periods = Periods(agreement.scope.period, agreement.calendar)
            yield from scope_reports(agreement, found.get(agreement.name, ()), periods.of, end)


def experiences_of(engine: TicketReplay, end: Instant) -> Iterator[Felt]:
    """Of each promise about ratings; where an agreement has none, of its objective's period."""
    policy = engine.book.policy
    agreements = {one.name: one for one in policy.agreements}
    found: dict[tuple[str, str], list[Rated]] = {}
    for ticket in engine.tickets.values():
        one = rated(ticket)
        if one is not None and one.at <= end:
            found.setdefault((one.service or "", one.agreement or ""), []).append(one)
    for (service, name), ratings in sorted(found.items()):
        agreement = agreements.get(name)
        calendar = policy.calendars["24x7"] if agreement is None else agreement.calendar
        for promise, window in windows_of(agreement):
            periods: dict[Period, list[Rated]] = {}
            for one in ratings:
                period = PeriodsOf(window, calendar, end).of(one.at)
                if period is not None:
                    periods.setdefault(period, []).append(one)
            for period, felt in sorted(periods.items()):
                yield Felt(service or None, agreement, promise, window, *period, experience_of(felt, policy.moods))


def windows_of(agreement: Agreement | None) -> list[tuple[str | None, str]]:
    """(promise about ratings or None, window)."""
    if agreement is None:
        return [(None, "month")]
    own: list[tuple[str | None, str]] = [(one.name, one.window) for one in agreement.experience_promises]
    return own or [(None, agreement.objective.period)]


# ---- money -----------------------------------------------------------------------------------------------------------


def statements_of(engine: TicketReplay, measured: Iterable[Measured], end: Instant) -> Iterator[Statement]:
    """Of each agreement with credits, each period in which something counts, and the running one.

    `measured` are the windows of services; of those only promises with terms of their own are credited.
    """
    credited = [one for one in engine.book.policy.agreements if one.credits is not None]
    periods = {one.name: PeriodsOf(one.objective.period, one.calendar, end) for one in credited}
    clocks = {one.name: ClockResults(one, periods[one.name].of) for one in credited}
    for ticket, cycle in engine.cycles():
        found = clocks.get(cycle.rule.agreement.name)
        if found is not None:
            labels = ticket.labels_of(cycle)
            contribution = contribution_of(cycle, labels)
            found.put(ticket.ticket_id, cycle.rule.promise.name, cycle.number, labels.service, contribution, end)
    results = {name: found.periods() for name, found in clocks.items()}
    for one in measured:
        if one.agreement.name in results and is_credited(one.agreement, one.promise.name):
            _add_measured(results[one.agreement.name], one)
    for felt in experiences_of(engine, end):
        agreement = felt.agreement
        if agreement is not None and felt.promise is not None and is_credited(agreement, felt.promise):
            scores = felt.experience.all
            result = Result(Fraction(scores.happy), Fraction(scores.ratings))
            _add(results[agreement.name], agreement, (felt.start, felt.end), felt.service, felt.promise, result)
    for agreement in sorted(credited, key=lambda one: one.name):
        yield from statements_by_period(agreement, results[agreement.name], periods[agreement.name], end)


def _add_measured(results: dict[Period, dict[ItemKey, Result]], one: Measured) -> None:
    window = one.reading.window
    _add(results, one.agreement, (window.start, window.end), one.service, one.promise.name, result_of_measured(one))


def result_of_measured(one: Measured) -> Result:
    """Good of known seconds or events; nothing under `min_coverage`."""
    sums = one.reading.sums
    whole = one.reading.whole * (SECOND if one.promise.metric == "availability" else 1)
    if one.reading.ratio(one.promise.min_coverage) is None:
        return NOTHING
    return Result(Fraction(sums.good, whole), Fraction(sums.known, whole))


def _add(
    results: dict[Period, dict[ItemKey, Result]],
    agreement: Agreement,
    period: Period,
    service: str | None,
    promise: str,
    result: Result,
) -> None:
    credits = agreement.credits
    if credits is None:
        raise AssertionError("only an agreement with credits has results")
    items, key = results.setdefault(period, {}), item_key(credits, service, promise)
    before = items.get(key, NOTHING)
    items[key] = before._replace(met=before.met + result.met, total=before.total + result.total)


def statements_by_period(
    agreement: Agreement,
    results: dict[Period, dict[ItemKey, Result]],
    periods: PeriodsOf,
    now: Instant,
    only: set[Period] | None = None,
) -> Iterator[Statement]:
    """The statements of periods that began by `now`, in order; or `only` of those whose results have changed."""
    running = periods.of(now)
    known = sorted(
        {*results, *([] if running is None else [running])} if only is None else _earning(agreement, periods, only)
    )
    for start, end in known:
        later = following(agreement, results, periods, end, now)
        found = statement(agreement, start, end, results.get((start, end), {}), later, now)
        if found is not None and start <= now:
            yield found


def _earning(agreement: Agreement, periods: PeriodsOf, changed: set[Period]) -> set[Period]:
    """These periods, and those before them that they may earn back."""
    found, back = set(changed), None if agreement.credits is None else agreement.credits.earn_back
    for start, _ in changed if back is not None else ():
        for _ in range(0 if back is None else back.periods):
            before = periods.of(Instant(start - 1))
            if before is not None:
                found.add(before)
                start = before[0]
    return found


def following(
    agreement: Agreement, results: dict[Period, dict[ItemKey, Result]], periods: PeriodsOf, end: Instant, now: Instant
) -> list[dict[ItemKey, Result] | None]:
    """The results of the periods that may earn one back which ends at `end`; None for one that has not ended."""
    found: list[dict[ItemKey, Result] | None] = []
    back = None if agreement.credits is None else agreement.credits.earn_back
    for _ in range(0 if back is None else back.periods):
        period = periods.of(end)
        if period is None or period[1] > now:
            found.append(None)
            break
        found.append(results.get(period, {}))
        end = period[1]
    return found
