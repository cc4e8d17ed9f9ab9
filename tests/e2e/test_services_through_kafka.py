"""Monitoring through Kafka and two workers, one of them killed: what a replay of the same events says."""

import asyncio
import lzma
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from e2e_harness import (
    Json,
    Worker,
    broker_with_topics,
    committed_records,
    facts,
    read,
    slastream,
    wait_until,
    wait_until_consumed,
)

pytestmark = pytest.mark.broker

REPOSITORY = Path(__file__).parents[2]
POLICY = """\
version: 1
services:
  shop: {depends_on: [svc-1, svc-2], combine: best}
  svc-1: {components: {a: {}, b: {}}}
agreements:
  gold:
    kind: sla
    promises:
      daily: {metric: availability, target: 99%, window: day, alerts: burn_rate}
      hourly: {metric: availability, target: 95%, window: 6h}
      success: {metric: success, target: 99.5%, window: day}
"""


def synthetic() -> list[Json]:
    """Two weeks of six services: outages, heartbeats, counts, maintenance declared afterwards, in the order of a backfill."""
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=14)

    def at(hours: float) -> str:
        return (begin + timedelta(hours=hours)).isoformat()

    found: list[Json] = []
    for hour in range(14 * 24):
        for number in range(6):
            service = f"svc-{number}"
            is_down = (hour * 7 + number * 13) % 61 < 2
            component = "ab"[hour % 2] if number == 1 else None
            found.append(
                {
                    "service": service,
                    "component": component,
                    "occurred_at": at(hour),
                    "state": "down" if is_down else "up",
                }
            )
            good = 100 if not is_down else 90
            found.append(
                {
                    "service": service,
                    "occurred_at": at(hour + 0.5),
                    "interval": "60s",
                    "counts": {"good": good, "total": 100},
                }
            )
    found.extend({
        "maintenance_id": f"CHG-{number}", "service": f"svc-{number}", "occurred_at": at(300), "revision": 1,
        "start": at(number * 61), "end": at(number * 61 + 12),
    } for number in range(3))  # fmt: skip
    return found


def key(fact: Json) -> tuple[Any, ...]:
    return tuple(
        fact.get(name) for name in ("service", "agreement", "promise", "fact", "threshold", "at", "predicted_at")
    )


def standing(lines: list[Json]) -> set[tuple[Any, ...]]:
    by_id = {line["id"]: line for line in lines}
    gone = {line["retracts"] for line in by_id.values()}
    return {key(line) for id, line in by_id.items() if line["fact"] != "retracted" and id not in gone}


def windows(broker: str) -> dict[tuple[str, ...], Json]:
    """The newest line of each calendar window."""
    found: dict[tuple[str, ...], Json] = {}
    for record in asyncio.run(read(broker, "sla.compliance")):
        line = orjson.loads(record.value)
        if line["kind"] == "availability" and not line["window"]["kind"].endswith(("h", "d")):
            found[line["service"], line["promise"], line["window"]["start"]] = line
    return found


def replayed(policy: Path, events: Path, until: str, show: str) -> list[Json]:
    done = slastream("replay", str(policy), str(events), "--until", until, "--show", show)
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def check(folder: Path, policy: Path, events: Path, count: int, until: str, delivery: str = "exactly_once") -> None:
    """Facts and windows before `until` through Kafka are those of a replay, though a worker is killed (kill -9) meanwhile."""
    mode = "--delivery", delivery
    with broker_with_topics(folder / "kafka") as broker:
        done = slastream("import", "native", str(events), "--broker", broker)
        assert done.returncode == 0, done.stderr
        with (
            Worker(broker, policy, folder / "one.log", *mode) as one,
            Worker(broker, policy, folder / "two.log", *mode) as two,
        ):
            wait_until(lambda: committed_records(broker, "sla.monitoring") > count // 3, 120, "a third is read")
            one.kill()
            wanted = {key(line) for line in replayed(policy, events, until, "facts")}
            wait_until(
                lambda: {fact for fact in standing(facts(broker)) if fact[5] < until} >= {f for f in wanted if f[5] < until},
                120, "every fact is there: the partitions of the killed worker are taken over, and time is past them", 1,
            )  # fmt: skip
            wait_until_consumed(broker, two)
            two.terminate()
        found = facts(broker)
        ids = [line["id"] for line in found]
        if delivery == "exactly_once":
            assert len(ids) == len(set(ids)), "with transactions every fact is there once"
        assert wanted
        assert {one for one in standing(found) if one[5] < until} == {one for one in wanted if one[5] < until}
        lines = [line for line in replayed(policy, events, until, "availability") if line["window"]["end"] <= until]
        seen = windows(broker)
        compared = 0
        for line in lines:
            if not line["window"]["kind"].endswith(("h", "d")):
                compared += 1
                assert seen[line["service"], line["promise"], line["window"]["start"]] == line
        assert compared > 50


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_two_workers_of_which_one_is_killed_say_what_a_replay_says(tmp_path: Path, delivery: str) -> None:
    events, policy = tmp_path / "events.jsonl", tmp_path / "policy.yaml"
    lines = synthetic()
    events.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    policy.write_text(POLICY)
    until = (datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)).strftime(
        "%Y-%m-%dT00:00:00Z"
    )
    check(tmp_path, policy, events, len(lines), until, delivery)


def test_the_history_of_a_status_page_through_kafka(tmp_path: Path, shared: Path) -> None:
    checks, events = tmp_path / "checks.csv", tmp_path / "events.jsonl"
    checks.write_bytes(lzma.decompress((shared / "data/upptime/foodcoopx.checks.csv.xz").read_bytes()))
    mapping = REPOSITORY / "examples/upptime/mapping.yaml"
    done = slastream("import", str(mapping), str(checks), "--out", str(events))
    assert done.returncode == 0, done.stderr
    count = len(events.read_bytes().splitlines())
    check(tmp_path, REPOSITORY / "examples/upptime/policy.yaml", events, count, "2026-08-01T00:00:00Z")
