"""Another policy judges open tickets anew when their partition is taken over, and leaves ended ones alone."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from slastream.core.rules import Rulebook
from slastream.errors import SnapshotError
from slastream.stream.stage import Cut, Record
from slastream.stream.ticket_stage import META_KEY, TicketPartition
from slastream.wire import snapshots
from slastream.wire.policy_file import load_policy

BROKER_US = 1_772_467_200_000_000  # 2026-03-02T16:00:00Z


def partition(within: str, on_change: str = "retroactive", period: str = "month") -> TicketPartition:
    text = (
        f"version: 1\nagreements: {{a: {{kind: sla, objective: {{period: {period}}}, promises: {{r: "
        f"{{metric: resolution, within: {within}, on_change: {on_change}}}}}}}}}\n"
    )
    return TicketPartition(Rulebook(load_policy([("policy.yaml", text)], lambda _name: b"")), 0)


def feed(worker: TicketPartition, first_offset: int, *events: Mapping[str, object]) -> Cut:
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


def published(cut: Cut, topic: str) -> list[dict[str, Any]]:
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


def february(within: str) -> Cut:
    """A ticket of 27 February, open still on 2 March: with 1 h it was late in the month that is over."""
    opened = {"ticket_id": "OLD", "occurred_at": "2026-02-27T10:00:00Z", "ticket": {"service": "mail", "status": "new"}}
    return feed(partition(within), 0, opened, {"type": "tick", "at": "2026-03-02T13:00:00Z"})


def test_what_counted_in_a_month_that_is_over_stays_as_it_was() -> None:
    before = february("1h")
    assert [one["fact"] for one in published(before, "sla.breaches")] == ["breached"]
    assert not take_over(partition("400h"), before).outputs


def test_a_promise_that_would_have_been_late_in_a_month_that_is_over_is_not_late_now() -> None:
    before = february("400h")
    assert not published(before, "sla.breaches")
    assert not take_over(partition("1h"), before).outputs


def test_a_month_that_is_over_is_reassessed_where_the_promise_says_so_as_a_correction() -> None:
    before = february("1h")
    (breach,) = published(before, "sla.breaches")
    after = take_over(partition("400h", "reassess"), before)
    (retraction,) = published(after, "sla.breaches")
    assert (retraction["fact"], retraction["retracts"]) == ("retracted", breach["id"])
    (verdict,) = published(after, "sla.verdicts")
    assert (verdict["status"], verdict["revision"], verdict["corrects"]["status"]) == ("running", 3, "breached")


def test_a_ticket_of_last_month_that_is_not_due_yet_is_judged_by_the_new_target() -> None:
    (verdict,) = published(take_over(partition("500h"), february("400h")), "sla.verdicts")
    assert (verdict["status"], verdict["due_at"]) == ("running", "2026-03-20T06:00:00Z")


def test_a_rolling_period_is_never_over() -> None:
    after = take_over(partition("400h", period="28d"), february("1h"))
    assert [one["fact"] for one in published(after, "sla.breaches")] == ["retracted"]


def test_a_ticket_that_kept_its_judgement_goes_on_by_it() -> None:
    worker = partition("400h")
    take_over(worker, february("1h"))
    done = {"ticket_id": "OLD", "occurred_at": "2026-03-02T15:00:00Z", "ticket": {"status": "resolved"}}
    (verdict,) = published(feed(worker, 2, done), "sla.verdicts")
    assert (verdict["status"], verdict["due_at"], verdict["target_seconds"]) == (
        "breached",
        "2026-02-27T11:00:00Z",
        3600,
    )


def test_the_same_policy_changes_nothing() -> None:
    before = feed(partition("4h"), 0, event("OPEN", "10:00:00", "new"))
    after = take_over(partition("4h"), before)
    assert not after.outputs
    assert [key for key, _ in after.state] == [META_KEY]


def test_a_newer_record_of_the_partition_is_refused() -> None:
    (meta,) = [value for key, value in feed(partition("4h"), 0).state if key == META_KEY]
    assert meta is not None
    with pytest.raises(SnapshotError, match="start the newer program again"):
        partition("4h").restore(META_KEY, meta.replace(b"[1,", b"[%d," % (snapshots.VERSION + 1), 1))
