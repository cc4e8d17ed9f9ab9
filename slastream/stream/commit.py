"""Group commit of one partition: outputs and state become durable together, or in that order.

A cut is captured without an await between state bytes and outputs; else the state would hold events whose outputs are not
out yet, and a crash there would lose them. How far the sources were applied is in the state; the group's offset only says
where the next owner begins to read, and follows each second. While one commit is under way the next chunks merge.
"""

import asyncio
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import aiokafka
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from slastream.errors import DeliveryError
from slastream.stream.failure import fail_stop
from slastream.stream.runtime import Headers, Message, OwnedPartition, TopicPartition

NO_HEADERS: Headers = []
PROGRESS_HEADER = "progress"
"""Of a deletion in a changelog: up to which offset the source was applied. A value has its progress in itself."""


@functools.lru_cache(maxsize=1 << 18)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's own default partitioner gives it. 0.1 µs when known, 5 µs when not."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Write(NamedTuple):
    """Everything of one cut, ready for a writer: messages per partition, the state's in their order.

    `said` are outputs, too: those before which `announced` is written where there is no transaction.
    """

    outputs: Mapping[TopicPartition, Sequence[Message]]
    state: Sequence[Message]
    announced: Sequence[Message] = ()
    said: Mapping[TopicPartition, Sequence[Message]] = MappingProxyType({})


class Writer(Protocol):
    """How a cut becomes durable."""

    async def start(self) -> None:
        """Be ready to write; fences every earlier owner when it can."""

    def continue_at(self, offset: int) -> None:
        """The table was restored up to this offset: what comes there next is written here."""

    async def write(self, table: TopicPartition, write: Write) -> None:
        """Return when all of it is durable; raise when it may not be."""

    async def stop(self) -> None:
        """Let the connections go."""


class TransactionalWriter:
    """Exactly once: one producer per (stage, partition); each cut is one transaction.

    Starting it fences every earlier owner of the partition, so it is started before the changelog is read.
    """

    def __init__(self, transactional_id: str, producer_options: Mapping[str, Any]) -> None:
        self._options = {**producer_options, "transactional_id": transactional_id}
        self._producer: Any = None

    async def start(self) -> None:
        """Fence the earlier owners (10-30 ms)."""
        producer = aiokafka.AIOKafkaProducer(**self._options)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    def continue_at(self, offset: int) -> None:
        """Nothing to watch: nobody else can write."""

    async def write(self, table: TopicPartition, write: Write) -> None:
        """One transaction: three requests."""
        producer = self._producer
        await producer.begin_transaction()
        sent = []
        for partition, messages in (*write.outputs.items(), *write.said.items()):
            sent += await send_batches(producer, partition, messages)
        sent += await send_batches(producer, table, write.state)
        await producer.commit_transaction()
        for each in sent:
            each.result()

    async def stop(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            await self._producer.stop()


class ForeignWriteError(Exception):
    """Records stand in a table's partition between those that its owner has written."""


class AcknowledgedWriter:
    """At least once: outputs acknowledged, then state acknowledged (its last record after all others).

    The producer is shared: nothing is fenced. So `check_pulse` ends a
    process that slept before it writes, and the offsets of the state are watched: where they do not follow each other, an
    owner that was cut off writes too, and either of the two ends. Its next life restores what came furthest. (A client that
    repeats a batch looks the same.)
    """

    def __init__(self, producer: Any, check_pulse: Callable[[], None]) -> None:
        self._producer = producer
        self._check_pulse = check_pulse
        self._next_offset: int | None = None

    async def start(self) -> None:
        """Nothing to do: the producer is running."""

    def continue_at(self, offset: int) -> None:
        """Watch from here on."""
        self._next_offset = offset

    async def write(self, table: TopicPartition, write: Write) -> None:
        """Two or three round trips, two more where something is announced. Raises ForeignWriteError."""
        await self._send_all(write.outputs)
        if write.announced:
            await asyncio.gather(*await self._send(table, write.announced))
            await self._send_all(write.said)
        await asyncio.gather(*await self._send(table, write.state[:-1]))
        for last in await asyncio.gather(*await self._send(table, write.state[-1:])):
            self._check(table, last.offset, len(write.announced) + len(write.state))

    async def _send_all(self, outputs: Mapping[TopicPartition, Sequence[Message]]) -> None:
        sent = []
        for partition, messages in outputs.items():
            sent += await self._send(partition, messages)
        await asyncio.gather(*sent)

    async def _send(self, partition: TopicPartition, messages: Sequence[Message]) -> list[Any]:
        self._check_pulse()
        return await send_batches(self._producer, partition, messages)

    def _check(self, table: TopicPartition, last_offset: int, written: int) -> None:
        if self._next_offset is not None and (others := last_offset + 1 - written - self._next_offset):
            raise ForeignWriteError(
                f"{table.topic}[{table.partition}] has records of another writer ({others} from offset {self._next_offset} on):"
                " a worker that slept past its session or was cut off (or a batch that was repeated); the next life restores"
                " what came furthest"
            )
        self._next_offset = last_offset + 1

    async def stop(self) -> None:
        """The producer belongs to the worker."""


async def send_batches(producer: Any, partition: TopicPartition, messages: Sequence[Message]) -> list[Any]:
    """Hand messages over in their order, in as few batches as fit; the futures resolve when the broker has them."""
    if not messages:
        return []
    sent = []
    batch = producer.create_batch()
    for key, value, headers in messages:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            sent.append(await producer.send_batch(batch, partition.topic, partition=partition.partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=headers)  # an empty batch takes any record
    sent.append(await producer.send_batch(batch, partition.topic, partition=partition.partition))
    return sent


def state_messages(state: Iterable[tuple[bytes, bytes | None]], progress: int) -> list[Message]:
    """A deletion tells its progress, so that a value that an earlier owner wrote after it does not undo it."""
    deletion: Headers = [(PROGRESS_HEADER, b"%d" % progress)]
    return [(key, value, deletion if value is None else NO_HEADERS) for key, value in state]


class PartitionCounts:
    """Partition counts of the topics that are written to, asked once each."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._counts: dict[str, int] = {}

    async def learn(self, topics: Iterable[str]) -> None:
        """Make sure that the counts of these topics are known. Raises DeliveryError for a topic that is not there."""
        for topic in topics:
            if topic not in self._counts:
                self._counts[topic] = await self._ask(topic)

    async def _ask(self, topic: str) -> int:
        try:
            partitions = await self._producer.partitions_for(topic)
        except UnknownTopicOrPartitionError:
            partitions = None
        if not partitions:
            raise DeliveryError(f"topic {topic} does not exist; missing topics are created by: slastream topics create")
        return len(partitions)

    def __getitem__(self, topic: str) -> int:
        return self._counts[topic]


class Pace:
    """How many commits a second all partitions of a worker may make together: each costs 1 to 2 ms of CPU.

    `commits_per_second` of them may come at once after a quiet second; so a commit waits only under a steady load.
    """

    def __init__(self, commits_per_second: float) -> None:
        self._step_seconds = 1.0 / commits_per_second
        self._next = 0.0

    def reserve(self, now: float) -> float:
        """Take the next place, at monotonic time `now`; returns the seconds to wait for it.

        >>> pace = Pace(2.0)
        >>> [pace.reserve(10.0) for _ in range(4)]
        [0.0, 0.0, 0.5, 1.0]
        """
        self._next = max(self._next, now - 1.0) + self._step_seconds
        return max(0.0, self._next - now)


class Committer:
    """Makes what one partition has applied durable, again and again, paced."""

    def __init__(
        self,
        owned: OwnedPartition,
        writer: Writer,
        counts: PartitionCounts,
        interval_seconds: float,
        pace: Pace,
        on_commit: Callable[[OwnedPartition], None],
    ) -> None:
        """`on_commit` is called after each commit: what a cut computed may have moved the next deadline."""
        self._pace = pace
        self.owned = owned
        self._on_commit = on_commit
        self.writer = writer
        self._counts = counts
        self._interval_seconds = interval_seconds
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Commit from now on whenever something was applied."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"commit {self.owned.name}")

    def want(self) -> None:
        """Something was applied."""
        self._wanted.set()

    async def flush(self) -> None:
        """Return when all that was applied is durable."""
        async with self._lock:
            while self._has_work():
                await self._commit()

    async def stop(self) -> None:
        """Commit no more. What was not flushed is left to the next owner."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.stop()

    async def _run(self) -> None:
        """First commit at once, the next ones paced: back-to-back transactions run into Kafka's 20 ms retry."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._pace.reserve(time.monotonic()))
            self._wanted.clear()
            started = time.monotonic()
            async with self._lock:
                if self._has_work():
                    await self._commit()
            await asyncio.sleep(max(0.0, self._interval_seconds - (time.monotonic() - started)))

    def _has_work(self) -> bool:
        owned = self.owned
        return (
            any(source.applied != source.durable for source in owned.sources.values())
            or bool(owned.forwards)
            or bool(owned.overwritten)
            or (owned.processor is not None and owned.processor.has_changes())
        )

    async def _commit(self) -> None:
        owned = self.owned
        started = time.monotonic()
        try:
            # One cut: nothing is awaited until `end of the cut`.
            assert owned.processor is not None
            cut = owned.processor.cut()
            forwards, owned.forwards = owned.forwards, []
            overwritten, owned.overwritten = owned.overwritten, []
            applied = {part: each.applied for part, each in owned.sources.items() if each.applied != each.durable}
            progress = sum(each.applied for each in owned.sources.values())
            records, seconds = owned.unflushed_records, owned.unflushed_seconds
            # end of the cut
            await self._counts.learn({each[0] for each in (*cut.outputs, *forwards)})
            state = [*overwritten, *state_messages(cut.state, progress)]
            write = Write(
                self._outputs(cut.outputs[: cut.announced_from] if cut.announced else cut.outputs, forwards),
                state,
                state_messages(cut.announced, progress),
                self._outputs(cut.outputs[cut.announced_from :], ()) if cut.announced else {},
            )
            await self.writer.write(TopicPartition(owned.stage.table, owned.partition), write)
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop(f"{owned.name}: its changes could not be made durable", cause=error)
        for partition, offset in applied.items():
            owned.sources[partition].durable = offset
        owned.unflushed_records -= records
        owned.unflushed_seconds -= seconds
        owned.note_commit(cut.counts, time.monotonic() - started, time.time())
        self._on_commit(owned)

    def _outputs(self, outputs: Iterable[Any], forwards: Iterable[Any]) -> dict[TopicPartition, list[Message]]:
        """Messages by the partition of their key; one without a key goes to the partition of our own number."""
        grouped: dict[TopicPartition, list[Message]] = defaultdict(list)
        for topic, partition_key, key, value in outputs:
            decider = key if partition_key is None else partition_key
            count = self._counts[topic]
            number = self.owned.partition % count if decider is None else partition_of(decider, count)
            grouped[TopicPartition(topic, number)].append((key, value, NO_HEADERS))
        for topic, key, value, headers in forwards:
            grouped[TopicPartition(topic, partition_of(key, self._counts[topic]))].append((key, value, list(headers)))
        return grouped
