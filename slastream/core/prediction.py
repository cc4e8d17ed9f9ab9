"""How likely is an open clock to breach? Told from what the service itself has done: the open times of finished clocks.

Of the finished cycles of the same promise, service and priority that were still open after the time that this one has used
(*the same stage*), a share took longer than this one may: that share is the chance. It is the empirical survival function,
conditional on the stage, and has a numerator and a denominator. With fewer than `MIN_PEERS` at the same stage there is none,
nor while the clock is paused: what finished clocks took does not say whether one that waits will run again. (On the UCI log 4 % of
them were late, and such chances were worse than any guess: `benchmarks/PREDICTION.md`.)
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from slastream.core.calendars import Calendar
from slastream.core.control import Point
from slastream.core.units import Duration, Instant

HISTORY_POINTS = 500
"""The newest so many finished cycles of a promise and service are its history."""
MIN_PEERS = 20
"""With fewer at the same stage no chance is told."""

History = Mapping[str | None, Sequence[int]]
"""The open times in µs of finished cycles, ascending, by priority."""


class Chance(NamedTuple):
    """`breaching` of the `peers` at the same stage went on for longer than the clock may."""

    breaching: int
    peers: int

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.breaching, self.peers)


def history_of(points: Iterable[Point]) -> dict[str | None, list[int]]:
    """Of the newest `HISTORY_POINTS` of these, in any order."""
    found: dict[str | None, list[int]] = {}
    for point in sorted(points)[-HISTORY_POINTS:]:
        found.setdefault(point.priority, []).append(point.elapsed_us)
    for times in found.values():
        times.sort()
    return found


def chance_of(history: History, priority: str | None, elapsed_us: Duration, remaining_us: Duration) -> Chance | None:
    """The chance of an open clock that has used `elapsed_us` and has `remaining_us` of open time until it is late.

    None: too few were ever at this stage.
    """
    times = history.get(priority, ())
    peers = len(times) - bisect_right(times, elapsed_us)
    if peers < MIN_PEERS:
        return None
    return Chance(len(times) - bisect_right(times, elapsed_us + max(0, remaining_us)), peers)


class OpenClock(NamedTuple):
    """A clock that runs or is paused, not late yet. `remaining_us` None: it is paused."""

    priority: str | None
    elapsed_us: Duration
    remaining_us: Duration | None


class Forecast(NamedTuple):
    """Of `open` clocks, `predicted` have a chance; `expected` breaches are the sum of theirs."""

    open: int
    predicted: int
    expected: Fraction


def forecast_of(history: History, clocks: Iterable[OpenClock]) -> Forecast:
    count, predicted = 0, 0
    by_peers: dict[int, int] = {}
    for one in clocks:
        count += 1
        chance = chance_of_clock(history, one)
        if chance is not None:
            predicted += 1
            by_peers[chance.peers] = by_peers.get(chance.peers, 0) + chance.breaching
    return Forecast(count, predicted, sum((Fraction(n, peers) for peers, n in by_peers.items()), Fraction(0)))


def chance_of_clock(history: History, clock: OpenClock) -> Chance | None:
    if clock.remaining_us is None:
        return None
    return chance_of(history, clock.priority, clock.elapsed_us, clock.remaining_us)


def remaining_of(
    calendar: Calendar, now: Instant, elapsed_us: Duration, target_us: Duration | None, due_at: Instant | None
) -> Duration | None:
    """The open time that a running clock has until it is late: of its target, else until it is due.

    `target_us` is None for a target in days and for a due instant set by hand.
    """
    if target_us is not None:
        return Duration(target_us - elapsed_us)
    return None if due_at is None else calendar.open_between(now, max(now, due_at))
