"""The lane: one Faust event per fetched chunk, and every private name of Faust that we touch.

Faust's cost is per event, so its consumer hands each fetched run of records of one partition to the agent as one event.
Four rules make it exact:

- *Only running partitions are read.* `Lifecycle` says which those are; Faust's own resuming and seeking does nothing.
- *Fetches form a chain.* Each fetch begins where the one before it ended in that partition; a fetch that does not, or
  whose records were not all handed over, is read again from what was applied. Fetches and seeks exclude each other.
- *Chunks form a chain.* Each names the end of the one before it; `Lifecycle.apply` takes only what follows.
- *Offsets are of durable chunks.* What Faust knows as acknowledged is not used.

**Source:** `docs/decisions/stream-lane.md` says what upstream does instead, and what was lost by it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import aiokafka
import faust
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from slastream.stream.failure import fail_stop
from slastream.stream.lifecycle import Lifecycle
from slastream.stream.records import record_consumer
from slastream.stream.runtime import Source, TopicPartition
from slastream.stream.stage import Record

log = logging.getLogger(__name__)
T = TypeVar("T")

LOG_APPEND_TIME = 1
FETCH_WAIT_MS = 100
"""How long a fetch waits for the first record; seeks wait as long at most."""
SMALL_ROUND_RECORDS = 512
"""After a fetch of fewer records the next one waits `chunk_wait_seconds`, for a fuller one."""


class LaneSettings(NamedTuple):
    """What the lane needs to know of the worker's settings."""

    client_options: Mapping[str, Any]
    consumer_options: Mapping[str, Any]
    security: Mapping[str, Any]
    chunk_records: int
    chunk_wait_seconds: float
    max_outstanding_records: int


class Chunk(ConsumerMessage):  # type: ignore[misc]  # Faust is untyped here (pyproject: follow_imports=skip)
    """A run of records of one partition: `value` is the list, `offset` the last record's."""

    __slots__ = ("epoch", "previous_end", "source")

    def __init__(self, source: Source, records: list[Record], generation: int) -> None:
        last = records[-1]
        super().__init__(
            last.topic, last.partition, last.offset, last.timestamp_us / 1e6, LOG_APPEND_TIME, None, None, records,
            None, 0, 0, source.partition, generation_id=generation,
        )  # fmt: skip
        self.source = source
        self.epoch = source.epoch
        self.previous_end = source.handed


class LaneSchema(faust.Schema):  # type: ignore[misc]  # untyped
    """Passes chunks through undecoded: a record that cannot be decoded is the core's matter, not an exception here."""

    def loads_key(self, _app: Any, message: Any, **_: Any) -> Any:
        """The key of a chunk: None."""
        return message.key

    def loads_value(self, _app: Any, message: Any, **_: Any) -> Any:
        """The records of a chunk."""
        return message.value


class Fetched(NamedTuple):
    """What one fetch brought, and the positions before and after it and the ends, of the partitions asked for."""

    records: Mapping[TopicPartition, list[Record]]
    starts: Mapping[TopicPartition, int]
    positions: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]


class LaneConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # untyped
    """The thread in which aiokafka's group consumer lives. Everything here but `_create_worker_consumer` runs in it."""

    mundane_level = "debug"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turn = asyncio.Lock()  # binds to the thread's loop when it is first waited for

    def _create_worker_consumer(self, _transport: Any) -> Any:
        """Upstream's with our settings, and always with Faust's assignor: it keeps co-partitioned topics together."""
        self._assignor = self.app.assignor
        return record_consumer(
            **{**self.consumer.lane.client_options, **self.consumer.lane.consumer_options},
            group_id=self.app.conf.id,
            group_instance_id=self.app.conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    async def fetch(self, partitions: Collection[TopicPartition]) -> Fetched:
        """Records of these partitions, as soon as there are any."""
        consumer = self._ensure_consumer()
        async with self._turn:
            asked = [aiokafka.TopicPartition(*each) for each in partitions]
            starts = {each: await consumer.position(each) for each in asked}
            records = await consumer.getmany(*asked, timeout_ms=FETCH_WAIT_MS)
            positions = {each: await consumer.position(each) for each in asked}
            ends = {each: consumer.last_stable_offset(each) or 0 for each in asked}
        return Fetched(records, starts, positions, ends)

    async def seek_or_start(self, partition: TopicPartition, offset: int | None) -> int:
        """Read on at `offset`, None: where the group has committed; at the log's beginning when that is later."""
        consumer = self._ensure_consumer()
        where = aiokafka.TopicPartition(*partition)
        async with self._turn:
            beginning: int = (await consumer.beginning_offsets([where]))[where]
            wanted = offset if offset is not None else await consumer.committed(where)
            if wanted is not None and wanted < beginning:
                log.error(
                    "%s[%d]: the records from %d to %d were deleted by retention before they were read",
                    partition.topic, partition.partition, wanted, beginning - 1,
                )  # fmt: skip
            target = max(beginning, wanted or 0)
            consumer.seek(where, target)
        return target

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit; False when the group no longer lets us, which only makes the next owner read more twice."""
        consumer = self._ensure_consumer()
        try:
            await consumer.commit({aiokafka.TopicPartition(*part): offset for part, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            log.warning("offsets not committed, the next owner reads a little again: %r", error)
            return False
        return True


class LaneConsumer(driver.Consumer):  # type: ignore[misc]  # untyped
    """Faust's consumer, that hands over chunks of running partitions and knows offsets of durable chunks only."""

    lifecycle: ClassVar[Lifecycle]
    lane: ClassVar[LaneSettings]
    mundane_level = "debug"

    def _new_consumer_thread(self) -> Any:
        return LaneConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Seeking and resuming are ours: a partition is read when the lifecycle says so.

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Nothing: see `Lifecycle`."""

    async def perform_seek(self) -> None:
        """Nothing: see `Lifecycle`."""

    def resume_flow(self) -> None:
        """Faust has just emptied every stream's queue: what was handed over and not applied is read again."""
        super().resume_flow()
        self.lifecycle.rewind_running()

    async def seek_source(self, source: Source, offset: int | None) -> None:
        """Make a source partition continue at `offset` (None: the committed one), its chain beginning there."""
        source.epoch += 1
        source.is_in_doubt = False
        target = await self._in_thread(self._thread.seek_or_start(source.partition, offset))
        source.continue_at(target, is_first=offset is None)

    async def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """Run in the consumer's thread. Not by Faust's queue of calls: a fetch and a seek can block its two places."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._thread.thread_loop))

    # Rebalancing

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Faust stops the flow and calls `wait_empty`. aiokafka only logs what a listener raises: so does this not."""
        try:
            await super().on_partitions_revoked(revoked)
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop("the revocation of partitions failed", cause=error)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        """Take the partitions over, in the background."""
        try:
            await super().on_partitions_assigned(assigned, generation_id)
            await self.lifecycle.assign({TopicPartition(*each) for each in assigned}, generation_id)
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop("the assignment of partitions failed", cause=error)

    async def wait_empty(self) -> None:
        """Return when everything that was applied is durable and its offset committed."""
        await self.lifecycle.drain()
        await self.commit()

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Commit the end of the last durable chunk of each partition."""
        assignment = self.assignment()
        offsets = {
            partition: source.durable
            for owned in self.lifecycle.runtime.owned.values()
            for partition, source in owned.sources.items()
            if source.epoch and partition in assignment and self._committed_offset.get(partition) != source.durable
        }
        if not offsets or not await self._commit_durable(offsets):
            return False
        self._committed_offset.update(offsets)
        return True

    async def _commit_durable(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """False, too, when the consumer's thread ends meanwhile: a stop in the middle of a start."""
        try:
            return await self._in_thread(self._thread.commit_offsets(offsets))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return False

    async def verify_all_partitions_active(self) -> None:
        """Nothing: upstream's watchdog looks at what the lane does not use; lag and commit times are metrics."""

    # Delivery

    async def _drain_messages(self, fetcher: Any) -> None:
        """Until it is stopped: read what is in doubt again, fetch, hand over."""
        self.lifecycle.rewind_running()  # the loop before this one may have been left between fetching and handing over
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                elif self.app.rebalancing:
                    await asyncio.sleep(0.005)
                else:
                    await self._round()
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                fail_stop("the consumer was stopped")
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop("reading failed", cause=error)

    async def _round(self) -> None:
        """One fetch of all running partitions."""
        runtime = self.lifecycle.runtime
        sources = runtime.running_sources()
        if not sources or runtime.outstanding_records() > self.lane.max_outstanding_records:
            await asyncio.sleep(0.005)
            return
        try:
            for source in sources:
                if source.is_in_doubt:
                    runtime.rewinds += 1
                    await self.seek_source(source, source.applied)
            for source in sources:
                source.is_in_doubt = True
            fetched = await self._in_thread(self._thread.fetch([source.partition for source in sources]))
        except IllegalStateError:  # the partitions were just taken away: the revocation is on its way
            await asyncio.sleep(0.005)
            return
        count = 0
        for source in sources:
            count += await self._take(source, fetched)
        if 0 < count < SMALL_ROUND_RECORDS:
            await asyncio.sleep(self.lane.chunk_wait_seconds)

    async def _take(self, source: Source, fetched: Fetched) -> int:
        """Hand over what was fetched of one partition; what is not handed over completely stays in doubt."""
        partition = source.partition
        if fetched.starts[partition] != source.position or not source.owner.is_running:
            if source.owner.is_running:
                self.lifecycle.runtime.chain_breaks += 1
            return 0
        records = fetched.records.get(partition, [])
        epoch = source.epoch
        for start in range(0, len(records), self.lane.chunk_records):
            part = records[start : start + self.lane.chunk_records]
            if not self._may_hand_over(source, epoch):
                return start
            chunk = Chunk(source, part, self._generation())
            source.queued_records += len(part)
            await self.callback(chunk)  # never waits: the queue is never full
            if not self._may_hand_over(source, epoch):
                return start
            source.handed = part[-1].offset + 1
        source.position = fetched.positions[partition]
        source.end = max(source.end, fetched.ends[partition])
        source.is_in_doubt = False
        return len(records)

    def _generation(self) -> int:
        return int(self.app.consumer_generation_id)

    def _may_hand_over(self, source: Source, epoch: int) -> bool:
        return bool(self.flow_active and not self.app.rebalancing and source.epoch == epoch and source.owner.is_running)


def lane_transport(lifecycle: Lifecycle, lane: LaneSettings) -> Callable[..., Any]:
    """The transport class of one worker: the lane's consumer, and security settings for Faust's own producer."""

    class Consumer(LaneConsumer):
        pass

    class Producer(driver.Producer):  # type: ignore[misc]  # untyped
        mundane_level = "debug"

        def _settings_auth(self) -> Mapping[str, Any]:
            return lane.security

    class Transport(driver.Transport):  # type: ignore[misc]  # untyped
        pass

    Consumer.lifecycle, Consumer.lane = lifecycle, lane
    Transport.Consumer, Transport.Producer = Consumer, Producer
    return Transport


Agent = Callable[[Any], Awaitable[None]]


def lane_agent(lifecycle: Lifecycle, stage_name: str) -> Agent:
    """The agent of a stage: each event is a chunk. Acknowledgement is the committer's, so the stream gives none."""

    async def consume(stream: Any) -> None:
        async for event in stream.noack().events():
            await lifecycle.apply(event.message)

    consume.__name__ = stage_name
    return consume
