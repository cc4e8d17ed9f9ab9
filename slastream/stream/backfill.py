"""Old events into Kafka: bracketed in every partition, so that no worker writes ticks while they come (engine, section 4).

Keys are hashed with murmur2 by aiokafka's default partitioner. What an earlier run has written is in the log itself: it is
read first, and left out. So a run that was killed is taken up where it stopped, and a second run writes nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from slastream.core.events import MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.errors import DeliveryError, EventError
from slastream.stream.kafka_client import Broker, check_broker, client_arguments
from slastream.stream.ticket_stage import BACKFILL_HEADER
from slastream.wire.events import decode_event

TICKETS, MONITORING, MAINTENANCE = "sla.tickets", "sla.monitoring", "sla.maintenance"
BATCH = 2000
MAX_RECORD_BYTES = 2 * 1024 * 1024
"""An event of 1 MiB with its key and headers: aiokafka's own limit is 1 MiB for all of it."""
DIGEST_BYTES = 16


class Backfilled(NamedTuple):
    """How many events were written, and how many an earlier run had written already."""

    written: int
    found: int


def write_backfill(broker: Broker, lines: Iterable[bytes], progress: Callable[[int], None] | None = None) -> Backfilled:
    """Writes the events that are not there and waits until all are acknowledged. Raises DeliveryError.

    Reads each topic that it writes to, once: about 100 000 records a second, and 100 bytes of memory for each event of
    earlier backfills.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what fails is told once, as DeliveryError
    return asyncio.run(_write(broker, lines, progress))


async def _write(broker: Broker, lines: Iterable[bytes], progress: Callable[[int], None] | None) -> Backfilled:
    await check_broker(broker)
    producer = AIOKafkaProducer(
        **client_arguments(broker),
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=262_144,
        max_request_size=MAX_RECORD_BYTES,
    )
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        raise DeliveryError(
            f"{broker}: the broker does not answer ({type(error).__name__}); start it or name another with --broker"
        ) from None
    written, found, earlier, rest = 0, 0, dict[str, _Earlier](), iter(lines)
    try:
        while batch := list(islice(rest, BATCH)):
            pending = []
            for line in batch:
                topic, key = _destination(line)
                if topic not in earlier:
                    earlier[topic] = await _earlier(broker, producer, topic)
                there = earlier[topic]
                if _digest(line) in there.events:
                    continue
                if not there.is_begun:
                    there.is_begun = True
                    await _mark(producer, topic, b"begin")
                pending.append(await producer.send(topic, line, key=key, headers=[(BACKFILL_HEADER, b"event")]))
            await asyncio.gather(*pending)
            written += len(pending)
            found += len(batch) - len(pending)
            if progress is not None:
                progress(written + found)
        for topic, there in earlier.items():
            if there.is_begun or there.is_open:
                await _mark(producer, topic, b"end")
    except UnknownTopicOrPartitionError:
        raise DeliveryError(
            f"{broker} lacks a topic; make it with: slastream topics create --broker {broker}"
        ) from None
    except KafkaError as error:
        raise DeliveryError(
            f"{broker}: refused after {written} events: {error}; run it again, nothing is written twice"
        ) from None
    finally:
        await producer.stop()
    return Backfilled(written, found)


@dataclass(slots=True)
class _Earlier:
    """What earlier backfills left in a topic: digests of their events, and whether one was cut off before its end."""

    events: set[bytes] = field(default_factory=set)
    is_open: bool = False
    is_begun: bool = False


async def _earlier(broker: Broker, producer: AIOKafkaProducer, topic: str) -> _Earlier:
    partitions = [TopicPartition(topic, number) for number in await producer.partitions_for(topic)]
    consumer = AIOKafkaConsumer(**client_arguments(broker), group_id=None, isolation_level="read_committed")
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        there, is_open = _Earlier(), dict[TopicPartition, bool]()
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    match _phase(record):
                        case b"event":
                            there.events.add(_digest(record.value or b""))
                        case b"begin" | b"end" as mark:
                            is_open[partition] = mark == b"begin"
                        case _:
                            pass
        there.is_open = any(is_open.values())
        return there
    finally:
        await consumer.stop()


def _phase(record: Any) -> bytes | None:
    return next((value for name, value in record.headers if name == BACKFILL_HEADER), None)


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=DIGEST_BYTES).digest()


def _destination(line: bytes) -> tuple[str, bytes]:
    event = decode_event(line)
    if isinstance(event, TicketEvent):
        return TICKETS, event.ticket_id.encode()
    if isinstance(event, MaintenanceEvent):
        return MAINTENANCE, event.service.encode()
    if isinstance(event, MonitoringEvent):
        return MONITORING, event.service.encode()
    raise EventError("unknown_kind", "$", "a tick is written by workers only")


async def _mark(producer: AIOKafkaProducer, topic: str, phase: bytes) -> None:
    partitions = await producer.partitions_for(topic)
    marks = [
        await producer.send(topic, b'{"type":"backfill"}', partition=partition, headers=[(BACKFILL_HEADER, phase)])
        for partition in sorted(partitions)
    ]
    await asyncio.gather(*marks)
