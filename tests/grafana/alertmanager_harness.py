"""A real Alertmanager that can be killed and started again, and a receiver of what it sends."""

import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from grafana.prometheus_harness import free_port, program, wait_until

REPOSITORY = Path(__file__).parents[2]


class Request(NamedTuple):
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def receiver(status: Callable[[], int] = lambda: 200) -> Iterator[tuple[int, list[Request]]]:
    """A server that keeps what it gets; its port and the requests that it took (2xx)."""
    kept: list[Request] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = Request(dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
            code = status()
            if code < 300:
                kept.append(request)
            self.send_response(code)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], kept
    finally:
        server.shutdown()
        server.server_close()


class Process:
    """A program that is killed and started again with the same arguments; its log goes on. Killed at the end of its block."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._arguments = arguments
        self.log_path = log
        self.start()

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self._arguments, stdout=log, stderr=subprocess.STDOUT, cwd=REPOSITORY)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


class Alertmanager(Process):
    """Without a cluster, on a free port; its data are in `folder`."""

    def __init__(self, folder: Path, config: str, *arguments: str) -> None:
        name = "prometheus-alertmanager" if shutil.which("prometheus-alertmanager") else "alertmanager"
        self.address = f"127.0.0.1:{free_port()}"
        self.data = folder / "data"
        (folder / "alertmanager.yml").write_text(config, encoding="utf-8")
        super().__init__(
            [
                program(name), f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={self.data}",
                f"--web.listen-address={self.address}", "--cluster.listen-address=", *arguments,
            ],
            folder / "alertmanager.log",
        )  # fmt: skip

    def wait_ready(self) -> None:
        wait_until(lambda: self._is_ready() or self.process.poll() is not None, 60, "Alertmanager is ready")
        assert self.process.poll() is None, self.log_path.read_text()[-3000:]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
