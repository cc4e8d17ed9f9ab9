"""Is a process under control? The XmR chart of the open time that tickets took, its signals, capability and trend.

The points are completed cycles of one promise, in the order in which they stopped. Limits are made from medians, because
open times are skewed and a few monsters must not hide each other:

    centre = median(X)        upper, lower = centre ± 3.145 · median(mR)        upper limit of mR = 3.865 · median(mR)

with mR the distances between neighbours. All of it is exact: µs and fractions of them. Fewer than `MIN_POINTS` points, or
points half of which repeat their neighbour, have no limits: what varies by nothing has no natural variation to compare with.

**Source:** D. Wheeler, D. Chambers, *Understanding Statistical Process Control*, 2nd edition, table of bias correction factors
(median moving range: 3 / 0.954 = 3.145, and 3.865); Western Electric, *Statistical Quality Control Handbook* (1956), page
25-28, tests for unnatural patterns 1 to 4.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, pairwise
from math import ceil, floor, lcm
from typing import Literal, NamedTuple

from slastream.core.units import Duration, Instant

CHART_POINTS = 100
"""A chart shows the newest so many points."""
MIN_POINTS = 20
"""Limits from fewer points move too much with each new one."""
LIMIT_FACTOR = Fraction("3.145")
RANGE_FACTOR = Fraction("3.865")
RULES = (1, 2, 3, 4)
"""Western Electric: 1 beyond 3 sigma; 2 of 3 beyond 2; 4 of 5 beyond 1; 8 in a row on one side of the centre."""
SIGNIFICANT = Fraction("1.96") ** 2
"""Of a trend: the square of the normal quantile of 97.5 %."""

Direction = Literal["rising", "falling"]


class Point(NamedTuple):
    """A completed cycle: the open time that it took, and its target (None: one in days). Points sort in order of the chart.

    `clock` is the id of the cycle (`sla.verdicts`' key), which orders those that stopped at one instant.
    """

    stopped_at: Instant
    clock: str
    elapsed_us: Duration
    target_us: Duration | None
    is_met: bool
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """In µs. `lower_us` is 0 where the formula gives less: no ticket takes less than no time."""

    centre_us: Fraction
    lower_us: Fraction
    upper_us: Fraction
    moving_range_us: Fraction
    moving_range_upper_us: Fraction


@dataclass(frozen=True, slots=True)
class Capability:
    """Does what is promised fit into what the process does?

    `within` of `total` points kept their promise: true whatever the distribution. Of the `targeted` points (open-time
    targets), `median_used` and `spread_used` are quantiles of the share of the target that was used; `quantile` is the
    objective (without one 95 %). `index` = (1 - median) / (spread - median), as a Cpu with the distribution's own quantile
    instead of 3 sigma: at least 1 when the objective's share of tickets fits. None where there are too few points to know the
    quantile, or they do not vary.
    **Source:** the percentile method of ISO 22514-4 (Clements 1989), one-sided, at the objective's quantile.
    """

    within: int
    total: int
    targeted: int
    quantile: Fraction
    median_used: Fraction | None
    spread_used: Fraction | None
    index: Fraction | None


@dataclass(frozen=True, slots=True)
class Trend:
    """Do open times rise or fall along the chart? `score` is Mann-Kendall's S: pairs that rise less pairs that fall.

    `direction` is None where chance alone explains it (two-sided, 5 %, ties corrected).
    **Source:** Mann (1945), Kendall (1975); the variance with ties as in R's `Kendall` package.
    """

    score: int
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class ControlChart:
    """`signals[i]` are the rules that `points[i]` breaks; `inside` counts the points within the limits, None without limits."""

    points: tuple[Point, ...]
    limits: Limits | None
    signals: tuple[tuple[int, ...], ...]
    capability: Capability
    trend: Trend

    @property
    def inside(self) -> int | None:
        return None if self.limits is None else sum(1 not in rules for rules in self.signals)

    def count(self, rule: int) -> int:
        """The points that break a rule."""
        return sum(rule in rules for rules in self.signals)


def chart_of(points: Iterable[Point], objective: Decimal | None) -> ControlChart:
    """The chart of the newest `CHART_POINTS` of these, in any order. 0.6 ms for 100 points."""
    newest = tuple(sorted(points)[-CHART_POINTS:])
    values = [point.elapsed_us for point in newest]
    limits = limits_of(values)
    return ControlChart(
        points=newest,
        limits=limits,
        signals=((),) * len(newest) if limits is None else signals_of(values, limits),
        capability=capability_of(newest, objective),
        trend=trend_of(values),
    )


def limits_of(values: Sequence[int]) -> Limits | None:
    """None with fewer than `MIN_POINTS` values, or where the median of their moving ranges is 0."""
    if len(values) < MIN_POINTS:
        return None
    moving_range = median([abs(after - before) for before, after in pairwise(values)])
    if not moving_range:
        return None
    centre = median(values)
    return Limits(
        centre_us=centre,
        lower_us=max(Fraction(0), centre - LIMIT_FACTOR * moving_range),
        upper_us=centre + LIMIT_FACTOR * moving_range,
        moving_range_us=moving_range,
        moving_range_upper_us=RANGE_FACTOR * moving_range,
    )


def signals_of(values: Sequence[int], limits: Limits) -> tuple[tuple[int, ...], ...]:
    """The rules that each value breaks, ascending. A point breaks rules 2 to 4 when it completes the pattern and is part of it."""
    sigma = LIMIT_FACTOR / 3 * limits.moving_range_us
    above = [floor(limits.centre_us + count * sigma) for count in range(4)]
    below = [ceil(limits.centre_us - count * sigma) for count in range(4)]
    high = [sum(value > bound for bound in above) for value in values]
    low = [sum(value < bound for bound in below) for value in values]
    return tuple(
        tuple(rule for rule in RULES if _breaks(rule, high, index) or _breaks(rule, low, index))
        for index in range(len(values))
    )


_PATTERNS = {1: (4, 1, 1), 2: (3, 2, 3), 3: (2, 4, 5), 4: (1, 8, 8)}
"""By rule: (zone, points in it or beyond, of so many); zone n begins n - 1 sigma from the centre."""


def _breaks(rule: int, zones: Sequence[int], index: int) -> bool:
    zone, needed, window = _PATTERNS[rule]
    if zones[index] < zone:
        return False
    return sum(one >= zone for one in zones[max(0, index + 1 - window) : index + 1]) >= needed


def capability_of(points: Sequence[Point], objective: Decimal | None) -> Capability:
    quantile = Fraction("0.95") if objective is None else Fraction(objective)
    used = sorted(Fraction(one.elapsed_us, one.target_us) for one in points if one.target_us)
    knows_spread = len(used) >= MIN_POINTS and len(used) * (1 - quantile) >= 1
    middle, spread = middle_of(used) if used else None, quantile_of(used, quantile) if knows_spread else None
    varies = middle is not None and spread is not None and spread > middle
    return Capability(
        within=sum(one.is_met for one in points),
        total=len(points),
        targeted=len(used),
        quantile=quantile,
        median_used=middle,
        spread_used=spread,
        index=(1 - middle) / (spread - middle) if varies and middle is not None and spread is not None else None,
    )


def trend_of(values: Sequence[int]) -> Trend:
    """Without direction for fewer than `MIN_POINTS` values."""
    score = sum((after > before) - (after < before) for before, after in combinations(values, 2))
    count = len(values)
    ties = [values.count(one) for one in set(values)]
    variance = Fraction(_spread(count) - sum(map(_spread, ties)), 18)
    is_significant = count >= MIN_POINTS and score != 0 and (abs(score) - 1) ** 2 > SIGNIFICANT * variance
    return Trend(score, ("rising" if score > 0 else "falling") if is_significant else None)


def _spread(count: int) -> int:
    return count * (count - 1) * (2 * count + 5)


def slope_of(values: Sequence[int]) -> Fraction | None:
    """The Theil-Sen slope: the median of the slopes between all pairs, in µs a point. 3 ms for 100 values.

    **Source:** Sen (1968), Estimates of the regression coefficient based on Kendall's tau.
    """
    whole = lcm(*range(1, len(values)))
    slopes = [(values[j] - values[i]) * (whole // (j - i)) for i, j in combinations(range(len(values)), 2)]
    return median(slopes) / whole if slopes else None


def median(values: Iterable[int]) -> Fraction:
    return middle_of(sorted(values))


def middle_of(ordered: Sequence[int | Fraction]) -> Fraction:
    """The median of ascending values: of an even number the middle between the two."""
    half = len(ordered) // 2
    return Fraction(ordered[half]) if len(ordered) % 2 else Fraction(ordered[half - 1] + ordered[half]) / 2


def quantile_of(ordered: Sequence[Fraction], quantile: Fraction) -> Fraction:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    return ordered[max(0, ceil(quantile * len(ordered)) - 1)]
