"""Charts, predictions and what-if of the UCI log, again from the raw file (`uci_by_hand`) or from two replays."""

import itertools
import lzma
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from slastream.app import Lines, load_policy_path, replay, what_if
from slastream.core.policies import Policy
from slastream.core.units import parse_instant
from slastream.ingest.mapping import load_mapping

from . import uci_by_hand as by_hand

EXAMPLES = Path(__file__).parents[2] / "examples" / "uci"
RAW = Path("data") / "uci_incidents" / "incident_event_log_until_2016-04.csv.xz"
END = by_hand.month("2016-03")[1] + 10 * by_hand.DAY
UNTIL = parse_instant(by_hand.rfc3339(END))
PROMISES = ("closure", "resolution")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def log(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    raw = tmp_path_factory.mktemp("uci") / "incidents.csv"
    raw.write_bytes(lzma.decompress((shared / RAW).read_bytes()))
    events = list(load_mapping(str(EXAMPLES / "mapping.yaml")).run([str(raw)], print))
    return lambda: (("uci", number, line) for number, line in enumerate(events, 1))


@pytest.fixture(scope="module")
def lines(log: Lines) -> list[Json]:
    """Of the replay of the log up to the tenth of April."""
    shown = replay(load_policy_path(EXAMPLES / "policy.yaml"), log, UNTIL, "all").lines
    return [line for line in shown if line["kind"] in ("control", "forecast", "prediction")]


@pytest.fixture(scope="module")
def clocks(shared: Path) -> list[by_hand.Clock]:
    """The replay counts what happens at its very end; a minute later is the next one that the log could have."""
    return list(by_hand.clocks_of(by_hand.read_tickets(shared / RAW, END + 1), END))


def finished(clocks: list[by_hand.Clock], promise: str) -> list[by_hand.Clock]:
    found = [one for one in clocks if one.promise == promise and one.cycle.stopped is not None]
    return sorted(found, key=lambda one: (one.cycle.stopped or 0, by_hand.identity(one)))


def of(lines: list[Json], kind: str, promise: str) -> list[Json]:
    return [one for one in lines if one["kind"] == kind and one["promise"] == promise]


@pytest.mark.parametrize("promise", PROMISES)
def test_the_chart_of_the_newest_hundred(lines: list[Json], clocks: list[by_hand.Clock], promise: str) -> None:
    newest = finished(clocks, promise)[-100:]
    values = [one.cycle.used for one in newest]
    chart = by_hand.control(newest, 0, END + 1)
    (line,) = of(lines, "control", promise)
    assert line["points"] == 100
    assert (line["from"], line["to"]) == (
        by_hand.rfc3339(newest[0].cycle.stopped or 0), by_hand.rfc3339(newest[-1].cycle.stopped or 0),
    )  # fmt: skip
    assert line["limits"]["centre_seconds"] == chart.middle * 60
    assert line["limits"]["lower_seconds"] == pytest.approx(float(chart.lower * 60))
    assert line["limits"]["upper_seconds"] == pytest.approx(float(chart.upper * 60))
    assert line["inside"] == chart.inside
    assert [line["signals"][str(rule)] for rule in (1, 2, 3, 4)] == chart.broken
    pairs = list(itertools.combinations(range(100), 2))
    assert line["trend"]["score"] == sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)
    slopes = sorted(Fraction(values[j] - values[i], j - i) for i, j in pairs)
    assert line["trend"]["slope_seconds"] == pytest.approx(float((slopes[2474] + slopes[2475]) / 2 * 60))
    capability = line["capability"]
    assert capability["within"] == {"met": sum(one.is_met for one in newest), "total": 100}
    used = sorted(Fraction(one.cycle.used, one.cycle.target) for one in newest if one.cycle.target)
    sixtieth = used[-(-3 * len(used) // 5) - 1]
    middle = (used[len(used) // 2] + used[-len(used) // 2 - 1 + len(used) % 2]) / 2
    assert capability["targeted"] == len(used)
    assert capability["spread_used"] == pytest.approx(float(sixtieth))
    assert capability["median_used"] == pytest.approx(float(middle))


@pytest.mark.parametrize("promise", PROMISES)
def test_the_chance_of_each_open_clock(lines: list[Json], clocks: list[by_hand.Clock], promise: str) -> None:
    history = [(one.cycle.labels, one.cycle.used) for one in finished(clocks, promise)[-500:]]
    expected = {}
    for one in clocks:
        if one.promise == promise and one.cycle.stopped is None and one.cycle.broken is None and one.cycle.labels:
            elapsed, priority = one.cycle.elapsed(END), one.cycle.labels.priority
            peers = [used for labels, used in history if labels and labels.priority == priority and used > elapsed]
            late = sum(used > one.cycle.target for used in peers)
            is_told = len(peers) >= 20 and not one.cycle.is_paused
            expected[one.ticket, one.number] = (late, len(peers)) if is_told else (None, None)
    found = {
        (one["ticket_id"], one["cycle"]): (one["breaching"], one["peers"]) for one in of(lines, "prediction", promise)
    }
    assert found == expected
    told = [Fraction(late, peers) for late, peers in expected.values() if late is not None and peers]
    (forecast,) = of(lines, "forecast", promise)
    assert (forecast["open"], forecast["predicted"]) == (len(expected), len(told))
    assert forecast["predicted"] > 100
    assert forecast["expected_breaches"] == pytest.approx(float(sum(told)))


def test_what_if_lists_exactly_the_verdicts_that_differ_between_two_replays(log: Lines, tmp_path: Path) -> None:
    """The desk opens an hour earlier on Mondays."""
    text = (EXAMPLES / "policy.yaml").read_text(encoding="utf-8")
    hours = 'hours: {mon-fri: ["14:00-23:00"]}'
    assert hours in text
    proposed = tmp_path / "proposed.yaml"
    proposed.write_text(text.replace(hours, 'hours: {mon: ["13:00-23:00"], tue-fri: ["14:00-23:00"]}'))
    policies = load_policy_path(EXAMPLES / "policy.yaml"), load_policy_path(proposed)
    told = list(what_if(*policies, log, UNTIL).lines)
    before, after = (dict(verdicts(policy, log)) for policy in policies)
    assert set(before) == set(after)
    differing = {name for name in before if before[name] != after[name]}
    assert 0 < len(differing) < len(before), "some differ, some do not"
    lines = {name_of(one): one for one in told if one["kind"] == "difference"}
    assert set(lines) == differing
    for name, line in lines.items():
        for side, verdict, other in (("before", before, after), ("after", after, before)):
            changed = {field: value for field, value in verdict[name].items() if value != other[name].get(field)}
            assert line[side] == changed
    summary = told[-1]
    assert (summary["clocks"], summary["differing"]) == (len(before), len(differing))
    moves = [(before[name]["status"], after[name]["status"]) for name in before]
    assert {(one["before"], one["after"]): one["clocks"] for one in summary["statuses"]} == {
        move: moves.count(move) for move in set(moves) if move[0] != move[1]
    }


def verdicts(policy: Policy, log: Lines) -> Iterator[tuple[tuple[str, ...], Json]]:
    for line in replay(policy, log, UNTIL).lines:
        del line["policy_version"]
        yield name_of(line), line


def name_of(line: Json) -> tuple[str, ...]:
    return line["ticket_id"], line["agreement"], line["promise"], str(line["cycle"])
