"""Workers on a real broker, disturbed in every way: what they publish and keep equals what a single thread would."""

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from stream_harness import Job, WorkerProcess, is_tick, job, wait_until

from slastream.local.kafka import KafkaBroker

pytestmark = pytest.mark.broker

NewJob = Callable[..., AbstractContextManager[Job]]
SERVICES = ("monitoring", "compliance", "verdicts")
BOTH = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])


@pytest.fixture
def new_job(kafka: KafkaBroker, tmp_path: Path, request: pytest.FixtureRequest) -> NewJob:
    number = itertools.count(time.monotonic_ns())
    name = re.sub(r"[^a-z]+", "-", request.node.originalname)[:40].strip("-")

    def make(delivery: str = "exactly_once", *, with_services: bool = False) -> AbstractContextManager[Job]:
        return job(kafka.address, f"{name}.{next(number)}.{delivery}", tmp_path, delivery, with_services=with_services)

    return make


def run(work: Callable[[], object], feeding: object) -> None:
    """Feed in the background while a disturbance works in a thread."""

    async def both() -> None:
        feeder = asyncio.ensure_future(feeding)  # type: ignore[call-overload]
        await asyncio.to_thread(work)
        await feeder

    asyncio.run(both())


@BOTH
def test_an_undisturbed_run_counts_every_event_once_in_both_stages(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery, with_services=True) as toy:
        worker = toy.start()
        asyncio.run(toy.feed(20_000, 1.0))
        worker.wait_ready()
        asyncio.run(toy.check(is_exactly_once=True))
        asyncio.run(stage_two_has_counted_what_stage_one_published(toy))
        worker.terminate()


async def stage_two_has_counted_what_stage_one_published(toy: Job) -> None:
    deadline = time.monotonic() + 30
    while (counts := await toy.counts("services-table")) != toy.expected_outputs():
        assert time.monotonic() < deadline, toy.story(counts)
        await asyncio.sleep(0.05)


@BOTH
def test_killing_the_worker_while_events_arrive_loses_and_invents_nothing(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery) as toy:

        def kill_four_times() -> None:
            for _ in range(4):
                worker = toy.start(instance="one")
                worker.wait_ready()
                wait_until(lambda: has_committed_state(toy), 20, "something was committed")
                worker.kill()
            toy.start(instance="one").wait_ready()

        run(kill_four_times, toy.feed(40_000, 9.0))
        asyncio.run(toy.check(is_exactly_once=delivery == "exactly_once"))


def has_committed_state(toy: Job) -> bool:
    return bool(asyncio.run(toy.counts()))


@BOTH
def test_workers_that_join_leave_and_die_lose_and_invent_nothing(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery) as toy:

        def come_and_go() -> None:
            first = toy.start()
            first.wait_ready()
            second = toy.start()
            second.wait_ready()
            first.terminate()
            third = toy.start()
            third.wait_ready()
            second.kill()
            toy.start().wait_ready()

        run(come_and_go, toy.feed(40_000, 12.0))
        asyncio.run(toy.check(is_exactly_once=delivery == "exactly_once"))


@BOTH
def test_two_rebalances_within_a_second_lose_and_invent_nothing(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery) as toy:

        def in_quick_succession() -> None:
            steady = toy.start()
            steady.wait_ready()
            for _ in range(2):
                pair = [toy.start(), toy.start()]
                for each in pair:
                    each.wait_ready()
                rebalances = steady.logged("Executing _on_partitions_assigned")
                for each in pair:
                    each.process.send_signal(signal.SIGTERM)
                    rebalanced_since(steady, rebalances)
                for each in pair:
                    assert each.process.wait(40) == 0, toy.story()

        run(in_quick_succession, toy.feed(60_000, 10.0))
        asyncio.run(toy.check(is_exactly_once=delivery == "exactly_once"))


def rebalanced_since(worker: WorkerProcess, before: int) -> None:
    """Wait until the worker was assigned anew, which is the moment to start the next rebalance."""
    wait_until(lambda: worker.logged("Executing _on_partitions_assigned") > before, 20, "a rebalance")


@BOTH
def test_sigterm_leaves_everything_that_was_applied_committed(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery) as toy:
        worker = toy.start()
        worker.wait_ready()
        asyncio.run(toy.feed(20_000, 1.0))
        worker.terminate()
        counted = sum(asyncio.run(toy.counts()).values())
        assert counted == asyncio.run(committed(toy))
        toy.start().wait_ready()
        asyncio.run(toy.check(is_exactly_once=True))


async def committed(toy: Job) -> int:
    """The sum of the group's committed offsets in the source: with one record per event, the events."""
    reader = AIOKafkaConsumer(bootstrap_servers=toy.broker, group_id=toy.name, enable_auto_commit=False)
    await reader.start()
    try:
        return sum([await reader.committed(TopicPartition(toy.topic("tickets"), each)) or 0 for each in range(4)])
    finally:
        await reader.stop()


@BOTH
def test_a_worker_that_slept_past_its_session_spoils_nothing(new_job: NewJob, delivery: str) -> None:
    with new_job(delivery) as toy:

        def sleep_through_a_takeover() -> None:
            sleeper = toy.start()
            sleeper.wait_ready()
            sleeper.process.send_signal(signal.SIGSTOP)
            toy.start().wait_ready()  # after the session of 6 s
            sleeper.process.send_signal(signal.SIGCONT)
            assert sleeper.process.wait(30) == 70
            # events arrive all the time, so that it tried to commit when it woke
            assert sleeper.logged("ProducerFenced" if delivery == "exactly_once" else "was stopped for")

        run(sleep_through_a_takeover, toy.feed(30_000, 14.0))
        asyncio.run(toy.check(is_exactly_once=delivery == "exactly_once"))


@BOTH
@pytest.mark.parametrize(("source", "output", "ticks"), [("tickets", "verdicts", "tickets"), SERVICES])
def test_a_deadline_in_an_idle_partition_fires_within_half_a_second(
    new_job: NewJob, delivery: str, source: str, output: str, ticks: str
) -> None:
    with new_job(delivery, with_services=True) as toy:
        toy.start().wait_ready()
        asyncio.run(toy.feed(2_000, 0.2))  # leaves markers of transactions at the ends of the verdicts
        asyncio.run(toy.settled())
        asyncio.run(deadlines_fire(toy, source, output, ticks))


async def deadlines_fire(toy: Job, source: str, output: str, ticks: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=toy.broker)
    reader = AIOKafkaConsumer(
        toy.topic(output), bootstrap_servers=toy.broker, isolation_level="read_committed", fetch_max_wait_ms=10
    )
    await producer.start()
    await reader.start()
    await reader.seek_to_end()
    late_ms = []
    try:
        for each in range(8):
            due = time.time() + 0.4
            event = orjson.dumps({"due": int(due * 1e6)})
            await producer.send_and_wait(toy.topic(source), event, key=b"idle-%d" % each)
            found = await asyncio.wait_for(reader.getone(), 10)
            assert found.key == b"idle-%d:due" % each
            late_ms.append((time.time() - due) * 1000)
    finally:
        await reader.stop()
        await producer.stop()
    assert min(late_ms) >= 0
    assert sorted(late_ms)[4] < 500, late_ms
    assert sum(map(is_tick, await toy.read(toy.topic(ticks)))) == 8, "one tick each"


def test_an_event_in_the_wrong_partition_counts_where_its_key_belongs(new_job: NewJob) -> None:
    with new_job() as toy:
        toy.start().wait_ready()
        asyncio.run(feed_misplaced(toy))
        asyncio.run(toy.settled())


async def feed_misplaced(toy: Job) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=toy.broker)
    await producer.start()
    try:
        for each in range(200):
            key = b"key-%d" % (each % 20)
            partition = ((murmur2(key) & 0x7FFFFFFF) + each) % 4
            await producer.send_and_wait(toy.topic("tickets"), b"{}", key=key, partition=partition)
            toy.truth[key] += 1
    finally:
        await producer.stop()


@pytest.mark.parametrize("after_seconds", [0.3, 0.8, 1.4, 1.7])
def test_sigterm_while_starting_ends_cleanly(new_job: NewJob, after_seconds: float) -> None:
    with new_job(with_services=True) as toy:
        worker = toy.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(after_seconds)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(20) in (0, -signal.SIGTERM), toy.story()


def test_missing_topics_end_the_worker_with_the_command_that_creates_them(kafka: KafkaBroker, tmp_path: Path) -> None:
    worker = WorkerProcess(0, tmp_path, ["--broker", kafka.address, "--prefix", "nowhere"])
    assert worker.process.wait(30) != 0
    assert "DeliveryError" in worker.log.read_text()
    assert "slastream topics create" in worker.log.read_text()


def test_a_worker_without_a_broker_says_so_once_and_ends_on_sigterm(tmp_path: Path) -> None:
    worker = WorkerProcess(0, tmp_path, ["--broker", "127.0.0.1:9", "--prefix", "nowhere"])
    wait_until(lambda: worker.logged("no Kafka at 127.0.0.1:9 ") == 1, 20, "it says so")
    worker.terminate()
    assert len(worker.log.read_text().splitlines()) < 10


@BOTH
def test_a_broker_that_dies_and_returns_loses_nothing_and_does_not_fill_the_log(tmp_path: Path, delivery: str) -> None:
    with KafkaBroker.start(tmp_path / "kafka") as broker, job(broker.address, "dies", tmp_path, delivery) as toy:
        toy.start().wait_ready()

        def kill_the_broker() -> None:
            wait_until(lambda: has_committed_state(toy), 20, "something was committed")
            broker.kill()
            broker.restart()

        run(kill_the_broker, toy.feed(10_000, 3.0))
        if toy.workers[0].process.poll() is not None:  # fail-stop: the supervisor's part
            assert toy.workers[0].process.returncode == 70
            toy.start().wait_ready()
        asyncio.run(toy.check(is_exactly_once=delivery == "exactly_once"))
        assert len(toy.workers[0].log.read_text().splitlines()) < 300, toy.story()
