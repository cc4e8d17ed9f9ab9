"""A partition's state comes back completely: up to the last stable offset, past markers, aborted and many records."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from slastream.errors import SnapshotError
from slastream.local.kafka import KafkaBroker
from slastream.stream.restore import restore
from slastream.stream.runtime import OwnedPartition
from slastream.stream.stage import Cut, Record, Stage

pytestmark = pytest.mark.broker


class Table:
    """A core that only remembers what is restored; a value's progress is its number."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.is_restored = False
        self.wake_at = None
        self.ticks_allowed = True

    def restore(self, key: bytes, value: bytes) -> None:
        assert key not in self.values
        self.values[key] = value

    def restored(self) -> None:
        self.is_restored = True

    def progress(self, value: bytes) -> int:
        if value.startswith(b"v2"):
            raise SnapshotError("a state of version 2 was written by a newer slastream")
        return int(value)

    def apply(self, record: Record) -> None: ...
    def pass_over(self, offset: int) -> bool:
        return False

    def has_changes(self) -> bool:
        return False

    def cut(self) -> Cut:
        return Cut([], [])


async def _scenario(broker: KafkaBroker, name: str, write: Any) -> tuple[OwnedPartition, Table]:
    topic = f"restore-{name}-{time.monotonic_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    await admin.close()
    plain = AIOKafkaProducer(bootstrap_servers=broker.address)
    transactional = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id=topic)
    table = Table()
    owned = OwnedPartition(Stage("toy", ("in",), topic, "in", lambda _: table), 1, 1)
    try:
        await plain.start()
        await transactional.start()
        await write(plain, transactional, topic)
        async with asyncio.timeout(20):
            await restore(owned, table, {"bootstrap_servers": broker.address})
    finally:
        await transactional.stop()
        await plain.stop()
    return owned, table


async def _send(producer: AIOKafkaProducer, topic: str, pairs: list[tuple[bytes, bytes | None]]) -> None:
    await asyncio.gather(*[await producer.send(topic, value, key=key, partition=1) for key, value in pairs])


def test_an_empty_changelog_is_restored_at_once(kafka: KafkaBroker) -> None:
    async def write(*_: Any) -> None: ...

    owned, table = asyncio.run(_scenario(kafka, "empty", write))
    assert (table.values, table.is_restored, owned.restored_records) == ({}, True, 0)


def test_a_long_changelog_is_read_to_its_end(kafka: KafkaBroker) -> None:
    pairs: list[tuple[bytes, bytes | None]] = [(b"key-%d" % (n % 30_000), b"%d" % n) for n in range(60_000)]

    async def write(plain: AIOKafkaProducer, _: Any, topic: str) -> None:
        await _send(plain, topic, pairs)

    owned, table = asyncio.run(_scenario(kafka, "long", write))
    assert table.values == dict(pairs)
    assert (owned.restored_records, owned.restored_keys) == (60_000, 30_000)


def test_aborted_records_and_markers_at_the_end_do_not_hold_it_up(kafka: KafkaBroker) -> None:
    async def write(_: Any, transactional: AIOKafkaProducer, topic: str) -> None:
        async with transactional.transaction():
            await _send(transactional, topic, [(b"a", b"1"), (b"b", b"2")])
        await transactional.begin_transaction()
        await _send(transactional, topic, [(b"a", b"9")])
        await transactional.abort_transaction()

    _, table = asyncio.run(_scenario(kafka, "aborted", write))
    assert table.values == {b"a": b"1", b"b": b"2"}


def test_a_stale_record_of_an_earlier_owner_does_not_win(kafka: KafkaBroker) -> None:
    async def write(plain: AIOKafkaProducer, _: Any, topic: str) -> None:
        await _send(plain, topic, [(b"a", b"7"), (b"a", b"3"), (b"gone", b"1"), (b"gone", None)])

    _, table = asyncio.run(_scenario(kafka, "stale", write))
    assert table.values == {b"a": b"7"}


def test_a_state_of_a_newer_version_is_refused(kafka: KafkaBroker) -> None:
    async def write(plain: AIOKafkaProducer, _: Any, topic: str) -> None:
        await _send(plain, topic, [(b"a", b"1"), (b"a", b"v2:5")])

    with pytest.raises(SnapshotError):
        asyncio.run(_scenario(kafka, "newer", write))
