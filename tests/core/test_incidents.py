"""Episodes of monitoring and the tickets that name them."""

import json
from typing import Any

from slastream.app import replay_events

POLICY = {
    "version": 1,
    "agreements": {"gold": {"kind": "sla", "promises": {
        "uptime": {"metric": "availability", "target": "99.9%", "window": "month"},
        "response": {"metric": "first_response", "within": "15m"},
        "resolution": {"metric": "resolution", "within": "4h"},
    }}},
}  # fmt: skip


def state(clock: str, word: str, episode: str | None = None, component: str | None = None) -> dict[str, Any]:
    at = f"2026-04-05T{clock}:00Z"
    return {"service": "mail", "component": component, "occurred_at": at, "state": word, "episode": episode}


def ticket(clock: str, **rest: Any) -> dict[str, Any]:
    return {"ticket_id": "OPS-1", "occurred_at": f"2026-04-05T{clock}:00Z", **rest}


def incidents(*events: dict[str, Any]) -> list[dict[str, Any]]:
    lines = [json.dumps(event).encode() for event in events]
    return replay_events(json.dumps(POLICY), lines, "2026-04-06T00:00:00Z", "incidents")


def test_an_outage_and_its_ticket_are_one_incident_with_what_it_took_and_cost() -> None:
    # 10:00 down · 10:05 ticket · 10:15 answer · 10:20 up · 11:00 resolved
    (found,) = incidents(
        {**state("00:00", "up"), "occurred_at": "2026-04-01T00:00:00Z"},
        state("10:00", "down", "c2f5"),
        ticket("10:05", type="created", ticket={"service": "mail", "status": "new", "fields": {"episode": "c2f5"}}),
        ticket("10:15", type="message", message={"author": "agent"}),
        state("10:20", "up", "c2f5"),
        ticket("11:00", ticket={"status": "resolved"}),
    )
    assert (found["episode"], found["seconds_to_recovery"]) == ("c2f5", 1200)
    assert found["tickets"] == [
        {"ticket_id": "OPS-1", "seconds_to_ticket": 300, "seconds_to_response": 900, "seconds_to_resolution": 3600}
    ]
    (cost,) = found["cost"]
    assert (cost["bad_seconds"], cost["budget_share"]) == (1200, 1200 / 2592)


def test_an_incident_goes_on_until_its_last_component_is_up() -> None:
    (found,) = incidents(
        state("10:00", "down", "x", "a"), state("10:10", "down", "x", "b"), state("10:20", "up", "x", "a"),
    )  # fmt: skip
    assert (found["recovered_at"], found["tickets"]) == (None, [])
    (ended,) = incidents(
        state("10:00", "down", "x", "a"), state("10:10", "down", "x", "b"), state("10:20", "up", "x", "a"),
        state("10:40", "up", "x", "b"),
    )  # fmt: skip
    assert ended["seconds_to_recovery"] == 2400


def test_an_up_without_its_problem_is_no_incident() -> None:
    assert incidents(state("10:00", "up", "x")) == []
