"""A worker with many open clocks: what a ticket costs in memory, how long a restart takes, when breaches are declared.

The tickets have one promise. Those of P1 are due 5 s after they were created, so that deadlines come while events do; all
others 30 days. Of the events that come then one in eight creates a ticket, as in the load of the other measures; the others
happen to tickets anywhere among the open ones. The worker is `slastream worker` as users run it, with metrics and a stable name.
"""

import asyncio
import itertools
import random
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import harness
from benchmarks.harness import Bench, Process, Subject
from benchmarks.jobs.core import TICKETS
from benchmarks.live import Feeder, quantile, wait_for
from benchmarks.run import Result, Run
from slastream.core.units import parse_instant
from slastream.stream.topics import create_topics

P1_SHARE = 0.4
"""Of the tickets that are created: 5 % of the events."""
EVENTS_PER_TICKET = 8
FEED_RATES = (1_000.0, 5_000.0)
"""Events/s."""
POLICY = """\
version: 1
timezone: UTC
agreements:
  all:
    kind: sla
    calendar: 24x7
    objective: {target: 95%, period: month, basis: due}
    promises:
      resolution: {metric: resolution, within: {P1: 5s, default: 720h}}
"""


def deadlines(run: Run) -> Result:
    """1,000,000 open tickets; a restart; then events at a rate, of which 5 % create a ticket that breaches 5 s later."""
    tickets = run.size(1_000_000, 5_000)
    values: dict[str, Any] = {"open tickets": tickets}
    with harness.bench(POLICY, is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        subject = harness.as_built(Subject("worker", _worker))
        with Process(bench, subject, "worker-1") as process:
            values |= _fill(run, bench, process, tickets)
            stop_began = time.monotonic()
            process.process.terminate()
            process.process.wait(60)
        with Process(bench, subject, "worker-2") as process:
            values |= _restarted(run, process, stop_began)
            _until_done(bench, process, 300)
            address = process.log.rpartition("metrics at ")[2].split()[0]
            for rate in FEED_RATES:
                values |= _breaches(run, bench, process, rate, None)
                values |= _breaches(run, bench, process, rate, address)
    return {"values": values, "notes": ["Delays are from the due instant until the fact can be read (read_committed)."]}


def _fill(run: Run, bench: Bench, process: Process, tickets: int) -> dict[str, float]:
    """Create the tickets, and what each of them costs."""
    wait_for(process, "seeking -> running", 2 * harness.PARTITIONS)
    empty, cpu = process.rss_bytes(), process.cpu_seconds()
    choose = random.Random(run.seed)
    bench.load(TICKETS, (_created("open", number, choose, p1_share=0.0) for number in range(tickets)))
    _until_done(bench, process, 1200)
    values = {
        "memory of a worker without tickets, bytes": empty,
        "memory per open ticket, bytes": (process.rss_bytes() - empty) / tickets,
        "CPU of taking a new ticket, µs": (process.cpu_seconds() - cpu) * 1e6 / tickets,
        "changelog per ticket, bytes": bench.bytes_of("slastream-tickets-changelog") / tickets,
    }
    run.say(f"{values['memory per open ticket, bytes']:.0f} bytes per open ticket")
    return values


def _until_done(bench: Bench, process: Process, limit_seconds: float) -> None:
    """Until both stages have done everything that there is."""
    for topic in (TICKETS, "sla.verdicts", "sla.ledger"):
        asyncio.run(harness.until_committed(bench, process, "slastream", topic, limit_seconds))


def _worker(bench: Bench, _: str) -> list[str]:
    options = [
        "--broker",
        bench.address,
        "--policy",
        str(bench.policy),
        "--metrics",
        "127.0.0.1:0",
        "--instance",
        "one",
    ]
    return [sys.executable, "-m", "slastream.cli", "worker", *options]


def _created(prefix: str, number: int, choose: random.Random, p1_share: float) -> tuple[bytes, bytes]:
    """A new ticket, as of now."""
    body = {
        "status": "new", "priority": "P1" if choose.random() < p1_share else "P3", "type": "incident",
        "service": f"service-{choose.randrange(100):05d}", "group": f"team-{choose.randrange(20)}",
        "requester": f"person-{choose.randrange(5000)}", "fields": {"region": "north"},
    }  # fmt: skip
    return _event(f"{prefix}-{number:07d}", 0, {"type": "created", "ticket": body})


def _mixed(prefix: str, open_tickets: int, choose: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """One in eight is a new ticket; the others are the further events of `load.MIX`, each of some ticket that is open."""
    further: list[dict[str, Any]] = [
        {"type": "changed", "ticket": {"assignee": "agent-1", "status": "open"}},
        {"type": "message", "message": {"author": "requester", "public": True}},
        {"type": "message", "message": {"author": "agent", "public": True}},
        {"type": "changed", "ticket": {"fields": {"step": 1}}},
        {"type": "changed", "ticket": {"status": "pending"}},
        {"type": "changed", "ticket": {"status": "open"}},
        {"type": "changed", "ticket": {"fields": {"step": 2}}},
    ]
    for number in itertools.count():
        if number % EVENTS_PER_TICKET == 0:
            yield _created(prefix, number, choose, P1_SHARE)
        else:
            body = further[number % EVENTS_PER_TICKET - 1]
            yield _event(f"open-{choose.randrange(open_tickets):07d}", f"{prefix}-{number}", body)


def _event(ticket: str, number: int | str, body: dict[str, Any]) -> tuple[bytes, bytes]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = {"ticket_id": ticket, "occurred_at": at, "event_id": f"{ticket}-{number}", "source": "desk"}
    return ticket.encode(), orjson.dumps(head | body)


def _breaches(run: Run, bench: Bench, process: Process, rate: float, metrics: str | None) -> dict[str, float]:
    """Feed and read breaches; with an address, scrape it each second meanwhile."""
    name = f"{rate:,.0f} events/s, {'scraped each second' if metrics else 'no scrapes'}"
    prefix = bench.new_name("fed")
    events = _mixed(prefix, run.size(1_000_000, 5_000), random.Random(run.seed))
    feeder = Feeder(bench, TICKETS, events, rate)
    feeder.start()
    cpu, began = process.cpu_seconds(), time.monotonic()
    try:
        delays, scrapes = asyncio.run(_read_breaches(bench, prefix, run.size(25, 15), metrics))
        seconds = time.monotonic() - began
        values = {f"{name}: events/s that were fed": feeder.sent / seconds}
    finally:
        feeder.stop()
    values[f"{name}: share of a core"] = (process.cpu_seconds() - cpu) / seconds
    values |= {f"{name}: breach readable after due, p{s * 100:.0f}, s": quantile(delays, s) for s in (0.5, 0.99)}
    values[f"{name}: breaches seen"] = len(delays)
    if scrapes:
        values[f"{name}: scrape of /metrics, median, s"] = quantile(scrapes, 0.5)
        values[f"{name}: scrape of /metrics, longest, s"] = max(scrapes)
    run.say(f"{name}: " + ", ".join(f"{each:.3g}" for each in values.values()))
    _until_done(bench, process, 300)
    return values


async def _read_breaches(
    bench: Bench, prefix: str, seconds: float, metrics: str | None
) -> tuple[list[float], list[float]]:
    reader = AIOKafkaConsumer(bootstrap_servers=bench.address, isolation_level="read_committed", fetch_max_wait_ms=10)
    await reader.start()
    partitions = [TopicPartition("sla.breaches", each) for each in range(harness.PARTITIONS)]
    reader.assign(partitions)
    await reader.seek_to_end(*partitions)
    delays: list[float] = []
    scrapes: list[float] = []
    ends_at, scrape_at = time.monotonic() + seconds, time.monotonic() + 1
    scraping: asyncio.Task[float] | None = None
    try:
        while time.monotonic() < ends_at:
            found = await reader.getmany(timeout_ms=50)
            now = time.time()
            for records in found.values():
                for record in records:
                    line = orjson.loads(record.value)
                    if line["fact"] == "breached" and line["ticket_id"].startswith(prefix):
                        delays.append(now - parse_instant(line["at"]) / 1e6)
            if metrics is not None and time.monotonic() > scrape_at and (scraping is None or scraping.done()):
                scrape_at = time.monotonic() + 1
                if scraping is not None:
                    scrapes.append(scraping.result())
                scraping = asyncio.create_task(asyncio.to_thread(_scrape, metrics))
        if scraping is not None:
            scrapes.append(await scraping)
    finally:
        await reader.stop()
    if not delays:
        raise RuntimeError(f"no breach of {prefix} could be read within {seconds} s")
    return delays, scrapes


def _scrape(address: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(address, timeout=60) as answer:
        answer.read()
    return time.monotonic() - began


def _restarted(run: Run, process: Process, stop_began: float) -> dict[str, float]:
    """The same worker again (static membership): until it reads all its partitions again."""
    began = time.monotonic()
    wait_for(process, "seeking -> running", 2 * harness.PARTITIONS)
    ready, cpu = time.monotonic(), process.cpu_seconds()
    records = sum(int(each) for each in re.findall(r"keys of (\d+) records\)", process.log))
    run.say(f"restart: stopped after {began - stop_began:.1f} s, running after {ready - stop_began:.1f} s")
    return {
        "restart: until it has stopped, s": began - stop_began,
        "restart: pause until every partition is read again, s": ready - stop_began,
        "restart: CPU of starting and restoring, s": cpu,
        "restart: records of the changelogs that were restored": records,
        "restart: records restored per second of CPU": records / cpu,
        "restart: memory afterwards, MiB": process.rss_bytes() / 2**20,
    }
