"""How likely is an open clock to breach? Told from what the service itself has done: the open times of finished clocks.

Of the finished cycles of the same promise, service and priority that were still open after the time that this one has used
(*the same stage*), a share took longer than this one may: that share is the chance. It is the empirical survival function,
conditional on the stage, and has a numerator and a denominator. With fewer than `MIN_PEERS` at the same stage there is none.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from slastream.core.control import Point
from slastream.core.units import Duration

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
