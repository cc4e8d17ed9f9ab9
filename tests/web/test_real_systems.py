"""Real peers: Prometheus and Alertmanager send to the gateway; `poll` asks Icinga 2 and Prometheus."""

import base64
import http.client
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
  service: {column: name}
  occurred_at: {column: attrs.last_hard_state_change, parse: epoch_s}
  source: icinga-api
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


def test_an_alert_of_prometheus_fires_and_is_resolved_once_each_over_a_restart(broker: str, tmp_path: Path) -> None:
    program("prometheus")
    (tmp_path / "token").write_text(TOKEN)
    config = tmp_path / "gateway.yaml"
    config.write_text("version: 1\nsources:\n  alerts: {adapter: alertmanager, bearer_file: token}\n")
    scraped, alerting = free_port(), free_port()
    with (
        GatewayProcess(broker, tmp_path, "--config", str(config)) as gateway,
        prometheus(tmp_path, scraped, f"127.0.0.1:{alerting}"),
    ):
        gateway.wait_ready()
        with alertmanager(tmp_path, gateway.address, TOKEN, alerting):
            wait_until(lambda: ("shop", "down") in states(broker, "alerts"), 60, "the alert fired")
        sent = len(states(broker, "alerts"))
        with alertmanager(tmp_path, gateway.address, TOKEN, alerting):
            wait_until(lambda: len(states(broker, "alerts")) > sent, 60, "it is sent again after a restart")
            with target(scraped):
                wait_until(lambda: ("shop", "up") in states(broker, "alerts"), 60, "it was resolved")
    ids = {one.json["event_id"]: one.json["state"] for one in written(broker) if one.json.get("source") == "alerts"}
    assert sorted(ids.values()) == ["down", "up"], "Alertmanager repeats itself; the ids do not"


def poll(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slastream.cli", "poll", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=False)


@contextmanager
def asked(address: str, folder: Path, path: str, body: dict[str, object]) -> Iterator[http.client.HTTPResponse]:
    """The answer of Icinga's API, of which the rest may still come."""
    connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=str(folder / "ca.pem")))
    credentials = base64.b64encode(f"{ICINGA_USER}:{ICINGA_PASSWORD}".encode()).decode()
    headers = {"Accept": "application/json", "Authorization": f"Basic {credentials}"}
    with closing(connection):
        connection.request("POST", path, orjson.dumps(body), headers)
        with closing(connection.getresponse()) as answer:
            assert answer.status == 200
            yield answer


def check_result(address: str, folder: Path, service: str, status: int) -> None:
    """Tell Icinga what a check found."""
    body: dict[str, object] = {
        "type": "Service", "filter": f'service.name=="{service}"', "exit_status": status, "plugin_output": "told by a test",
    }  # fmt: skip
    with asked(address, folder, "/v1/actions/process-check-result", body) as answer:
        answer.read()


def test_a_check_of_icinga_goes_soft_hard_into_a_downtime_and_back(broker: str, tmp_path: Path) -> None:
    types = ["StateChange", "DowntimeAdded", "DowntimeStarted", "DowntimeRemoved"]
    with icinga(tmp_path) as address, GatewayProcess(broker, tmp_path) as gateway:
        gateway.wait_ready()
        is_listening = threading.Event()

        def pass_on() -> None:
            with asked(address, tmp_path, "/v1/events", {"queue": "slastream", "types": types}) as stream:
                is_listening.set()
                for line in stream:
                    gateway.post("/v1/hooks/icinga", line)

        def of_imap(topic: str) -> list[Any]:
            return [
                one.json for one in written(broker) if one.topic == topic and one.json.get("component") == "mail!imap"
            ]

        def states_of_imap() -> list[tuple[str, str]]:
            return [(one["state"], one.get("confidence", "hard")) for one in of_imap("sla.monitoring")]

        reading = threading.Thread(target=pass_on, daemon=True)
        reading.start()
        assert is_listening.wait(30)
        expected = []
        for status, state in ((0, ("up", "hard")), (2, ("down", "soft")), (2, ("down", "hard"))):
            check_result(address, tmp_path, "imap", status)
            expected.append(state)
            wait_until(lambda: states_of_imap()[-1:] == expected[-1:], 30, f"it is {state}")
        now = time.time()
        downtime: dict[str, object] = {
            "type": "Service", "filter": 'service.name=="imap"', "author": "ann", "comment": "a new disk",
            "start_time": now - 1, "end_time": now + 600, "fixed": True,
        }  # fmt: skip
        with asked(address, tmp_path, "/v1/actions/schedule-downtime", downtime) as answer:
            answer.read()
        wait_until(lambda: bool(of_imap("sla.maintenance")), 30, "the downtime is a maintenance")
        check_result(address, tmp_path, "imap", 0)
        wait_until(lambda: states_of_imap()[-1:] == [("up", "hard")], 30, "it is back")
        assert {one["component"] for one in of_imap("sla.maintenance")} == {"mail!imap"}
        assert states_of_imap() == [*expected, ("up", "hard")]
    reading.join(30)
    assert not reading.is_alive()


def test_poll_brings_what_changed_in_icinga_and_nothing_twice(broker: str, tmp_path: Path) -> None:
    def of_smtp() -> list[str]:
        return [state for service, state in states(broker, "icinga-api") if service == "mail!smtp"]

    with icinga(tmp_path) as address:
        config = tmp_path / "icinga.yaml"
        config.write_text(ICINGA_POLL.format(address=address))
        (tmp_path / "icinga-mapping.yaml").write_text(ICINGA_MAPPING)
        check_result(address, tmp_path, "smtp", 2)
        shown = poll(str(config), "--dry-run")
        assert shown.returncode == 0, shown.stderr
        found: dict[str, Any] = {one["service"]: one for one in map(orjson.loads, shown.stdout.splitlines())}
        assert found["mail!smtp"]["state"] == "down"
        assert of_smtp() == []
        for _ in range(2):
            done = poll(str(config), "--broker", broker, "--once")
            assert done.returncode == 0, done.stderr
        assert of_smtp() == ["down"]

        with (tmp_path / "poll.txt").open("wb") as log:
            command = [sys.executable, "-m", "slastream.cli", "poll", str(config), "--broker", broker]
            process = subprocess.Popen(command, stderr=log, cwd=REPOSITORY)
        try:
            check_result(address, tmp_path, "smtp", 0)
            wait_until(lambda: "up" in of_smtp(), 60, "the recovery came")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert of_smtp() == ["down", "up"]
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
