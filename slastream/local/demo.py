"""A look at everything within a minute: a broker, a worker and a simulated service desk, with what comes out of it.

`--fast` is the same for machines: four tickets whose outcomes are known, and an exit status.
"""

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.live import Live
from rich.text import Text

from slastream.errors import DeliveryError, PolicyError
from slastream.local import desk, up
from slastream.local.up import (
    CONSOLE_LISTEN,
    EXAMPLE_POLICY,
    HOST,
    METRICS,
    Broker,
    StopRequest,
    Worker,
    address_of,
    choose_broker,
    is_address_free,
    say_on_stderr,
)
from slastream.stream.kafka_client import client_arguments

Json = dict[str, Any]

SEED = 7
FAST_LIMIT_SECONDS = 25.0
TOPICS = ("sla.verdicts", "sla.breaches")
_STYLES = {"met": "green", "breached": "bold red", "met_late": "magenta", "warned": "yellow", "paused": "cyan"}


def run_demo(fast: bool, broker: str, has_worker: bool = True) -> int:
    """Run until Ctrl-C or SIGTERM; with `fast` until its tickets are through: then 1 says that an outcome lacks.

    Without a worker of its own there must be one at the broker, with a policy of its own. Raises DeliveryError and PolicyError.
    """
    console = Console(highlight=False, soft_wrap=True)
    stop = StopRequest()
    with (
        stop.caught(),
        tempfile.TemporaryDirectory(prefix="slastream-demo-", ignore_cleanup_errors=True) as folder,
        choose_broker(broker, Path(folder, "kafka"), port=0, allows_memory=True, say=say_on_stderr) as chosen,
    ):
        if chosen.kind == "configured":
            asyncio.run(_refuse_tickets_of_others(chosen))
        with contextlib.ExitStack() as children:
            worker = children.enter_context(_worker(chosen, Path(folder, "worker.log"))) if has_worker else None
            pages = None
            if worker is not None and not fast:
                pages = _free_address("SLASTREAM_CONSOLE_LISTEN", CONSOLE_LISTEN)
                children.enter_context(
                    up.console(EXAMPLE_POLICY, chosen, pages, Path(folder, "console.log"), say_on_stderr)
                )
            if worker is not None:
                worker.wait_until_ready(stop)
            stop.started()
            demo = Demo(chosen, worker, stop, console, pages)
            try:
                return asyncio.run(demo.run_fast() if fast else demo.run())
            except KafkaError as error:
                raise DeliveryError(f"Kafka at {chosen.address} failed: {error!r}") from error


def _worker(broker: Broker, log: Path) -> Worker:
    return Worker(EXAMPLE_POLICY, broker, _free_address("SLASTREAM_METRICS", METRICS), log, say_on_stderr)


class Demo:
    """The desk's events in, verdicts and facts out, on a broker and a worker that run; None: somebody else's."""

    def __init__(
        self, broker: Broker, worker: Worker | None, stop: StopRequest, console: Console, pages: str | None = None
    ) -> None:
        """`pages` is the address of the console in a browser."""
        self._pages = pages
        self._broker = broker
        self._worker = worker
        self._stop = stop
        self._console = console
        self._board = Board()

    async def run(self) -> int:
        start = datetime.now(UTC)
        self._introduce()
        async with self._clients() as (producer, consumer):
            with Live(console=self._console, refresh_per_second=4, transient=True) as live:
                tasks = [
                    asyncio.create_task(self._send(producer, desk.events(SEED, start))),
                    asyncio.create_task(self._read(consumer)),
                ]
                await self._supervise(tasks, lambda: live.update(self._footer()), lambda: self._stop.event.is_set())
        self._console.print(self._board.summary())
        return 0

    async def run_fast(self) -> int:
        start = datetime.now(UTC)
        delayed = list(desk.fixed_events(start))
        numbers = sorted({event["ticket_id"] for _, event in delayed})
        wanted = {(numbers[number], promise, word) for number, promise, word in desk.FIXED_OUTCOMES}
        limit = time.monotonic() + FAST_LIMIT_SECONDS

        def is_over() -> bool:
            return wanted <= self._board.outcomes or self._stop.event.is_set() or time.monotonic() > limit

        async with self._clients() as (producer, consumer):
            tasks = [
                asyncio.create_task(self._send(producer, iter(delayed))),
                asyncio.create_task(self._read(consumer)),
            ]
            await self._supervise(tasks, lambda: None, is_over)
        lacking = sorted(wanted - self._board.outcomes)
        self._console.print(self._board.summary())
        for outcome in lacking:
            self._console.print(f"not seen: {' '.join(outcome)}")
        self._console.print(f"{len(wanted) - len(lacking)} of {len(wanted)} expected outcomes seen")
        return 1 if lacking else 0

    @contextlib.asynccontextmanager
    async def _clients(self) -> Any:
        """A producer, and a consumer of what will come out from now on."""
        producer = AIOKafkaProducer(**client_arguments(self._broker.client), acks="all")
        consumer = AIOKafkaConsumer(
            **client_arguments(self._broker.client), isolation_level="read_committed", fetch_max_wait_ms=50
        )
        try:
            await producer.start()
            await consumer.start()
            partitions = [
                TopicPartition(topic, number)
                for topic in TOPICS
                for number in sorted(await producer.partitions_for(topic))
            ]
            consumer.assign(partitions)
            await consumer.seek_to_end(*partitions)
            yield producer, consumer
        finally:
            await consumer.stop()
            await producer.stop()

    async def _send(self, producer: Any, delayed: Iterator[desk.Delayed]) -> None:
        """Each event at its instant, never before: the worker refuses what lies in the future."""
        for _, event in delayed:
            at = datetime.fromisoformat(event["occurred_at"])
            await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
            self._console.print(self._board.desk_line(event))
            await producer.send_and_wait("sla.tickets", orjson.dumps(event), key=event["ticket_id"].encode())

    async def _read(self, consumer: Any) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                messages = (orjson.loads(record.value) for record in records if record.value)
                for line in self._board.take(m for m in messages if "ticket_id" in m):  # the rest are ticks
                    self._console.print(line)

    async def _supervise(self, tasks: list[asyncio.Task[None]], show: Any, is_over: Any) -> None:
        """Until it is over; what goes wrong in a task goes wrong here."""
        try:
            while not is_over():
                for task in tasks:
                    if task.done():
                        task.result()
                self._broker.supervise(say_on_stderr)
                if self._worker is not None:
                    self._worker.supervise()
                show()
                await asyncio.sleep(0.1)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _footer(self) -> Text:
        pages = "" if self._pages is None else f"   http://{self._pages}"
        return self._board.summary().append(f"{pages}   Ctrl-C stops", "dim")

    def _introduce(self) -> None:
        address = self._broker.address
        if self._worker is None:
            self._console.print(f"A service desk opens at {address}; Ctrl-C stops it.")
            return
        self._console.print(
            f"""
A service desk opens; slastream keeps its promises' clocks. They are short: a P1 is to be answered within 6 s and
resolved within 15 s, a P3 within 20 s and 60 s. Quiet at first, then a storm, then recovery.

  console     http://{self._pages}
  metrics     http://{self._worker.metrics}/metrics
  topics      kcat -b {address} -t sla.breaches      (tickets in: sla.tickets; every clock: sla.verdicts)
  dashboards  grafana/dashboards in the source; `docker compose up` shows them on http://127.0.0.1:3000
  the policy  {EXAMPLE_POLICY}
  your own    slastream up --policy POLICY           (examples/policy.yaml is one to begin with)
  Ctrl-C      stops it all and leaves nothing behind
"""
        )


class Board:
    """What is known of every clock, and the line that says what is new."""

    def __init__(self) -> None:
        self.outcomes: set[tuple[str, str, str]] = set()
        self._clocks: dict[tuple[str, str, int], Json] = {}
        self._tickets: dict[str, tuple[str, str]] = {}

    def desk_line(self, event: Json) -> Text:
        """What happens at the desk."""
        changes = event["ticket"]
        service, priority = self._tickets.get(event["ticket_id"], ("", ""))
        service, priority = changes.get("service", service), changes.get("priority", priority)
        self._tickets[event["ticket_id"]] = service, priority
        return _line(event["occurred_at"], event["ticket_id"], service, priority, desk.describe(event), "dim")

    def take(self, messages: Iterable[Json]) -> Iterator[Text]:
        """Lines for what the stream says; one for the clocks of a ticket that begin together."""
        begun: list[Json] = []
        for message in messages:
            if begun and begun[0]["ticket_id"] != message["ticket_id"]:
                yield _begun_line(begun)
                begun = []
            self._note(message)
            if message["kind"] == "fact":
                yield _fact_line(message)
                continue
            clock = message["ticket_id"], message["promise"], message["cycle"]
            before = self._clocks.get(clock)
            self._clocks[clock] = message
            if before is None and message["status"] == "running":
                begun.append(message)
            elif (line := _verdict_line(before, message)) is not None:
                yield line
        if begun:
            yield _begun_line(begun)

    def summary(self) -> Text:
        """Counts of clocks."""
        counts = Counter(clock["status"] for clock in self._clocks.values())
        late = sum(clock["status"] == "breached" and clock["stopped_at"] is None for clock in self._clocks.values())
        at_risk = sum(clock["is_at_risk"] and clock["status"] == "running" for clock in self._clocks.values())
        warned = sum(word == "warned" for _, _, word in self.outcomes)
        return Text.assemble(
            (f"{counts['running']} running", "bold"), f" ({at_risk} at risk)  ",
            (f"{counts['paused']} paused", "cyan"), "  ",
            (f"{warned} warned", "yellow"), "  ",
            (f"{counts['met']} met", "green"), "  ",
            (f"{counts['breached']} breached", "bold red"), f" ({late} still open)",
        )  # fmt: skip

    def _note(self, message: Json) -> None:
        self.outcomes.add((message["ticket_id"], message["promise"], message.get("fact") or message["status"]))


def _begun_line(clocks: list[Json]) -> Text:
    text = ", ".join(f"{clock['promise']} due {_clock_time(clock['due_at'])}" for clock in clocks)
    first = clocks[0]
    return _line(
        first["started_at"], first["ticket_id"], first["service"], first["priority"], f"RUNNING  {text}", "bold"
    )


def _fact_line(fact: Json) -> Text:
    word = fact["fact"]
    after = {"warned": f" {fact['threshold']} of the time is used", "retracted": " (an earlier line is taken back)"}
    text = f"{word.upper().replace('_', ' ')}{after.get(word, '')}  {fact['promise']}"
    return _line(fact["at"], fact["ticket_id"], fact["service"], fact["priority"], text, _STYLES.get(word, ""))


def _verdict_line(before: Json | None, clock: Json) -> Text | None:
    """None when nothing is new that a fact does not tell."""
    status, promise = clock["status"], clock["promise"]
    if before is not None and before["status"] == status and before["due_at"] == clock["due_at"]:
        return None
    if status == "running" and _instant(clock["due_at"]) <= _instant(clock["as_of"]):
        return None  # a new target that has passed already: the fact that follows says so
    match status:
        case "running":
            text = f"RUNNING  {promise}, now due {_clock_time(clock['due_at'])}"
        case "paused":
            text = f"PAUSED  {promise}, {clock['remaining_seconds']:.1f} s remain"
        case "met":
            text = f"MET  {promise} in {clock['elapsed_seconds']:.1f} s of {clock['target_seconds']:.0f} s"
        case "cancelled":
            text = f"CANCELLED  {promise} ({clock['cancel_reason'].replace('_', ' ')})"
        case _:
            return None
    at = clock["stopped_at"] or clock["as_of"]
    return _line(at, clock["ticket_id"], clock["service"], clock["priority"], text, _STYLES.get(status, ""))


def _line(at: str, ticket_id: str, service: str | None, priority: str | None, text: str, style: str) -> Text:
    return Text.assemble(
        (_clock_time(at), "dim"), f"  {ticket_id:<10} {service or '-':<9} {priority or '-':<3} ", (text, style)
    )


def _clock_time(at: str) -> str:
    return _instant(at).astimezone().strftime("%H:%M:%S")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def _refuse_tickets_of_others(broker: Broker) -> None:
    """A broker that is only configured may be the one at work: nobody's tickets get the policy of the demo."""
    consumer = AIOKafkaConsumer(**client_arguments(broker.client))
    await consumer.start()
    try:
        partitions = [TopicPartition("sla.tickets", number) for number in consumer.partitions_for_topic("sla.tickets")]
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    if begins != ends:
        raise PolicyError(
            f"SLASTREAM_BROKER is {broker.address}, which already has tickets, and the demo brings a policy and tickets of its "
            f"own: empty SLASTREAM_BROKER for a Kafka of the demo's own, or insist with --broker {broker.address}"
        )


def _free_address(variable: str, default: str) -> str:
    """Where something is expected; a demo beside something that has this port takes another."""
    address = address_of(variable, default)
    if is_address_free(address):
        return address
    first = int(default.rpartition(":")[2]) + 1
    return next(f"{HOST}:{port}" for port in range(first, first + 100) if is_address_free(f"{HOST}:{port}"))
