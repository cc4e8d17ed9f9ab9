"""The report of April 2016 of the UCI log: every figure again, from the raw file (`uci_by_hand`)."""

import json
import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page

from slastream.app import load_policy_path, service_level_report
from slastream.ingest.mapping import load_mapping
from slastream.report.as_html import Names, report_html
from slastream.report.as_json import report_json
from slastream.report.report_period import parse_period

from . import uci_by_hand as by_hand
from .report_looks import faults_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "uci"
START, END = by_hand.month("2016-04")
PROMISES = ("closure", "resolution")


class Two(NamedTuple):
    """The report as JSON and as a page, and what it is to be compared with."""

    report: Any
    page: str
    tickets: list[by_hand.Ticket]
    clocks: list[by_hand.Clock]

    def of(self, promise: str) -> list[by_hand.Clock]:
        return [one for one in self.clocks if one.promise == promise]


@pytest.fixture(scope="module")
def two(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Two:
    packed = shared / "data" / "uci_incidents" / "incident_event_log_until_2016-04.csv.xz"
    raw = tmp_path_factory.mktemp("uci") / "incidents.csv"
    raw.write_bytes(lzma.decompress(packed.read_bytes()))
    events = list(load_mapping(str(EXAMPLES / "mapping.yaml")).run([str(raw)], print))

    def read() -> Iterator[tuple[str, int, bytes]]:
        return (("uci", number, line) for number, line in enumerate(events, 1))

    report = service_level_report(load_policy_path(EXAMPLES / "policy.yaml"), read, parse_period("2016-04"), "company")
    tickets = by_hand.read_tickets(packed, END)
    page = report_html(report, "en", Names("policy.yaml", ("events.jsonl",))).decode()
    return Two(json.loads(report_json(report)), page, tickets, list(by_hand.clocks_of(tickets, END)))


def pair(share: Any) -> tuple[int, int]:
    return share["met"], share["total"]


def test_each_month_of_each_promise_by_each_basis(two: Two) -> None:
    for promise in two.report["promises"]:
        for month in promise["months"]:
            counted = by_hand.shares(two.of(promise["promise"]), *by_hand.month(month["period"]))
            assert {basis: pair(month[basis]) for basis in counted} == counted, (promise["promise"], month["period"])


def test_the_promises_of_the_month(two: Two) -> None:
    assert [one["promise"] for one in two.report["promises"]] == list(PROMISES)
    for promise in two.report["promises"]:
        clocks = two.of(promise["promise"])
        met, total = by_hand.shares(clocks, START, END)["completed"]
        assert pair(promise["kept"]) == (met, total)
        assert promise["kept"]["ratio"] == met / total
        assert promise["open"] == sum(one.cycle.stopped is None for one in clocks)
        assert promise["open_breached"] == sum(
            one.cycle.stopped is None and one.cycle.broken is not None for one in clocks
        )
        [period] = promise["objective_periods"]
        assert (period["allowed"], period["remaining"]) == pytest.approx((0.4 * total, 0.4 * total - (total - met)))
        assert period["is_reached"] == (met >= 0.6 * total)
    both = [by_hand.shares(two.of(one), START, END)["completed"] for one in PROMISES]
    assert pair(two.report["reliable"]["kept"]) == (sum(met for met, _ in both), sum(total for _, total in both))


def test_the_evidence_of_each_promise(two: Two) -> None:
    for promise in two.report["promises"]:
        page = two.report["evidence"][promise["evidence"] - 1]
        counted = [one for one in two.of(promise["promise"]) if by_hand.belongs(one, "completed", START, END)]
        assert page["kept"] == sorted({one.ticket for one in counted if one.is_met})
        assert page["missed"] == sorted({one.ticket for one in counted if not one.is_met})


@pytest.mark.parametrize("attribute", ["priority", "group"])
def test_the_views(two: Two, attribute: str) -> None:
    counts: dict[tuple[Any, str], list[int]] = {}
    for clock in two.clocks:
        if by_hand.belongs(clock, "completed", START, END):
            row = counts.setdefault((getattr(clock.cycle.labels, attribute), clock.promise), [0, 0])
            row[0] += clock.is_met
            row[1] += 1
    told = {
        (one["value"], one["promise"]): list(pair(one["kept"]))
        for one in two.report["views"]
        if one["attribute"] == attribute
    }
    assert told == counts


def test_the_breaches(two: Two) -> None:
    broken = [one for one in two.clocks if one.cycle.broken is not None and START <= one.cycle.broken < END]
    by_identity = {(one.ticket, one.promise): one.cycle for one in broken}
    assert len(two.report["breaches"]) == len(broken) == len(by_identity)
    for told in two.report["breaches"]:
        cycle = by_identity[told["ticket_id"], told["promise"]]
        assert told["breached_at"] == (None if cycle.broken is None else by_hand.rfc3339(cycle.broken))
        assert told["stopped_at"] == (None if cycle.stopped is None else by_hand.rfc3339(cycle.stopped))
        over = cycle.elapsed(END if cycle.stopped is None else cycle.stopped) - cycle.target
        assert told["over_seconds"] == max(0, over) * 60
    for attribute in ("priority", "group"):
        told_counts = {
            one["value"]: one["breaches"] for one in two.report["breach_counts"] if one["attribute"] == attribute
        }
        assert told_counts == Counter(getattr(one.cycle.labels, attribute) for one in broken)


def test_the_control_charts(two: Two) -> None:
    inside = tickets = 0
    for told in two.report["control"]:
        found = by_hand.control(two.of(told["promise"]), START, END)
        assert told["service"] == "service-desk"
        assert told["tickets"] == found.tickets
        assert pair(told["inside"]) == (found.inside, found.tickets)
        assert told["signals"] == found.broken
        minutes = {"median": found.middle, "ninetieth": found.ninetieth, "lower": found.lower, "upper": found.upper}
        for name, value in minutes.items():
            assert told[f"{name}_seconds"] == pytest.approx(float(value) * 60, rel=1e-12), name
        inside, tickets = inside + found.inside, tickets + found.tickets
    assert [one["promise"] for one in two.report["control"]] == list(PROMISES)
    assert pair(two.report["consistent"]["inside"]) == (inside, tickets)


def test_who_had_the_tickets(two: Two) -> None:
    spent: Counter[by_hand.Holder] = Counter()
    tickets = handoffs = 0
    closed, reopened = [], []
    for ticket in two.tickets:
        trail = by_hand.trail_of(ticket)
        time = by_hand.time_in(trail, START, END)
        spent.update(time)
        if time:
            tickets, handoffs = tickets + 1, handoffs + by_hand.handoffs(trail)
        if by_hand.is_closed_in(trail, START, END):
            closed.append(ticket.number)
            if by_hand.is_reopened(trail, START, END):
                reopened.append(ticket.number)
    told = two.report["efficient"]
    assert {(one["party"], one["name"]): one["held_seconds"] for one in two.report["group_times"]} == {
        who: minutes * 60 for who, minutes in spent.items()
    }
    by_party: Counter[str] = Counter()
    for (party, _), minutes in spent.items():
        by_party[party] += minutes * 60
    assert {one["party"]: one["held_seconds"] for one in told["parties"]} == by_party
    assert told["total_seconds"] == by_party.total()
    assert told["touched"] == pytest.approx(by_party["group"] / by_party.total(), rel=1e-12)
    assert (told["tickets"], told["handoffs"]) == (tickets, handoffs)
    assert pair(told["reopened"]) == (len(reopened), len(closed))
    page = two.report["evidence"][told["reopened_evidence"] - 1]
    assert (page["missed"], page["kept"]) == (reopened, sorted(set(closed) - set(reopened)))


def test_what_customers_waited_for(two: Two) -> None:
    parties = {one["party"]: one["held_seconds"] for one in two.report["efficient"]["parties"]}
    told, waited = two.report["outsourcing"], sum(parties.values()) - parties["requester"]
    assert (told["waited_seconds"], told["held_seconds"]) == (waited, parties["provider"])
    assert told["waited"] == pytest.approx(parties["provider"] / waited, rel=1e-12)
    assert [(one["provider"], one["held_seconds"], one["kept"]["total"]) for one in told["providers"]] == [
        (None, parties["provider"], 0)
    ]


def test_the_causes_of_breaches(two: Two) -> None:
    trails = {ticket.number: by_hand.trail_of(ticket) for ticket in two.tickets}
    breaches: Counter[by_hand.Holder] = Counter()
    minutes: Counter[by_hand.Holder] = Counter()
    for clock in two.clocks:
        if clock.cycle.broken is not None and START <= clock.cycle.broken < END:
            who, used = by_hand.cause(clock.cycle, trails[clock.ticket])
            breaches[who] += 1
            minutes[who] += used
    told = {(one["party"], one["name"]): (one["breaches"], one["held_seconds"]) for one in two.report["breach_causes"]}
    assert told == {who: (count, minutes[who] * 60) for who, count in breaches.items()}


def test_the_signs_of_a_gamed_number(two: Two) -> None:
    for told in two.report["maturity"]["signs"]:
        ended = [one.cycle for one in two.of(told["promise"]) if one.cycle.stopped and START <= one.cycle.stopped < END]
        assert (told["ended"], told["cancelled"], told["overridden"]) == (len(ended), 0, 0)
        assert told["reopened"] == sum(one.reopened > 0 for one in ended)
        assert told["priority_changed_after_warning"] == sum(one.changed_late > 0 for one in ended)
        assert told["paused_before_due"] == sum(one.near_due > 0 for one in ended)
        assert pair(told["pauses"]) == (0, sum(one.pauses for one in ended))
    opened = [one for one in two.tickets if START <= one.opened < END]
    assert pair(two.report["maturity"]["covered"]) == (len(opened), len(opened))


def test_the_age_of_open_tickets(two: Two) -> None:
    told = {one["from_days"]: (one["in_time"], one["breached"], one["without_promise"]) for one in two.report["ageing"]}
    assert told == by_hand.ages(two.tickets, two.clocks, END)


def test_nothing_is_excluded(two: Two) -> None:
    found = two.report["exclusions"]
    assert (found["cancelled"], found["overrides"], found["tickets_without_promise"], found["rejected_events"]) == (
        [],
        [],
        0,
        0,
    )


def test_its_page_is_accessible_and_nothing_lies_over_another(two: Two, browser_page: Page) -> None:
    assert faults_of(two.page, browser_page) == []
