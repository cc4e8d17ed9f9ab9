"""The story of a service: the text of the page, and parts that add up to the line."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from oracle.drawn_services import SPAN, events_of, instant, policy_of, services

from slastream.core.units import parse_instant
from slastream.errors import PolicyError
from slastream.report.explain_service import explain_service
from slastream.wire.policy_file import load_policy

POLICY = {
    "version": 1,
    "timezone": "Europe/Berlin",
    "agreements": {"gold": {"kind": "sla", "promises": {"uptime": {
        "metric": "availability", "target": "99.9%", "window": "day",
    }}}},
}  # fmt: skip
EVENTS = [
    {"event_id": "e1", "service": "mail", "occurred_at": "2026-03-01T00:00:00Z", "state": "up"},
    {"event_id": "e2", "service": "mail", "occurred_at": "2026-03-02T09:00:00Z", "state": "down"},
    {"event_id": "e3", "service": "mail", "occurred_at": "2026-03-02T09:10:00Z", "state": "up"},
    {"maintenance_id": "CHG-9", "service": "mail", "occurred_at": "2026-03-02T08:00:00Z", "start": "2026-03-02T22:00:00Z",
     "end": "2026-03-03T02:00:00Z"},
]  # fmt: skip


def told(policy: Any, events: list[Any], until: str, format: str = "text", service: str = "mail") -> list[str]:
    loaded = load_policy([("policy.yaml", orjson.dumps(policy).decode())], lambda name: b"")
    lines = [("events", number, orjson.dumps(event)) for number, event in enumerate(events, 1)]
    return list(explain_service(loaded, lambda: iter(lines), service, None, parse_instant(until), format))


def test_the_page_shows_what_is_told() -> None:
    page = (Path(__file__).parents[2] / "docs/explain.md").read_text(encoding="utf-8")
    shown = next(block for block in re.findall(r"```\n(.*?)```", page, re.DOTALL) if block.startswith("mail"))
    assert "\n".join(told(POLICY, EVENTS, "2026-03-02T23:00:00Z")) == shown.rstrip()


def test_a_service_of_which_nothing_was_heard_is_named() -> None:
    with pytest.raises(PolicyError, match="did you mean mail"):
        told(POLICY, EVENTS, "2026-03-02T23:00:00Z", service="mial")


@settings(max_examples=60, deadline=None)
@given(services())
def test_the_stretches_add_up_to_the_line(service: Any) -> None:
    *stretches, line = map(
        orjson.loads, told(policy_of(service, "day"), events_of(service), instant(SPAN), format="jsonl")
    )
    for name in ("good_seconds", "bad_seconds", "excluded_seconds", "unknown_seconds"):
        total = sum(Fraction(one.get(name, 0)) for one in stretches)
        assert float(total) == pytest.approx(line[name], abs=1e-6)
    assert [one["end"] for one in stretches[:-1]] == [one["start"] for one in stretches[1:]]
