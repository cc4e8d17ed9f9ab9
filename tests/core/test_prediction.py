"""The chance to breach: a share of those that were at the same stage, or none."""

from hypothesis import given
from hypothesis import strategies as st

from slastream.core.control import Point
from slastream.core.prediction import HISTORY_POINTS, MIN_PEERS, Chance, chance_of, history_of
from slastream.core.units import Duration, Instant


def history(*times: int, priority: str = "P1") -> dict[str | None, list[int]]:
    return history_of(Point(Instant(n), str(n), Duration(time), None, True, priority) for n, time in enumerate(times))


def test_of_those_that_took_longer_so_far_the_share_that_took_too_long() -> None:
    """Of 40 tickets 10 took 5, 20 took 15 and 10 took 25. One that has used 10 of 20 is like 30 of them."""
    known = history(*[5] * 10, *[15] * 20, *[25] * 10)
    assert chance_of(known, "P1", Duration(10), Duration(10)) == Chance(10, 30)


def test_one_that_took_exactly_the_target_was_met() -> None:
    assert chance_of(history(*[20] * 20), "P1", Duration(0), Duration(20)) == Chance(0, 20)


def test_too_few_at_the_same_stage_give_no_chance() -> None:
    known = history(*[5] * 100, *[50] * (MIN_PEERS - 1))
    assert chance_of(known, "P1", Duration(4), Duration(1)) == Chance(MIN_PEERS - 1, 100 + MIN_PEERS - 1)
    assert chance_of(known, "P1", Duration(5), Duration(1)) is None
    assert chance_of(known, "P2", Duration(0), Duration(1)) is None, "another priority"


def test_the_newest_are_the_history() -> None:
    known = history(*[50] * 10, *[5] * HISTORY_POINTS)
    assert chance_of(known, "P1", Duration(0), Duration(10)) == Chance(0, HISTORY_POINTS)


@given(st.lists(st.integers(0, 100), min_size=20), st.integers(0, 100), st.integers(0, 100))
def test_the_chance_as_a_count(times: list[int], elapsed: int, remaining: int) -> None:
    chance = chance_of(history(*times), "P1", Duration(elapsed), Duration(remaining))
    peers = [time for time in times if time > elapsed]
    if len(peers) < MIN_PEERS:
        assert chance is None
    else:
        assert chance == Chance(sum(time > elapsed + remaining for time in peers), len(peers))
