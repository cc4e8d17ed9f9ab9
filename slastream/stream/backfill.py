"""Old events into Kafka: bracketed in every partition, so that no worker writes ticks while they come (engine, section 4).

Keys are hashed with murmur2 by aiokafka's default partitioner. A second run adds nothing: the events have the same ids.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from slastream.core.events import MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.errors import DeliveryError, EventError
from slastream.stream.ticket_stage import BACKFILL_HEADER
from slastream.wire.events import decode_event

TICKETS, MONITORING, MAINTENANCE = "sla.tickets", "sla.monitoring", "sla.maintenance"
BATCH = 2000


def write_backfill(broker: str, lines: Iterable[bytes], progress: Callable[[int], None] | None = None) -> int:
    """Writes events and waits until all are acknowledged; returns how many. Raises DeliveryError."""
    return asyncio.run(_write(broker, lines, progress))


async def _write(broker: str, lines: Iterable[bytes], progress: Callable[[int], None] | None) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, linger_ms=5, max_batch_size=262_144)
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        raise DeliveryError(
            f"{broker}: the broker does not answer ({error}); start it or name another with --broker"
        ) from None
    count, begun, rest = 0, set[str](), iter(lines)
    try:
        while batch := list(islice(rest, BATCH)):
            pending = []
            for line in batch:
                topic, key = _destination(line)
                if topic not in begun:
                    begun.add(topic)
                    await _mark(producer, topic, b"begin")
                pending.append(await producer.send(topic, line, key=key, headers=[(BACKFILL_HEADER, b"event")]))
            await asyncio.gather(*pending)
            count += len(batch)
            if progress is not None:
                progress(count)
        for topic in begun:
            await _mark(producer, topic, b"end")
    except KafkaError as error:
        raise DeliveryError(
            f"{broker}: refused after {count} events: {error}; run it again, nothing is counted twice"
        ) from None
    finally:
        await producer.stop()
    return count


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
