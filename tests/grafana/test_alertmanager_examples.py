"""The routing examples, in the eyes of Alertmanager and of its `amtool`."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.alertmanager_harness import Alertmanager
from grafana.prometheus_harness import program, wait_until

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "alertmanager"
ROUTED, LOCAL = EXAMPLES / "alertmanager.yml", EXAMPLES / "local.yml"
KEY = {"service": "mail", "agreement": "gold", "promise": "response"}


def amtool(*arguments: str) -> str:
    done = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", [ROUTED, LOCAL], ids=lambda path: path.name)
def test_alertmanager_reads_it(path: Path) -> None:
    assert "SUCCESS" in amtool("check-config", str(path))


def test_both_hold_back_the_same() -> None:
    routed, local = (yaml.safe_load(path.read_text()) for path in (ROUTED, LOCAL))
    assert routed["inhibit_rules"] == local["inhibit_rules"]


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "SlaTicketBreached", "severity": "critical", "team": "commerce"}, "desk-pagerduty"),
        ({"alertname": "SlaTicketBreached", "severity": "critical", "team": "messaging"}, "messaging-pagerduty"),
        ({"alertname": "SlaTicketBreached", "severity": "warning"}, "desk-slack"),
        ({"alertname": "SlaAtRisk", "severity": "warning"}, "desk-slack"),
        ({"alertname": "SlaObjectiveMissed", "severity": "warning"}, "mail"),
        ({"alertname": "SlastreamRejects", "severity": "warning"}, "operators-slack"),
        ({"alertname": "SlastreamNoWorker", "severity": "critical"}, "operators-pagerduty"),
    ],
)
def test_an_alert_reaches_those_that_it_is_for(labels: dict[str, str], receiver: str) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    assert amtool("config", "routes", "test", f"--config.file={ROUTED}", *pairs).strip() == receiver


def test_one_breach_is_one_page_and_one_that_notify_does_not_tell_is_one_too(tmp_path: Path) -> None:
    told = {"alertname": "SlaTicketBreached", "ticket_id": "OPS-1", **KEY}
    also = {"alertname": "SlaBreached", **KEY}
    other = {"alertname": "SlaBreached", **KEY, "service": "web"}
    with Alertmanager(tmp_path, LOCAL.read_text().replace("group_wait: 30s", "group_wait: 1s")) as server:
        server.wait_ready()
        body = json.dumps([{"labels": labels} for labels in (told, also, other)]).encode()
        url = f"http://{server.address}/api/v2/alerts"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

        def held_back() -> dict[tuple[str, str], bool]:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)
            return {
                (each["labels"]["alertname"], each["labels"]["service"]): bool(each["status"]["inhibitedBy"])
                for each in found
            }

        expected = {("SlaTicketBreached", "mail"): False, ("SlaBreached", "mail"): True, ("SlaBreached", "web"): False}
        wait_until(lambda: held_back() == expected, 60, "the one that is told already is held back")
