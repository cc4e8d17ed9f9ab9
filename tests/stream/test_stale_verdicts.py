"""A verdict that is repeated after a newer one of its clock changes nothing, also when stage 2 was restored between."""

import json
from collections.abc import Sequence
from pathlib import Path

import orjson

from slastream.app import load_policy_path, make_stages
from slastream.stream.stage import Cut, Processor, Record

POLICY = """
version: 1
agreements: {a: {kind: sla, objective: {target: 90%, period: month}, promises: {r: {metric: resolution, within: 2h}}}}
"""


def apply(
    processor: Processor, topic: str, records: Sequence[tuple[bytes | None, bytes | None]], first: int = 0
) -> Cut:
    for offset, (key, value) in enumerate(records, first):
        processor.apply(Record(topic, 0, offset, 1_772_500_000_000_000, key, value, ()))
    return processor.cut()


def event(hour: int, status: str, service: str) -> tuple[bytes, bytes]:
    ticket = {"status": status, "service": service}
    return b"T", json.dumps(
        {"ticket_id": "T", "occurred_at": f"2026-03-02T{hour:02}:00:00Z", "ticket": ticket}
    ).encode()


def compliance(cut: Cut) -> dict[bytes | None, object]:
    return {output.key: orjson.loads(output.value or b"") for output in cut.outputs}


def test_a_verdict_that_comes_again_after_a_newer_one_changes_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    tickets, services = make_stages(load_policy_path(policy))
    stories = [event(8, "new", "web"), event(9, "resolved", "mail")]
    verdicts = [
        (output.key, output.value)
        for output in apply(tickets.make(0), "sla.tickets", stories).outputs
        if output.topic == "sla.verdicts"
    ]
    assert len(verdicts) == 3, "running in web, taken out of web, met in mail"
    once = services.make(0)
    first = apply(once, "sla.verdicts", verdicts)
    expected = compliance(first)
    again = {**expected, **compliance(apply(once, "sla.verdicts", verdicts, first=3))}
    assert again == expected
    stale = {**expected, **compliance(apply(once, "sla.verdicts", verdicts[:1], first=6))}
    assert stale == expected
    restored = services.make(0)
    for key, value in first.state:
        assert value is not None
        restored.restore(key, value)
    restored.restored()
    after = {**expected, **compliance(apply(restored, "sla.verdicts", verdicts[:2], first=9))}
    assert after == expected
