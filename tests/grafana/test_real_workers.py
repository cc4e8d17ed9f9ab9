"""Two real workers on a real broker, scraped by a real Prometheus: the numbers are those of one partition in memory.

They are so before one of the workers is killed in the middle of a burst, after it, and while a third joins: nothing is counted
twice.
"""

import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from export.scenario import POLICY, Values, desk_at, desk_events, values_of

from grafana.boards import board_of
from grafana.prometheus_harness import Prometheus, program, prometheus, wait_until
from slastream.core.units import Instant, format_instant
from slastream.export.collector import Collector
from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import create_topics

REPOSITORY = Path(__file__).parents[2]
PARTITIONS = 4
EVENTS = 12
"""Of the desk: 11 and a late one."""
COUNTED = 'sum(max_over_time(slastream_events_total{topic="sla.tickets"}[10m]))'
"""What all workers counted that ever were, dead ones too."""


class Worker:
    """One `slastream worker` on free ports."""

    def __init__(self, broker: str, policy: Path, log_path: Path) -> None:
        self._log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "slastream.cli", "worker", "--broker", broker, "--policy", str(policy),
                    "--metrics", "127.0.0.1:0", "--session-timeout-seconds", "6",
                ],
                stdout=log, stderr=log, cwd=REPOSITORY,
            )  # fmt: skip
        wait_until(lambda: self._said() is not None or self.process.poll() is not None, 60, "metrics are served")
        found = self._said()
        assert found is not None, log_path.read_text()[-3000:]
        self.address = found[1]

    def _said(self) -> "re.Match[str] | None":
        return re.search(r"metrics at http://([\d.:]+)/metrics", self._log_path.read_text())

    def get(self, path: str) -> str:
        """The text of an answer; empty when it is none of 200."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def values(self) -> Values:
        """The series of tickets."""
        return compared(self.get("/metrics"))

    def end(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)


@pytest.mark.broker
def test_numbers_of_real_workers_are_right_before_and_after_one_is_killed(tmp_path: Path) -> None:
    program("prometheus")
    now = Instant(time.time_ns() // 1000)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    expected = expected_values(now)
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaBroker.start(tmp_path / "kafka"))
        asyncio.run(create_topics(kafka.address, PARTITIONS))
        workers = []
        for name in ("w1", "w2"):
            workers.append(Worker(kafka.address, policy, tmp_path / f"{name}.log"))
            stack.callback(workers[-1].end)
        wait_until(lambda: all(is_ready(each) for each in workers), 60, "both workers own partitions and are ready")
        server = stack.enter_context(scraping(workers, tmp_path))
        asyncio.run(feed(kafka.address, desk_events(now)))
        wait_until(lambda: union(workers) == expected, 60, "the workers show what was fed")
        wait_until(lambda: server.value('sum(slastream_rejected_total{reason="not_json"})') == 1, 20, "it is scraped")
        seen = "min(count_over_time(sla_verdicts_total[1m]))"
        wait_until(lambda: (server.value(seen) or 0) >= 2, 20, "twice")
        every_panel_is_answered(server)
        assert server.value(COUNTED) == EVENTS
        more = burst(now)
        expected = expected_values(now, more)
        asyncio.run(feed(kafka.address, more, lambda: workers[0].end()))
        wait_until(lambda: shows(workers[1:], expected), 60, "the other worker shows all of it")
        wait_until(lambda: "ready" in workers[1].get("/readyz"), 20, "and is ready")
        breached = 'sum(max without (instance) (sla_clocks{status="breached"}))'
        wait_until(lambda: server.value(breached) == 2, 20, "so does Prometheus")
        workers.append(Worker(kafka.address, policy, tmp_path / "w3.log"))
        stack.callback(workers[-1].end)
        wait_until(lambda: shows(workers[1:], expected) and is_ready(workers[2]), 60, "a third takes its part over")
        counted = server.value(COUNTED) or 0
        assert EVENTS < counted <= EVENTS + len(more), (
            "none twice; those may be missing that nobody scraped before the kill"
        )
        workers[1].process.terminate()
        assert workers[1].process.wait(40) == 0


def burst(now: Instant) -> list[bytes]:
    """A hundred tickets, opened and answered."""
    at = format_instant(now)
    found = []
    for number in range(100):
        common = {"ticket_id": f"BURST-{number}", "occurred_at": at, "source": "burst"}
        opened = {"service": "web", "status": "new", "priority": "P4"}
        found.append(orjson.dumps({**common, "sequence": 1, "type": "created", "ticket": opened}))
        answer = {"author": "agent", "public": True}
        found.append(orjson.dumps({**common, "sequence": 2, "type": "message", "message": answer}))
    return found


def shows(workers: list[Worker], expected: Values) -> bool:
    """Whether they show what they should; what they show meanwhile is never more of a counter."""
    found = union(workers)
    for key, value in found.items():
        assert value <= expected[key] or not key[0].startswith(("sla_verdicts", "sla_duration")), key
    return found == expected


def expected_values(now: Instant, more: Sequence[bytes] = ()) -> Values:
    """What one collector over partitions in memory shows of the same events."""
    desk = desk_at(now)
    desk.feed(more, now, tick=False)
    collector = Collector(desk.policy, desk.runtime)
    asyncio.run(collector.refresh())
    return compared(collector.text(is_openmetrics=False).decode())


def compared(text: str) -> Values:
    """What is made from state, but for time in hand: that goes on with each worker's partition time."""
    return {
        key: value
        for key, value in values_of(text).items()
        if key[0].startswith("sla_") and key[0] != "sla_handoff_seconds_total"
    }


def is_ready(worker: Worker) -> bool:
    owned = re.search(r"^slastream_partition_owned\{", worker.get("/metrics"), re.MULTILINE)
    return owned is not None and bool(worker.get("/readyz"))


def union(workers: list[Worker]) -> Values:
    """All series; a key is on one worker only."""
    found: Values = {}
    for worker in workers:
        for key, value in worker.values().items():
            assert key not in found, f"two workers show {key}"
            found[key] = value
    return found


@contextmanager
def scraping(workers: list[Worker], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that has seen both workers twice before anything happens."""
    targets = orjson.dumps([worker.address for worker in workers]).decode()
    config = (
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: slastream, static_configs: [{{targets: {targets}}}]}}]\n"
    )
    with prometheus(config, folder) as server:
        times = "min(count_over_time(slastream_series[1m]))"
        wait_until(lambda: (server.value(times) or 0) >= 2, 30, "two scrapes of each worker")
        yield server


async def feed(broker: str, lines: list[bytes], in_the_middle: Callable[[], None] = lambda: None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)
    await producer.start()
    try:
        for number, line in enumerate(lines):
            if number == len(lines) // 2:
                in_the_middle()
            key = orjson.loads(line)["ticket_id"].encode() if line.startswith(b"{") else b"none"
            await producer.send_and_wait("sla.tickets", line, key=key)
    finally:
        await producer.stop()


def every_panel_is_answered(server: Prometheus) -> None:
    board = board_of("Tickets")
    for panel in board.panels:
        for expr in panel.expressions:
            assert server.query(board.expanded(server, expr)), expr
