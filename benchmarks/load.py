"""The events that the benchmarks feed: seeded, so that every run and every system sees the same.

`counter_events` are small events for one counter per key. `ticket_events` are tickets of a service desk, `MIX` says how
they live; about half of the events move no clock, as in real logs.
"""

import heapq
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

COUNTER_KEYS = 500
COUNTER_BYTES = 160
MIX = (
    "created; agent assigned; message of the requester; public answer of an agent; a field that no clock sees; pending; "
    "open again; resolved. More than 8 events: more messages and fields before the resolution; fewer: the first ones and "
    "the resolution. A ticket lives for two days on average, a tenth of the time"
    " that is fed. 10 % of the tickets change priority once instead of the field."
)
PRIORITIES = ("P1", "P2", "P3", "P4")
WEIGHTS = (5, 15, 40, 40)
LIFE_SECONDS = 2 * 86_400.0

Body = dict[str, Any]


def counter_events(count: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """(key, JSON of 160 bytes)."""
    choose = random.Random(seed)
    for number in range(count):
        key = b"key-%03d" % choose.randrange(COUNTER_KEYS)
        head = b'{"service":"%s","number":%d,"latency_ms":%d,"note":"' % (key, number, choose.randrange(500))
        yield key, head + b"x" * (COUNTER_BYTES - len(head) - 2) + b'"}'


def ticket_events(
    tickets: int, events_per_ticket: int = 8, *, end: datetime, days: float = 20.0, services: int = 100, seed: int = 1
) -> Iterator[tuple[bytes, bytes]]:
    """(ticket id, event) in the order of time: tickets are created evenly over `days` before `end`.

    A ticket lives for `LIFE_SECONDS` on average, whatever the number of its events; none happens after `end`.
    """
    choose = random.Random(seed)
    first, step = end.timestamp() - days * 86_400, (days * 86_400 - 2 * LIFE_SECONDS) / max(tickets, 1)
    waiting: list[tuple[float, int, Iterator[tuple[float, bytes]], bytes]] = []
    for number in range(tickets):
        born = first + number * step
        while waiting and waiting[0][0] < born:
            yield _next(waiting)
        life = _life(
            f"T-{number:08d}",
            born,
            events_per_ticket,
            end.timestamp(),
            f"service-{choose.randrange(services):05d}",
            choose,
        )
        at, event = next(life)
        heapq.heappush(waiting, (at, number, life, event))
    while waiting:
        yield _next(waiting)


def live(events: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The same events, each as if it happened at the moment in which it is asked for."""
    for key, value in events:
        event = orjson.loads(value)
        event["occurred_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        yield key, orjson.dumps(event)


def _next(waiting: list[tuple[float, int, Iterator[tuple[float, bytes]], bytes]]) -> tuple[bytes, bytes]:
    _, number, life, event = waiting[0]
    following = next(life, None)
    if following is None:
        heapq.heappop(waiting)
    else:
        heapq.heapreplace(waiting, (following[0], number, life, following[1]))
    return b"T-%08d" % number, event


def _life(
    ticket: str, born: float, count: int, end: float, service: str, choose: random.Random
) -> Iterator[tuple[float, bytes]]:
    priority = choose.choices(PRIORITIES, WEIGHTS)[0]
    agent = f"agent-{choose.randrange(200)}"
    created = {
        "status": "new", "priority": priority, "type": "incident", "service": service, "group": f"team-{service[-2:]}",
        "requester": f"person-{choose.randrange(5000)}", "fields": {"region": choose.choice(("north", "south"))},
    }  # fmt: skip
    noise: Body = {
        "ticket": {"priority": choose.choice(PRIORITIES)} if choose.random() < 0.1 else {"fields": {"step": 1}}
    }
    middle: list[tuple[str, Body]] = [
        ("changed", {"ticket": {"assignee": agent, "status": "open"}}),
        ("message", {"message": {"author": "requester", "public": True}}),
        ("message", {"message": {"author": "agent", "public": True}}),
        ("changed", noise),
        ("changed", {"ticket": {"status": "pending"}}),
        ("changed", {"ticket": {"status": "open"}}),
    ]
    for number in range(len(middle), count - 2):
        extra: tuple[str, Body] = ("changed", {"ticket": {"fields": {"step": number}}})
        middle.append(extra if number % 2 else ("message", {"message": {"author": "requester", "public": True}}))
    resolved = ("changed", {"ticket": {"status": "resolved"}})
    parts = [("created", {"ticket": created}), *middle[: max(count - 2, 0)], resolved][: max(count, 1)]
    at = born
    for number, (kind, body) in enumerate(parts):
        yield at, _event(ticket, at, number, kind, body)
        at = min(at + choose.expovariate(count / LIFE_SECONDS) + 0.001, end)


def _event(ticket: str, at: float, number: int, kind: str, body: Body) -> bytes:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = {"type": kind, "ticket_id": ticket, "occurred_at": stamp, "event_id": f"{ticket}-{number}", "source": "desk"}
    return orjson.dumps({**head, **body})


def policy_text(agreements: int = 1) -> str:
    """A policy with two promises for each ticket; of several agreements each has its own services, by their last digits."""
    blocks = []
    for number in range(agreements):
        match = f"match: {{service: [{', '.join(_services(number, agreements))}]}}" if agreements > 1 else "match: {}"
        blocks.append(_AGREEMENT.format(number=number, match=match))
    return _HEAD + "".join(blocks)


def _services(number: int, agreements: int, services: int = 100) -> list[str]:
    return [f"service-{each:05d}" for each in range(services) if each % agreements == number]


_HEAD = """\
version: 1
timezone: Europe/Berlin
calendars:
  office: {hours: {mon-fri: ["08:00-18:00"]}}
agreements:
"""
_AGREEMENT = """\
  agreement-{number}:
    kind: sla
    rank: 10
    {match}
    calendar: office
    objective: {{target: 95%, period: month, basis: due}}
    promises:
      first_response: {{metric: first_response, within: {{P1: 15m, P2: 1h, default: 4h}}, warn_at: [75%]}}
      resolution:
        metric: resolution
        targets:
          - {{when: {{priority: P1}}, within: 4h, calendar: 24x7}}
          - {{when: {{priority: P2}}, within: 8h}}
          - {{within: 5 business_days}}
        pause: {{status: [pending, hold]}}
        warn_at: [50%, 90%]
"""
