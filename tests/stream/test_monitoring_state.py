"""Monitoring in stage 2, without a broker: any interleaving, any restart and a replay say the same."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.drawn_services import Json, events_of, instant, policy_of, services
from oracle.naive_services import NaiveService

from slastream.app import replay_events
from slastream.core.policies import Policy
from slastream.core.rules import Rulebook
from slastream.core.units import Instant, format_instant, parse_instant
from slastream.errors import SnapshotError
from slastream.stream import contract_state, service_stage
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Record
from slastream.wire.policy_file import load_policy

END = 2 * 86_400
TOPICS = ("sla.verdicts", "sla.monitoring", "sla.maintenance")


def loaded(policy: Json) -> Policy:
    return load_policy([("policy.yaml", orjson.dumps(policy).decode())], lambda name: b"")


class Stage:
    """Partition 0 of stage 2, its table, and everything that it published. There is no other partition: copies come back."""

    def __init__(self, policy: Policy, clock: str) -> None:
        self.policy = policy
        self.partition = ServicePartition(Rulebook(policy), 0)
        self.table: dict[bytes, bytes] = {}
        self.published: list[tuple[str, bytes, Json]] = []
        self.rejected = 0
        self.reasons: Counter[tuple[str, str]] = Counter()
        self._offsets = dict.fromkeys(TOPICS, 0)
        self._broker_time = parse_instant(clock)

    def take(self, topic: str, key: bytes | None, value: bytes) -> None:
        self.partition.apply(Record(topic, 0, self._offsets[topic], self._broker_time, key, value, ()))
        self._offsets[topic] += 1

    def event(self, event: Json) -> None:
        topic = "sla.maintenance" if "maintenance_id" in event else "sla.monitoring"
        self.take(topic, event["service"].encode(), orjson.dumps(event))

    def tick(self, at: str) -> None:
        self.take("sla.verdicts", b"tick", orjson.dumps({"type": "tick", "at": at}))

    def cut(self) -> int:
        """Returns how many records were written into the table."""
        cut = self.partition.cut()
        self.reasons += cut.counts.rejected if cut.counts is not None else Counter()
        for key, value in cut.state:
            assert value is not None
            held = self.table.get(key)
            assert held is None or self.partition.progress(value) >= self.partition.progress(held)
            self.table[key] = value
        for output in cut.outputs:
            if output.topic in TOPICS:
                assert output.value is not None
                self.take(output.topic, output.key, output.value)
            elif output.topic == "sla.rejected":
                self.rejected += 1
            else:
                assert output.key is not None
                assert output.value is not None
                self.published.append((output.topic, output.key, orjson.loads(output.value)))
        return len(cut.state)

    def restart(self) -> None:
        self.cut()
        self.partition = self.restored()

    def restored(self) -> ServicePartition:
        """What the next owner has: the table."""
        partition = ServicePartition(Rulebook(self.policy), 0)
        for key, value in self.table.items():
            partition.restore(key, value)
        partition.restored()
        return partition

    def facts(self) -> set[tuple[Any, ...]]:
        """Those that hold: every id once, what was taken back left out."""
        lines = {line["id"]: line for topic, _, line in self.published if topic == "sla.breaches"}
        gone = {line["retracts"] for line in lines.values() if line["fact"] == "retracted"}
        return {said(line) for id, line in lines.items() if line["fact"] != "retracted" and id not in gone}

    def windows(self) -> dict[bytes, Json]:
        return {key: line for topic, key, line in self.published if topic == "sla.compliance"}


def said(fact: Json) -> tuple[Any, ...]:
    window = fact.get("window") or {}
    return (
        fact["service"],
        fact["promise"],
        fact["fact"],
        fact["threshold"],
        fact["at"],
        window.get("start"),
        fact.get("predicted_at"),
    )


def line_key(line: Json) -> tuple[str, str, str]:
    return line["service"], line["promise"], line["window"]["start"]


def run(policy: Policy, events: Iterable[Json], chance: random.Random | None) -> Stage:
    stage = Stage(policy, instant(END))
    for event in events:
        stage.event(event)
        if chance is not None and chance.random() < 0.3:
            stage.cut()
        if chance is not None and chance.random() < 0.1:
            stage.restart()
    stage.tick(instant(END))
    stage.cut()
    stage.cut()
    return stage


def wanted(policy: Json, events: Sequence[Json], show: str, until: str = instant(END)) -> list[Json]:
    lines = [orjson.dumps(event) for event in events]
    return replay_events(orjson.dumps(policy).decode(), lines, until, show)


@st.composite
def counted(draw: st.DrawFn) -> list[Json]:
    """Events of requests of the service, some at one instant."""
    return [
        {
            "event_id": f"c{n}", "service": "mail", "component": draw(st.sampled_from(["a", "b"])), "interval": "60s",
            "occurred_at": instant(draw(st.integers(1, 60)) * 60), "counts": {"good": draw(st.integers(90, 100)), "total": 100},
        }
        for n in range(draw(st.integers(0, 8)))
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(services(), counted(), st.randoms(use_true_random=False))
def test_interleavings_restarts_and_a_replay_say_the_same(
    service: NaiveService, requests: list[Json], chance: random.Random
) -> None:
    policy = policy_of(service, "day", alerts="burn_rate")
    policy["agreements"]["a"]["promises"] |= {
        "day": {"metric": "success", "target": "97%", "window": "day", "alerts": "burn_rate"},
        "rolling": {"metric": "success", "target": "96%", "window": "6h"},
        "sliced": {
            "metric": "success",
            "target": "95%",
            "window": "day",
            "timeslice": {"window": "5m", "target": "97%"},
        },
    }
    events = [*events_of(service), *requests]
    orders = [list(events), chance.sample(events, len(events))]
    stages = [run(loaded(policy), order, each) for order, each in zip(orders, (None, chance), strict=True)]
    facts = {said(fact) for fact in wanted(policy, events, "facts")}
    shown = wanted(policy, events, "availability")
    days = {line_key(line): line for line in shown if line["window"]["kind"] == "day"}
    for stage in stages:
        assert stage.facts() == facts
        newest = {line_key(line): line for line in stage.windows().values() if line["window"]["kind"] == "day"}
        assert newest == days


def service_events(*states: tuple[int, str]) -> list[Json]:
    return [
        {"event_id": f"e{n}", "service": "mail", "occurred_at": instant(second), "state": state}
        for n, (second, state) in enumerate(states)
    ]


PLAIN: Json = {
    "version": 1,
    "agreements": {"a": {"kind": "sla", "promises": {"uptime": {
        "metric": "availability", "target": "99%", "window": "day", "alerts": "burn_rate",
    }}}},
}  # fmt: skip


def test_a_breach_is_declared_by_time_alone_and_waits_for_it() -> None:
    stage = Stage(loaded(PLAIN), instant(END))
    for event in service_events((0, "up"), (3600, "down")):
        stage.event(event)
    stage.cut()
    due = parse_instant(instant(3600 + 864))  # 1 % of a day
    while (wake_at := stage.partition.wake_at) is not None and wake_at <= due:
        stage.tick(format_instant(Instant(wake_at)))
        stage.cut()
        assert not any(fact[2] == "availability_breached" for fact in stage.facts())
    assert wake_at == due + 1
    stage.tick(format_instant(Instant(wake_at)))
    stage.cut()
    assert ("mail", "uptime", "availability_breached", None, instant(3600 + 864), instant(0), None) in stage.facts()


def test_a_maintenance_after_the_fact_takes_back_what_was_declared_and_its_withdrawal_declares_it_again() -> None:
    stage = Stage(loaded(PLAIN), instant(END))
    for event in service_events((0, "up"), (3600, "down"), (7200, "up")):
        stage.event(event)
    stage.tick(instant(10_000))
    stage.cut()
    before = stage.facts()
    assert any(fact[2] == "availability_breached" for fact in before)
    planned = {
        "maintenance_id": "CHG-9", "event_id": "m1", "service": "mail", "occurred_at": instant(9000), "revision": 1,
        "start": instant(3600), "end": instant(7200),
    }  # fmt: skip
    stage.event(planned)
    stage.cut()
    assert not stage.facts()
    retracted = [line for topic, _, line in stage.published if topic == "sla.breaches" and line["fact"] == "retracted"]
    assert {line["caused_by"] for line in retracted} == {"m1"}
    stage.restart()
    stage.event({**planned, "event_id": "m2", "revision": 2, "withdrawn": True})
    stage.cut()
    assert stage.facts() == before
    ids = [line["id"] for topic, _, line in stage.published if topic == "sla.breaches"]
    assert len(ids) == len(set(ids))


def test_an_outage_that_maintenance_makes_too_short_takes_the_alerts_before_it_back() -> None:
    promise = {**PLAIN["agreements"]["a"]["promises"]["uptime"], "min_outage": "5m"}
    policy = {**PLAIN, "agreements": {"a": {"kind": "sla", "promises": {"uptime": promise}}}}
    stage = Stage(loaded(policy), instant(END))
    for event in service_events((0, "up"), (3600, "down"), (7200, "up")):
        stage.event(event)
    stage.tick(instant(10_000))
    stage.cut()
    assert any(fact[2] == "burn_started" and fact[4] < instant(3660) for fact in stage.facts())
    stage.event({
        "maintenance_id": "CHG-9", "event_id": "m1", "service": "mail", "occurred_at": instant(9000), "revision": 1,
        "start": instant(3660), "end": instant(7200),
    })  # fmt: skip
    stage.cut()
    assert not stage.facts()


def test_what_was_rejected_is_not_rejected_again_by_the_next_owner() -> None:
    """The group's offset may be a second behind the state."""
    stage = Stage(loaded(PLAIN), instant(END))
    record = Record("sla.monitoring", 0, 0, parse_instant(instant(END)), b"mail", b"no json", ())
    for rejected in (1, 1):
        stage.partition.apply(record)
        stage.cut()
        assert stage.rejected == rejected
        stage.restart()


def test_a_program_that_knows_of_no_announcements_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take one for the past of a service named "said"."""
    stage = Stage(loaded(PLAIN), instant(END))
    for event in service_events((0, "up"), (3600, "down"), (7200, "up")):
        stage.event(event)
    stage.tick(instant(10_000))
    announced = [(key, value) for key, value in stage.partition.cut().announced if b'"said"' in key]
    assert announced
    monkeypatch.setattr(service_stage, "NEWEST_VERSION", contract_state.VERSION)
    for key, value in announced:
        with pytest.raises(SnapshotError, match="start the newer program again"):
            stage.restored().restore(key, value or b"")


def test_what_was_announced_is_said_again_by_the_next_owner_and_taken_back_when_it_no_longer_holds() -> None:
    """At least once: an owner ends between what it says and its state, and the next one reads a maintenance in the same cut."""
    stage = Stage(loaded(PLAIN), instant(END))
    for event in service_events((0, "up"), (3600, "down"), (7200, "up")):
        stage.event(event)
    stage.tick(instant(10_000))
    cut = stage.partition.cut()
    said = [one for one in cut.outputs[cut.announced_from :] if one.topic == "sla.breaches"]
    assert said
    stage.table = {key: value for key, value in cut.announced if value is not None}
    stage.partition = stage.restored()
    again = stage.partition.cut()
    assert [one for one in again.outputs[: again.announced_from] if one.topic == "sla.breaches"] == said
    assert not [one for one in again.outputs[again.announced_from :] if one.topic == "sla.breaches"]
    stage.partition = stage.restored()
    stage.event({
        "maintenance_id": "CHG-9", "event_id": "m1", "service": "mail", "occurred_at": instant(9000), "revision": 1,
        "start": instant(3600), "end": instant(7200),
    })  # fmt: skip
    stage.cut()
    lines = [line for topic, _, line in stage.published if topic == "sla.breaches"]
    assert {line["retracts"] for line in lines if line["fact"] == "retracted"} == {
        one.key.decode() for one in said if one.key
    }
    assert not stage.facts()
    stage.restart()
    stage.cut()
    assert len([line for topic, _, line in stage.published if topic == "sla.breaches"]) == len(lines)


def test_an_expiry_is_noticed_of_a_word_that_says_what_holds_already_late_or_in_time() -> None:
    policy = orjson.loads(orjson.dumps(PLAIN))
    policy["services"] = {"mail": {"combine": "worst"}}
    policy["agreements"]["a"]["promises"]["uptime"] |= {"count": {"unknown": "bad"}}
    words = service_events((0, "up"), (100, "up"))
    words[1]["expires_after"] = "60s"
    for told_at in (101, 10_000):
        stage = Stage(loaded(policy), instant(END))
        stage.event(words[0])
        stage.tick(instant(told_at))
        stage.cut()
        stage.event(words[1])
        stage.cut()
        for second in (161, 5_000, 20_000):
            stage.tick(instant(max(second, told_at)))
            stage.cut()
        facts = {said(fact) for fact in wanted(policy, words, "facts", instant(20_000)) if fact["at"] < instant(20_000)}
        assert facts
        assert stage.facts() == facts


def test_a_service_of_another_partition_hears_of_what_it_depends_on() -> None:
    policy = loaded({**PLAIN, "services": {"shop": {"depends_on": ["dns"]}}})
    here, there = Stage(policy, instant(END)), Stage(policy, instant(END))
    event = {"service": "dns", "occurred_at": instant(0), "state": "down"}
    here.partition.apply(Record("sla.monitoring", 0, 0, parse_instant(instant(END)), b"dns", orjson.dumps(event), ()))
    (copy,) = [output for output in here.partition.cut().outputs if output.topic == "sla.monitoring"]
    assert (copy.partition_key, copy.key) == (b"shop", b"shop")
    assert copy.value is not None
    there.take("sla.monitoring", copy.key, copy.value)
    there.tick(instant(3600))
    there.cut()
    assert {line["service"] for line in there.windows().values()} == {"shop"}
    there.restart()
    there.tick(instant(86_400))
    there.cut()
    (line,) = there.windows().values()
    assert line["bad_seconds"] == 86_400


def test_what_cannot_be_used_is_rejected_and_stops_nothing() -> None:
    stage = Stage(loaded(PLAIN), instant(END))
    stage.take("sla.monitoring", b"mail", b"no json")
    stage.take("sla.monitoring", b"mail", orjson.dumps({"service": "mail", "occurred_at": instant(1), "state": "OK"}))
    stage.take("sla.maintenance", b"mail", orjson.dumps(service_events((0, "up"))[0]))
    stage.event(service_events((END + 4000, "up"))[0])
    stage.event(service_events((0, "up"))[0])
    stage.tick(instant(600))
    stage.cut()
    assert stage.rejected == 4
    assert len(stage.windows()) == 1


def test_a_heartbeat_says_nothing_new_and_costs_one_small_record() -> None:
    stage = Stage(loaded(PLAIN), instant(END))
    stage.event(service_events((0, "up"))[0])
    stage.cut()
    said_before = len(stage.published)
    for n in range(1, 40):
        stage.event({"service": "mail", "occurred_at": instant(n), "state": "up"})
        assert stage.cut() <= 3
    assert len(stage.published) == said_before


def test_a_window_of_which_maintenance_leaves_nothing_says_so() -> None:
    promise = {"metric": "success", "target": "97%", "window": "day"}
    policy = {**PLAIN, "agreements": {"a": {"kind": "sla", "promises": {"requests": promise}}}}
    requests = {
        "event_id": "c0", "service": "mail", "interval": "60s", "occurred_at": instant(60), "counts": {"good": 90, "total": 100},
    }  # fmt: skip
    planned = {
        "maintenance_id": "CHG-9", "event_id": "m1", "service": "mail", "occurred_at": instant(500), "revision": 1,
        "start": instant(0), "end": instant(80),
    }  # fmt: skip
    stage = Stage(loaded(policy), instant(END))
    stage.event(requests)
    stage.tick(instant(600))
    stage.cut()
    stage.event(planned)
    stage.cut()
    (line,) = stage.windows().values()
    assert (line["good_events"], line["total_events"], line["ratio"]) == (0, 0, None)
    assert not stage.facts()
    assert [one["total_events"] for one in wanted(policy, [requests, planned], "availability", instant(600))] == [0]


def test_min_outage_first_news_and_effective_from_are_those_of_a_replay_at_each_cut() -> None:
    """Up from 22:00, down from 23:00 to 23:02 and from 23:40 to 00:30; a cut at each sixtieth of the day."""
    up, short, long = (
        (22 * 3600, "up"),
        [(23 * 3600, "down"), (23 * 3600 + 120, "up")],
        [(85_200, "down"), (88_200, "up")],
    )
    events = service_events(up, *short, *long)
    for field, more, effective_from in (
        ("min_outage", {"min_outage": "5m"}, None),
        ("before_first_news", {"before_first_news": "unknown", "min_coverage": 0}, None),
        ("effective_from", {}, "2026-03-03"),
        ("both", {"before_first_news": "unknown", "min_outage": "5m"}, "2026-03-03"),
    ):
        agreement: Json = orjson.loads(orjson.dumps(PLAIN["agreements"]["a"]))
        agreement["promises"]["uptime"] |= more
        if effective_from is not None:
            agreement["effective_from"] = effective_from
        policy = {**PLAIN, "agreements": {"a": agreement}}
        stage, told = Stage(loaded(policy), instant(END)), events[:0]
        for second in range(50 * 1440, 80 * 1440, 1440):
            while len(told) < len(events) and events[len(told)]["occurred_at"] <= instant(second):
                told.append(events[len(told)])
                stage.event(told[-1])
            stage.tick(instant(second))
            stage.cut()
            if second % 7200 == 0:
                stage.restart()
                stage.tick(instant(second))
                stage.cut()
            lines = [orjson.dumps(event) for event in told]
            shown = replay_events(orjson.dumps(policy).decode(), lines, instant(second), "availability")
            until = instant(second)
            assert list(stage.windows().values()) == shown, (field, until)
            facts = replay_events(orjson.dumps(policy).decode(), lines, until, "facts")
            assert stage.facts() == {said(fact) for fact in facts if fact["at"] < until}, (field, until)
