"""Workers as processes, feeders and readers for the tests of the stream on a real broker."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

REPOSITORY = Path(__file__).parents[2]
TOY_JOB = Path(__file__).with_name("toy_job.py")
TOPICS = ("tickets", "verdicts", "monitoring", "compliance", "tickets-table", "services-table")
EVERY = 100


def wait_until(condition: Callable[[], bool], limit_seconds: float, what: str) -> None:
    """Poll a condition; fail when it does not come."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(0.02)


def is_tick(record: Any) -> bool:
    return bool(record.value.startswith(b'{"type":"tick"'))


class WorkerProcess:
    """One toy worker. Its log is kept for the message of a test that fails."""

    def __init__(self, number: int, folder: Path, arguments: list[str]) -> None:
        self.output = folder / f"worker-{number}.out"
        self.log = folder / f"worker-{number}.log"
        with self.output.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(TOY_JOB), *arguments],
                stdout=out,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )

    def wait_ready(self) -> None:
        """Return when every partition of its first assignment runs."""
        wait_until(
            lambda: "ready" in self.output.read_text() or self.process.poll() is not None, 60, "a worker is ready"
        )
        assert self.process.poll() is None, self.log.read_text()[-4000:]

    def logged(self, text: str) -> int:
        """How often a text is in its log."""
        return self.log.read_text().count(text)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        """SIGTERM; it must end cleanly."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(40) == 0, self.log.read_text()[-4000:]


class Job:
    """Topics of one test, its workers, and what was fed so far."""

    def __init__(self, broker: str, name: str, folder: Path, delivery: str, *, with_services: bool) -> None:
        self.broker = broker
        self.name = name
        self.truth: Counter[bytes] = Counter()
        self.workers: list[WorkerProcess] = []
        self._folder = folder
        self.arguments = ["--broker", broker, "--prefix", name, "--delivery", delivery]
        if with_services:
            self.arguments.append("--services")

    def topic(self, ending: str) -> str:
        return f"{self.name}.{ending}"

    async def create_topics(self, partitions: int = 4) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.topic(each), partitions, 1) for each in TOPICS])
        finally:
            await admin.close()

    def start(self, instance: str | None = None) -> WorkerProcess:
        arguments = self.arguments + (["--instance", instance] if instance else [])
        worker = WorkerProcess(len(self.workers), self._folder, arguments)
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.kill()

    async def feed(self, events: int, seconds: float, keys: int = 60, seed: int = 1) -> None:
        """Produce events of random keys, spread over a time, each once."""
        choose = random.Random(seed)
        producer = AIOKafkaProducer(bootstrap_servers=self.broker, enable_idempotence=True, linger_ms=2)
        await producer.start()
        started, rounds = time.monotonic(), max(1, int(seconds / 0.02))
        sent = []
        try:
            for each in range(rounds):
                for _ in range(events * each // rounds, events * (each + 1) // rounds):
                    key = b"key-%d" % choose.randrange(keys)
                    self.truth[key] += 1
                    sent.append(await producer.send(self.topic("tickets"), b"{}", key=key))
                await asyncio.sleep(max(0.0, started + 0.02 * (each + 1) - time.monotonic()))
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    def expected_outputs(self) -> Counter[bytes]:
        """What a single thread that counts the same events publishes."""
        return Counter(b"%s:%d" % (key, n) for key, count in self.truth.items() for n in range(EVERY, count + 1, EVERY))

    async def outputs(self, ending: str = "verdicts") -> Counter[bytes]:
        """Committed outputs so far: keys and how often; ticks are left out."""
        return Counter([record.key for record in await self.read(self.topic(ending)) if not is_tick(record)])

    async def counts(self, ending: str = "tickets-table") -> Counter[bytes]:
        """Committed counts per key in a table: of each key, what has come furthest."""
        best: dict[bytes, tuple[int, int]] = {}
        for record in await self.read(self.topic(ending)):
            if record.key.startswith(b"\x00"):
                continue
            state = orjson.loads(record.value)
            best[record.key] = max(best.get(record.key, (-1, 0)), (sum(state["seen"].values()), state["n"]))
        return Counter({key: n for key, (_, n) in best.items()})

    async def read(self, topic: str) -> list[Any]:
        """All committed records of a topic, now."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.broker, isolation_level="read_committed", group_id=None, fetch_max_wait_ms=20
        )
        await reader.start()
        try:
            partitions = [TopicPartition(topic, each) for each in range(await self._count(reader, topic))]
            reader.assign(partitions)
            await reader.seek_to_beginning(*partitions)
            ends = await reader.end_offsets(partitions)
            records: list[Any] = []
            while any([await reader.position(each) < end for each, end in ends.items()]):
                for some in (await reader.getmany(timeout_ms=50)).values():
                    records += some
            return records
        finally:
            await reader.stop()

    async def _count(self, reader: Any, topic: str) -> int:
        await reader.topics()
        reader.subscribe([topic])
        while not (found := reader.partitions_for_topic(topic)):
            await asyncio.sleep(0.01)
        reader.unsubscribe()
        return len(found)

    async def settled(self, limit_seconds: float = 60) -> None:
        """Return when all that was fed is counted; the assertion shows the difference otherwise."""
        deadline = time.monotonic() + limit_seconds
        while (counts := await self.counts()) != self.truth and time.monotonic() < deadline:
            if (total := sum(counts.values())) >= sum(self.truth.values()):
                break
            del total
            await asyncio.sleep(0.1)
        assert counts == self.truth, self.story(self.truth - counts, counts - self.truth)

    def story(self, *differences: Any) -> str:
        """What differs, and the end of the workers' logs."""
        logs = "\n".join(f"--- {worker.log}\n{worker.log.read_text()[-3000:]}" for worker in self.workers)
        return f"{differences}\n{logs}"

    async def check(self, *, is_exactly_once: bool) -> None:
        """State and outputs equal those of a single thread; with exactly once no output is there twice."""
        await self.settled()
        expected, outputs = self.expected_outputs(), await self.outputs()
        if not is_exactly_once:
            outputs = Counter(outputs.keys())
        assert outputs == expected, self.story(expected - outputs, outputs - expected)


@contextmanager
def job(
    broker: str, name: str, folder: Path, delivery: str, *, with_services: bool = False, has_topics: bool = False
) -> Iterator[Job]:
    """A job with its topics; its workers are killed at the end."""
    made = Job(broker, name, folder, delivery, with_services=with_services)
    if not has_topics:
        asyncio.run(made.create_topics())
    try:
        yield made
    finally:
        made.end()
