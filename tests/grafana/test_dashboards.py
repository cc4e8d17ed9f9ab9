"""The committed dashboards are those that the builder makes, and each of their queries finds something.

A real Prometheus scrapes the metrics that a worker would show; every query of every panel and variable is run on it.
"""

import asyncio
import importlib.util
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slastream.app import make_stages
from slastream.core.policies import Policy
from slastream.export.collector import Collector
from slastream.export.server import start_metrics_server
from slastream.stream.runtime import OwnedPartition, Runtime, Source, State, TopicPartition
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Record
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.policy_file import load_policy

GRAFANA = Path(__file__).parents[2] / "grafana"
POLICY = """
version: 1
services: {mail: {customer: acme, team: messaging}}
agreements:
  gold:
    kind: sla
    customer: acme
    objective: {target: 90%, period: month, basis: completed}
    credits: {fee: 1000 EUR, bands: [{below: 90%, credit: 5%}]}
    promises:
      resolution: {metric: resolution, within: 4h, warn_at: [75%]}
"""
QUIET = {"slastream_corrections_total", "slastream_rejected_total"}


def builder() -> Any:
    spec = importlib.util.spec_from_file_location("grafana_build", GRAFANA / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_dashboards_are_those_that_the_builder_makes() -> None:
    build = builder()
    for name, make in build.DASHBOARDS.items():
        assert (GRAFANA / "dashboards" / name).read_text(encoding="utf-8") == build.text(make())


def panels() -> list[dict[str, Any]]:
    return [
        panel
        for path in sorted((GRAFANA / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    ]


def test_every_panel_says_what_it_means() -> None:
    for panel in panels():
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and panel["description"], panel["id"]
        assert defaults["unit"] and defaults["noValue"] and "decimals" in defaults, panel["title"]


def partitions() -> tuple[Policy, Runtime]:
    """What a worker holds after five tickets: one met, one late, one at risk, one paused, one running, and a bad record."""

    def nothing(name: str) -> bytes:
        raise FileNotFoundError(name)

    policy = load_policy([("policy.yaml", POLICY)], nothing)
    stages = make_stages(policy)
    tickets, services = stages[0].make(0), stages[1].make(0)
    assert isinstance(tickets, TicketPartition)
    assert isinstance(services, ServicePartition)
    now = time.time_ns() // 1000
    hour = 3_600_000_000

    def at(hours_ago: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now - hours_ago * hour) / 1e6))

    def event(ticket: str, hours_ago: float, **attributes: str) -> bytes:
        return json.dumps(
            {
                "ticket_id": ticket,
                "occurred_at": at(hours_ago),
                "ticket": {"service": "mail", "priority": "P1"} | attributes,
            }
        ).encode()

    lines = [
        event("A", 6, status="new"),
        event("B", 5.5, status="new"),
        event("C", 3.5, status="new"),
        event("D", 3, status="pending"),
        event("A", 2, status="resolved"),
        event("E", 1, status="new"),
        event("E", 3, status="open"),
        b"not an event",
        json.dumps({"type": "tick", "at": at(0)}).encode(),
    ]
    for offset, line in enumerate(lines):
        tickets.apply(Record("sla.tickets", 0, offset, now, None, line, ()))
    outputs = tickets.cut().outputs
    verdicts = [output for output in outputs if output.topic == "sla.verdicts"]
    for offset, output in enumerate(verdicts):
        services.apply(Record("sla.verdicts", 0, offset, now, output.key, output.value, ()))
    services.cut()
    runtime = Runtime(stages)
    runtime.generation = 1
    runtime.owned["tickets", 0] = OwnedPartition(stages[0], 0, 1, tickets, State.RUNNING)
    runtime.owned["services", 0] = OwnedPartition(stages[1], 0, 1, services, State.RUNNING)
    for owned in runtime.owned.values():
        place = TopicPartition(owned.stage.sources[0], 0)
        owned.sources[place] = Source(place, owned)
    return policy, runtime


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    target, port = free_port(), free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: slastream, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
    )
    loop = asyncio.new_event_loop()
    policy, runtime = partitions()
    collector = Collector(policy, lambda: runtime.owned.values())
    server = loop.run_until_complete(start_metrics_server(collector, f"127.0.0.1:{target}", runtime))
    process = subprocess.Popen(
        [
            binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        loop.run_until_complete(asyncio.wait_for(scraped(address), 60))
        yield address
    finally:
        process.terminate()
        process.wait(30)
        loop.run_until_complete(server.close())
        loop.close()


async def scraped(address: str) -> None:
    """Until three scrapes were stored."""
    while True:
        try:
            found = await asyncio.to_thread(query, address, "count_over_time(sla_info[1m]) >= 3")
        except OSError:
            found = []
        if found:
            return
        await asyncio.sleep(0.2)


def query(address: str, expression: str) -> list[dict[str, Any]]:
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = json.load(answer)
    assert body["status"] == "success"
    return list(body["data"]["result"])


def test_every_query_of_every_panel_finds_a_series(prometheus: str) -> None:
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$service", ".*").replace("$agreement", ".*")
            if "[15m]" in expression or any(name in expression for name in QUIET):
                expression = expression.replace("[15m]", "[1m]").replace("[5m]", "[1m]")
            found = query(prometheus, expression)
            assert found, (panel["title"], expression)
            keys = [tuple(sorted(series["metric"].items())) for series in found]
            assert len(set(keys)) == len(keys), panel["title"]


def test_the_values_are_those_of_the_tickets(prometheus: str) -> None:
    found = {one["metric"]["status"]: one["value"][1] for one in query(prometheus, "sla_clocks")}
    assert found == {"breached": "1", "at_risk": "1", "paused": "1", "running": "1"}
    assert [one["value"][1] for one in query(prometheus, 'sla_compliance_total{basis="completed"}')] == ["1"]
    assert [one["value"][1] for one in query(prometheus, 'slastream_rejected_total{reason="not_json"} > 0')] == ["1"]
    assert [one["value"][1] for one in query(prometheus, "slastream_late_events_total > 0")] == ["1"]


def test_every_variable_finds_a_value(prometheus: str) -> None:
    for label in ("service", "agreement"):
        url = f"{prometheus}/api/v1/label/{label}/values?{urllib.parse.urlencode({'match[]': 'sla_info'})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert json.load(answer)["data"]
