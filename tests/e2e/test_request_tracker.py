"""A ticket in a real Request Tracker: what people do to it moves our clocks."""

from pathlib import Path

import pytest
from e2e_harness import Worker, broker_with_topics, verdicts, wait_until
from web.gateway_harness import GatewayProcess
from web.real_systems import program, request_tracker

pytestmark = pytest.mark.broker

TOKEN = "token-of-request-tracker"
POLICY = """\
version: 1
agreements:
  desk:
    kind: sla
    promises:
      response: {metric: first_response, within: 1h}
      resolution: {metric: resolution, within: 4h, pause: {status: pending}}
"""


def test_a_ticket_of_request_tracker_moves_the_clocks(tmp_path: Path) -> None:
    """
    create     reply of ann   stalled   open      resolved   open again
    response   met
    running    running        paused    running   met        running
    """
    program("rt-setup-database-5")
    policy, config = tmp_path / "policy.yaml", tmp_path / "gateway.yaml"
    policy.write_text(POLICY)
    (tmp_path / "token").write_text(TOKEN)
    config.write_text("version: 1\nsources:\n  desk: {adapter: request-tracker, bearer_file: token}\n")
    with (
        broker_with_topics(tmp_path / "kafka") as broker,
        GatewayProcess(broker, tmp_path, "--config", str(config)) as gateway,
        Worker(broker, policy, tmp_path / "worker.txt") as worker,
    ):
        gateway.wait_ready()

        def clocks() -> dict[str, str]:
            worker.must_run()
            return {line["promise"]: line["status"] for line in verdicts(broker).values()}

        with request_tracker(tmp_path, gateway.address, TOKEN) as do:
            for action, response, resolution in (
                ("create bob Mail is down", "running", "running"),
                ("reply bob Is anybody there?", "running", "running"),
                ("note ann Looks like the disk", "running", "running"),
                ("reply ann We look at it", "met", "running"),
                ("status ann stalled", "met", "paused"),
                ("status ann open", "met", "running"),
                ("status ann resolved", "met", "met"),
                ("status ann open", "met", "running"),
            ):
                do(action)
                expected = {"response": response, "resolution": resolution}
                wait_until(lambda: clocks() == expected, 60, f"{action}: {expected}, not {clocks()}")  # noqa: B023
        worker.terminate()
    assert " 202 " in gateway.log
    assert not [line for line in gateway.log.splitlines() if "request-tracker" in line and " 202 " not in line]
