"""A service desk of a month, for the console's tests and pictures: tickets, monitoring, maintenance, and a few bad records.

Deterministic for a seed and an instant; everything happens before that instant, so that some clocks are just about to be due.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]

POLICY = """
version: 1
timezone: Europe/Berlin
services:
  mail:     {customer: Acme, provider: Hosting Co, team: messaging, depends_on: [dns], components: {smtp: {}, imap: {}}}
  web-shop: {customer: Acme, provider: Hosting Co, team: commerce, depends_on: [payments, dns]}
  payments: {customer: Acme, provider: PayWay, team: commerce}
  payroll:  {customer: Globex, provider: Hosting Co, team: finance}
  vpn:      {customer: Globex, provider: Carrier One, team: network}
  dns:      {provider: Hosting Co, team: network}
calendars:
  office: {hours: {mon-fri: ["08:00-18:00"]}}
agreements:
  gold:
    kind: sla
    customer: Acme
    objective: {target: 95%, period: month, basis: due}
    promises:
      first response: {metric: first_response, within: {P1: 15m, P2: 1h, default: 4h}, warn_at: [75%]}
      resolution:
        metric: resolution
        targets: [{when: {priority: P1}, within: 4h}, {when: {priority: P2}, within: 8h}, {within: 24h}]
        warn_at: [50%, 80%]
      uptime: {metric: availability, target: 99.5%, window: month}
    credits: {fee: 12000 EUR, cap: 20%, bands: [{below: 95%, credit: 5%}, {below: 90%, credit: 10%}]}
  silver:
    kind: sla
    customer: Globex
    objective: {target: 90%, period: month, basis: due}
    promises:
      first response: {metric: first_response, within: {P1: 30m, default: 8h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 8h, P2: 16h, default: 40h}, warn_at: [80%]}
      uptime: {metric: availability, target: 99%, window: month}
  second line:
    kind: ola
    match: {group: L2}
    promises:
      takeover: {metric: ownership, within: 4h, calendar: office}
"""
SUBJECTS = {
    "mail": (
        "No mail since this morning",
        "Calendar shows the wrong room",
        "Mailbox is full",
        "Spam filter holds an order",
    ),
    "web-shop": (
        "Checkout ends with an error",
        "Prices are from last week",
        "Pictures do not load",
        "Voucher is refused",
    ),
    "payments": ("Card is charged twice", "Refund does not arrive", "Terminal shows E14"),
    "payroll": (
        "Payslip is missing",
        "Bank details cannot be changed",
        "Overtime is counted twice",
        "Report ends empty",
    ),
    "vpn": (
        "Connection drops every minute",
        "New laptop cannot connect",
        "Token is not accepted",
        "Very slow since noon",
    ),
}
PEOPLE = ("Bob Ito", "Carla Nunes", "Deniz Kaya", "Emeka Obi", "Fatima Haddad", "Greta Lind", "Ivana Petrova")
AGENTS = {"L1": ("ann", "lars", "mei"), "L2": ("noor", "otto")}
RESPONSE = {"P1": 12, "P2": 50, "P3": 200}
WORK = {"P1": 170, "P2": 330, "P3": 900}


class Record(NamedTuple):
    topic: str
    key: bytes
    value: bytes


def records(now: datetime, tickets: int = 160, seed: int = 3) -> list[Record]:
    """All of them, by time; the bad ones last."""
    random, now = Random(seed), now.replace(microsecond=0)
    dated = [*_tickets(random, now, tickets), *_monitoring(random, now)]
    dated.sort(key=lambda one: one[0])
    return [record for _, record in dated] + list(_bad())


Dated = tuple[datetime, Record]


def ticket_record(event: Json) -> Record:
    return Record("sla.tickets", event["ticket_id"].encode(), orjson.dumps(event))


def _tickets(random: Random, now: datetime, count: int) -> Iterator[Dated]:
    for number in range(count):
        is_new = number >= count * 2 // 3
        minutes = random.randint(1, 60 * 10) if is_new else random.randint(60 * 10, 60 * 24 * 24)
        for at, event in _ticket(random, 41_200 + number, now - timedelta(minutes=minutes)):
            if at <= now:
                yield at, ticket_record(event | {"occurred_at": at.isoformat()})


def _ticket(random: Random, number: int, opened_at: datetime) -> Iterator[tuple[datetime, Json]]:
    service = random.choice(sorted(SUBJECTS))
    priority = random.choices(("P1", "P2", "P3"), (2, 4, 4))[0]
    agent, requester = random.choice(AGENTS["L1"]), random.choice(PEOPLE)
    ticket_id, sequence, at = f"OPS-{number}", 0, opened_at

    def event(kind: str, message: Json | None = None, **ticket: Any) -> tuple[datetime, Json]:
        nonlocal sequence
        sequence += 1
        made: Json = {
            "event_id": f"desk:{ticket_id}:{sequence}", "ticket_id": ticket_id, "sequence": sequence, "source": "desk",
            "type": kind, "ticket": ticket,
        }  # fmt: skip
        return at, made | ({} if message is None else {"message": message})

    def later(minutes: float) -> datetime:
        return at + timedelta(seconds=round(random.uniform(0.3, 1.25) * minutes * 60))

    yield event(
        "created", service=service, status="new", status_name="New", priority=priority, type="incident", group="L1",
        requester=requester, opened_by="requester", title=random.choice(SUBJECTS[service]),
        customer="Acme" if service in ("mail", "web-shop", "payments") else "Globex",
    )  # fmt: skip
    at = later(RESPONSE[priority])
    answer = {"author": "agent", "public": True}
    yield event("message", answer, status="open", status_name="In progress", assignee=agent)
    if random.random() < 0.35:
        at = later(30)
        yield event("changed", status="pending", status_name="Waiting for requester")
        at = later(120)
        yield event("message", {"author": "requester", "public": True}, status="open", status_name="In progress")
    if random.random() < 0.3:
        at = later(60)
        yield event("changed", group="L2", assignee=random.choice(AGENTS["L2"]))
    at = later(WORK[priority])
    yield event("changed", status="resolved", status_name="Resolved")
    at += timedelta(hours=5)
    yield event("changed", status="closed", status_name="Closed")


OUTAGES = {  # days ago, minutes
    "mail": ((20, 25), (6.2, 40)), "web-shop": ((12, 8), (3, 95)), "payments": ((0.02, 60),), "payroll": (),
    "vpn": ((25, 15), (18, 50), (9, 22), (1.1, 170)), "dns": ((15, 4),),
}  # fmt: skip


def _monitoring(random: Random, now: datetime) -> Iterator[Dated]:
    for service, outages in OUTAGES.items():
        for component in ("smtp", "imap") if service == "mail" else (service,):
            yield _state(service, component, "up", now - timedelta(days=30))
        component = "smtp" if service == "mail" else service
        for days, minutes in outages:
            begin = now - timedelta(days=days)
            yield _state(service, component, "down", begin)
            if begin + timedelta(minutes=minutes) < now:
                yield _state(service, component, "up", begin + timedelta(minutes=minutes))
    yield _state("vpn", "vpn", "degraded", now - timedelta(hours=3))
    yield _state("vpn", "vpn", "up", now - timedelta(hours=2))
    yield _maintenance("CHG-118", "payroll", now + timedelta(hours=20), now)
    yield _maintenance("CHG-104", "web-shop", now - timedelta(days=5), now - timedelta(days=8))


def _state(service: str, component: str, state: str, at: datetime) -> Dated:
    event = {
        "service": service,
        "component": component,
        "state": state,
        "source": "icinga",
        "occurred_at": at.isoformat(),
    }
    return at, Record("sla.monitoring", service.encode(), orjson.dumps(event))


def _maintenance(maintenance_id: str, service: str, start: datetime, at: datetime) -> Dated:
    event = {
        "maintenance_id": maintenance_id, "service": service, "occurred_at": at.isoformat(), "start": start.isoformat(),
        "end": (start + timedelta(hours=2)).isoformat(), "revision": 1,
    }  # fmt: skip
    return at, Record("sla.maintenance", service.encode(), orjson.dumps(event))


def _bad() -> Iterator[Record]:
    bad: list[Json] = [
        {"ticket_id": "OPS-41999", "occurred_at": "2026-03-02 10:05", "type": "changed", "ticket": {"status": "open"}},
        {"ticket_id": "OPS-41998", "occurred_at": "2026-03-02T10:05:00Z", "ticket": {"status": "in progress"}},
        {"occurred_at": "2026-03-02T10:05:00Z", "subject": "a line of another system"},
    ]
    for event in bad:
        yield Record("sla.tickets", b"bad", orjson.dumps(event))
    yield Record("sla.tickets", b"bad", b'<ticket id="41997"><status>open</status></ticket>')
    misplaced = {"service": "mail", "state": "up", "occurred_at": "2026-03-02T10:05:00Z", "component": "web-mail"}
    yield Record("sla.tickets", b"mail", orjson.dumps(misplaced))
