"""The gateway as a process: files, secrets and certificates read, addresses checked, run until SIGTERM."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from slastream.errors import DeliveryError, PolicyError
from slastream.export.server import start_metrics_server
from slastream.ingest.adapter_options import read_options
from slastream.ingest.adapters import ADAPTERS, AdapterOptions
from slastream.stream.kafka_client import Broker, check_broker
from slastream.web.event_log import EventLog
from slastream.web.gateway import Gateway, Intake, serve
from slastream.web.gateway_file import NATIVE, GatewayFile, Source, Tls, read_gateway_file
from slastream.web.places import Places

log = logging.getLogger(__name__)

LISTEN, METRICS = "127.0.0.1:8080", "127.0.0.1:9109"
SIGNED = {NATIVE: True} | {name: bool(one.signatures) for name, one in ADAPTERS.items()}


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the command line says; None: what the file says, else the default."""

    broker: Broker
    config: str | None = None
    listen: str | None = None
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    file: GatewayFile
    intakes: tuple[Intake, ...]
    host: str
    port: int
    tls: ssl.SSLContext | None
    metrics: str

    @property
    def is_loopback(self) -> bool:
        return _is_loopback(self.host)


def run_gateway(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT. Raises PolicyError for a wrong configuration, DeliveryError for an address in use."""
    plan = _plan(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, plan))


async def _run(settings: GatewaySettings, plan: _Plan) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.suppress(DeliveryError):  # it may come later, and is waited for
        await check_broker(settings.broker)
    limits = plan.file.limits
    event_log = EventLog(settings.broker, limits.answer_seconds)
    places = Places(
        settings.broker,
        [one.source.name for one in plan.intakes if one.adapter is not None and one.adapter.keeps_places],
    )
    gateway = Gateway(plan.intakes, limits, event_log, places, shows_metrics=plan.is_loopback)
    metrics = await start_metrics_server(gateway.metrics, plan.metrics, gateway)
    writing = asyncio.create_task(event_log.run(), name="write to Kafka")
    writing.add_done_callback(lambda _: stop.set())
    following = asyncio.create_task(places.run(), name="follow places of problems")
    try:
        await serve(gateway, plan.host, plan.port, plan.tls, limits, stop)
    except OSError as error:
        raise DeliveryError(
            f"{plan.host}:{plan.port} cannot be had: {error.strerror}; stop what listens there, or name another with --listen"
        ) from None
    finally:
        is_our_bug = writing.done()
        for task in (writing, following):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await metrics.close()
        assert not is_our_bug
    log.info("stopped")


def _plan(settings: GatewaySettings) -> _Plan:
    file, folder = GatewayFile(), Path()
    if settings.config is not None:
        folder = Path(settings.config).parent
        text = _text(Path(settings.config), "--config")
        file = read_gateway_file(settings.config, text, SIGNED, lambda name: (folder / name).read_bytes())
    host, port = _address("--listen", settings.listen or file.listen or LISTEN)
    sources = file.sources or tuple(Source(name, name, requests_per_second=10**9) for name in SIGNED)
    _refuse_open_doors(host, file.tls, sources)
    intakes = tuple(_intake(source, folder) for source in sources)
    metrics = settings.metrics or file.metrics or METRICS
    _address("--metrics", metrics)
    tls = None if file.tls is None else _tls_context(file.tls, folder)
    return _Plan(file, intakes, host, port, tls, metrics)


def _refuse_open_doors(host: str, tls: Tls | None, sources: tuple[Source, ...]) -> None:
    if _is_loopback(host) or (tls is not None and tls.client_ca is not None):
        return
    if unproven := [one.name for one in sources if not one.is_authenticated]:
        raise PolicyError(
            f"{host} is not the loopback interface, and anybody could send as {', '.join(unproven)}; give each source a "
            "bearer_file or secret_file (--config), or tls with client_ca, or listen on 127.0.0.1"
        )


def _intake(source: Source, folder: Path) -> Intake:
    adapter = ADAPTERS.get(source.adapter)
    if adapter is None:
        return Intake(source, None, AdapterOptions())
    options = AdapterOptions(zone=source.zone)
    if source.options is not None:
        path = folder / source.options
        options = read_options(_text(path, f"sources.{source.name}.options"), adapter, str(path), source.zone)
    return Intake(source, adapter, replace(options, source=options.source or source.name))


def _tls_context(tls: Tls, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / tls.certificate, folder / tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(folder / tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise PolicyError(f"tls: cannot be used: {error}; name PEM files of a certificate, its key and a CA") from None
    return context


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{what}: {path} cannot be read: {error}") from None


def _address(option: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise PolicyError(f"{option}: {text!r} is no address; write HOST:PORT, such as {LISTEN}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
