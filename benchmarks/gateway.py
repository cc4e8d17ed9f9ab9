"""Accepted events a second, CPU time an event and time to the 202 of one gateway process before a real Kafka.

    python -m benchmarks.gateway [--seconds 10] [--batches 1,100,500,1000]
    python -m benchmarks.gateway --outage 60 [--rate 500]

The first asks as fast as `--connections` allow, for each size of batch. The second sends at a steady rate while Kafka is killed
and away for so long, then reads the log: what was accepted and is not in it is counted, as is what is in it and was never sent.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import create_topics

PARTITIONS = 8
TICKET = {
    "service": "mail",
    "status": "open",
    "priority": "P1",
    "type": "incident",
    "title": "It does not work",
    "group": "L1",
}


@dataclass(slots=True)
class Measured:
    """Of one run: answers by status, events that were accepted, seconds to each 202."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    seconds: list[float] = field(default_factory=list)
    accepted_ids: set[str] = field(default_factory=set)
    sent_ids: set[str] = field(default_factory=set)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--batches", default="1,100,500,1000")
    parser.add_argument("--outage", type=float, help="seconds that Kafka is away")
    parser.add_argument("--rate", type=int, default=500, help="requests a second during the outage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, KafkaBroker.start(Path(folder) / "kafka") as kafka:
        asyncio.run(create_topics(kafka.address, PARTITIONS))
        with gateway(kafka.address, Path(folder)) as (address, process):
            if options.outage is not None:
                asyncio.run(outage(kafka, address, options.outage, options.rate))
                return 0
            print("events a request | events/s | CPU µs an event | ms to 202: median | 99 %")
            for batch in map(int, options.batches.split(",")):
                before, started = cpu_seconds(process.pid), time.monotonic()
                found = asyncio.run(as_fast_as_possible(address, batch, options.connections, options.seconds))
                cpu, taken = cpu_seconds(process.pid) - before, time.monotonic() - started
                assert set(found.statuses) == {202}, found.statuses
                cuts = quantiles(found.seconds, n=100)
                print(
                    f"{batch} | {found.accepted / taken:.0f} | {cpu / found.accepted * 1e6:.1f} | "
                    f"{cuts[49] * 1000:.1f} | {cuts[98] * 1000:.1f}",
                    flush=True,
                )
    return 0


@contextmanager
def gateway(broker: str, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A gateway process without authentication, ready; its address."""
    log = folder / "gateway.txt"
    command = [
        sys.executable, "-m", "slastream.cli", "gateway", "--broker", broker, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
    ]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        deadline = time.monotonic() + 30
        while "writes to Kafka" not in (text := log.read_text()):
            assert time.monotonic() < deadline and process.poll() is None, text
            time.sleep(0.05)
        yield text.partition("takes events at ")[2].split()[0], process
    finally:
        process.terminate()
        process.wait(40)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def event(number: int) -> tuple[str, bytes]:
    """An event of about 210 bytes, and its id."""
    name = f"bench:{number}"
    ticket = f"T-{number % 5000}"
    return name, orjson.dumps(
        {
            "event_id": name,
            "ticket_id": ticket,
            "occurred_at": "2026-03-02T10:00:00Z",
            "source": "bench",
            "ticket": TICKET,
        }
    )


async def as_fast_as_possible(address: str, batch: int, connections: int, seconds: float) -> Measured:
    """Each connection sends the next request when the last is answered. Bodies are made before."""
    bodies = [b"\n".join(event(n)[1] for n in range(start * batch, start * batch + batch)) for start in range(64)]
    found, end = Measured(), time.monotonic() + seconds

    async def ask(session: aiohttp.ClientSession, first: int) -> None:
        number = first
        while (started := time.monotonic()) < end:
            async with session.post(f"{address}/v1/events", data=bodies[number % len(bodies)]) as answer:
                await answer.read()
                found.statuses[answer.status] += 1
                if answer.status == 202:
                    found.accepted += batch
                    found.seconds.append(time.monotonic() - started)
            number += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        await asyncio.gather(*(ask(session, each * 7) for each in range(connections)))
    return found


async def outage(kafka: KafkaBroker, address: str, seconds: float, rate: int) -> None:
    """5 s of load, the outage under load, 15 s of load; then the log is compared with the answers."""
    found, asking = Measured(), set[asyncio.Task[None]]()

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        name, body = event(number)
        found.sent_ids.add(name)
        started = time.monotonic()
        try:
            async with session.post(f"{address}/v1/events", data=body) as answer:
                await answer.read()
                found.statuses[answer.status] += 1
                assert answer.status == 202 or "Retry-After" in answer.headers
                if answer.status == 202:
                    found.accepted_ids.add(name)
                    found.seconds.append(time.monotonic() - started)
        except aiohttp.ClientError:
            found.statuses[0] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=900)) as session:
        started, number, is_killed, restart = time.monotonic(), 0, False, None
        while (now := time.monotonic() - started) < 5 + seconds + 15:
            if now > 5 and not is_killed:
                kafka.kill()
                is_killed = True
            if now > 5 + seconds and restart is None:
                restart = asyncio.create_task(asyncio.to_thread(kafka.restart))
            while number < now * rate:
                asking.add(task := asyncio.create_task(ask(session, number)))
                task.add_done_callback(asking.discard)
                number += 1
            await asyncio.sleep(0.01)
        assert restart is not None
        await restart
        await asyncio.gather(*asking)
    kept = await read_ids(kafka.address)
    print(
        f"{len(found.sent_ids)} requests at {rate}/s, Kafka away for {seconds:g} s: {dict(found.statuses)} (0: not connected)"
    )
    print(
        f"accepted {len(found.accepted_ids)}, of them missing in the log {len(found.accepted_ids - set(kept))}, more than once "
        f"{sum(kept[name] > 1 for name in found.accepted_ids)}; in the log but never sent {len(set(kept) - found.sent_ids)}, "
        f"answered 503 and kept all the same {len(set(kept) - found.accepted_ids)}"
    )


async def read_ids(broker: str) -> Counter[str]:
    """How often each event id is in the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None)
    await consumer.start()
    try:
        consumer.assign([TopicPartition("sla.tickets", each) for each in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(consumer.assignment())
        kept: Counter[str] = Counter()
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                kept.update(orjson.loads(record.value)["event_id"] for record in records)
    finally:
        await consumer.stop()
    return kept


if __name__ == "__main__":
    sys.exit(main())
