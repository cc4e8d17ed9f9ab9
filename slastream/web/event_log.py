"""The way into Kafka: what `append` returned from is acknowledged by all replicas that are in sync.

A broker that is away makes `append` fail, soon and without piling anything up: callers tell those who send to come again.
What failed may be in the log all the same, now or when the broker is back; sent again it has the same ids and is no news.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from slastream.core.events import Event, MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.errors import DeliveryError, EventError, PolicyError
from slastream.stream.failure import quieten_clients
from slastream.stream.kafka_client import Broker, client_arguments
from slastream.stream.topics import require_topics

log = logging.getLogger(__name__)

TICKETS, MONITORING, MAINTENANCE, REJECTED = "sla.tickets", "sla.monitoring", "sla.maintenance", "sla.rejected"
TOPICS = (TICKETS, MONITORING, MAINTENANCE, REJECTED)

MAX_PENDING_BYTES = 64 * 1024 * 1024
MAX_RECORD_BYTES = 4 * 1024 * 1024
BATCH_BYTES = 262_144
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 0.5
SAID_EVERY_SECONDS = 10.0
STOP_SECONDS = 5.0


class Entry(NamedTuple):
    """A record to be written; the partition is that of murmur2 of the key, as everywhere."""

    topic: str
    key: bytes
    value: bytes


class UnavailableError(DeliveryError):
    """The broker has not acknowledged; `retry_after_seconds` is when to try again."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def entry_of(event: Event) -> Entry:
    """The record that holds the event. Raises EventError for a tick, which workers write themselves."""
    match event:
        case TicketEvent():
            return Entry(TICKETS, event.ticket_id.encode(), event.content)
        case MonitoringEvent():
            return Entry(MONITORING, event.service.encode(), event.content)
        case MaintenanceEvent():
            return Entry(MAINTENANCE, event.service.encode(), event.content)
        case _:
            raise EventError("unknown_kind", "$", "a tick is written by workers only; leave it out")


class EventLog:
    """One idempotent producer, made anew when it breaks. `run` keeps it alive; everything is on one loop."""

    def __init__(self, broker: Broker, answer_seconds: float) -> None:
        self._broker = broker
        self._answer_seconds = answer_seconds
        self._producer: AIOKafkaProducer | None = None
        self._is_broken = asyncio.Event()
        self._pending: dict[asyncio.Future[list[object]], tuple[float, int]] = {}
        self._pending_bytes = 0
        self.pending_records = 0
        self.problem = "not connected yet"

    @property
    def why_unavailable(self) -> str | None:
        """None while `append` may be tried."""
        if self._producer is None:
            return f"Kafka at {self._broker} does not answer: {self.problem}"
        oldest = next(iter(self._pending.values()), None)
        if oldest is not None and (waited := time.monotonic() - oldest[0]) > self._answer_seconds:
            return f"Kafka at {self._broker} has not acknowledged for {waited:.0f} s"
        if self._pending_bytes > MAX_PENDING_BYTES:
            return f"{self._pending_bytes} bytes wait for Kafka at {self._broker}"
        return None

    async def until_ready(self) -> None:
        """Return when records are taken. Raises DeliveryError when that does not come soon."""
        end = time.monotonic() + 2 * CONNECT_SECONDS
        while (why := self.why_unavailable) is not None:
            if time.monotonic() > end:
                raise DeliveryError(why)
            await asyncio.sleep(0.05)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Return when all are acknowledged. Raises UnavailableError when that is not known within `answer_seconds`."""
        if (why := self.why_unavailable) is not None or self._producer is None:
            raise UnavailableError(f"{why}; send it again", 2)
        if not entries:
            return
        end = time.monotonic() + self._answer_seconds
        sent: list[asyncio.Future[object]] = []
        is_complete = False
        try:
            async with asyncio.timeout(self._answer_seconds):
                for entry in entries:
                    sent.append(await self._producer.send(entry.topic, entry.value, key=entry.key))  # noqa: PERF401  # what was sent counts
            is_complete = True
        except (KafkaError, TimeoutError) as error:
            self._note(error)
        finally:
            answered = self._watch(sent, sum(len(each.value) for each in entries)) if sent else None
        if not is_complete or answered is None:
            raise UnavailableError(f"Kafka at {self._broker} takes nothing: {self.problem}; send it again", 2)
        await asyncio.wait([answered], timeout=max(0.0, end - time.monotonic()))
        if not answered.done():
            raise UnavailableError(
                f"Kafka at {self._broker} has not acknowledged within {self._answer_seconds:g} s; send it again", 5
            )
        if failed := [one for one in answered.result() if isinstance(one, BaseException)]:
            raise UnavailableError(f"Kafka at {self._broker} refuses: {failed[0]!r}; send it again", 2)

    def _watch(self, sent: Sequence[asyncio.Future[object]], size: int) -> "asyncio.Future[list[object]]":
        """All answers of one call; counted as pending until the last is there, also when nobody waits any more."""
        answered: asyncio.Future[list[object]] = asyncio.gather(*sent, return_exceptions=True)
        self._pending[answered] = time.monotonic(), size
        self._pending_bytes += size
        self.pending_records += len(sent)

        def settle(done: "asyncio.Future[list[object]]") -> None:
            del self._pending[done]
            self._pending_bytes -= size
            self.pending_records -= len(sent)
            if not done.cancelled():
                for one in done.result():
                    if isinstance(one, BaseException):
                        self._note(one)
                        break

        answered.add_done_callback(settle)
        return answered

    def _note(self, error: BaseException) -> None:
        """After a failure the sequence numbers of an idempotent producer have a gap: it is of no more use."""
        if not isinstance(error, TimeoutError):
            self.problem = repr(error)
            self._is_broken.set()

    # ---- the life of the producer

    async def run(self) -> None:
        """Connect, and connect again when it breaks, until cancelled."""
        quieten_clients()
        said_at = -SAID_EVERY_SECONDS
        while True:
            self._is_broken.clear()
            try:
                producer = await self._connected()
            except (DeliveryError, PolicyError) as error:  # the latter: a file or a login that was good at the start
                self.problem = str(error)
                if time.monotonic() - said_at >= SAID_EVERY_SECONDS:
                    said_at = time.monotonic()
                    log.error("%s; trying again", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._producer = producer
            log.info("writes to Kafka at %s", self._broker)
            try:
                await self._is_broken.wait()
                log.error("a write failed (%s): connects anew", self.problem)
            finally:
                self._producer = None
                await _stop(producer)

    async def _connected(self) -> AIOKafkaProducer:
        await require_topics(self._broker, TOPICS)
        producer = AIOKafkaProducer(
            **client_arguments(self._broker),
            client_id="slastream-gateway",
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            retry_backoff_ms=50,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await _stop(producer)
            raise DeliveryError(f"Kafka at {self._broker} does not answer: {error!r}") from None
        return producer


async def _stop(producer: AIOKafkaProducer) -> None:
    """Flush what can be flushed. A broker that is away would hold it for ever."""
    with contextlib.suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), STOP_SECONDS)
