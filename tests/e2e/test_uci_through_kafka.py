"""A year of a real service desk through real Kafka: verdicts and facts equal the replay's, also when workers die."""

import csv
import lzma
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e_harness import (
    REPOSITORY,
    Json,
    Worker,
    broker_with_topics,
    committed_records,
    facts,
    verdicts,
    wait_until,
    wait_until_consumed,
)

from slastream.app import load_policy_path, replay
from slastream.core.units import Instant
from slastream.ingest.mapping import load_mapping
from slastream.stream.backfill import write_backfill
from slastream.wire.lines import Json as Line

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

EXAMPLE = REPOSITORY / "examples" / "uci"
PASSING = {"revision", "id", "as_of", "is_at_risk", "corrects"}
"""Fields that tell when and how often a verdict was published."""
RUNNING = {"elapsed_seconds", "remaining_seconds", "paused_seconds", "due_if_resumed_now", "in_hours"}
"""Fields of a clock that still runs: they change with `as_of` alone."""
KILLED_AT = (0.15, 0.45, 0.75)


class Log(NamedTuple):
    events: list[bytes]
    made_sla: dict[str, bool]
    policy: Path


class Outcome(NamedTuple):
    verdicts: dict[str, Json]
    facts: list[Json]


@pytest.fixture(scope="module")
def log(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Log:
    source = next((shared / "data" / "uci_incidents").glob("*.csv.xz"))
    events = list(
        load_mapping(str(EXAMPLE / "mapping.yaml")).run([str(source)], lambda refusal: pytest.fail(str(refusal)))
    )
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text((EXAMPLE / "policy.yaml").read_text() + "\nretention: 3650d\n")
    return Log(events, desks_own_verdicts(source), policy)


def desks_own_verdicts(source: Path) -> dict[str, bool]:
    """`made_sla` of each incident's last row."""
    last: dict[str, tuple[tuple[datetime, int], bool]] = {}
    with lzma.open(source, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.strptime(row["sys_updated_at"], "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
            order = at, int(row["sys_mod_count"])
            if row["number"] not in last or order >= last[row["number"]][0]:
                last[row["number"]] = order, row["made_sla"] == "true"
    return {number: made for number, (_, made) in last.items()}


@pytest.fixture(scope="module")
def undisturbed(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one worker publishes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with broker_with_topics(folder / "kafka") as broker:
        started = time.monotonic()
        assert write_backfill(broker, log.events).written == len(log.events)
        written = time.monotonic()
        with Worker(broker, log.policy, folder / "worker.log") as worker:
            wait_until_consumed(broker, worker)
            print(f"\nbackfill {written - started:.1f} s, worker until quiet {time.monotonic() - written:.1f} s")
            worker.terminate()
        return Outcome(verdicts(broker), facts(broker))


@pytest.fixture(scope="module")
def replayed(log: Log, undisturbed: Outcome) -> Outcome:
    """The replay up to now: all deadlines lie years back, so that both have fired all."""
    policy, until = load_policy_path(log.policy), Instant(time.time_ns() // 1000)

    def lines() -> Iterator[tuple[str, int, bytes]]:
        for number, line in enumerate(log.events, 1):
            yield "events.jsonl", number, line

    def shown(what: str) -> list[Line]:
        result = replay(policy, lines, until, what)
        assert result.rejected == []
        return list(result.lines)

    return Outcome({clock_of(line): line for line in shown("verdicts")}, shown("facts"))


def clock_of(line: Json) -> str:
    return str((line["ticket_id"], line["agreement"], line["promise"], line["cycle"]))


def by_clock(outcome: Outcome) -> dict[str, Json]:
    return {clock_of(line): comparable(line) for line in outcome.verdicts.values()}


def comparable(line: Json) -> Json:
    is_open = line["stopped_at"] is None and line["cancel_reason"] is None
    left_out = PASSING | RUNNING if is_open else PASSING
    return {name: value for name, value in line.items() if name not in left_out}


def standing(published: Iterable[Json]) -> set[str]:
    """The facts that were not taken back."""
    published = list(published)
    taken_back = {line["retracts"] for line in published if line["retracts"] is not None}
    return {line["id"] for line in published if line["fact"] != "retracted"} - taken_back


def agreement_with_the_desk(outcome: Outcome, made_sla: dict[str, bool]) -> float:
    closures = [line for line in outcome.verdicts.values() if line["promise"] == "closure"]
    assert {line["ticket_id"] for line in closures} == set(made_sla)
    assert len(closures) == len(made_sla), "one cycle each"
    agreed = [line for line in closures if (line["status"] == "met") == made_sla[line["ticket_id"]]]
    return len(agreed) / len(made_sla)


def differences(left: dict[str, Json], right: dict[str, Json]) -> list[str]:
    """Each clock that differs, with the fields that do."""
    found = [f"only on one side: {key}" for key in sorted(left.keys() ^ right.keys())]
    for key in sorted(left.keys() & right.keys()):
        a, b = left[key], right[key]
        if a != b:
            fields = {n: (a.get(n), b.get(n)) for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)}
            found.append(f"{key}: {fields}")
    return found


def assert_equal(left: Outcome, right: Outcome) -> None:
    found = differences(by_clock(left), by_clock(right))
    assert not found, f"{len(found)} verdicts differ:\n" + "\n".join(found[:10])


def test_closure_verdicts_agree_with_the_desk(log: Log, undisturbed: Outcome, replayed: Outcome) -> None:
    by_replay, by_kafka = (agreement_with_the_desk(each, log.made_sla) for each in (replayed, undisturbed))
    print(f"\nagreement with made_sla: replay {by_replay:.4%}, Kafka {by_kafka:.4%} of {len(log.made_sla)}")
    assert by_replay >= 0.998
    assert by_kafka >= 0.998


def test_kafka_and_replay_give_equal_verdicts(undisturbed: Outcome, replayed: Outcome) -> None:
    assert len(undisturbed.verdicts) > 30_000
    assert_equal(undisturbed, replayed)


def test_kafka_and_replay_declare_the_same_facts(undisturbed: Outcome, replayed: Outcome) -> None:
    through_kafka, by_replay = standing(undisturbed.facts), standing(replayed.facts)
    assert len(by_replay) > 10_000
    lines = {line["id"]: line for line in (*undisturbed.facts, *replayed.facts)}
    only_kafka, only_replay = sorted(through_kafka - by_replay), sorted(by_replay - through_kafka)
    assert (only_kafka, only_replay) == ([], []), (
        f"{len(only_kafka)} only through Kafka, {len(only_replay)} only by replay:\n"
        + "\n".join(str(lines[each]) for each in (*only_kafka[:5], *only_replay[:5]))
    )


def test_no_fact_is_published_twice(undisturbed: Outcome) -> None:
    ids = [line["id"] for line in undisturbed.facts]
    assert len(set(ids)) == len(ids)


def test_workers_that_die_in_the_middle_of_the_load_change_nothing(
    log: Log, undisturbed: Outcome, tmp_path: Path
) -> None:
    with broker_with_topics(tmp_path / "kafka") as broker:
        write_backfill(broker, log.events)
        for number, share in enumerate(KILLED_AT):
            with Worker(broker, log.policy, tmp_path / f"worker-{number}.log") as worker:
                wait_until_committed(broker, worker, int(share * len(log.events)))
                worker.kill()
                at = committed_records(broker)
                print(f"\nkilled at {at} committed of {len(log.events)}")
                assert at < len(log.events), "it died before the load was done"
        with Worker(broker, log.policy, tmp_path / "worker-last.log") as worker:
            wait_until_consumed(broker, worker)
            worker.terminate()
        disturbed = Outcome(verdicts(broker), facts(broker))
    ids = [line["id"] for line in disturbed.facts]
    assert len(set(ids)) == len(ids), "a fact is there twice"
    assert_equal(disturbed, undisturbed)
    assert standing(disturbed.facts) == standing(undisturbed.facts)
    assert set(ids) == {line["id"] for line in undisturbed.facts}


def wait_until_committed(broker: str, worker: Worker, records: int) -> None:
    def has_come() -> bool:
        worker.must_run()
        return committed_records(broker) >= records

    wait_until(has_come, 60, f"{records} records are committed")
