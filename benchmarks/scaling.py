"""Several workers of one group against one."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks import harness, load
from benchmarks.harness import Bench, Measured, Process, Subject
from benchmarks.jobs.core import TICKETS
from benchmarks.run import Result, Run
from slastream.stream.topics import create_topics

QUIET_SECONDS = 2.0


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
    head = ["workers", "events/s together", "CPU µs/event", "RSS MiB together"]
    note = "This machine has 2 cores, and the broker needs one of them: more workers cannot be faster here, only not lose much."
    return {"tables": [{"title": "Stage 1, exactly_once:", "head": head, "rows": rows}], "notes": [note]}


def _measure(run: Run, count: int) -> Measured:
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench, ExitStack() as stack:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        group = bench.new_name("group")
        first = harness.ours("worker", "tickets")
        processes = [stack.enter_context(Process(bench, first, group))]
        others = [Process(bench, _another(first, group), f"{group}-{number}") for number in range(1, count)]
        processes += [stack.enter_context(each) for each in others]
        together = Together(processes)
        _wait_until_settled(bench, together, group, count)
        bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_000), end=datetime.now(UTC), seed=run.seed))
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
