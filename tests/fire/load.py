"""A made-up service desk from a seed: two months of history as a backfill, then live tickets whose deadlines are seconds.

The same seed gives the same load, relative to the instant at which feeding starts. It holds what a log may hold: late
events within and beyond the lateness, events that are too late, repetitions, other contents of one id, records that
cannot be used, records in the wrong partition, pauses, reopenings, changes of priority and service, overrides, merges; and
`monitoring` of the services beside the tickets.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from aiokafka.partitioner import murmur2

from .monitoring import AGREEMENT, MAINTENANCE, MONITORING, words
from .monitoring import BAD as UNUSABLE

PARTITIONS = 8
DAY = 86_400.0
HISTORY_BEGINS, HISTORY_ENDS = -60 * DAY, -12 * DAY
"""Seconds from the start of feeding. Every deadline of the history has come by then, every one of the sweep has not."""
LONGEST_LIVE_SECONDS = 9.5
"""From the last live event to the last live deadline: the longest target, its lateness, and some."""
BUSY_SECONDS, IDLE_SECONDS = 2.0, 1.0
"""Live events come in bursts: between them nothing but ticks moves the time of a partition."""
SERVICES = ("mail", "web", "erp", "vpn", "print", "dns")
BACKFILL = "backfill"

POLICY = (
    """\
version: 1
timezone: Europe/Berlin
match_mode: first
lateness: {default: 0s, desk: 2s}
retention: 20d
calendars:
  office: {hours: {mon-thu: ["08:00-12:00", "13:00-18:00"], fri: ["08:00-15:00"]}, holidays: ["10-03", "12-25"]}
services:
  mail: {customer: acme, provider: hosting, team: messaging, depends_on: [dns]}
  web: {customer: acme, team: sites}
agreements:
  gold:
    kind: sla
    rank: 10
    match: {type: incident}
    calendar: office
    objective: {target: 95%, period: month}
    promises:
      response: {metric: first_response, within: {P1: 15m, P2: 1h, default: 4h}, warn_at: [75%]}
      resolution:
        metric: resolution
        targets: [{when: {priority: P1}, within: 4h}, {when: {priority: P2}, within: 1 business_days}, {within: 9h}]
        on_change: retroactive
        reopen_window: 1 business_days
        warn_at: [50%, 90%]
  quick:
    kind: sla
    rank: 20
    match: {type: request}
    objective: {target: 90%, period: month, basis: completed}
    promises:
      answer: {metric: first_response, within: {P1: 1s, default: 3s}, warn_at: [50%]}
      done: {metric: resolution, within: {P1: 2s, P2: 4s, default: 6s}, warn_at: [50%], reopen_window: 3s}
  house:
    kind: ola
    match: {fields.region: eu}
    objective: {target: 80%, period: quarter}
    promises:
      work:
        metric: custom
        start: {status: [new, open]}
        stop: {status: [resolved, closed]}
        pause: {message.author: agent}
        resume: {message.author: requester}
        on_change: carry
        targets: [{when: {type: incident}, within: 6h, calendar: office}, {within: 5s}]
"""
    + AGREEMENT
)

Json = dict[str, Any]


class Fed(NamedTuple):
    """A record to be produced `send_at` seconds after the start of feeding; partition None: that of its key."""

    send_at: float
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "sla.tickets"


@dataclass(frozen=True, slots=True)
class Load:
    """Records in the order in which they are sent; the last deadline comes `settles_at` seconds after the start."""

    records: list[Fed]
    settles_at: float


class _Said(NamedTuple):
    """An event of a story: it happens at `at` and is told `delay` seconds later."""

    at: float
    delay: float
    event: Json


def make_load(seed: int, events: int, seconds: float, started: datetime) -> Load:
    """About `events` records over about `seconds`: six tenths history, then live tickets, then a sweep over open ones."""
    draw = random.Random(seed)
    history_seconds = seconds * 0.5
    history = [*_stories(draw, "H", int(events * 0.57), HISTORY_BEGINS, HISTORY_ENDS, DAY, seed)]
    live_begins, busy_share = history_seconds + 0.5, BUSY_SECONDS / (BUSY_SECONDS + IDLE_SECONDS)
    live = [
        said._replace(at=live_begins + _in_bursts(said.at))
        for said in _stories(draw, "L", int(events * 0.38), 0.0, (seconds - 0.5 - live_begins) * busy_share, 1.0, seed)
    ]
    history.sort(key=lambda said: said.at + said.delay)
    step = history_seconds / max(1, len(history))
    records = [
        *_markers(0.0, b"begin"),
        *(_record(draw, n * step, said, started, True) for n, said in enumerate(history)),
        *_markers(history_seconds, b"end"),
        *(_record(draw, said.at + said.delay, said, started, False) for said in live),
        *(_record(draw, said.at, said, started, False) for said in _sweep(draw, history, seconds - 4)),
    ]
    records += _disturbances(draw, records, seed)
    records += _monitored(seed, events, live_begins, seconds, started)
    records.sort(key=lambda record: record.send_at)
    return Load(records, records[-1].send_at + LONGEST_LIVE_SECONDS)


def _monitored(seed: int, events: int, live_begins: float, ends: float, started: datetime) -> list[Fed]:
    draw = random.Random(f"sent {seed}")
    found: list[Fed] = []
    for word in words(seed, events // 40, live_begins, ends):
        event = {**word.event, "occurred_at": _text(started, word.at)}
        event |= {name: _text(started, event[name]) for name in ("start", "end") if name in event}
        fed = Fed(word.send_at, event["service"].encode(), orjson.dumps(event), topic=word.topic)
        found += [fed, fed._replace(send_at=word.send_at + 0.5)] if draw.random() < 0.05 else [fed]
    found += [
        Fed(draw.uniform(0, ends), b"mail", draw.choice(UNUSABLE), topic=draw.choice((MONITORING, MAINTENANCE)))
        for _ in range(max(8, events // 4000))
    ]
    return found


def _in_bursts(at: float) -> float:
    """An instant of an axis without idle times, on one with them."""
    return at + at // BUSY_SECONDS * IDLE_SECONDS


def partition_of(key: bytes) -> int:
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


def _markers(send_at: float, phase: bytes) -> list[Fed]:
    value = b'{"type":"backfill"}'
    return [Fed(send_at, None, value, number, ((BACKFILL, phase),)) for number in range(PARTITIONS)]


def _record(draw: random.Random, send_at: float, said: _Said, started: datetime, is_backfill: bool) -> Fed:
    event = {**said.event, "occurred_at": _text(started, said.at)}
    key = event["ticket_id"].encode()
    stray = (partition_of(key) + 1) % PARTITIONS if draw.random() < 0.002 else None
    return Fed(send_at, key, orjson.dumps(event), stray, ((BACKFILL, b"event"),) if is_backfill else ())


def _text(started: datetime, seconds: float) -> str:
    return (started + timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# ---- stories of tickets


def _stories(
    draw: random.Random, prefix: str, events: int, begins: float, ends: float, unit: float, seed: int
) -> list[_Said]:
    """Tickets that begin between two instants, until there are enough events; a unit is a day or a second."""
    found: list[_Said] = []
    number = 0
    while len(found) < events:
        number += 1
        life = min(7 * unit, (ends - begins) / 2)
        start = draw.uniform(begins, ends - life)
        found += _story(draw, f"{prefix}{seed}-{number}", start, start + life, unit)
    return found


def _story(draw: random.Random, ticket_id: str, start: float, limit: float, unit: float) -> list[_Said]:
    is_live = unit == 1.0
    opening: Json = {
        "service": draw.choice(SERVICES),
        "status": "new",
        "priority": draw.choice(("P1", "P2", "P3")),
        "type": "request" if is_live else "incident",
        "group": draw.choice(("L1", "L2")),
        "fields": {"region": draw.choice(("eu", "us"))},
    }
    steps: list[tuple[str, Json]] = [("created", {"ticket": opening}), *_middle(draw), *_end(draw)]
    source = draw.choice(("desk", "desk", "portal"))
    said: list[_Said] = []
    at = start
    for number, (kind, rest) in enumerate(steps):
        event: Json = {"ticket_id": ticket_id, "type": kind, "sequence": number, "source": source, **rest}
        if draw.random() < 0.9:
            event["event_id"] = f"{ticket_id}:{number}"
        said.append(_Said(at, _delay(draw, number, unit), event))
        if draw.random() > 0.1:  # one in ten happens at the same instant as the one before
            at = min(limit, at + unit * draw.uniform(0.02, 1.8))
    return said


def _delay(draw: random.Random, number: int, unit: float) -> float:
    """How late an event is told: mostly not, some within the lateness, some beyond it, a few beyond the retention."""
    chance = draw.random()
    if unit == 1.0:
        return (
            draw.uniform(0, 0.03) if chance < 0.9 else draw.uniform(0.3, 1.8) if chance < 0.96 else draw.uniform(2, 5)
        )
    if chance < 0.94 or number == 0:
        return 0.0
    return draw.uniform(60, 3 * DAY) if chance < 0.99 else draw.uniform(25 * DAY, 32 * DAY)


def _middle(draw: random.Random) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        found += draw.choice(
            (
                [("message", {"message": {"author": "agent"}})],
                [("message", {"message": {"author": "agent"}}), ("message", {"message": {"author": "requester"}})],
                [("changed", {"ticket": {"status": "pending"}}), ("changed", {"ticket": {"status": "open"}})],
                [("changed", {"ticket": {"status": "hold"}})],
                [("changed", {"ticket": {"priority": draw.choice(("P1", "P2", "P3"))}})],
                [("changed", {"ticket": {"service": draw.choice(SERVICES)}})],
                [("changed", {"ticket": {"assignee": "ann", "group": "L2"}})],
                [("changed", {"ticket": {"fields": {"region": draw.choice(("eu", "us"))}}})],
            )
        )
    return found


def _end(draw: random.Random) -> list[tuple[str, Json]]:
    resolved: tuple[str, Json] = ("changed", {"ticket": {"status": "resolved"}})
    closed: tuple[str, Json] = ("changed", {"ticket": {"status": "closed"}})
    reopened: tuple[str, Json] = ("changed", {"ticket": {"status": "open"}})
    chance = draw.random()
    if chance < 0.25:
        return []  # left open
    if chance < 0.27:
        return [("merged", {"merged_into": "another"})]
    if chance < 0.29:
        return [("deleted", {})]
    if chance < 0.31:
        return [("changed", {"ticket": {"status": "cancelled"}})]
    return [resolved, reopened, resolved, closed] if chance < 0.45 else [resolved, closed]


def _sweep(draw: random.Random, history: list[_Said], at: float) -> list[_Said]:
    """Closes some of the tickets of the history that were left open: what the state has of them comes to light."""
    ended = {
        said.event["ticket_id"]
        for said in history
        if said.event["type"] in ("merged", "deleted")
        or said.event.get("ticket", {}).get("status") in ("closed", "cancelled")
    }
    opened = {said.event["ticket_id"]: None for said in history if said.event["ticket_id"] not in ended}
    closing = {"type": "changed", "ticket": {"status": "closed"}}
    chosen = draw.sample(list(opened), len(opened) // 2)
    return [_Said(at + draw.uniform(0, 1), 0, {"ticket_id": ticket_id, **closing}) for ticket_id in chosen]


# ---- what should not be there


def _disturbances(draw: random.Random, records: list[Fed], seed: int) -> list[Fed]:
    """Repetitions, other contents of one id, and records that cannot be used."""
    found: list[Fed] = []
    for record in draw.sample(records, len(records) // 33):
        if record.key is not None:
            later = record.send_at + draw.choice((0.0, 0.2, 3.0))
            found.append(Fed(later, record.key, _other(draw, record.value)))
    for number in range(max(8, len(records) // 400)):
        record = draw.choice(records)
        found.append(Fed(record.send_at, b"bad-%d-%d" % (seed, number), draw.choice(BAD)))
    return found


def _other(draw: random.Random, value: bytes | None) -> bytes | None:
    """Mostly the same bytes."""
    if value is None or draw.random() < 0.85:
        return value
    event = orjson.loads(value)
    return orjson.dumps({**event, "note": draw.randrange(1000)}) if "event_id" in event else value


BAD: tuple[bytes | None, ...] = (
    None,
    b"",
    b"not json",
    b"[]",
    b'{"ticket_id":"x"}',
    b'{"ticket_id":7,"occurred_at":"2026-01-01T00:00:00Z"}',
    b'{"ticket_id":"x","occurred_at":"2026-02-30T00:00:00Z"}',
    b'{"ticket_id":"x","occurred_at":"2026-01-01T00:00:00"}',
    b'{"ticket_id":"x","occurred_at":"2999-01-01T00:00:00Z"}',
    b'{"ticket_id":"x","occurred_at":"2026-01-01T00:00:00Z","ticket":{"status":"lost"}}',
    b'{"service":"mail","occurred_at":"2026-01-01T00:00:00Z","state":"down"}',
    b'{"type":"tick","at":"2999-01-01T00:00:00Z"}',
    b'{"ticket_id":"\xff"}',
)
