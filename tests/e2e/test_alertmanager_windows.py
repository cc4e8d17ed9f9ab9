"""A service that a real Prometheus sees go down and come back, past Alertmanager, gateway and worker, in our windows."""

import asyncio
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from e2e_harness import Json, Worker, broker_with_topics, read, wait_until
from web.gateway_harness import GatewayProcess
from web.real_systems import alertmanager, free_port, program, prometheus, target

pytestmark = pytest.mark.broker

TOKEN = "token-of-the-alertmanager"
POLICY = """\
version: 1
services:
  shop: {}
agreements:
  gold:
    kind: sla
    promises:
      availability: {metric: availability, target: 99%, window: month}
"""


def test_an_outage_that_prometheus_sees_is_one_outage_over_repeats_and_a_restart(tmp_path: Path) -> None:
    program("prometheus")
    policy, config = tmp_path / "policy.yaml", tmp_path / "gateway.yaml"
    policy.write_text(POLICY)
    (tmp_path / "token").write_text(TOKEN)
    config.write_text("version: 1\nsources:\n  alerts: {adapter: alertmanager, bearer_file: token}\n")
    scraped, alerting = free_port(), free_port()
    with (
        broker_with_topics(tmp_path / "kafka") as broker,
        GatewayProcess(broker, tmp_path, "--config", str(config)) as gateway,
        Worker(broker, policy, tmp_path / "worker.txt") as worker,
        prometheus(tmp_path, scraped, f"127.0.0.1:{alerting}"),
    ):
        gateway.wait_ready()

        def window() -> Json:
            """The newest line of the running month; empty before there is one."""
            worker.must_run()
            lines = [orjson.loads(record.value) for record in asyncio.run(read(broker, "sla.compliance"))]
            return lines[-1] if lines else {}

        def repeats() -> int:
            worker.must_run()
            return len(asyncio.run(read(broker, "sla.monitoring")))

        with alertmanager(tmp_path, gateway.address, TOKEN, alerting):
            wait_until(lambda: repeats() > 2, 60, "the service is down, and Alertmanager repeats it")
        sent = repeats()
        with alertmanager(tmp_path, gateway.address, TOKEN, alerting):
            wait_until(lambda: repeats() > sent, 60, "it is sent again after a restart")
            with target(scraped):
                wait_until(lambda: window().get("bad_seconds", 0) > 0, 60, "the service is up again")
        found = window()
        worker.terminate()
        events = [orjson.loads(record.value) for record in asyncio.run(read(broker, "sla.monitoring"))]
    began, ended = (
        datetime.fromisoformat(next(one["occurred_at"] for one in events if one.get("state") == state))
        for state in ("down", "up")
    )
    assert found["outages"] == 1
    assert found["bad_seconds"] == pytest.approx((ended - began).total_seconds(), abs=1e-6)
