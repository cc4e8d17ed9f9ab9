"""Why a stretch of time counted or not. That the stretches add up is a law: `tests/properties/test_ticket_laws.py`."""

import json
from datetime import date
from typing import Any

import pytest

from slastream.core.calendars import Calendar, CalendarVersion
from slastream.core.events import TicketEvent
from slastream.core.explanations import Story, Stretch, explain, why_closed
from slastream.core.predicates import (
    ALWAYS,
    NEVER,
    All,
    AnyOf,
    Changed,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
)
from slastream.core.rules import Rulebook
from slastream.core.units import HOUR, format_instant, parse_instant
from slastream.core.wording import predicate_text, wall_clock
from slastream.wire.events import decode_event
from slastream.wire.policy_file import load_policy

Json = dict[str, Any]
NINE_TO_FIVE = ((9 * HOUR, 17 * HOUR),)
OFFICE = {"hours": {"mon-fri": ["09:00-17:00"]}}


def book(promise: Json, **agreement: Any) -> Rulebook:
    agreements = {"a": {"kind": "sla", "promises": {"p": promise}, **agreement}}
    text = json.dumps({"version": 1, "calendars": {"office": OFFICE}, "agreements": agreements})
    return Rulebook(load_policy([("policy.yaml", text)], lambda name: name.encode()))


def events(*said: tuple[str, Json]) -> list[TicketEvent]:
    found = []
    for number, (at, body) in enumerate(said, 1):
        head = {"ticket_id": "T", "event_id": f"e{number}", "occurred_at": at, "type": "changed"}
        event = decode_event(json.dumps({**head, **body}).encode())
        assert isinstance(event, TicketEvent)
        found.append(event)
    return found


def stories(rules: Rulebook, *said: tuple[str, Json], end: str = "2026-03-02T20:00:00Z") -> list[Story]:
    return explain("T", rules, events(*said), parse_instant(end))[0]


def told(story: Story) -> list[tuple[str, str, str | None]]:
    """(clock time, reason, cause) of each part."""
    found: list[tuple[str, str, str | None]] = []
    for part in story.parts:
        at = part.start if isinstance(part, Stretch) else part.at
        found.append((format_instant(at)[11:16], part.reason, part.caused_by))
    return found


def status(value: str) -> Json:
    return {"ticket": {"status": value}}


def test_a_pause_is_cut_where_another_status_holds_it() -> None:
    #  09:00 open   10:00 pending   11:00 hold   12:00 a note   13:00 open
    (story,) = stories(
        book({"metric": "agent_work", "within": "8h"}),
        ("2026-03-02T09:00:00Z", status("open")),
        ("2026-03-02T10:00:00Z", status("pending")),
        ("2026-03-02T11:00:00Z", status("hold")),
        ("2026-03-02T12:00:00Z", {"message": {"author": "agent"}}),
        ("2026-03-02T13:00:00Z", status("open")),
        end="2026-03-02T14:00:00Z",
    )
    assert told(story)[2:] == [
        ("09:00", "running", None),
        ("10:00", "paused", "e2"),
        ("11:00", "paused", "e3"),
        ("13:00", "running", None),
    ]
    assert story.stretches[1].rule == "pause: status is pending (status is pending or hold)"


def test_a_pause_with_resume_is_one_stretch_until_that_comes() -> None:
    rules = book(
        {
            "metric": "custom", "start": {"status": "open"}, "stop": {"status": "closed"}, "within": "8h",
            "pause": {"tags": "wait"}, "resume": {"message.author": "requester"},
        }
    )  # fmt: skip
    (story,) = stories(
        rules,
        ("2026-03-02T09:00:00Z", status("open")),
        ("2026-03-02T10:00:00Z", {"ticket": {"tags": ["wait"]}}),
        ("2026-03-02T11:00:00Z", {"ticket": {"tags": []}}),
        ("2026-03-02T12:00:00Z", {"message": {"author": "requester"}}),
        end="2026-03-02T13:00:00Z",
    )
    assert told(story)[2:] == [("09:00", "running", None), ("10:00", "paused", "e2"), ("12:00", "running", None)]


def test_time_carried_to_another_calendar_stays_as_it_was_measured() -> None:
    #  15:00 P2 (24x7)   19:00 P1 (office): four hours of 24x7 stay, of which office would count two
    rules = book(
        {
            "metric": "resolution", "on_change": "carry", "calendar": "office",
            "targets": [{"when": {"priority": "P2"}, "within": "20h", "calendar": "24x7"}, {"within": "8h"}],
        }
    )  # fmt: skip
    (story,) = stories(
        rules,
        ("2026-03-02T15:00:00Z", {"ticket": {"priority": "P2"}}),
        ("2026-03-02T19:00:00Z", {"ticket": {"priority": "P1"}}),
        end="2026-03-03T10:00:00Z",
    )
    assert [(s.reason, s.open_us // HOUR, s.total_us // HOUR) for s in story.stretches] == [
        ("running", 4, 4),
        ("closed_hours", 0, 4),
        ("running", 1, 5),
    ]
    assert story.reading.elapsed_us == 5 * HOUR


def test_a_target_in_force_from_the_start_measures_all_of_it_again() -> None:
    rules = book(
        {
            "metric": "resolution", "calendar": "office",
            "targets": [{"when": {"priority": "P2"}, "within": "20h", "calendar": "24x7"}, {"within": "8h"}],
        }
    )  # fmt: skip
    (story,) = stories(
        rules,
        ("2026-03-02T15:00:00Z", {"ticket": {"priority": "P2"}}),
        ("2026-03-02T19:00:00Z", {"ticket": {"priority": "P1"}}),
        end="2026-03-03T10:00:00Z",
    )
    assert [(s.reason, s.open_us // HOUR) for s in story.stretches if s.open_us] == [("running", 2), ("running", 1)]


def test_an_agreement_that_matches_later_tells_the_pauses_that_there_were() -> None:
    (story,) = stories(
        book({"metric": "resolution", "within": "8h"}, match={"tags": "vip"}),
        ("2026-03-02T09:00:00Z", status("open")),
        ("2026-03-02T10:00:00Z", status("pending")),
        ("2026-03-02T11:00:00Z", status("open")),
        ("2026-03-02T12:00:00Z", {"ticket": {"tags": ["vip"]}}),
        end="2026-03-02T13:00:00Z",
    )
    assert told(story) == [
        ("09:00", "started", "e4"),
        ("09:00", "target", "e4"),
        ("09:00", "running", None),
        ("10:00", "paused", "e2"),
        ("11:00", "running", None),
    ]
    assert story.points[0].rule == "the agreement began to match: counted from the opening"


@pytest.mark.parametrize(
    ("promise", "second", "why"),
    [
        (
            {"metric": "resolution", "within": {"P1": "4h", "P2": "8h"}, "on_change": "restart"},
            {"ticket": {"priority": "P2"}},
            "started again: another target (on_change: restart)",
        ),
        (
            {"metric": "ownership", "within": "4h"},
            {"ticket": {"group": "L2"}},
            "reset: another group",
        ),
    ],
)
def test_a_second_cycle_says_why_it_began(promise: Json, second: Json, why: str) -> None:
    first = {"ticket": {"priority": "P1", "group": "L1", "status": "open"}}
    found = stories(book(promise), ("2026-03-02T09:00:00Z", first), ("2026-03-02T10:00:00Z", second))
    assert [story.cycle for story in found] == [1, 2]
    assert found[0].stopped_at == found[1].started_at
    assert found[1].points[0].rule == why


def test_a_ticket_reopened_after_its_window_begins_a_cycle_that_says_so() -> None:
    found = stories(
        book({"metric": "resolution", "within": "4h", "reopen_window": "1h"}),
        ("2026-03-02T09:00:00Z", status("open")),
        ("2026-03-02T10:00:00Z", status("resolved")),
        ("2026-03-02T12:00:00Z", status("open")),
    )
    assert found[1].points[0].rule == "started anew after cycle 1: the reopen_window was over, or the target another"


def test_an_override_after_the_breach_is_told_to_have_no_effect() -> None:
    override = {"promise": "p", "due_at": "2026-03-02T18:00:00Z", "by": None, "reason": None}
    (story,) = stories(
        book({"metric": "resolution", "within": "1h"}),
        ("2026-03-02T09:00:00Z", status("open")),
        ("2026-03-02T12:00:00Z", {"type": "override", "override": override}),
    )
    assert [p.rule for p in story.points if p.reason == "override"] == [
        "due Mon 2026-03-02 18:00 +00:00, by nobody named: no reason given; no effect"
    ]


def test_a_warning_taken_back_names_its_mark() -> None:
    (story,) = stories(
        book({"metric": "resolution", "within": {"P1": "2h", "P2": "8h"}, "warn_at": ["50%"]}),
        ("2026-03-02T09:00:00Z", {"ticket": {"priority": "P1"}}),
        ("2026-03-02T10:30:00Z", {"ticket": {"priority": "P2"}}),
        end="2026-03-02T11:00:00Z",
    )
    assert [(p.reason, p.rule) for p in story.points if p.reason in ("warned", "retracted")] == [
        ("warned", "the mark 50% was reached"),
        ("retracted", "warned at 50% no longer holds"),
    ]


def test_only_the_promise_asked_for_is_told() -> None:
    rules = book({"metric": "resolution", "within": "4h"})
    end = parse_instant("2026-03-02T20:00:00Z")
    assert explain("T", rules, events(("2026-03-02T09:00:00Z", status("open"))), end, "other") == ([], [])


# ---- why a calendar is closed ----------------------------------------------------------------------------------------


def office() -> Calendar:
    week = (NINE_TO_FIVE,) * 5 + ((), ())
    first = CalendarVersion(
        None, week, frozenset({date(2026, 4, 3), date(2026, 4, 4)}), frozenset({(5, 1)}), exceptions={date(2026, 4, 8): ()}
    )  # fmt: skip
    return Calendar("office", "Europe/Berlin", [first, CalendarVersion(date(2026, 7, 1), week)])


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2026, 4, 2), "closed_hours"),
        (date(2026, 4, 3), "holiday"),
        (date(2026, 4, 4), "closed_hours"),  # a holiday on a Saturday, closed anyway
        (date(2026, 4, 8), "exception"),
        (date(2026, 5, 1), "holiday"),
        (date(2028, 5, 1), "closed_hours"),  # the version of 2026-07-01 has no holidays
    ],
)
def test_the_reason_of_a_closed_day_is_what_its_version_says(day: date, reason: str) -> None:
    assert why_closed(office(), day)[0] == reason


def test_the_wall_clock_shows_seconds_only_where_there_are_some() -> None:
    assert wall_clock(office(), parse_instant("2026-03-28T23:00:00Z")) == "Sun 2026-03-29 00:00 +01:00"
    assert wall_clock(office(), parse_instant("2026-03-29T01:00:05.25Z")) == "Sun 2026-03-29 03:00:05.25 +02:00"
    west = Calendar.always("America/St_Johns")
    assert wall_clock(west, parse_instant("2026-01-01T00:00:00Z")) == "Wed 2025-12-31 20:30 -03:30"


# ---- conditions as people say them -----------------------------------------------------------------------------------

HOLD = Equals("status", frozenset({"hold"}))
P1 = Equals("priority", frozenset({"P1"}))


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (Equals("status", frozenset({"pending", "hold"})), "status is hold or pending"),
        (Equals("fields.vip", frozenset({True})), "fields.vip is true"),
        (Glob("service", "db-*"), "service matches db-*"),
        (Compare("fields.floor", "gte", 3), "fields.floor >= 3"),
        (Exists("assignee", expected=True), "assignee is set"),
        (Exists("assignee", expected=False), "assignee is not set"),
        (Changed(frozenset({"priority", "group"})), "group or priority changed"),
        (All((HOLD, Not(P1))), "status is hold and not priority is P1"),
        (AnyOf((All((HOLD, P1)), P1)), "(status is hold and priority is P1) or priority is P1"),
        (ALWAYS, "always"),
        (NEVER, "never"),
    ],
)
def test_a_condition_reads_as_a_sentence(predicate: Predicate, text: str) -> None:
    assert predicate_text(predicate) == text
