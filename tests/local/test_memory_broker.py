"""The in-memory broker, met through an ordinary client."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from slastream.local.memory_broker import MemoryBroker

PRODUCE = 0
NOT_LEADER_OR_FOLLOWER = 6


async def _produce(broker: MemoryBroker, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address)
    await producer.start()
    try:
        for number, value in enumerate(values):
            await producer.send_and_wait(topic, value, key=b"k", partition=number % 3)
    finally:
        await producer.stop()


async def _consume(broker: MemoryBroker, topic: str, count: int) -> set[tuple[int, bytes | None]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(3)])
        async with asyncio.timeout(30):
            return {(record.partition, record.value) for record in [await consumer.getone() for _ in range(count)]}
    finally:
        await consumer.stop()


def test_what_is_produced_is_consumed_from_the_same_partitions() -> None:
    with MemoryBroker.start({"sla.tickets": 3}) as broker:
        asyncio.run(_produce(broker, "sla.tickets", [b"a", b"b", b"c", b"d"]))
        consumed = asyncio.run(_consume(broker, "sla.tickets", 4))
    assert consumed == {(0, b"a"), (1, b"b"), (2, b"c"), (0, b"d")}


def test_two_brokers_know_nothing_of_each_other() -> None:
    with MemoryBroker.start({"t": 3}) as one, MemoryBroker.start({"t": 3}) as other:
        assert one.address != other.address
        asyncio.run(_produce(one, "t", [b"one"]))
        asyncio.run(_produce(other, "t", [b"other"]))
        assert asyncio.run(_consume(other, "t", 1)) == {(0, b"other")}


def test_a_refused_produce_is_tried_again_by_the_client() -> None:
    with MemoryBroker.start({"t": 3}) as broker:
        broker.fail_requests(PRODUCE, [NOT_LEADER_OR_FOLLOWER])
        asyncio.run(_produce(broker, "t", [b"again"]))
        assert asyncio.run(_consume(broker, "t", 1)) == {(0, b"again")}


def test_a_delayed_produce_takes_that_long() -> None:
    with MemoryBroker.start({"t": 3}) as broker:
        broker.delay_requests(PRODUCE, [300])
        begin = time.monotonic()
        asyncio.run(_produce(broker, "t", [b"late"]))
        assert time.monotonic() - begin >= 0.3


def test_stopping_twice_is_harmless() -> None:
    broker = MemoryBroker.start({})
    broker.stop()
    broker.stop()
