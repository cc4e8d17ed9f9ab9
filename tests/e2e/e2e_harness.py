"""A broker with all topics, workers as `slastream worker` processes, and readers, for the tests from end to end."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import create_topics

REPOSITORY = Path(__file__).parents[2]
PARTITIONS = 8
GROUP = "slastream"
SOURCES = ("sla.tickets", "sla.verdicts", "sla.monitoring", "sla.maintenance")
QUIET_SECONDS = 2.5
"""Longer than a worker waits before it repeats a tick."""

Json = dict[str, Any]


def wait_until(condition: Callable[[], bool], limit_seconds: float, what: str, every_seconds: float = 0.02) -> None:
    """Poll a condition; fail when it does not come."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(every_seconds)


def slastream(*arguments: str, limit_seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "slastream.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        cwd=REPOSITORY,
        check=False,
    )


class Worker:
    """One `slastream worker`; its log is kept for the message of a test that fails. Killed at the end of its block."""

    def __init__(self, broker: str, policy: Path, log: Path, *arguments: str) -> None:
        self.log_path = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "slastream.cli", "worker", "--broker", broker, "--policy", str(policy),
                    "--metrics", "127.0.0.1:0", "--session-timeout-seconds", "6", *arguments,
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def must_run(self) -> None:
        assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log[-4000:]}"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        """SIGTERM; it must end cleanly."""
        self.process.terminate()
        assert self.process.wait(40) == 0, self.log[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


@contextmanager
def broker_with_topics(folder: Path) -> Iterator[str]:
    """A broker of this test's own, because the names of the topics are fixed."""
    with KafkaBroker.start(folder) as broker:
        asyncio.run(create_topics(broker.address, PARTITIONS))
        yield broker.address


@asynccontextmanager
async def reader(broker: str, *topics: str) -> AsyncIterator[Any]:
    """A consumer of what is committed in all partitions of some topics, from their beginning."""
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


async def read(broker: str, topic: str) -> list[Any]:
    """All committed records of a topic, now, in the order of each partition."""
    async with reader(broker, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        records: list[Any] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for some in (await consumer.getmany(timeout_ms=50)).values():
                records += some
        return records


def verdicts(broker: str) -> dict[str, Json]:
    """The newest verdict of each clock, as a reader of the compacted topic has it."""
    newest: dict[str, Json] = {}
    for record in asyncio.run(read(broker, "sla.verdicts")):
        if record.key == b"tick":
            continue
        line = orjson.loads(record.value)
        if line.get("is_withdrawn"):
            newest.pop(record.key.decode(), None)
        else:
            newest[record.key.decode()] = line
    return newest


def facts(broker: str) -> list[Json]:
    return [orjson.loads(record.value) for record in asyncio.run(read(broker, "sla.breaches"))]


async def produce(broker: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    """Write keys and values, and return when all are acknowledged."""
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, enable_idempotence=True, linger_ms=2, max_request_size=4 * 1024 * 1024
    )
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(topic, value, key=key) for key, value in records])
    finally:
        await producer.stop()


async def committed(broker: str) -> dict[tuple[str, int], int]:
    """The committed offsets of the workers' group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(GROUP)
    except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
        return {}  # nobody has joined a group of this broker yet
    finally:
        await admin.close()
    return {(each.topic, each.partition): at.offset for each, at in found.items() if at.offset >= 0}


def committed_records(broker: str, topic: str = "sla.tickets") -> int:
    return sum(offset for (name, _), offset in asyncio.run(committed(broker)).items() if name == topic)


async def ends_if_consumed(broker: str) -> list[int] | None:
    """The ends of the workers' topics when no record lies behind the committed offsets, else None."""
    offsets = await committed(broker)
    async with reader(broker, *SOURCES) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        for each in ends:
            consumer.seek(each, offsets.get((each.topic, each.partition), 0))
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            if any((await consumer.getmany(timeout_ms=50)).values()):
                return None  # positions go on alone over the ends of transactions
        return [end for _, end in sorted(ends.items())]


def wait_until_consumed(broker: str, worker: Worker, limit_seconds: float = 120) -> None:
    """Return when the worker has consumed everything and writes nothing more, ticks included."""
    last: list[int] | None = None
    since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, since
        worker.must_run()
        ends = asyncio.run(ends_if_consumed(broker))
        if ends is None or ends != last:
            last, since = ends, time.monotonic()
        return time.monotonic() - since > QUIET_SECONDS

    wait_until(is_quiet, limit_seconds, f"everything is consumed; see {worker.log_path}", every_seconds=0.5)
