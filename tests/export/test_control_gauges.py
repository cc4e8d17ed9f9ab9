"""The stream's charts, signs and forecasts are those of a replay of the same events."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from export.scenario import Desk, Values, by_days, policy_of, values_of
from slastream.app import replay_events
from slastream.core.units import DAY, HOUR, SECOND, Instant, format_instant, parse_instant
from slastream.export.collector import Collector

POLICY = """
version: 1
pause_reasons: [fields.why]
calendars: {office: {hours: {mon-fri: ["08:00-18:00"]}}}
agreements:
  gold:
    kind: sla
    calendar: office
    objective: {target: 80%, period: month, basis: completed}
    promises:
      resolution: {metric: resolution, within: {P1: 4h, default: 12h}, warn_at: [50%]}
      days: {metric: closure, within: 2 business_days}
"""
NOW = parse_instant("2026-05-20T12:00:00Z")
Value = float | None


def events(seed: int, number: int = 700) -> list[tuple[Instant, bytes]]:
    """Tickets of 40 days with pauses, changes of priority, overrides and reopenings; some are open still."""
    draw = random.Random(seed)  # a story, not a secret
    found = []
    for ticket in range(number):
        at = Instant(NOW - draw.randrange(int(40 * DAY)))
        ticket_id, service = f"T-{ticket}", draw.choice(["mail", "mail", "web"])

        def say(at: Instant, ticket_id: str = ticket_id, **rest: Any) -> None:
            if at <= NOW:
                found.append((at, orjson.dumps({"ticket_id": ticket_id, "occurred_at": format_instant(at), **rest})))

        say(at, ticket={"service": service, "status": "new", "priority": draw.choice(["P1", "P2", None])})
        for _ in range(draw.randrange(4)):
            at = Instant(at + draw.randrange(int(8 * HOUR)))
            why = draw.choice([None, "vendor"])
            match draw.randrange(4):
                case 0:
                    say(at, ticket={"status": "pending", "fields": {"why": why}})
                    at = Instant(at + draw.randrange(int(5 * HOUR)))
                    say(at, ticket={"status": "open"})
                case 1:
                    say(at, ticket={"priority": draw.choice(["P1", "P2"])})
                case 2:
                    due = {"promise": "resolution", "due_at": format_instant(Instant(at + DAY))}
                    say(at, type="override", override={**due, "by": "boss"})
                case _:
                    say(at, ticket={"assignee": "ann"})
        for status in draw.choice([["resolved", "closed"], ["closed"], ["resolved", "open", "closed"], []]):
            at = Instant(at + draw.randrange(int(30 * HOUR)))
            say(at, ticket={"status": status})
    return sorted(found)


def streamed(log: list[tuple[Instant, bytes]], seed: int) -> Values:
    """The samples of a desk that got the events day by day, some of them late, with a look at it between."""
    desk = Desk(policy_of(POLICY))
    collector = Collector(desk.policy, desk.runtime, snapshot_seconds=0.0, clock=lambda: NOW / SECOND)
    for day, come in by_days(log, NOW, seed):
        desk.feed(come, day)
        asyncio.run(collector.refresh())
    desk.feed([], NOW)
    asyncio.run(collector.refresh())
    return values_of(collector.text(is_openmetrics=False).decode())


def replayed(log: list[tuple[Instant, bytes]]) -> Iterator[tuple[str, dict[str, str], Value]]:
    """What the lines of a replay say of each sample; None: there is none."""
    lines = replay_events(POLICY, [line for _, line in log], format_instant(NOW), "all")
    for line in lines:
        key = {name: line[name] for name in ("service", "agreement", "promise") if line.get(name)}
        match line["kind"]:
            case "control":
                limits = line["limits"] or dict.fromkeys(("lower_seconds", "centre_seconds", "upper_seconds"))
                for word in ("lower", "centre", "upper"):
                    yield "sla_control_limit_seconds", {**key, "limit": word}, limits[f"{word}_seconds"]
                if line["limits"]:
                    outside = line["points"] - line["inside"]
                    yield "sla_control_points", {**key, "place": "inside"}, line["inside"]
                    yield "sla_control_points", {**key, "place": "outside"}, outside
                    for rule, count in line["signals"].items():
                        yield "sla_control_signals", {**key, "rule": rule}, count
                    direction = {"rising": 1, "falling": -1, None: 0}[line["trend"]["direction"]]
                    yield "sla_control_trend", key, direction
                yield "sla_capability_index", key, line["capability"]["index"]
            case "maturity" if line["promise"] and line["window"]["start"] == "2026-05-01T00:00:00Z":
                window = {**key, "window": "month"}
                for sign in ("ended", "overridden", "reopened", "priority_changed_after_warning", "paused_before_due"):
                    yield "sla_maturity_clocks", {**window, "sign": sign}, line[sign]
                pauses = line["pauses"]
                yield "sla_maturity_pauses", {**window, "pause_reason": "given"}, pauses["with_reason"]
                missing = pauses["total"] - pauses["with_reason"]
                yield "sla_maturity_pauses", {**window, "pause_reason": "missing"}, missing
            case "forecast":
                yield "sla_expected_breaches", key, line["expected_breaches"]
                yield "sla_forecast_clocks", {**key, "chance": "told"}, line["predicted"]
                yield "sla_forecast_clocks", {**key, "chance": "unknown"}, line["open"] - line["predicted"]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stream_and_a_replay_say_the_same(seed: int) -> None:
    log = events(seed)
    expected = list(replayed(log))
    found = streamed(log, seed)
    compared: dict[str, list[Value]] = {}
    for name, labels, value in expected:
        assert found.get((name, frozenset(labels.items()))) == (None if value is None else pytest.approx(value)), (
            name, labels,
        )  # fmt: skip
        compared.setdefault(name, []).append(value)
    for name in ("sla_control_limit_seconds", "sla_control_signals", "sla_capability_index", "sla_expected_breaches"):
        assert any(compared[name]), f"nothing to compare of {name}"
    for sign in ("overridden", "reopened", "priority_changed_after_warning", "paused_before_due"):
        assert any(value for name, labels, value in expected if labels.get("sign") == sign), sign
