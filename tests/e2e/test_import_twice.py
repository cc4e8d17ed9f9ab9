"""A backfill into Kafka that is run again adds nothing: events of the adapters, imported twice, past a worker."""

import json
from pathlib import Path

import pytest
from e2e_harness import REPOSITORY, Worker, broker_with_topics, facts, slastream, verdicts, wait_until_consumed

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
            first = verdicts(broker), facts(broker)
            assert len(first[0]) == 2 * len(ADAPTERS)
            assert first[1]
            imported()
            assert (verdicts(broker), facts(broker)) == first
            worker.terminate()
