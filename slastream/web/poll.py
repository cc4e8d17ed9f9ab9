"""`slastream poll`: asks one REST source again and again, and writes what is new to Kafka.

At least once: the state (cursor, and ids of the last round) is written after Kafka has acknowledged, so that a crash in between
sends some events again; they have the same ids, and the workers count them once. Without its state everything is sent again.
"""

import asyncio
import base64
import contextlib
import logging
import os
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

import aiohttp
import orjson

from slastream.core.events import MaintenanceEvent, MonitoringEvent, Tick, TicketEvent
from slastream.errors import DeliveryError, EventError, PolicyError, SnapshotError
from slastream.ingest.adapter_options import read_options
from slastream.ingest.adapters import AdapterOptions, adapter
from slastream.ingest.mapping import Mapping, compile_mapping
from slastream.stream.kafka_client import Broker, check_broker
from slastream.web.backoff import backoff_seconds
from slastream.web.event_log import EventLog, entry_of
from slastream.web.poll_file import CURSOR, PollFile, read_poll_file
from slastream.wire.events import decode_event

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 2.0, 600.0
MOST_PAGES = 1000
MOST_ANSWER_BYTES = 64 * 1024 * 1024
ANSWER_SECONDS = 30.0
BATCH = 1000
Event = TicketEvent | MonitoringEvent | MaintenanceEvent
ABSENT: Any = type("Absent", (), {})()


class State(NamedTuple):
    """What is kept between rounds: the cursor, and the ids of the events of the last round."""

    cursor: str | None
    seen: frozenset[str]


class SourceError(DeliveryError):
    """The source did not answer as it should; `retry_after_seconds` is what it said itself."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Round(NamedTuple):
    """What one round found: events, what was refused (in words), and the state after it."""

    events: list[Event]
    refused: list[str]
    state: State


def run_poll(config: str, broker: Broker | None, *, is_once: bool) -> tuple[list[Event], int]:
    """Poll until SIGTERM, or once; events of the only round and how many records were refused.

    Without a `broker` nothing is written, and no state kept. Raises PolicyError and DeliveryError.
    """
    poller = load_poller(config)
    return asyncio.run(_once(poller, broker) if is_once or broker is None else _for_ever(poller, broker))


def load_poller(config: str) -> "Poller":
    """Raises PolicyError for a configuration, mapping, state or credentials that cannot be used."""
    path = Path(config)
    file = read_poll_file(config, _read(path), lambda name: (path.parent / name).read_bytes())
    return Poller(file, path.parent)


class Poller:
    """One source; `round` asks it once."""

    def __init__(self, file: PollFile, folder: Path) -> None:
        self.file = file
        self._state_path = folder / file.state
        self._mapping: Mapping | None = None
        if file.mapping is not None:
            self._mapping = compile_mapping(_read(folder / file.mapping), str(folder / file.mapping))
        if file.adapter is not None:
            self._adapter = adapter(file.adapter)
            options = AdapterOptions()
            if file.options is not None:
                options = read_options(_read(folder / file.options), self._adapter, str(folder / file.options))
            self._options = replace(options, source=options.source or file.name)
        self._tls: ssl.SSLContext | bool = True
        if file.ca_file is not None:
            try:
                self._tls = ssl.create_default_context(cafile=str(folder / file.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise PolicyError(f"ca_file: {file.ca_file} cannot be used: {error}; name a PEM file") from None

    async def round(self, state: State) -> Round:
        """Raises SourceError; PolicyError for a mapping that does not fit the records."""
        records = [record async for record in self._records(state.cursor)]
        refused: list[str] = []
        ids: set[str] = set()
        events: list[Event] = []
        for line in self._lines(records, refused):
            event = decode_event(line)
            assert not isinstance(event, Tick)
            if event.event_id not in ids and event.event_id not in state.seen:
                events.append(event)
            ids.add(event.event_id)
        return Round(events, refused, State(self._newest(records, state.cursor), frozenset(ids)))

    def load_state(self) -> State:
        """Raises SnapshotError for a file that is none of ours."""
        try:
            found = orjson.loads(self._state_path.read_bytes())
            return State(found["cursor"], frozenset(found["seen"]))
        except FileNotFoundError:
            return State(None, frozenset())
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise SnapshotError(
                f"{self._state_path}: is no state of poll: {error!r}; delete it, and everything is sent again (harmless)"
            ) from None

    def keep_state(self, state: State) -> None:
        """Durable when it returns, whole whatever happens."""
        document = orjson.dumps({"cursor": state.cursor, "seen": sorted(state.seen)})
        beside = self._state_path.with_name(self._state_path.name + ".new")
        try:
            with beside.open("wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._state_path)
        except OSError as error:
            raise DeliveryError(f"state: {self._state_path} cannot be written: {error}") from None

    # ---- the source

    async def _records(self, cursor: str | None) -> AsyncIterator[Any]:
        file = self.file
        url = file.url
        if file.cursor is not None:
            url = url.replace(CURSOR, quote(file.cursor.start if cursor is None else cursor, safe=""))
        headers = {"Accept": "application/json", **file.headers}
        if file.bearer:
            headers["Authorization"] = f"Bearer {file.bearer}"
        if file.basic:
            headers["Authorization"] = "Basic " + base64.b64encode(file.basic.encode()).decode()
        limit = aiohttp.ClientTimeout(total=file.timeout_seconds)
        async with aiohttp.ClientSession(headers=headers, timeout=limit) as session:
            for number in range(1, MOST_PAGES + 1):
                document, link = await self._page(session, _with(url, file.page, number) if file.page else url)
                found = _at(document, file.records)
                if not isinstance(found, list):
                    raise SourceError(f"{file.name}: there is no list at {file.records or '$'} of the answer")
                for record in found:
                    yield record
                following = link if file.next == "link" else _at(document, file.next) if file.next else None
                if (file.page and not found) or (not file.page and not isinstance(following, str)):
                    return
                if isinstance(following, str) and following:
                    url = self._same_origin(urljoin(url, following))
                elif not file.page:
                    return
        raise SourceError(f"{file.name}: more than {MOST_PAGES} pages; ask for less at once")

    async def _page(self, session: aiohttp.ClientSession, url: str) -> tuple[Any, str | None]:
        name = self.file.name
        try:
            async with session.get(url, ssl=self._tls, allow_redirects=False) as answer:
                if answer.status != 200:
                    after = answer.headers.get("Retry-After", "")
                    raise SourceError(
                        f"{name}: the source answers {answer.status} {answer.reason}; see its own log",
                        float(after) if after.isascii() and after.isdigit() else None,
                    )
                body = await answer.content.read(MOST_ANSWER_BYTES + 1)
                while len(body) <= MOST_ANSWER_BYTES and (more := await answer.content.read(MOST_ANSWER_BYTES)):
                    body += more
                following = answer.links.get("next")
        except TimeoutError:
            raise SourceError(f"{name}: the source does not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise SourceError(f"{name}: the source does not answer: {error}") from None
        if len(body) > MOST_ANSWER_BYTES:
            raise SourceError(f"{name}: an answer has more than {MOST_ANSWER_BYTES} bytes; ask for less at once")
        try:
            return orjson.loads(body), None if following is None else str(following["url"])
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{name}: the answer is no JSON: {error}") from None

    def _same_origin(self, url: str) -> str:
        """Credentials go nowhere else."""
        if urlsplit(url)[:2] != urlsplit(self.file.url)[:2]:
            raise SourceError(f"{self.file.name}: the next page is on another host; it is not followed")
        return url

    # ---- records to events

    def _lines(self, records: Sequence[Any], refused: list[str]) -> Iterator[bytes]:
        """Events of the records; what is none goes to `refused` in words."""
        if self._mapping is None:
            for number, record in enumerate(records):
                found = self._adapter.events(orjson.dumps(record), {}, self._options)
                refused += [
                    f"{self.file.name}: record {number}: {one.path}: {one.reason}: {one.message}"
                    for one in found.refused
                ]
                yield from (orjson.dumps(one) for one in found.events)
            return
        if not records:
            return
        with tempfile.TemporaryDirectory(prefix="slastream-poll-") as folder:
            rows = Path(folder) / f"{self.file.name.replace('/', '_')}.jsonl"
            rows.write_bytes(b"\n".join(map(orjson.dumps, records)))
            for line in self._mapping.run([str(rows)], lambda one: refused.append(str(one).removeprefix(f"{folder}/"))):
                try:
                    decode_event(line)
                except EventError as error:
                    refused.append(f"{self.file.name}: {error.path}: {error.reason}: {error}")
                else:
                    yield line

    def _newest(self, records: Sequence[Any], cursor: str | None) -> str | None:
        """The highest value of the cursor's column: numbers by value, other values as text."""
        if self.file.cursor is None:
            return None
        values = [_at(record, self.file.cursor.column) for record in records]
        texts = [str(value) for value in values if isinstance(value, str | int | float)]
        return max([*texts, *([] if cursor is None else [cursor])], key=_order, default=None)


def _order(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _at(document: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        if not isinstance(document, dict) or name not in document:
            return ABSENT
        document = document[name]
    return document


def _with(url: str, parameter: str, number: int) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode({parameter: number}))))
    return urlunsplit(parts._replace(query=query))


# ---- rounds


async def _once(poller: Poller, broker: Broker | None) -> tuple[list[Event], int]:
    """One round; without a broker it only shows what there is."""
    if broker is not None:
        await check_broker(broker)
    state = State(None, frozenset()) if broker is None else poller.load_state()
    found = await poller.round(state)
    for each in found.refused:
        log.error("refused: %s", each)
    if broker is not None:
        event_log = EventLog(broker, ANSWER_SECONDS)
        async with _connected(event_log):
            await event_log.until_ready()
            await _write(event_log, found.events)
        poller.keep_state(found.state)
    return found.events, len(found.refused)


async def _for_ever(poller: Poller, broker: Broker) -> tuple[list[Event], int]:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.suppress(DeliveryError):  # it may come later
        await check_broker(broker)
    state, failures = poller.load_state(), 0
    event_log = EventLog(broker, ANSWER_SECONDS)
    async with _connected(event_log):
        while not stop.is_set():
            wait = poller.file.interval_seconds
            try:
                found = await poller.round(state)
                for each in found.refused:
                    log.error("refused: %s", each)
                await _write(event_log, found.events)
                poller.keep_state(found.state)
                log.info(
                    "%s: %d events written, %d records refused", poller.file.name, len(found.events), len(found.refused)
                )
                state, failures = found.state, 0
            except (DeliveryError, PolicyError) as error:
                failures += 1
                said = getattr(error, "retry_after_seconds", None)
                wait = max(said or 0.0, backoff_seconds(failures, FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))
                log.error("%s; again in %.0f s", error, wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
    return [], 0


@contextlib.asynccontextmanager
async def _connected(event_log: EventLog) -> AsyncIterator[None]:
    writing = asyncio.create_task(event_log.run(), name="write to Kafka")
    try:
        yield
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


async def _write(event_log: EventLog, events: Sequence[Event]) -> None:
    for start in range(0, len(events), BATCH):
        await event_log.append([entry_of(event) for event in events[start : start + BATCH]])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from None
