"""What is in the topics: read, written and emptied by the tests."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from slastream.stream.topics import create_topics, load_declarations

from .load import PARTITIONS

SOURCES = ("sla.tickets", "sla.verdicts", "sla.monitoring", "sla.maintenance", "sla.ledger")
CHANGELOGS = ("slastream-tickets-changelog", "slastream-services-changelog")


class Read(NamedTuple):
    """A committed record."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


async def make_topics_anew(broker: str, compaction_lag_ms: int) -> None:
    """Delete all topics of slastream and create them empty; changelogs are compacted all the time, in tiny segments."""
    declared = {topic.name: topic for topic in load_declarations().topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        async with asyncio.timeout(60):
            if there := sorted(declared.keys() & set(await admin.list_topics())):
                await admin.delete_topics(there)
            while declared.keys() & set(await admin.list_topics()):
                await asyncio.sleep(0.05)
        tiny = {
            "segment.ms": "1000",
            "segment.bytes": "1048576",
            "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": str(compaction_lag_ms),
            "delete.retention.ms": "20000",
        }
        await admin.create_topics(
            [NewTopic(name, PARTITIONS, 1, topic_configs={**declared[name].config, **tiny}) for name in CHANGELOGS]
        )
    finally:
        await admin.close()
    await create_topics(broker, PARTITIONS)


@asynccontextmanager
async def _reader(broker: str, topics: Iterable[str]) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker, isolation_level="read_committed", group_id=None, fetch_max_wait_ms=20
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, each) for topic in topics for each in range(PARTITIONS)])
        await consumer.seek_to_beginning(*consumer.assignment())
        yield consumer
    finally:
        await consumer.stop()


async def read(broker: str, topic: str) -> list[Read]:
    """All committed records, now, in the order of each partition."""
    async with _reader(broker, [topic]) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        records: list[Read] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for some in (await consumer.getmany(timeout_ms=50)).values():
                records += [Read(r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in some]
        records.sort()
        return records


async def _committed(broker: str, group: str) -> dict[tuple[str, int], int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
        return {}
    finally:
        await admin.close()
    return {(each.topic, each.partition): at.offset for each, at in found.items() if at.offset >= 0}


class Marks(NamedTuple):
    """How far the workers' sources reach, how far the group has come, and whether no record lies between."""

    ends: list[int]
    committed: list[int]
    is_consumed: bool


async def marks(broker: str, group: str) -> Marks:
    """As of now."""
    offsets = await _committed(broker, group)
    async with _reader(broker, SOURCES) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        for each in ends:
            consumer.seek(each, offsets.get((each.topic, each.partition), 0))
        is_consumed = True
        while is_consumed and any([await consumer.position(each) < end for each, end in ends.items()]):
            # positions go on alone over the ends of transactions
            is_consumed = not any((await consumer.getmany(timeout_ms=50)).values())
    return Marks([end for _, end in sorted(ends.items())], [at for _, at in sorted(offsets.items())], is_consumed)
