"""The oracle against the acceptance scenarios of tickets: expected values that nobody here worked out."""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .hours import micros, rfc3339
from .naive import evaluate

SCENARIOS = Path(__file__).parents[3] / "shared" / "conformance" / "tickets.json"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
STEPS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def scenarios() -> list[Any]:
    """Those that ask for verdicts or facts; shares of a period are not the oracle's business."""
    if not SCENARIOS.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no scenarios at {SCENARIOS}"))]
    cases = json.loads(SCENARIOS.read_text(encoding="utf-8"), parse_float=Decimal)
    return [pytest.param(case, id=case["id"]) for case in cases if case["show"] in ("verdicts", "facts")]


@pytest.mark.parametrize("case", scenarios())
def test_the_oracle_gives_the_expected_lines(case: dict[str, Any]) -> None:
    lines = evaluate(case["policy"], expanded(case), case["until"], case.get("files"))
    lines = [line for line in lines if line["kind"] + "s" == case["show"]]
    for want in case["expect"]:
        assert any(is_part(want, line) for line in lines), (want, lines)
    for want in case.get("expect_absent", []):
        assert not any(is_part(want, line) for line in lines), want
    for want in case.get("expect_count", []):
        assert sum(is_part(want["match"], line) for line in lines) == want["count"], want


def expanded(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a scenario, those of a series one by one."""
    events: list[dict[str, Any]] = []
    for event in case["events"]:
        if "series" not in event:
            events.append(event)
            continue
        series = event["series"]
        at, end = (datetime.fromisoformat(series[side]) for side in ("from", "until"))
        step = timedelta(**{STEPS[series["step"][-1]]: int(series["step"][:-1])})
        while at < end:
            events.append({**event["event"], "occurred_at": at.isoformat()})
            at += step
    return events * 2 if case.get("duplicate") else events


def is_part(want: dict[str, Any], line: dict[str, Any]) -> bool:
    """Are the fields of `want` among those of `line`, instants compared as instants?"""
    return all(name in line and plain(value) == plain(line[name]) for name, value in want.items())


def plain(value: Any) -> Any:
    return rfc3339(micros(value)) if isinstance(value, str) and INSTANT.fullmatch(value) else value
