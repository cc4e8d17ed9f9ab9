"""The console's web application: what every request passes, and what pages and their streams have in common.

A page that is asked for as `text/event-stream` (which `EventSource` does) sends its main part, and again when it has changed.
"""

import asyncio
import importlib.resources
import logging
import mimetypes
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from slastream.core.units import Instant
from slastream.errors import DeliveryError
from slastream.web.console.archive import Archive
from slastream.web.console.as_json import plain
from slastream.web.console.login import Login, User
from slastream.web.console.reading import Reading
from slastream.web.console.rendering import Times, link, make_environment
from slastream.web.console.stories import Stories
from slastream.web.console.view import View
from slastream.web.console.workers import Workers

log = logging.getLogger(__name__)

LIVE_SECONDS = 1.0
"""A page that is open is told what is new so often."""
ALIVE_SECONDS = 15.0
WRITE_SECONDS = 10.0
"""A reader that takes nothing for so long is cut off."""
MOST_STREAMS = 500
MOST_RENDERED = 256
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
OPEN_PATHS = ("/healthz", "/readyz", "/login")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

Context = dict[str, Any]
Build = Callable[["Site", web.Request], Awaitable[Context]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(NamedTuple):
    """A template, and what it is filled with; `build` raises an HTTP error for what is not there."""

    path: str
    template: str
    build: Build


class _Rendered(NamedTuple):
    version: int
    at: float
    html: str


class Site:
    """What requests are answered from."""

    def __init__(
        self, view: View, reading: Reading, workers: Workers, archive: Archive, login: Login, *, is_loopback: bool
    ) -> None:
        self.view = view
        self.reading = reading
        self.workers = workers
        self.archive = archive
        self.stories = Stories(view, archive)
        self.login = login
        self.is_stopping = False
        self._is_loopback = is_loopback
        self._environment = make_environment()
        self._static = _static_files()
        self._rendered: OrderedDict[tuple[str, ...], _Rendered] = OrderedDict()
        self._streams = 0
        self._environment.globals["asset"] = self._asset

    def application(self, pages: tuple[Page, ...], routes: list[web.RouteDef]) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=128 * 1024)
        app.add_routes([web.get(page.path, self._shown(page)) for page in pages])
        app.add_routes(
            [
                web.get("/static/{name}", self._file),
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
                *routes,
            ]
        )
        app.on_response_prepare.append(_add_headers)
        return app

    @property
    def version(self) -> int:
        """Grows with everything that pages may show."""
        return self.view.version + self.workers.version

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000)

    # ---- pages

    async def page(self, page: Page, request: web.Request, status: int = 200) -> web.Response:
        html = await self._html(page, request, "page.html.j2")
        return web.Response(text=html, content_type="text/html", status=status)

    def _shown(self, page: Page) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if "text/event-stream" in request.headers.get("Accept", ""):
                return await self._stream(page, request)
            return await self.page(page, request)

        return answer

    async def _html(self, page: Page, request: web.Request, layout: str) -> str:
        """Made once for all who look at the same thing at the same time."""
        user = self.login.user_of(request)
        key = (layout, request.path_qs, user.name if user else "", (user and user.form_token) or "")
        known = self._rendered.get(key)
        if known is not None and known.version == self.version and time.monotonic() - known.at < LIVE_SECONDS:
            return known.html
        version = self.version
        html = self.rendered(page.template, request, user, layout, await page.build(self, request))
        self._rendered[key] = _Rendered(version, time.monotonic(), html)
        self._rendered.move_to_end(key)
        if len(self._rendered) > MOST_RENDERED:
            self._rendered.popitem(last=False)
        return html

    def rendered(self, template: str, request: web.Request, user: User | None, layout: str, context: Context) -> str:
        times = Times(self.view.policy.timezone, self.now())
        return self._environment.get_template(template).render(
            layout=layout,
            site=self,
            times=times,
            path=request.path,
            query=dict(request.query),
            user=user,
            **context,
        )

    async def _stream(self, page: Page, request: web.Request) -> web.StreamResponse:
        if self._streams >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable(text="too many pages are open", headers={"Retry-After": "30"})
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        self._streams += 1
        try:
            await self._tell(page, request, response)
        except (TimeoutError, ConnectionError):
            log.info("%s takes nothing more of %s", request.remote, page.path)
        finally:
            self._streams -= 1
        return response

    async def _tell(self, page: Page, request: web.Request, response: web.StreamResponse) -> None:
        sent, sent_at = "", 0.0
        while not self.is_stopping and self.login.may_read(request):
            html = await self._html(page, request, "fragment.html.j2")
            if html != sent:
                await _write(response, _event("page", html))
                sent, sent_at = html, time.monotonic()
            elif time.monotonic() - sent_at > ALIVE_SECONDS:
                await _write(response, b": alive\n\n")
                sent_at = time.monotonic()
            version = self.version
            await asyncio.sleep(LIVE_SECONDS)
            while self.version == version and not self.is_stopping and time.monotonic() - sent_at < ALIVE_SECONDS:
                await asyncio.sleep(LIVE_SECONDS)

    # ---- what every request passes

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        is_api = request.path.startswith("/api/")
        try:
            self._check(request, is_api)
            return await handler(request)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as error:
            return self._problem(request, error.status, error.text or "", dict(error.headers), is_api)
        except DeliveryError as error:
            return self._problem(request, 503, str(error), {"Retry-After": "5"}, is_api)
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s failed", request.match_info.route.resource)
            return self._problem(request, 500, "The console failed; its log says why.", {}, is_api)

    def _check(self, request: web.Request, is_api: bool) -> None:
        """A page of another name that leads to the loopback interface is not ours to answer; then, who may read."""
        if self._is_loopback and not self.login.settings.is_on and _hostname(request.host) not in LOCAL_HOSTS:
            raise web.HTTPMisdirectedRequest(text="This console answers to localhost only.")
        if request.path in OPEN_PATHS or request.path.startswith("/static/") or self.login.may_read(request):
            return
        if is_api or request.method not in ("GET", "HEAD") or not self.login.settings.tokens:
            raise web.HTTPUnauthorized(text="Log in first.", headers={"WWW-Authenticate": "Bearer"})
        raise web.HTTPSeeOther(link("/login", next=request.path_qs))

    def _problem(
        self, request: web.Request, status: int, text: str, headers: Mapping[str, str], is_api: bool
    ) -> web.Response:
        kept = {name: headers[name] for name in ("Retry-After", "WWW-Authenticate", "Allow") if name in headers}
        if is_api:
            return json_response({"status": status, "message": text}, status, kept)
        user = self.login.user_of(request)
        context = {"title": HTTPStatus(status).phrase, "status": status, "text": text}
        html = self.rendered("problem.html.j2", request, user, "page.html.j2", context)
        return web.Response(text=html, content_type="text/html", status=status, headers=kept)

    # ---- the rest

    def _asset(self, name: str) -> str:
        """Its address changes with its content, so that it may be kept for ever."""
        return link("/static", name, v=sha256(self._static[name]).hexdigest()[:12])

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._static:
            raise web.HTTPNotFound(text="There is no such file.")
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Content-Type": content_type, "Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=self._static[name], headers=headers)

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, _: web.Request) -> web.Response:
        if self.reading.is_complete and not self.reading.why_behind:
            return web.Response(text="ready\n")
        return web.Response(text=f"not ready: {self.reading.why_behind or 'the topics are being read'}\n", status=503)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = orjson.dumps(plain(value))
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _hostname(host: str) -> str:
    return host[: host.rindex("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _static_files() -> dict[str, bytes]:
    """In memory: no path of a request ever becomes one of the file system."""
    folder = importlib.resources.files("slastream.web.console") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(data)


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {name}\n{lines}\n".encode()
