"""The embedded broker, as a user meets it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from slastream.errors import DeliveryError
from slastream.local.kafka import KafkaBroker, find_java, install_jars


def _wait_for(condition: Callable[[], bool], limit_seconds: float = 30) -> None:
    limit = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {limit_seconds} s"
        time.sleep(0.02)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _topics(broker: KafkaBroker) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        return sorted(await admin.list_topics())
    finally:
        await admin.close()


async def _create(broker: KafkaBroker, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, 3, 1)])
        assert [error[1] for error in answer.topic_errors] == [0]
    finally:
        await admin.close()


@pytest.mark.broker
def test_a_broker_keeps_its_topics_and_port_through_a_crash(tmp_path: Path) -> None:
    with KafkaBroker.start(tmp_path) as broker:
        address = broker.address
        asyncio.run(_create(broker, "kept"))
        broker.kill()
        assert not broker.is_running
        broker.restart()
        assert broker.address == address
        assert asyncio.run(_topics(broker)) == ["kept"]
    assert not broker.is_running


@pytest.mark.broker
def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeliveryError, match=rf"port {port} of 127\.0\.0\.1 is taken: choose another"):
            KafkaBroker.start(tmp_path, port)


@pytest.mark.broker
def test_the_broker_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slastream.local.kafka", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rpartition(":")[2])
        assert _is_listening(port)
        parent.kill()
    _wait_for(lambda: not _is_listening(port))


@pytest.mark.broker
def test_the_command_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slastream.local.kafka", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        os.kill(parent.pid, signal.SIGTERM)
        assert parent.wait(60) == 0
    assert (tmp_path / "log" / ".kafka_cleanshutdown").exists()


def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(DeliveryError, match=r"Java 17 or newer .* apt-get install default-jre-headless"):
        find_java()


def test_an_old_java_is_refused_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(DeliveryError, match=r"11\.0\.2"):
        find_java()


def test_without_maven_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLASTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeliveryError, match="apt-get install maven"):
        install_jars()
