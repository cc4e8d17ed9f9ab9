"""The signs of a gamed number, one ticket each. A promise of 10 h, warned at half of it; Monday 2 March 2026, UTC."""

import json
from typing import Any

import pytest

from slastream.app import replay_events

NOTHING = dict.fromkeys(
    ("overridden", "reopened", "priority_changed_after_warning", "paused_before_due", "pauses", "pauses_with_reason"), 0
)


def policy(**settings: Any) -> str:
    promise = {
        "metric": "resolution", "within": {"P2": "10h", "default": "10h"}, "warn_at": ["50%"], **settings.pop("promise", {}),
    }  # fmt: skip
    return json.dumps({"version": 1, "agreements": {"a": {"kind": "sla", "promises": {"p": promise}}}, **settings})


def event(clock: str, status: str | None = None, **more: Any) -> bytes:
    ticket = {**({"status": status} if status else {}), **more.pop("ticket", {})}
    return json.dumps({"ticket_id": "T", "occurred_at": f"2026-03-02T{clock}:00Z", "ticket": ticket, **more}).encode()


def signs(text: str, *events: bytes) -> dict[str, int]:
    """Those of the first cycle that are not 0."""
    verdict = replay_events(text, list(events), "2026-03-03T12:00:00Z", "verdicts")[0]
    found = verdict.get("signs", NOTHING)
    assert set(found) == set(NOTHING)
    return {name: number for name, number in found.items() if number}


def test_a_ticket_that_was_only_answered_has_no_signs() -> None:
    assert signs(policy(), event("08:00", "new"), event("10:00", "resolved")) == {}


def test_a_pause_has_a_reason_in_a_message_or_in_an_attribute_that_the_policy_names() -> None:
    message = {"author": "agent", "public": False}
    events = [
        event("08:00", "open"),
        event("09:00", "pending"),
        event("10:00", "open"),
        event("11:00", "pending", message=message),
        event("12:00", "open"),
        event("13:00", "pending", ticket={"fields": {"hold_reason": "vendor"}}),
        event("14:00", "resolved"),
    ]
    assert signs(policy(), *events) == {"pauses": 3, "pauses_with_reason": 1}
    assert signs(policy(pause_reasons="fields.hold_reason"), *events) == {"pauses": 3, "pauses_with_reason": 2}


def test_a_ticket_created_in_a_pause_has_one() -> None:
    assert signs(policy(), event("08:00", "pending"), event("09:00", "resolved")) == {"pauses": 1}


def test_the_closed_time_before_a_reopening_is_no_pause() -> None:
    assert signs(policy(), event("08:00", "new"), event("09:00", "resolved"), event("10:00", "open")) == {"reopened": 1}


def test_a_ticket_opened_again_into_a_pause_has_one() -> None:
    events = event("08:00", "new"), event("09:00", "resolved"), event("10:00", "pending"), event("11:00", "resolved")
    assert signs(policy(), *events) == {"reopened": 1, "pauses": 1}


@pytest.mark.parametrize("on_reopen", ["resume", "new_cycle", "ignore"])
def test_a_ticket_opened_again_is_reopened_whatever_becomes_of_the_clock(on_reopen: str) -> None:
    text = policy(promise={"on_reopen": on_reopen})
    events = event("08:00", "new"), event("09:00", "resolved"), event("10:00", "open"), event("11:00", "resolved")
    assert signs(text, *events) == {"reopened": 1}


def test_a_priority_changed_after_the_warning_is_a_sign_and_before_it_is_none() -> None:
    new = event("08:00", "new", ticket={"priority": "P2"})
    assert signs(policy(), new, event("12:59", ticket={"priority": "P3"})) == {}
    assert signs(policy(), new, event("13:01", ticket={"priority": "P3"})) == {"priority_changed_after_warning": 1}
    assert signs(policy(), new, event("19:00", ticket={"priority": "P3"})) == {"priority_changed_after_warning": 1}
    assert signs(policy(), new, event("14:00", "resolved", ticket={"priority": "P3"})) == {}, "judged as before"


def test_the_priority_that_a_ticket_is_first_heard_with_is_no_change_though_it_had_warned_by_then() -> None:
    first = event("16:00", "open", ticket={"priority": "P2", "created_at": "2026-03-02T08:00:00Z"})
    assert signs(policy(), first, event("17:00", "resolved")) == {}


def test_a_priority_without_a_promise_ends_the_clock_and_is_a_sign() -> None:
    text = policy(promise={"within": {"P1": "10h"}})
    events = event("08:00", "new", ticket={"priority": "P1"}), event("14:00", ticket={"priority": "P4"})
    assert signs(text, *events) == {"priority_changed_after_warning": 1}


def test_pending_in_the_last_tenth_is_shortly_before_due() -> None:
    new = event("08:00", "new")
    assert signs(policy(), new, event("16:59", "pending")) == {"pauses": 1}
    assert signs(policy(), new, event("17:00", "pending")) == {"pauses": 1, "paused_before_due": 1}
    assert signs(policy(), new, event("18:01", "pending")) == {"pauses": 1}, "late already"


def test_an_override_counts_until_it_is_taken_back() -> None:
    def override(clock: str, due_at: str | None) -> bytes:
        return event(
            clock, type="override", override={"promise": "p", "due_at": due_at, "by": "boss", "reason": "because"}
        )

    new = event("08:00", "new")
    set_by_hand = override("09:00", "2026-03-05T00:00:00Z")
    assert signs(policy(), new, set_by_hand) == {"overridden": 1}
    assert signs(policy(), new, set_by_hand, override("10:00", None)) == {}


def test_signs_are_counted_in_the_period_in_which_the_clock_ends() -> None:
    events = [event("08:00", "new"), event("17:30", "pending"), event("18:00", "resolved")]
    line, covered = replay_events(policy(), events, None, "maturity")
    assert (line["kind"], line["window"]["start"]) == ("maturity", "2026-03-01T00:00:00Z")
    assert covered["tickets"] == {"with_agreement": 1, "total": 1}
    assert line["ended"] == 1
    assert {name for name, value in line.items() if value == 1} == {"ended", "paused_before_due"}
    assert line["pauses"] == {"with_reason": 0, "total": 1}
    open_still, _ = replay_events(policy(), events[:-1], None, "maturity")
    assert open_still["ended"] == 0
