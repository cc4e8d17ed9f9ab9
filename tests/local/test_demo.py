"""`slastream demo` and `slastream up` as a user starts them: whole process trees, and nothing that stays behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_SECONDS = 90.0


class Command:
    """A command in a terminal of its own; its processes are known by the folder for temporary files they were given."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._output = folder / "output"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLASTREAM_")}
        if cache := os.environ.get("SLASTREAM_CACHE"):
            inherited["SLASTREAM_CACHE"] = cache
        own = {"TMPDIR": str(self.temporary), "COLUMNS": "160"} | {
            f"SLASTREAM_{name}": f"127.0.0.1:{_free_port()}"
            for name in ("METRICS", "GATEWAY_LISTEN", "GATEWAY_METRICS", "NOTIFY_METRICS")
        }
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "slastream.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, **own, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        self.wait_until(lambda: self.output.count(text) >= times, f"{text!r} is written")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert self.process.poll() is None, f"ended before {what}:\n{self.output}"
            assert time.monotonic() < limit, f"not within {LIMIT_SECONDS} s: {what}:\n{self.output}"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT_SECONDS)

    def processes(self, text: str = "") -> set[int]:
        """Those of it that live, with `text` in the command line."""
        mark, found = f"TMPDIR={self.temporary}\0".encode(), set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes() and text.encode() in (process / "cmdline").read_bytes():
                    found.add(int(process.name))
            except OSError:
                continue
        return found

    def has_left_nothing(self) -> bool:
        assert not self.processes(), self.output
        assert not list(self.temporary.iterdir()), self.output
        return True


@contextmanager
def _started(folder: Path, *arguments: str, **environment: str) -> Iterator[Command]:
    command = Command(folder, list(arguments), environment)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait()


def _takes_events(gateway: str) -> bool:
    try:
        body = b'{"ticket_id":"T-1","occurred_at":"2026-03-02T10:00:00Z"}'
        with urllib.request.urlopen(f"http://{gateway}/v1/events", body, timeout=10) as answer:
            return bool(answer.status == 202)
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.broker
def test_the_fast_demo_sees_every_outcome_on_a_real_kafka_and_leaves_nothing(tmp_path: Path) -> None:
    with _started(tmp_path, "demo", "--fast") as demo:
        assert demo.process.wait(LIMIT_SECONDS) == 0, demo.output
        assert "starting Kafka, data in" in demo.output
        for word in ("RUNNING", "PAUSED", "WARNED", "BREACHED", "MET LATE", "MET ", "CANCELLED"):
            assert word in demo.output
        assert demo.has_left_nothing()


def test_the_fast_demo_works_without_java_and_says_that_it_forgets(tmp_path: Path) -> None:
    with _started(tmp_path, "demo", "--fast", PATH="/nonexistent", JAVA_HOME="") as demo:
        assert demo.process.wait(LIMIT_SECONDS) == 0, demo.output
        assert "it forgets everything when it ends" in demo.output
        assert demo.has_left_nothing()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_demo_ends_with_a_signal_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    with _started(tmp_path, "demo", PATH="/nonexistent", JAVA_HOME="") as demo:
        demo.wait_for("RUNNING")
        (pages,) = re.findall(r"console +(http\S+)", demo.output)
        demo.wait_until(lambda: _is_ready(pages), "the console has read everything")
        assert demo.end(number) == 0, demo.output
        assert "Traceback" not in demo.output
        assert demo.has_left_nothing()


@pytest.mark.broker
def test_a_demo_that_is_interrupted_while_kafka_starts_leaves_nothing(tmp_path: Path) -> None:
    with _started(tmp_path, "demo") as demo:
        demo.wait_until(lambda: bool(demo.processes("kafka.Kafka")), "Kafka starts")
        assert demo.end() == 130, demo.output
        assert demo.has_left_nothing()


def test_a_demo_that_is_killed_takes_its_processes_with_it(tmp_path: Path) -> None:
    with _started(tmp_path, "demo", PATH="/nonexistent", JAVA_HOME="") as demo:
        demo.wait_for("RUNNING")
        assert demo.processes()
        demo.end(signal.SIGKILL)
        limit = time.monotonic() + 10
        while demo.processes():
            assert time.monotonic() < limit, "a process outlives the demo"
            time.sleep(0.05)


def test_a_broker_that_is_not_there_is_one_line_and_status_3(tmp_path: Path) -> None:
    address = f"127.0.0.1:{_free_port()}"
    with _started(tmp_path, "demo", "--broker", address) as demo:
        assert demo.process.wait(LIMIT_SECONDS) == 3
        assert demo.output.count("\n") == 1
        assert f"no Kafka at {address}" in demo.output
        assert demo.has_left_nothing()


@pytest.mark.broker
def test_up_starts_a_worker_again_and_keeps_the_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    arguments = ("up", "--alertmanager", "http://127.0.0.1:9")
    with _started(tmp_path, *arguments, XDG_DATA_HOME=str(home), SLASTREAM_KAFKA_PORT="0") as up:
        up.wait_for("runs; Ctrl-C stops it")
        up.wait_until(lambda: bool(up.processes("slastream.cli\0notify")), "it was asked to tell an Alertmanager")
        (worker,) = up.processes("slastream.cli\0worker")
        os.kill(worker, signal.SIGKILL)
        up.wait_for("the worker ended by signal 9, it starts again in 1 s")
        up.wait_until(lambda: bool(up.processes("slastream.cli\0worker") - {worker}), "the worker runs again")
        (gateway,) = up.processes("slastream.cli\0gateway")
        os.kill(gateway, signal.SIGKILL)
        up.wait_for("the gateway ended by signal 9, it starts again in 1 s")
        up.wait_until(lambda: bool(up.processes("slastream.cli\0gateway") - {gateway}), "the gateway runs again")
        address = re.findall(r"gateway  ([\d.:]+): events", up.output)[0]
        up.wait_until(lambda: _takes_events(address), "what is sent to the gateway is taken")
        (pages,) = re.findall(r"console +(http\S+)", up.output)
        up.wait_until(lambda: _is_ready(pages), "the console has read everything")
        assert up.end(signal.SIGTERM) == 0, up.output
        assert up.has_left_nothing()
    assert (home / "slastream" / "kafka" / "log" / "meta.properties").exists()


def test_up_explains_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _started(tmp_path, "up", SLASTREAM_METRICS=f"127.0.0.1:{port}", XDG_DATA_HOME=str(tmp_path)) as up:
            assert up.process.wait(LIMIT_SECONDS) == 2
            assert f"127.0.0.1:{port} is taken" in up.output
            assert up.has_left_nothing()


def test_up_does_not_start_with_a_wrong_policy(tmp_path: Path) -> None:
    with _started(tmp_path, "up", "--policy", str(tmp_path / "none.yaml"), XDG_DATA_HOME=str(tmp_path)) as up:
        assert up.process.wait(LIMIT_SECONDS) == 2
        assert "there is no such file" in up.output


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
