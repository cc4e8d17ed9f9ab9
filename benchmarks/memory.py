"""What an open ticket takes in the memory of stage 1, awake and asleep: in a process of its own, without a broker."""

import gc
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks import load
from benchmarks.harness import REPOSITORY
from benchmarks.run import Result, Run
from benchmarks.stages import ticket_records
from slastream.app import make_stages
from slastream.stream.stage import Processor, Record
from slastream.stream.ticket_stage import MAX_AWAKE
from slastream.wire.policy_file import load_policy

CHUNK_RECORDS = 2_000
DAYS = 4.02
"""All are created within half an hour: no deadline passes."""
STEPS = (MAX_AWAKE // 4, MAX_AWAKE, 2 * MAX_AWAKE)


def memory(run: Run) -> Result:
    """Growth of the resident memory per ticket of one event: while all are awake, and of those that fall asleep."""
    command = [sys.executable, "-m", "benchmarks.memory"]
    done = subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE, cwd=REPOSITORY)
    values = orjson.loads(done.stdout)
    for name, value in values.items():
        run.say(f"{name}: {value:.0f}")
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
        "asleep, bytes a ticket": (sizes[2] - sizes[1]) / (STEPS[2] - STEPS[1]),
        "awake at most, tickets of a partition": MAX_AWAKE,
    }
    sys.stdout.buffer.write(orjson.dumps(values))


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
