"""What a seed tells: a policy, the records that producers send and when, and how rough the run is."""

import functools
import importlib.util
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from slastream.core.rules import Rulebook
from slastream.core.units import format_instant, parse_instant
from slastream.errors import PolicyError
from slastream.stream.ticket_stage import BACKFILL_HEADER
from slastream.stream.topics import load_declarations
from slastream.wire.policy_file import load_policy

from .log import Headers
from .monitoring import MAINTENANCE, MONITORING, add_promises, draw_sendings

Json = dict[str, Any]
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
"""In microseconds."""
SKEW_US = 5 * MINUTE
"""What `max_clock_skew` is unless a policy says otherwise."""
OBJECTIVES = [
    {"target": "95%", "period": "week", "basis": "completed"},
    {"target": "99%", "period": "day"},
    {"period": "month", "basis": "started"},
    {"target": "90%", "period": "7d"},
]
SERVICE_TOPICS = ("sla.verdicts", MONITORING, MAINTENANCE, "sla.ledger", "slastream-services-changelog")
"""They have one number of partitions."""
MARKER = b'{"type":"backfill"}'


class Sent(NamedTuple):
    """What a producer sends at `at_us` by the broker's clock; `partition` None: that of the key."""

    at_us: int
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    topic: str = "sla.tickets"


@dataclass(frozen=True)
class Story:
    """Everything that is drawn before the run begins."""

    policy: str
    book: Rulebook
    sent: list[Sent]
    partitions: dict[str, int]
    is_exactly_once: bool
    faults: frozenset[str]


FAULTS = ("crash", "rebalance", "zombie", "compact", "clock", "lost chunk")


def draw_story(random: Random, of_services: Random) -> Story:
    """A story of one to three tickets, and in a third of them of two services; its policy is one that loads."""
    strategies = _strategies()
    has_services = of_services.random() < 0.35
    first = datetime.fromisoformat(random.choice(strategies.FIRST_DAYS))
    is_exactly_once = random.random() < 0.6
    policy, text, book = _draw_policy(random, first, strategies, of_services if has_services else None)
    tickets = random.choice([1, 1, 2])
    sent: list[Sent] = []
    for number in range(random.choice([1, 1, 2, 2, 3])):
        events = strategies.draw_ticket(random, f"T{number + 1}", first, policy)
        sent += _sendings(random, [_touched_up(random, event) for event in events], tickets)
    sent += [_bad(random, random.choice(sent).at_us, tickets) for _ in range(random.choice([0, 0, 1, 3]))]
    services = random.choice([1, 1, 2])
    if has_services:
        sent += [
            Sent(at, number, key, value, headers, topic)
            for topic, at, number, key, value, headers in draw_sendings(of_services, first, services)
        ]
    sent.sort(key=lambda one: one.at_us)
    counts = dict.fromkeys(load_declarations().names(), 1) | {"sla.tickets": tickets}
    counts |= dict.fromkeys(SERVICE_TOPICS, services) | {"sla.breaches": random.choice([1, 2])}
    counts["slastream-tickets-changelog"] = tickets
    return Story(text, book, sent, counts, is_exactly_once, frozenset(one for one in FAULTS if random.random() < 0.6))


@functools.cache
def _strategies() -> Any:
    """The generators of the properties, by their path: pytest and the command know that module by different names."""
    path = Path(__file__).parents[1] / "properties" / "strategies.py"
    specification = importlib.util.spec_from_file_location("simulation_strategies", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _draw_policy(
    random: Random, first: datetime, strategies: Any, of_services: Random | None
) -> tuple[Json, str, Rulebook]:
    while True:
        policy = strategies.draw_policy(random, first)
        policy["services"]["web"] = {"customer": "globex"}
        for agreement in policy["agreements"].values():
            if random.random() < 0.5:
                agreement["objective"] = random.choice(OBJECTIVES)
        if random.random() < 0.5:
            policy["lateness"] = {"default": random.choice(["0s", "1m", "1h"]), "jira": random.choice(["30s", "6h"])}
        if random.random() < 0.2:
            policy["retention"] = random.choice(["12h", "2d"])
        if of_services is not None:
            add_promises(of_services, policy)
        text = json.dumps(policy)
        try:
            return policy, text, Rulebook(load_policy([("policy.yaml", text)], _no_file))
        except PolicyError:
            continue


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def _touched_up(random: Random, event: Json) -> Json:
    """With a source, and now and then another service."""
    event = dict(event)
    if random.random() < 0.4:
        event["source"] = random.choice(["jira", "desk"])
    if "ticket" in event and event["type"] != "created" and random.random() < 0.07:
        event["ticket"] = {**event["ticket"], "service": random.choice(["mail", "web", None])}
    return event


def _sendings(random: Random, events: list[Json], partitions: int) -> list[Sent]:
    """One ticket's events as they arrive: as they happen, all at once afterwards, or as a backfill."""
    manner = random.choice(["live", "live", "live", "backlog", "backfill"])
    newest = max(parse_instant(event["occurred_at"]) for event in events)
    bulk_at = newest + random.choice([MINUTE, HOUR, 3 * DAY, 30 * DAY])
    headers: Headers = ((BACKFILL_HEADER, b"event"),) if manner == "backfill" else ()
    sent = []
    for event in events:
        occurred_at = parse_instant(event["occurred_at"])
        delay = _delay(random)
        at = occurred_at + delay if manner == "live" else bulk_at + random.randrange(90) * SECOND
        if manner == "backfill" and random.random() < 0.1:
            at += 10 * MINUTE  # after the backfill was silent
        sent.append(_sent(random, at, event, headers, partitions))
        if random.random() < 0.08:
            sent.append(_sent(random, at + max(0, _delay(random)), event, headers, partitions))
    if manner == "backfill":
        for phase, at in ((b"begin", bulk_at - SECOND), (b"end", bulk_at + random.choice([95 * SECOND, 20 * MINUTE]))):
            if phase == b"begin" or random.random() < 0.8:
                marks = ((BACKFILL_HEADER, phase),)
                sent += [Sent(at, number, None, MARKER, marks) for number in range(partitions)]
    return sent


def _delay(random: Random) -> int:
    """How long an event is under way: a moment, within the usual lateness, beyond it, or sent by a clock that is ahead."""
    chance = random.random()
    if chance < 0.7:
        return random.randrange(3 * SECOND)
    if chance < 0.85:
        return random.randrange(70) * MINUTE
    if chance < 0.93:
        return random.randrange(4 * 24 * 60) * MINUTE
    return -random.choice([SECOND, 4 * MINUTE, 4 * MINUTE, SKEW_US, SKEW_US + SECOND, HOUR])


def _sent(random: Random, at_us: int, event: Json, headers: Headers, partitions: int) -> Sent:
    key = event["ticket_id"].encode()
    stray = random.randrange(partitions) if random.random() < 0.05 else None
    return Sent(at_us, stray, key, json.dumps(event).encode(), headers)


def _bad(random: Random, near_us: int, partitions: int) -> Sent:
    """What somebody should not have sent."""
    at = near_us + random.randrange(-60, 60) * MINUTE
    value = random.choice(
        [
            b"no json",
            b"\xff\xfe",
            None,
            b"[]",
            b'{"type":"tick"}',
            json.dumps({"type": "tick", "at": format_instant(parse_instant("2031-01-01T00:00:00Z"))}).encode(),
            b'{"type":"changed","ticket_id":"T1"}',
            b'{"service":"mail","component":"smtp","state":"down","occurred_at":"2026-03-02T10:00:00Z"}',
        ]
    )
    partition = random.randrange(partitions)
    return Sent(at, partition, random.choice([None, b"T1"]), value, ())
