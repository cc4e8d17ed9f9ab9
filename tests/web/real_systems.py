"""Prometheus, Alertmanager, Icinga 2 and Request Tracker as their Debian packages install them, each in a folder of a test."""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from web.gateway_harness import REPOSITORY, wait_until

PACKAGES = {"icinga2": "icinga2-bin", "rt-setup-database-5": "request-tracker5 rt5-db-sqlite"}
ICINGA_USER, ICINGA_PASSWORD = "poll", "a-password-of-this-test"
ICINGA = """\
const NodeName = "localhost"
const ZoneName = "localhost"
include <itl>
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object CheckerComponent "checker" {{ }}
object ApiListener "api" {{ bind_host = "127.0.0.1", bind_port = {port} }}
object ApiUser "{user}" {{ password = "{password}", permissions = [ "*" ] }}
object Host "mail" {{ check_command = "dummy", enable_active_checks = false }}
object Service "smtp" {{ host_name = "mail", check_command = "dummy", enable_active_checks = false, max_check_attempts = 1 }}
object Service "imap" {{ host_name = "mail", check_command = "dummy", enable_active_checks = false, max_check_attempts = 2 }}
"""
PROMETHEUS = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ['127.0.0.1:{target}'], labels: {{service: shop}}}}]
"""
RULES = """\
groups:
  - name: services
    rules:
      - {alert: Down, expr: up == 0, labels: {severity: critical}}
"""
ALERTMANAGER = """\
route: {{receiver: slastream, group_by: [service], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: slastream
    webhook_configs:
      - url: 'http://{gateway}/v1/hooks/alertmanager'
        http_config: {{authorization: {{type: Bearer, credentials: {token}}}}}
"""

REQUEST_TRACKER = """\
Set($rtname, 'example');
Set($Organization, 'example.com');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{database}');
Set($LogToSTDERR, 'error');
Set($LogToSyslog, undef);
Set($MailCommand, 'testfile');
1;
"""
RequestTracker = Callable[[str], None]
"""Does a line as `request_tracker.pl` has it: `ACTION USER [TEXT]`."""


def program(*names: str) -> str:
    """The first that is installed; skips when none is."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip(f"needs {names[0]}: apt-get install {PACKAGES.get(names[0], names[0])}")


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """A process that listens on the port; ended with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, 60, f"{command[0]} listens")
        assert process.poll() is None, log.read_text()[-3000:]
        yield
    finally:
        process.terminate()
        process.wait(30)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def prometheus(folder: Path, target: int, alertmanager: str) -> Iterator[str]:
    """A Prometheus that watches a target of the service `shop`; its address."""
    (folder / "rules.yml").write_text(RULES)
    (folder / "prometheus.yml").write_text(PROMETHEUS.format(alertmanager=alertmanager, target=target))
    port = free_port()
    command = [
        program("prometheus"), f"--web.listen-address=127.0.0.1:{port}", f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--rules.alert.resend-delay=5s",  # an Alertmanager that was started again hears of the alert only then; the default is 1m
    ]  # fmt: skip
    with started(command, port, folder / "prometheus.txt"):
        yield f"127.0.0.1:{port}"


@contextmanager
def alertmanager(folder: Path, gateway: str, token: str, port: int) -> Iterator[None]:
    """An Alertmanager that sends everything to the gateway."""
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(gateway=gateway, token=token))
    command = [
        program("prometheus-alertmanager", "alertmanager"), f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with started(command, port, folder / "alertmanager.txt"):
        yield


@contextmanager
def target(port: int) -> Iterator[None]:
    """Something that Prometheus can scrape."""

    class Target(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def icinga(folder: Path) -> Iterator[str]:
    """An Icinga 2 with the service mail!smtp, checked from outside; the address of its API, whose CA is `ca.pem`."""
    daemon, openssl, port = program("icinga2"), program("openssl"), free_port()
    certificates = folder / "data/certs"
    certificates.mkdir(parents=True)
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificates / "localhost.key",
            "-out", certificates / "localhost.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    for copy in (certificates / "ca.crt", folder / "ca.pem"):
        shutil.copy(certificates / "localhost.crt", copy)
    (folder / "icinga2.conf").write_text(ICINGA.format(port=port, user=ICINGA_USER, password=ICINGA_PASSWORD))
    (folder / "icinga-password").write_text(f"{ICINGA_USER}:{ICINGA_PASSWORD}\n")
    user, group = (_output("id", option) for option in ("-un", "-gn"))
    folders = {"DataDir": "data", "LogDir": "log", "InitRunDir": "run", "CacheDir": "cache", "SpoolDir": "spool"}
    for name in folders.values():
        (folder / name).mkdir(exist_ok=True)
    command = [daemon, "daemon", "-c", str(folder / "icinga2.conf"), f"-DRunAsUser={user}", f"-DRunAsGroup={group}"]
    with started(
        [*command, *(f"-D{key}={folder / name}" for key, name in folders.items())], port, folder / "icinga.txt"
    ):
        yield f"127.0.0.1:{port}"


@contextmanager
def request_tracker(folder: Path, gateway: str, token: str) -> Iterator[RequestTracker]:
    """A Request Tracker with the scrip of our page, which sends to the gateway; its first ticket is created by `create`."""
    setup, perl, none = program("rt-setup-database-5"), program("perl"), folder / "none"
    none.mkdir()
    config, scrip = folder / "RT_SiteConfig.pm", folder / "scrip.pl"
    config.write_text(REQUEST_TRACKER.format(database=folder / "rt.sqlite"))
    page = (REPOSITORY / "docs/adapters/request-tracker.md").read_text(encoding="utf-8")
    code = re.findall(r"```perl\n(.*?)```", page, re.DOTALL)[0]
    scrip.write_text(code.replace("https://GATEWAY", f"http://{gateway}"), encoding="utf-8")
    environment = {
        **os.environ,
        "RT_SITE_CONFIG": str(config),
        "RT_SITE_CONFIG_DIR": str(none),
        "SLASTREAM_TOKEN": token,
    }
    log = folder / "request-tracker.txt"
    with log.open("wb") as file:
        subprocess.run(
            [setup, "--action", "init", "--skip-create"],
            env=environment,
            stdout=file,
            stderr=file,
            timeout=120,
            check=True,
        )
        command = [perl, str(Path(__file__).with_name("request_tracker.pl")), str(scrip)]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    sink, source = process.stdin, process.stdout

    def answer() -> str:
        return source.readline() or log.read_text()[-3000:]

    def do(line: str) -> None:
        sink.write(f"{line}\n")
        sink.flush()
        assert (said := answer()) == "1\n", said

    with process:
        assert (said := answer()) == "ready\n", said
        yield do
        sink.close()
