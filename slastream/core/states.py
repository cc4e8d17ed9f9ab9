"""States of services as levels, and how several become one (semantics 5.1).

A service of which a quarter is down is neither up nor down: what it is at an instant is `Levels`, the shares of it that are
at least `up`, `degraded`, `maintenance`, `unknown`, `down`, as whole numbers of which the last is the whole. The worst of
several is then the smallest share at each level, the best the largest, the N-th best the N-th largest, and a weighted one
the sum: no product of percentages, no float. A part that is wholly in one state has the shares 0 and 1.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from math import lcm

from slastream.core.events import STATES

Levels = tuple[int, ...]
"""For each of STATES, from best to worst, the share that is at least as good; the last is the whole."""

Combine = Callable[[Sequence[Levels]], Levels]

LEVELS: dict[str, Levels] = {
    state: tuple(int(place >= index) for place in range(len(STATES))) for index, state in enumerate(STATES)
}
MAINTENANCE, UNKNOWN, DOWN = LEVELS["maintenance"], LEVELS["unknown"], LEVELS["down"]


def is_down(levels: Levels) -> bool:
    """Is all of it down?"""
    return levels[-2] == 0


def shares(levels: Levels) -> tuple[int, ...]:
    """For each of STATES the share that is in it."""
    return (levels[0], *(high - low for low, high in pairwise(levels)))


def main_state(levels: Levels) -> str:
    """The one word for it: its state; where it is split, the state of the largest share, the worse of equal ones."""
    split = shares(levels)
    return max(zip(split, range(len(split)), STATES, strict=True))[2]


def combination(word: str, at_least: int | None, weights: Sequence[Decimal]) -> Combine:
    """How a service combines its members: `worst`, `best`, `at_least` (N) or `weighted`; a member's weight by its place.

    The N-th best of fewer than N is unknown: what is not there cannot be asked.
    """
    match word:
        case "worst":
            return lambda members: tuple(map(min, zip(*_scaled(members), strict=True)))
        case "best":
            return lambda members: tuple(map(max, zip(*_scaled(members), strict=True)))
        case "at_least":
            return lambda members: _nth_best(members, at_least or 1)
        case _:
            whole = lcm(*(weight.as_integer_ratio()[1] for weight in weights))
            factors = [int(weight * whole) for weight in weights]
            return lambda members: _weighted(members, factors)


def _nth_best(members: Sequence[Levels], n: int) -> Levels:
    if n > len(members):
        return UNKNOWN
    return tuple(sorted(level, reverse=True)[n - 1] for level in zip(*_scaled(members), strict=True))


def _weighted(members: Sequence[Levels], factors: Sequence[int]) -> Levels:
    return tuple(
        sum(factor * share for factor, share in zip(factors, level, strict=True))
        for level in zip(*_scaled(members), strict=True)
    )


def _scaled(members: Sequence[Levels]) -> Sequence[Levels]:
    """The same shares of one common whole."""
    wholes = {levels[-1] for levels in members}
    if len(wholes) == 1:
        return members
    whole = lcm(*wholes)
    return [tuple(share * (whole // levels[-1]) for share in levels) for levels in members]
