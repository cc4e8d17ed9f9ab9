"""The gateway: other systems' requests become events in Kafka, and are answered 202 when Kafka has acknowledged them.

A request passes, in this order: route, sources that may be meant, bearer token, rate, body within its limits, signature,
records one by one, Kafka. Each step knows its answer; nothing is kept of a request that did not come to its end.
"""

import asyncio
import contextlib
import logging
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web

from slastream.core.events import Event
from slastream.core.units import SECOND, Instant
from slastream.errors import EventError
from slastream.export.exposition import OPENMETRICS, content_type
from slastream.ingest.adapters import Adapter, AdapterOptions
from slastream.ingest.adapting import Place
from slastream.ingest.signatures import STANDARD_WEBHOOKS
from slastream.stream.failure import RepeatedLines
from slastream.web.bodies import Refusal, TooLargeError, events_in, unpacked
from slastream.web.credentials import Bucket, Failures, bearing, why_none_signed
from slastream.web.event_log import REJECTED, Entry, EventLog, UnavailableError, entry_of
from slastream.web.gateway_file import NATIVE, Limits, Source
from slastream.web.gateway_metrics import GatewayMetrics
from slastream.web.places import Places
from slastream.wire.events import decode_event

log = logging.getLogger(__name__)

EVENTS_PATH, HOOKS_PATH = "/v1/events", "/v1/hooks/"
MAX_ORIGINAL_BYTES = 2 * 1024 * 1024
JSON = MappingProxyType({"Content-Type": "application/json"})


class Refused(Exception):  # noqa: N818  # an answer, not an error of ours
    """The request gets this status and no event of it is taken."""

    def __init__(
        self, status: int, reason: str, message: str, path: str = "$", retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = HTTPStatus(status)
        self.reason = reason
        self.path = path
        self.retry_after_seconds = retry_after_seconds
        self.source = ""


@dataclass(slots=True)
class Intake:
    """A source with what it needs at work: its adapter (None: the contract's own events), options and rate."""

    source: Source
    adapter: Adapter | None
    options: AdapterOptions
    bucket: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.source.requests_per_second)


@dataclass(slots=True)
class Records:
    """What a body holds."""

    events: list[tuple[int, Event]]
    refused: list[Refusal]
    ignored: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)


class Gateway:
    """Answers requests; `handle` is the handler of an aiohttp server."""

    def __init__(
        self, intakes: Sequence[Intake], limits: Limits, event_log: EventLog, places: Places, *, shows_metrics: bool
    ) -> None:
        self.metrics = GatewayMetrics(event_log)
        self._log = event_log
        self._places = places
        self._limits = limits
        self._shows_metrics = shows_metrics
        self._strangers = _filtered(f"{__name__}.strangers", RepeatedLines())  # a stranger must not fill the disk
        self._failures = Failures(limits.failures_per_second)
        self._body_bytes = 0
        self._under_way = 0
        self._is_draining = False
        self._is_idle = asyncio.Event()
        self._by_adapter: dict[str, list[Source]] = defaultdict(list)
        self._intakes = {each.source.name: each for each in intakes}
        for each in intakes:
            self._by_adapter[each.source.adapter].append(each.source)
            each.options = replace(each.options, places=places.of(each.source.name))

    @property
    def why_unavailable(self) -> str | None:
        """None while requests are taken."""
        return self._log.why_unavailable or self._places.why_behind

    @property
    def is_ready(self) -> bool:
        """Whether Kafka takes events, and recoveries find their problems."""
        return self.why_unavailable is None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers a request, whatever comes."""
        self._under_way += 1
        try:
            response = await self._answered(request)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._is_idle.set()
        if self._is_draining:
            response.force_close()
        return response

    async def drain(self, limit_seconds: float) -> None:
        """Return when nothing is under way any more, or after the limit. Connections that stay open get one answer more."""
        self._is_draining = True
        end = time.monotonic() + limit_seconds
        while self._under_way and (left := end - time.monotonic()) > 0:
            self._is_idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), left)

    async def _answered(self, request: web.BaseRequest) -> web.Response:
        """What fails for reasons of ours is a 500 and a line in the log."""
        started = time.monotonic()
        source, route = "", "unknown"
        try:
            route, adapter = self._route(request)
            if adapter is None:
                return await self._own(request, route)
            source, answer = await self._take(request, adapter)
            is_taken = bool(answer["ids"]) or not answer["rejected"]
            response = _response(HTTPStatus.ACCEPTED if is_taken else HTTPStatus.BAD_REQUEST, answer)
            if is_taken:
                self.metrics.observe(time.monotonic() - started)
        except Refused as refused:
            source = refused.source
            response = _refusal(refused)
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s failed", route)
            response = _refusal(Refused(500, "internal", "the gateway failed; its log says why"))
        self.metrics.requests[source, str(response.status)] += 1
        if response.status >= HTTPStatus.BAD_REQUEST:
            response.force_close()
        taken_ms = (time.monotonic() - started) * 1000
        log.info("%s %s %s %d %.1f ms", request.remote, source or "-", route, response.status, taken_ms)
        return response

    def _route(self, request: web.BaseRequest) -> tuple[str, str | None]:
        """The route as the log shows it (never a path as it came: secrets are pasted there), and whose adapter it is."""
        path = request.path
        if path in ("/healthz", "/readyz") or (path == "/metrics" and self._shows_metrics):
            route, adapter, method = path, None, "GET"
        elif path == EVENTS_PATH and NATIVE in self._by_adapter:
            route, adapter, method = path, NATIVE, "POST"
        elif path.startswith(HOOKS_PATH) and path[len(HOOKS_PATH) :] in self._by_adapter:
            route, adapter, method = path, path[len(HOOKS_PATH) :], "POST"
        else:
            known = ", ".join(f"{HOOKS_PATH}{name}" for name in sorted(self._by_adapter) if name != NATIVE)
            raise Refused(404, "unknown_path", f"nothing is there; there are {EVENTS_PATH}, {known}")
        if request.method != method and not (method == "GET" and request.method == "HEAD"):
            raise Refused(405, "wrong_method", f"{request.method[:10]} is not taken there; use {method}")
        return route, adapter

    async def _own(self, request: web.BaseRequest, route: str) -> web.Response:
        if route == "/metrics":
            kind = content_type(request.headers.get("Accept", ""))
            return web.Response(body=self.metrics.text(kind == OPENMETRICS), headers={"Content-Type": kind})
        if route == "/readyz" and (why := self.why_unavailable) is not None:
            return web.Response(status=503, text=f"not ready: {why}\n")
        return web.Response(text="alive\n" if route == "/healthz" else "ready\n")

    # ---- events

    async def _take(self, request: web.BaseRequest, adapter: str) -> tuple[str, dict[str, Any]]:
        """The name of the source and the answer. Raises Refused, with `source` when it is known."""
        sources = self._meant(request, adapter)
        body = await self._body(request)
        self._body_bytes += len(body)
        try:
            intake = self._genuine(request, sources, body)
            try:
                return intake.source.name, await self._accept(request, intake, body)
            except Refused as refused:
                refused.source = intake.source.name
                raise
        finally:
            self._body_bytes -= len(body)

    def _meant(self, request: web.BaseRequest, adapter: str) -> list[Source]:
        """The sources that the path, the query and the bearer token leave, before the body is read."""
        sources = self._by_adapter[adapter]
        if (name := request.query.get("source")) is not None:
            sources = [one for one in sources if one.name == name]
            if not sources:
                raise Refused(
                    404, "unknown_source", f"{adapter} has no source of that name; name one of the configuration"
                )
        if self.why_unavailable is not None:
            raise Refused(503, "unavailable", "Kafka does not answer; send it again", retry_after_seconds=2)
        found = bearing(sources, request.headers.get("Authorization", ""))
        if not found:
            raise self._unauthenticated(request, "no bearer token of a source")
        if "Origin" in request.headers and not all(one.is_authenticated for one in found):
            raise Refused(403, "browser", "pages of a browser may not send here; give the source a bearer token")
        return found

    def _genuine(self, request: web.BaseRequest, sources: Sequence[Source], body: bytes) -> Intake:
        adapter = self._intakes[sources[0].name].adapter
        signatures = (STANDARD_WEBHOOKS,) if adapter is None else adapter.signatures
        now = Instant(int(time.time() * SECOND))
        source, why = why_none_signed(sources, signatures, body, request.headers, now)
        if source is None:
            raise self._unauthenticated(request, why)
        intake = self._intakes[source.name]
        if not intake.bucket.take(time.monotonic()):
            message = f"more than {source.requests_per_second} requests a second; send fewer, with more events each"
            refused = Refused(429, "too_many_requests", message, retry_after_seconds=1)
            refused.source = source.name
            raise refused
        return intake

    def _unauthenticated(self, request: web.BaseRequest, why: str) -> Refused:
        address = request.remote or ""
        self._strangers.warning("not authenticated: %s: %s", address, why)
        if not self._failures.note(address, time.monotonic()):
            return Refused(429, "too_many_requests", "too many attempts that failed", retry_after_seconds=10)
        return Refused(
            401, "not_authenticated", "neither a token nor a signature of a source came along, or it is too old"
        )

    async def _body(self, request: web.BaseRequest) -> bytes:
        """All of it, in time. Raises Refused."""
        limits = self._limits
        if (request.content_length or 0) > limits.body_bytes:
            raise _too_large(limits)
        if self._body_bytes > limits.all_bodies_bytes:
            raise Refused(503, "busy", "too much is being received; send it again", retry_after_seconds=1)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                while piece := await request.content.readany():
                    pieces.append(piece)
                    size += len(piece)
                    if size > limits.body_bytes:
                        raise _too_large(limits)
        except TimeoutError:
            raise Refused(408, "too_slow", f"the body did not come within {limits.body_seconds} s") from None
        except web.RequestPayloadError:
            raise Refused(400, "not_json", "the body ended too early, or is framed wrongly") from None
        return b"".join(pieces)

    async def _accept(self, request: web.BaseRequest, intake: Intake, body: bytes) -> dict[str, Any]:
        """The answer, after Kafka has acknowledged the events and the refused records."""
        name = intake.source.name
        records = self._records(request, intake, body)
        entries = [entry_of(event) for _, event in records.events]
        refusals = [_rejected(each, intake.source) for each in records.refused]
        try:
            await self._log.append([*entries, *refusals, *self._places.kept(name, records.places)])
        except UnavailableError as error:
            raise Refused(503, "unavailable", str(error), retry_after_seconds=error.retry_after_seconds) from None
        for entry in entries:
            self.metrics.accepted[name, entry.topic] += 1
        for each in records.refused:
            self.metrics.rejected[name, each.reason] += 1
        for reason, count in records.ignored.items():
            self.metrics.ignored[name, reason] += count
        return _answer(records)

    def _records(self, request: web.BaseRequest, intake: Intake, body: bytes) -> Records:
        limits = self._limits
        try:
            encoding = request.headers.get("Content-Encoding", "").strip().lower()
            content = unpacked(body, encoding, limits.body_bytes)
            if intake.adapter is not None:
                return _translated(intake, intake.adapter, content, request.headers)
            return _own_events(content, request.content_type, limits.batch_events)
        except TooLargeError:
            raise _too_large(limits) from None
        except EventError as error:
            return Records([], [Refusal(0, error.reason, error.path, str(error), body)])


def _own_events(content: bytes, content_type: str, limit: int) -> Records:
    """The contract's own events; ticks among them are refused."""
    events, refused = events_in(content, content_type, limit)
    taken = []
    for index, event in events:
        try:
            entry_of(event)
        except EventError as error:
            refused.append(Refusal(index, error.reason, error.path, str(error)))
        else:
            taken.append((index, event))
    return Records(taken, sorted(refused))


def _translated(intake: Intake, adapter: Adapter, content: bytes, headers: Mapping[str, str]) -> Records:
    """What an adapter makes of a payload."""
    found = adapter.events(content, headers, intake.options)
    events = [(n, decode_event(orjson.dumps(one))) for n, one in zip(found.records, found.events, strict=True)]
    refused = [  # the bytes once: a payload of thousands of bad records would else be kept thousands of times
        Refusal(one.record, one.reason, one.path, one.message, None if number else content)
        for number, one in enumerate(found.refused)
    ]
    return Records(events, refused, found.ignored, found.lost, found.places)


def _answer(records: Records) -> dict[str, Any]:
    rejected = [
        {"index": each.number, "reason": each.reason, "path": each.path, "message": each.message}
        for each in records.refused
    ]
    answer: dict[str, Any] = {"ids": [_id(event) for _, event in records.events], "rejected": rejected}
    if records.ignored:
        answer["ignored"] = dict(records.ignored)
    if records.lost:
        answer["lost"] = records.lost
    if rejected and not records.events:
        answer |= {name: rejected[0][name] for name in ("reason", "path", "message")}
    return answer


def _id(event: Event) -> str:
    return str(getattr(event, "event_id"))  # noqa: B009  # a tick, which has none, is not among them


def _rejected(refusal: Refusal, source: Source) -> Entry:
    """The record of `sla.rejected`; of what is very large the bytes are left out."""
    original, message = refusal.original, refusal.message
    if original is not None and (size := len(original)) > MAX_ORIGINAL_BYTES:
        original, message = None, f"{message} (its {size} bytes are left out)"
    line = {
        "kind": "rejected",
        "reason": refusal.reason,
        "path": refusal.path,
        "message": message,
        "original": None if original is None else b64encode(original).decode(),
        "origin": {"gateway": source.name, "adapter": source.adapter, "record": refusal.number},
    }
    return Entry(REJECTED, f"gateway-{source.name}".encode(), orjson.dumps(line))


def _too_large(limits: Limits) -> Refused:
    return Refused(
        413,
        "too_large",
        f"more than {limits.body_bytes} bytes or {limits.batch_events} events; send it in several requests",
    )


def _refusal(refused: Refused) -> web.Response:
    body = {"reason": refused.reason, "path": refused.path, "message": str(refused), "ids": [], "rejected": []}
    response = _response(refused.status, body)
    if refused.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refused.retry_after_seconds)
    if refused.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _response(status: HTTPStatus, body: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), headers=JSON)


class GatewayServer(web.Server):
    """Takes no more connections than allowed; those beyond are closed at once."""

    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._most = limits.connections
        super().__init__(
            gateway.handle,
            access_log=None,
            logger=_filtered(f"{__name__}.http", _WithoutDetails()),
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            keepalive_timeout=float(limits.body_seconds),
            lingering_time=2.0,
        )

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """As aiohttp's, within the limit."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._most:
            transport.abort()


class _WithoutDetails(logging.Filter):
    """aiohttp puts the header that it could not read into its message: there may be a secret in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True


def _filtered(name: str, by: logging.Filter) -> logging.Logger:
    """The logger with one filter, however often it is asked for."""
    logger = logging.getLogger(name)
    if not logger.filters:
        logger.addFilter(by)
    return logger


async def serve(gateway: Gateway, host: str, port: int, tls: Any, limits: Limits, stop: asyncio.Event) -> None:
    """Answer until `stop`; then take no connection more, and end when what came before is answered."""
    server = GatewayServer(gateway, limits)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024).start()
        log.info("takes events at %s://%s:%d", "https" if tls else "http", host, runner.addresses[0][1])
        await stop.wait()
        log.info("stops: what was received is answered first")
        for site in runner.sites:
            await site.stop()
        await gateway.drain(limits.drain_seconds)  # not aiohttp's: it throws away what is left of bodies under way
    finally:
        with contextlib.suppress(TimeoutError):
            await runner.cleanup()
