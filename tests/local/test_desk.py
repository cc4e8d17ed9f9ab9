"""The simulated service desk: believable and repeatable, without waiting for it."""

from datetime import UTC, datetime
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from slastream.app import replay_events
from slastream.core.events import TicketEvent
from slastream.local import desk
from slastream.wire.events import decode_event

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
POLICY = Path(desk.__file__).with_name("demo_policy.yaml")
MINUTE_OF_EVENTS = 60.0


def _first_seconds(seed: int, seconds: float) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    elapsed = 0.0
    for delay, event in desk.events(seed, START):
        elapsed += delay
        if elapsed > seconds:
            return taken
        taken.append(event)
    raise AssertionError("the desk closes")


def _replayed(events: list[dict[str, Any]], until: str) -> list[dict[str, Any]]:
    return replay_events(POLICY.read_text(), [orjson.dumps(event) for event in events], until)


def _words(lines: list[dict[str, Any]]) -> set[str]:
    return {str(line.get("fact") or line.get("status")) for line in lines}


def test_a_seed_gives_the_same_desk_and_another_seed_another() -> None:
    first, again, other = (list(islice(desk.events(seed, START), 300)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(5))
def test_every_event_can_be_decoded_and_described(seed: int) -> None:
    for _, event in islice(desk.events(seed, START), 500):
        assert isinstance(decode_event(orjson.dumps(event)), TicketEvent)
        assert desk.describe(event)


def test_delays_lead_from_instant_to_instant() -> None:
    delayed = list(islice(desk.events(3, START), 300))
    assert min(delay for delay, _ in delayed) >= 0
    for (_, event), elapsed in zip(delayed, accumulate(delay for delay, _ in delayed), strict=True):
        since_start = (datetime.fromisoformat(event["occurred_at"]) - START).total_seconds()
        assert abs(since_start - elapsed) < 0.01


def test_an_event_id_names_one_event() -> None:
    ids = [event["event_id"] for _, event in islice(desk.events(4, START), 1000)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_minute_has_everything_that_a_person_should_see(seed: int) -> None:
    events = _first_seconds(seed, MINUTE_OF_EVENTS)
    lines = _replayed(events, "2026-03-02T10:01:00Z")
    assert {"running", "met", "breached", "warned", "met_late"} <= _words(lines)
    assert "parked, waits for the requester" in map(desk.describe, events)


def test_the_first_ten_seconds_have_a_ticket_in_time_and_one_too_late() -> None:
    lines = _replayed(_first_seconds(1, 10.0), "2026-03-02T10:00:10Z")
    assert {"running", "met", "warned", "breached", "met_late"} <= _words(lines)


def test_the_fixed_tickets_come_out_as_promised() -> None:
    events = [event for _, event in desk.fixed_events(START)]
    lines = _replayed(events, "2026-03-02T10:00:20Z")
    numbers = {name: number for number, name in enumerate(sorted({event["ticket_id"] for event in events}))}
    seen = {
        (numbers[line["ticket_id"]], line["promise"], str(line.get("fact") or line["status"]))
        for line in lines
        if line["kind"] in ("verdict", "fact")
    }
    passing = {outcome for outcome in desk.FIXED_OUTCOMES if outcome[2] in ("running", "paused")}
    assert seen >= desk.FIXED_OUTCOMES - passing
    assert {outcome for outcome in seen if outcome[2] == "breached"} == {(1, "first_response", "breached")}
