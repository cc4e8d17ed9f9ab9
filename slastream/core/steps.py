"""Step functions of time: a value holds from its start until the next one's start, the last for ever.

The first start of every one is the beginning of time, so that there is a value at each instant. Values next to each other differ.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from slastream.core.intervals import Interval
from slastream.core.units import FIRST

A = TypeVar("A")
B = TypeVar("B")
BEGINNING = int(FIRST)


class Steps(NamedTuple, Generic[A]):
    """`values[i]` holds in `[starts[i], starts[i + 1])`; `starts[0]` is BEGINNING."""

    starts: list[int]
    values: list[A]

    def at(self, at: int) -> A:
        return self.values[bisect_right(self.starts, at) - 1]

    def pieces(self, end: int) -> Iterator[tuple[int, int, A]]:
        """(start, end, value) in order, up to `end`."""
        for index, (start, value) in enumerate(zip(self.starts, self.values, strict=True)):
            if start >= end:
                return
            stop = self.starts[index + 1] if index + 1 < len(self.starts) else end
            yield start, min(stop, end), value


def steps_of(changes: Iterable[tuple[int, A]], first: A) -> Steps[A]:
    """`first` until the first of `changes`, which ascend; of several at one instant the last holds."""
    starts, values = [BEGINNING], [first]
    for start, value in changes:
        if start <= starts[-1]:
            values[-1] = value
            if len(values) > 1 and values[-2] == value:
                starts.pop()
                values.pop()
        elif value != values[-1]:
            starts.append(start)
            values.append(value)
    return Steps(starts, values)


def combined(parts: Sequence[Steps[A]], combine: Callable[[Sequence[A]], B]) -> Steps[B]:
    """`combine` of the values of all parts, instant by instant. Costs one call per change of a part."""
    now = [part.values[0] for part in parts]
    changes = sorted(
        (start, index, place)
        for index, part in enumerate(parts)
        for place, start in enumerate(part.starts)
        if place > 0
    )

    def sweep() -> Iterator[tuple[int, B]]:
        for number, (start, index, place) in enumerate(changes, 1):
            now[index] = parts[index].values[place]
            if number == len(changes) or changes[number][0] != start:
                yield start, combine(now)

    return steps_of(sweep(), combine(now))


def overlaid(steps: Steps[A], intervals: Sequence[Interval], value: A) -> Steps[A]:
    """The same, but `value` inside of `intervals`, which are disjoint and ascending."""
    if not intervals:
        return steps
    marks = steps_of(((at, inside) for low, high in intervals for at, inside in ((low, True), (high, False))), False)

    def pairs() -> Iterator[tuple[int, A]]:
        for at in sorted({*steps.starts, *marks.starts}):
            yield at, value if marks.at(at) else steps.at(at)

    rest = iter(pairs())
    return steps_of(rest, next(rest)[1])
