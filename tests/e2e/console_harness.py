"""A broker, a worker, the desk's records and consoles as processes, for the tests in a browser.

PYTHONPATH=.:tests python -m web.console_harness 18090    keeps one running to look at
"""

import asyncio
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError

from aiokafka import AIOKafkaProducer
from e2e_harness import Worker, broker_with_topics, wait_until
from grafana.prometheus_harness import free_port
from web import console_desk
from web.console_desk import Record

REPOSITORY = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests-only"  # no secret of anything


class Stack(NamedTuple):
    """What runs: the broker's address, the policy's file, a folder for logs."""

    broker: str
    policy: Path
    folder: Path
    worker: Worker


async def produce(broker: str, records: Sequence[Record]) -> None:
    """Write them in their order, and return when all are acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(one.topic, one.value, key=one.key) for one in records])
    finally:
        await producer.stop()


@contextmanager
def stack(folder: Path, tickets: int = 160) -> Iterator[Stack]:
    """Everything but a console, with the desk's records on their way through the worker."""
    policy = folder / "policy.yaml"
    policy.write_text(console_desk.POLICY)
    with broker_with_topics(folder / "kafka") as broker, Worker(broker, policy, folder / "worker.log") as worker:
        asyncio.run(produce(broker, console_desk.records(datetime.now(UTC), tickets)))
        yield Stack(broker, policy, folder, worker)


class Console:
    """One `slastream console`; its log is kept for the message of a test that fails."""

    def __init__(self, stack: Stack, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log_path = stack.folder / f"console-{self.port}.log"
        command = [
            sys.executable, "-m", "slastream.cli", "console", "--broker", stack.broker, "--policy", str(stack.policy),
            "--listen", f"127.0.0.1:{self.port}", *arguments,
        ]  # fmt: skip
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=REPOSITORY)

    def wait_ready(self) -> None:
        wait_until(self._is_ready, 60, f"the console is ready; see {self.log_path}")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log_path.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (HTTPError, URLError, ConnectionError, TimeoutError):
            return False

    def terminate(self) -> int:
        """SIGTERM; its exit status."""
        self.process.terminate()
        return self.process.wait(40)


@contextmanager
def console(stack: Stack, *arguments: str, port: int | None = None) -> Iterator[Console]:
    """A console that has read what was there; killed at the end of its block if it still runs."""
    made = Console(stack, *arguments, port=port)
    try:
        made.wait_ready()
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait(10)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="console-") as name, stack(Path(name)) as running:
        tokens = Path(name, "tokens")
        tokens.write_text(TOKEN)
        with console(running, "--token-file", str(tokens), "--public", port=int(sys.argv[1])) as made:
            print(f"{made.address}  broker {running.broker}  token {TOKEN}", flush=True)
            made.process.wait()


if __name__ == "__main__":
    main()
