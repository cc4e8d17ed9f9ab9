"""The programs of Debian's package `prometheus`: `promtool`, and a server that scrapes for a test."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

Json = dict[str, Any]


def program(name: str) -> str:
    """The path of a program; skips the test without it, and fails it on a build machine."""
    if (path := shutil.which(name)) is not None:
        return path
    reason = f"needs {name}: apt-get install prometheus"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def promtool(*arguments: str | Path, text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run promtool; `text` is its standard input."""
    return subprocess.run(
        [program("promtool"), *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60
    )


def wait_until(condition: Callable[[], bool], limit_seconds: float, what: str) -> None:
    """Poll a condition; fail when it does not come."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(0.05)


class Prometheus:
    """A server that runs; every answer that is no plain success fails the test."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                found = orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        assert found["status"] == "success", found
        assert not found.get("warnings"), found
        return found["data"]

    def query(self, expr: str) -> list[Json]:
        """The series of an instant query, now."""
        data = self.get("query", query=expr)
        return data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]

    def value(self, expr: str) -> float | None:
        """The value of the only series; None without one."""
        found = self.query(expr)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def query_range(self, expr: str) -> list[Json]:
        """The series of the last minute, by the second."""
        now = time.time()
        found: list[Json] = self.get("query_range", query=expr, start=str(now - 60), end=str(now), step="1")["result"]
        return found

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def prometheus(config: str, folder: Path) -> Iterator[Prometheus]:
    """A server with this configuration on a free port; its data and log are in `folder`."""
    path, log_path = folder / "prometheus.yml", folder / "prometheus.log"
    path.write_text(config)
    server = Prometheus(f"127.0.0.1:{free_port()}")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={server.address}", "--enable-feature=exemplar-storage",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: server.is_ready() or process.poll() is not None, 30, "Prometheus is ready")
        assert process.poll() is None, log_path.read_text()[-3000:]
        yield server
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
