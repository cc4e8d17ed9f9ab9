"""What a real Alertmanager sends, through the adapter: an alert fires, is repeated, and is resolved."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grafana.alertmanager_harness import Alertmanager, Request, receiver
from grafana.prometheus_harness import wait_until

from slastream.core.units import parse_instant
from slastream.ingest.adapters import adapter

CONFIG = """
route: {{receiver: slastream, group_by: [service], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: slastream
    webhook_configs:
      - {{url: 'http://127.0.0.1:{port}/v1/hooks/alertmanager', send_resolved: true}}
"""
STARTED = datetime(2026, 3, 2, 10, 0, 12, 345_000, UTC)
LABELS = {"alertname": "CheckoutDown", "service": "checkout", "instance": "web01:9100", "severity": "critical"}


def send(address: str, ends: datetime) -> None:
    alert = [{"labels": LABELS, "startsAt": STARTED.isoformat(), "endsAt": ends.isoformat()}]
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts", json.dumps(alert).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def events(requests: list[Request]) -> list[dict[str, Any]]:
    found = [adapter("alertmanager").events(one.body, {}) for one in list(requests)]
    assert all(not one.refused and not one.ignored for one in found)
    return [event for one in found for event in one.events]


def test_alert_that_fires_repeats_and_is_resolved_is_two_events(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    with receiver() as (port, requests), Alertmanager(tmp_path, CONFIG.format(port=port)) as server:
        server.wait_ready()
        send(server.address, now + timedelta(hours=1))
        wait_until(lambda: len(requests) >= 2, 40, "the alert and its repetition")
        ended = datetime.now(UTC) - timedelta(milliseconds=1)
        send(server.address, ended)
        wait_until(lambda: any(event["state"] == "up" for event in events(requests)), 40, "it is resolved")
    distinct = {event["event_id"]: event for event in events(requests)}
    assert [event["state"] for event in distinct.values()] == ["down", "up"]
    down, up = distinct.values()
    assert (down["service"], down["component"], down["occurred_at"]) == (
        "checkout",
        "web01:9100",
        "2026-03-02T10:00:12.345Z",
    )
    assert down["episode"] == up["episode"]
    assert abs(parse_instant(up["occurred_at"]) - ended.timestamp() * 1e6) < 1_000
    assert "expires_after" not in down
