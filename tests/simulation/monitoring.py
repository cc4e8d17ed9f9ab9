"""What a seed tells of services: promises in the policy, words, counts and maintenance on their topics.

A component says one thing in an hour: what is thinned out of a history (`docs/decisions/what-monitoring-keeps.md`) makes no
difference then, and the facts do not depend on the order in which the topics are read. Nothing is too late: a window is a quarter.
"""

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from slastream.core.units import parse_instant

from .log import Headers

Json = dict[str, Any]
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
MONITORING, MAINTENANCE = "sla.monitoring", "sla.maintenance"
HOURS = 16
STATES = ("up", "up", "down", "down", "degraded", "unknown")
BAD = (
    b"no json",
    b'{"service":"mail","occurred_at":"2026-03-02T10:00:00Z","state":"OK"}',
    b'{"service":"mail","occurred_at":"2999-01-01T00:00:00Z","state":"up"}',
    b'{"ticket_id":"T1","occurred_at":"2026-03-02T10:00:00Z","type":"changed"}',
)


class Told(NamedTuple):
    """An event and how long after its instant it is sent."""

    topic: str
    at_us: int
    event: Json


def add_promises(random: Random, policy: Json) -> None:
    """An agreement about services; one of them depends on another, which may live in another partition."""
    combine = random.choice(["worst", "best", "at_least 1", "weighted"])
    policy["services"]["mail"] = {
        "depends_on": ["dns"],
        "combine": combine,
        "components": {"a": {}, "b": {"weight": 2}},
    }
    policy["agreements"]["services"] = {
        "kind": "ola",
        "match": {"service": random.choice([["mail"], ["mail", "dns"]])},
        "promises": {
            "uptime": {
                "metric": "availability", "target": random.choice(["90%", "99%"]), "window": "day", "min_coverage": 0,
                "alerts": "burn_rate", "min_outage": random.choice(["0s", "0s", "5m"]),
            },
            "long": {"metric": "availability", "target": "99.9%", "window": "quarter", "min_coverage": 0},
            "requests": {"metric": "success", "target": "97%", "window": "day", "alerts": "burn_rate"},
        },
    }  # fmt: skip


def draw_sendings(
    random: Random, first: datetime, partitions: int
) -> list[tuple[str, int, int | None, bytes, bytes, Headers]]:
    """(topic, when it is sent, partition or None for that of the key, key, value, headers)."""
    begin = first + timedelta(hours=random.choice([0, 9, 20]))
    told = [one for each in _WHO for one in _words(random, begin, *each)]
    told += [_counts(random, begin, number) for number in range(random.choice([0, 2, 5]))]
    told += [one for number in range(random.choice([0, 1, 2])) for one in _maintenance(random, begin, number)]
    found: list[tuple[str, int, int | None, bytes, bytes, Headers]] = []
    for topic, at_us, event in told:
        key, value = event["service"].encode(), json.dumps(event).encode()
        times = random.choice([1, 1, 1, 2])
        found += [(topic, at_us + _delay(random), None, key, value, ()) for _ in range(times)]
    for _ in range(random.choice([0, 1, 3])):
        topic, partition = random.choice([MONITORING, MAINTENANCE]), random.randrange(partitions)
        found.append((topic, random.choice(found)[1], partition, b"mail", random.choice(BAD), ()))
    return found


_WHO = (("mail", "a"), ("mail", "b"), ("dns", None))


def _delay(random: Random) -> int:
    """In microseconds: mostly a moment, now and then behind others."""
    return random.randrange(3 * SECOND) if random.random() < 0.8 else random.randrange(180) * MINUTE


def _words(random: Random, begin: datetime, service: str, component: str | None) -> list[Told]:
    found = []
    for hour in range(HOURS):
        if random.random() < 0.6:
            at = begin + timedelta(hours=hour, minutes=random.randrange(30), seconds=random.choice([0, 0, 7]))
            event: Json = {
                "event_id": f"{service}:{component}:{hour}", "service": service, "state": random.choice(STATES),
                "occurred_at": _text(at), "sequence": hour,
            }  # fmt: skip
            if component is not None:
                event["component"] = component
            if random.random() < 0.2:
                event["expires_after"] = random.choice(["10m", "2h"])
            if random.random() < 0.1:
                event["confidence"] = "soft"
            found.append(Told(MONITORING, _us(at), event))
    return found


def _counts(random: Random, begin: datetime, number: int) -> Told:
    at = begin + timedelta(minutes=random.randrange(HOURS * 60))
    counts = {"good": random.choice([60, 95, 100]), "total": 100}
    return Told(
        MONITORING,
        _us(at),
        {
            "event_id": f"c{number}", "service": "mail", "component": "a", "interval": "60s", "occurred_at": _text(at),
            "counts": counts,
        },
    )  # fmt: skip


def _maintenance(random: Random, begin: datetime, number: int) -> list[Told]:
    """Planned before, during or after the fact; half of them are changed, and of these half withdrawn."""
    start = begin + timedelta(minutes=random.randrange(HOURS * 60))
    end = start + timedelta(minutes=random.choice([10, 60, 300]))
    said = start + timedelta(minutes=random.choice([-120, 10, 400]))
    event: Json = {
        "maintenance_id": f"CHG-{number}", "event_id": f"m{number}:1", "service": random.choice(["mail", "mail", "dns"]),
        "occurred_at": _text(said), "start": _text(start), "end": _text(end), "revision": 1,
    }  # fmt: skip
    found = [Told(MAINTENANCE, _us(said), event)]
    if random.random() < 0.5:
        again = said + timedelta(minutes=random.choice([1, 30]))
        event = {**event, "event_id": f"m{number}:2", "occurred_at": _text(again), "revision": 2}
        event |= {"withdrawn": True} if random.random() < 0.5 else {"end": _text(end + timedelta(minutes=25))}
        found.append(Told(MAINTENANCE, _us(again), event))
    return found


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _us(at: datetime) -> int:
    return parse_instant(_text(at))
