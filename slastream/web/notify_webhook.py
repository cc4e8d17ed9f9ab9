"""Facts to one webhook of somebody else's: signed, one after the other in each partition, tried again until they are taken.

The offset is committed after the receiver has said 2xx, so a crash sends a fact twice rather than never; the id in `webhook-id` is
that of the fact, by which the receiver drops what it has. An address inside the own network is refused when the connection is made,
whatever name it hides behind: a URL must not be a way to reach what only this machine may.

**Source:** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownMemberIdError

from slastream.core.units import Instant
from slastream.errors import DeliveryError, PolicyError
from slastream.ingest.signatures import signed_headers
from slastream.stream.kafka_client import Broker, client_arguments
from slastream.stream.topics import list_topics
from slastream.web.addresses import GuardedResolver
from slastream.web.backoff import backoff_seconds
from slastream.web.follower import RETRY_SECONDS
from slastream.web.notify_file import WebhookFile
from slastream.web.notify_log import BREACHES
from slastream.web.notify_metrics import NotifyMetrics

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 300.0
MOST_RECORDS = 100
DAY_MS = 86_400_000


class Webhook:
    """One receiver. `run` delivers until cancelled."""

    def __init__(
        self, file: WebhookFile, broker: Broker, group: str, metrics: NotifyMetrics, tls: ssl.SSLContext
    ) -> None:
        self.name = file.name
        self._file = file
        self._broker = broker
        self._group = f"{group}-{file.name}"
        self._metrics = metrics
        self._tls = tls

    async def run(self) -> None:
        said = ""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, DeliveryError) as error:
                if (why := repr(error)) != said:
                    log.error("%s: %s at %s cannot be read: %s; trying again", self.name, BREACHES, self._broker, why)
                said = why
            await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> None:
        """Commit the end of each partition of which nothing was ever committed, so that a crash before the first fact finds it.

        Not when partitions are assigned: aiokafka looks for a position of its own meanwhile.
        """
        consumer = AIOKafkaConsumer(**client_arguments(self._broker), group_id=self._group, enable_auto_commit=False)
        try:
            await consumer.start()
            topics = await list_topics(self._broker)
            count = next(topic.partitions for topic in topics if topic.name == BREACHES)
            partitions = [TopicPartition(BREACHES, number) for number in range(count)]
            consumer.assign(partitions)
            fresh = [one for one in partitions if await consumer.committed(one) is None]
            if fresh:
                await consumer.commit(await consumer.end_offsets(fresh))
                log.info("%s: starts with the next fact in %d partitions", self.name, len(fresh))
        except (CommitFailedError, UnknownMemberIdError):
            log.info("%s: another process delivers already", self.name)
        finally:
            await consumer.stop()

    async def _follow(self) -> None:
        if self._file.begin == "now":
            await self._begin()
        consumer = AIOKafkaConsumer(
            BREACHES,
            **client_arguments(self._broker),
            group_id=self._group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_interval_ms=DAY_MS,  # a receiver may be away for long; whether this process lives, heartbeats say
        )
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(self._file.allow_networks), ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=self._file.timeout_seconds)
        try:
            await consumer.start()
            async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
                while True:
                    for partition, records in (
                        await consumer.getmany(timeout_ms=1000, max_records=MOST_RECORDS)
                    ).items():
                        await self._deliver_all(session, consumer, partition, records)
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    async def _deliver_all(
        self, session: aiohttp.ClientSession, consumer: Any, partition: TopicPartition, records: Sequence[Any]
    ) -> None:
        """What another process owns by now is left to it."""
        for record in records:
            if partition not in consumer.assignment():
                return
            if await self._deliver(session, record) or record is records[-1]:
                try:
                    await consumer.commit({partition: record.offset + 1})
                except (CommitFailedError, IllegalStateError):
                    return

    async def _deliver(self, session: aiohttp.ClientSession, record: Any) -> bool:
        """Returns when the receiver has the fact, or has not taken it for too long; false when it does not want it."""
        try:
            fact = orjson.loads(record.value)
            fact_id, word, at = fact["id"], fact["fact"], fact["at"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            log.error("%s %d at %d is left out: %r", BREACHES, record.partition, record.offset, error)
            return False
        if word not in self._file.facts:
            return False
        body = orjson.dumps({"type": f"sla.{word}", "timestamp": at, "data": fact})
        self._metrics.note_waiting(self.name)
        if await self._is_taken(session, fact_id, body):
            self._metrics.count(self.name, "delivered")
        else:
            self._metrics.count(self.name, "given_up")
            log.error("%s: fact %s is given up: it was not taken in time", self.name, fact_id)
        self._metrics.note_told(self.name)
        return True

    async def _is_taken(self, session: aiohttp.ClientSession, fact_id: str, body: bytes) -> bool:
        give_up_at, failures = time.monotonic() + self._file.give_up_seconds, 0
        while True:
            why, after = await self._attempt(session, fact_id, body)
            if why is None:
                return True
            failures += 1
            self._metrics.count(self.name, "failed")
            wait = max(after, backoff_seconds(failures, FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))
            if time.monotonic() + wait > give_up_at:
                return False
            log.log(logging.ERROR if failures == 1 else logging.INFO, "%s: %s; again in %.0f s", self.name, why, wait)
            await asyncio.sleep(wait)

    async def _attempt(self, session: aiohttp.ClientSession, fact_id: str, body: bytes) -> tuple[str | None, float]:
        """Why it failed (None: it did not), and how many seconds the receiver wants to be left alone."""
        headers = signed_headers(self._file.secrets, fact_id, body, Instant(time.time_ns() // 1000))
        headers["Content-Type"] = "application/json"
        try:
            async with session.post(self._file.url, data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return None, 0
                return f"the receiver answers {answer.status}", _retry_after(answer.headers.get("Retry-After", ""))
        except TimeoutError:
            return f"the receiver does not answer within {self._file.timeout_seconds:g} s", 0
        except aiohttp.InvalidURL:
            return "the receiver's address cannot be used", 0
        except (aiohttp.ClientError, OSError) as error:
            return f"the receiver cannot be reached: {error.__cause__ or error}", 0


def _retry_after(text: str) -> float:
    return min(float(text), LONGEST_BACKOFF_SECONDS) if text.isascii() and text.isdigit() else 0.0


def tls_of(file: WebhookFile, ca_path: str | None) -> ssl.SSLContext:
    """Raises PolicyError for a CA that cannot be used."""
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise PolicyError(f"{file.name}: ca_file: {file.ca_file} cannot be used: {error}; name a PEM file") from None
