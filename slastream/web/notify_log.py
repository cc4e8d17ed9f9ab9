"""`sla.breaches` and `sla.verdicts` read into the board: from their beginning, then followed.

No offset is kept: which alerts are on is what the two topics say, so a start reads both. What is not committed is not read.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from orjson import JSONDecodeError, loads

from slastream.core.units import Instant
from slastream.web.notify_alerts import Board

log = logging.getLogger(__name__)

BREACHES, VERDICTS = "sla.breaches", "sla.verdicts"
RETRY_SECONDS = 1.0
MOST_RECORDS = 5000
_STATUS = b'"breached"'


class Follower:
    """Reads one topic for ever. `is_complete` is set once all is read that was there at the start."""

    def __init__(self, broker: str, topic: str, tell: Callable[[Any, Instant], None]) -> None:
        self.topic = topic
        self.is_complete = asyncio.Event()
        self.lag_records = 0
        self._broker = broker
        self._tell = tell
        self._problem = ""

    async def run(self) -> None:
        """Until cancelled; a broker that is away is waited for."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                if (why := repr(error)) != self._problem:
                    log.error("%s at %s cannot be read: %s; trying again", self.topic, self._broker, why)
                self._problem = why
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            self.topic,
            bootstrap_servers=self._broker.split(","),
            group_id=None,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            await consumer.start()
            self._problem = ""
            ends = await consumer.end_offsets(consumer.assignment())
            started = time.monotonic()
            while True:
                if not self.is_complete.is_set() and all([await consumer.position(one) >= ends[one] for one in ends]):
                    log.info("%s is read: %.1f s", self.topic, time.monotonic() - started)
                    self.is_complete.set()
                for records in (await consumer.getmany(timeout_ms=200, max_records=MOST_RECORDS)).values():
                    for record in records:
                        self._note(record)
                self.lag_records = sum([await _behind(consumer, one) for one in consumer.assignment()])
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    def _note(self, record: Any) -> None:
        """A record that is not as it must be is told in the log, and stops nothing."""
        try:
            self._tell(record.value, Instant(record.timestamp * 1000))
        except (JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.error("%s %d at %d is left out: %r", self.topic, record.partition, record.offset, error)


async def _behind(consumer: Any, partition: Any) -> int:
    end = consumer.highwater(partition)
    return 0 if end is None else max(0, end - await consumer.position(partition))


def followers(broker: str, board: Board) -> tuple[Follower, Follower]:
    """Of facts and of verdicts. Let the first be complete before the second runs: verdicts of unknown facts are left out."""

    def tell_fact(value: bytes | None, heard_at: Instant) -> None:
        if value is not None:
            board.tell_fact(loads(value), heard_at)

    def tell_verdict(value: bytes | None, heard_at: Instant) -> None:
        if value is not None and _STATUS in value:  # of a hundred thousand verdicts a few: 0.1 µs each, not 5
            board.tell_verdict(loads(value), heard_at)

    return Follower(broker, BREACHES, tell_fact), Follower(broker, VERDICTS, tell_verdict)
