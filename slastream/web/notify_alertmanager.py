"""Alerts to one Alertmanager, by its API v2: what changed at once, and everything that is on again and again.

Alertmanager keeps alerts in memory only and lets one expire that is not told again; what it has passed on already it keeps on disk,
so that an alert with the same labels makes no second notification, whoever tells it and however often.

**Source:** https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import asyncio
import logging
import time
from collections.abc import Iterable

import aiohttp
import orjson

from slastream.core.units import MINUTE, Duration, Instant
from slastream.web.backoff import backoff_seconds
from slastream.web.notify_alerts import Alert, Labels, as_posted, batches
from slastream.web.notify_metrics import NotifyMetrics

log = logging.getLogger(__name__)

HOLD = Duration(15 * MINUTE)
"""An alert that is told no more expires after this: longer than a restart of ours, which must not look like the end of a breach."""
MOST_ALERTS = 500
ANSWER_SECONDS = 10.0
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 30.0


class Alertmanager:
    """One receiver. `tell` never waits; `run` delivers until cancelled, and tries again for ever."""

    def __init__(self, url: str, authorization: str | None, metrics: NotifyMetrics) -> None:
        self.name = url
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._headers = {"Content-Type": "application/json"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._metrics = metrics
        self._untold: dict[Labels, Alert] = {}
        self._wakes = asyncio.Event()

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Alerts as they stand now; of one with the same labels the newer counts."""
        self._untold |= {alert.labels: alert for alert in alerts}
        if self._untold:
            self._metrics.note_waiting(self.name)
            self._wakes.set()

    async def run(self) -> None:
        failures = 0
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            while True:
                await self._wakes.wait()
                self._wakes.clear()
                why = await self._deliver(session)
                self._metrics.count(self.name, "delivered" if why is None else "failed")
                if why is None:
                    if failures:
                        log.info("%s takes alerts again", self.name)
                    failures = 0
                    continue
                failures += 1
                if failures == 1:
                    log.error("%s: %s; trying again", self.name, why)
                self._wakes.set()
                await asyncio.sleep(backoff_seconds(failures, FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))

    async def _deliver(self, session: aiohttp.ClientSession) -> str | None:
        """None when everything was taken, else why not; what was not taken stays."""
        now = Instant(time.time_ns() // 1000)
        for batch in batches(self._untold, MOST_ALERTS):
            body = orjson.dumps([as_posted(alert, now, HOLD) for alert in batch])
            try:
                async with session.post(self._url, data=body, allow_redirects=False) as answer:
                    if answer.status != 200:
                        return f"answers {answer.status}: {(await answer.content.read(300)).decode(errors='replace')}"
            except TimeoutError:
                return f"does not answer within {ANSWER_SECONDS:g} s"
            except (aiohttp.ClientError, OSError) as error:
                return str(error) or repr(error)
            for alert in batch:
                if self._untold.get(alert.labels) is alert:
                    del self._untold[alert.labels]
        if not self._untold:
            self._metrics.note_told(self.name)
        return None
