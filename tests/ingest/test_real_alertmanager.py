"""What a real Alertmanager sends, through the adapter: an alert fires, is repeated, and is resolved."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from slastream.core.units import parse_instant
from slastream.ingest.adapters import adapter

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Alertmanager: apt-get install prometheus-alertmanager")

CONFIG = """
route: {{receiver: slastream, group_by: [service], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: slastream
    webhook_configs:
      - {{url: 'http://127.0.0.1:{port}/v1/hooks/alertmanager', send_resolved: true}}
"""
STARTED = datetime(2026, 3, 2, 10, 0, 12, 345_000, UTC)
LABELS = {"alertname": "CheckoutDown", "service": "checkout", "instance": "web01:9100", "severity": "critical"}


@pytest.fixture
def received() -> Iterator[tuple[int, list[bytes]]]:
    """A receiver: its port, and the bodies that came."""
    bodies: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], bodies
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[str]:
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(port=port), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            str(PROGRAM), f"--config.file={config}", f"--storage.path={folder / 'data'}", f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(address), "Alertmanager is ready")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition: Callable[[], bool], what: str, limit_seconds: float = 40) -> None:
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(0.05)


def send(address: str, ends: datetime) -> None:
    alert = [{"labels": LABELS, "startsAt": STARTED.isoformat(), "endsAt": ends.isoformat()}]
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts", json.dumps(alert).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def events(bodies: list[bytes]) -> list[dict[str, Any]]:
    found = [adapter("alertmanager").events(body, {}) for body in list(bodies)]
    assert all(not one.refused and not one.ignored for one in found)
    return [event for one in found for event in one.events]


def test_alert_that_fires_repeats_and_is_resolved_is_two_events(
    tmp_path: Path, received: tuple[int, list[bytes]]
) -> None:
    port, bodies = received
    now = datetime.now(UTC)
    with alertmanager(tmp_path, port) as address:
        send(address, now + timedelta(hours=1))
        wait_until(lambda: len(bodies) >= 2, "the alert and its repetition")
        ended = datetime.now(UTC) - timedelta(milliseconds=1)
        send(address, ended)
        wait_until(lambda: any(event["state"] == "up" for event in events(bodies)), "it is resolved")
    distinct = {event["event_id"]: event for event in events(bodies)}
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
