"""Which alerts are on: facts and verdicts of one clock or service, told in any order.

breached 10:00 ---- met_late 11:00 ---- reopened 12:00 ---- met_late 13:00
"""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.units import DAY, HOUR, MINUTE, Instant, format_instant, parse_instant
from slastream.web.notify_alerts import RESOLVED_FOR, Alert, Board, as_posted

Json = dict[str, Any]
NOON = parse_instant("2026-03-02T12:00:00Z")


def at(text: str) -> Instant:
    return parse_instant(f"2026-03-02T{text}:00Z")


def fact(word: str, when: str, fact_id: str, **rest: Any) -> Json:
    return {
        "kind": "fact", "fact": word, "id": fact_id, "ticket_id": "OPS-42", "service": "mail", "agreement": "gold",
        "agreement_kind": "sla", "promise": "response", "cycle": 1, "threshold": None, "at": f"2026-03-02T{when}:00Z",
        "retracts": None, "customer": "acme", "provider": None, "team": "messaging", "group": "L1", "assignee": "ann",
        "priority": "P1", "type": None,
        **rest,
    }  # fmt: skip


def of_service(word: str, when: str, fact_id: str, **rest: Any) -> Json:
    line = fact(word, when, fact_id, promise="uptime")
    for name in ("ticket_id", "cycle", "group", "assignee", "priority", "type"):
        del line[name]
    return line | rest


def verdict(revision: int, stopped: str | None, status: str = "breached", **rest: Any) -> Json:
    return {
        "kind": "verdict", "ticket_id": "OPS-42", "agreement": "gold", "promise": "response", "cycle": 1,
        "status": status, "revision": revision, "stopped_at": stopped and f"2026-03-02T{stopped}:00Z", **rest,
    }  # fmt: skip


BREACHED = fact("breached", "10:00", "b")
MET_LATE = fact("met_late", "11:00", "m")
REOPENED = fact("retracted", "12:00", "r", retracts="m")
MET_AGAIN = fact("met_late", "13:00", "m2")


def board_of(*lines: Json, heard_at: Instant = NOON, started_at: Instant = NOON) -> Board:
    board = Board("https://wiki.example.com/runbook", started_at)
    for line in lines:
        (board.tell_fact if line["kind"] == "fact" else board.tell_verdict)(line, heard_at)
    return board


def states(board: Board, now: Instant = NOON) -> list[tuple[str, str | None]]:
    """(start, end) of the alerts, as clock times."""

    def clock(instant: Instant | None) -> str | None:
        return None if instant is None else format_instant(instant)[11:16]

    return [(str(clock(one.starts_at)), clock(one.ends_at)) for one in board.current(now)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([BREACHED], [("10:00", None)]),
        ([BREACHED, MET_LATE], [("10:00", "11:00")]),
        ([BREACHED, MET_LATE, REOPENED], [("10:00", None)]),
        ([BREACHED, MET_LATE, REOPENED, MET_AGAIN], [("10:00", "13:00")]),
        ([BREACHED, fact("retracted", "10:30", "r", retracts="b")], [("10:00", "10:30")]),
        ([BREACHED, verdict(2, None), verdict(3, "10:40")], [("10:00", "10:40")]),
        ([BREACHED, verdict(3, "10:40"), verdict(4, None)], [("10:00", None)]),
        ([BREACHED, verdict(3, "10:40"), verdict(2, None)], [("10:00", "10:40")]),
        ([BREACHED, verdict(3, "10:40", is_withdrawn=True)], [("10:00", None)]),
        ([BREACHED, verdict(1, None, "running")], [("10:00", None)]),
        ([fact("warned", "09:45", "w", threshold="75%")], []),
        ([BREACHED, fact("retracted", "11:00", "r", retracts="w", threshold="75%")], [("10:00", None)]),
        ([fact("met_late", "11:00", "m")], []),
    ],
)
def test_a_clock_is_on_from_its_breach_until_it_stops_or_the_breach_is_taken_back(
    lines: list[Json], expected: list[tuple[str, str | None]]
) -> None:
    assert states(board_of(*lines, started_at=Instant(NOON + 1))) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([of_service("availability_breached", "10:00", "a")], [("10:00", None)]),
        ([of_service("availability_breached", "10:00", "a"), of_service("recovered", "11:00", "r")], [("10:00", "11:00")]),
        (
            [
                of_service("availability_breached", "10:00", "a"), of_service("recovered", "10:30", "r"),
                of_service("availability_breached", "11:00", "a2"),
            ],
            [("11:00", None)],
        ),
        ([of_service("at_risk", "09:00", "k", predicted_at="2026-03-20T00:00:00Z")], []),
        ([of_service("burn_started", "10:00", "s", threshold="14.4")], [("10:00", None)]),
        (
            [of_service("burn_started", "10:00", "s", threshold="6"), of_service("burn_stopped", "10:20", "p", threshold="14.4")],
            [("10:00", None)],
        ),
        (
            [of_service("burn_started", "10:00", "s", threshold="6"), of_service("burn_stopped", "10:20", "p", threshold="6")],
            [("10:00", "10:20")],
        ),
    ],
)  # fmt: skip
def test_a_service_is_on_until_it_recovers_and_each_burn_factor_by_itself(
    lines: list[Json], expected: list[tuple[str, str | None]]
) -> None:
    assert states(board_of(*lines, started_at=Instant(NOON + 1))) == expected


def test_a_calendar_window_that_is_missed_is_over_with_the_window() -> None:
    window = {"kind": "day", "start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    board = board_of(of_service("availability_breached", "10:00", "a", window=window))
    (alert,) = board.current(NOON)
    assert alert.is_on(NOON)
    assert not alert.is_on(Instant(NOON + 12 * HOUR))
    assert dict(alert.labels)["window"] == "day"


@given(st.permutations([BREACHED, MET_LATE, REOPENED, verdict(2, None), verdict(3, "11:00"), verdict(4, None)]))
def test_partitions_may_be_read_in_any_order_and_twice(lines: list[Json]) -> None:
    assert states(board_of(*lines, *lines)) == states(board_of(BREACHED))


def test_labels_are_those_of_the_fact_that_began_it_and_are_what_alertmanager_allows() -> None:
    (alert,) = board_of(BREACHED, verdict(9, None, priority="P3", group="L3")).current(NOON)
    assert dict(alert.labels) == {
        "alertname": "SlaTicketBreached", "severity": "critical", "ticket_id": "OPS-42", "cycle": "1", "service": "mail",
        "agreement": "gold", "kind": "sla", "promise": "response", "customer": "acme", "team": "messaging", "group": "L1",
        "priority": "P1",
    }  # fmt: skip
    assert dict(alert.annotations) == {
        "summary": "OPS-42 (mail) has breached gold response",
        "description": "Past its target since 2026-03-02T10:00:00Z, with L1 / ann.",
        "runbook_url": "https://wiki.example.com/runbook#slaticketbreached",
    }


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (BREACHED, "critical"),
        (BREACHED | {"agreement_kind": "ola"}, "warning"),
        (of_service("burn_started", "10:00", "s", threshold="14.4"), "critical"),
        (of_service("burn_started", "10:00", "s", threshold="3"), "warning"),
    ],
)
def test_what_is_promised_to_a_customer_and_what_burns_fast_pages(line: Json, severity: str) -> None:
    (alert,) = board_of(line).current(NOON)
    assert dict(alert.labels)["severity"] == severity


def test_a_breach_that_was_declared_again_elsewhere_ends_under_its_first_labels() -> None:
    """A correction took the breach back and declared it of another priority."""
    again = fact("breached", "10:05", "b2", priority="P2")
    board = board_of(BREACHED, fact("retracted", "10:05", "r", retracts="b"), again, started_at=Instant(NOON + 1))
    found = {dict(one.labels)["priority"]: one.is_on(NOON) for one in board.current(NOON)}
    assert found == {"P1": False, "P2": True}


def test_what_begins_and_ends_before_anybody_knew_is_not_told() -> None:
    """As in a backfill: a year of tickets that were late and closed long ago."""
    board = board_of(BREACHED, MET_LATE)
    assert board.changes(NOON) == []
    assert board.current(NOON) == []


def test_the_end_of_what_was_told_is_told_at_once_and_again_for_a_while() -> None:
    board = board_of(BREACHED)
    assert len(board.changes(NOON)) == 1
    assert board.changes(NOON) == []
    board.tell_fact(MET_LATE, NOON)
    (ended,) = board.changes(NOON)
    assert not ended.is_on(NOON)
    assert board.current(Instant(NOON + RESOLVED_FOR)) == [ended]
    assert board.current(Instant(NOON + RESOLVED_FOR + 1)) == []
    board.tell_fact(REOPENED, Instant(NOON + DAY))
    (again,) = board.changes(Instant(NOON + DAY))
    assert again.is_on(Instant(NOON + DAY))


def test_an_end_that_came_while_nobody_listened_is_told_after_the_start() -> None:
    before = Instant(NOON - MINUTE)
    (ended,) = board_of(BREACHED, MET_LATE, heard_at=before, started_at=NOON).current(NOON)
    assert ended.ends_at == at("11:00")


def test_what_was_over_long_ago_is_forgotten_and_what_is_on_is_not() -> None:
    board = board_of(BREACHED, MET_LATE, fact("breached", "10:00", "other", ticket_id="OPS-43"))
    later = Instant(NOON + 40 * DAY)
    board.current(later)
    board.forget(later)
    board.tell_fact(REOPENED, later)
    assert [dict(one.labels)["ticket_id"] for one in board.current(later)] == ["OPS-43"]


def test_verdicts_of_facts_that_are_no_longer_kept_leave_nothing_behind() -> None:
    board = board_of(verdict(3, "10:40"), heard_at=Instant(NOON - HOUR), started_at=NOON)
    board.tell_fact(BREACHED, NOON)
    assert states(board) == [("10:00", None)]


@pytest.mark.parametrize("line", [{"kind": "fact"}, fact("breached", "10:00", "b") | {"at": "yesterday"}])
def test_what_is_no_fact_is_refused(line: Json) -> None:
    with pytest.raises((KeyError, ValueError)):
        board_of(line)


def test_firing_counts_what_is_on_by_name() -> None:
    board = board_of(BREACHED, MET_LATE, of_service("burn_started", "10:00", "s", threshold="3"))
    assert board.firing(NOON) == {"SlaTicketBreached": 0, "SlaServiceBreached": 0, "SlaBurnStarted": 1}


def test_alertmanager_is_told_instants_of_event_time_and_how_long_an_open_alert_lasts() -> None:
    def posted(ends_at: Instant | None, now: Instant = NOON) -> tuple[str, str]:
        found = as_posted(Alert((("alertname", "x"),), (), at("10:00"), ends_at), now, MINUTE)
        return found["startsAt"], found["endsAt"]

    assert posted(None) == ("2026-03-02T10:00:00Z", "2026-03-02T12:01:00Z")
    assert posted(at("11:00")) == ("2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z")
    assert posted(at("18:00")) == ("2026-03-02T10:00:00Z", "2026-03-02T12:01:00Z")
    assert posted(None, at("09:00")) == ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z")


def test_every_order_of_a_burn_that_stops_and_starts_again_is_on() -> None:
    lines = [
        of_service("burn_started", "10:00", "s", threshold="6"),
        of_service("burn_stopped", "10:20", "p", threshold="6"),
        of_service("burn_started", "10:40", "s2", threshold="6"),
    ]
    for order in itertools.permutations(lines):
        assert states(board_of(*order)) == [("10:40", None)]
