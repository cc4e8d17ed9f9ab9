"""Control charts: limits by hand, the four rules one by one, and a second way to compute all of it."""

from decimal import Decimal
from fractions import Fraction
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from slastream.core.control import (
    CHART_POINTS,
    Limits,
    Point,
    chart_of,
    limits_of,
    signals_of,
    slope_of,
    trend_of,
)
from slastream.core.units import HOUR, Duration, Instant


def limits_with_sigma(sigma: int) -> Limits:
    """Around 1000: 3 sigma are 3.145 median moving ranges."""
    moving_range = Fraction(sigma) * 3 / Fraction("3.145")
    return Limits(
        Fraction(1000), Fraction(0), 1000 + 3 * Fraction(sigma), moving_range, Fraction("3.865") * moving_range
    )


def broken(values: list[int]) -> list[tuple[int, ...]]:
    return list(signals_of(values, limits_with_sigma(100)))


def point(number: int, elapsed: int, target: int | None = None, is_met: bool = True) -> Point:
    return Point(
        Instant(number), f"{number:04}", Duration(elapsed), None if target is None else Duration(target), is_met
    )


def test_limits_by_hand() -> None:
    """10, 14, 10, 14, …: every moving range is 4, the median is 12."""
    limits = limits_of([10, 14] * 10)
    assert limits == Limits(
        centre_us=Fraction(12),
        lower_us=Fraction(0),
        upper_us=Fraction("24.58"),
        moving_range_us=Fraction(4),
        moving_range_upper_us=Fraction("15.46"),
    )


def test_a_lower_limit_above_nothing_stays() -> None:
    limits = limits_of([100, 104] * 10)
    assert limits is not None and limits.lower_us == Fraction("89.42")


def test_no_limits_from_nineteen_points_or_without_variation() -> None:
    assert limits_of([10, 14] * 9 + [10]) is None
    assert limits_of([10] * 15 + [11, 12, 13, 14, 15]) is None


def test_rule_1_is_one_point_beyond_three_sigma_and_not_one_on_the_limit() -> None:
    assert broken([1000, 1300, 1301, 700, 699]) == [(), (), (1, 2), (), (1, 2)]


def test_rule_2_is_two_of_three_beyond_two_sigma_on_one_side() -> None:
    assert broken([1201, 1000, 1201]) == [(), (), (2,)]
    assert broken([1201, 1000, 799]) == [(), (), ()], "one on each side"
    assert broken([1201, 1000, 1000, 1201]) == [(), (), (), ()], "four apart"
    assert broken([1201, 1201, 1000]) == [(), (2,), ()], "the one inside breaks nothing"


def test_rule_3_is_four_of_five_beyond_one_sigma_on_one_side() -> None:
    assert broken([1101, 1101, 1000, 1101, 1101]) == [(), (), (), (), (3,)]
    assert broken([1101, 1101, 1000, 1101, 899]) == [()] * 5


def test_rule_4_is_eight_in_a_row_on_one_side_and_the_centre_is_no_side() -> None:
    assert broken([1001] * 8) == [()] * 7 + [(4,)]
    assert broken([999] * 7 + [1000] + [999] * 7) == [()] * 15


def test_the_newest_points_are_shown_in_order_of_their_stops() -> None:
    chart = chart_of([point(number, number) for number in reversed(range(CHART_POINTS + 5))], None)
    assert [one.stopped_at for one in chart.points] == list(range(5, CHART_POINTS + 5))


def test_few_points_have_no_limits_no_signals_and_no_share_inside() -> None:
    chart = chart_of([point(1, 5, 10), point(2, 90, 10, is_met=False)], None)
    assert (chart.limits, chart.inside, chart.signals) == (None, None, ((), ()))
    assert (chart.capability.within, chart.capability.total, chart.capability.index) == (1, 2, None)


def test_capability_is_one_when_the_objectives_share_just_fits() -> None:
    """19 tickets take half of their target, the 20th more: 95 % of them fit in half of it, so a spread is unknown."""
    times = [point(number, HOUR + number, 4 * HOUR) for number in range(19)] + [point(19, 4 * HOUR, 4 * HOUR)]
    capability = chart_of(times, Decimal("0.95")).capability
    assert capability.spread_used == Fraction(HOUR + 18, 4 * HOUR), "the 19th of 20"
    exact = chart_of([*times[:18], point(18, 4 * HOUR, 4 * HOUR), times[19]], Decimal("0.95")).capability
    assert exact.index == 1


def test_capability_needs_enough_points_for_its_quantile_and_targets_in_open_time() -> None:
    times = [point(number, HOUR + number, 4 * HOUR) for number in range(30)]
    assert chart_of(times, Decimal("0.95")).capability.index is not None
    assert chart_of(times, Decimal("0.99")).capability.index is None, "one in a hundred, of thirty"
    days = chart_of([point(number, HOUR + number) for number in range(30)], None).capability
    assert (days.within, days.total, days.targeted, days.index) == (30, 30, 0, None)


def test_a_trend_that_chance_explains_has_no_direction() -> None:
    assert trend_of(list(range(30))).direction == "rising"
    assert trend_of(list(range(30, 0, -1))).direction == "falling"
    assert trend_of([1, 2] * 15).direction is None
    assert trend_of(list(range(19))).direction is None, "too few"
    assert trend_of([7] * 30).score == 0


def test_a_tie_rises_and_falls_by_nothing() -> None:
    assert trend_of([1, 1, *range(2, 20)]).score == 20 * 19 // 2 - 1


def test_the_slope_is_the_median_of_all_slopes() -> None:
    assert slope_of([0, 10, 20, 1000, 40]) == 10
    assert slope_of([5]) is None


VALUES = st.lists(st.integers(0, 50) | st.integers(0, 10**12), min_size=20, max_size=60)


@given(VALUES)
def test_a_second_way_to_limits_and_signals(values: list[int]) -> None:
    ranges = [abs(values[i] - values[i - 1]) for i in range(1, len(values))]
    doubled = median([2 * one for one in ranges])  # an integer, so that nothing is rounded
    limits = limits_of(values)
    if doubled == 0:
        assert limits is None
        return
    assert limits is not None
    centre, sigma = (
        Fraction(int(median([2 * one for one in values])), 2),
        Fraction(3145, 3000) * Fraction(int(doubled), 2),
    )
    assert limits.upper_us == centre + 3 * sigma
    scores = [(one - centre) / sigma for one in values]
    expected = []
    for i in range(len(values)):
        rules = set()
        for side in (1, -1):
            last = [side * one for one in scores[: i + 1]]
            if last[-1] > 3:
                rules.add(1)
            for rule, bound, needed, window in ((2, 2, 2, 3), (3, 1, 4, 5), (4, 0, 8, 8)):
                if last[-1] > bound and sum(one > bound for one in last[-window:]) >= needed:
                    rules.add(rule)
        expected.append(tuple(sorted(rules)))
    assert list(signals_of(values, limits)) == expected


@given(VALUES)
def test_turned_around_a_trend_is_the_other_one(values: list[int]) -> None:
    assert trend_of(values[::-1]).score == -trend_of(values).score
