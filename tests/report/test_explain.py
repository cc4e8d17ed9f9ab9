"""The text of stories, read by eye once and kept; and the same stories as JSON lines."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slastream.core.policies import Policy
from slastream.core.units import parse_instant
from slastream.core.wording import duration_text
from slastream.errors import PolicyError
from slastream.report.explain import WIDTH, explain_ticket
from slastream.wire.policy_file import load_policy

Json = dict[str, Any]

POLICY = """
version: 1
timezone: Europe/Berlin
calendars:
  office:
    hours: {mon-thu: ["08:00-12:00", "13:00-18:00"], fri: ["08:00-15:00"]}
    holidays: [2026-04-03, 2026-04-06]
    exceptions: {2026-03-10: closed}
agreements:
  gold:
    kind: sla
    match: {type: incident}
    calendar: office
    promises:
      response: {metric: first_response, within: {P1: 15m, default: 4h}}
      resolution:
        metric: resolution
        targets:
          - {when: {priority: P1}, within: 4h}
          - {when: {priority: [P2, P3]}, within: 16h}
        warn_at: [50%]
        pause: {status: [pending, hold]}
  silver:
    kind: ola
    match: {type: request}
    promises: {work: {metric: agent_work, within: {P1: 2h, default: 8h}, on_change: carry}}
"""


def policy() -> Policy:
    return load_policy([("policy.yaml", POLICY)], lambda name: Path(name).read_bytes())


def created(**ticket: Any) -> Json:
    return {"type": "created", "ticket": {"type": "incident", "priority": "P1", "status": "open", **ticket}}


def changed(**ticket: Any) -> Json:
    return {"type": "changed", "ticket": ticket}


def lines_of(*events: tuple[str, Json], ticket_id: str = "OPS-42") -> Callable[[], Iterator[tuple[str, int, bytes]]]:
    lines = [
        json.dumps({"ticket_id": ticket_id, "event_id": f"e{number}", "occurred_at": at, **body}).encode()
        for number, (at, body) in enumerate(events, 1)
    ]
    return lambda: (("events.jsonl", number, line) for number, line in enumerate(lines, 1))


def story(*events: tuple[str, Json], promise: str = "resolution", until: str | None = None) -> str:
    end = None if until is None else parse_instant(until)
    found = list(explain_ticket(policy(), lines_of(*events), "OPS-42", promise, end))
    assert all(len(line) <= WIDTH for line in found)
    return "\n".join(found)


def objects(*events: tuple[str, Json], promise: str = "resolution") -> list[Json]:
    return [
        json.loads(line)
        for line in explain_ticket(policy(), lines_of(*events), "OPS-42", promise, format="jsonl")
    ]  # fmt: skip


WEEKEND: Sequence[tuple[str, Json]] = [
    ("2026-03-06T13:30:00+01:00", created(priority="P2")),
    ("2026-03-06T14:15:30+01:00", changed(status="pending")),
    ("2026-03-09T09:00:00+01:00", changed(status="open")),
    ("2026-03-09T11:00:00+01:00", changed(status="resolved")),
]


def test_a_pause_over_a_weekend_leaves_out_its_open_time_only() -> None:
    assert story(*WEEKEND) == (
        """\
OPS-42  gold / resolution, cycle 1: met
  resolution of sla gold, times of Europe/Berlin

  Fri 2026-03-06 13:30 +01:00    * started    the ticket was opened [event e1]
  Fri 2026-03-06 13:30 +01:00    * target     16h on office (entry 2 of 2: priority is P2 or P3);
                                              due Wed 2026-03-11 14:30 +01:00 [event e1]
  Fri 2026-03-06 13:30 +01:00    counts       + 45 min 30 s = 45 min 30 s; office: open
  Fri 2026-03-06 14:15:30 +01:00 paused       1 h 44 min 30 s not counted; pause: status is pending
                                              (status is hold or pending) [event e2]
  Mon 2026-03-09 09:00 +01:00    counts       + 2 h = 2 h 45 min 30 s; office: open
  Mon 2026-03-09 11:00 +01:00    * stopped    met: status resolved (status is resolved or closed)
                                              [event e4]

  counted 2 h 45 min 30 s, paused 1 h 44 min 30 s, allowed 16 h: 13 h 14 min 30 s left"""
    )


def test_holidays_are_told_from_closed_hours() -> None:
    text = story(
        ("2026-04-02T17:00:00+02:00", created()),
        ("2026-04-07T10:00:00+02:00", changed(status="resolved")),
    )
    assert text == (
        """\
OPS-42  gold / resolution, cycle 1: met
  resolution of sla gold, times of Europe/Berlin

  Thu 2026-04-02 17:00 +02:00    * started    the ticket was opened [event e1]
  Thu 2026-04-02 17:00 +02:00    * target     4h on office (entry 1 of 2: priority is P1); due Tue
                                              2026-04-07 11:00 +02:00 [event e1]
  Thu 2026-04-02 17:00 +02:00    counts       + 1 h = 1 h; office: open
  Thu 2026-04-02 18:00 +02:00    closed       office: outside the hours
  Fri 2026-04-03 00:00 +02:00    closed       office: holiday of 2026-04-03
  Sat 2026-04-04 00:00 +02:00    closed       office: outside the hours
  Mon 2026-04-06 00:00 +02:00    closed       office: holiday of 2026-04-06
  Tue 2026-04-07 00:00 +02:00    closed       office: outside the hours
  Tue 2026-04-07 08:00 +02:00    counts       + 1 h = 2 h; office: open
  Tue 2026-04-07 09:00 +02:00    * warned     the mark 50% was reached [deadline]
  Tue 2026-04-07 09:00 +02:00    counts       + 1 h = 3 h; office: open
  Tue 2026-04-07 10:00 +02:00    * stopped    met: status resolved (status is resolved or closed)
                                              [event e2]

  counted 3 h, paused 0 min, allowed 4 h: 1 h left"""
    )


def test_a_change_of_priority_says_what_it_did_to_the_target_and_that_it_breached() -> None:
    text = story(
        ("2026-03-09T08:00:00+01:00", created(priority="P3")),
        ("2026-03-09T15:00:00+01:00", changed(priority="P1")),
        ("2026-03-11T09:00:00+01:00", changed(status="resolved")),
    )
    assert text == (
        """\
OPS-42  gold / resolution, cycle 1: breached
  resolution of sla gold, times of Europe/Berlin

  Mon 2026-03-09 08:00 +01:00    * started    the ticket was opened [event e1]
  Mon 2026-03-09 08:00 +01:00    * target     16h on office (entry 2 of 2: priority is P2 or P3);
                                              due Wed 2026-03-11 16:00 +01:00 [event e1]
  Mon 2026-03-09 08:00 +01:00    counts       + 4 h = 4 h; office: open
  Mon 2026-03-09 12:00 +01:00    closed       office: outside the hours
  Mon 2026-03-09 13:00 +01:00    counts       + 2 h = 6 h; office: open
  Mon 2026-03-09 15:00 +01:00    * target     now 4h on office (priority P1; on_change: retroactive,
                                              from the original start); due Mon 2026-03-09 12:00
                                              +01:00 [event e2]
  Mon 2026-03-09 15:00 +01:00    * breached   the promise was not kept [event e2]
  Mon 2026-03-09 15:00 +01:00    counts       + 3 h = 9 h; office: open
  Mon 2026-03-09 18:00 +01:00    closed       office: outside the hours
  Tue 2026-03-10 00:00 +01:00    closed       office: exception of 2026-03-10
  Wed 2026-03-11 00:00 +01:00    closed       office: outside the hours
  Wed 2026-03-11 08:00 +01:00    counts       + 1 h = 10 h; office: open
  Wed 2026-03-11 09:00 +01:00    * stopped    breached: status resolved (status is resolved or
                                              closed) [event e3]
  Wed 2026-03-11 09:00 +01:00    * met late   done after the breach [event e3]

  counted 10 h, paused 0 min, allowed 4 h: 6 h too much"""
    )


def test_a_reopening_tells_the_stop_the_time_between_and_the_second_stop() -> None:
    text = story(
        ("2026-03-09T08:00:00+01:00", created()),
        ("2026-03-09T09:30:00+01:00", changed(status="resolved")),
        (
            "2026-03-09T11:00:00+01:00",
            {"type": "message", "message": {"author": "requester"}, "ticket": {"status": "open"}},
        ),
        ("2026-03-09T16:00:00+01:00", changed(status="closed")),
    )
    assert text == (
        """\
OPS-42  gold / resolution, cycle 1: breached
  resolution of sla gold, times of Europe/Berlin

  Mon 2026-03-09 08:00 +01:00    * started    the ticket was opened [event e1]
  Mon 2026-03-09 08:00 +01:00    * target     4h on office (entry 1 of 2: priority is P1); due Mon
                                              2026-03-09 12:00 +01:00 [event e1]
  Mon 2026-03-09 08:00 +01:00    counts       + 1 h 30 min = 1 h 30 min; office: open
  Mon 2026-03-09 09:30 +01:00    * stopped    met: status resolved (status is resolved or closed)
                                              [event e2]
  Mon 2026-03-09 09:30 +01:00    paused       1 h 30 min not counted; stopped, until event e3
                                              reopened it
  Mon 2026-03-09 11:00 +01:00    * reopened   status open, public message of requester; the time
                                              since the stop is a pause [event e3]
  Mon 2026-03-09 11:00 +01:00    counts       + 30 min = 2 h; office: open
  Mon 2026-03-09 11:30 +01:00    * warned     the mark 50% was reached [deadline]
  Mon 2026-03-09 11:30 +01:00    counts       + 30 min = 2 h 30 min; office: open
  Mon 2026-03-09 12:00 +01:00    closed       office: outside the hours
  Mon 2026-03-09 13:00 +01:00    counts       + 1 h 30 min = 4 h; office: open
  Mon 2026-03-09 14:30 +01:00    * breached   the promise was not kept [deadline]
  Mon 2026-03-09 14:30 +01:00    counts       + 1 h 30 min = 5 h 30 min; office: open
  Mon 2026-03-09 16:00 +01:00    * stopped    breached: status closed (status is resolved or closed)
                                              [event e4]
  Mon 2026-03-09 16:00 +01:00    * met late   done after the breach [event e4]

  counted 5 h 30 min, paused 1 h 30 min, allowed 4 h: 1 h 30 min too much"""
    )


def test_an_override_says_who_and_why_and_a_merge_ends_the_clock() -> None:
    override = {"promise": "resolution", "due_at": "2026-03-09T17:00:00+01:00", "by": "kim", "reason": "agreed on call"}
    text = story(
        ("2026-03-09T08:00:00+01:00", created()),
        ("2026-03-09T09:00:00+01:00", {"type": "override", "override": override}),
        ("2026-03-09T14:00:00+01:00", {"type": "merged", "merged_into": "OPS-7"}),
    )
    assert text == (
        """\
OPS-42  gold / resolution, cycle 1: cancelled
  resolution of sla gold, times of Europe/Berlin

  Mon 2026-03-09 08:00 +01:00    * started    the ticket was opened [event e1]
  Mon 2026-03-09 08:00 +01:00    * target     4h on office (entry 1 of 2: priority is P1); due Mon
                                              2026-03-09 12:00 +01:00 [event e1]
  Mon 2026-03-09 08:00 +01:00    counts       + 1 h = 1 h; office: open
  Mon 2026-03-09 09:00 +01:00    * override   due Mon 2026-03-09 17:00 +01:00, by kim: agreed on
                                              call [event e2]
  Mon 2026-03-09 09:00 +01:00    counts       + 3 h = 4 h; office: open
  Mon 2026-03-09 12:00 +01:00    * warned     the mark 50% was reached [deadline]
  Mon 2026-03-09 12:00 +01:00    closed       office: outside the hours
  Mon 2026-03-09 13:00 +01:00    counts       + 1 h = 5 h; office: open
  Mon 2026-03-09 14:00 +01:00    * cancelled  merged [event e3]

  counted 5 h, paused 0 min, allowed 4 h: 1 h too much"""
    )


def test_an_open_clock_ends_with_how_it_stands_now() -> None:
    opened = ("2026-03-09T08:00:00+01:00", created())
    running = story(opened, until="2026-03-09T09:00:00+01:00").splitlines()
    assert running[-3] == "  Mon 2026-03-09 09:00 +01:00    now          running, due Mon 2026-03-09 12:00 +01:00"
    pending = ("2026-03-09T08:30:00+01:00", changed(status="pending"))
    paused = story(opened, pending, until="2026-03-09T09:00:00+01:00").splitlines()
    assert paused[-3].endswith("now          paused, due Mon 2026-03-09 13:30 +01:00 if resumed now")


def test_a_promise_without_a_clock_says_why() -> None:
    text = story(("2026-03-09T08:00:00+01:00", created(priority="P7")))
    assert text == "OPS-42  gold / resolution: no clock: no target for the ticket's attributes"
    text = story(("2026-03-09T08:00:00+01:00", created()), promise="work")
    assert text.startswith("OPS-42  silver / work: no clock: the agreement does not match the ticket")


def test_json_lines_add_up_and_touch_each_other() -> None:
    found = objects(*WEEKEND)
    stretches = [line for line in found if line["kind"] == "stretch"]
    assert [(line["reason"], line["counts"], line["seconds"], line["total_seconds"]) for line in stretches] == [
        ("running", True, 2730, 2730),
        ("paused", False, 6270, 2730),
        ("running", True, 7200, 9930),
    ]
    assert [line["end"] for line in stretches[:-1]] == [line["start"] for line in stretches[1:]]
    assert stretches[1] == {
        "kind": "stretch", "ticket_id": "OPS-42", "agreement": "gold", "promise": "resolution", "cycle": 1,
        "start": "2026-03-06T13:15:30Z", "end": "2026-03-09T08:00:00Z", "counts": False, "reason": "paused", "seconds": 6270,
        "total_seconds": 2730, "rule": "pause: status is pending (status is hold or pending)", "caused_by": "e2",
    }  # fmt: skip
    points = [line for line in found if line["kind"] == "point"]
    assert [(line["reason"], line["start"] == line["end"], line["seconds"]) for line in points] == [
        ("started", True, None),
        ("target", True, None),
        ("stopped", True, None),
    ]


def test_the_order_and_repetition_of_the_input_do_not_matter() -> None:
    lines = list(lines_of(*WEEKEND)())
    mixed = [*reversed(lines), *lines, ("other.jsonl", 1, b"no JSON")]
    assert list(explain_ticket(policy(), lambda: iter(mixed), "OPS-42")) == list(
        explain_ticket(policy(), lambda: iter(lines), "OPS-42")
    )


def test_an_unknown_ticket_names_the_nearest_ones() -> None:
    with pytest.raises(PolicyError, match=r"--ticket OPS-24: no event is of this ticket; did you mean OPS-42\?"):
        explain_ticket(policy(), lines_of(*WEEKEND), "OPS-24")


def test_a_ticket_that_comes_after_the_end_says_so() -> None:
    with pytest.raises(PolicyError, match=r"has no event up to 2026-03-01T00:00:00Z; write a later --until"):
        explain_ticket(policy(), lines_of(*WEEKEND), "OPS-42", until=parse_instant("2026-03-01T00:00:00Z"))


def test_an_unknown_promise_names_the_nearest_ones() -> None:
    with pytest.raises(PolicyError, match=r"--promise resolve: no clock promise has this name; .*resolution"):
        explain_ticket(policy(), lines_of(*WEEKEND), "OPS-42", "resolve")


def test_an_unknown_format_names_those_that_there_are() -> None:
    with pytest.raises(PolicyError, match=r"--format xml: no such format; write text or jsonl"):
        explain_ticket(policy(), lines_of(*WEEKEND), "OPS-42", format="xml")


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0 min"), (12_000_000_000, "3 h 20 min"), (45_500_000, "45.5 s"), (90_000_000_000, "25 h"), (1, "0.000001 s")],
)
def test_durations_are_hours_minutes_and_seconds(us: int, text: str) -> None:
    assert duration_text(us) == text
