"""The console as a process: settings checked, secrets read, run until SIGTERM."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
from pathlib import Path

import uvloop
from aiohttp import web

from slastream.core.policies import Policy
from slastream.errors import DeliveryError, PolicyError
from slastream.stream.failure import quieten_clients
from slastream.web.console.api import Api
from slastream.web.console.archive import Archive
from slastream.web.console.forms import Forms
from slastream.web.console.login import Login, LoginSettings, Network
from slastream.web.console.pages import PAGES
from slastream.web.console.reading import Reading
from slastream.web.console.replaying import Replaying
from slastream.web.console.site import Site
from slastream.web.console.view import View
from slastream.web.console.workers import Workers
from slastream.web.event_log import EventLog
from slastream.wire.settings import ConsoleOptions

log = logging.getLogger(__name__)

MIN_TOKEN_BYTES = 16
ANSWER_SECONDS = 8.0
IDLE_SECONDS = 30.0
"""A connection that sends nothing, or only the beginning of a request, is closed after so long."""
MAX_HEADER_BYTES = 8190
BACKLOG = 1024


def run_console(options: ConsoleOptions, policy: Policy) -> None:
    """Run until SIGTERM or SIGINT. Raises PolicyError for what cannot be used, DeliveryError for what is not there."""
    host, port = _address(options.listen)
    settings = login_settings(options)
    if not _is_loopback(host) and not settings.is_on and not settings.is_public:
        raise PolicyError(
            f"--listen {options.listen}: is not the loopback interface, and anybody could read; give --token-file or "
            "--user-header with --trusted-proxies, or say that everybody may with --public"
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(options, policy, settings, host, port))


async def _run(options: ConsoleOptions, policy: Policy, settings: LoginSettings, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    quieten_clients()
    view, archive = View(policy), Archive(options.broker)
    reading, workers = Reading(options.broker, view), Workers(options.broker, options.app_id)
    login, event_log = Login(settings), EventLog(options.broker, ANSWER_SECONDS)
    site = Site(view, reading, workers, archive, login, is_loopback=_is_loopback(host))
    forms = Forms(site, Replaying(archive, event_log))
    runner = web.AppRunner(
        site.application(PAGES, [*Api(site).routes(), *forms.routes()]),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=2.0,
        keepalive_timeout=IDLE_SECONDS,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    await runner.setup()
    tasks = [asyncio.create_task(reading.run()), asyncio.create_task(workers.run())]
    if settings.is_on:
        tasks.append(asyncio.create_task(event_log.run()))
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        log.info("console at http://%s:%d", host, runner.addresses[0][1])
        await stop.wait()
    except OSError as error:
        raise DeliveryError(
            f"{host}:{port} cannot be had: {error.strerror}; stop what listens there, or name another with --listen"
        ) from None
    finally:
        site.is_stopping = True
        await runner.cleanup()
        await archive.close()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
    log.info("stopped")


def login_settings(options: ConsoleOptions) -> LoginSettings:
    """Reads the tokens. Raises PolicyError."""
    if (options.user_header is None) != (not options.trusted_proxies):
        raise PolicyError(
            "--user-header and --trusted-proxies belong together: which header names the user, and from whom it is believed"
        )
    return LoginSettings(
        tokens=() if options.token_file is None else _tokens(options.token_file),
        user_header=options.user_header,
        trusted_proxies=tuple(map(_network, options.trusted_proxies)),
        is_public=options.public,
    )


def _tokens(file: str) -> tuple[bytes, ...]:
    try:
        found = tuple(line.strip() for line in Path(file).read_bytes().splitlines() if line.strip())
    except OSError as error:
        raise PolicyError(
            f"--token-file {file}: cannot be read: {error.strerror}; name a file with a token in a line"
        ) from None
    if not found or any(len(one) < MIN_TOKEN_BYTES for one in found):
        raise PolicyError(
            f"--token-file {file}: has no token, or one of less than {MIN_TOKEN_BYTES} bytes; make one with openssl rand -hex 32"
        )
    return found


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise PolicyError(f"--trusted-proxies: {error}; write addresses or networks, such as 10.0.0.0/8") from None


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise PolicyError(f"--listen: {text!r} is no address; write HOST:PORT, such as 127.0.0.1:8090")
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
