"""`/metrics`, `/healthz` and `/readyz` of a worker or a gateway, on its own loop."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from slastream.errors import DeliveryError, PolicyError
from slastream.export.collector import SNAPSHOT_SECONDS
from slastream.export.exposition import OPENMETRICS, content_type

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class Snapshots(Protocol):
    """What `/metrics` shows; `Collector` has this shape."""

    def text(self, is_openmetrics: bool) -> bytes:
        """The metrics, as Prometheus reads them; in any thread."""

    async def refresh(self) -> None:
        """Make the snapshot anew, where one is kept."""

    def drain(self) -> None:
        """Take over what was counted; asked every second."""


class Health(Protocol):
    """What `/readyz` asks; the stream's `Runtime` has this shape."""

    @property
    def is_ready(self) -> bool:
        """Whether everything that was assigned is restored and runs."""


@dataclass(slots=True)
class MetricsServer:
    """A server that runs; `address` is `host:port` with the port that it got."""

    address: str
    _runner: web.AppRunner
    _draining: "asyncio.Task[None]"

    async def close(self) -> None:
        """Stop answering."""
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)
        await self._runner.cleanup()


async def start_metrics_server(collector: Snapshots, listen: str, health: Health) -> MetricsServer:
    """Answer at `listen`: `HOST:PORT`, or `PORT` on the loopback interface; port 0 is a free one.

    Raises PolicyError when that is no address, DeliveryError when it cannot be had.
    """
    host, port = parse_listen(listen)
    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", _metrics(collector)),
            web.get("/healthz", _alive),
            web.get("/readyz", _ready(health)),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise DeliveryError(
            f"metrics cannot be served at {host}:{port}: {error.strerror}; stop what listens there, or name another "
            "address with --metrics HOST:PORT"
        ) from None
    address = f"{host}:{runner.addresses[0][1]}"
    log.info("metrics at http://%s/metrics", address)
    return MetricsServer(address, runner, asyncio.create_task(_drain(collector), name="drain metrics"))


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port; without a host the loopback interface. Raises PolicyError."""
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise PolicyError(f"--metrics: {listen!r} is no address; write HOST:PORT, such as {LOOPBACK}:9108")
    return host.strip("[]") or LOOPBACK, int(port)


def _metrics(collector: Snapshots) -> Callable[[web.Request], Awaitable[web.Response]]:
    lock = asyncio.Lock()

    async def answer(request: web.Request) -> web.Response:
        await collector.refresh()
        kind = content_type(request.headers.get("Accept", ""))
        async with lock:
            body = await asyncio.to_thread(collector.text, kind == OPENMETRICS)
        return web.Response(body=body, headers={"Content-Type": kind})

    return answer


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


def _ready(health: Health) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        if health.is_ready:
            return web.Response(text="ready\n")
        return web.Response(
            status=503, text="not ready: no broker answers, or partitions are not assigned or restored yet\n"
        )

    return answer


async def _drain(collector: Snapshots) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            collector.drain()
            await asyncio.sleep(SNAPSHOT_SECONDS)
