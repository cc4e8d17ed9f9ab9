"""One worker process: a Faust application with an agent for each stage, and what stands around it.

`run_worker` blocks until SIGTERM or SIGINT, after which everything that was applied is durable and committed. Any
number of processes may run the same worker; Kafka's group hands out the partitions.
"""

import asyncio
import contextlib
import faulthandler
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiokafka
import faust
import uvloop
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from slastream.errors import DeliveryError, PolicyError
from slastream.stream import collector
from slastream.stream.commit import AcknowledgedWriter, PartitionCounts, TransactionalWriter, Writer
from slastream.stream.deadlines import Deadlines
from slastream.stream.failure import Pulse, fail_stop, quieten_clients
from slastream.stream.kafka_client import Broker, as_kafka, check_broker, client_arguments, security_arguments
from slastream.stream.lane import LaneSchema, LaneSettings, lane_agent, lane_transport
from slastream.stream.lifecycle import Lifecycle
from slastream.stream.runtime import Runtime, TopicPartition
from slastream.stream.stage import Stage

log = logging.getLogger(__name__)

FETCH_MAX_WAIT_MS = 20
"""aiokafka asks for a partition that was just read only when its request for the idle others has come back: so soon."""
LONGEST_STOP_SECONDS = 30.0
SURE_OF_REFUSAL = 3
"""A broker that asks for a login ends a connection without a word, as one that is just going away does."""

OnRuntime = Callable[[Runtime], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker runs.

    `group_instance_id` makes membership static: a worker that restarts within `session_timeout_seconds` gets its
    partitions back without a rebalance. `commits_per_second` is
    that of the first stage; each next one, for which nobody waits as for a breach, makes half as many.
    """

    broker: Broker
    app_id: str = "slastream"
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    group_instance_id: str | None = None
    metrics_listen: str | None = None
    session_timeout_seconds: float = 10.0
    heartbeat_interval_seconds: float = 1.0
    rebalance_timeout_seconds: float = 60.0
    request_timeout_seconds: float = 40.0
    transaction_timeout_seconds: float = 30.0
    commit_interval_seconds: float = 0.05
    commits_per_second: float = 32.0
    offset_commit_interval_seconds: float = 1.0
    chunk_records: int = 8192
    chunk_wait_seconds: float = 0.02
    max_outstanding_records: int = 200_000
    batch_bytes: int = 262_144

    @property
    def effective_heartbeat_seconds(self) -> float:
        """Three within a session at least: with fewer a short session would end again and again."""
        return min(self.heartbeat_interval_seconds, self.session_timeout_seconds / 3)

    def client_options(self) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        return {
            **client_arguments(self.broker),
            "client_id": self.group_instance_id or self.app_id,
            "request_timeout_ms": int(self.request_timeout_seconds * 1000),
        }

    def consumer_options(self) -> dict[str, Any]:
        """Arguments of the group's consumer. A restore may take long, so that not fetching is no reason to leave."""
        return {
            "session_timeout_ms": int(self.session_timeout_seconds * 1000),
            "heartbeat_interval_ms": int(self.effective_heartbeat_seconds * 1000),
            "rebalance_timeout_ms": int(self.rebalance_timeout_seconds * 1000),
            "max_poll_interval_ms": 24 * 3600 * 1000,
            "fetch_max_wait_ms": FETCH_MAX_WAIT_MS,
        }

    def producer_options(self) -> dict[str, Any]:
        """Arguments of our producers: own batches, so no linger."""
        return {
            **self.client_options(),
            "acks": "all",
            "linger_ms": 0,
            "retry_backoff_ms": 20,
            "max_batch_size": self.batch_bytes,
            "transaction_timeout_ms": int(self.transaction_timeout_seconds * 1000),
        }


def run_worker(
    settings: WorkerSettings,
    stages: Sequence[Stage],
    *,
    on_start: OnRuntime | None = None,
    on_ready: OnRuntime | None = None,
) -> None:
    """Run until SIGTERM or SIGINT.

    `on_start` is called when the broker has answered, before the group is joined; `on_ready` once, when all partitions
    of the first assignment run. Raises DeliveryError when topics are missing or do not fit together. Ends the process
    with a status above 69 when something fails that the next life must repair.
    """
    check_stages(stages)
    quieten_clients()
    logging.getLogger("faust").setLevel(logging.INFO)
    with _uvloop_policy(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Worker(settings, stages, on_start, on_ready).run())


def check_stages(stages: Sequence[Stage]) -> None:
    """Raise ValueError for stages that cannot run in one worker (our bug)."""
    sources = [source for stage in stages for source in stage.sources]
    if len(set(sources)) != len(sources):
        raise ValueError(f"a topic is the source of one stage only, but the sources are {sources}")
    if wrong := [stage.name for stage in stages if stage.tick_topic not in stage.sources]:
        raise ValueError(f"the tick topic must be a source of its stage, but is not in {wrong}")


@contextlib.contextmanager
def _uvloop_policy() -> Iterator[None]:
    """Faust's consumer makes its thread's loop by the policy."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)


class _App(faust.App):  # type: ignore[misc]  # untyped
    mundane_level = "debug"

    async def on_first_start(self) -> None:
        """Nothing: upstream makes folders for stores, which are not used."""


class _Worker:
    def __init__(
        self, settings: WorkerSettings, stages: Sequence[Stage], on_start: OnRuntime | None, on_ready: OnRuntime | None
    ) -> None:
        self._settings = settings
        self._runtime = Runtime(stages)
        self._on_start = on_start
        self._on_ready = on_ready
        self._was_ready = False
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if not await self._wait_for_broker():
            return
        try:
            await check_stage_topics(self._settings, self._runtime.stages)
            async with self._clients() as (producer, probe):
                lifecycle = self._lifecycle(producer, probe)
                await _call(self._on_start, self._runtime)
                await self._run_app(lifecycle)
        except KafkaError as error:
            fail_stop("the broker went away while the worker started", cause=error)

    async def _wait_for_broker(self) -> bool:
        """Try until a broker answers; False when the worker is to stop before. Raises PolicyError when it lets us not in."""
        said_at, refusals = -10.0, 0
        while not self._stop.is_set():
            try:
                await check_broker(self._settings.broker)
            except PolicyError:
                refusals += 1
                if refusals == SURE_OF_REFUSAL:
                    raise
            except DeliveryError as error:
                refusals = 0
                if time.monotonic() - said_at >= 10:
                    said_at = time.monotonic()
                    log.error("%s; trying again", error)
            else:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.5)
        return False

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[Any, Any]]:
        """A plain producer (ticks; everything when delivery is at least once), and a consumer without a group."""
        producer = aiokafka.AIOKafkaProducer(**self._settings.producer_options())
        probe = aiokafka.AIOKafkaConsumer(**self._settings.client_options(), group_id=None, enable_auto_commit=False)
        try:
            await producer.start()
            await probe.start()
            yield producer, probe
        finally:
            await probe.stop()
            await producer.stop()

    def _lifecycle(self, producer: Any, probe: Any) -> Lifecycle:
        settings, producer_options = self._settings, self._settings.producer_options()
        pulse = Pulse(settings.session_timeout_seconds - settings.effective_heartbeat_seconds)
        if settings.delivery == "at_least_once":
            pulse.start()

        async def ends(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
            found = await probe.end_offsets([aiokafka.TopicPartition(*each) for each in partitions])
            return {TopicPartition(*each): offset for each, offset in found.items()}

        async def send(partition: TopicPartition, value: bytes, key: bytes | None) -> int:
            sent = await producer.send_and_wait(partition.topic, value=value, key=key, partition=partition.partition)
            return int(sent.offset)

        def new_writer(stage: Stage, partition: int) -> Writer:
            if settings.delivery == "at_least_once":
                return AcknowledgedWriter(producer, pulse.check)
            transactional_id = f"{settings.app_id}-{stage.name}-{partition}"
            return TransactionalWriter(transactional_id, producer_options)

        lifecycle = Lifecycle(
            self._runtime,
            Deadlines(ends, send),
            PartitionCounts(producer),
            new_writer,
            settings.client_options(),
            commit_interval_seconds=settings.commit_interval_seconds,
            commits_per_second=settings.commits_per_second,
        )
        lifecycle.on_change = self._after_change
        return lifecycle

    async def _after_change(self) -> None:
        if self._runtime.is_ready and not self._was_ready:
            self._was_ready = True
            await _call(self._on_ready, self._runtime)

    async def _run_app(self, lifecycle: Lifecycle) -> None:
        faulthandler.enable()
        gc.set_threshold(*collector.THRESHOLDS)
        app = make_app(self._settings, self._runtime.stages, lifecycle)
        starting = asyncio.create_task(app.start(), name="start")
        starting.add_done_callback(_end_unless_started)
        await app.wait_for_stopped(self._stop)
        if app.crash_reason is not None:
            fail_stop("the application crashed", cause=app.crash_reason)
        log.info("stops: what was applied becomes durable first")
        try:
            async with asyncio.timeout(LONGEST_STOP_SECONDS):
                await lifecycle.stop_opening()
                await app.stop()
                await lifecycle.close()
        except Exception as error:  # noqa: BLE001  # fail-stop
            fail_stop("did not stop cleanly", cause=error)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        log.info("stopped")


def _end_unless_started(starting: asyncio.Task[None]) -> None:
    """Nobody awaits the start: without this a broker lost in the middle of it left a worker that did nothing for ever."""
    if not starting.cancelled() and (error := starting.exception()) is not None:
        fail_stop("the application did not start", cause=error)


def make_app(settings: WorkerSettings, stages: Sequence[Stage], lifecycle: Lifecycle) -> Any:
    """The Faust application: an agent per stage, no tables (`docs/decisions/stream-own-restore.md`), no web server."""
    app = _App(
        settings.app_id,
        broker=[f"kafka://{address}" for address in str(settings.broker).split(",")],
        loop=asyncio.get_running_loop(),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        agent_supervisor="mode.supervisors.CrashingSupervisor",
        broker_commit_interval=settings.offset_commit_interval_seconds,
        broker_commit_every=100_000_000,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.effective_heartbeat_seconds,
        broker_rebalance_timeout=settings.rebalance_timeout_seconds,
        broker_request_timeout=settings.request_timeout_seconds,
        consumer_group_instance_id=settings.group_instance_id,
        stream_buffer_maxsize=1 << 20,  # never full: `max_outstanding_records` is the bound
        stream_wait_empty=True,
        producer_linger=0,
        producer_max_batch_size=settings.batch_bytes,
        producer_request_timeout=settings.request_timeout_seconds,
    )
    lane = LaneSettings(
        client_options=settings.client_options(),
        consumer_options=settings.consumer_options(),
        security=security_arguments(as_kafka(settings.broker)),
        chunk_records=settings.chunk_records,
        chunk_wait_seconds=settings.chunk_wait_seconds,
        max_outstanding_records=settings.max_outstanding_records,
    )
    app.transport = lane_transport(lifecycle, lane)(app.conf.broker_consumer, app)
    app.producer_transport = app.transport
    for stage in stages:
        schema = LaneSchema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(app.topic(*stage.sources, schema=schema), name=stage.name)(lane_agent(lifecycle, stage.name))
    lifecycle.positions = app.consumer
    return app


async def check_stage_topics(settings: WorkerSettings, stages: Sequence[Stage]) -> None:
    """Raise DeliveryError unless all topics of each stage are there with equal partition counts."""
    client = AIOKafkaAdminClient(**settings.client_options())
    try:
        await client.start()
        found = {each["topic"]: len(each["partitions"]) for each in await client.describe_topics()}
    finally:
        await client.close()
    problems: list[str] = []
    wrong: list[str] = []
    for stage in stages:
        topics = (*stage.sources, stage.table)
        missing = [topic for topic in topics if not found.get(topic)]
        counts = {topic: found[topic] for topic in topics if topic not in missing}
        if missing:
            problems.append(f"topics of stage {stage.name} are missing: {', '.join(missing)}")
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            problems.append(f"topics of stage {stage.name} have different partition counts ({listed})")
            wrong += [topic for topic, count in counts.items() if count != counts[next(iter(counts))]]
    if problems:
        create = f"slastream topics create --broker {settings.broker} --partitions {max(found.values(), default=8)}"
        deletes = [f"kafka-topics.sh --bootstrap-server {settings.broker} --delete --topic {topic}" for topic in wrong]
        lost = " (the records of what is deleted are lost)" if wrong else ""
        raise DeliveryError(f"{'; '.join(problems)}; mend it with: {' && '.join([*deletes, create])}{lost}")


async def _call(function: OnRuntime | None, runtime: Runtime) -> None:
    if function is not None and (waiting := function(runtime)) is not None:
        await waiting
