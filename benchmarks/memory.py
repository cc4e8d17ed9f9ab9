"""What an open ticket takes in the memory of stage 1, awake and asleep, and what a sweep of its deadlines takes.

In a process of its own, without a broker.
"""

import gc
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks import load
from benchmarks.harness import REPOSITORY
from benchmarks.run import Result, Run
from benchmarks.stages import ticket_records
from slastream.app import make_stages
from slastream.stream.deadlines import tick_value
from slastream.stream.stage import Processor, Record, Stage
from slastream.stream.ticket_stage import MAX_AWAKE
from slastream.wire.policy_file import load_policy

CHUNK_RECORDS = 2_000
DAYS = 4.02
"""All are created within half an hour: no deadline passes."""
SWEPT = 125_000
"""Open tickets of a partition: those of a million in eight."""
DUE = 1_000
MINUTE_US = 60_000_000
STEPS = (MAX_AWAKE // 4, MAX_AWAKE, 15 * MAX_AWAKE, 25 * MAX_AWAKE)
"""What a writer of lines remembers is full before the last of them: that is not of a ticket."""


def memory(run: Run) -> Result:
    """Growth of the resident memory per ticket of one event, awake and asleep; CPU of sweeps over a partition of 125,000."""
    command = [sys.executable, "-m", "benchmarks.memory"]
    done = subprocess.run(command, check=True, timeout=600, stdout=subprocess.PIPE, cwd=REPOSITORY)
    values = orjson.loads(done.stdout)
    for name, value in values.items():
        run.say(f"{name}: {value:,.4g}")
    return {"values": values}


def main() -> None:
    """The values as JSON."""
    policy = load_policy([("policy.yaml", load.policy_text())], lambda name: Path(name).read_bytes())
    stage = next(each for each in make_stages(policy) if each.name == "tickets")
    processor = stage.make(0)
    made = load.ticket_events(STEPS[-1], 1, end=datetime.now(UTC), days=DAYS)
    found = ticket_records(value for _, value in made)
    records = [each._replace(partition=0, offset=number) for number, each in enumerate(found)]
    gc.freeze()
    sizes = []
    done = 0
    for step in STEPS:
        _feed(processor, records[done:step])
        done = step
        gc.collect()
        sizes.append(_rss_bytes())
    values = {
        "awake, bytes a ticket": (sizes[1] - sizes[0]) / (STEPS[1] - STEPS[0]),
        "asleep, bytes a ticket": (sizes[3] - sizes[2]) / (STEPS[3] - STEPS[2]),
        "awake at most, tickets of a partition": MAX_AWAKE,
        **_sweeps(stage),
    }
    sys.stdout.buffer.write(orjson.dumps(values))


def _sweeps(stage: Stage) -> dict[str, float]:
    """CPU of one tick for which nothing is due, and of one that warns of or breaches tickets, most of them asleep."""
    made = load.ticket_events(SWEPT, 1, end=datetime.now(UTC), days=DAYS)
    found = ticket_records(value for _, value in made)
    processor = stage.make(0)
    _feed(processor, [each._replace(partition=0, offset=number) for number, each in enumerate(found)])
    wake_at = processor.wake_at
    assert wake_at is not None
    idle_us, _ = _tick(processor, SWEPT, wake_at - 1)
    at, due_us, facts = wake_at, 0.0, 0
    while facts < DUE:
        at += MINUTE_US
        cost_us, told = _tick(processor, at // MINUTE_US + SWEPT, at)
        due_us, facts = due_us + cost_us, facts + told
    return {
        f"a sweep over {SWEPT:,} open tickets with nothing due, CPU µs": idle_us,
        "a sweep's fact, its verdict and state included, CPU µs": due_us / facts,
    }


def _tick(processor: Processor, offset: int, at_us: int) -> tuple[float, int]:
    """CPU in µs of a tick and its cut, and how many facts it told."""
    began = time.process_time_ns()
    processor.apply(Record("sla.tickets", 0, offset, at_us, None, tick_value(at_us), ()))
    cut = processor.cut()
    return (time.process_time_ns() - began) / 1000, sum(each.topic == "sla.breaches" for each in cut.outputs)


def _feed(processor: Processor, records: Iterable[Record]) -> None:
    for number, record in enumerate(records):
        processor.apply(record)
        if number % CHUNK_RECORDS == CHUNK_RECORDS - 1:
            processor.cut()
    processor.cut()


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
