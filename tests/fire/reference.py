"""What one thread makes of the same log: the stream's core record by record, and `replay` of the same events.

Run as processes of their own (they share no memory with the run that they judge), on the log as read back from Kafka.
"""

import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from slastream.app import load_policy_path, make_stages, replay
from slastream.core.units import Instant
from slastream.stream.stage import Record

from .load import partition_of
from .topics import Read

Json = dict[str, Any]
Published = Counter[tuple[bytes | None, bytes | None]]
"""Keys and values, and how often."""
OUTPUTS = ("sla.breaches", "sla.verdicts", "sla.rejected")
CUT_EVERY = 5_000


def write_log(path: Path, log: list[Read]) -> None:
    path.write_bytes(pickle.dumps([tuple(record) for record in log], protocol=5))


def read_log(path: Path) -> list[Read]:
    return [Read(*record) for record in pickle.loads(path.read_bytes())]


@dataclass(slots=True)
class Expected:
    """Of the log in the order of each partition: everything that stage 1 publishes, by topic, and its strays."""

    published: dict[str, Published] = field(default_factory=lambda: {topic: Counter() for topic in OUTPUTS})
    strays: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    ticks: int = 0


def is_stray(record: Read) -> bool:
    """Whether a record is in the wrong partition: there it does not count, but where it is forwarded to."""
    return record.key is not None and partition_of(record.key) != record.partition


def expected_outputs(policy: Path, log_path: Path) -> Expected:
    """Each partition's records through one processor, in order, without interruption."""
    found = Expected()
    stage = make_stages(load_policy_path(policy))[0]
    by_partition: dict[int, list[Read]] = {}
    for record in read_log(log_path):
        by_partition.setdefault(record.partition, []).append(record)
    for partition, records in sorted(by_partition.items()):
        processor = stage.make(partition)
        for number, one in enumerate(records, 1):
            if is_stray(one):
                found.strays.append((one.key, one.value))
            else:
                found.ticks += one.value is not None and one.value.startswith(b'{"type":"tick"') and one.key is None
                processor.apply(
                    Record(
                        "sla.tickets", partition, one.offset, one.timestamp_ms * 1000, one.key, one.value, one.headers
                    )
                )
            if number % CUT_EVERY == 0 or number == len(records):
                for output in processor.cut().outputs:
                    if output.topic in found.published:  # stage 2 writes into `sla.ledger`, too
                        found.published[output.topic][output.key, output.value] += 1
    return found


@dataclass(slots=True)
class Replayed:
    """`slastream replay` of what the stream has accepted, up to the end of the run."""

    verdicts: list[Json]
    facts: list[Json]
    compliance: list[Json]
    availability: list[Json]


Origin = tuple[str, int, int]
"""Topic, partition and offset."""


def replayed(policy: Path, logs: dict[str, Path], rejected: set[Origin], until_us: int) -> Replayed:
    """`rejected` names what the stream refused: what was too late for its table, above all."""
    log = [
        (topic, r)
        for topic, path in logs.items()
        for r in read_log(path)
        if (topic, r.partition, r.offset) not in rejected and not (topic == "sla.tickets" and is_stray(r))
    ]

    def lines() -> Iterator[tuple[str, int, bytes]]:
        for topic, r in log:
            if r.value is not None and not r.value.startswith(b'{"type":"'):  # ticks and markers
                yield f"{topic}-{r.partition}", r.offset, r.value

    result = replay(load_policy_path(policy), lines, Instant(until_us), "all")
    kinds: dict[str, list[Json]] = {name: [] for name in ("verdict", "fact", "compliance", "availability", "rejected")}
    for line in result.lines:
        if line["kind"] in kinds:
            kinds[line["kind"]].append(orjson.loads(orjson.dumps(line)))
    assert kinds["rejected"] == [], kinds["rejected"][:3]
    return Replayed(kinds["verdict"], kinds["fact"], kinds["compliance"], kinds["availability"])
