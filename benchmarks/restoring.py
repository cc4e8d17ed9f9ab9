"""How fast a table comes back from its changelog, ours and that of Kafka Streams: same counts of records and keys."""

import re
import statistics
import struct
from collections.abc import Callable, Iterator
from datetime import datetime

from benchmarks import harness
from benchmarks.harness import Bench, Process, Subject
from benchmarks.jobs.core import EVENTS, FACTS
from benchmarks.live import wait_for
from benchmarks.run import Result, Run

RECORDS_PER_KEY = 5
_STAMP = re.compile(r"^(\S+ \S+) INFO \S+: \S+: (\w+) -> (\w+) ", re.MULTILINE)


def restore(run: Run) -> Result:
    """1,000,000 records of 200,000 keys in 8 partitions, from the first partition's start to the last one's end."""
    keys = run.size(200_000, 4_000)
    total = keys * RECORDS_PER_KEY
    ours: list[float] = []
    streams: list[float] = []
    with harness.bench(is_quick=run.is_quick) as bench:
        bench.create(EVENTS, FACTS)
        for _ in range(run.runs):
            ours.append(_restore_ours(bench, keys, total))
            run.say(f"slastream: {ours[-1]:,.0f} records/s")
            if run.with_peers:
                streams.append(_restore_streams(bench, keys, total))
                run.say(f"Kafka Streams: {streams[-1]:,.0f} records/s")
    values = {"slastream, records/s": statistics.median(ours)}
    if streams:
        values["Kafka Streams in memory, records/s"] = statistics.median(streams)
        values["ours / Kafka Streams"] = statistics.median(ours) / statistics.median(streams)
    return {"values": values, "single_runs": {"slastream": ours, "Kafka Streams": streams}}


def _restore_ours(bench: Bench, keys: int, total: int) -> float:
    def fill(bench: Bench, group: str) -> None:
        bench.create(f"{group}-table", config=harness.TABLE)
        bench.load(f"{group}-table", _records(keys, total, lambda number: b"[%d,%d]" % (number, number)))

    subject = harness.ours("restore", "counter")
    subject.prepare = fill
    with Process(bench, subject, bench.new_name("restore")) as process:
        wait_for(process, "seeking -> running", harness.PARTITIONS)
        log = process.log
    starts, ends = [], []
    for stamp, _, after in _STAMP.findall(log):
        at = datetime.fromisoformat(stamp.replace(",", ".")).timestamp()
        if after == "restoring":
            starts.append(at)
        elif after == "seeking":
            ends.append(at)
    return total / (max(ends) - min(starts))


def _restore_streams(bench: Bench, keys: int, total: int) -> float:
    def fill(bench: Bench, group: str) -> None:
        bench.create(f"{group}-state-changelog", config=harness.TABLE)
        bench.load(f"{group}-state-changelog", _records(keys, total, lambda number: struct.pack(">qq", number, number)))

    subject: Subject = harness.kafka_streams(EVENTS, FACTS, "at_least_once")
    subject.prepare = fill
    with Process(bench, subject, bench.new_name("streams")) as process:
        wait_for(process, "all restored", harness.PARTITIONS)
        records, milliseconds = process.log.rpartition("all restored ")[2].split()[:2]
    if int(records) != total:
        raise RuntimeError(f"{records} of {total} records were restored")
    return total / (int(milliseconds) / 1000)


def _records(keys: int, total: int, value: Callable[[int], bytes]) -> Iterator[tuple[bytes, bytes]]:
    for number in range(total):
        yield b"key-%06d" % (number % keys), value(number)
