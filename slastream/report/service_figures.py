"""The figures about services: availability, budgets and outages of the report's period and of the months before."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from slastream.core.periods import ROLLING
from slastream.core.policies import Agreement, ServicePromise
from slastream.core.units import Duration, Instant
from slastream.core.windows import Measure, Reading, Window
from slastream.report.figures import Outage, ServiceResult, Share, TimeCounts
from slastream.report.report_period import ReportPeriod
from slastream.report.report_source import Source


def service_results(source: Source) -> tuple[ServiceResult, ...]:
    """Every promise about a service of the customer that has something to measure by the report's end."""
    return tuple(_service_results(source))


def services_once(services: Iterable[ServiceResult]) -> list[ServiceResult]:
    """Each service that has a promise of availability, by the first of them."""
    found: dict[str, ServiceResult] = {}
    for one in services:
        if one.metric == "availability":
            found.setdefault(one.service, one)
    return list(found.values())


def _service_results(source: Source) -> Iterator[ServiceResult]:
    for name in source.services.services():
        for agreement, promise, measure in source.services.measures(name, source.as_of):
            customer = source.services.book.service(name).customer
            if source.customer in (None, agreement.customer if customer is None else customer):
                yield _service_result(source, name, agreement, promise, measure)


def _service_result(
    source: Source, name: str, agreement: Agreement, promise: ServicePromise, measure: Measure
) -> ServiceResult:
    reading = _read(measure, source.period, source.as_of)
    start, end = reading.window.start, min(reading.window.end, source.as_of)
    down, whole, outages = Fraction(reading.downtime_us, reading.whole), reading.whole, reading.outages
    return ServiceResult(
        service=name,
        agreement=agreement.name,
        agreement_kind=agreement.kind,
        promise=promise.name,
        metric=promise.metric,
        target=promise.target,
        window=promise.window,
        windows=_windows_kept(measure, start, end),
        is_of_events=measure.is_of_events,
        counts=_counts(measure, source.period, source.as_of),
        budget_us=None if measure.is_of_events else reading.budget,
        budget_remaining_us=None if measure.is_of_events else reading.budget_remaining,
        budget_events=reading.budget if measure.is_of_events else None,
        budget_remaining_events=reading.budget_remaining if measure.is_of_events else None,
        outages=outages,
        downtime_us=Duration(round(down)),
        longest_us=Duration(round(Fraction(reading.longest_us, whole))),
        mttr_us=down / outages if outages else None,
        mtbf_us=Fraction(reading.sums.good, whole) / outages if outages else None,
        months=tuple(_counts(measure, month, source.as_of) for month in source.period.months()),
        outage_list=tuple(_outages(measure, start, end)),
    )


def _read(measure: Measure, period: ReportPeriod, as_of: Instant) -> Reading:
    return measure.read(Window(period.kind, *period.bounds(measure.agreement.calendar)), as_of)


def _counts(measure: Measure, period: ReportPeriod, as_of: Instant) -> TimeCounts:
    start, end = period.bounds(measure.agreement.calendar)
    nothing, no_events = Duration(0), Fraction(0)
    if start >= as_of:
        return TimeCounts(period.text, start, end, nothing, nothing, nothing, nothing, no_events, no_events, None, None)
    reading = _read(measure, period, as_of)
    sums, whole, ratio = reading.sums, reading.whole, reading.ratio(measure.promise.min_coverage)
    if measure.is_of_events:
        return TimeCounts(
            period.text, start, end, nothing, nothing, nothing, nothing,
            Fraction(sums.good, whole), Fraction(sums.known, whole), ratio, None,
        )  # fmt: skip
    good, bad, excluded, unknown = (
        Duration(round(Fraction(one, whole))) for one in (sums.good, sums.bad, reading.excluded, sums.unknown)
    )
    return TimeCounts(
        period.text, start, end, good, bad, excluded, unknown, no_events, no_events, ratio, reading.coverage
    )


def _windows_kept(measure: Measure, start: Instant, end: Instant) -> Share:
    """Of the windows that ended in the period and have a ratio, those at the target or above."""
    if measure.promise.window in ROLLING:
        windows = list(measure.windows(end))
    else:
        windows = [one for one in measure.windows(end, start) if start < one.end <= end]
    ratios = [measure.read(one, end).ratio(measure.promise.min_coverage) for one in windows]
    known = [one for one in ratios if one is not None]
    return Share(sum(one >= Fraction(measure.promise.target) for one in known), len(known))


def _outages(measure: Measure, start: Instant, end: Instant) -> Iterator[Outage]:
    for one in measure.outages:
        if one.start < end and (one.end is None or one.end > start):
            yield Outage(Instant(one.start), None if one.end is None else Instant(one.end))
