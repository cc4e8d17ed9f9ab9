"""One cycle of a clock: what it has used, when it is due, what it declares. All on Monday 2 March 2026 in UTC.

`office` is open mon-fri 09:00-17:00.
"""

import json
from typing import Any

import pytest

from slastream.core.clocks import Cycle
from slastream.core.events import Override
from slastream.core.facts import Fact
from slastream.core.rules import Rule, Rulebook
from slastream.core.units import DAY, HOUR, MINUTE, Instant, format_instant, parse_instant
from slastream.wire.policy_file import load_policy

MONDAY = parse_instant("2026-03-02T00:00:00Z")
FRIDAY = Instant(MONDAY + 4 * DAY)
OFFICE = {"hours": {"mon-fri": ["09:00-17:00"]}}


def rule(calendar: str = "office", **promise: Any) -> Rule:
    fields = {"metric": "resolution", "within": "4h", "calendar": calendar, **promise}
    if "targets" in fields:
        del fields["within"]
    agreements = {"a": {"kind": "sla", "promises": {"p": fields}}}
    text = json.dumps({"version": 1, "calendars": {"office": OFFICE}, "agreements": agreements})
    return Rulebook(load_policy([("policy.yaml", text)], lambda name: name.encode())).rules[0]


def at(hour: float, day: Instant = MONDAY) -> Instant:
    return Instant(day + round(hour * HOUR))


class Clock:
    """A cycle with the facts that it declared; `advance` goes to just behind an instant."""

    def __init__(self, one: Rule, start: Instant, is_paused: bool = False) -> None:
        selection = one.selections[0][1]
        self.facts: list[Fact] = []
        self.cycle = Cycle.begin(one, 1, start, selection, is_paused, None)
        self.cycle.plan(start, "e")

    def pause(self, when: Instant) -> None:
        self.advance(when)
        self.cycle.pause(when)
        self.cycle.plan(when, "e")

    def resume(self, when: Instant) -> None:
        self.advance(when)
        self.cycle.resume(when)
        self.cycle.plan(when, "e")

    def stop(self, when: Instant) -> None:
        self.advance(when)
        self.cycle.stop(when, "e", self.facts)

    def select(self, number: int, when: Instant, carries: bool = False) -> None:
        self.advance(when)
        self.cycle.retarget(self.cycle.rule.selections[number][1], when, carries)
        self.cycle.plan(when, "e", has_moved=True)

    def override(self, due_at: Instant | None, when: Instant) -> None:
        self.advance(when)
        self.cycle.set_override(None if due_at is None else Override("p", due_at, "kim", "agreed"))
        self.cycle.plan(when, "e", has_moved=True)

    def advance(self, when: Instant) -> None:
        self.cycle.advance(when, self.facts)

    def said(self) -> list[tuple[str, str | None, str]]:
        return [(fact.fact, fact.threshold, format_instant(fact.at)[8:16]) for fact in self.facts]

    def used(self, when: Instant) -> tuple[float, float]:
        """Hours elapsed and paused."""
        reading = self.cycle.read(when)
        return reading.elapsed_us / HOUR, reading.paused_us / HOUR


def due(clock: Clock) -> str | None:
    return None if clock.cycle.due_at is None else format_instant(clock.cycle.due_at)[8:16]


# ---- elapsed and due -------------------------------------------------------------------------------------------------


def test_a_target_used_up_at_closing_is_due_then_and_late_at_the_next_opening() -> None:
    #  Fri 13:00 -- 4 h -- 17:00 due      Mon 09:00 breached
    clock = Clock(rule(), at(13, FRIDAY))
    assert due(clock) == "06T17:00"
    clock.advance(at(9, Instant(FRIDAY + 3 * DAY)))
    assert clock.said() == []
    clock.advance(Instant(at(9, Instant(FRIDAY + 3 * DAY)) + 1))
    assert clock.said() == [("breached", None, "09T09:00")]


@pytest.mark.parametrize(("hour", "status"), [(12.5, "met"), (13, "met"), (13 + 1 / HOUR, "breached")])
def test_a_stop_at_the_instant_of_the_breach_is_met(hour: float, status: str) -> None:
    clock = Clock(rule(), at(9))
    clock.stop(at(hour))
    assert clock.cycle.status() == status


def test_a_stop_while_the_calendar_is_closed_is_met_when_the_target_was_used_up_at_closing() -> None:
    clock = Clock(rule(), at(13, FRIDAY))
    clock.stop(at(12, Instant(FRIDAY + DAY)))
    assert (clock.cycle.status(), clock.used(FRIDAY)) == ("met", (4, 0))


@pytest.mark.parametrize(("hour", "status"), [(10, "met"), (10 + 1 / HOUR, "breached")])
def test_a_target_in_days_is_met_up_to_its_due_instant(hour: float, status: str) -> None:
    clock = Clock(rule(within="1 business_days"), at(10))
    clock.stop(at(hour, Instant(MONDAY + DAY)))
    assert clock.cycle.status() == status


def test_a_target_of_nothing_is_due_at_its_start_and_met_there() -> None:
    clock = Clock(rule(within="0m"), at(10))
    assert due(clock) == "02T10:00"
    clock.stop(at(10))
    assert (clock.cycle.status(), clock.said()) == ("met", [])


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        ("4h", "02T17:00"),  # two hours are left at 15:00
        ("1 business_days", "03T13:00"),  # by the open time paused
        ("1 calendar_days", "03T13:00"),  # by the real time paused
    ],
)
def test_a_pause_inside_the_hours_moves_the_due_instant(within: str, expected: str) -> None:
    #  Mon 10:00 start -- 2 h -- 12:00 paused -- 3 h -- 15:00 resumed
    clock = Clock(rule(within=within), at(10))
    clock.pause(at(12))
    assert due(clock) is None
    clock.resume(at(15))
    assert due(clock) == expected


def test_a_pause_outside_the_hours_moves_calendar_days_only() -> None:
    #  Mon 10:00 start; pause 17:00 to Tue 09:00, 16 h of the wall and none of the office
    found = {}
    for within in ("12h", "2 business_days", "2 calendar_days"):
        clock = Clock(rule(within=within), at(10))
        clock.pause(at(17))
        clock.resume(at(33))
        found[within] = due(clock)
    assert found == {"12h": "03T14:00", "2 business_days": "04T10:00", "2 calendar_days": "05T02:00"}


def test_while_paused_it_shows_when_it_would_be_due_if_resumed_now() -> None:
    clock = Clock(rule(), at(10))
    clock.pause(at(12))
    reading = clock.cycle.read(at(14))
    assert (reading.status, reading.due_at) == ("paused", None)
    assert reading.due_if_resumed_now == at(16)


def test_a_clock_that_stops_while_paused_keeps_the_due_instant_of_a_resumption_then() -> None:
    clock = Clock(rule(), at(10))
    clock.pause(at(12))
    clock.stop(at(14))
    assert (clock.cycle.status(), due(clock)) == ("met", "02T16:00")


def test_a_clock_that_starts_paused_has_used_nothing() -> None:
    clock = Clock(rule(), at(10), is_paused=True)
    assert clock.used(at(13)) == (0, 3)
    clock.resume(at(13))
    assert (due(clock), clock.used(at(14))) == ("02T17:00", (1, 3))


def test_a_pause_and_its_end_at_one_instant_leave_no_trace() -> None:
    clock = Clock(rule(), at(10))
    clock.pause(at(11))
    clock.resume(at(11))
    assert (clock.cycle.switches, due(clock)) == ([at(10)], "02T14:00")
    clock.pause(at(12))
    clock.resume(at(12))
    clock.pause(at(12))
    assert clock.used(at(13)) == (2, 1)


def test_paused_and_out_of_hours_are_two_flags() -> None:
    clock = Clock(rule(), at(10))
    clock.pause(at(12))
    assert (clock.cycle.read(at(13)).in_hours, clock.cycle.read(at(20)).in_hours) == (True, False)
    assert clock.cycle.status() == "paused"


# ---- breaches, stops, reopenings -------------------------------------------------------------------------------------


def test_a_breached_clock_keeps_measuring_and_says_that_it_was_done_late() -> None:
    clock = Clock(rule("24x7"), at(8))
    clock.stop(at(15))
    assert clock.said() == [("breached", None, "02T12:00"), ("met_late", None, "02T15:00")]
    assert (clock.cycle.status(), due(clock), clock.used(at(20))) == ("breached", "02T12:00", (7, 0))


def test_a_pause_after_the_breach_moves_nothing() -> None:
    clock = Clock(rule("24x7"), at(8))
    clock.pause(at(13))
    assert (clock.cycle.status(), due(clock)) == ("breached", "02T12:00")
    assert clock.cycle.read(at(14)).due_if_resumed_now is None


def test_the_time_between_a_stop_and_a_reopening_is_a_pause() -> None:
    clock = Clock(rule(), at(9))
    clock.stop(at(10))
    clock.cycle.reopen(at(12), False, "e", clock.facts)
    clock.cycle.plan(at(12), "e")
    assert (clock.cycle.status(), clock.used(at(13)), due(clock)) == ("running", (2, 2), "02T15:00")


def test_reopening_after_a_breach_takes_back_that_it_was_done_and_does_not_breach_again() -> None:
    clock = Clock(rule("24x7"), at(8))
    clock.stop(at(13))
    clock.cycle.reopen(at(14), False, "e", clock.facts)
    clock.cycle.plan(at(14), "e")
    clock.stop(at(20))
    assert clock.said() == [
        ("breached", None, "02T12:00"),
        ("met_late", None, "02T13:00"),
        ("retracted", None, "02T14:00"),
        ("met_late", None, "02T20:00"),
    ]
    assert [fact.occurrence for fact in clock.facts] == [1, 1, 1, 2]


def test_a_cancelled_clock_has_no_due_instant_and_a_breached_one_stays_breached() -> None:
    early, late = Clock(rule("24x7"), at(8)), Clock(rule("24x7"), at(8))
    early.advance(at(10))
    early.cycle.cancel(at(10), "merged", "e", early.facts)
    late.advance(at(13))
    late.cycle.cancel(at(13), "merged", "e", late.facts)
    assert (early.cycle.status(), due(early), early.cycle.cancel_reason) == ("cancelled", None, "merged")
    assert (late.cycle.status(), due(late), late.cycle.cancel_reason) == ("breached", "02T12:00", "merged")
    assert late.said() == [("breached", None, "02T12:00")]


def test_only_a_lost_match_to_be_reassessed_takes_a_breach_back() -> None:
    clock = Clock(rule("24x7", on_change="reassess"), at(8))
    clock.advance(at(13))
    clock.cycle.cancel(at(13), "no_match", "e", clock.facts)
    assert clock.cycle.status() == "cancelled"
    assert clock.said()[-1] == ("retracted", None, "02T13:00")


# ---- other targets ---------------------------------------------------------------------------------------------------

TWO = [{"when": {"priority": "P1"}, "within": "4h"}, {"within": "1h"}]


def test_a_target_from_the_original_start_that_is_used_up_breaches_at_the_change() -> None:
    clock = Clock(rule("24x7", targets=TWO), at(8))
    clock.select(1, at(10))
    clock.advance(Instant(at(10) + 1))
    assert (clock.said(), due(clock)) == ([("breached", None, "02T10:00")], "02T09:00")


def test_time_carried_counts_against_the_new_target() -> None:
    targets = [{"when": {"priority": "P1"}, "within": "4h", "calendar": "24x7"}, {"within": "4h"}]
    clock = Clock(rule(targets=targets), at(6))
    clock.select(1, at(9), carries=True)
    assert (clock.used(at(9)), due(clock)) == ((3, 0), "02T10:00")


def test_a_target_on_another_calendar_measures_every_stretch_again() -> None:
    #  06:00 start 24x7, pause 08:00-10:00, 11:00 office: 1 h used, 1 h paused since the opening
    targets = [{"when": {"priority": "P1"}, "within": "9h", "calendar": "24x7"}, {"within": "4h"}]
    clock = Clock(rule(targets=targets), at(6))
    clock.pause(at(8))
    clock.resume(at(10))
    clock.select(1, at(11))
    assert (clock.used(at(11)), due(clock)) == ((1, 1), "02T14:00")


# ---- overrides -------------------------------------------------------------------------------------------------------


def test_a_due_instant_set_by_hand_holds_while_paused_and_outside_the_hours() -> None:
    clock = Clock(rule(), at(9))
    clock.pause(at(10))
    clock.override(at(20), at(11))
    assert due(clock) == "02T20:00"
    clock.advance(at(21))
    assert clock.said() == [("breached", None, "02T20:00")]


def test_a_due_instant_set_by_hand_can_be_taken_back() -> None:
    clock = Clock(rule(), at(9))
    clock.override(at(20), at(10))
    clock.override(None, at(11))
    assert due(clock) == "02T13:00"


def test_a_due_instant_set_by_hand_does_not_undo_a_breach() -> None:
    clock = Clock(rule("24x7"), at(8))
    clock.override(at(20), at(13))
    assert (clock.cycle.status(), clock.cycle.override, due(clock)) == ("breached", None, "02T12:00")


def test_a_due_instant_set_by_hand_in_the_past_breaches_at_the_event() -> None:
    clock = Clock(rule("24x7"), at(8))
    clock.override(at(9), at(10))
    clock.advance(at(11))
    assert clock.said() == [("breached", None, "02T10:00")]
    assert clock.facts[0].caused_by == "e"


# ---- warnings --------------------------------------------------------------------------------------------------------


def test_each_warning_comes_once_in_the_order_of_time() -> None:
    clock = Clock(rule("24x7", warn_at=["-30m", "50%", "75%"]), at(8))
    clock.advance(at(20))
    assert clock.said() == [
        ("warned", "50%", "02T10:00"),
        ("warned", "75%", "02T11:00"),
        ("warned", "-30m", "02T11:30"),
        ("breached", None, "02T12:00"),
    ]
    assert {fact.caused_by for fact in clock.facts} == {"deadline"}


def test_a_mark_used_up_at_closing_warns_then() -> None:
    #  Fri 15:00 -- 2 h of 4 -- 17:00
    clock = Clock(rule(warn_at=["50%"]), at(15, FRIDAY))
    clock.advance(at(18, FRIDAY))
    assert clock.said() == [("warned", "50%", "06T17:00")]


def test_a_mark_before_the_start_does_not_exist() -> None:
    clock = Clock(rule("24x7", warn_at=["-5h", "-1h"], within="4h"), at(8))
    clock.advance(at(11.5))
    assert clock.said() == [("warned", "-1h", "02T11:00")]


def test_a_pause_holds_a_warning_back() -> None:
    clock = Clock(rule("24x7", warn_at=["50%"]), at(8))
    clock.pause(at(9))
    clock.resume(at(12))
    clock.advance(at(13.5))
    assert clock.said() == [("warned", "50%", "02T13:00")]


def test_a_mark_that_lies_ahead_again_is_taken_back_and_comes_again() -> None:
    targets = [{"when": {"priority": "P1"}, "within": "2h"}, {"within": "8h"}]
    clock = Clock(rule("24x7", targets=targets, warn_at=["50%"]), at(8))
    clock.select(1, at(9.5))
    clock.advance(at(13))
    assert clock.said() == [
        ("warned", "50%", "02T09:00"),
        ("retracted", "50%", "02T09:30"),
        ("warned", "50%", "02T12:00"),
    ]
    assert [fact.occurrence for fact in clock.facts] == [1, 1, 2]


def test_a_clock_past_its_last_warning_is_at_risk_until_it_is_late() -> None:
    clock = Clock(rule("24x7", warn_at=["50%", "75%"]), at(8))
    clock.advance(at(10.5))
    assert not clock.cycle.is_at_risk
    clock.advance(Instant(at(11) + MINUTE))
    assert clock.cycle.is_at_risk
    clock.advance(at(13))
    assert not clock.cycle.is_at_risk
