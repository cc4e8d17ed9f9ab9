"""The figures about tickets: promises by month, views, breaches, ageing, and what counts nowhere."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from slastream.core.compliance import budget_remaining
from slastream.core.periods import ROLLING, period_of
from slastream.core.policies import Agreement
from slastream.core.units import DAY, Duration, Instant
from slastream.report.figures import (
    AgeBucket,
    Breach,
    BreachCount,
    Cancelled,
    Counts,
    Exclusions,
    Maturity,
    ObjectivePeriod,
    Override,
    PromiseResult,
    Share,
    SignsResult,
    ViewRow,
)
from slastream.report.report_source import Clock, Source, bounds_of, is_open

BASES = ("completed", "due", "started")
VIEWED = ("priority", "type", "service", "team", "group", "provider", "customer")
"""Attributes that the views look along: people, process, technology, organisation."""
AGES_DAYS = (0, 1, 2, 7, 14, 30, 90)
"""Where the buckets of open tickets begin."""


def promise_results(source: Source) -> tuple[PromiseResult, ...]:
    agreements = {one.name: one for one in source.policy.agreements}
    return tuple(
        _promise_result(source, agreements[agreement], promise, clocks)
        for (agreement, promise), clocks in source.of_promise().items()
    )


def _promise_result(source: Source, agreement: Agreement, promise: str, clocks: list[Clock]) -> PromiseResult:
    start, end = bounds_of(source, agreement)
    counts = counts_of(clocks, source.period.text, start, end, source.as_of)
    basis = agreement.objective.basis
    counted = [one for one in clocks if belongs(one, basis, start, end, source.as_of)]
    periods = tuple(_objective_periods(source, agreement, clocks))
    return PromiseResult(
        agreement=agreement.name,
        agreement_kind=agreement.kind,
        promise=promise,
        metric=next(one.metric for one in agreement.clock_promises if one.name == promise),
        basis=basis,
        objective=agreement.objective.target,
        kept=counts.of(basis),
        reached=Share(
            sum(one.is_reached is True for one in periods), sum(one.is_reached is not None for one in periods)
        ),
        counts=counts,
        open=sum(one.is_open and not one.is_cancelled for one in clocks),
        open_breached=sum(one.is_open and one.reading.status == "breached" for one in clocks),
        months=tuple(
            counts_of(clocks, month.text, *month.bounds(agreement.calendar), source.as_of)
            for month in source.period.months()
        ),
        objective_periods=periods,
        evidence=source.evidence.put(
            "promise",
            f"{agreement.name} / {promise}",
            (one.ticket_id for one in counted if one.is_met),
            (one.ticket_id for one in counted if not one.is_met),
        ),
    )


def belongs(clock: Clock, basis: str, start: Instant, end: Instant, as_of: Instant) -> bool:
    """Does a clock count in the period `[start, end)`, by this basis? (semantics 6.1) What is due after `as_of` does not yet."""
    if clock.is_cancelled:
        return False
    match basis:
        case "completed":
            at = clock.stopped_at
        case "due":
            at = clock.reading.due_at
        case _:
            at = clock.started_at
    return at is not None and start <= at < end and at <= as_of


def counts_of(clocks: Iterable[Clock], period: str, start: Instant, end: Instant, as_of: Instant) -> Counts:
    known = list(clocks)
    shares = {}
    for basis in BASES:
        counted = [one.is_met for one in known if belongs(one, basis, start, end, as_of)]
        shares[basis] = Share(sum(counted), len(counted))
    cancelled = sum(one.is_cancelled and start <= _ended_at(one) < end for one in known)
    return Counts(period, start, end, shares["completed"], shares["due"], shares["started"], cancelled)


def _ended_at(clock: Clock) -> Instant:
    return clock.started_at if clock.stopped_at is None else clock.stopped_at


def _objective_periods(source: Source, agreement: Agreement, clocks: list[Clock]) -> Iterable[ObjectivePeriod]:
    """The calendar periods of the objective that the report's has time of; of a rolling one that which ends with it."""
    objective, as_of = agreement.objective, source.as_of
    start, end = bounds_of(source, agreement)
    last = min(end, as_of)
    if objective.period in ROLLING:
        yield _objective_period(agreement, clocks, Instant(last - ROLLING[objective.period]), last, as_of)
        return
    at = start
    while at < last:
        first, after = period_of(at, objective.period, agreement.calendar)
        yield _objective_period(agreement, clocks, first, after, as_of)
        at = after


def _objective_period(
    agreement: Agreement, clocks: list[Clock], start: Instant, end: Instant, as_of: Instant
) -> ObjectivePeriod:
    objective = agreement.objective
    kept = counts_of(clocks, "", start, end, as_of).of(objective.basis)
    target = objective.target
    return ObjectivePeriod(
        start=start,
        end=end,
        is_running=end > as_of,
        kept=kept,
        is_reached=None if target is None or not kept.total else kept.met >= target * kept.total,
        allowed=Decimal(0) if target is None else (1 - target) * kept.total,
        remaining=Decimal(0) if target is None else budget_remaining(target, kept.met, kept.total),
    )


def views(source: Source) -> tuple[ViewRow, ...]:
    """The share of each promise along each attribute, by the objective's basis. The rows of an attribute add up to the promise."""
    rows = []
    for (agreement_name, promise), clocks in source.of_promise().items():
        for attribute in VIEWED:
            found: dict[str | None, Share] = {}
            for clock in clocks:
                start, end = bounds_of(source, clock.agreement)
                if belongs(clock, clock.agreement.objective.basis, start, end, source.as_of):
                    value = getattr(clock.labels, attribute)
                    found[value] = found.get(value, Share(0, 0)) + Share(clock.is_met, 1)
            rows += [ViewRow(attribute, value, agreement_name, promise, share) for value, share in found.items()]
    return tuple(sorted(rows, key=lambda one: (one.attribute, one.value or "", one.agreement, one.promise)))


def breaches(source: Source) -> tuple[Breach, ...]:
    """The clocks whose instant of breach lies in the period, the longest over first."""
    found = [_breach(one) for one in _broken(source)]
    return tuple(sorted(found, key=lambda one: (-(one.over_us or 0), one.ticket_id, one.agreement, one.promise)))


def _broken(source: Source) -> list[Clock]:
    found = []
    for clock in source.clocks:
        start, end = bounds_of(source, clock.agreement)
        if clock.breached_at is not None and start <= clock.breached_at < end and not clock.is_cancelled:
            found.append(clock)
    return found


def _breach(clock: Clock) -> Breach:
    reading, labels = clock.reading, clock.labels
    return Breach(
        ticket_id=clock.ticket_id,
        agreement=clock.agreement.name,
        promise=clock.promise.name,
        cycle=clock.cycle,
        priority=labels.priority,
        group=labels.group,
        breached_at=clock.breached_at if clock.breached_at is not None else Instant(0),
        stopped_at=clock.stopped_at,
        over_us=None if reading.target_us is None else Duration(max(0, reading.elapsed_us - reading.target_us)),
    )


def breach_counts(source: Source) -> tuple[BreachCount, ...]:
    """Breaches of the period along each attribute, most first."""
    broken = _broken(source)
    counts = [
        BreachCount(attribute, value, number)
        for attribute in VIEWED
        for value, number in Counter(getattr(one.labels, attribute) for one in broken).items()
    ]
    return tuple(sorted(counts, key=lambda one: (VIEWED.index(one.attribute), -one.breaches, one.value or "")))


def ageing(source: Source) -> tuple[AgeBucket, ...]:
    """The open tickets at the report's end, by their age."""
    states: dict[str, str] = {}
    for clock in source.clocks:
        if clock.is_open and not clock.is_cancelled:
            is_late = clock.reading.status == "breached" or states.get(clock.ticket_id) == "breached"
            states[clock.ticket_id] = "breached" if is_late else "in_time"
    inside: list[list[str]] = [[] for _ in AGES_DAYS]
    for ticket in source.tickets:
        if is_open(ticket) and ticket.opened_at is not None:
            age = source.as_of - ticket.opened_at
            inside[sum(age >= days * DAY for days in AGES_DAYS) - 1].append(ticket.ticket_id)
    buckets = []
    for from_days, before_days, ids in zip(AGES_DAYS, (*AGES_DAYS[1:], None), inside, strict=True):
        by_state = Counter(states.get(one, "") for one in ids)
        page = source.evidence.put(
            "age",
            f"{from_days}–{before_days}" if before_days is not None else f"≥ {from_days}",
            (one for one in ids if states.get(one) != "breached"),
            (one for one in ids if states.get(one) == "breached"),
        )
        buckets.append(AgeBucket(from_days, before_days, by_state["in_time"], by_state["breached"], by_state[""], page))
    return tuple(buckets)


def maturity(source: Source) -> Maturity:
    """What tells whether the numbers mean what they say (semantics, signs of a gamed number)."""
    promised = {one.ticket_id for one in source.clocks}
    opened = _opened(source)
    return Maturity(
        covered=Share(sum(one in promised for one in opened), len(opened)),
        signs=tuple(_signs(source, *names, clocks) for names, clocks in source.of_promise().items()),
    )


def _opened(source: Source) -> list[str]:
    start, end = bounds_of(source, None)
    return [one.ticket_id for one in source.tickets if one.opened_at is not None and start <= one.opened_at < end]


def _signs(source: Source, agreement: str, promise: str, clocks: Iterable[Clock]) -> SignsResult:
    start, end = source.bounds_of_name(agreement)
    ended = [one for one in clocks if not (one.is_open and not one.is_cancelled) and start <= _ended_at(one) < end]
    signs = [one.signs for one in ended]
    suspicious = [
        one.ticket_id
        for one in ended
        if one.signs.overridden or one.signs.priority_changed_after_warning or one.signs.paused_before_due
    ]
    return SignsResult(
        agreement=agreement,
        promise=promise,
        ended=len(ended),
        cancelled=sum(one.is_cancelled for one in ended),
        overridden=sum(one.overridden > 0 for one in signs),
        reopened=sum(one.reopened > 0 for one in signs),
        priority_changed_after_warning=sum(one.priority_changed_after_warning > 0 for one in signs),
        paused_before_due=sum(one.paused_before_due > 0 for one in signs),
        pauses=Share(sum(one.pauses_with_reason for one in signs), sum(one.pauses for one in signs)),
        evidence=source.evidence.put("signs", f"{agreement} / {promise}", (), suspicious),
    )


def exclusions(source: Source) -> Exclusions:
    promised = {one.ticket_id for one in source.clocks}
    bare = [one for one in _opened(source) if one not in promised]
    return Exclusions(
        cancelled=tuple(_cancelled(source)),
        overrides=tuple(_overrides(source)),
        tickets_without_promise=len(bare),
        tickets_without_promise_evidence=source.evidence.put("without_promise", "", bare, ()),
        rejected_events=source.rejected,
    )


def _cancelled(source: Source) -> Iterable[Cancelled]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for clock in source.clocks:
        start, end = bounds_of(source, clock.agreement)
        if clock.is_cancelled and start <= _ended_at(clock) < end:
            found.setdefault((*clock.key, clock.cancel_reason or ""), []).append(clock.ticket_id)
    for (agreement, promise, reason), ids in sorted(found.items()):
        page = source.evidence.put("cancelled", f"{agreement} / {promise}, {reason}", (), ids)
        yield Cancelled(agreement, promise, reason, len(ids), page)


def _overrides(source: Source) -> Iterable[Override]:
    for clock in source.clocks:
        one = clock.override
        if one is None or one.due_at is None:
            continue
        start, end = bounds_of(source, clock.agreement)
        if clock.started_at < end and (clock.stopped_at is None or clock.stopped_at >= start):
            yield Override(clock.ticket_id, *clock.key, one.due_at, one.by, one.reason)
