"""The server over real HTTP, on a free port of the loopback interface."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from export.scenario import Desk, desk_at, policy_of
from slastream.core.units import parse_instant
from slastream.errors import DeliveryError, PolicyError
from slastream.export import catalogue
from slastream.export.collector import Collector
from slastream.export.server import parse_listen, start_metrics_server
from slastream.stream.runtime import State

NOW = parse_instant("2026-05-20T12:00:00Z")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Answer(NamedTuple):
    status: int
    content_type: str
    text: str


Get = Callable[..., Awaitable[Answer]]


def serve(desk: Desk, work: Callable[[Get], Awaitable[None]]) -> None:
    """Run `work` with a client of a server that shows this desk."""

    async def run() -> None:
        collector = Collector(desk.policy, desk.runtime)
        server = await start_metrics_server(collector, "127.0.0.1:0", desk.runtime)
        try:
            async with aiohttp.ClientSession(f"http://{server.address}") as session:

                async def get(path: str, accept: str = "*/*") -> Answer:
                    async with session.get(path, headers={"Accept": accept}) as answer:
                        return Answer(answer.status, answer.headers["Content-Type"], await answer.text())

                await work(get)
        finally:
            await server.close()

    asyncio.run(run())


def test_metrics_are_text_unless_openmetrics_is_asked_for() -> None:
    async def work(get: Get) -> None:
        text, openmetrics = await get("/metrics"), await get("/metrics", OPENMETRICS)
        assert text.content_type.startswith("text/plain")
        assert openmetrics.content_type.startswith("application/openmetrics-text")
        expected = {m.name.removesuffix("_total") if m.type == "counter" else m.name for m in catalogue.METRICS}
        assert {family.name for family in parse_text(text.text)} == expected
        parsed = parse_openmetrics(openmetrics.text)  # type: ignore[no-untyped-call]
        assert {family.name for family in parsed} == expected

    serve(desk_at(NOW), work)


def test_scrapes_within_a_second_get_the_same_snapshot() -> None:
    desk = desk_at(NOW)

    async def work(get: Get) -> None:
        first = await get("/metrics")
        desk.runtime.owned.clear()
        assert (await get("/metrics")).text == first.text

    serve(desk, work)


def test_what_is_done_is_taken_over_though_nobody_scrapes() -> None:
    desk = desk_at(NOW)
    assert desk.runtime.done

    async def work(get: Get) -> None:
        async with asyncio.timeout(10):
            while desk.runtime.done:
                await get("/healthz")

    serve(desk, work)


def test_ready_is_only_who_runs_all_of_its_partitions() -> None:
    desk = desk_at(NOW)

    async def work(get: Get) -> None:
        assert (await get("/healthz")).status == 200
        assert (await get("/readyz")).status == 200
        desk.owned[0].state = State.RESTORING
        assert (await get("/readyz")).status == 503
        assert (await get("/healthz")).status == 200

    serve(desk, work)


def test_a_port_that_is_taken_is_named() -> None:
    desk = Desk(policy_of())

    async def run() -> None:
        collector = Collector(desk.policy, desk.runtime)
        server = await start_metrics_server(collector, "127.0.0.1:0", desk.runtime)
        try:
            with pytest.raises(DeliveryError, match=f"{server.address}.*--metrics HOST:PORT"):
                await start_metrics_server(collector, server.address, desk.runtime)
        finally:
            await server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("0.0.0.0:9108", ("0.0.0.0", 9108)),
        (":9108", ("127.0.0.1", 9108)),
        ("9108", ("127.0.0.1", 9108)),
        ("[::1]:9108", ("::1", 9108)),
    ],
)
def test_without_a_host_it_is_the_loopback_interface(listen: str, expected: tuple[str, int]) -> None:
    assert parse_listen(listen) == expected


@pytest.mark.parametrize("listen", ["", "localhost", "localhost:", "localhost:http", "localhost:70000"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(PolicyError, match="HOST:PORT"):
        parse_listen(listen)
