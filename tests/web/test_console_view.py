"""The console's view: what it says after what it was told."""

from itertools import permutations

import pytest

from slastream.core.units import FAR, FIRST, Instant, format_instant, parse_instant
from slastream.web.console.agreement_content import agreement_content, agreement_list
from slastream.web.console.clocks import OPEN_STATES
from slastream.web.console.content import clock_list, found_tickets, now_content
from web.console_scenario import BREACHED, Json, Told, availability, compliance, event, fact, verdict


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


# ---- windows


def test_a_window_says_whether_it_is_kept_and_what_is_left_of_its_budget() -> None:
    told = (
        Told().window(compliance()).window(availability()).window(compliance(promise="x", ratio=None, objective=None))
    )
    found = {one.promise: (one.is_kept, one.budget_left) for one in told.view.windows}
    assert found == {"resolution": (False, pytest.approx(-1.0)), "uptime": (False, 0.5), "x": (None, None)}


def test_the_newest_line_of_a_window_replaces_the_others_and_windows_come_newest_first() -> None:
    april = {"kind": "month", "start": "2026-03-31T22:00:00Z", "end": "2026-04-30T22:00:00Z"}
    told = (
        Told().window(compliance(ratio=0.5)).window(compliance(ratio=0.95)).window(compliance(window=april, ratio=0.7))
    )
    content = agreement_content(told.view, "gold")
    assert content is not None
    assert [[one.ratio for one in group] for group in content.windows] == [[0.7, 0.95]]


def test_credits_of_an_agreement_are_those_of_the_running_windows() -> None:
    april = {"kind": "month", "start": "2026-03-31T22:00:00Z", "end": "2026-04-30T22:00:00Z"}
    told = Told().window(compliance()).window(compliance(window=april, credit={"amount": 200, "currency": "EUR"}))
    told.window(compliance("web", credit={"amount": 50.5, "currency": "EUR"}))
    told.window(compliance("dns", credit={"amount": 0, "currency": "CHF"}))
    (line,) = agreement_list(told.view)
    assert (line.credits, line.missed, line.windows) == ({"EUR": 250.5}, 3, 3)


# ---- monitoring

NOW = parse_instant("2026-03-02T12:00:00Z")
DAY_BEFORE = parse_instant("2026-03-01T12:00:00Z")


def monitored(*states: tuple[str, str], component: str = "mail") -> Told:
    told = Told()
    for at, state in states:
        line = {"service": "mail", "component": component, "occurred_at": f"2026-03-02T{at}:00Z", "state": state}
        told.tell("sla.monitoring", b"mail", line)
    return told


def clock(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)[11:16]


def test_states_of_a_service_are_pieces_from_its_first_news_on() -> None:
    told = monitored(("08:00", "up"), ("09:00", "down"), ("09:30", "down"), ("10:00", "up"), ("11:00", "down"))
    pieces = told.view.monitored.pieces("mail", DAY_BEFORE, NOW)
    assert [(clock(one.start), clock(one.end), one.state) for one in pieces] == [
        ("08:00", "09:00", "up"), ("09:00", "10:00", "down"), ("10:00", "11:00", "up"), ("11:00", None, "down"),
    ]  # fmt: skip
    outages = told.view.monitored.outages("mail", DAY_BEFORE, NOW)
    assert [(clock(one.start), clock(one.end)) for one in outages] == [("11:00", None), ("09:00", "10:00")]


def test_a_service_is_as_its_components_say() -> None:
    told = monitored(("08:00", "up"), component="smtp")
    told.tell(
        "sla.monitoring",
        b"mail",
        {"service": "mail", "component": "imap", "occurred_at": "2026-03-02T09:00:00Z", "state": "down"},
    )
    state = told.view.monitored.now("mail", NOW)
    assert state is not None
    assert (state.state, clock(state.since), state.members) == ("down", "09:00", [("imap", "down"), ("smtp", "up")])
    assert told.view.monitored.now("web", NOW) is None


def test_planned_maintenance_is_shown_until_it_is_over_or_withdrawn() -> None:
    told = Told()
    for number, end in (("A", "11:00"), ("B", "14:00"), ("C", "15:00")):
        line = {"maintenance_id": number, "service": "mail", "occurred_at": "2026-03-01T08:00:00Z", "start": "2026-03-02T10:00:00Z",
                "end": f"2026-03-02T{end}:00Z", "revision": 1}  # fmt: skip
        told.tell("sla.maintenance", b"mail", line)
    told.tell("sla.maintenance", b"mail", line | {"revision": 2, "withdrawn": True})
    assert [one.maintenance_id for one in told.view.monitored.maintenance("mail", NOW)] == ["B"]


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
