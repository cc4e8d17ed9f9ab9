"""Availability lines and facts of services as JSON objects, with the names of the contract (section 3)."""

from fractions import Fraction
from typing import Any

from slastream.core.availability import Declared, Measured, ServiceBook
from slastream.core.facts import DEADLINE, RETRACTED, identity
from slastream.core.incidents import Incident
from slastream.core.units import SECOND, Instant, format_instant, seconds
from slastream.core.windows import Window
from slastream.wire.lines import instant_text, number

Json = dict[str, Any]


def availability_line(measured: Measured) -> Json:
    reading, promise = measured.reading, measured.promise
    ratio = reading.ratio(promise.min_coverage)
    line: Json = {
        "kind": "availability",
        "service": measured.service,
        "agreement": measured.agreement.name,
        "promise": promise.name,
        "metric": promise.metric,
        "window": window_object(reading.window),
    }
    if promise.metric != "availability":
        return line | {
            "good_events": fraction(Fraction(reading.sums.good, reading.whole)),
            "total_events": fraction(Fraction(reading.sums.known, reading.whole)),
            "ratio": None if ratio is None else fraction(ratio),
            "target": number(promise.target),
            "budget_events": fraction(reading.budget),
            "budget_remaining_events": fraction(reading.budget_remaining),
        }
    unit = reading.whole * SECOND
    outages, downtime = reading.outages, Fraction(reading.downtime_us, unit)
    good = Fraction(reading.sums.good, unit)
    return line | {
        "good_seconds": fraction(good),
        "bad_seconds": fraction(Fraction(reading.sums.bad, unit)),
        "excluded_seconds": fraction(Fraction(reading.excluded, unit)),
        "unknown_seconds": fraction(Fraction(reading.sums.unknown, unit)),
        "ratio": None if ratio is None else fraction(ratio),
        "coverage": None if reading.coverage is None else fraction(reading.coverage),
        "target": number(promise.target),
        "budget_seconds": fraction(reading.budget / SECOND),
        "budget_remaining_seconds": fraction(reading.budget_remaining / SECOND),
        "outages": outages,
        "downtime_seconds": fraction(downtime),
        "longest_outage_seconds": fraction(Fraction(reading.longest_us, unit)),
        "mttr_seconds": fraction(downtime / outages) if outages else None,
        "mtbf_seconds": fraction(good / outages) if outages else None,
    }


def service_fact_line(declared: Declared, published_at: Instant | None, book: ServiceBook, occurrence: int = 1) -> Json:
    """A fact; `occurrence` counts from 1 how often it was declared, after it was taken back."""
    fact, service = declared.fact, book.service(declared.service)
    line: Json = {
        "kind": "fact",
        "fact": fact.fact,
        "service": declared.service,
        "agreement": declared.agreement.name,
        "agreement_kind": declared.agreement.kind,
        "promise": declared.promise.name,
        "metric": declared.promise.metric,
        "threshold": fact.threshold,
        "at": format_instant(Instant(fact.at)),
        "published_at": instant_text(published_at),
        "caused_by": DEADLINE,
        "retracts": None,
        "policy_version": book.policy.version,
        "id": service_fact_id(declared, occurrence),
        "customer": service.customer,
        "provider": service.provider,
        "team": service.team,
    }
    if fact.window is not None:
        line["window"] = window_object(fact.window)
    if fact.predicted_at is not None:
        line["predicted_at"] = format_instant(Instant(fact.predicted_at))
    return line


def retraction_line(
    declared: Declared, occurrence: int, published_at: Instant, book: ServiceBook, caused_by: str
) -> Json:
    """Takes back a fact that no longer holds, because of the event `caused_by`."""
    taken_back = service_fact_id(declared, occurrence)
    line = service_fact_line(declared, published_at, book, occurrence)
    return line | {
        "fact": RETRACTED,
        "retracts": taken_back,
        "caused_by": caused_by or DEADLINE,
        "id": identity(taken_back, RETRACTED),
    }


def service_fact_id(declared: Declared, occurrence: int) -> str:
    fact = declared.fact
    return identity(
        declared.service,
        declared.agreement.name,
        declared.promise.name,
        fact.fact,
        fact.threshold,
        fact.at,
        fact.predicted_at,
        occurrence,
    )


def incident_line(incident: Incident) -> Json:
    """An incident with its tickets: each time in seconds from the first bad event on."""
    started_at = incident.started_at

    def after(at: Instant | None) -> int | float | None:
        return None if at is None else seconds(at - started_at)

    return {
        "kind": "incident",
        "service": incident.service,
        "episode": incident.episode,
        "started_at": format_instant(started_at),
        "recovered_at": instant_text(incident.recovered_at),
        "seconds_to_recovery": after(incident.recovered_at),
        "tickets": [
            {
                "ticket_id": answer.ticket_id,
                "seconds_to_ticket": after(answer.opened_at),
                "seconds_to_response": after(answer.responded_at),
                "seconds_to_resolution": after(answer.resolved_at),
            }
            for answer in incident.answers
        ],
        "cost": [
            {
                "agreement": cost.agreement.name,
                "promise": cost.promise.name,
                "window": window_object(cost.window),
                "bad_seconds": fraction(cost.bad_us / SECOND),
                "budget_share": fraction(cost.bad_us / cost.budget_us) if cost.budget_us else None,
            }
            for cost in incident.costs
        ],
    }


def window_object(window: Window) -> Json:
    return {"kind": window.kind, "start": format_instant(window.start), "end": format_instant(window.end)}


def fraction(value: Fraction) -> int | float:
    """A fraction as a JSON number: whole where it is whole, else the nearest double (16 digits)."""
    return value.numerator if value.denominator == 1 else value.numerator / value.denominator
