"""The benchmarks run: their loads are what they say, and a quick run with our own programs gives numbers."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from benchmarks import load
from slastream.app import replay_events

REPOSITORY = Path(__file__).parents[2]
END = datetime(2026, 3, 2, tzinfo=UTC)


def test_counter_events_have_160_bytes_and_are_json() -> None:
    events = list(load.counter_events(1_000))
    assert {len(value) for _, value in events} == {load.COUNTER_BYTES}
    assert all(orjson.loads(value)["service"] == key.decode() for key, value in events)


@pytest.mark.parametrize("count", [5, 8, 50])
def test_each_ticket_has_its_number_of_events_in_the_order_of_time(count: int) -> None:
    events = list(load.ticket_events(40, count, end=END))
    assert set(Counter(key for key, _ in events).values()) == {count}
    times = [orjson.loads(value)["occurred_at"] for _, value in events]
    assert times == sorted(times)


@pytest.mark.parametrize("agreements", [1, 10, 100])
def test_every_ticket_has_two_clocks_whatever_the_number_of_agreements(agreements: int) -> None:
    lines = [value for _, value in load.ticket_events(50, end=END)]
    made = replay_events(load.policy_text(agreements), lines)
    assert Counter(each["kind"] for each in made)["verdict"] == 100
    assert not [each for each in made if each["kind"] == "rejected"]


@pytest.mark.broker
def test_a_quick_run_measures_our_own_programs(tmp_path: Path) -> None:
    measures = ["counter", "tickets", "services"]
    command = [sys.executable, "-m", "benchmarks", *measures, "--quick", "--runs", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    results = orjson.loads((tmp_path / "results.json").read_bytes())
    assert list(results) == measures
    for name in measures:
        rows = results[name]["rows"]
        assert rows, done.stdout
        assert all(row["rate"] > 0 and row["cpu_us"] > 0 for row in rows.values())
    assert "slastream lane, exactly_once" in (tmp_path / "RESULTS.md").read_text()
