"""The digest of a report: the same for the same evidence, another one for any other."""

import hashlib
import json
from pathlib import Path

import pytest

from slastream.app import lines_of_files, load_policy_path, read_log, service_level_report
from slastream.core.units import parse_instant
from slastream.report.evidence import evidence_lines
from slastream.report.report_period import parse_period

from .report_scenario import POLICY, Event, ticket, worked_example


def digest(folder: Path, events: list[Event], customer: str | None = "acme", policy: str = POLICY) -> str:
    (folder / "policy.yaml").write_text(policy)
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    lines = lines_of_files([str(folder / "events.jsonl")])
    return service_level_report(
        load_policy_path(folder / "policy.yaml"), lines, parse_period("2026-05"), customer
    ).digest


def test_order_and_repetition_change_nothing(tmp_path: Path) -> None:
    events = worked_example()
    assert digest(tmp_path, events) == digest(tmp_path, [*reversed(events), *events[:10]])


@pytest.mark.parametrize(
    "more",
    [
        ticket(85, "2026-05-20T16:00:00Z", "closed"),
        {
            "ticket_id": "T-001",
            "occurred_at": "2026-05-20T16:00:00Z",
            "type": "rated",
            "rating": {"score": 1, "scale": 5},
        },
        {"service": "mail", "occurred_at": "2026-05-20T16:00:00Z", "state": "down", "expires_after": "1m"},
    ],
)
def test_what_is_of_the_customer_changes_it(tmp_path: Path, more: Event) -> None:
    assert digest(tmp_path, worked_example()) != digest(tmp_path, [*worked_example(), more])


def test_a_ticket_of_another_customer_changes_only_the_digest_of_all(tmp_path: Path) -> None:
    events = worked_example()
    more = [*events, ticket(900, "2026-05-20T16:00:00Z", "new", service="shop")]
    assert digest(tmp_path, events) == digest(tmp_path, more)
    assert digest(tmp_path, events, None) != digest(tmp_path, more, None)


def test_another_text_of_the_policy_changes_it(tmp_path: Path) -> None:
    events = worked_example()
    assert digest(tmp_path, events) != digest(tmp_path, events, policy=POLICY + "# signed\n")


def test_the_digest_can_be_made_by_hand(tmp_path: Path) -> None:
    events = worked_example()
    found = digest(tmp_path, events, None)
    policy = load_policy_path(tmp_path / "policy.yaml")
    end = parse_instant("2026-06-01T00:00:00+02:00")
    read = read_log(policy, lines_of_files([str(tmp_path / "events.jsonl")]), end)
    read.engine.close()
    lines = [{"kind": "policy", "version": policy.version}, *evidence_lines(read.engine, read.services, None, end)]
    text = "".join(json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for one in lines)
    kinds = {one["kind"] for one in lines}
    assert kinds == {"policy", "ticket", "verdict", "availability"}
    assert hashlib.sha256(text.encode()).hexdigest() == found
