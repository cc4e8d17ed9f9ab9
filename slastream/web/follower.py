"""Reads one topic for ever, without a consumer group: from its beginning, or from an instant on, then whatever comes.

What is not committed is not read. Positions are kept in memory: after a broker was away, reading goes on where it stopped.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from orjson import JSONDecodeError

from slastream.core.units import Instant
from slastream.stream.kafka_client import Broker, client_arguments

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Follower:
    """Gives each record to `tell`. `is_complete` is set once all is read that was there at the start."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        tell: Callable[[Any], None],
        since: Instant | None = None,
        most_records: int = 5000,
    ) -> None:
        """Records that the broker got before `since` are left out. At most `most_records` are told in one go."""
        self.topic = topic
        self.is_complete = asyncio.Event()
        self.lag_records = 0
        self.read_records = 0
        self.problem = ""
        self._broker = broker
        self._tell = tell
        self._since = since
        self._most_records = most_records
        self._positions: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Until cancelled; a broker that is away is waited for."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                if (why := repr(error)) != self.problem:
                    log.error("%s at %s cannot be read: %s; trying again", self.topic, self._broker, why)
                self.problem = why
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            self.topic,
            **client_arguments(self._broker),
            group_id=None,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            await consumer.start()
            await self._go_to_positions(consumer)
            self.problem = ""
            ends = await consumer.end_offsets(consumer.assignment())
            started = time.monotonic()
            while True:
                if not self.is_complete.is_set() and all([await consumer.position(one) >= ends[one] for one in ends]):
                    log.info("%s is read: %.1f s", self.topic, time.monotonic() - started)
                    self.is_complete.set()
                found = await consumer.getmany(timeout_ms=200, max_records=self._most_records)
                for partition, records in found.items():
                    for record in records:
                        self._note(record)
                    self._positions[partition] = records[-1].offset + 1
                    self.read_records += len(records)
                self.lag_records = sum([await _behind(consumer, one) for one in consumer.assignment()])
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    async def _go_to_positions(self, consumer: Any) -> None:
        """Where it stopped, or where `since` is; a partition without either is read from its beginning."""
        if self._since is not None:
            new = {one: self._since // 1000 for one in consumer.assignment() if one not in self._positions}
            found = await consumer.offsets_for_times(new) if new else {}
            ends = await consumer.end_offsets(new)
            self._positions |= {one: ends[one] if found.get(one) is None else found[one].offset for one in new}
        for partition, position in self._positions.items():
            consumer.seek(partition, position)

    def _note(self, record: Any) -> None:
        """A record that is not as it must be is told in the log, and stops nothing."""
        try:
            self._tell(record)
        except (JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.error("%s %d at %d is left out: %r", self.topic, record.partition, record.offset, error)


async def _behind(consumer: Any, partition: Any) -> int:
    end = consumer.highwater(partition)
    return 0 if end is None else max(0, end - await consumer.position(partition))
