"""Several workers of one group against one, and how long their work pauses when one of them leaves."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks import harness, load
from benchmarks.harness import Bench, Measured, Process, Subject
from benchmarks.jobs.core import TICKETS
from benchmarks.live import Feeder
from benchmarks.run import Result, Run
from slastream.core.units import parse_instant
from slastream.stream.topics import create_topics

QUIET_SECONDS = 2.0
PAUSE_RATE = 500.0


class Together:
    """Processes that are measured as one."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    @property
    def log(self) -> str:
        return "\n".join(each.log for each in self._processes)

    def cpu_seconds(self) -> float:
        return sum(each.cpu_seconds() for each in self._processes)

    def rss_bytes(self) -> int:
        return sum(each.rss_bytes() for each in self._processes)

    def must_run(self) -> None:
        for each in self._processes:
            each.must_run()


def workers(run: Run) -> Result:
    """Stage 1 of one, two and four workers that share 8 partitions."""
    rows: list[list[float]] = []
    for count in (1, 2, 4):
        found = [_measure(run, count) for _ in range(run.runs)]
        row = [harness.median(found, name) for name in ("rate", "cpu_us", "rss_mib")]
        rows.append([count, *row])
        run.say(f"{count} workers: {row[0]:,.0f} events/s, {row[1]:.1f} µs")
    pauses: list[list[float]] = []
    for count in (2, 4):
        before, after = zip(*(_pause(run, count) for _ in range(run.runs)), strict=True)
        pauses.append([count, statistics.median(before), statistics.median(after)])
        run.say(f"{count} workers, one leaves: longest delay {pauses[-1][1]:.2f} s before, {pauses[-1][2]:.2f} s after")
    head = ["workers", "events/s together", "CPU µs/event", "RSS MiB together"]
    pause_head = ["workers", "longest delay in the 10 s before, s", "in the 20 s after, s"]
    note = "This machine has 2 cores, and the broker needs one of them: more workers cannot be faster here, only not lose much."
    return {
        "tables": [
            {"title": "Stage 1, exactly_once:", "head": head, "rows": rows},
            {
                "title": "One worker leaves (SIGTERM, dynamic membership) at 500 events/s: event to readable verdict:",
                "head": pause_head,
                "rows": pauses,
            },
        ],
        "notes": [note],
    }


def _pause(run: Run, count: int) -> tuple[float, float]:
    """The longest delay from an event to its readable verdict before one of the workers leaves, and after."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench, ExitStack() as stack:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        processes = _start(bench, stack, count)
        events = load.ticket_events(50_000, end=datetime.now(UTC), seed=run.seed)
        feeder = Feeder(bench, TICKETS, load.live(events), PAUSE_RATE)
        feeder.start()
        try:
            before, after = asyncio.run(_delays_around(bench, processes[-1], run.size(10, 3), run.size(20, 12)))
        finally:
            feeder.stop()
        return before, after


async def _delays_around(bench: Bench, leaving: Process, before: float, after: float) -> tuple[float, float]:
    reader = AIOKafkaConsumer(bootstrap_servers=bench.address, isolation_level="read_committed", fetch_max_wait_ms=10)
    await reader.start()
    try:
        partitions = [TopicPartition("sla.verdicts", each) for each in range(harness.PARTITIONS)]
        reader.assign(partitions)
        await reader.seek_to_end(*partitions)
        await _longest_delay(reader, 3.0)  # the first events
        first = await _longest_delay(reader, before)
        leaving.process.terminate()
        return first, await _longest_delay(reader, after)
    finally:
        await reader.stop()


async def _longest_delay(reader: AIOKafkaConsumer, seconds: float) -> float:
    """Of the verdicts that come meanwhile and follow from an event, whose instant is that of its writing."""
    longest, ends_at = 0.0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        found = await reader.getmany(timeout_ms=50)
        now = time.time()
        for records in found.values():
            for record in records:
                as_of = parse_instant(orjson.loads(record.value)["as_of"])
                longest = max(longest, now - as_of / 1e6)
    return longest


def _start(bench: Bench, stack: ExitStack, count: int) -> list[Process]:
    """So many workers of stage 1 in one group, when each has its partitions."""
    group = bench.new_name("group")
    first = harness.as_built(harness.ours("worker", "tickets"))
    processes = [stack.enter_context(Process(bench, first, group))]
    others = [Process(bench, _another(first, group), f"{group}-{number}") for number in range(1, count)]
    processes += [stack.enter_context(each) for each in others]
    _wait_until_settled(bench, Together(processes), group, count)
    return processes


def _measure(run: Run, count: int) -> Measured:
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench, ExitStack() as stack:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        processes = _start(bench, stack, count)
        together, group = Together(processes), processes[0].group
        bench.load(TICKETS, load.ticket_events(run.size(20_000, 1_000), end=datetime.now(UTC), seed=run.seed))
        ends = bench.ends(TICKETS)
        watching = harness.watch_group(bench, together, group, TICKETS, ends, sum(ends.values()), 240)
        samples = asyncio.run(watching)
        return harness.measured(samples, together.rss_bytes() / 2**20)


def _another(first: Subject, group: str) -> Subject:
    return Subject(first.name, lambda bench, _: first.command(bench, group))


def _wait_until_settled(bench: Bench, together: Together, group: str, count: int) -> None:
    """Until the group has all its members and their logs have been quiet for two seconds."""
    admin = AdminClient({"bootstrap.servers": bench.address, "log_level": 0})
    deadline = time.monotonic() + harness.START_LIMIT_SECONDS
    log, quiet_since = "", time.monotonic()
    while time.monotonic() < deadline:
        together.must_run()
        if (now := together.log) != log:
            log, quiet_since = now, time.monotonic()
        if (
            _is_whole(admin, group, count)
            and "seeking -> running" in log
            and time.monotonic() > quiet_since + QUIET_SECONDS
        ):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{count} workers did not settle:\n{log[-3000:]}")


def _is_whole(admin: AdminClient, group: str, count: int) -> bool:
    try:
        found = admin.describe_consumer_groups([group])[group].result(10)
    except KafkaException:  # the broker has not loaded its groups yet
        return False
    return bool(found.state == ConsumerGroupState.STABLE and len(found.members) == count)
