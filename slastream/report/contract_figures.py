"""The figures about contracts: money with its evidence, what is covered and how much of it, and what users said."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from slastream.core.contracts import scope_reports_of, statements_of
from slastream.core.credits import Item, Statement
from slastream.core.experience import TICKET_VERDICTS, Experience, Rated, Scores, experience_of, rated
from slastream.core.periods import ROLLING, period_of
from slastream.core.policies import Agreement, ExperiencePromise
from slastream.core.scopes import ScopeReport
from slastream.core.units import Instant
from slastream.report.figures import (
    CreditItem,
    CreditMonth,
    CreditStatement,
    ExcludedClock,
    ExperienceResult,
    Satisfaction,
    SatisfactionMonth,
    ScopeResult,
    Share,
    VerdictSatisfaction,
    VolumeResult,
)
from slastream.report.report_source import Source, bounds_of

# ---- money -----------------------------------------------------------------------------------------------------------


def statements(source: Source) -> list[Statement]:
    """Of the customer's agreements: an agreement with all customers is in the report of all."""
    measured = source.services.readings(source.as_of)
    names = {one.name for one in _own_agreements(source)}
    return [one for one in statements_of(source.engine, measured, source.as_of) if one.agreement in names]


def _own_agreements(source: Source) -> list[Agreement]:
    return [one for one in source.policy.agreements if source.customer in (None, one.customer)]


def credit_statements(source: Source, found: list[Statement]) -> tuple[CreditStatement, ...]:
    """The statements of periods that have time in common with the report's."""
    return tuple(_statement(source, one) for one in found if _is_of_period(source, one.agreement, one.start, one.end))


def _is_of_period(source: Source, agreement: str, start: Instant, end: Instant) -> bool:
    first, after = source.bounds_of_name(agreement)
    return start < after and end > first


def _statement(source: Source, one: Statement) -> CreditStatement:
    return CreditStatement(
        agreement=one.agreement,
        currency=one.currency,
        start=one.start,
        end=one.end,
        is_final=one.is_final,
        fee=one.fee,
        items=tuple(_item(source, one, item) for item in one.items),
        sum=one.sum,
        cap=one.cap,
        credit=one.credit,
        earned_back=one.earned_back,
        payable=one.payable,
        excluded=tuple(
            ExcludedClock(excluded.clock.ticket_id, excluded.clock.promise, excluded.reason)
            for item in one.items
            for excluded in item.result.excluded
        ),
    )


def _item(source: Source, statement: Statement, item: Item) -> CreditItem:
    result, band = item.result, item.band
    missed = [one.ticket_id for one in result.missed]
    return CreditItem(
        service=item.service,
        promise=item.promise,
        met=result.met,
        total=result.total,
        ratio=result.ratio,
        below=None if band is None else band.below,
        weight=item.weight,
        credit=item.credit,
        is_earned_back=item.is_earned_back,
        evidence=source.evidence.put(
            "credit", " / ".join(one for one in (statement.agreement, item.promise, item.service) if one), (), missed
        ),
    )


def credit_months(source: Source, found: list[Statement]) -> tuple[CreditMonth, ...]:
    """What each agreement credited by month, of the statements whose period began in it."""
    sums: defaultdict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    for one in found:
        agreement = next(other for other in source.policy.agreements if other.name == one.agreement)
        for month in source.period.months():
            start, end = month.bounds(agreement.calendar)
            month_sums = sums[one.agreement, one.currency]
            month_sums[month.text] = month_sums.get(month.text, Decimal(0)) + (
                one.credit if start <= one.start < end else 0
            )
    return tuple(
        CreditMonth(agreement, currency, period, credit)
        for (agreement, currency), months in sorted(sums.items())
        for period, credit in months.items()
    )


# ---- scope -----------------------------------------------------------------------------------------------------------


def scope_results(source: Source) -> tuple[ScopeResult, ...]:
    names = {one.name for one in _own_agreements(source)}
    return tuple(
        _scope(source, one)
        for one in scope_reports_of(source.engine, source.as_of)
        if one.agreement in names and _is_of_period(source, one.agreement, one.start, one.end)
    )


def _scope(source: Source, one: ScopeReport) -> ScopeResult:
    outside = [covered.ticket_id for covered in one.out_of_scope]
    return ScopeResult(
        agreement=one.agreement,
        start=one.start,
        end=one.end,
        is_final=one.is_final,
        in_scope=one.in_scope,
        out_of_scope=len(outside),
        volumes=tuple(
            VolumeResult(count.volume.name, count.tickets, count.volume.low, count.volume.high, count.level)
            for count in one.volumes
        ),
        evidence=source.evidence.put("scope", one.agreement, (), outside),
    )


# ---- experience ------------------------------------------------------------------------------------------------------


def satisfaction(source: Source) -> Satisfaction:
    """The ratings given in the period to tickets of the customer."""
    start, end = bounds_of(source, None)
    every = [one for ticket in source.tickets if (one := rated(ticket)) is not None and one.at <= source.as_of]
    found = experience_of([one for one in every if start <= one.at < end], source.policy.moods)
    scores = found.all
    return Satisfaction(
        ratings=scores.ratings,
        score=_mean(scores),
        happy=Share(scores.happy, scores.ratings),
        unhappy=Share(scores.unhappy, scores.ratings),
        met_but_unhappy=Share(*found.met_but_unhappy),
        breached_but_happy=Share(*found.breached_but_happy),
        by_verdict=tuple(_by_verdict(found)),
        months=tuple(_months(source, every)),
        promises=tuple(_promises(source, every)),
        met_but_unhappy_evidence=source.evidence.put(
            "met_but_unhappy",
            "",
            *_split(source, [one for one in every if start <= one.at < end and one.verdict == "met"]),
        ),
    )


def _split(source: Source, ratings: list[Rated]) -> tuple[list[str], list[str]]:
    """The tickets that were not unhappy, and those that were."""
    unhappy = Fraction(source.policy.moods.unhappy)
    return [one.ticket_id for one in ratings if one.score > unhappy], [
        one.ticket_id for one in ratings if one.score <= unhappy
    ]


def _mean(scores: Scores) -> Fraction | None:
    return scores.score / scores.ratings if scores.ratings else None


def _by_verdict(found: Experience) -> Iterator[VerdictSatisfaction]:
    for verdict in TICKET_VERDICTS:
        scores = found.by_verdict[verdict]
        yield VerdictSatisfaction(
            verdict, scores.ratings, _mean(scores), Share(scores.happy, scores.ratings),
            Share(scores.unhappy, scores.ratings),
        )  # fmt: skip


def _months(source: Source, ratings: list[Rated]) -> Iterator[SatisfactionMonth]:
    zone = source.policy.calendars["24x7"]
    for month in source.period.months():
        start, end = month.bounds(zone)
        scores = experience_of([one for one in ratings if start <= one.at < end], source.policy.moods).all
        yield SatisfactionMonth(month.text, scores.ratings, _mean(scores))


def _promises(source: Source, ratings: list[Rated]) -> Iterator[ExperienceResult]:
    """Each promise about ratings, in each of its windows that has time of the period; of a rolling one in that which ends it."""
    for agreement in _own_agreements(source):
        own = [one for one in ratings if one.agreement == agreement.name]
        for promise in agreement.experience_promises:
            for start, end in _windows(source, agreement, promise):
                counted = [one for one in own if start <= one.at < end]
                scores = experience_of(counted, source.policy.moods).all
                yield ExperienceResult(
                    agreement.name, promise.name, promise.target, start, end, Share(scores.happy, scores.ratings)
                )


def _windows(source: Source, agreement: Agreement, promise: ExperiencePromise) -> Iterator[tuple[Instant, Instant]]:
    start, end = bounds_of(source, agreement)
    last = min(end, source.as_of)
    if promise.window in ROLLING:
        yield Instant(last - ROLLING[promise.window]), last
        return
    while start < last:
        first, start = period_of(start, promise.window, agreement.calendar)
        yield first, start
