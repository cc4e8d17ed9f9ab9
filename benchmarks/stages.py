"""CPU time of the two stages' processors for each record, in one process and without a broker, and where it goes.

    python -m benchmarks.stages POLICY EVENTS.jsonl [--profile tickets|services] [--chunk 2000]

The events go to 8 partitions by the key, as Kafka would put them; after each chunk the partition is cut, as a commit does.
What the wire and the lane cost is not in it: `python -m benchmarks` measures a whole worker.
"""

import argparse
import cProfile
import gc
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from slastream.app import load_policy_path, make_stages
from slastream.cli import GC_THRESHOLDS
from slastream.core.units import parse_instant
from slastream.stream.commit import partition_of
from slastream.stream.stage import Processor, Record
from slastream.stream.ticket_stage import VERDICTS

PARTITIONS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("events", type=Path, help="events of tickets, one a line, in the order of their arrival")
    parser.add_argument("--chunk", type=int, default=2_000, help="records of a partition between two cuts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=("tickets", "services"))
    options = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)
    records = ticket_records(options.events.read_bytes().splitlines())
    gc.freeze()
    stage_of = {stage.name: stage.make for stage in make_stages(load_policy_path(options.policy))}
    costs = defaultdict(list)
    for _ in range(options.rounds):
        run = Stages(stage_of["tickets"], options.chunk)
        costs["tickets"].append(run.feed(records, options.profile == "tickets"))
        verdicts = verdict_records(run.outputs)
        second = Stages(stage_of["services"], options.chunk)
        costs["services"].append(second.feed(verdicts, options.profile == "services"))
        if options.profile:
            break
    print(f"{len(records)} events of tickets, {len(verdicts)} verdicts; CPU µs, best of {options.rounds}")
    for name, count in (("tickets", len(records)), ("services", len(verdicts))):
        apply_us, cut_us = min(costs[name], key=sum)
        print(
            f"{name:9} {(apply_us + cut_us) / count:6.1f} per record: apply {apply_us / count:.1f}, cut {cut_us / count:.1f}"
        )
    print(
        f"changelog {run.state_bytes / len(records):.0f} bytes, outputs {run.output_bytes / len(records):.0f} bytes per event"
    )
    return 0


class Stages:
    """One stage over all its records."""

    def __init__(self, make: Callable[[int], Processor], chunk: int = 2_000) -> None:
        self._processors = [make(number) for number in range(PARTITIONS)]
        self._chunk = chunk
        self.outputs: list[Any] = []
        self.state_bytes = self.output_bytes = 0

    def feed(self, records: list[Record], is_profiled: bool = False) -> tuple[float, float]:
        """CPU µs of applying and of cutting."""
        by_partition = [[r for r in records if r.partition == number] for number in range(PARTITIONS)]
        profiler = cProfile.Profile() if is_profiled else None
        apply_us = cut_us = 0.0
        if profiler is not None:
            profiler.enable()
        for start in range(0, max(map(len, by_partition)), self._chunk):
            for processor, mine in zip(self._processors, by_partition, strict=True):
                began = time.process_time()
                for record in mine[start : start + self._chunk]:
                    processor.apply(record)
                applied = time.process_time()
                cut = processor.cut()
                cut_us += time.process_time() - applied
                apply_us += applied - began
                self.outputs += cut.outputs
                self.state_bytes += sum(len(key) + len(value or b"") for key, value in cut.state)
                self.output_bytes += sum(len(each.key or b"") + len(each.value or b"") for each in cut.outputs)
        if profiler is not None:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        return apply_us * 1e6, cut_us * 1e6


def ticket_records(lines: Iterable[bytes]) -> list[Record]:
    """The records of `sla.tickets`, with the instant of each event as the broker's time of it."""
    offsets = [0] * PARTITIONS
    records = []
    for line in lines:
        event = orjson.loads(line)
        key = event["ticket_id"].encode()
        number = partition_of(key, PARTITIONS)
        at = parse_instant(event["occurred_at"])
        records.append(Record("sla.tickets", number, offsets[number], at, key, line, ()))
        offsets[number] += 1
    return records


def verdict_records(outputs: list[Any]) -> list[Record]:
    """What stage 2 reads of what stage 1 put out."""
    offsets = [0] * PARTITIONS
    records = []
    for topic, partition_key, key, value in outputs:
        if topic == VERDICTS:
            number = partition_of(partition_key, PARTITIONS)
            records.append(Record(topic, number, offsets[number], 0, key, value, ()))
            offsets[number] += 1
    return records


if __name__ == "__main__":
    raise SystemExit(main())
