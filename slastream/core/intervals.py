"""Half-open intervals of integers, and the openings of one year with their running sums."""

from collections.abc import Iterable
from typing import NamedTuple

Interval = tuple[int, int]
"""[start, end)."""


class OpenYear(NamedTuple):
    """The openings inside a UTC year `[low, high)`: disjoint, ascending, cut at the year's ends.

    `sums[i]` is the open time from the calendar's own zero up to `starts[i]`, `base` up to `low`, `base + total` up to
    `high`: the difference of two of them is the open time between, also where they are of different years.
    """

    low: int
    high: int
    base: int
    total: int
    starts: list[int]
    ends: list[int]
    sums: list[int]


NO_YEAR = OpenYear(0, 0, 0, 0, [], [], [])


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """In order and disjoint: those that overlap or touch become one, empty ones are dropped."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def open_year(low: int, high: int, base: int, openings: Iterable[Interval]) -> OpenYear:
    """Running sums over disjoint, ascending openings, cut at `[low, high)`."""
    starts, ends, sums, total = [], [], [], base
    for start, end in openings:
        start, end = max(start, low), min(end, high)
        if start < end:
            starts.append(start)
            ends.append(end)
            sums.append(total)
            total += end - start
    return OpenYear(low, high, base, total - base, starts, ends, sums)
