"""A backfill into Kafka that is run again adds nothing: events of the adapters past a worker, and one that was killed."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e_harness import (
    PARTITIONS,
    REPOSITORY,
    Worker,
    broker_with_topics,
    facts,
    read,
    slastream,
    verdicts,
    wait_until,
    wait_until_consumed,
)

pytestmark = pytest.mark.broker

POLICY = """\
version: 1
agreements:
  desk:
    kind: sla
    promises:
      response: {metric: first_response, within: 1m}
      resolution: {metric: resolution, within: 30m}
"""
ADAPTERS = ("jira", "zammad", "zendesk", "glpi", "request-tracker")


def test_second_import_changes_no_verdict_and_publishes_no_fact(tmp_path: Path) -> None:
    policy, events = tmp_path / "policy.yaml", tmp_path / "events.jsonl"
    policy.write_text(POLICY, encoding="utf-8")
    cases = [p for name in ADAPTERS for p in (REPOSITORY / "tests/ingest/payloads" / name).glob("*.json")]
    lines = [
        json.dumps(e) for path in cases for e in json.loads(path.read_text(encoding="utf-8"))["expected"]["events"]
    ]
    events.write_text("\n".join(lines), encoding="utf-8")
    with broker_with_topics(tmp_path / "kafka") as broker:

        def imported() -> str:
            done = slastream("import", "native", str(events), "--broker", broker)
            assert done.returncode == 0, done.stderr
            wait_until_consumed(broker, worker)
            return done.stderr

        with Worker(broker, policy, tmp_path / "worker.log") as worker:
            assert f"{len(lines)} events written, 0 refused" in imported()
            first = verdicts(broker), declared(broker)
            assert len(first[0]) == 2 * len(ADAPTERS)
            assert first[1]
            log = backfilled(broker)
            assert f"0 events written, {len(lines)} were there already, 0 refused" in imported()
            assert (verdicts(broker), declared(broker)) == first
            assert backfilled(broker) == log
            worker.terminate()


def test_an_import_that_was_killed_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    lines = [
        json.dumps({"ticket_id": f"T-{number % 997}", "occurred_at": "2026-03-02T10:00:00Z", "sequence": number})
        for number in range(60_000)
    ]
    events.write_text("\n".join(lines), encoding="utf-8")
    with broker_with_topics(tmp_path / "kafka") as broker:
        command = [sys.executable, "-m", "slastream.cli", "import", "native", str(events), "--broker", broker]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as first:
            wait_until(lambda: len(backfilled(broker)) > 1000 or first.poll() is not None, 60, "it writes")
            first.kill()
        assert first.returncode == -9, "it ended before it was killed; make it longer"
        before = len(backfilled(broker))
        assert "end" not in phases(broker)
        done = slastream("import", "native", str(events), "--broker", broker)
        assert done.returncode == 0, done.stderr
        assert f"{before - PARTITIONS} were there already" in done.stderr
        assert phases(broker)["end"] == PARTITIONS
        values = Counter(record for record in backfilled(broker) if b"ticket_id" in record)
        assert values == Counter(line.encode() for line in lines)


def test_an_event_of_the_longest_line_is_imported(tmp_path: Path) -> None:
    event = {"ticket_id": "T" * 500, "occurred_at": "2026-03-02T10:00:00Z", "ticket": {"title": ""}}
    event["ticket"] = {"title": "x" * (1024 * 1024 - len(json.dumps(event)))}
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(event), encoding="utf-8")
    with broker_with_topics(tmp_path / "kafka") as broker:
        done = slastream("import", "native", str(events), "--broker", broker)
        assert (done.returncode, done.stderr) == (0, "1 events written, 0 refused\n")
        assert json.dumps(event).encode() in backfilled(broker)


def declared(broker: str) -> list[str]:
    """Facts, sorted: they come from several partitions."""
    return sorted(json.dumps(fact) for fact in facts(broker))


def backfilled(broker: str) -> list[bytes]:
    """What backfills wrote of tickets, marks too, sorted."""
    return sorted(record.value for record in _records(broker))


def phases(broker: str) -> Counter[str]:
    return Counter(dict(record.headers)["backfill"].decode() for record in _records(broker))


def _records(broker: str) -> list[Any]:
    return [record for record in asyncio.run(read(broker, "sla.tickets")) if "backfill" in dict(record.headers)]
