"""The figures about consistency: for each promise and service a control chart of the open time of the tickets of the period."""

from collections.abc import Iterator
from fractions import Fraction

from slastream.core.control import (
    CHART_POINTS,
    RULES,
    Point,
    capability_of,
    limits_of,
    median,
    quantile_of,
    signals_of,
    trend_of,
)
from slastream.core.facts import identity
from slastream.core.units import Duration
from slastream.report.figures import Consistent, ControlPoint, ControlResult, Share
from slastream.report.report_source import Clock, Source, bounds_of
from slastream.report.ticket_figures import belongs

NINE_OF_TEN = Fraction(9, 10)


def control_results(source: Source) -> tuple[ControlResult, ...]:
    """Of every promise and service with enough tickets that ended in the period; customers' first, then most tickets."""
    return tuple(
        sorted(
            _control_results(source),
            key=lambda one: (one.agreement_kind != "sla", -one.tickets, one.agreement, one.promise, one.service or ""),
        )
    )


def consistent(results: tuple[ControlResult, ...]) -> Consistent:
    """All charts added up."""
    return Consistent(inside=sum((one.inside for one in results), Share(0, 0)), charts=len(results))


def _control_results(source: Source) -> Iterator[ControlResult]:
    groups: dict[tuple[str, str, str | None], list[Clock]] = {}
    for clock in source.clocks:
        start, end = bounds_of(source, clock.agreement)
        if belongs(clock, "completed", start, end, source.as_of):
            groups.setdefault((*clock.key, clock.labels.service), []).append(clock)
    for (agreement, promise, service), clocks in groups.items():
        points = sorted((_point(one), one.ticket_id) for one in clocks)
        values = [point.elapsed_us for point, _ in points]
        limits = limits_of(values)
        if limits is None:
            continue
        signals = signals_of(values, limits)
        capability = capability_of([point for point, _ in points], clocks[0].agreement.objective.target)
        outside = [ticket for (_, ticket), rules in zip(points, signals, strict=True) if 1 in rules]
        inside = [ticket for (_, ticket), rules in zip(points, signals, strict=True) if 1 not in rules]
        yield ControlResult(
            service=service,
            agreement=agreement,
            agreement_kind=clocks[0].agreement.kind,
            promise=promise,
            tickets=len(points),
            inside=Share(len(inside), len(points)),
            median_us=median(values),
            ninetieth_us=quantile_of([Fraction(one) for one in sorted(values)], NINE_OF_TEN),
            lower_us=limits.lower_us,
            upper_us=limits.upper_us,
            signals=tuple(sum(rule in rules for rules in signals) for rule in RULES),
            capability=capability.index,
            trend=trend_of(values[-CHART_POINTS:]).direction,
            newest=tuple(
                ControlPoint(ticket, point.stopped_at, point.elapsed_us, rules)
                for (point, ticket), rules in list(zip(points, signals, strict=True))[-CHART_POINTS:]
            ),
            evidence=source.evidence.put("control", f"{agreement} / {promise}, {service or '–'}", inside, outside),
        )


def _point(clock: Clock) -> Point:
    if clock.stopped_at is None:
        raise AssertionError("only what has ended is a point")
    target = clock.reading.target_us
    return Point(
        stopped_at=clock.stopped_at,
        clock=identity(clock.ticket_id, *clock.key, clock.cycle),
        elapsed_us=Duration(clock.reading.elapsed_us),
        target_us=None if target is None else Duration(target),
        is_met=clock.is_met,
        priority=clock.labels.priority,
    )
