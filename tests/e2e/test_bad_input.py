"""What goes wrong around a worker: no broker, topics that do not fit together, a line that is no event."""

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from e2e_harness import (
    PARTITIONS,
    Worker,
    broker_with_topics,
    produce,
    read,
    slastream,
    verdicts,
    wait_until,
    wait_until_consumed,
)

from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import create_topics

pytestmark = pytest.mark.broker

NOWHERE = "127.0.0.1:9"
TABLE = "slastream-tickets-changelog"
POLICY = """\
version: 1
timezone: UTC
calendars:
  always: {timezone: UTC, hours: {mon-sun: ["00:00-24:00"]}}
agreements:
  desk:
    kind: sla
    rank: 1
    match: {}
    calendar: always
    promises:
      resolution: {metric: resolution, within: 4h}
"""
GOOD = 20


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def good_event(ticket_id: str) -> tuple[bytes, bytes]:
    line = {
        "ticket_id": ticket_id,
        "occurred_at": datetime.now(UTC).isoformat(),
        "ticket": {"service": "mail", "status": "open"},
    }
    return ticket_id.encode(), orjson.dumps(line)


def test_the_topics_command_says_in_one_line_that_there_is_no_broker() -> None:
    done = slastream("topics", "check", "--broker", NOWHERE)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert NOWHERE in done.stderr


def test_a_worker_without_a_broker_says_so_in_one_line(policy: Path, tmp_path: Path) -> None:
    with Worker(NOWHERE, policy, tmp_path / "worker.log") as worker:
        wait_until(lambda: f"no Kafka at {NOWHERE}" in worker.log, 30, "it says so")
        worker.must_run()
        assert len(worker.log.splitlines()) == 1, worker.log


def test_a_worker_without_a_broker_keeps_trying_and_works_when_it_comes(policy: Path, tmp_path: Path) -> None:
    with KafkaBroker.start(tmp_path / "kafka") as broker:
        asyncio.run(create_topics(broker.address, PARTITIONS))
        broker.stop()
        with Worker(broker.address, policy, tmp_path / "worker.log") as worker:
            wait_until(lambda: f"no Kafka at {broker.address}" in worker.log, 30, "it says so")
            worker.must_run()
            broker.restart()
            asyncio.run(produce(broker.address, "sla.tickets", [good_event("T-1")]))

            def counts() -> bool:
                worker.must_run()
                return len(verdicts(broker.address)) == 1

            wait_until(counts, 60, "it works as soon as the broker is there")
            worker.terminate()


def test_a_worker_that_refuses_partition_counts_says_what_mends_them(policy: Path, tmp_path: Path) -> None:
    refusal, broker = refused_partition_counts(policy, tmp_path)
    assert f"--delete --topic {TABLE}" in refusal, f"creating what is there already mends nothing: {refusal}"
    assert f"slastream topics create --broker {broker} --partitions {PARTITIONS}" in refusal


def test_a_worker_refuses_topics_of_different_partition_counts(policy: Path, tmp_path: Path) -> None:
    refusal, _ = refused_partition_counts(policy, tmp_path)
    assert f"{TABLE} {PARTITIONS // 2}" in refusal, "which topic, and how many it has"
    assert f"sla.tickets {PARTITIONS}" in refusal


def refused_partition_counts(policy: Path, folder: Path) -> tuple[str, str]:
    """The last line of a worker whose table has half of the partitions, and the broker's address."""
    with KafkaBroker.start(folder / "kafka") as broker:
        asyncio.run(create_topic(broker.address, TABLE, PARTITIONS // 2))
        asyncio.run(create_topics(broker.address, PARTITIONS))
        with Worker(broker.address, policy, folder / "worker.log") as worker:
            assert worker.process.wait(30) == 3, worker.log
        return worker.log.splitlines()[-1], broker.address


async def create_topic(broker: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


def test_a_bad_line_among_good_ones_is_set_aside_and_the_good_ones_count(policy: Path, tmp_path: Path) -> None:
    bad = {
        b'{"ticket_id":"T-3","occurred_at":"2026-03-02T10:05:00"}': ("bad_instant", "occurred_at"),
        b"\xff no JSON at all": ("not_json", "$"),
        b'{"ticket_id":"T-4","ticket":{"status":"closed"}}': ("missing", "occurred_at"),
        b'{"occurred_at":"2026-03-02T10:05:00Z"}': ("unknown_kind", "$"),
    }
    good = [good_event(f"T-{each}") for each in range(GOOD)]
    mixed = [*good[:7], *((b"T-3", line) for line in bad), *good[7:]]
    with broker_with_topics(tmp_path / "kafka") as broker, Worker(broker, policy, tmp_path / "worker.log") as worker:
        asyncio.run(produce(broker, "sla.tickets", mixed))
        wait_until_consumed(broker, worker)
        worker.terminate()
        rejected = [orjson.loads(record.value) for record in asyncio.run(read(broker, "sla.rejected"))]
        counted = {line["ticket_id"] for line in verdicts(broker).values()}
    found = {base64.b64decode(line["original"]): (line["reason"], line["path"]) for line in rejected}
    assert found == bad
    assert len(rejected) == len(bad)
    assert all(line["origin"]["topic"] == "sla.tickets" for line in rejected)
    assert counted == {f"T-{each}" for each in range(GOOD)}


def test_a_bad_line_of_the_longest_record_is_set_aside_whole(policy: Path, tmp_path: Path) -> None:
    """In base64 it is larger than what aiokafka's clients send unless they are told."""
    bad = b'{"ticket_id":"T-1","title":"' + b"x" * (2_000_000) + b'"}'
    with broker_with_topics(tmp_path / "kafka") as broker, Worker(broker, policy, tmp_path / "worker.log") as worker:
        asyncio.run(produce(broker, "sla.tickets", [(b"T-1", bad), good_event("T-2")]))
        wait_until_consumed(broker, worker)
        worker.terminate()
        (rejected,) = [orjson.loads(record.value) for record in asyncio.run(read(broker, "sla.rejected"))]
        assert {each["ticket_id"] for each in verdicts(broker).values()} == {"T-2"}
    assert (rejected["reason"], base64.b64decode(rejected["original"])) == ("too_large", bad)
