"""Kafka into the view: what the stream says first, then what it was told, then both for ever."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from slastream.core.units import Instant
from slastream.stream.kafka_client import Broker
from slastream.stream.topics import require_topics
from slastream.web.console.monitored import REMEMBERED
from slastream.web.console.tickets import Place
from slastream.web.console.view import INPUTS, OUTPUTS, TICKETS, View
from slastream.web.follower import Follower

MOST_RECORDS = 500
"""At a time: pages are answered in between."""


class Progress(NamedTuple):
    """How far a topic is read."""

    topic: str
    is_complete: bool
    read_records: int
    lag_records: int
    problem: str


class Reading:
    """Follows all topics; `run` until cancelled."""

    def __init__(self, broker: Broker, view: View) -> None:
        since = Instant(time.time_ns() // 1000 - REMEMBERED)
        self._broker = broker
        self._followers = {
            topic: Follower(
                broker, topic, _teller(view, topic), None if topic in (*OUTPUTS, TICKETS) else since, MOST_RECORDS
            )
            for topic in (*OUTPUTS, *INPUTS)
        }

    @property
    def is_complete(self) -> bool:
        """Whether everything that the stream said before the start is known."""
        return all(self._followers[topic].is_complete.is_set() for topic in OUTPUTS)

    @property
    def why_behind(self) -> str:
        """Why what is shown may be old, or empty."""
        return next((f"{one.topic}: {one.problem}" for one in self._followers.values() if one.problem), "")

    def progress(self) -> list[Progress]:
        return [
            Progress(one.topic, one.is_complete.is_set(), one.read_records, one.lag_records, one.problem)
            for one in self._followers.values()
        ]

    async def run(self) -> None:
        """Raises DeliveryError when the broker is away at the start, or has not the topics."""
        await require_topics(self._broker, self._followers)
        async with asyncio.TaskGroup() as group:
            for topic in OUTPUTS:
                group.create_task(self._followers[topic].run())
            for topic in OUTPUTS:
                await self._followers[topic].is_complete.wait()
            for topic in INPUTS:
                group.create_task(self._followers[topic].run())


def _teller(view: View, topic: str) -> Callable[[Any], None]:
    def tell(record: Any) -> None:
        heard_at = Instant(record.timestamp * 1000)
        view.tell(topic, Place(record.partition, record.offset), heard_at, record.key, record.value)

    return tell
