"""`slastream notify`: breaches to Alertmanager and to webhooks, until SIGTERM.

- `notify_alerts` says which alerts are on (pure); `notify_log` reads Kafka into it.
- `notify_alertmanager` and `notify_webhook` deliver, each receiver on its own; `notify_file` is the file of a webhook.
- `notify_metrics` counts. Nothing is kept on disk: what is on is read from Kafka, how far a webhook is lies there as offsets.
"""

import asyncio
import contextlib
import logging
import signal
import ssl
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from slastream.core.units import Instant
from slastream.errors import PolicyError
from slastream.export.server import parse_listen, start_metrics_server
from slastream.stream.failure import quieten_clients
from slastream.stream.topics import require_topics
from slastream.web.notify_alertmanager import Alertmanager
from slastream.web.notify_alerts import Board
from slastream.web.notify_file import WebhookFile, read_webhook_file
from slastream.web.notify_log import BREACHES, VERDICTS, followers
from slastream.web.notify_metrics import NotifyMetrics
from slastream.web.notify_webhook import Webhook, tls_of
from slastream.wire.settings import NotifyOptions

log = logging.getLogger(__name__)

GROUP = "slastream-notify"
SETTLE_SECONDS = 0.2
"""What was declared together is told together: a breach that is taken back and declared again at once is no news."""
FORGET_EVERY_SECONDS = 3600.0


def run_notify(options: NotifyOptions) -> None:
    """Raises PolicyError for what cannot be used, DeliveryError when the broker is away or has not the topics."""
    parse_listen(options.metrics)
    if not options.alertmanager and not options.webhook:
        raise PolicyError("there is nobody to tell; give --alertmanager URL, or --webhook FILE")
    authorization = _authorization(options)
    webhooks = [_webhook_file(path) for path in options.webhook]
    if len({file.name for file, _ in webhooks}) < len(webhooks):
        raise PolicyError("two webhooks have the same name; give each its own")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Notifier(options, authorization, webhooks).run())


class _Notifier:
    def __init__(
        self, options: NotifyOptions, authorization: str | None, webhooks: list[tuple[WebhookFile, ssl.SSLContext]]
    ) -> None:
        self._options = options
        self._board = Board(options.runbook, _now())
        self._facts, self._verdicts = followers(options.broker, self._board)
        self._metrics = NotifyMetrics(
            lambda: self._board.firing(_now()),
            lambda: {each.topic: each.lag_records for each in (self._facts, self._verdicts) if self._alertmanagers},
        )
        self._alertmanagers = [Alertmanager(url, authorization, self._metrics) for url in options.alertmanager]
        self._webhooks = [
            Webhook(file, options.broker, GROUP, self._metrics, tls) for file, tls in webhooks
        ]  # fmt: skip
        self._receivers: list[Alertmanager | Webhook] = [*self._alertmanagers, *self._webhooks]
        for each in self._receivers:
            self._metrics.add_receiver(each.name)

    @property
    def is_ready(self) -> bool:
        """Whether it is known which alerts are on."""
        return not self._alertmanagers or self._verdicts.is_complete.is_set()

    async def run(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        quieten_clients()
        await require_topics(self._options.broker, (BREACHES, VERDICTS))
        server = await start_metrics_server(self._metrics, self._options.metrics, self)
        tasks = [asyncio.create_task(work) for work in self._works()]
        for task in tasks:
            task.add_done_callback(lambda _: stop.set())
        try:
            await stop.wait()
        finally:
            ended = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await server.close()
        assert not ended, "a task ended by itself"
        log.info("stopped")

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        works: list[Coroutine[Any, Any, None]] = [each.run() for each in self._receivers]
        return [*works, self._facts.run(), self._follow_verdicts(), self._tell()] if self._alertmanagers else works

    async def _follow_verdicts(self) -> None:
        await self._facts.is_complete.wait()
        await self._verdicts.run()

    async def _tell(self) -> None:
        """Nothing before everything is read: what began and ended long ago is no news."""
        await self._verdicts.is_complete.wait()
        told_all_at = forgot_at = -1e9
        while True:
            now = time.monotonic()
            if now - told_all_at >= self._options.resend_seconds:
                told_all_at, alerts = now, self._board.current(_now())
            else:
                alerts = self._board.changes(_now())
            for each in self._alertmanagers:
                each.tell(alerts)
            if now - forgot_at >= FORGET_EVERY_SECONDS:
                forgot_at = now
                self._board.forget(_now())
            await asyncio.sleep(SETTLE_SECONDS)


def _now() -> Instant:
    return Instant(time.time_ns() // 1000)


def _authorization(options: NotifyOptions) -> str | None:
    """The value of the header for Alertmanager, from a file: `Bearer …` or `Basic …`."""
    for url in options.alertmanager:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise PolicyError("--alertmanager: the address has credentials in it; write them into --authorization-file")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PolicyError(f"--alertmanager: {url!r} is no address; write one like http://127.0.0.1:9093")
    if options.authorization_file is None:
        return None
    text = _text(Path(options.authorization_file), "--authorization-file").strip()
    if not text.partition(" ")[2] or "\n" in text:
        raise PolicyError("--authorization-file must have one line: Bearer and a token, or Basic and base64")
    return text


def _webhook_file(path: str) -> tuple[WebhookFile, ssl.SSLContext]:
    folder = Path(path).parent
    file = read_webhook_file(path, _text(Path(path), "--webhook"), lambda name: (folder / name).read_bytes())
    return file, tls_of(file, None if file.ca_file is None else str(folder / file.ca_file))


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{what}: {path} cannot be read: {error}") from None
