"""Faults that a real broker does not produce on demand, on librdkafka's mock cluster.

At least once only: the mock has no transactions.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_harness import TOPICS, Job, job, wait_until

from slastream.local.memory_broker import MemoryBroker

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


def has_counted_more(toy: Job, before: int) -> bool:
    return sum(asyncio.run(toy.counts()).values()) > before
