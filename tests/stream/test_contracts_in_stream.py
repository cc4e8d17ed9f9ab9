"""Contracts through the two stages: the same numbers as a replay of the same events, whatever order they come in."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from random import Random
from typing import Any

import jsonschema
import orjson
import pytest

from slastream.app import make_stages, replay_events
from slastream.core.policies import Policy
from slastream.core.units import DAY, MINUTE, Instant, format_instant, parse_instant
from slastream.stream.commit import partition_of
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Cut, Output, Processor, Record
from slastream.stream.topics import load_schema
from slastream.wire.policy_file import load_policy

Json = dict[str, Any]
PARTITIONS = 3
LOOPED = ("sla.verdicts", "sla.ledger")
FIRST = parse_instant("2026-03-30T00:00:00Z")

POLICY: Json = {
    "version": 1,
    "timezone": "Europe/Berlin",
    "calendars": {"office": {"hours": {"mon-fri": ["08:00-16:00"]}}},
    "services": {"mail": {"customer": "acme", "provider": "hosting-co"}, "shop": {"customer": "acme"}},
    "ledger": {"holders": [{"when": {"group": "vendor"}, "party": "provider", "provider": "vendor"}]},
    "agreements": {
        "gold": {
            "kind": "sla", "customer": "acme", "rank": 1, "calendar": "office",
            "objective": {"target": "90%", "period": "week", "basis": "due"},
            "promises": {
                "resolution": {"metric": "resolution", "within": "4h"},
                "response": {"metric": "first_response", "within": "1h"},
                "uptime": {"metric": "availability", "target": "99%", "window": "week"},
                "users": {"metric": "satisfaction", "target": "85%", "window": "week"},
            },
            "credits": {
                "fee": "1000 EUR", "cap": "15%", "bands": [{"below": "90%", "credit": "5%"}, {"below": "50%", "credit": "90 EUR"}],
                "promises": {"response": {"weight": "30%"}, "uptime": {}, "users": {"weight": "10%"}},
                "earn_back": {"periods": 1, "at_least": "80%"},
            },
            "exclusions": [{"reason": "agreed", "tickets": ["T1", "T2"], "promises": ["resolution"]}],
            "scope": {"services": ["mail"], "types": ["incident"], "volumes": {"all": {"low": 1, "high": 2}}},
        },
        "silver": {
            "kind": "sla", "rank": 2, "objective": {"target": "95%", "period": "month", "basis": "completed"},
            "promises": {"resolution": {"metric": "resolution", "within": "2h"}},
            "credits": {"fee": "100 CHF", "bands": [{"below": "95%", "credit": "1%"}], "per": "promise"},
        },
        "hosting": {
            "kind": "uc", "match": {"group": "vendor"}, "promises": {"resolution": {"metric": "resolution", "within": "1h"}},
            "supports": ["gold", "silver"],
        },
    },
}  # fmt: skip


class World:
    """Both stages in `PARTITIONS` partitions; what a stage publishes goes where a broker would put it."""

    def __init__(self, policy: Policy) -> None:
        self._stages = {stage.name: stage for stage in make_stages(policy)}
        self.processors: dict[tuple[str, int], Processor] = {}
        self.tables: dict[tuple[str, int], dict[bytes, bytes]] = defaultdict(dict)
        self.offsets: Counter[tuple[str, int]] = Counter()
        self.published: dict[str, dict[bytes, Json]] = defaultdict(dict)
        for name in self._stages:
            for partition in range(PARTITIONS):
                self.processors[name, partition] = self._stages[name].make(partition)

    def put(self, topic: str, key: bytes, value: bytes, now: Instant, partition: int | None = None) -> None:
        at = partition_of(key, PARTITIONS) if partition is None else partition
        stage = "tickets" if topic == "sla.tickets" else "services"
        offset = self.offsets[topic, at]
        self.offsets[topic, at] += 1
        self.processors[stage, at].apply(Record(topic, at, offset, now, key, value, ()))

    def cut(self, now: Instant) -> None:
        """Cuts until nothing is written any more: stage 2 reads what it writes itself."""
        for _ in range(5):
            outputs = [output for where in self.processors for output in self._cut(where).outputs]
            for output in outputs:
                self._route(output, now)
            if not any(output.topic in LOOPED for output in outputs):
                return
        raise AssertionError("stage 2 keeps writing to itself")

    def _cut(self, where: tuple[str, int]) -> Cut:
        cut = self.processors[where].cut()
        for key, value in cut.state:
            if value is None:
                self.tables[where].pop(key, None)
            else:
                self.tables[where][key] = value
        return cut

    def _route(self, output: Output, now: Instant) -> None:
        assert output.key is not None and output.value is not None
        place = partition_of(output.key if output.partition_key is None else output.partition_key, PARTITIONS)
        if output.topic in LOOPED:
            self.put(output.topic, output.key, output.value, now, place)
        self.published[output.topic][b"%d" % place + output.key] = orjson.loads(output.value)

    def tick(self, now: Instant) -> None:
        value = orjson.dumps({"type": "tick", "at": format_instant(now)})
        for topic in ("sla.tickets", "sla.verdicts"):
            for partition in range(PARTITIONS):
                self.put(topic, b"tick", value, now, partition)

    def restart(self) -> None:
        """All workers die and their tables are read again."""
        for (name, partition), table in self.tables.items():
            processor = self.processors[name, partition] = self._stages[name].make(partition)
            for key, value in table.items():
                processor.restore(key, value)
            processor.restored()

    @property
    def services(self) -> list[ServicePartition]:
        return [one for one in self.processors.values() if isinstance(one, ServicePartition)]


def story(seed: int) -> list[Json]:
    """Tickets of three weeks; instants are whole minutes."""
    random, events = Random(seed), list[Json]()
    for number in range(8):
        at, ticket_id = FIRST + random.randrange(18 * 24 * 60) * MINUTE, f"T{number}"
        first = {
            "service": random.choice(["mail", "shop", "other"]),
            "status": "new",
            "type": random.choice(["incident", "change"]),
        }
        changes: list[Json] = [{"type": "created", "ticket": first}]
        changes += random.choices(CHANGES, k=random.randrange(9))
        for change in changes:
            events.append({"ticket_id": ticket_id, "occurred_at": format_instant(Instant(at)), **change})
            at += random.choice([0, 10, 30, 60, 240, 1440]) * MINUTE
    for _ in range(10):
        at = FIRST + random.randrange(18 * 24 * 60) * MINUTE
        state = {"service": random.choice(["mail", "shop"]), "state": random.choice(["up", "down"])}
        events.append({"occurred_at": format_instant(Instant(at)), **state})
    return sorted(events, key=lambda event: event["occurred_at"])


def changed(**ticket: Any) -> Json:
    return {"type": "changed", "ticket": ticket}


CHANGES: list[Json] = [
    changed(group="L1", status="open"), changed(group="vendor"), changed(status="pending"), changed(status="hold"),
    changed(status="open"), changed(status="resolved"), changed(status="closed"), changed(service="mail"),
    changed(service="shop"), changed(service=None), changed(group=None), changed(assignee="ann"), changed(type="incident"),
    {"type": "message", "message": {"author": "agent"}}, {"type": "rated", "rating": {"score": 5, "scale": 5}},
    {"type": "rated", "rating": {"score": 0.3, "scale": 1}}, {"type": "deleted"}, changed(status="cancelled"),
]  # fmt: skip


def streamed(events: list[Json], until: Instant, random: Random | None, restarts: bool) -> World:
    """The events in the order of time, or, with `random`, in another one; cut after every few of them."""
    policy = load_policy([("policy.json", json.dumps(POLICY))], _no_file)
    world, events = World(policy), list(events)
    if random is not None:
        random.shuffle(events)
    for number, event in enumerate(events):
        topic = "sla.monitoring" if "state" in event else "sla.tickets"
        key = event["service"] if "state" in event else event["ticket_id"]
        world.put(topic, key.encode(), orjson.dumps(event), until)
        if number % 4 == 0:
            world.cut(until)
        if restarts and number % 9 == 0:
            world.cut(until)
            world.restart()
    world.tick(until)
    world.cut(until)
    return world


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def lines_of(world: World, kind: str) -> list[Json]:
    return [line for line in world.published["sla.compliance"].values() if line["kind"] == kind]


def replayed(show: str, events: list[Json], until: Instant) -> list[Json]:
    return replay_events(json.dumps(POLICY), [orjson.dumps(event) for event in events], format_instant(until), show)


def in_order(lines: Iterable[Json]) -> list[str]:
    return sorted(json.dumps(line, sort_keys=True) for line in lines)


Spent = Counter[tuple[str, str | None, str | None, str | None, str | None]]


def spent_of(world: World, until: Instant) -> Spent:
    """Microseconds by ticket, party, group, provider and service, with those of present holders up to the end."""
    found: Spent = Counter()
    calendars = load_policy([("policy.json", json.dumps(POLICY))], _no_file).calendars
    for line in world.published["sla.ledger"].values():
        if line["kind"] != "ledger" or line.get("is_withdrawn"):
            continue
        for one in line["parts"]:
            found[line["ticket_id"], one["party"], one["group"], one["provider"], one["service"]] += round(
                one["seconds"] * 10**6
            )
        now = line["held_by"]
        if now is not None:
            open_us = calendars[line["calendar"]].open_between(parse_instant(now["since"]), until)
            found[line["ticket_id"], now["party"], now["group"], now["provider"], now["service"]] += open_us
    return Counter({key: us for key, us in found.items() if us})


def spent_in_replay(events: list[Json], until: Instant) -> Spent:
    found: Spent = Counter()
    for line in replayed("ledger", events, until):
        for one in line["parts"]:
            found[line["ticket_id"], one["party"], one["group"], one["provider"], one["service"]] += round(
                one["seconds"] * 10**6
            )
    return found


@pytest.mark.parametrize(("order", "restarts"), [("time", False), ("any", False), ("any", True)])
@pytest.mark.parametrize("seed", range(12))
def test_the_stream_has_the_numbers_of_a_replay(seed: int, order: str, restarts: bool) -> None:
    events, until = story(seed), Instant(FIRST + 30 * DAY)
    world = streamed(events, until, Random(seed) if order == "any" else None, restarts)

    assert spent_of(world, until) == spent_in_replay(events, until)
    assert in_order(line for line in lines_of(world, "experience") if line["ratings"]) == in_order(
        replayed("experience", events, until)
    )
    assert in_order(line for line in lines_of(world, "scope") if line["tickets"]) == in_order(
        line for line in replayed("scope", events, until) if line["tickets"]
    )
    assert in_order(line for line in lines_of(world, "statement") if line["items"]) == in_order(
        line for line in map(without_evidence, replayed("credits", events, until)) if line["items"]
    )
    assert in_order(misfits(world.published["sla.ledger"].values())) == in_order(
        misfits([{"kind": "chains", "chains": replayed("chains", events, until)}])
    )


def test_what_is_published_fits_its_schema() -> None:
    events, until = [event for seed in range(4) for event in story(seed)], Instant(FIRST + 30 * DAY)
    world, seen = streamed(events, until, Random(1), restarts=False), Counter[str]()
    lines = [*world.published["sla.ledger"].values(), *world.published["sla.compliance"].values()]
    of_ledger = len(world.published["sla.ledger"])
    for number, line in enumerate(lines):
        name = "ledger" if number < of_ledger else line["kind"]
        jsonschema.Draft202012Validator(load_schema(name)).validate(line)
        seen[line["kind"]] += 1
    assert {"ledger", "rating", "scope", "chains", "part", "statement", "experience"} <= set(seen)


def without_evidence(statement: Json) -> Json:
    """As the stream has it: without the clocks, and without what has no sample."""
    left_out = ("missed", "excluded")
    items = [{key: item[key] for key in item if key not in left_out} for item in statement["items"] if item["total"]]
    return {**statement, "items": items}


def misfits(lines: Iterable[Json]) -> list[Json]:
    return [
        {"ticket": chain["ticket_id"], "above": chain["agreement"], "cycle": chain["cycle"], "at": one["misfits_at"]}
        for line in lines
        if line["kind"] == "chains" and not line.get("is_withdrawn")
        for chain in line["chains"]
        for one in chain["supports"]
        if one["misfits_at"] is not None
    ]


@pytest.mark.parametrize("seed", range(6))
def test_what_the_workers_show_are_the_sums_of_a_replay(seed: int) -> None:
    events, until = story(seed), Instant(FIRST + 30 * DAY)
    world = streamed(events, until, Random(seed), restarts=True)
    hands: Counter[tuple[str, str, str]] = Counter()
    scores: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for partition in world.services:
        for hand, time in partition.contracts.hands.items():
            hands[hand] += time.at(until, partition.contracts.open_since_zero)
        for (service, verdict), one in partition.contracts.scores.items():
            scores[service, verdict] += one.score
    wanted: Counter[tuple[str, str, str]] = Counter()
    for (_, of_party, of_group, _, of_service), us in spent_in_replay(events, until).items():
        wanted[of_service or "", of_group or "", of_party or ""] += us
    assert Counter({hand: us for hand, us in hands.items() if us}) == wanted
    for line in replayed("experience", events, until):
        for verdict, one in line["by_verdict"].items():
            scores[line["service"] or "", verdict] -= Fraction(one["score_sum"]).limit_denominator(10**6)
    assert set(scores.values()) <= {Fraction(0)}
