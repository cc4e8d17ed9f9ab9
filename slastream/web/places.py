"""Where open problems are, for a vendor whose recovery does not say it (Zabbix' stream): kept in `slastream-episodes`.

Written with the event of the problem and acknowledged with it; read by every gateway from the beginning, and followed. So
a recovery finds its problem after a restart, and at another gateway than the one that the problem came to.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from orjson import dumps, loads

from slastream.ingest.adapting import Place
from slastream.stream.kafka_client import Broker, client_arguments
from slastream.web.event_log import Entry

log = logging.getLogger(__name__)

EPISODES = "slastream-episodes"
MAX_PLACES = 100_000
"""Of one source, the newest: 30 MB."""
RETRY_SECONDS = 1.0


class Places:
    """Places by episode, of each source that needs them. `run` follows the topic; everything is on one loop."""

    def __init__(self, broker: Broker, sources: Iterable[str]) -> None:
        self._broker = broker
        self._by_source: dict[str, dict[str, Place]] = {name: {} for name in sources}
        self.why_behind: str | None = f"{EPISODES} is not read yet" if self._by_source else None
        """None once all is read that was there at the start: before that a recovery might not find its problem."""

    def of(self, source: str) -> Mapping[str, Place]:
        """By episode; the same object for ever, which follows the topic."""
        return self._by_source.get(source, {})

    def kept(self, source: str, places: Mapping[str, Place]) -> list[Entry]:
        """Knows from now on what began with a payload; returns the records by which that lasts."""
        if source in self._by_source:
            self._by_source[source] |= places
        return [
            Entry(
                EPISODES,
                f"{source}:{episode}".encode(),
                dumps({"source": source, "episode": episode, "service": place.service, "component": place.component}),
            )
            for episode, place in places.items()
        ]

    async def run(self) -> None:
        """Read and follow the topic until cancelled; nothing to do where no source needs it."""
        while self._by_source:
            try:
                await self._follow()
            except UnknownTopicOrPartitionError:
                self._cannot(f"{self._broker} has no {EPISODES}: slastream topics create --broker {self._broker}")
            except (KafkaError, OSError) as error:
                self._cannot(f"{EPISODES} cannot be read: {error!r}")
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            EPISODES, **client_arguments(self._broker), group_id=None, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            ends = await consumer.end_offsets(consumer.assignment())
            while True:
                if self.why_behind and all([await consumer.position(one) >= end for one, end in ends.items()]):
                    self.why_behind = None
                    log.info("knows the places of %d problems", sum(len(each) for each in self._by_source.values()))
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        self._note(record.value)
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    def _cannot(self, why: str) -> None:
        if why != self.why_behind:
            log.error("%s; trying again", why)
        self.why_behind = why

    def _note(self, value: Any) -> None:
        line = loads(value or b"{}")
        places = self._by_source.get(line.get("source", ""))
        if places is None:
            return  # of a source that another gateway has, or that is no more
        places[line["episode"]] = Place(line["service"], line["component"])
        if len(places) > MAX_PLACES:
            del places[next(iter(places))]
