"""Records as the topics have them, for tests of the console's view and pages."""

import hashlib
from typing import Any

import orjson

from slastream.core.policies import Policy
from slastream.core.units import Instant, parse_instant
from slastream.web.console.tickets import Place
from slastream.web.console.view import BREACHES, COMPLIANCE, REJECTED, TICKETS, VERDICTS, View
from slastream.wire.policy_file import load_policy

Json = dict[str, Any]

NOON = parse_instant("2026-03-02T12:00:00Z")
POLICY = """
version: 1
timezone: Europe/Berlin
services: {mail: {customer: acme, provider: hosting-co, team: messaging}, web: {customer: globex, team: commerce}}
agreements:
  gold:
    kind: sla
    objective: {target: 90%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: 1h, warn_at: [50%]}
      resolution: {metric: resolution, within: 4h, pause: {status: pending}}
      uptime: {metric: availability, target: 99.9%, window: month}
"""


def policy(text: str = POLICY) -> Policy:
    return load_policy([("policy.yaml", text)], lambda _: b"")


def verdict(ticket_id: str, promise: str = "resolution", **changes: Any) -> Json:
    """A running clock of the service mail, but for `changes`."""
    return {
        "kind": "verdict", "ticket_id": ticket_id, "service": "mail", "agreement": "gold", "agreement_kind": "sla",
        "promise": promise, "metric": "resolution", "cycle": 1, "status": "running", "started_at": "2026-03-02T10:00:00Z",
        "due_at": "2026-03-02T14:00:00Z", "stopped_at": None, "breached_at": None, "elapsed_seconds": 0,
        "target_seconds": 14400, "remaining_seconds": 14400, "paused_seconds": 0, "in_hours": True,
        "due_if_resumed_now": None, "cancel_reason": None, "override": None, "is_at_risk": False,
        "as_of": "2026-03-02T10:00:00Z", "revision": 1, "policy_version": "1", "id": "v", "customer": "acme",
        "provider": "hosting-co", "team": "messaging", "group": "L1", "assignee": None, "priority": "P1",
        "type": "incident",
    } | changes  # fmt: skip


BREACHED = {"status": "breached", "breached_at": "2026-03-02T11:00:00Z", "due_at": "2026-03-02T11:00:00Z"}


def fact(ticket_id: str | None, word: str = "breached", **changes: Any) -> Json:
    found = {
        "kind": "fact", "fact": word, "ticket_id": ticket_id, "service": "mail", "agreement": "gold",
        "agreement_kind": "sla", "promise": "resolution", "metric": "resolution", "cycle": 1, "threshold": None,
        "at": "2026-03-02T11:00:00Z", "published_at": "2026-03-02T11:00:01Z", "caused_by": "deadline", "retracts": None,
        "policy_version": "1", "customer": "acme", "provider": "hosting-co", "team": "messaging", "group": "L1",
        "assignee": None, "priority": "P1", "type": "incident",
    } | changes  # fmt: skip
    return {"id": digest(found).decode()} | found


def event(ticket_id: str, at: str, **ticket: Any) -> Json:
    return {"ticket_id": ticket_id, "occurred_at": at, "type": "changed", "ticket": ticket}


def compliance(service: str = "mail", promise: str = "resolution", **changes: Any) -> Json:
    return {
        "kind": "compliance", "service": service, "agreement": "gold", "promise": promise,
        "window": {"kind": "month", "start": "2026-02-28T23:00:00Z", "end": "2026-03-31T22:00:00Z"},
        "completed": {"met": 85, "total": 100}, "due": {"met": 80, "total": 100}, "started": {"met": 80, "total": 100},
        "now": {"breached": 10, "open": 30}, "cancelled": 5, "objective": 0.9, "basis": "due", "ratio": 0.8,
        "budget_remaining": -10.0, "credit": {"amount": 1000, "currency": "EUR"},
    } | changes  # fmt: skip


def availability(service: str = "mail", **changes: Any) -> Json:
    return {
        "kind": "availability", "service": service, "agreement": "gold", "promise": "uptime", "metric": "availability",
        "window": {"kind": "month", "start": "2026-02-28T23:00:00Z", "end": "2026-03-31T22:00:00Z"},
        "good_seconds": 9000, "bad_seconds": 1000, "excluded_seconds": 0, "unknown_seconds": 0, "ratio": 0.9,
        "coverage": 1, "target": 0.999, "budget_seconds": 2000, "budget_remaining_seconds": 1000, "outages": 2,
        "downtime_seconds": 1000, "longest_outage_seconds": 700, "mttr_seconds": 500, "mtbf_seconds": 4500,
    } | changes  # fmt: skip


def digest(line: Json) -> bytes:
    return hashlib.sha256(orjson.dumps(line)).hexdigest()[:32].encode()


class Told:
    """A view that is told lines, each at the next offset of its topic."""

    def __init__(self, text: str = POLICY) -> None:
        self.view = View(policy(text))
        self._offset = 0

    def verdict(self, line: Json) -> "Told":
        clock = {name: line[name] for name in ("ticket_id", "agreement", "promise", "cycle")}
        return self.tell(VERDICTS, digest(clock), line)

    def fact(self, line: Json) -> "Told":
        return self.tell(BREACHES, line["id"].encode(), line)

    def event(self, line: Json) -> "Told":
        return self.tell(TICKETS, line["ticket_id"].encode(), line)

    def window(self, line: Json) -> "Told":
        key = orjson.dumps([line["service"], line["agreement"], line["promise"], line["window"]["start"]])
        return self.tell(COMPLIANCE, key, line)

    def rejected(self, line: Json) -> "Told":
        return self.tell(REJECTED, b"sla.tickets-0", line)

    def tell(self, topic: str, key: bytes | None, line: Json, heard_at: Instant = NOON) -> "Told":
        self._offset += 1
        self.view.tell(topic, Place(0, self._offset), heard_at, key, orjson.dumps(line))
        return self
