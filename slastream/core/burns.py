"""Multi-window burn alerts: when two burn rates are above a factor, and when not any more (semantics 5.8).

Between two changes of the sums in a window everything is linear in time, so that the instants are solved for, not sampled:
an alert starts at the instant at which both rates reach the factor and go above it, and stops at the first at which one of
them is above no longer. While one of the windows has too little coverage, or nothing to count, it does neither.

**Source:** https://sre.google/workbook/alerting-on-slos/, section 6.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from slastream.core.accounts import Account, Cursor, Sums
from slastream.core.policies import ServicePromise
from slastream.core.units import DAY, HOUR, MINUTE


class BurnRule(NamedTuple):
    """`factor` on a long and a short window, in microseconds; of a budget for 30 days."""

    factor: Decimal
    long_us: int
    short_us: int

    @property
    def text(self) -> str:
        return str(self.factor)


RULES = (
    BurnRule(Decimal("14.4"), HOUR, 5 * MINUTE),
    BurnRule(Decimal(6), 6 * HOUR, 30 * MINUTE),
    BurnRule(Decimal(3), DAY, 2 * HOUR),
    BurnRule(Decimal(1), 3 * DAY, 6 * HOUR),
)
NOMINAL_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}
_HOURS = {"1h": 1, "6h": 6, "1d": 24, "3d": 72, "7d": 168, "28d": 672, "30d": 720, "90d": 2160}


def rules_of(window: str) -> list[BurnRule]:
    """The rules scaled to a window: the factors stay, the alert windows change with its length."""
    hours = NOMINAL_DAYS[window] * 24 if window in NOMINAL_DAYS else _HOURS[window]
    return [BurnRule(r.factor, r.long_us * hours // 720, r.short_us * hours // 720) for r in RULES]


class Burn(NamedTuple):
    """A stretch in which an alert was on; `stopped_at` None: it still is."""

    started_at: int
    stopped_at: int | None


class Line(NamedTuple):
    """`value + slope * t` from the beginning of a piece on, which must be above 0, or (not `is_strict`) not below it."""

    value: int
    slope: int
    is_strict: bool


def burns_of(
    account: Account,
    rule: BurnRule,
    promise: ServicePromise,
    until: int,
    since: int | None = None,
    started_at: int | None = None,
) -> list[Burn]:
    """Every stretch that started up to `until`, which is included.

    With `since` those that go on or start from there on; `started_at` is when the one that was on there started.
    """
    if not account.starts or promise.target == 1:
        return []
    now, long, short = (Cursor(account, shift) for shift in (0, rule.long_us, rule.short_us))
    limit = Fraction(rule.factor) * (1 - Fraction(promise.target))
    coverage = Fraction(promise.min_coverage)
    found: list[Burn] = []
    at = account.next_bad(account.starts[0]) if since is None else since
    while at is not None and at <= until:
        current, rate = now.read(at)
        windows = [_window(current, rate, *cursor.read(at)) for cursor in (long, short)]
        end = min((until + 1, *(c.next_change for c in (now, long, short) if c.next_change is not None)))
        if started_at is None:
            if windows[0][0].bad == 0 and windows[0][1].bad <= 0:
                at = account.next_bad(at) if rate.bad == 0 else end
                continue
            above = _above(windows[0], limit)
            if above.value <= 0 and above.slope <= 0:  # most pieces end here, before the other lines are made
                at = end
                continue
            offset = _first([_firing(windows, limit, coverage)], end - at)
        else:
            offset = _first(_stopping(windows, limit, coverage), end - at)
        if offset is None or at + offset > until:
            at = end
        elif started_at is None:
            started_at = at + offset
            at = started_at + 1
        else:
            found.append(Burn(started_at, at + offset))
            started_at, at = None, at + offset + 1
    return [*found, Burn(started_at, None)] if started_at is not None else found


Window = tuple[Sums, Sums]
"""The sums in a window that ends now, and their rates."""


def _window(now: Sums, rate: Sums, then: Sums, rate_then: Sums) -> Window:
    return now.less(then), rate.less(rate_then)


def _above(window: Window, limit: Fraction) -> Line:
    n, d = limit.numerator, limit.denominator
    sums, rates = window
    return Line(sums.bad * d - sums.known * n, rates.bad * d - rates.known * n, True)


def _covered(windows: Sequence[Window], coverage: Fraction) -> list[Line]:
    n, d = coverage.numerator, coverage.denominator
    return [
        line
        for sums, rates in windows
        for line in (
            Line(sums.known * d - sums.counted * n, rates.known * d - rates.counted * n, False),
            Line(sums.known, rates.known, True),
        )
    ]


def _firing(windows: Sequence[Window], limit: Fraction, coverage: Fraction) -> list[Line]:
    return [*(_above(window, limit) for window in windows), *_covered(windows, coverage)]


def _stopping(windows: Sequence[Window], limit: Fraction, coverage: Fraction) -> list[list[Line]]:
    covered = _covered(windows, coverage)
    above = (_above(window, limit) for window in windows)
    return [[Line(-line.value, -line.slope, False), *covered] for line in above]


def _first(choices: Sequence[Sequence[Line]], length: int) -> int | None:
    """The first whole offset below `length` from which on all lines of a choice hold; None: no choice holds in the piece."""
    return min((at for lines in choices if (at := first_offset(lines, length)) is not None), default=None)


def first_offset(lines: Sequence[Line], length: int) -> int | None:
    """Where the time at which all lines hold begins, rounded up to a whole microsecond; None: they never do in `[0, length)`."""
    low: Fraction | int = 0
    high: Fraction | int = length
    is_low_open, is_high_open = False, True
    for value, slope, is_strict in lines:
        if slope == 0:
            if value < 0 or (value == 0 and is_strict):
                return None
            continue
        end = value + slope * length
        if value > 0 and end > 0:
            continue
        if value < 0 and end < 0:
            return None
        root = Fraction(-value, slope)
        if slope > 0 and (root > low or (root == low and is_strict)):
            low, is_low_open = root, is_strict
        if slope < 0 and (root < high or (root == high and is_strict)):
            high, is_high_open = root, is_strict
    if low > high or (low == high and (is_low_open or is_high_open)):
        return None
    return ceil(low) if ceil(low) < length else None
