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


class _Word(NamedTuple):
    rank: int
    expires_at: int | None

    def at(self, at: int) -> int:
        return self.rank if self.expires_at is None or at < self.expires_at else _UNKNOWN


def states_of(reports: Iterable[Report]) -> Steps[int | None]:
    """The state (its place in STATES) by time; None before the first report. `reports` are in order, hard ones only."""
    return steps_of(_changes(reports), None)


def _changes(reports: Iterable[Report]) -> Iterator[tuple[int, int | None]]:
    base: _Word | None = None
    episodes: dict[str, _Word] = {}
    last, can_expire = 0, False
    for report in reports:
        at = report.occurred_at
        if can_expire:
            yield from _expiries(base, episodes, last, at)
        word = _Word(report.rank, report.expires_at)
        if report.episode is None:
            base = word
            if report.rank == _UP and episodes:
                episodes.clear()
        elif report.rank == _UP:
            episodes.pop(report.episode, None)
            if base is None or (base.rank != _UNKNOWN and base.at(at) == _UNKNOWN):
                base = word
        else:
            episodes[report.episode] = word
        last, can_expire = at, can_expire or report.expires_at is not None
        yield at, _worst(base, episodes, at)
    if can_expire:
        yield from _expiries(base, episodes, last, None)


def _expiries(
    base: _Word | None, episodes: dict[str, _Word], after: int, before: int | None
) -> Iterator[tuple[int, int | None]]:
    """What changes between two reports: at the instant of a report, the report comes first."""
    words = [*([base] if base is not None else []), *episodes.values()]
    for at in sorted({word.expires_at for word in words if word.expires_at is not None}):
        if at > after and (before is None or at < before):
            yield at, _worst(base, episodes, at)


def _worst(base: _Word | None, episodes: dict[str, _Word], at: int) -> int:
    rank = _UP if base is None else base.at(at)
    for word in episodes.values():
        rank = max(rank, word.at(at))
    return rank
