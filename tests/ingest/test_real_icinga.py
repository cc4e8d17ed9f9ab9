"""What a real Icinga 2 streams, through the adapter: a check goes soft, hard, into a downtime, and back."""

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slastream.core.units import parse_instant
from slastream.ingest.adapters import adapter

NEEDED = ("icinga2", "openssl")
pytestmark = pytest.mark.skipif(
    any(shutil.which(one) is None for one in NEEDED) or os.geteuid() != 0,
    reason="needs Icinga 2 and root, to which its files belong: apt-get install icinga2-bin openssl",
)

CONFIG = """
const NodeName = "testnode"
const ZoneName = NodeName
object Endpoint NodeName {}
object Zone ZoneName { endpoints = [ NodeName ] }
object ApiListener "api" { bind_host = "127.0.0.1"; bind_port = PORT }
object ApiUser "root" { password = "secret"; permissions = [ "*" ] }
object IcingaApplication "app" {}
object CheckCommand "passive" { command = [ "/bin/true" ] }
object Host "web01" { check_command = "passive"; enable_active_checks = false }
object Service "http" {
  host_name = "web01"; check_command = "passive"; enable_active_checks = false; max_check_attempts = 2
}
"""
TYPES = ["StateChange", "CheckResult", "DowntimeAdded", "DowntimeStarted", "DowntimeRemoved"]
UNVERIFIED = ssl._create_unverified_context()
AUTHORIZATION = "Basic " + base64.b64encode(b"root:secret").decode()


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


class Icinga:
    """A server that runs, and the lines of its event stream so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[bytes] = []

    def ask(self, path: str, document: dict[str, Any] | None = None, timeout: float = 10) -> Any:
        request = urllib.request.Request(
            f"https://{self.address}/v1/{path}",
            None if document is None else json.dumps(document).encode(),
            {"Accept": "application/json", "Authorization": AUTHORIZATION},
        )
        return urllib.request.urlopen(request, timeout=timeout, context=UNVERIFIED)

    def act(self, action: str, **fields: Any) -> None:
        document = {"type": "Service", "filter": 'host.name=="web01"', **fields}
        with self.ask(f"actions/{action}", document) as answer:
            assert json.loads(answer.read())["results"], action

    def listen(self) -> None:
        stream = self.ask("events", {"queue": "test", "types": TYPES}, timeout=120)

        def read() -> None:
            try:
                for line in stream:
                    self.lines.append(line)
            except (OSError, ValueError):
                pass  # the server has ended

        threading.Thread(target=read, daemon=True).start()

    def is_ready(self) -> bool:
        try:
            with self.ask("objects/services") as answer:
                return bool(json.loads(answer.read())["results"])
        except (urllib.error.URLError, OSError):
            return False

    def types(self) -> list[str]:
        return [json.loads(line)["type"] for line in list(self.lines)]


@contextmanager
def icinga(folder: Path) -> Iterator[Icinga]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    certs = folder / "data" / "certs"
    for part in ("data/certs", "cache", "log", "run", "spool"):
        (folder / part).mkdir(parents=True)
    key = ("-newkey", "rsa:2048", "-nodes")
    openssl(certs, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "9", "-subj", "/CN=Icinga CA")
    openssl(certs, "req", *key, "-keyout", "testnode.key", "-out", "testnode.csr", "-subj", "/CN=testnode")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9")
    openssl(certs, "x509", "-req", "-in", "testnode.csr", *signed, "-out", "testnode.crt")
    config = folder / "icinga2.conf"
    config.write_text(CONFIG.replace("PORT", str(port)), encoding="utf-8")
    folders = {"DataDir": "data", "CacheDir": "cache", "LogDir": "log", "InitRunDir": "run", "SpoolDir": "spool"}
    defined = [f"-D{name}={folder / part}" for name, part in folders.items()]
    process = subprocess.Popen(
        ["icinga2", "daemon", "-c", str(config), "-DRunAsUser=root", "-DRunAsGroup=root", *defined],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Icinga(f"127.0.0.1:{port}")
    try:
        wait_until(server.is_ready, "Icinga is ready")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def wait_until(condition: Callable[[], bool], what: str, limit_seconds: float = 20) -> None:
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(0.05)


def test_check_goes_soft_hard_into_a_downtime_and_back(tmp_path: Path) -> None:
    with icinga(tmp_path) as server:
        server.listen()
        for exit_status in (0, 2, 2):  # the first result ever is hard, whatever it is
            server.act("process-check-result", exit_status=exit_status, plugin_output="HTTP")
        begin = int(time.time()) - 10
        server.act(
            "schedule-downtime", author="ann", comment="update", start_time=begin, end_time=begin + 3600, fixed=True
        )
        server.act("remove-downtime", author="ann")
        server.act("process-check-result", exit_status=0, plugin_output="HTTP")
        wait_until(lambda: len(server.types()) == 11, "4 checks, 4 changes and 3 events of the downtime are streamed")
        stream = b"".join(server.lines)
    found = adapter("icinga").events(stream, {})
    assert found.refused == ()
    assert found.ignored == {}
    states = [event for event in found.events if "state" in event]
    assert {(event["service"], event["component"]) for event in found.events} == {("web01", "web01!http")}
    changes = [
        (event["state"], event.get("confidence", "hard")) for event in states if ":StateChange:" in event["event_id"]
    ]
    assert changes == [("up", "hard"), ("down", "soft"), ("down", "hard"), ("up", "hard")]
    checks = [
        (event["state"], event.get("confidence", "hard")) for event in states if ":CheckResult:" in event["event_id"]
    ]
    assert checks == changes, "each check says the state after it"
    downtimes = [event for event in found.events if "maintenance_id" in event]
    assert len({event["maintenance_id"] for event in downtimes}) == 1
    newest = max(downtimes, key=lambda event: event["revision"])
    assert parse_instant(newest["start"]) == begin * 1_000_000
    assert begin * 1_000_000 < parse_instant(newest["end"]) < (begin + 3600) * 1_000_000, "removed before its end"
    assert len({event["event_id"] for event in found.events}) == len(found.events)
