"""Laws of availability: against a calculator that goes second by second, and against itself."""

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.naive_services import ORDER, NaiveService, Planned, Word, outages, split

from slastream.app import replay_events
from slastream.core.units import Instant, format_instant

BEGIN = 1_772_409_600  # 2026-03-02T00:00:00Z
SPAN = 3_600
Json = dict[str, Any]


def instant(second: int) -> str:
    return format_instant(Instant((BEGIN + second) * 1_000_000))


@st.composite
def words(draw: st.DrawFn) -> list[Word]:
    found = [
        Word(
            at=draw(st.integers(0, 90)) * 40,
            order=order,
            state=draw(st.sampled_from([*ORDER, "up", "down"])),
            episode=draw(st.sampled_from([None, None, "a", "b"])),
            expires=draw(st.sampled_from([None, None, 60, 400])),
            is_soft=draw(st.integers(0, 9)) == 0,
        )
        for order in range(draw(st.integers(0, 6)))
    ]
    return [*found, Word(draw(st.integers(0, 90)) * 40, len(found), "up")]


@st.composite
def services(draw: st.DrawFn, depth: int = 1) -> NaiveService:
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    is_plain = depth == 0
    combine = draw(
        st.sampled_from(["worst", "best", "at_least"] if is_plain else ["worst", "best", "at_least", "weighted"])
    )
    times = st.integers(0, 90).map(lambda n: n * 40)
    planned = [
        Planned(min(a, b), max(a, b) + 40, draw(st.sampled_from([None, *names])))
        for a, b in draw(st.lists(st.tuples(times, times), max_size=2))
    ]
    return NaiveService(
        combine=combine,
        n=draw(st.integers(1, 3)),
        components={name: draw(words()) for name in names},
        weights={name: draw(st.integers(1, 3)) for name in names},
        maintenance=planned,
        needs=[draw(services(depth=0))] if depth and draw(st.booleans()) else [],
    )


def policy_of(service: NaiveService, window: str, **promise: Any) -> Json:
    def listed(one: NaiveService, needs: list[str]) -> Json:
        word = f"at_least {one.n}" if one.combine == "at_least" else one.combine
        components = {name: {"weight": one.weights[name]} for name in one.components}
        return {"combine": word, "components": components, "depends_on": needs}

    named = {f"need{i}": listed(one, []) for i, one in enumerate(service.needs)}
    uptime = {"metric": "availability", "target": "99%", "window": window, "min_coverage": 0, **promise}
    return {
        "version": 1,
        "services": {"mail": listed(service, list(named)), **named},
        "agreements": {"a": {"kind": "sla", "match": {"service": "mail"}, "promises": {"uptime": uptime}}},
    }


def events_of(service: NaiveService, name: str = "mail") -> list[Json]:
    found: list[Json] = []
    for component, said in service.components.items():
        found.extend({
            "service": name, "component": component, "occurred_at": instant(word.at), "sequence": word.order,
            "state": word.state, "confidence": "soft" if word.is_soft else "hard", "episode": word.episode,
            "expires_after": None if word.expires is None else f"{word.expires}s",
        } for word in said)  # fmt: skip
    for number, one in enumerate(service.maintenance):
        found.append({
            "maintenance_id": f"{name}-{number}", "service": name, "component": one.component,
            "occurred_at": instant(0), "start": instant(one.start), "end": instant(one.end), "revision": 1,
        })  # fmt: skip
    for number, need in enumerate(service.needs):
        found.extend(events_of(need, f"need{number}"))
    return found


def replayed(policy: Json, events: Sequence[Json], until: int, show: str = "availability") -> list[Json]:
    return replay_events(orjson.dumps(policy).decode(), [orjson.dumps(e) for e in events], instant(until), show)


def parts(line: Json) -> dict[str, float]:
    return {name: line[f"{name}_seconds"] for name in ("good", "bad", "excluded", "unknown")}


@settings(max_examples=120, deadline=None)
@given(services(), st.sampled_from(["excluded", "unknown"]))
def test_a_tree_is_what_each_of_its_seconds_is(service: NaiveService, before: str) -> None:
    policy = policy_of(service, "1h", before_first_news=before)
    (line,) = replayed(policy, events_of(service), SPAN)
    wanted = split(service, 0, SPAN, before)
    assert {name: pytest.approx(float(value), abs=1e-6) for name, value in wanted.items()} == parts(line)
    assert (line["outages"], line["downtime_seconds"]) == outages(service, 0, SPAN)


@settings(max_examples=60, deadline=None)
@given(services())
def test_the_four_parts_are_the_elapsed_window(service: NaiveService) -> None:
    for line in replayed(policy_of(service, "day"), events_of(service), SPAN):
        assert sum(map(Fraction, parts(line).values())) == pytest.approx(SPAN)


@settings(max_examples=60, deadline=None)
@given(services(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(service: NaiveService, chance: random.Random) -> None:
    policy, events = policy_of(service, "day", alerts="burn_rate"), events_of(service)
    again = events + chance.choices(events, k=3)
    chance.shuffle(again)
    assert replayed(policy, again, SPAN, "all") == replayed(policy, events, SPAN, "all")


@settings(max_examples=60, deadline=None)
@given(services(), st.integers(0, 80), st.integers(1, 20))
def test_a_maintenance_taken_back_never_was(service: NaiveService, start: int, length: int) -> None:
    policy, events = policy_of(service, "day"), events_of(service)
    planned = {
        "maintenance_id": "later", "service": "mail", "occurred_at": instant(10), "revision": 1,
        "start": instant(start * 40), "end": instant((start + length) * 40),
    }  # fmt: skip
    withdrawn = {**planned, "revision": 2, "withdrawn": True, "occurred_at": instant(20)}
    assert replayed(policy, [*events, planned, withdrawn], SPAN) == replayed(policy, events, SPAN)
    with_it = replayed(policy, [*events, planned], SPAN)
    assert all(line["excluded_seconds"] >= min(length * 40, SPAN - start * 40) for line in with_it)


@settings(max_examples=40, deadline=None)
@given(services())
def test_the_days_of_a_week_add_up_to_it(service: NaiveService) -> None:
    until = 5 * 86_400
    days = replayed(policy_of(service, "day"), events_of(service), until)
    (week,) = replayed(policy_of(service, "week"), events_of(service), until)
    assert len(days) == 5
    for name in ("good_seconds", "bad_seconds", "excluded_seconds", "unknown_seconds", "downtime_seconds", "outages"):
        assert sum(day[name] for day in days) == pytest.approx(week[name], abs=1e-6)
