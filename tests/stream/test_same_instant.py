"""Two events of one instant, the second of which comes when time has gone on: as if both had been there."""

import json

from slastream.core.rules import Rulebook
from slastream.stream.stage import Record
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.policy_file import load_policy

POLICY = """
version: 1
lateness: {default: 0s}
agreements:
  a: {kind: sla, promises: {done: {metric: resolution, within: {P2: 4h, P3: 6h}, warn_at: [50%]}}}
"""
BROKER_US = 1_772_467_200_000_000  # 2026-03-02T16:00:00Z


def event(clock: str, sequence: int, **ticket: str) -> dict[str, object]:
    return {"ticket_id": "T", "occurred_at": f"2026-03-02T{clock}Z", "sequence": sequence, "ticket": ticket}


def test_a_warning_that_an_event_would_rearm_stands_when_the_ticket_is_resolved_at_that_instant() -> None:
    worker = TicketPartition(Rulebook(load_policy([("policy.yaml", POLICY)], lambda _name: b"")), 0)
    log = [
        event("10:00:00", 0, status="new", priority="P2"),
        {"type": "tick", "at": "2026-03-02T12:45:00Z"},
        event("12:30:00", 1, priority="P3"),
        event("12:30:00", 2, status="resolved"),
    ]
    for offset, one in enumerate(log):
        worker.apply(Record("sla.tickets", 0, offset, BROKER_US, None, json.dumps(one).encode(), ()))
    facts = [json.loads(one.value or b"") for one in worker.cut().outputs if one.topic == "sla.breaches"]
    gone = {one["retracts"] for one in facts}
    assert [one["fact"] for one in facts if one["id"] not in gone and one["fact"] != "retracted"] == ["warned"]
