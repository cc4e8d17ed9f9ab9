"""Thirteen months of a customer with everything that a report can show: a desk, a supplier, two services, ratings and money.

Tickets are drawn with a fixed seed: the same events in each run.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from .report_scenario import Event

POLICY = """
version: 1
timezone: Europe/Berlin
calendars:
  office: {timezone: Europe/Berlin, hours: {mon-fri: ["08:00-18:00"]}}
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  shop: {customer: acme, provider: cloud-inc, team: web}
agreements:
  gold:
    kind: sla
    customer: acme
    rank: 1
    calendar: office
    objective: {target: 95%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: {P1: 30m, default: 2h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 8h, default: 20h}, warn_at: [75%]}
      uptime: {metric: availability, target: 99.9%, window: month, calendar: 24x7}
      happiness: {metric: satisfaction, target: 70%, window: month}
    credits:
      fee: 10000 EUR
      cap: 20%
      bands: [{below: 95%, credit: 5%}, {below: 90%, credit: 10%}]
      promises: {uptime: {weight: 50%}}
    exclusions:
      - {reason: "Moving house, agreed on 3 March", from: 2026-03-10T00:00:00Z, to: 2026-03-11T00:00:00Z}
    scope:
      services: [mail, shop]
      types: [incident, request]
      volumes: {incidents: {match: {type: incident}, high: 40}, requests: {match: {type: request}, low: 5, high: 30}}
  first-line:
    kind: ola
    rank: 1
    calendar: office
    supports: [gold]
    match: {service: [mail, shop]}
    objective: {target: 90%, period: month, basis: completed}
    promises:
      ownership: {metric: ownership, within: 8h}
  hosting:
    kind: uc
    rank: 1
    calendar: office
    supports: [gold]
    match: {provider: [hosting-co, cloud-inc]}
    objective: {target: 90%, period: month, basis: completed}
    promises:
      repair:
        metric: custom
        start: {status: hold}
        stop: {not: {status: hold}}
        within: 6h
"""


def events() -> list[Event]:
    """From March 2025 to March 2026, in no particular order."""
    draw = Random(7)
    found: list[Event] = []
    number = 0
    for month in range(13):
        first = datetime(2025 + (month + 2) // 12, (month + 2) % 12 + 1, 1, 8, tzinfo=UTC)
        for _ in range(40 + month):
            number += 1
            found += ticket(draw, number, first + timedelta(days=draw.randrange(28), minutes=draw.randrange(500)))
        found += monitoring(draw, first)
    found.append(
        {"ticket_id": "LAST", "occurred_at": "2026-04-02T08:00:00Z", "type": "created", "ticket": {"service": "mail"}}
    )
    return found


def ticket(draw: Random, number: int, opened: datetime) -> Iterator[Event]:
    """Opened, answered, perhaps waiting for the requester or a supplier, resolved, perhaps opened again, rated."""
    at = opened

    def event(type_: str, **content: object) -> Event:
        return {"ticket_id": f"ACME-{number:04}", "occurred_at": at.isoformat(), "type": type_, **content}

    def changed(**attributes: object) -> Event:
        return event("changed", ticket=attributes)

    yield event(
        "created",
        ticket={
            "service": draw.choice(["mail", "mail", "shop"]),
            "status": "new",
            "type": draw.choices(["incident", "request", "problem"], [6, 3, 1])[0],
            "priority": draw.choices(["P1", "P2", "P3"], [1, 3, 6])[0],
            "opened_by": "requester",
        },
    )
    at += timedelta(minutes=draw.expovariate(1 / 25))
    yield changed(status="open", group="first line")
    yield event("message", message={"author": "agent"})
    at += timedelta(minutes=draw.expovariate(1 / 150))
    if draw.random() < 0.25:
        yield changed(status="pending")
        at += timedelta(minutes=draw.expovariate(1 / 300))
        yield changed(status="open")
    if draw.random() < 0.3:
        yield changed(group="second line")
        at += timedelta(minutes=draw.expovariate(1 / 200))
        yield changed(status="hold")
        at += timedelta(minutes=draw.expovariate(1 / 260))
        yield changed(status="open")
    at += timedelta(minutes=draw.expovariate(1 / 120))
    if draw.random() < 0.04:
        yield changed(status="cancelled")
        return
    if draw.random() < 0.97:
        yield changed(status="resolved")
    if draw.random() < 0.06:
        at += timedelta(minutes=200)
        yield changed(status="open")
        at += timedelta(minutes=90)
        yield changed(status="resolved")
    if draw.random() < 0.4:
        at += timedelta(minutes=60)
        yield event("rated", rating={"score": draw.choices([1, 2, 3, 4, 5], [1, 1, 2, 4, 5])[0], "scale": 5})


def monitoring(draw: Random, first: datetime) -> Iterator[Event]:
    """Each service up, now and then down or slow, and maintained once."""
    for service in ("mail", "shop"):
        at = first
        yield {"service": service, "occurred_at": at.isoformat(), "state": "up"}
        for _ in range(draw.randrange(3)):
            at += timedelta(days=draw.randrange(1, 9), minutes=draw.randrange(600))
            yield {"service": service, "occurred_at": at.isoformat(), "state": draw.choice(["down", "degraded"])}
            at += timedelta(minutes=draw.expovariate(1 / 20) + 1)
            yield {"service": service, "occurred_at": at.isoformat(), "state": "up"}
        start = first + timedelta(days=20, hours=14)
        yield {
            "maintenance_id": f"{service}-{first:%Y-%m}",
            "service": service,
            "occurred_at": first.isoformat(),
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
        }
