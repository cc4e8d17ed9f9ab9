"""The two cores that every system runs: a counter per key, and the tickets of slastream."""

from pathlib import Path
from typing import Any

import orjson

from slastream.app import load_policy_path
from slastream.core.rules import Rulebook
from slastream.stream.stage import Record
from slastream.stream.ticket_stage import META_KEY, TicketPartition

EVERY = 100
EVENTS, FACTS = "bench.events", "bench.facts"
TICKETS = "sla.tickets"
Outputs = list[tuple[str, bytes, bytes]]
"""Topic, key, value."""


class Tickets:
    """slastream's ticket processor, one for each partition, called for each event of another system.

    What a system cannot give (state on its disk being read back at each event) is spared it: tickets stay in memory.
    """

    def __init__(self, policy: str) -> None:
        self._book = Rulebook(load_policy_path(Path(policy)))
        self._partitions: dict[int, TicketPartition] = {}

    def of_one_ticket(self, partition: int) -> TicketPartition:
        """A processor for a system that hands over events by key: those of a partition are not in their order then."""
        return TicketPartition(self._book, partition)

    def apply(self, partition: int, offset: int, timestamp_ms: int, key: bytes, value: bytes) -> TicketPartition:
        """Fold one event; `cut` then gives what became of it."""
        processor = self._partitions.get(partition)
        if processor is None:
            processor = self._partitions[partition] = TicketPartition(self._book, partition)
        processor.apply(record(partition, offset, timestamp_ms, key, value))
        return processor

    def cuts(self) -> list[tuple[int, list[tuple[bytes, bytes]], Outputs]]:
        """Of every partition that has changes: its number, state and outputs."""
        return [(number, *cut(each)) for number, each in self._partitions.items() if each.has_changes()]


def record(partition: int, offset: int, timestamp_ms: int, key: bytes, value: bytes) -> Record:
    return Record(TICKETS, partition, offset, timestamp_ms * 1000, key, value, ())


def cut(processor: TicketPartition) -> tuple[list[tuple[bytes, bytes]], Outputs]:
    """The changed tickets as stored bytes, and the lines to publish."""
    made = processor.cut()
    state = [(key, value or b"") for key, value in made.state if key != META_KEY]
    return state, [(each.topic, each.key or b"", each.value or b"") for each in made.outputs]


def count(state: Any, offset: int, key: bytes, value: bytes) -> tuple[bytes, bytes] | None:
    """The counter job: `state` is [last offset, events]; a fact at each hundredth."""
    event = orjson.loads(value)
    state[0] = offset
    state[1] += 1
    if state[1] % EVERY:
        return None
    return b"%s:%d" % (key, state[1]), b'{"latency_ms":%d}' % event["latency_ms"]
