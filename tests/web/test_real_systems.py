"""Real peers: Prometheus and Alertmanager send to the gateway; `poll` asks Icinga 2 and Prometheus."""

import base64
import http.client
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import create_topics
from web.gateway_harness import PARTITIONS, REPOSITORY, GatewayProcess, run, wait_until, written
from web.real_systems import (
    ICINGA_PASSWORD,
    ICINGA_USER,
    alertmanager,
    free_port,
    icinga,
    program,
    prometheus,
    target,
)

pytestmark = pytest.mark.broker
TOKEN = "token-of-the-alertmanager"
ICINGA_POLL = """\
version: 1
name: icinga
url: https://{address}/v1/objects/services?attrs=host_name&attrs=name&attrs=last_hard_state&attrs=last_hard_state_change
basic_file: icinga-password
ca_file: ca.pem
records: results
mapping: icinga-mapping.yaml
interval: 1s
state: icinga-state.json
"""
ICINGA_MAPPING = """\
format: jsonl
event:
  service: {column: attrs.host_name}
  component: {column: attrs.name}
  occurred_at: {column: attrs.last_hard_state_change, parse: epoch_s}
  source: icinga
  state: {column: attrs.last_hard_state, map: {"0": up, "1": degraded, "2": down, "3": unknown}}
"""
PROMETHEUS_POLL = """\
version: 1
name: prometheus
url: http://{address}/api/v1/query?query=up
records: data.result
mapping: up-mapping.yaml
state: up-state.json
"""
PROMETHEUS_MAPPING = """\
format: jsonl
event:
  service: {column: metric.service}
  component: {column: metric.instance}
  occurred_at: {column: value.0, parse: epoch_s}
  source: prometheus
  state: {column: value.1, map: {"0": down, "1": up}}
  expires_after: 5m
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka")) as kafka:
        run(create_topics(kafka.address, PARTITIONS))
        yield kafka.address


def states(broker: str, source: str) -> list[tuple[str, str]]:
    """(service, state) of the events of a source, in their order."""
    return [
        (one.json["service"], one.json["state"])
        for one in written(broker)
        if one.topic == "sla.monitoring" and one.json.get("source") == source
    ]


def test_an_alert_of_prometheus_fires_and_is_resolved_once_each(broker: str, tmp_path: Path) -> None:
    program("prometheus")
    (tmp_path / "token").write_text(TOKEN)
    config = tmp_path / "gateway.yaml"
    config.write_text("version: 1\nsources:\n  alerts: {adapter: alertmanager, bearer_file: token}\n")
    scraped, alerting = free_port(), free_port()
    with (
        GatewayProcess(broker, tmp_path, "--config", str(config)) as gateway,
        alertmanager(tmp_path, gateway.wait_ready().address, TOKEN, alerting),
        prometheus(tmp_path, scraped, f"127.0.0.1:{alerting}"),
    ):
        wait_until(lambda: ("shop", "down") in states(broker, "alerts"), 60, "the alert fired")
        with target(scraped):
            wait_until(lambda: ("shop", "up") in states(broker, "alerts"), 60, "it was resolved")
    ids = {one.json["event_id"]: one.json["state"] for one in written(broker) if one.json.get("source") == "alerts"}
    assert sorted(ids.values()) == ["down", "up"], "Alertmanager repeats itself; the ids do not"


def poll(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slastream.cli", "poll", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=False)


def check_result(address: str, folder: Path, status: int) -> None:
    """Tell Icinga what a check found."""
    connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=str(folder / "ca.pem")))
    body = {
        "type": "Service",
        "filter": 'service.name=="smtp"',
        "exit_status": status,
        "plugin_output": "told by a test",
    }
    credentials = base64.b64encode(f"{ICINGA_USER}:{ICINGA_PASSWORD}".encode()).decode()
    headers = {"Accept": "application/json", "Authorization": f"Basic {credentials}"}
    try:
        connection.request("POST", "/v1/actions/process-check-result", orjson.dumps(body), headers)
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def test_poll_brings_what_changed_in_icinga_and_nothing_twice(broker: str, tmp_path: Path) -> None:
    with icinga(tmp_path) as address:
        config = tmp_path / "icinga.yaml"
        config.write_text(ICINGA_POLL.format(address=address))
        (tmp_path / "icinga-mapping.yaml").write_text(ICINGA_MAPPING)
        check_result(address, tmp_path, 2)
        shown = poll(str(config), "--dry-run")
        assert shown.returncode == 0, shown.stderr
        event: Any = orjson.loads(shown.stdout)
        assert (event["service"], event["component"], event["state"]) == ("mail", "smtp", "down")
        assert states(broker, "icinga") == []
        for _ in range(2):
            done = poll(str(config), "--broker", broker, "--once")
            assert done.returncode == 0, done.stderr
        assert states(broker, "icinga") == [("mail", "down")]

        with (tmp_path / "poll.txt").open("wb") as log:
            command = [sys.executable, "-m", "slastream.cli", "poll", str(config), "--broker", broker]
            process = subprocess.Popen(command, stderr=log, cwd=REPOSITORY)
        try:
            check_result(address, tmp_path, 0)
            wait_until(lambda: ("mail", "up") in states(broker, "icinga"), 60, "the recovery came")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert states(broker, "icinga") == [("mail", "down"), ("mail", "up")]
        assert ICINGA_PASSWORD not in (tmp_path / "poll.txt").read_text()

    (tmp_path / "icinga-state.json").unlink()
    gone = poll(str(config), "--broker", broker, "--once")
    assert gone.returncode == 3
    assert "icinga: the source does not answer" in gone.stderr


def test_poll_reads_the_states_that_prometheus_measures(broker: str, tmp_path: Path) -> None:
    scraped = free_port()
    with prometheus(tmp_path, scraped, "127.0.0.1:9") as address:
        config = tmp_path / "up.yaml"
        config.write_text(PROMETHEUS_POLL.format(address=address))
        (tmp_path / "up-mapping.yaml").write_text(PROMETHEUS_MAPPING)

        def newest() -> tuple[str, str] | None:
            assert poll(str(config), "--broker", broker, "--once").returncode == 0
            found = states(broker, "prometheus")
            return found[-1] if found else None

        wait_until(lambda: newest() == ("shop", "down"), 60, "it is measured")
        with target(scraped):
            wait_until(lambda: newest() == ("shop", "up"), 60, "it is up")
