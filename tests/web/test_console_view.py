"""The console's view: what it says after what it was told."""

from itertools import permutations

import pytest

from slastream.core.units import FAR, FIRST
from slastream.web.console.clocks import OPEN_STATES
from slastream.web.console.content import clock_list, found_tickets, now_content
from web.console_scenario import BREACHED, Json, Told, event, fact, verdict


def states(told: Told) -> dict[str, int]:
    return {state: count for state, count in told.view.clocks.totals().items() if count}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "running"),
        ({"is_at_risk": True}, "at_risk"),
        ({"status": "paused", "due_at": None}, "paused"),
        (BREACHED, "breached"),
        (BREACHED | {"stopped_at": "2026-03-02T12:00:00Z"}, "late"),
        ({"status": "met", "stopped_at": "2026-03-02T12:00:00Z"}, "met"),
        ({"status": "cancelled", "due_at": None, "stopped_at": "2026-03-02T12:00:00Z"}, "cancelled"),
    ],
)
def test_a_clock_is_in_one_state(changes: Json, state: str) -> None:
    assert states(Told().verdict(verdict("OPS-1", **changes))) == {state: 1}


def test_of_a_clock_the_newest_verdict_counts_in_any_order() -> None:
    told = [
        verdict("OPS-1", revision=1),
        verdict("OPS-1", revision=2, is_at_risk=True, as_of="2026-03-02T10:30:00Z"),
        verdict("OPS-1", revision=3, as_of="2026-03-02T11:00:00Z", **BREACHED),
    ]
    for order in permutations(told):
        view = Told()
        for line in order:
            view.verdict(line)
        assert states(view) == {"breached": 1}


def test_a_clock_that_moves_to_another_service_is_counted_there_alone_in_any_order() -> None:
    told = [
        verdict("OPS-1"),
        verdict("OPS-1", revision=2, is_withdrawn=True),
        verdict("OPS-1", revision=2, service="web"),
    ]
    for order in permutations(told):
        if order.index(told[0]) > order.index(told[1]):
            continue  # these two are in one partition
        view = Told()
        for line in order:
            view.verdict(line)
        assert [(row.value, row.total) for row in view.view.clocks.counts("service")] == [("web", 1)]


def test_a_clock_that_never_was_is_gone() -> None:
    told = Told().verdict(verdict("OPS-1")).verdict(verdict("OPS-1", revision=2, is_withdrawn=True))
    assert states(told) == {}
    assert told.view.clocks.of_ticket("OPS-1") == []


def test_the_most_urgent_come_first() -> None:
    told = Told()
    for number, minute in ((1, 30), (2, 10), (3, 20)):
        told.verdict(verdict(f"OPS-{number}", is_at_risk=True, due_at=f"2026-03-02T12:{minute}:00Z"))
        told.verdict(verdict(f"OPS-1{number}", **BREACHED | {"breached_at": f"2026-03-02T11:{minute}:00Z"}))
    now = now_content(told.view, {})
    assert [row.clock.ticket_id for row in now.at_risk] == ["OPS-2", "OPS-3", "OPS-1"]
    assert [row.clock.ticket_id for row in now.breached] == ["OPS-11", "OPS-13", "OPS-12"]


def test_filters_choose_what_is_listed_and_counted() -> None:
    told = Told().verdict(verdict("OPS-1")).verdict(verdict("OPS-2", service="web", customer=None))
    assert [row.clock.ticket_id for row in now_content(told.view, {"service": "web"}).next_due] == ["OPS-2"]
    assert now_content(told.view, {"service": "web"}).totals["running"] == 1
    assert [row.clock.ticket_id for row in now_content(told.view, {"customer": ""}).next_due] == ["OPS-2"]
    assert now_content(told.view, {"service": "web", "customer": "acme"}).next_due == []


def test_a_filter_is_a_value_and_never_a_part_of_a_statement() -> None:
    told = Told().verdict(verdict("OPS-1"))
    assert now_content(told.view, {"service": "mail' OR '1'='1"}).next_due == []
    with pytest.raises(ValueError, match="no state of an open clock"):
        clock_list(told.view, "running' --", {}, 1)


def test_groups_have_most_trouble_first() -> None:
    told = Told().verdict(verdict("OPS-1", service="a")).verdict(verdict("OPS-2", service="b", is_at_risk=True))
    told.verdict(verdict("OPS-3", service="c", **BREACHED)).verdict(verdict("OPS-4", service="a"))
    assert [(row.value, *row[1:5]) for row in told.view.clocks.counts("service")] == [
        ("c", 1, 0, 0, 0), ("b", 0, 1, 0, 0), ("a", 0, 0, 2, 0),
    ]  # fmt: skip


def test_a_list_has_pages_and_the_last_is_not_left() -> None:
    told = Told()
    for number in range(150):
        told.verdict(verdict(f"OPS-{number}"))
    first, last = clock_list(told.view, "running", {}, 1), clock_list(told.view, "running", {}, 99)
    assert (first.pages, len(first.rows), last.page, len(last.rows)) == (2, 100, 2, 50)
    assert len({row.clock.ticket_id for row in first.rows + last.rows}) == 150


def test_what_ended_first_is_forgotten_and_nothing_open() -> None:
    told = Told().verdict(verdict("OPS-0"))
    for hour in range(10, 14):
        told.verdict(verdict(f"OPS-{hour}", status="met", stopped_at=f"2026-03-02T{hour}:00:00Z"))
    told.view.clocks.forget(most_ended=2)
    assert states(told) == {"running": 1, "met": 2}
    assert told.view.clocks.of_ticket("OPS-10") == []
    assert told.view.clocks.of_ticket("OPS-13") != []


# ---- tickets


def test_a_ticket_is_as_its_latest_event_says_in_any_order() -> None:
    told = [
        event("OPS-1", "2026-03-02T10:00:00Z", title="No mail", status="new", priority="P2"),
        event("OPS-1", "2026-03-02T11:00:00Z", status="open", assignee="ann"),
        event("OPS-1", "2026-03-02T12:00:00Z", priority="P1", assignee=None),
    ]
    for order in permutations(told):
        view = Told()
        for line in order:
            view.event(line)
        ticket = view.view.tickets.get("OPS-1")
        assert ticket is not None
        assert (ticket.title, ticket.status, ticket.priority) == ("No mail", "open", "P1")
        assert len(view.view.tickets.places("OPS-1")) == 3


def test_every_word_of_a_search_must_be_there_whatever_its_case() -> None:
    told = Told().event(event("OPS-1", "2026-03-02T10:00:00Z", title="No Mail since noon", requester="Bob"))
    told.event(event("OPS-2", "2026-03-02T10:00:00Z", title="Mailbox is full", service="mail"))

    def found(words: str) -> list[str]:
        return sorted(one.ticket.ticket_id for one in found_tickets(told.view, words))

    assert found("mail") == ["OPS-1", "OPS-2"]
    assert found("BOB noon") == ["OPS-1"]
    assert found("ops-2") == ["OPS-2"]
    assert found("mail lost") == []
    assert found("%") == []
    assert found("  ") == ["OPS-1", "OPS-2"]


def test_a_ticket_of_that_number_is_found_first() -> None:
    told = Told()
    for number in (11, 1, 12):
        told.event(event(f"OPS-{number}", f"2026-03-02T10:00:{number:02}Z"))
    assert found_tickets(told.view, "OPS-1")[0].ticket.ticket_id == "OPS-1"


def test_a_ticket_whose_events_are_gone_is_found_by_its_verdicts() -> None:
    told = Told().verdict(verdict("OPS-1", assignee="ann"))
    assert [one.open_clocks[0].state for one in found_tickets(told.view, "ann")] == ["running"]


def test_quiet_tickets_are_forgotten_but_none_with_an_open_clock() -> None:
    told = Told().event(event("OPS-1", "2026-03-02T09:00:00Z")).verdict(verdict("OPS-1"))
    for number in range(2, 6):
        told.event(event(f"OPS-{number}", f"2026-03-02T10:0{number}:00Z"))
    told.view.tickets.forget(most=2)
    left = {one.ticket.ticket_id for one in found_tickets(told.view, "")}
    assert left == {"OPS-1", "OPS-5"}
    assert told.view.tickets.places("OPS-2") == []


# ---- facts


def test_breaches_are_listed_newest_first_with_what_was_taken_back() -> None:
    first = fact("OPS-1", at="2026-03-02T11:00:00Z")
    told = Told().fact(first).fact(fact("OPS-2", at="2026-03-02T12:00:00Z")).fact(fact("OPS-2", "warned"))
    told.fact(first).fact(fact("OPS-1", "retracted", retracts=first["id"]))
    told.fact(fact(None, "availability_breached", cycle=None, at="2026-03-02T13:00:00Z"))
    found = told.view.facts.newest(("breached", "availability_breached"), {}, FIRST, FAR, 10)
    assert [(one.ticket_id, one.is_taken_back) for one in found] == [(None, False), ("OPS-2", False), ("OPS-1", True)]


def test_the_view_survives_what_is_no_line_of_ours() -> None:
    told = Told()
    for topic in ("sla.verdicts", "sla.breaches", "sla.compliance", "sla.rejected"):
        with pytest.raises((KeyError, ValueError, TypeError)):
            told.tell(topic, b"key", {"kind": "something else"})
    told.tell("sla.tickets", b"key", {"no": "event"}).tell("sla.verdicts", b"tick", {"type": "tick"})
    assert all(told.view.clocks.totals()[state] == 0 for state in OPEN_STATES)
