"""What contracts cost, cover and count, whose time tickets were and what users said: the metrics are those of a replay."""

import asyncio
import random
from collections import defaultdict
from typing import Any

import orjson
import pytest

from export.scenario import Desk, Values, by_days, policy_of, values_of
from slastream.app import replay_events
from slastream.core.units import DAY, HOUR, SECOND, Instant, format_instant, parse_instant
from slastream.export.collector import Collector

POLICY = """
version: 1
calendars: {office: {hours: {mon-fri: ["08:00-18:00"]}}}
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  web: {customer: acme, provider: hosting-co, team: commerce}
agreements:
  gold:
    kind: sla
    customer: acme
    rank: 1
    calendar: office
    objective: {target: 80%, period: month, basis: completed}
    scope:
      services: [mail, web]
      types: [incident]
      volumes: {incidents: {low: 10, high: 60}, mail: {match: {service: mail}, high: 20}}
    promises:
      resolution: {metric: resolution, within: {P1: 4h, default: 12h}}
    credits: {fee: 10000 EUR, cap: 7%, bands: [{below: 80%, credit: 5%}, {below: 40%, credit: 10%}]}
  desk:
    kind: ola
    rank: 2
    supports: [gold]
    calendar: office
    match: {service: mail}
    promises:
      handling: {metric: resolution, within: 6h}
"""
NOW = parse_instant("2026-05-20T12:00:00Z")
MONTH = "2026-05-01T00:00:00Z"


def events(seed: int, number: int = 300) -> list[tuple[Instant, bytes]]:
    """Tickets of 40 days that go from hand to hand, some out of scope, some open still, some rated."""
    draw = random.Random(seed)  # a story, not a secret
    found = []
    for ticket in range(number):
        at = Instant(NOW - draw.randrange(int(40 * DAY)))

        def say(at: Instant, ticket_id: str = f"T-{ticket}", **rest: Any) -> None:
            if at <= NOW:
                found.append((at, orjson.dumps({"ticket_id": ticket_id, "occurred_at": format_instant(at), **rest})))

        first = {
            "service": draw.choice(["mail", "mail", "web", "dns"]),
            "type": draw.choice(["incident", "incident", "request"]),
            "priority": draw.choice(["P1", "P2", None]),
            "group": draw.choice(["desk", "net", None]),
        }
        say(at, ticket={"customer": "acme", "status": "new", **first})
        turns: list[dict[str, str]] = [
            {"status": "pending"}, {"status": "open"}, {"group": "net"}, {"status": "hold"}, {"service": "web"},
        ]  # fmt: skip
        for _ in range(draw.randrange(4)):
            at = Instant(at + draw.randrange(int(8 * HOUR)))
            say(at, ticket=draw.choice(turns))
        if draw.random() < 0.7:
            at = Instant(at + draw.randrange(int(30 * HOUR)))
            say(at, ticket={"status": "resolved"})
            if draw.random() < 0.5:
                say(Instant(at + HOUR), type="rated", rating={"score": draw.randrange(1, 6), "scale": 5})
    return sorted(found)


def streamed(log: list[tuple[Instant, bytes]], seed: int) -> Values:
    """The samples of a desk that got the events day by day, some of them late."""
    desk = Desk(policy_of(POLICY))
    for day, come in by_days(log, NOW, seed):
        desk.feed(come, day)
    desk.feed([], NOW)
    collector = Collector(desk.policy, desk.runtime, clock=lambda: NOW / SECOND)
    asyncio.run(collector.refresh())
    return values_of(collector.text(is_openmetrics=False).decode())


def replayed(log: list[tuple[Instant, bytes]]) -> Values:
    """The same from the lines of a replay; sums start at 0."""
    found: Values = defaultdict(float)

    def add(name: str, value: float, **labels: str | None) -> None:
        found[name, frozenset((label, word or "") for label, word in labels.items())] += value

    for line in replay_events(POLICY, [line for _, line in log], format_instant(NOW), "all"):
        match line["kind"]:
            case "ledger":
                for part in line["parts"]:
                    hand = {name: part[name] for name in ("service", "group", "party")}
                    add("sla_handoff_seconds_total", part["seconds"], **hand)
            case "chain":
                for one in line["supports"]:
                    link = {"service": line["service"], "agreement": one["agreement"], "supports": line["agreement"]}
                    add("sla_chain_misfits", not one["fits"], **link)
            case "experience" if line["promise"] is None:
                for verdict, one in line["by_verdict"].items():
                    key = {"service": line["service"], "verdict": verdict}
                    add("sla_satisfaction_score_sum", one["score_sum"], **key)
                    add("sla_satisfaction_score_count", one["ratings"], **key)
                    add("sla_satisfaction_ratings", one["happy"], **key, mood="happy")
                    add("sla_satisfaction_ratings", one["unhappy"], **key, mood="unhappy")
            case "scope" if line["window"]["start"] == MONTH:
                add("sla_scope_tickets", line["in_scope"], agreement=line["agreement"], scope="covered")
                add("sla_scope_tickets", line["out_of_scope"], agreement=line["agreement"], scope="outside")
                for one in line["volumes"]:
                    key = {"agreement": line["agreement"], "volume": one["volume"]}
                    add("sla_volume_tickets", one["tickets"], **key)
                    for side, bound in (("lower", one["low"]), ("upper", one["high"])):
                        if bound is not None:
                            add("sla_volume_band_tickets", bound, **key, limit=side)
            case "statement" if line["window"]["start"] == MONTH:
                key = {name: line[name] for name in ("customer", "agreement", "currency")}
                add("sla_credit_exposure", float(line["credit"]), **key)
    return found


NAMES = (
    "sla_handoff_seconds_total", "sla_chain_misfits", "sla_satisfaction_score_sum", "sla_satisfaction_score_count",
    "sla_satisfaction_ratings", "sla_scope_tickets", "sla_volume_tickets", "sla_volume_band_tickets", "sla_credit_exposure",
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stream_and_a_replay_say_the_same(seed: int) -> None:
    log = events(seed)
    expected, found = replayed(log), streamed(log, seed)
    shown = {key: value for key, value in found.items() if key[0] in NAMES and ("mood", "neutral") not in key[1]}
    nothing_yet = {key for key in expected.keys() ^ shown.keys() if not expected.get(key) and not shown.get(key)}
    for key in (expected.keys() | shown.keys()) - nothing_yet:
        assert shown.get(key) == pytest.approx(expected.get(key)), key
    for name in NAMES:
        assert any(value for key, value in expected.items() if key[0] == name), f"nothing to compare of {name}"


def test_the_cap_is_of_the_whole_agreement() -> None:
    """Two services each below a band: 500 + 500 and no more, though each alone may cost so much."""
    log = events(1)
    statements = [
        line
        for line in replay_events(POLICY, [one for _, one in log], format_instant(NOW))
        if line["kind"] == "statement"
    ]
    running = next(line for line in statements if line["window"]["start"] == MONTH)
    assert float(running["sum"]) > float(running["credit"]) == float(running["cap"]), "the story is to reach the cap"
    labels = frozenset({"customer": "acme", "agreement": "gold", "currency": "EUR"}.items())
    assert streamed(log, 1)["sla_credit_exposure", labels] == float(running["cap"])
