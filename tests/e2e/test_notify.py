"""Breaches through `slastream notify` to a real Alertmanager and to a signed webhook, while everything on the way is killed."""

import asyncio
import json
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from e2e_harness import Worker, broker_with_topics, facts, produce, wait_until
from grafana.alertmanager_harness import Alertmanager, Process, Request, receiver
from grafana.prometheus_harness import free_port, promtool

from slastream.core.units import Instant
from slastream.ingest.signatures import STANDARD_WEBHOOKS, why_not_genuine

pytestmark = pytest.mark.broker

POLICY = """
version: 1
services: {mail: {customer: acme, team: messaging}}
agreements:
  gold: {kind: sla, promises: {response: {metric: first_response, within: 1s}}}
"""
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ALERTMANAGER = """
route: {{receiver: pager, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}}
receivers: [{{name: pager, webhook_configs: [{{url: 'http://127.0.0.1:{port}/', send_resolved: true}}]}}]
"""


class Notify(Process):
    def __init__(self, folder: Path, broker: str, *arguments: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "slastream.cli", "notify", "--broker", broker, "--metrics", self.address]
        super().__init__([*command, "--resend-seconds", "1", *arguments], folder / "notify.log")

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def wait_ready(self) -> None:
        wait_until(lambda: "ready" in self.get("/readyz") or self.process.poll() is not None, 60, "notify is ready")
        assert self.process.poll() is None, self.log_path.read_text()[-4000:]

    def delivered(self, receiver: str) -> float:
        pattern = rf'^slastream_notify_deliveries_total\{{receiver="{re.escape(receiver)}",outcome="delivered"\}} (\S+)'
        found = re.search(pattern, self.get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


class SavingAlertmanager(Alertmanager):
    """Writes what it has told to its disk each second."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, ALERTMANAGER.format(port=port), "--data.maintenance-interval=1s")
        self.url = f"http://{self.address}"

    def wait_saved(self) -> None:
        """What it has told by now is on its disk."""
        now, saved = time.time(), self.data / "nflog"
        wait_until(lambda: saved.exists() and saved.stat().st_mtime > now + 0.5, 30, "nflog is saved")


class Desk:
    """Tickets of one service, and what the pager has said of them."""

    def __init__(self, broker: str, pages: list[Request]) -> None:
        self.broker = broker
        self._pages = pages

    def event(self, ticket_id: str, before_seconds: float = 0, **rest: Any) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=before_seconds)).isoformat()
        event = {"ticket_id": ticket_id, "occurred_at": at, "type": "changed", **rest}
        asyncio.run(produce(self.broker, "sla.tickets", [(ticket_id.encode(), orjson.dumps(event))]))

    def opened(self, *ticket_ids: str) -> None:
        for each in ticket_ids:
            self.event(each, type="created", ticket={"service": "mail", "status": "new", "priority": "P1"})

    def answered(self, ticket_id: str) -> None:
        self.event(ticket_id, type="message", message={"author": "agent"})

    def pages(self) -> Counter[tuple[str, str]]:
        """How often each (ticket, firing or resolved) was notified."""
        return Counter(
            (alert["labels"]["ticket_id"], alert["status"])
            for page in list(self._pages)
            for alert in json.loads(page.body)["alerts"]
        )

    def wait_paged(self, ticket_id: str, status: str) -> None:
        wait_until(lambda: self.pages()[ticket_id, status] > 0, 60, f"{ticket_id} is {status}; so far {self.pages()}")

    def wait_declared(self, ticket_id: str, word: str) -> None:
        def is_declared() -> bool:
            return any((one.get("ticket_id"), one["fact"]) == (ticket_id, word) for one in facts(self.broker))

        wait_until(is_declared, 60, f"{ticket_id} {word}", every_seconds=0.3)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker_with_topics(tmp_path_factory.mktemp("kafka")) as address:
        yield address


def test_each_breach_is_paged_once_and_resolved_once_though_worker_notify_and_alertmanager_are_killed(
    broker: str, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    tickets = {"ALONE", "WORKER", "NOTIFY", "DOWN", "MERGED"}
    with (
        receiver() as (port, requests),
        SavingAlertmanager(tmp_path, port) as alertmanager,
        Notify(tmp_path, broker, "--alertmanager", alertmanager.url) as notify,
    ):
        desk = Desk(broker, requests)
        with Worker(broker, policy, tmp_path / "w1.log") as worker:
            notify.wait_ready()
            desk.opened("ALONE", "NOTIFY", "MERGED")
            for each in ("ALONE", "NOTIFY", "MERGED"):
                desk.wait_paged(each, "firing")
            desk.answered("ALONE")
            desk.wait_paged("ALONE", "resolved")
            desk.event("MERGED", type="merged", merged_into="ALONE")
            desk.wait_paged("MERGED", "resolved")
            desk.opened("WORKER")
            worker.kill()
        with Worker(broker, policy, tmp_path / "w2.log"):
            desk.wait_paged("WORKER", "firing")
            notify.kill()
            desk.answered("NOTIFY")
            desk.wait_declared("NOTIFY", "met_late")
            notify.start()
            desk.wait_paged("NOTIFY", "resolved")
            alertmanager.wait_saved()
            alertmanager.kill()
            desk.opened("DOWN")
            desk.answered("WORKER")
            desk.wait_declared("DOWN", "breached")
            desk.wait_declared("WORKER", "met_late")
            alertmanager.start()
            desk.wait_paged("WORKER", "resolved")
            desk.wait_paged("DOWN", "firing")
            alertmanager.wait_saved()
            notify.kill()
            alertmanager.kill()
            alertmanager.start()
            notify.start()
            desk.answered("DOWN")
            desk.wait_paged("DOWN", "resolved")
            check = promtool("check", "metrics", text=notify.get("/metrics"))
            assert (check.returncode, check.stdout + check.stderr) == (0, "")
            told = notify.delivered(alertmanager.url)
            wait_until(lambda: notify.delivered(alertmanager.url) >= told + 3, 60, "all is told three times more")
    breached = {one["ticket_id"] for one in facts(broker) if one["fact"] == "breached"}
    assert breached == tickets
    assert desk.pages() == {(each, status): 1 for each in breached for status in ("firing", "resolved")}


def test_a_webhook_gets_every_fact_signed_and_one_that_was_away_gets_what_it_missed(
    broker: str, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "secret").write_text(SECRET)
    answers = iter([503, 302])
    with receiver(lambda: next(answers, 200)) as (port, requests):
        (tmp_path / "hook.yaml").write_text(
            f"version: 1\nname: desk\nurl: http://127.0.0.1:{port}/sla\nsecret_file: secret\n"
            "facts: [breached, met_late]\nallow_networks: [127.0.0.0/8]\n"
        )
        desk = Desk(broker, [])
        before = {one["id"] for one in facts(broker)}
        with (
            Notify(tmp_path, broker, "--webhook", str(tmp_path / "hook.yaml")) as notify,
            Worker(broker, tmp_path / "policy.yaml", tmp_path / "w.log"),
        ):
            notify.wait_ready()
            wait_until(lambda: "starts with the next fact" in notify.log_path.read_text(), 60, "it has its partitions")
            desk.opened("HOOK-1")
            wait_until(lambda: len(requests) == 1, 60, "the first fact, at the third attempt")
            wait_until(lambda: notify.delivered("desk") == 1, 10, "it is counted")
            notify.kill()
            desk.answered("HOOK-1")
            desk.wait_declared("HOOK-1", "met_late")
            notify.start()
            wait_until(lambda: any(told(one)["type"] == "sla.met_late" for one in requests), 60, "what it missed")
    expected = {one["id"]: one for one in facts(broker) if one["id"] not in before}
    assert {told(one)["data"]["id"]: told(one)["data"] for one in requests} == expected
    assert Counter(one.headers["webhook-id"] for one in requests) == dict.fromkeys(expected, 1)
    for one in requests:
        at = Instant(int(one.headers["webhook-timestamp"]) * 1_000_000)
        assert why_not_genuine((STANDARD_WEBHOOKS,), SECRET.encode(), one.body, one.headers, at) is None


def told(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body)
    return found
