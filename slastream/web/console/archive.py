"""Single records of the log, read again when somebody asks for them: the events of a ticket, an original that was rejected."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from slastream.errors import DeliveryError
from slastream.stream.kafka_client import Broker, client_arguments
from slastream.web.console.tickets import Place

READ_SECONDS = 10.0
NEAR_RECORDS = 50
"""Records that lie so near to each other are read in one go, with what is between them."""
FETCH_BYTES = 65_536


class Archive:
    """One consumer without a group, used by one request at a time; made anew when it fails."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._consumer: Any = None
        self._turn = asyncio.Lock()

    async def read(self, topic: str, places: Sequence[Place]) -> list[bytes]:
        """The values of the records that are still there, in the order of their places. Raises DeliveryError."""
        if not places:
            return []
        async with self._turn:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    consumer = await self._started()
                    return [value for run in runs_of(places) for value in await _values(consumer, topic, run)]
            except (KafkaError, OSError, TimeoutError) as error:
                await self._drop()
                raise DeliveryError(f"Kafka at {self._broker} does not give {topic}: {error!r}; try again") from None

    async def close(self) -> None:
        async with self._turn:
            await self._drop()

    async def _started(self) -> Any:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_arguments(self._broker),
                group_id=None,
                auto_offset_reset="none",
                isolation_level="read_committed",
                max_partition_fetch_bytes=FETCH_BYTES,
            )
            self._consumer = consumer
            await consumer.start()
        return self._consumer

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(KafkaError, OSError):
                await consumer.stop()


def runs_of(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Neighbours in one partition."""
    run: list[Place] = []
    for place in sorted(places):
        if run and (place.partition != run[-1].partition or place.offset - run[-1].offset > NEAR_RECORDS):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


async def _values(consumer: Any, topic: str, run: list[Place]) -> list[bytes]:
    partition, wanted = TopicPartition(topic, run[0].partition), {place.offset for place in run}
    consumer.assign([partition])
    (begin,) = (await consumer.beginning_offsets([partition])).values()
    (end,) = (await consumer.end_offsets([partition])).values()
    last = min(max(wanted), end - 1)
    consumer.seek(partition, max(min(wanted), begin))
    found: list[bytes] = []
    while await consumer.position(partition) <= last:
        records = (await consumer.getmany(partition, timeout_ms=100)).get(partition, ())
        found += [one.value for one in records if one.offset in wanted and one.value is not None]
    return found
