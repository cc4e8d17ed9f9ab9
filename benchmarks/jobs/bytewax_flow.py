"""Bytewax: a keyed stateful step between a Kafka source and sink, with its recovery snapshots each second.

It has no changelog in Kafka and commits no offsets there: how far it is stands in a file, written every 1,000 events.
"""

import os
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic

from benchmarks.jobs.core import EVENTS, FACTS, TICKETS, Tickets, count, cut, record

JOB = os.environ["BENCHMARK_JOB"]
BROKER = os.environ["BENCHMARK_BROKER"]
PROGRESS = Path(os.environ["BENCHMARK_PROGRESS"])


class Progress:
    def __init__(self) -> None:
        self._done = 0

    def add(self, events: int) -> None:
        before, self._done = self._done, self._done + events
        if before // 1000 != self._done // 1000:
            PROGRESS.write_text(str(self._done))


PASSED = Progress()


class CounterLogic(StatefulBatchLogic[Any, Any, Any]):  # type: ignore[misc]  # not installed where types are checked
    def __init__(self, held: bytes | None) -> None:
        self._state = [-1, 0] if held is None else orjson.loads(held)

    def on_batch(self, values: list[Any]) -> tuple[list[Any], bool]:
        facts = []
        for message in values:
            fact = count(self._state, message.offset, message.key, message.value)
            if fact is not None:
                facts.append((FACTS, *fact))
        PASSED.add(len(values))
        return facts, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        return orjson.dumps(self._state)


class TicketLogic(StatefulBatchLogic[Any, Any, Any]):  # type: ignore[misc]  # not installed where types are checked
    def __init__(self, held: bytes | None) -> None:
        self._held = held or b""
        self._processor = CORE.of_one_ticket(0)

    def on_batch(self, values: list[Any]) -> tuple[list[Any], bool]:
        for message in values:
            at = int(message.timestamp[1])
            self._processor.apply(record(message.partition, message.offset, at, message.key, message.value))
        state, outputs = cut(self._processor)
        if state:
            self._held = b"".join(held for _, held in state)
        PASSED.add(len(values))
        return outputs, StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        return self._held


def to_message(keyed: tuple[str, tuple[str, bytes, bytes]]) -> KafkaSinkMessage[bytes, bytes]:
    topic, key, value = keyed[1]
    return KafkaSinkMessage(key, value, topic=topic)


CORE: Any = Tickets(os.environ["BENCHMARK_POLICY"]) if JOB == "tickets" else None
flow = Dataflow("benchmark")
source = KafkaSource([BROKER], [EVENTS if JOB == "counter" else TICKETS], tail=True)
events = op.input("events", flow, source)
keyed = op.key_on("key", events, lambda message: message.key.decode())
made = op.stateful_batch("core", keyed, CounterLogic if JOB == "counter" else TicketLogic)
kop.output("facts", op.map("message", made, to_message), brokers=[BROKER], topic=FACTS)
