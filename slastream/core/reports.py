"""What monitoring says of one component, and the state that follows from it (semantics 5.1, 5.4).

Reports are a set: their order is that of `(occurred_at, sequence, event_id)`, and a repeated id is one report. From the whole set
follows the state at each instant, so that a late report needs no rule of its own.

A report without `episode` says the state of the component; an `up` without one ends every open episode. A report with an
episode says the state of that episode, and `up` ends it. The worst of them all counts. What expires is unknown until the
next word about it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from slastream.core.events import STATES
from slastream.core.steps import Steps, steps_of

RANK = {state: rank for rank, state in enumerate(STATES)}
_UP, _UNKNOWN = RANK["up"], RANK["unknown"]


class Report(NamedTuple):
    """One word about a component: `rank` is the place of its state in STATES, `expires_at` the end of its word."""

    occurred_at: int
    sequence: int
    event_id: str
    rank: int
    episode: str | None
    expires_at: int | None

    def at(self, at: int) -> int:
        """What it says at an instant after its own, if it still holds."""
        return self.rank if self.expires_at is None or at < self.expires_at else _UNKNOWN


def states_of(reports: Iterable[Report]) -> Steps[int | None]:
    """The state (its place in STATES) by time; None before the first report. `reports` are in order, hard ones only."""
    return steps_of(_changes(reports), None)


def last_words(reports: Iterable[Report]) -> list[Report]:
    """Those that hold after the last of them, in order: alone they say of any later time what all of them say."""
    words = _Words()
    for report in reports:
        words.take(report)
    return sorted(words.all())


def is_repetition(before: Report, word: Report, after: Report, pane: int) -> bool:
    """Does a word of one component, between these two, say nothing that they do not say? All states stay without it.

    The last word of a `pane` of time is none, nor the last before another state: a late word between would hold too long.
    """
    return (
        before.rank == word.rank == after.rank
        and word.occurred_at // pane == after.occurred_at // pane
        and before.episode == word.episode == after.episode
        and (word.episode is None or word.rank != _UP)
        and all(one.expires_at is None or after.occurred_at <= one.expires_at for one in (before, word))
    )


def without_repetitions(reports: Iterable[Report], pane: int) -> list[Report]:
    """In order, the same states: a word between two that say the same is left out, but the last one of each `pane` of time."""
    kept: list[Report] = []
    for after in reports:
        if len(kept) > 1 and is_repetition(kept[-2], kept[-1], after, pane):
            kept.pop()
        kept.append(after)
    return kept


class _Words:
    """The words about a component that hold: its own, and one for each open episode."""

    __slots__ = ("base", "episodes")

    def __init__(self) -> None:
        self.base: Report | None = None
        self.episodes: dict[str, Report] = {}

    def all(self) -> list[Report]:
        return [*([self.base] if self.base is not None else []), *self.episodes.values()]

    def take(self, report: Report) -> None:
        if report.episode is None:
            self.base = report
            if report.rank == _UP:
                self.episodes.clear()
        elif report.rank == _UP:
            self.episodes.pop(report.episode, None)
            base, at = self.base, report.occurred_at
            if base is None or (base.rank != _UNKNOWN and base.at(at) == _UNKNOWN):
                self.base = report
        else:
            self.episodes[report.episode] = report

    def worst(self, at: int) -> int:
        """The worst state of any of them; up where there is none, which only an episode that ended leaves."""
        rank = _UP if self.base is None else self.base.at(at)
        for word in self.episodes.values():
            rank = max(rank, word.at(at))
        return rank

    def expiries(self, after: int, before: int | None) -> Iterator[tuple[int, int | None]]:
        """What changes between two reports: at the instant of a report, the report comes first."""
        for at in sorted({word.expires_at for word in self.all() if word.expires_at is not None}):
            if at > after and (before is None or at < before):
                yield at, self.worst(at)


def _changes(reports: Iterable[Report]) -> Iterator[tuple[int, int | None]]:
    words, last, can_expire = _Words(), 0, False
    for report in reports:
        at = report.occurred_at
        if can_expire:
            yield from words.expiries(last, at)
        words.take(report)
        last, can_expire = at, can_expire or report.expires_at is not None
        yield at, words.worst(at)
    if can_expire:
        yield from words.expiries(last, None)
