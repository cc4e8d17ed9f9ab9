"""A Prometheus that has scraped a desk of known outcomes over real HTTP, before and after a change."""

import asyncio
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import yaml
from export.scenario import Desk, desk_at

from grafana.prometheus_harness import Prometheus, program, prometheus, wait_until
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Instant, format_instant
from slastream.export.catalogue import SERIES_LIMIT
from slastream.export.collector import Collector
from slastream.export.server import MetricsServer, start_metrics_server

GRAFANA = Path(__file__).parents[2] / "grafana"


@pytest.fixture(scope="session")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The desk as two workers would show it while one of them does not know yet that it has lost its partitions.

    It is scraped, changes (a ticket closed, a breach, a record that is no event, commits), and is scraped again.
    """
    program("prometheus")
    now = away_from_the_first(Instant(time.time_ns() // 1000))
    desk = desk_at(now)
    with (
        served(desk) as (address, loop),
        prometheus(config_for(address), tmp_path_factory.mktemp("prometheus")) as server,
    ):
        times = "min(count_over_time(slastream_series[1m]))"
        wait_until(lambda: (server.value(times) or 0) >= 2, 30, "two scrapes")
        changed: Future[None] = asyncio.run_coroutine_threadsafe(_change(desk, now), loop)
        changed.result(10)
        rejects = 'min(slastream_rejected_total{topic="sla.tickets", reason="not_json"})'
        wait_until(lambda: server.value(rejects) == 2, 30, "a scrape after the change")
        scrapes = server.value(times) or 0
        wait_until(lambda: (server.value(times) or 0) >= scrapes + 2, 30, "scrapes after the change")
        wait_until(lambda: server.value("count(ALERTS)") is not None, 30, "rules are evaluated")
        yield server


def config_for(address: str, workers: Sequence[str] = ("w1", "w2")) -> str:
    """The committed configuration, only faster, with its rules in place, and one server seen as so many workers."""
    config = yaml.safe_load((GRAFANA / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(GRAFANA / each) for each in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [address], "labels": {"instance": name}} for name in workers]
    return yaml.safe_dump(config)


async def _change(desk: Desk, now: Instant) -> None:
    for each in desk.owned:
        each.note_commit(None, 0.06, now / SECOND)
    later = Instant(now + SECOND)
    mail = {"service": "mail", "status": "new", "priority": "P1"}
    events = [
        ("OPS-4", later, {"status": "closed"}),
        ("OPS-7", Instant(now - 15 * MINUTE), mail),  # its response fell due a second ago
    ]
    lines = [
        orjson.dumps({"ticket_id": number, "occurred_at": format_instant(at), "type": "changed", "ticket": attributes})
        for number, at, attributes in events
    ]
    desk.feed([*lines, b"{"], later)


def away_from_the_first(now: Instant) -> Instant:
    """Not in the first 12 h of a month, in which nothing might be due yet."""
    day = time.gmtime(now / SECOND).tm_mday
    return Instant(now + 12 * HOUR) if day == 1 and now % DAY < 12 * HOUR else now


@contextmanager
def served(desk: Desk, series_limit: int = SERIES_LIMIT) -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    """A metrics server of a desk on a loop of its own; gives its address and the loop."""

    async def start() -> MetricsServer:
        collector = Collector(desk.policy, desk.runtime, snapshot_seconds=0.1, series_limit=series_limit)
        return await start_metrics_server(collector, "127.0.0.1:0", desk.runtime)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield server.address, loop
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def metrics_text() -> str:
    """What a scrape of the desk gets."""
    with (
        served(desk_at(Instant(time.time_ns() // 1000))) as (address, _),
        urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer,
    ):
        return str(answer.read().decode())
