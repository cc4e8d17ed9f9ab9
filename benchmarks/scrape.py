"""What a scrape of a worker with more than 20,000 series costs, and how long it keeps the loop from its turn.

A process of its own, without a broker.
"""

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import orjson

from benchmarks import load
from benchmarks.harness import REPOSITORY
from benchmarks.run import Result, Run
from benchmarks.stages import ticket_records
from slastream.app import make_stages
from slastream.export.collector import Collector
from slastream.export.server import start_metrics_server
from slastream.stream.runtime import OwnedPartition, Runtime, State
from slastream.stream.stage import Record
from slastream.wire.policy_file import load_policy

SERVICES, TICKETS, SCRAPES = 120, 6_000, 20


def scrape(run: Run) -> Result:
    """Medians of some scrapes, after the first."""
    command = [sys.executable, "-m", "benchmarks.scrape"]
    done = subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE, cwd=REPOSITORY)
    values = orjson.loads(done.stdout)
    for name, value in values.items():
        run.say(f"{name}: {value:.1f}")
    return {"values": values}


def worker() -> tuple[Runtime, Collector]:
    """A worker with a partition of stage 2 that has taken the verdicts of the tickets."""
    policy = load_policy([("policy.yaml", load.policy_text())], lambda name: Path(name).read_bytes())
    tickets, services = make_stages(policy)
    first, second = tickets.make(0), services.make(0)
    made = load.ticket_events(TICKETS, 1, end=datetime.now(UTC), services=SERVICES)
    for number, each in enumerate(ticket_records(value for _, value in made)):
        first.apply(each._replace(partition=0, offset=number))
    at = round(time.time() * 1_000_000)
    verdicts = [each for each in first.cut().outputs if each.topic == "sla.verdicts"]
    for number, output in enumerate(verdicts):
        second.apply(Record("sla.verdicts", 0, number, at, output.key, output.value, ()))
    second.cut()
    runtime = Runtime((tickets, services), generation=0)
    runtime.owned["services", 0] = OwnedPartition(services, 0, 0, processor=second, state=State.RUNNING)
    return runtime, Collector(policy, runtime, snapshot_seconds=0.0)


async def measured() -> dict[str, float]:
    """By the clock, in CPU, and the longest that a task waited that wants its turn each millisecond."""
    runtime, collector = worker()
    gc.freeze()
    gc.set_threshold(200_000)  # as a worker does
    server = await start_metrics_server(collector, "127.0.0.1:0", runtime)
    waits: list[float] = []

    async def wait() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            waits.append(time.perf_counter() - began - 0.001)

    wall, cpu, lines = [], [], 0
    async with aiohttp.ClientSession(f"http://{server.address}") as session:
        for number in range(SCRAPES + 1):
            if number == 1:  # the first one learns the labels
                waiting = asyncio.create_task(wait())
            began, began_cpu = time.perf_counter(), time.process_time()
            async with session.get("/metrics") as answer:
                text = await answer.read()
            wall.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - began_cpu) * 1000)
            lines = sum(not line.startswith(b"#") for line in text.splitlines())
    waiting.cancel()
    await server.close()
    return {
        "series": lines,
        "first scrape, ms": wall[0],
        "scrape, ms": statistics.median(wall[1:]),
        "scrape, CPU ms, with who asks": statistics.median(cpu[1:]),
        "a turn of the loop late, 99 of 100 while scrapes follow each other, ms": statistics.quantiles(waits, n=100)[98]
        * 1000,
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(measured())))
