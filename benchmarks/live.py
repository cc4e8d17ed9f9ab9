"""Measures of a worker that is fed at a pace: its share of a core, and how soon what it finds can be read."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer

from benchmarks import harness, load
from benchmarks.harness import Bench, Process
from benchmarks.jobs.core import EVENTS, FACTS, TICKETS
from benchmarks.run import Result, Run
from slastream.stream.topics import create_topics

PACE_SECONDS = 0.01
FEED_SECONDS = 160
"""A feed lasts so long; after a tenth of it as many tickets are resolved as are created."""
WARM_SECONDS = 20
CAPACITY_SHARE = 0.7
EVENTS_PER_TICKET = 8


class Feeder(threading.Thread):
    """Writes events at a rate until it is stopped."""

    def __init__(self, bench: Bench, topic: str, events: Iterator[tuple[bytes, bytes]], rate: float) -> None:
        super().__init__(daemon=True)
        self._topic = topic
        self.sent = 0
        self.error: BaseException | None = None
        self._events, self._rate = events, rate
        self._ended = threading.Event()
        self._producer = Producer(
            {"bootstrap.servers": bench.address, "log_level": 0, "partitioner": "murmur2", "linger.ms": 2}
        )

    def run(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(PACE_SECONDS):
            for _ in range(int((time.monotonic() - started) * self._rate) - self.sent):
                key, value = next(self._events)
                self._producer.produce(self._topic, value, key)
                self.sent += 1
            self._producer.poll(0)

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._producer.flush(30)


@contextmanager
def fed_worker(run: Run, bench: Bench, rate: float, job: str = "both") -> Iterator[tuple[Process, Feeder]]:
    """A worker that has begun to apply what is fed at a rate (0: nothing is fed)."""
    if job == "counter":
        bench.create(EVENTS, FACTS)
    with Process(bench, harness.as_built(harness.ours(job, job)), bench.new_name(job)) as process:
        wait_for(process, "seeking -> running", (2 if job == "both" else 1) * harness.PARTITIONS)
        count = int(max(rate, 1) * FEED_SECONDS)
        if job == "counter":
            feeder = Feeder(bench, EVENTS, load.counter_events(count), rate)
        else:
            tickets = count // EVENTS_PER_TICKET
            events = load.ticket_events(tickets, EVENTS_PER_TICKET, end=datetime.now(UTC), seed=run.seed)
            feeder = Feeder(bench, TICKETS, load.live(events), rate)
        feeder.start()
        try:
            yield process, feeder
        finally:
            feeder.stop()


def wait_for(process: Process, text: str, times: int, limit_seconds: float = 600) -> None:
    """Until the log of a worker has a text so often."""
    deadline = time.monotonic() + limit_seconds
    while process.log.count(text) < times:
        process.must_run()
        if time.monotonic() > deadline:
            raise RuntimeError(f"not {times} times {text!r} within {limit_seconds} s:\n{process.log[-2000:]}")
        time.sleep(0.05)


def idle(run: Run) -> Result:
    """CPU of a worker (exactly once) at a steady 1,000 events/s and at none."""
    shares: dict[str, list[float]] = {}
    cases = [
        ("1,000 events/s", 1_000.0, "both"),
        ("1,000 events/s of tickets in stage 1 alone", 1_000.0, "tickets"),
        ("1,000 events/s of the counter job", 1_000.0, "counter"),
        ("no events", 0.0, "both"),
    ]
    for number in range(run.runs):
        for name, rate, job in cases if number % 2 == 0 else reversed(cases):
            with new_bench(run) as bench, fed_worker(run, bench, rate, job) as (process, _):
                time.sleep(run.size(WARM_SECONDS, 1))
                cpu, began = process.cpu_seconds(), time.monotonic()
                time.sleep(run.size(15, 2))
                share = (process.cpu_seconds() - cpu) / (time.monotonic() - began)
            shares.setdefault(name, []).append(share)
            run.say(f"{name}: {share:.3f} of a core")
    return {"values": {name: statistics.median(each) for name, each in shares.items()}, "single_runs": shares}


def latency(run: Run) -> Result:
    """From an event being produced to its verdict being readable (read_committed), alone and at 70 % of the capacity."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_000), end=datetime.now(UTC)))
        capacity = harness.measure(
            bench, harness.as_built(harness.ours("both", "both")), TICKETS, bench.ends(TICKETS)
        ).rate
    values: dict[str, Any] = {"capacity in this run, events/s": capacity}
    for name, rate in (("idle", 0.0), ("at 70 % load", CAPACITY_SHARE * capacity)):
        with new_bench(run) as bench, fed_worker(run, bench, rate) as (process, feeder):
            time.sleep(run.size(WARM_SECONDS, 1))
            began = time.monotonic()
            before = feeder.sent
            delays = asyncio.run(_probe(bench, run.size(400, 20)))
            fed = (feeder.sent - before) / (time.monotonic() - began)
            process.must_run()
        for share in (0.5, 0.99):
            values[f"{name}: p{share * 100:.0f}, s"] = quantile(delays, share)
        if rate:
            values[f"{name}: events/s that were fed"] = fed
        run.say(f"{name}: p50 {quantile(delays, 0.5):.3f} s, p99 {quantile(delays, 0.99):.3f} s of {len(delays)}")
    return {"values": values, "notes": ["A verdict and a fact of an event are published in one transaction."]}


@contextmanager
def new_bench(run: Run) -> Iterator[Bench]:
    """A broker with the declared topics, empty."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        yield bench


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def _probe(bench: Bench, count: int) -> list[float]:
    """New tickets, 20 a second; the delay until the verdict of each can be read, in seconds."""
    reader = AIOKafkaConsumer(bootstrap_servers=bench.address, isolation_level="read_committed", fetch_max_wait_ms=10)
    await reader.start()
    partitions = [TopicPartition("sla.verdicts", each) for each in range(harness.PARTITIONS)]
    reader.assign(partitions)
    await reader.seek_to_end(*partitions)
    producer = Producer({"bootstrap.servers": bench.address, "log_level": 0, "partitioner": "murmur2", "linger.ms": 0})
    sent: dict[str, float] = {}
    delays: dict[str, float] = {}

    async def read() -> None:
        while len(delays) < count:
            for records in (await reader.getmany(timeout_ms=100)).values():
                now = time.monotonic()
                for record in records:
                    if record.value is not None and b'"probe-' in record.value:
                        ticket = orjson.loads(record.value)["ticket_id"]
                        delays.setdefault(ticket, now - sent[ticket])

    reading = asyncio.create_task(read())
    for number in range(count):
        ticket = f"probe-{number}"
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {"status": "new", "priority": "P3", "type": "incident", "service": f"service-{number % 100:05d}"}
        event = {"type": "created", "ticket_id": ticket, "occurred_at": stamp, "source": "desk", "ticket": body}
        sent[ticket] = time.monotonic()
        producer.produce(TICKETS, orjson.dumps(event), ticket.encode())
        producer.poll(0)
        await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(reading, 60)
    finally:
        await reader.stop()
    return list(delays.values())
