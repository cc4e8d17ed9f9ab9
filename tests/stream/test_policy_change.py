"""Another policy judges open tickets anew when their partition is taken over, and leaves ended ones alone."""

import json

import pytest

from slastream.core.rules import Rulebook
from slastream.errors import SnapshotError
from slastream.stream.stage import Cut, Record
from slastream.stream.ticket_stage import META_KEY, TicketPartition
from slastream.wire.policy_file import load_policy

BROKER_US = 1_772_467_200_000_000  # 2026-03-02T16:00:00Z


def partition(within: str) -> TicketPartition:
    text = f"version: 1\nagreements: {{a: {{kind: sla, promises: {{r: {{metric: resolution, within: {within}}}}}}}}}\n"
    return TicketPartition(Rulebook(load_policy([("policy.yaml", text)], lambda _name: b"")), 0)


def feed(worker: TicketPartition, first_offset: int, *events: dict[str, object]) -> Cut:
    for offset, event in enumerate(events, first_offset):
        worker.apply(Record("sla.tickets", 0, offset, BROKER_US, None, json.dumps(event).encode(), ()))
    return worker.cut()


def take_over(worker: TicketPartition, cut: Cut) -> Cut:
    for key, value in cut.state:
        if value is not None:
            worker.restore(key, value)
    worker.restored()
    return worker.cut()


def event(ticket: str, clock: str, status: str) -> dict[str, object]:
    return {"ticket_id": ticket, "occurred_at": f"2026-03-02T{clock}Z", "ticket": {"service": "mail", "status": status}}


def published(cut: Cut, topic: str) -> list[dict[str, object]]:
    return [json.loads(output.value) for output in cut.outputs if output.topic == topic and output.value is not None]


def test_an_open_ticket_is_judged_by_the_new_target_and_a_resolved_one_stays() -> None:
    events = event("OPEN", "10:00:00", "new"), event("DONE", "10:00:00", "new"), event("DONE", "12:00:00", "resolved")
    before = feed(partition("4h"), 0, *events, {"type": "tick", "at": "2026-03-02T13:00:00Z"})
    assert not published(before, "sla.breaches")
    after = take_over(partition("1h"), before)
    (breach,) = published(after, "sla.breaches")
    assert (breach["fact"], breach["ticket_id"], breach["at"]) == ("breached", "OPEN", "2026-03-02T11:00:00Z")
    (verdict,) = published(after, "sla.verdicts")
    assert (verdict["ticket_id"], verdict["status"], verdict["due_at"]) == ("OPEN", "breached", "2026-03-02T11:00:00Z")
    assert verdict["revision"] == 2
    corrects = verdict["corrects"]
    assert isinstance(corrects, dict)
    assert (corrects["status"], corrects["due_at"]) == ("running", "2026-03-02T14:00:00Z")


def test_a_longer_target_takes_the_breach_back() -> None:
    before = feed(partition("1h"), 0, event("OPEN", "10:00:00", "new"), {"type": "tick", "at": "2026-03-02T13:00:00Z"})
    (breach,) = published(before, "sla.breaches")
    (retraction,) = published(take_over(partition("4h"), before), "sla.breaches")
    assert (retraction["fact"], retraction["retracts"]) == ("retracted", breach["id"])


def test_the_same_policy_changes_nothing() -> None:
    before = feed(partition("4h"), 0, event("OPEN", "10:00:00", "new"))
    after = take_over(partition("4h"), before)
    assert not after.outputs
    assert [key for key, _ in after.state] == [META_KEY]


def test_a_newer_record_of_the_partition_is_refused() -> None:
    (meta,) = [value for key, value in feed(partition("4h"), 0).state if key == META_KEY]
    assert meta is not None
    with pytest.raises(SnapshotError, match="start the newer program again"):
        partition("4h").restore(META_KEY, meta.replace(b"[1,", b"[2,", 1))
