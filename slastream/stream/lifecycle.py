"""The life of the partitions of one process: fencing, restoring, seeking, running, draining.

A partition that Kafka gives to this process is fenced (its earlier owners can write no more), restored, sought and only
then read. A partition that stays with us over a rebalance (the next generation of the group, so that nobody else can
have owned it between) keeps its state and its producer, and is only sought again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from aiokafka.errors import IllegalStateError

from slastream.errors import SnapshotError
from slastream.stream.collector import RestingCollector
from slastream.stream.commit import Committer, Pace, PartitionCounts, Writer, partition_of
from slastream.stream.deadlines import Deadlines
from slastream.stream.failure import EXIT_ASSIGNMENT, EXIT_NOT_RESTORED, EXIT_UNEXPECTED, fail_stop
from slastream.stream.restore import RestoreError, restore
from slastream.stream.runtime import OwnedPartition, Runtime, Source, State, TopicPartition
from slastream.stream.stage import Record, Stage

SLICE_RECORDS = 128
"""Records that are applied between two looks at the clock: 5 ms of tickets."""
TURN_SECONDS = 0.004
"""After so much work the loop gets a turn. A commit needs dozens of turns."""
MAX_UNFLUSHED_SECONDS = 0.2
"""Work of a partition that is not durable yet; more waits. Else a backlog makes cuts of hundreds of megabytes."""

NewWriter = Callable[[Stage, int], Writer]


class Positions(Protocol):
    """What the group's consumer can do for a partition."""

    async def seek_source(self, source: Source, offset: int | None) -> None:
        """Read on at `offset` (None: at the committed one), or at the log's beginning when that is later or unknown.

        Raises IllegalStateError while the partition is not assigned.
        """


class Lifecycle:
    """Owns the partitions: opens them, applies chunks to them, drains and closes them."""

    def __init__(
        self,
        runtime: Runtime,
        deadlines: Deadlines,
        counts: PartitionCounts,
        new_writer: NewWriter,
        client_options: Mapping[str, Any],
        *,
        commit_interval_seconds: float,
        commits_per_second: float,
        parallel_restores: int = 4,
    ) -> None:
        self.runtime = runtime
        self._deadlines = deadlines
        self._counts = counts
        self._new_writer = new_writer
        self._client_options = client_options
        self._commit_interval_seconds = commit_interval_seconds
        self._paces = {stage.name: Pace(commits_per_second / 2**number) for number, stage in enumerate(runtime.stages)}
        self._opening: dict[OwnedPartition, asyncio.Task[None]] = {}
        self._restores = asyncio.Semaphore(parallel_restores)
        self._collector = RestingCollector()
        self._is_assigned = asyncio.Event()
        self._is_stopping = False
        self.positions: Positions
        self.on_change: Callable[[], Awaitable[None] | None] = lambda: None

    # Assignment

    async def assign(self, assigned: Collection[TopicPartition], generation: int) -> None:
        """Take what Kafka gave us in this generation of the group."""
        if self._is_stopping:
            return
        runtime = self.runtime
        await self.drain()  # a second time when the revocation did it
        wanted = partitions_of_stages(runtime.stages, assigned)
        is_next_generation = generation == runtime.generation + 1
        for key, owned in list(runtime.owned.items()):
            if key not in wanted or not is_next_generation:
                del runtime.owned[key]
                await self._close(owned)
        runtime.generation = generation
        runtime.rebalances += 1
        self._is_assigned.set()
        for name, partition in sorted(wanted):
            if (kept := runtime.owned.get((name, partition))) is None:
                self._open(next(stage for stage in runtime.stages if stage.name == name), partition, generation)
            else:
                kept.generation = generation
                runtime.kept_partitions += 1
                if kept not in self._opening:
                    self._spawn(kept, self._seek_and_run(kept))
        await self._tell()

    async def drain(self) -> None:
        """Apply nothing more, and return when all that was applied is durable. A restore under way goes on."""
        self._is_assigned.clear()
        running = [owned for owned in self.runtime.owned.values() if owned.is_running]
        for owned in running:
            self._deadlines.disarm(owned)
            self.runtime.enter(owned, State.DRAINING, f"{owned.unflushed_records} records to be made durable")
        await asyncio.gather(*(owned.committer.flush() for owned in running if owned.committer is not None))

    async def stop_opening(self) -> None:
        """Open nothing more: the process is about to end."""
        self._is_stopping = True
        opening = list(self._opening.values())
        for each in opening:
            each.cancel()
        await asyncio.gather(*opening, return_exceptions=True)

    async def close(self) -> None:
        """Let everything go (at the end of the process)."""
        owned, self.runtime.owned = list(self.runtime.owned.values()), {}
        await asyncio.gather(*(self._close(each) for each in owned))

    # Opening and closing

    def _open(self, stage: Stage, partition: int, generation: int) -> None:
        owned = OwnedPartition(stage, partition, generation, done=self.runtime.done)
        owned.sources = {each: Source(each, owned) for each in (TopicPartition(t, partition) for t in stage.sources)}
        self.runtime.owned[stage.name, partition] = owned
        self.runtime.transitions[stage.name, State.FENCING] += 1
        self._spawn(owned, self._fence_restore_and_run(owned))

    def _spawn(self, owned: OwnedPartition, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except (RestoreError, SnapshotError) as error:
                fail_stop(f"{owned.name} was not restored", exit_status=EXIT_NOT_RESTORED, cause=error)
            except Exception as error:  # noqa: BLE001  # fail-stop
                status = EXIT_NOT_RESTORED if owned.state is State.RESTORING else EXIT_UNEXPECTED
                fail_stop(f"{owned.name} failed while {owned.state}", exit_status=status, cause=error)
            finally:
                if self._opening.get(owned) is asyncio.current_task():
                    del self._opening[owned]

        self._opening[owned] = asyncio.create_task(guarded(), name=f"open {owned.name}")

    async def _fence_restore_and_run(self, owned: OwnedPartition) -> None:
        async with self._restores:
            writer = self._new_writer(owned.stage, owned.partition)
            await writer.start()  # fences: only now nobody else can write into the changelog
            owned.committer = Committer(
                owned,
                writer,
                self._counts,
                self._commit_interval_seconds,
                self._paces[owned.stage.name],
                self._deadlines.arm,
            )
            self.runtime.enter(owned, State.RESTORING)
            processor = owned.stage.make(owned.partition)
            with self._collector.resting():
                await restore(owned, processor, self._client_options)
            writer.continue_at(owned.restored_to)
            owned.processor = processor
        await self._counts.learn(owned.stage.sources)
        await self._deadlines.prepare(owned)
        await self._seek_and_run(owned)

    async def _seek_and_run(self, owned: OwnedPartition) -> None:
        self.runtime.enter(owned, State.SEEKING, f"{owned.restored_keys} keys of {owned.restored_records} records")
        while True:
            await self._is_assigned.wait()
            generation = owned.generation
            try:
                for source in owned.sources.values():
                    is_known = source.epoch > 0
                    await self.positions.seek_source(source, source.applied if is_known else None)
            except IllegalStateError:  # a rebalance has begun: its end sets the event again, or closes this partition
                await asyncio.sleep(0.05)
                continue
            if self._is_assigned.is_set() and owned.generation == generation:
                break
        assert owned.committer is not None
        owned.committer.start()
        offsets = ", ".join(f"{each.partition.topic} from {each.applied}" for each in owned.sources.values())
        self.runtime.enter(owned, State.RUNNING, offsets)
        owned.committer.want()  # what became of the state while it was restored
        self._deadlines.arm(owned)
        await self._tell()

    async def _tell(self) -> None:
        if (waiting := self.on_change()) is not None:
            await waiting

    async def _close(self, owned: OwnedPartition) -> None:
        self._deadlines.disarm(owned)
        if (opening := self._opening.pop(owned, None)) is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        if owned.committer is not None:
            await owned.committer.stop()

    # Chunks

    def rewind_running(self) -> None:
        """What was handed over may have been thrown away by Faust: read everything again that was not applied."""
        for source in self.runtime.running_sources():
            source.epoch += 1
            source.is_in_doubt = True

    async def apply(self, chunk: Any) -> None:
        """Apply one chunk, if it follows what was applied before; else it is read again, or was already."""
        source: Source = chunk.source
        owned = source.owner
        if chunk.epoch != source.epoch or not owned.is_running:
            self.runtime.stale_chunks += 1
            return
        source.queued_records -= len(chunk.value)
        if chunk.previous_end != source.applied:
            self._break_chain(source)
            return
        records = chunk.value
        turn_ends = time.monotonic() + TURN_SECONDS
        for start in range(0, len(records), SLICE_RECORDS):
            if time.monotonic() >= turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + TURN_SECONDS
            while owned.unflushed_seconds >= MAX_UNFLUSHED_SECONDS and owned.is_running:
                await asyncio.sleep(0.002)
            if chunk.epoch != source.epoch or not owned.is_running:
                return
            self._apply_slice(owned, source, records[start : start + SLICE_RECORDS])
        self.runtime.chunks += 1
        self.runtime.records += len(records)
        self._deadlines.arm(owned)

    def _break_chain(self, source: Source) -> None:
        source.epoch += 1
        source.is_in_doubt = True
        self.runtime.chain_breaks += 1

    def _apply_slice(self, owned: OwnedPartition, source: Source, records: Sequence[Record]) -> None:
        """Apply records; no await, so that a cut never falls within a record."""
        assert owned.processor is not None
        started = time.perf_counter()
        apply, number = owned.processor.apply, owned.partition
        count = self._counts[source.partition.topic] if owned.stage.name == "tickets" else 0
        try:
            for record in records:
                if count and (key := record.key) is not None and partition_of(key, count) != number:
                    if owned.processor.pass_over(record.offset):
                        owned.misplaced_records += 1
                        owned.forwards.append((record.topic, key, record.value, record.headers))
                else:
                    apply(record)
        except Exception as error:  # noqa: BLE001  # fail-stop
            where = f"{source.partition.topic} from {records[0].offset}"
            fail_stop(f"{owned.name}: {where} could not be applied", cause=error)
        source.applied = records[-1].offset + 1
        owned.unflushed_records += len(records)
        owned.unflushed_seconds += time.perf_counter() - started
        owned.applied_records += len(records)
        assert owned.committer is not None
        owned.committer.want()


def partitions_of_stages(stages: Sequence[Stage], assigned: Collection[TopicPartition]) -> set[tuple[str, int]]:
    """Which (stage, partition) an assignment gives; ends the process when topics of a stage are not together."""
    wanted: set[tuple[str, int]] = set()
    for stage in stages:
        numbers = {topic: {each.partition for each in assigned if each.topic == topic} for topic in stage.sources}
        if len({frozenset(each) for each in numbers.values()}) > 1:
            fail_stop(
                f"stage {stage.name}: its topics were assigned unequally: {numbers}; all topics of a stage need equal"
                " partition counts and all workers the same topics (see: slastream topics create)",
                exit_status=EXIT_ASSIGNMENT,
            )
        wanted |= {(stage.name, number) for number in numbers[stage.sources[0]]}
    return wanted
