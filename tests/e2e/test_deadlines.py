"""A breach with no event behind it is published the moment it happens."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
import pytest
from e2e_harness import Worker, broker_with_topics, produce, reader, verdicts, wait_until

pytestmark = pytest.mark.broker

TICKETS = 1_200
TARGETS_SECONDS = range(4, 15)
POLICY = f"""\
version: 1
timezone: UTC
calendars:
  always: {{timezone: UTC, hours: {{mon-sun: ["00:00-24:00"]}}}}
agreements:
  desk:
    kind: sla
    rank: 1
    match: {{}}
    calendar: always
    promises:
      resolution:
        metric: resolution
        within: {{{", ".join(f"P{each}: {each}s" for each in TARGETS_SECONDS)}}}
"""
WARM_UP = 64
"""Tickets that make sure that all partitions run before anything is measured."""


def event(ticket_id: str, priority: str, status: str) -> tuple[bytes, bytes]:
    now = datetime.now(UTC).isoformat()
    ticket = {"service": "mail", "type": "incident", "status": status, "priority": priority, "created_at": now}
    line = {"event_id": f"{ticket_id}:1", "ticket_id": ticket_id, "occurred_at": now, "ticket": ticket}
    return ticket_id.encode(), orjson.dumps(line)


def test_breaches_without_an_event_come_within_a_second(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with broker_with_topics(tmp_path / "kafka") as broker, Worker(broker, policy, tmp_path / "worker.log") as worker:
        warm = [event(f"warm-{each}", "P14", "closed") for each in range(WARM_UP)]
        asyncio.run(produce(broker, "sla.tickets", warm))

        def is_warm() -> bool:
            worker.must_run()
            return len(verdicts(broker)) == WARM_UP

        wait_until(is_warm, 60, "all partitions run")
        written, seen = asyncio.run(measure(broker))
        worker.terminate()
    assert len(written) == TICKETS
    for name, delays in (("timestamp of the record", written), ("seen by a reader", seen)):
        parts = quantiles(delays, n=100)
        print(f"\n{TICKETS} deadlines, {name}: p50 {parts[49]:.3f} s, p99 {parts[98]:.3f} s, max {max(delays):.3f} s")
        assert min(delays) >= 0, "nothing is declared before its time"
        assert parts[98] <= 1.0


async def measure(broker: str) -> tuple[list[float], list[float]]:
    """Seconds from the instant of each breach to its record's timestamp, and to its arrival at a reader."""
    written: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    async with reader(broker, "sla.breaches") as consumer, asyncio.timeout(60):
        feeding = asyncio.create_task(feed(broker))
        while len(seen) < TICKETS:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                take(records, time.time(), written, seen)
        await feeding
    return list(written.values()), list(seen.values())


async def feed(broker: str) -> None:
    """All tickets at once; their targets spread the deadlines over ten seconds."""
    priorities = [f"P{each}" for each in TARGETS_SECONDS]
    tickets = [event(f"T-{each}", priorities[each % len(priorities)], "open") for each in range(TICKETS)]
    await produce(broker, "sla.tickets", tickets)


def take(records: list[Any], now: float, written: dict[bytes, float], seen: dict[bytes, float]) -> None:
    for record in records:
        line = orjson.loads(record.value)
        assert line["fact"] == "breached"
        assert line["caused_by"] == "deadline"
        assert record.key not in seen, f"twice: {line}"
        at = datetime.fromisoformat(line["at"]).timestamp()
        written[record.key] = record.timestamp / 1000 - at + 0.001  # a timestamp is cut to milliseconds
        seen[record.key] = now - at
