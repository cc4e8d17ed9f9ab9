"""Time is in the log: when a deadline has come by the wall clock, a tick is written into the partition.

A tick is written only when the partition was consumed to the end that it had after the deadline came, so that a
worker that returns from an outage, or reads a backlog, declares no false breach. One tick at most is outstanding in a
partition, and an idle partition costs one timer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime

from aiokafka.errors import KafkaError, KafkaTimeoutError

from slastream.stream.failure import fail_stop
from slastream.stream.runtime import OwnedPartition, Source, TopicPartition
from slastream.stream.stage import Processor

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 1.0
"""The wall clock may be set: no timer runs longer than this before it looks again."""
UNHEARD_TICK_SECONDS = 1.0
"""A partition whose deadline did not move although it has had its tick gets the next one after this."""

End = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
"""The ends of partitions, asked now: the next offset that the broker will give, uncommitted transactions included."""
Send = Callable[[TopicPartition, bytes, bytes | None], Awaitable[int]]
"""Produces a value with a key; returns its offset when the broker has it."""


def tick_value(now_us: int) -> bytes:
    """The record of an instant.

    >>> tick_value(1_700_000_000_000_250)
    b'{"type":"tick","at":"2023-11-14T22:13:20.000250Z"}'
    """
    at = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    return b'{"type":"tick","at":"%s.%06dZ"}' % (at.strftime("%Y-%m-%dT%H:%M:%S").encode(), now_us % 1_000_000)


def is_tick_due(processor: Processor, now_us: int) -> bool:
    """Whether a tick is wanted when the wall clock shows `now_us`."""
    return processor.ticks_allowed and (wake_at := processor.wake_at) is not None and wake_at <= now_us


def offsets_behind(sources: Mapping[TopicPartition, Source], ends: Mapping[TopicPartition, int]) -> int:
    """How far the most backward source is from its end; none or less: all was applied that there was then."""
    return max(end - _applied_to(sources[partition]) for partition, end in ends.items())


def _applied_to(source: Source) -> int:
    """Behind the last record stand markers of transactions, which are read and not applied."""
    return source.position if source.applied == source.handed else source.applied


class Deadlines:
    """The timers of one process, one for each running partition with something due."""

    def __init__(self, ends: End, send: Send) -> None:
        self._ends = ends
        self._send = send
        self._timers: dict[OwnedPartition, tuple[int, asyncio.TimerHandle]] = {}
        self._ticking: dict[OwnedPartition, asyncio.Task[None]] = {}
        self._unheard: dict[OwnedPartition, tuple[int, float]] = {}

    async def prepare(self, owned: OwnedPartition) -> None:
        """Ask for the ends once, so that the first tick does not wait 100 ms for the metadata of the topics."""
        for partition, end in (await self._ends(owned.sources)).items():
            owned.sources[partition].end = end

    def arm(self, owned: OwnedPartition) -> None:
        """Look at a partition's next deadline: after it was started, and after something was applied to it."""
        if owned in self._ticking:
            return
        wake_at = owned.processor.wake_at if owned.is_running and owned.processor is not None else None
        if (timer := self._timers.get(owned)) is not None:
            if timer[0] == wake_at:
                return
            self._timers.pop(owned)[1].cancel()
        if wake_at is not None:
            self._arm(owned, wake_at)

    def _arm(self, owned: OwnedPartition, wake_at: int) -> None:
        assert owned.processor is not None
        delay = (wake_at - time.time_ns() // 1000) / 1e6
        unheard_wake_at, ticked_at = self._unheard.get(owned, (None, 0.0))
        if unheard_wake_at == wake_at:
            delay = max(delay, ticked_at + UNHEARD_TICK_SECONDS - time.monotonic())
        if delay <= 0 and owned.processor.ticks_allowed:
            self._ticking[owned] = asyncio.create_task(self._tick(owned), name=f"tick {owned.name}")
            return
        delay = min(delay, LONGEST_SLEEP_SECONDS) if delay > 0 else LONGEST_SLEEP_SECONDS
        self._timers[owned] = wake_at, asyncio.get_running_loop().call_later(delay, self._look, owned)

    def _look(self, owned: OwnedPartition) -> None:
        del self._timers[owned]
        self.arm(owned)

    def disarm(self, owned: OwnedPartition) -> None:
        """Write no more ticks into a partition."""
        if (timer := self._timers.pop(owned, None)) is not None:
            timer[1].cancel()
        if (task := self._ticking.pop(owned, None)) is not None:
            task.cancel()
        self._unheard.pop(owned, None)

    async def _tick(self, owned: OwnedPartition) -> None:
        try:
            ends = await self._ends(owned.sources)
            await self._reach(owned, ends)
            await self._write_tick(owned)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                fail_stop(f"{owned.name}: a tick could not be written", cause=error)
            log.warning("%s: a tick was not written and will be tried again: %r", owned.name, error)
            self._put_off(owned)
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop(f"{owned.name}: a tick could not be written", cause=error)
        finally:
            if self._ticking.get(owned) is asyncio.current_task():
                del self._ticking[owned]
        self.arm(owned)

    def _put_off(self, owned: OwnedPartition) -> None:
        """A broker that is away: a missing tick makes facts late, not wrong, and is tried after UNHEARD_TICK_SECONDS."""
        if owned.processor is not None and (wake_at := owned.processor.wake_at) is not None:
            self._unheard[owned] = wake_at, time.monotonic()

    async def _write_tick(self, owned: OwnedPartition) -> None:
        """Write the tick if it is still wanted, and wait until it was applied."""
        processor = owned.processor
        now_us = time.time_ns() // 1000
        if processor is None or not owned.is_running or not is_tick_due(processor, now_us):
            return
        wake_at = processor.wake_at
        assert wake_at is not None
        partition = TopicPartition(owned.stage.tick_topic, owned.partition)
        offset = await self._send(partition, tick_value(now_us), owned.stage.tick_key)
        owned.ticks += 1
        owned.ticked_at = time.time()
        self._unheard[owned] = wake_at, time.monotonic()
        while owned.is_running and owned.sources[partition].applied <= offset:
            await asyncio.sleep(0.005)

    async def _reach(self, owned: OwnedPartition, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until every source partition was applied up to these ends: patiently while far behind."""
        while owned.is_running:
            behind = offsets_behind(owned.sources, ends)
            if behind <= 0:
                return
            await asyncio.sleep(0.002 if behind < 1000 else 0.1)
