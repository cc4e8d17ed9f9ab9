"""Control charts, signs and predictions of a log, as JSON lines of their own kinds."""

from collections.abc import Iterator
from fractions import Fraction

from slastream.core.clocks import Cycle
from slastream.core.compliance import Line
from slastream.core.control import RULES, ControlChart, chart_of, slope_of
from slastream.core.engine import TicketReplay, open_clock_of, points_of
from slastream.core.facts import identity
from slastream.core.periods import Periods
from slastream.core.policies import Agreement
from slastream.core.prediction import Forecast, chance_of_clock, forecast_of, history_of
from slastream.core.tickets import Ticket
from slastream.core.units import SECOND, Instant, format_instant, seconds
from slastream.wire.lines import Json

SIGNS = ("cancelled", "overridden", "reopened", "priority_changed_after_warning", "paused_before_due")
"""Counts of clocks, each of those that ended."""


def control_lines(engine: TicketReplay) -> Iterator[Json]:
    """The control chart of each service and promise, as of the end."""
    for service, rule, cycles in engine.by_promise():
        names = {
            identity(ticket.ticket_id, rule.agreement.name, rule.promise.name, cycle.number): (ticket.ticket_id, cycle)
            for ticket, cycle in cycles
        }
        chart = chart_of(points_of(cycles), rule.agreement.objective.target)
        if chart.points:
            yield {
                **_subject("control", service, rule.agreement, rule.promise.name),
                **chart_fields(chart),
                "signalling": [
                    {
                        "ticket_id": names[point.clock][0],
                        "cycle": names[point.clock][1].number,
                        "stopped_at": format_instant(point.stopped_at),
                        "elapsed_seconds": seconds(point.elapsed_us),
                        "rules": list(rules),
                    }
                    for point, rules in zip(chart.points, chart.signals, strict=True)
                    if rules
                ],
            }


def chart_fields(chart: ControlChart) -> Json:
    """A chart that has points; what it has no number for is null."""
    limits, capability = chart.limits, chart.capability
    return {
        "points": len(chart.points),
        "from": format_instant(chart.points[0].stopped_at),
        "to": format_instant(chart.points[-1].stopped_at),
        "limits": None
        if limits is None
        else {
            "centre_seconds": _seconds(limits.centre_us),
            "lower_seconds": _seconds(limits.lower_us),
            "upper_seconds": _seconds(limits.upper_us),
            "moving_range_seconds": _seconds(limits.moving_range_us),
            "moving_range_upper_seconds": _seconds(limits.moving_range_upper_us),
        },
        "inside": chart.inside,
        "signals": {str(rule): chart.count(rule) for rule in RULES},
        "capability": {
            "within": {"met": capability.within, "total": capability.total},
            "targeted": capability.targeted,
            "quantile": _ratio(capability.quantile),
            "median_used": _ratio(capability.median_used),
            "spread_used": _ratio(capability.spread_used),
            "index": _ratio(capability.index),
        },
        "trend": {
            "score": chart.trend.score,
            "direction": chart.trend.direction,
            "slope_seconds": _seconds(slope_of([point.elapsed_us for point in chart.points])),
        },
    }


def maturity_lines(engine: TicketReplay) -> Iterator[Json]:
    """The signs by service, promise and period; and by service and month, the tickets that an agreement covers."""
    agreements = {agreement.name: agreement for agreement in engine.book.policy.agreements}
    for service, agreement, promise, line in engine.compliance():
        yield maturity_line(service, agreements[agreement], promise, line)
    yield from _coverage(engine)


def maturity_line(service: str | None, agreement: Agreement, promise: str, line: Line) -> Json:
    counts = line.counts
    return {
        **_subject("maturity", service, agreement, promise),
        "window": _window(agreement.objective.period, line.start, line.end),
        "ended": counts.ended,
        **{sign: getattr(counts, sign) for sign in SIGNS},
        "pauses": {"with_reason": counts.pauses_with_reason, "total": counts.pauses},
    }


def _coverage(engine: TicketReplay) -> Iterator[Json]:
    months = Periods("month", engine.book.policy.calendars["24x7"])
    found: dict[tuple[str, Instant], list[bool]] = {}
    for ticket in engine.tickets.values():
        if ticket.opened_at is not None:
            key = ticket.attributes.get("service") or "", months.of(ticket.opened_at)[0]
            found.setdefault(key, []).append(any(clock.cycles for clock in ticket.clocks.values()))
    for (service, start), covered in sorted(found.items()):
        yield {
            "kind": "maturity",
            "service": service or None,
            "agreement": None,
            "promise": None,
            "window": _window("month", start, months.of(start)[1]),
            "tickets": {"with_agreement": sum(covered), "total": len(covered)},
        }


def prediction_lines(engine: TicketReplay, end: Instant) -> Iterator[Json]:
    """Of each service and promise a forecast, and the chance of each open clock that is not late, as of the end."""
    for service, rule, cycles in engine.by_promise():
        history = history_of(points_of(cycles))
        waiting = [
            (ticket, cycle, open_clock_of(ticket, cycle, end))
            for ticket, cycle in cycles
            if cycle.status() in ("running", "paused")
        ]
        subject = _subject("forecast", service, rule.agreement, rule.promise.name)
        yield {**subject, **forecast_fields(forecast_of(history, [one for _, _, one in waiting]))}
        for ticket, cycle, clock in waiting:
            chance = chance_of_clock(history, clock)
            yield {
                **_subject("prediction", service, rule.agreement, rule.promise.name),
                **_clock(ticket, cycle),
                "priority": clock.priority,
                "elapsed_seconds": seconds(clock.elapsed_us),
                "remaining_seconds": None if clock.remaining_us is None else seconds(clock.remaining_us),
                "breaching": None if chance is None else chance.breaching,
                "peers": None if chance is None else chance.peers,
                "chance": None if chance is None else _ratio(chance.ratio),
            }


def forecast_fields(forecast: Forecast) -> Json:
    return {
        "open": forecast.open,
        "predicted": forecast.predicted,
        "expected_breaches": _ratio(forecast.expected) if forecast.predicted else None,
    }


def _subject(kind: str, service: str | None, agreement: Agreement, promise: str) -> Json:
    return {"kind": kind, "service": service, "agreement": agreement.name, "promise": promise}


def _clock(ticket: Ticket, cycle: Cycle) -> Json:
    return {"ticket_id": ticket.ticket_id, "cycle": cycle.number, "status": cycle.status()}


def _window(kind: str, start: Instant, end: Instant) -> Json:
    return {"kind": kind, "start": format_instant(start), "end": format_instant(end)}


def _seconds(us: Fraction | None) -> int | float | None:
    return _ratio(None if us is None else us / SECOND)


def _ratio(value: Fraction | None) -> int | float | None:
    """As a JSON number: whole where it is whole."""
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)
