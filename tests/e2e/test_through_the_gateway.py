"""From an HTTP request to a fact: what is sent to the gateway, twice, is judged by a worker once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from e2e_harness import Worker, broker_with_topics, facts, verdicts, wait_until
from web.gateway_harness import GatewayProcess

pytestmark = pytest.mark.broker

POLICY = """\
version: 1
agreements:
  desk:
    kind: sla
    promises:
      resolution: {metric: resolution, within: 1h}
"""


def test_what_is_sent_twice_is_judged_once(tmp_path: Path) -> None:
    policy, now = tmp_path / "policy.yaml", datetime.now(UTC)
    policy.write_text(POLICY)

    def line(ticket: str, ago: timedelta, status: str) -> dict[str, object]:
        attributes = {"service": "mail", "status": status, "priority": "P1", "type": "incident"}
        return {"ticket_id": ticket, "occurred_at": (now - ago).isoformat(), "ticket": attributes}

    batch = orjson.dumps(
        [
            line("LATE", timedelta(hours=3), "open"),
            line("LATE", timedelta(hours=1), "resolved"),
            line("GOOD", timedelta(minutes=30), "open"),
            line("GOOD", timedelta(minutes=10), "resolved"),
        ]
    )
    with (
        broker_with_topics(tmp_path / "kafka") as broker,
        GatewayProcess(broker, tmp_path) as gateway,
        Worker(broker, policy, tmp_path / "worker.txt") as worker,
    ):
        gateway.wait_ready()
        first, second = gateway.post("/v1/events", batch), gateway.post("/v1/events", batch)
        assert (first.status, first.json) == (second.status, second.json)

        def is_judged() -> bool:
            worker.must_run()
            return {line["ticket_id"]: line["status"] for line in verdicts(broker).values()} == {
                "LATE": "breached", "GOOD": "met",
            }  # fmt: skip

        wait_until(is_judged, 60, "both are judged")
        worker.terminate()
        told = [(line["ticket_id"], line["fact"]) for line in facts(broker)]
    assert sorted(told) == [("LATE", "breached"), ("LATE", "met_late")]
