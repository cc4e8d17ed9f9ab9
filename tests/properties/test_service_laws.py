"""Laws of availability: against a calculator that goes second by second, and against itself."""

import random
from collections.abc import Sequence
from fractions import Fraction

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.drawn_services import SPAN, Json, events_of, instant, policy_of, services
from oracle.naive_services import NaiveService, outages, split

from slastream.app import replay_events


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
