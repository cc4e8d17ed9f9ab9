"""Faults that a real broker does not produce on demand, on librdkafka's mock cluster.

At least once only: the mock has no transactions.
"""

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from stream_harness import TOPICS, Job, job, wait_until

from slastream.local.memory_broker import MemoryBroker
from slastream.stream.commit import AcknowledgedWriter, ForeignWriteError, Write, partition_of
from slastream.stream.runtime import TopicPartition

PRODUCE, OFFSET_FETCH = 0, 9
MESSAGE_SIZE_TOO_LARGE = 10


@contextmanager
def mock_job(folder: Path) -> Iterator[tuple[MemoryBroker, Job]]:
    topics = {f"faults.{each}": 4 for each in TOPICS}
    with (
        MemoryBroker.start(topics) as broker,
        job(broker.address, "faults", folder, "at_least_once", has_topics=True) as toy,
    ):
        toy.arguments += ["--session-seconds", "2"]  # a real broker refuses less than 6
        yield broker, toy


def test_a_plain_run_on_the_memory_broker_is_exact(tmp_path: Path) -> None:
    with mock_job(tmp_path) as (_, toy):
        worker = toy.start()
        asyncio.run(toy.feed(5_000, 1.0))
        worker.wait_ready()
        asyncio.run(toy.check(is_exactly_once=True))
        worker.terminate()


def test_a_refused_produce_ends_the_worker_and_the_next_life_is_exact(tmp_path: Path) -> None:
    with mock_job(tmp_path) as (broker, toy):
        asyncio.run(toy.feed(2_000, 0.2))
        broker.fail_requests(PRODUCE, [MESSAGE_SIZE_TOO_LARGE])
        worker = toy.start()
        assert worker.process.wait(30) == 70
        assert worker.logged("could not be made durable") == 1
        toy.start().wait_ready()
        asyncio.run(toy.check(is_exactly_once=False))


def test_slow_answers_about_offsets_and_slow_produces_lose_nothing_when_workers_die(tmp_path: Path) -> None:
    with mock_job(tmp_path) as (broker, toy):

        def kill_slow_workers() -> None:
            for _ in range(2):
                broker.delay_requests(OFFSET_FETCH, [400] * 4)
                broker.delay_requests(PRODUCE, [150] * 20)
                worker = toy.start()
                worker.wait_ready()
                before = sum(asyncio.run(toy.counts()).values())
                wait_until(lambda before=before: has_counted_more(toy, before), 20, "it counts")  # type: ignore[misc]
                worker.kill()
            toy.start().wait_ready()

        async def both() -> None:
            feeder = asyncio.ensure_future(toy.feed(6_000, 4.0))
            await asyncio.to_thread(kill_slow_workers)
            await feeder
            await toy.check(is_exactly_once=False)

        asyncio.run(both())


def test_a_worker_whose_broker_goes_away_while_it_starts_ends_with_the_status_of_a_fail_stop(tmp_path: Path) -> None:
    with mock_job(tmp_path) as (broker, toy), answers_one_client(broker.address) as address:
        toy.arguments[toy.arguments.index("--broker") + 1] = address
        worker = toy.start()
        assert worker.process.wait(30) == 70, worker.log.read_text()
        assert worker.logged("the broker went away while the worker started") == 1


@contextmanager
def answers_one_client(address: str) -> Iterator[str]:
    """Another address of a broker: it passes the first connection on and takes no other."""
    host, _, port = address.partition(":")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
        with client, socket.create_connection((host, int(port))) as broker:
            other = {client: broker, broker: client}
            while True:
                for one in select.select([client, broker], [], [])[0]:
                    if not (data := one.recv(65_536)):
                        return
                    other[one].sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)


def test_records_of_another_owner_end_a_worker_and_the_next_life_writes_again_what_they_hid(tmp_path: Path) -> None:
    """Without transactions nothing fences an owner that slept; compaction would leave its late record alone."""
    key = next(b"key-%d" % n for n in range(1, 60) if partition_of(b"key-%d" % n, 4) == partition_of(b"key-0", 4))

    async def written(toy: Job) -> list[bytes]:
        return [record.value for record in await toy.read(toy.topic("tickets-table")) if record.key == key]

    async def write_late(toy: Job, value: bytes) -> None:
        async with AIOKafkaProducer(bootstrap_servers=toy.broker) as producer:
            await producer.send_and_wait(toy.topic("tickets-table"), value, key, partition_of(key, 4))

    with mock_job(tmp_path) as (_, toy):
        worker = toy.start()
        worker.wait_ready()
        for _ in range(2):
            asyncio.run(toy.feed(600, 0.1))
            asyncio.run(toy.settled())
        before = asyncio.run(written(toy))
        assert before[0] != before[-1]
        asyncio.run(write_late(toy, before[0]))
        asyncio.run(toy.feed(100, 0.1, keys=1))
        assert worker.process.wait(30) == 70
        assert worker.logged("records of another writer (1 from offset") > 0, worker.log.read_text()
        toy.start().wait_ready()
        wait_until(lambda: asyncio.run(written(toy))[-1] == before[-1], 20, "the newest state stands last again")
        asyncio.run(toy.check(is_exactly_once=False))


def test_a_record_between_a_restore_and_the_first_commit_is_noticed() -> None:
    table, write = TopicPartition("table", 0), Write({}, [(b"a", b"1", []), (b"meta", b"1", [])])

    async def scenario(address: str) -> None:
        async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
            writer = AcknowledgedWriter(producer, lambda: None)
            writer.continue_at(0)
            await writer.write(table, write)
            await writer.write(table, write)
            next_life = AcknowledgedWriter(producer, lambda: None)
            next_life.continue_at(4)
            await producer.send_and_wait("table", b"0", b"a", 0)
            with pytest.raises(ForeignWriteError, match=r"records of another writer \(1 from offset 4 on\)"):
                await next_life.write(table, write)

    with MemoryBroker.start({"table": 1}) as broker:
        asyncio.run(scenario(broker.address))


def has_counted_more(toy: Job, before: int) -> bool:
    return sum(asyncio.run(toy.counts()).values()) > before
