"""The workers as the broker sees them: members of their consumer group, and how far behind each partition is."""

import asyncio
import contextlib
import logging
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from slastream.stream.kafka_client import Broker, client_arguments

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
ANSWER_SECONDS = 10.0


class Member(NamedTuple):
    """A worker; `partitions` by topic."""

    name: str
    host: str
    partitions: dict[str, list[int]]


class Lag(NamedTuple):
    """Of a topic: records that wait in all partitions together, and in the worst one."""

    topic: str
    partitions: int
    records: int
    worst: int


class Group(NamedTuple):
    """`state` is Kafka's word (`Stable`, `Empty`, …); `problem` why nothing newer is known."""

    name: str
    state: str
    members: list[Member]
    lags: list[Lag]
    problem: str


class Workers:
    """Asks the broker again and again, as long as somebody looks."""

    def __init__(self, broker: Broker, app_id: str) -> None:
        self._broker = broker
        self.group = Group(app_id, "not asked yet", [], [], "")
        self._wanted = asyncio.Event()
        self.version = 0

    def look(self) -> None:
        """Somebody looks at it."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    group = await self._asked()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("the group %s is not told by %s: %r", self.group.name, self._broker, error)
                group = self.group._replace(problem=f"Kafka at {self._broker} does not tell: {error!r}")
            if group != self.group:
                self.group = group
                self.version += 1
            await asyncio.sleep(EVERY_SECONDS)

    async def _asked(self) -> Group:
        name = self.group.name
        admin = AIOKafkaAdminClient(**client_arguments(self._broker))
        consumer = AIOKafkaConsumer(**client_arguments(self._broker), group_id=None)
        try:
            await admin.start()
            await consumer.start()
            (response,) = await admin.describe_consumer_groups([name])
            described = response.to_object()["groups"][0]
            committed = await admin.list_consumer_group_offsets(name)
            ends = await consumer.end_offsets([one for one, at in committed.items() if at.offset >= 0])
            behind = {one: max(0, end - committed[one].offset) for one, end in ends.items()}
            members = sorted(_member(one) for one in described["members"])
            return Group(name, described["state"] or "Empty", members, _lags(behind), "")
        finally:
            with contextlib.suppress(KafkaError, OSError):
                await admin.close()
            with contextlib.suppress(KafkaError, OSError):
                await consumer.stop()


def _member(described: dict[str, Any]) -> Member:
    assigned = described["member_assignment"]
    partitions = dict(ConsumerProtocolMemberAssignment.decode(assigned).assignment) if assigned else {}
    return Member(
        described.get("group_instance_id") or described["member_id"],
        described["client_host"].lstrip("/"),
        {topic: sorted(partitions[topic]) for topic in sorted(partitions)},
    )


def _lags(behind: dict[TopicPartition, int]) -> list[Lag]:
    by_topic: dict[str, list[int]] = {}
    for partition, records in behind.items():
        by_topic.setdefault(partition.topic, []).append(records)
    return [Lag(topic, len(each), sum(each), max(each)) for topic, each in sorted(by_topic.items())]
