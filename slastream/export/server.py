"""`/metrics`, `/healthz` and `/readyz` of a worker. Loopback unless told otherwise (contract section 6)."""

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from slastream.errors import DeliveryError, PolicyError
from slastream.export.collector import SlaCollector
from slastream.stream.runtime import Runtime


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`. Raises PolicyError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise PolicyError(f"{text!r} is no address to listen on; write HOST:PORT like 127.0.0.1:9108")
    return host.strip("[]"), int(port)


async def start_metrics_server(runtime: Runtime, listen: str) -> web.AppRunner:
    """Serves until its `cleanup`. Raises DeliveryError where the port is taken."""
    host, port = parse_listen(listen)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SlaCollector(runtime))

    async def metrics(request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(registry), headers={"Content-Type": content_type})

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def ready(_request: web.Request) -> web.Response:
        if runtime.is_ready:
            return web.Response(text="ready\n")
        return web.Response(text="partitions are being assigned or restored\n", status=503)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", alive), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise DeliveryError(
            f"{listen}: cannot listen there ({error.strerror or error}); name another with --metrics HOST:PORT"
        ) from None
    return runner
