"""Burn alerts: the closed forms of the SRE workbook, and a calculator that looks at each second."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.accounts import Account, account_of_events, account_of_time, open_time
from slastream.core.burns import BurnRule, burns_of, rules_of
from slastream.core.calendars import Calendar
from slastream.core.policies import ServicePromise
from slastream.core.states import LEVELS
from slastream.core.steps import steps_of
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Instant

ALWAYS = Calendar.always("UTC")


def promise(target: str, window: str = "30d", min_coverage: str = "0.9") -> ServicePromise:
    return ServicePromise("uptime", "availability", ALWAYS, Decimal(target), window, min_coverage=Decimal(min_coverage))


def account(*changes: tuple[float, str]) -> Account:
    """Of states from seconds on."""
    levels = steps_of([(round(at * SECOND), LEVELS[state]) for at, state in changes], None)
    hours = open_time(ALWAYS, None, 0, 1)
    return account_of_time(levels, Instant(round(changes[0][0] * SECOND)), {}, "unknown", hours)


KNOWN_SINCE = -40 * 86_400


@pytest.mark.parametrize(
    ("target", "window", "minutes", "expected"),
    [
        # (factor: started, stopped) in seconds after the beginning of an outage of so many minutes.
        # Started at (1 - target) * factor * long window; stopped where the short window holds less than that share of it:
        # end + short window * (1 - (1 - target) * factor).
        ("0.999", "30d", 10, {"14.4": (51.84, 895.68), "6": (129.6, 2389.2), "3": (259.2, 7778.4), "1": (259.2, 22178.4)}),
        ("0.99", "30d", 10, {"14.4": (518.4, 856.8)}),
        ("0.9995", "30d", 10, {"14.4": (25.92, 897.84), "6": (64.8, 2394.6), "3": (129.6, 7789.2), "1": (129.6, 22189.2)}),
        ("0.999", "7d", 10, {"14.4": (12.096, 668.992), "6": (30.24, 1017.48), "3": (60.48, 2274.96), "1": (60.48, 5634.96)}),
    ],
)  # fmt: skip
def test_an_outage_fires_and_stops_at_the_closed_form(
    target: str, window: str, minutes: int, expected: dict[str, tuple[float, float]]
) -> None:
    history = account((KNOWN_SINCE, "up"), (0, "down"), (minutes * 60, "up"))
    for rule in rules_of(window):
        found = [
            (one.started_at / SECOND, None if one.stopped_at is None else one.stopped_at / SECOND)
            for one in burns_of(history, rule, promise(target, window), 10 * DAY)
        ]
        wanted = [expected[rule.text]] if rule.text in expected else []
        assert [value for one in found for value in one] == pytest.approx([v for one in wanted for v in one], abs=2e-6)


def test_the_windows_scale_with_the_period_and_the_factors_stay() -> None:
    assert [(rule.text, rule.long_us, rule.short_us) for rule in rules_of("month")] == [
        ("14.4", HOUR, 5 * MINUTE), ("6", 6 * HOUR, 30 * MINUTE), ("3", DAY, 2 * HOUR), ("1", 3 * DAY, 6 * HOUR),
    ]  # fmt: skip
    assert [rule.long_us * 30 for rule in rules_of("day")] == [rule.long_us for rule in rules_of("30d")]
    assert [rule.long_us for rule in rules_of("quarter")] == [rule.long_us for rule in rules_of("90d")]


def test_a_rate_of_exactly_the_factor_does_not_fire() -> None:
    minutes = [(n * MINUTE, 9856, 10_000) for n in range(1, 400)]
    at_factor, above = rules_of("30d")[0], rules_of("30d")[1]
    history = account_of_events(minutes)
    assert burns_of(history, at_factor, promise("0.999"), 300 * MINUTE) == []
    assert [one.started_at for one in burns_of(history, above, promise("0.999"), 300 * MINUTE)] == [MINUTE]


def test_a_service_first_seen_down_is_silent() -> None:
    history = account((0, "down"), (600, "up"))
    assert [burns_of(history, rule, promise("0.999"), HOUR) for rule in rules_of("30d")] == [[]] * 4


def test_an_alert_neither_stops_nor_starts_without_coverage() -> None:
    #  down 0..10 min, then nothing is known for a day: the alert stays; up again, known for long enough: it stops
    history = account((KNOWN_SINCE, "up"), (0, "down"), (600, "unknown"), (87_000, "up"))
    (one,) = burns_of(history, rules_of("30d")[0], promise("0.999"), 2 * DAY)
    assert one.started_at == 51_840_000
    assert one.stopped_at is not None
    assert one.stopped_at == (87_000 + 54 * 60) * SECOND  # nine tenths of the hour are known


STATES = st.sampled_from(["up", "down", "unknown", "maintenance"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), STATES), min_size=1, max_size=12),
    st.sampled_from(["0.5", "0.8", "0.9"]),
    st.sampled_from(["1", "1.6", "3"]),
    st.sampled_from(["0", "0.5", "0.9"]),
)
def test_an_alert_is_what_each_second_says(
    lengths: list[tuple[int, str]], target: str, factor: str, min_coverage: str
) -> None:
    changes, at = [(0.0, "up")], 0
    for length, state in lengths:
        at += length
        changes.append((float(at), state))
    rule = BurnRule(Decimal(factor), 60 * SECOND, 12 * SECOND)
    end = at + 90
    found = burns_of(account(*changes), rule, promise(target, min_coverage=min_coverage), end * SECOND)
    on = {s for s in range(end) for one in found if one.started_at < s * SECOND < (one.stopped_at or 10**18)}
    switches = {t for one in found for t in (one.started_at, one.stopped_at) if t is not None}

    def state_at(second: int) -> str:
        return next((word for start, word in reversed(changes) if start <= second), "none")

    was_on = False
    for second in range(1, end):
        verdict = naive(state_at, second, Fraction(factor) * (1 - Fraction(target)), Fraction(min_coverage))
        was_on = was_on if verdict is None else verdict
        if any((second - 1) * SECOND <= t <= second * SECOND for t in switches):
            was_on = second in on  # between two seconds it may have done so twice
        assert (second in on) is was_on, (second, found)


def naive(state: Callable[[int], str], second: int, limit: Fraction, min_coverage: Fraction) -> bool | None:
    """Is the alert on at a second, by counting seconds? None: too little is known."""
    above = []
    for length in (60, 12):
        window = [state(s) for s in range(second - length, second)]
        bad, good = window.count("down"), window.count("up")
        counted = length - window.count("maintenance")
        if good + bad == 0 or good + bad < min_coverage * counted:
            return None
        above.append(bad > limit * (good + bad))
    return all(above)
