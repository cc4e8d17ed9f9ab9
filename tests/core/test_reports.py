"""What a component is, from the words about it: the worst of its own and of its episodes; which words can be forgotten."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from slastream.core.reports import RANK, Report, last_words, states_of, without_repetitions

UP, DEGRADED, UNKNOWN, DOWN = (RANK[word] for word in ("up", "degraded", "unknown", "down"))


def words(*said: tuple[int, int, str | None]) -> list[Report]:
    return [Report(at, 0, str(n), rank, episode, None) for n, (at, rank, episode) in enumerate(said)]


@st.composite
def reports(draw: st.DrawFn) -> list[Report]:
    """In order; few instants, states and episodes, so that they meet."""
    found = []
    for n in range(draw(st.integers(1, 9))):
        at, lasts = draw(st.integers(0, 30)), draw(st.sampled_from([None, None, 3, 12]))
        rank, episode = draw(st.sampled_from(list(RANK.values()))), draw(st.sampled_from([None, None, "a", "b"]))
        found.append(Report(at, n, str(n), rank, episode, None if lasts is None else at + lasts))
    return sorted(found)


def states(said: Sequence[Report], first: int = 0) -> list[int | None]:
    steps = states_of(said)
    return [steps.at(at) for at in range(first, 50)]


def test_the_worst_open_episode_counts_whichever_began_first() -> None:
    """a: down from 10 to 40; b: degraded from 20 to 30."""
    said = words((10, DOWN, "a"), (20, DEGRADED, "b"), (30, UP, "b"), (40, UP, "a"))
    assert [states_of(said).at(at) for at in (10, 20, 30, 40)] == [DOWN, DOWN, DOWN, UP]
    turned = words((10, DEGRADED, "b"), (20, DOWN, "a"), (30, UP, "a"), (40, UP, "b"))
    assert [states_of(turned).at(at) for at in (10, 20, 30, 40)] == [DEGRADED, DOWN, DEGRADED, UP]


def test_an_episode_does_not_hide_the_word_of_the_component_itself() -> None:
    said = words((10, DOWN, None), (20, DEGRADED, "a"), (30, UNKNOWN, "b"), (40, UP, "a"))
    assert [states_of(said).at(at) for at in (10, 20, 30, 40)] == [DOWN] * 4


@given(reports(), st.sampled_from([1, 5, 100]))
def test_without_repetitions_all_states_stay(said: list[Report], pane: int) -> None:
    kept = without_repetitions(said, pane)
    assert states(kept) == states(said)
    assert {one.occurred_at // pane for one in kept} == {one.occurred_at // pane for one in said}


def test_of_words_that_repeat_each_other_two_stay_in_a_pane_at_most() -> None:
    said = words(*((at, UP, None) for at in range(1000)))
    assert [one.occurred_at for one in without_repetitions(said, 100)] == [0, *range(99, 1000, 100)]


@given(reports(), reports())
def test_the_last_words_stand_for_all_that_came_before(earlier: list[Report], later: list[Report]) -> None:
    moved = [
        one._replace(
            occurred_at=one.occurred_at + 31,
            event_id=f"l{one.event_id}",
            expires_at=None if one.expires_at is None else one.expires_at + 31,
        )
        for one in later
    ]
    first = earlier[-1].occurred_at
    assert states([*last_words(earlier), *moved], first) == states([*earlier, *moved], first)


def test_the_last_word_before_another_state_stays() -> None:
    """A late word before it holds until it, and not until the other state."""
    said = words((0, UP, None), (1, UP, None), (2, UP, None), (6, DOWN, None), (7, DOWN, None))
    kept = without_repetitions(said, 100)
    assert [one.occurred_at for one in kept] == [0, 2, 6, 7]
    late = Report(1, 9, "late", DOWN, None, None)
    assert states(sorted([*kept, late])) == states(sorted([*said, late]))
