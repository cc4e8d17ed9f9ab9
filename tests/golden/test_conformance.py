"""The acceptance scenarios of `../shared/conformance`, run in this process; its own runner compares."""

import importlib.machinery
import importlib.util
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from slastream.app import load_policy_path, replay
from slastream.core.targets import due, parse_target
from slastream.core.units import format_instant, parse_instant, seconds_text

FILES = ("tickets", "credits", "rejects", "availability")


def runner(shared: Path) -> Any:
    loader = importlib.machinery.SourceFileLoader("conformance_run", str(shared / "conformance" / "run"))
    spec = importlib.util.spec_from_loader("conformance_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def scenarios(shared: Path, name: str) -> list[dict[str, Any]]:
    return list(json.loads((shared / "conformance" / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", FILES)
def test_the_scenarios_of(name: str, shared: Path, tmp_path: Path) -> None:
    run = runner(shared)
    for case in scenarios(shared, name):
        (tmp_path / "policy.yaml").write_text(run.policy_text(case), encoding="utf-8")
        for file, text in case.get("files", {}).items():
            (tmp_path / file).write_text(text, encoding="utf-8")
        policy = load_policy_path(tmp_path / "policy.yaml")
        lines = [run.line_bytes(line) for line in (case["lines"] if "lines" in case else run.expand(case["events"]))]
        lines = lines * 2 if case.get("duplicate") else lines
        first: list[bytes] | None = None
        for seed in (None, *case.get("shuffle", [])):
            order = list(lines)
            if seed is not None:
                random.Random(int(seed)).shuffle(order)
            numbered = [("events", number, line) for number, line in enumerate(order, 1) if line.strip()]
            result = replay(policy, partial(iter, numbered), parse_instant(case["until"]), case["show"])
            shown = [orjson.dumps(line) for line in result.lines]
            run.Runner.compare(run.loads(json.dumps(case)), [run.loads(line.decode()) for line in shown], case["id"])
            assert first is None or shown == first, f"{case['id']}: another order, another output"
            first = shown
            if "expect_rejected" in case:
                wanted = {(one["line"], one.get("reason"), one.get("path")) for one in case["expect_rejected"]}
                found = {one.line: one for one in result.rejected}
                assert set(found) == {line for line, _, _ in wanted}, case["id"]
                for line, reason, path in wanted:
                    assert reason in (None, found[line].reason), case["id"]
                    assert path in (None, found[line].path), case["id"]


def test_the_scenarios_of_calendars(shared: Path, tmp_path: Path) -> None:
    for case in scenarios(shared, "calendar"):
        given = case["calendar"]
        calendar = {
            "timezone": given["timezone"],
            "hours": {day: ["-".join(period) for period in periods] for day, periods in given["hours"].items()},
            "holidays": [*given["holidays"], *given["annual_holidays"]],
        }
        path = tmp_path / "policy.yaml"
        path.write_text(json.dumps({"version": 1, "timezone": given["timezone"], "calendars": {"c": calendar}}))
        hours = load_policy_path(path).calendars["c"]
        start = parse_instant(case["start"])
        if case["op"] == "due":
            assert format_instant(due(hours, start, parse_target(f"{case['seconds']}s"))) == case["expected"], case[
                "id"
            ]
        else:
            open_us = hours.open_between(start, parse_instant(case["end"]))
            assert float(seconds_text(open_us)) == case["expected_seconds"], case["id"]
