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

from slastream.core.accounts import Account, Sums
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

    With `since` those that go on or start from there on; `started_at` is when the one that was on there started. Time in
    which running sums leave no choice is passed over whole, so that what costs are the changes near a start or a stop.
    """
    if not account.starts or promise.target == 1:
        return []
    watch = _Watch(account, rule, promise)
    found: list[Burn] = []
    at = account.next_bad(account.starts[0]) if since is None else since
    stride = rule.long_us
    while at is not None and at <= until:
        if started_at is None and watch.is_quiet(at):
            at = account.next_bad(at)
            continue
        end = min(watch.next_change(at), until + 1)
        further = end
        while at + stride > end and not watch.stays(started_at is not None, at, further := min(at + stride, until + 1)):
            stride, further = stride // 8, end
        if further > end:
            at, stride = further, 2 * stride
            continue
        stride = 4 * (end - at)
        offset = watch.first_switch(started_at is not None, at, end - at)
        if offset is None or at + offset > until:
            at = end
        elif started_at is None:
            started_at = at + offset
            at = started_at + 1
        else:
            found.append(Burn(started_at, at + offset))
            started_at, at = None, at + offset + 1
    return [*found, Burn(started_at, None)] if started_at is not None else found


class _Watch:
    """What decides about one alert, at any instant of an account."""

    __slots__ = ("_account", "_coverage", "_covered_parts", "_d", "_lengths", "_limit", "_n", "_parts")

    def __init__(self, account: Account, rule: BurnRule, promise: ServicePromise) -> None:
        self._account = account
        self._lengths = (rule.long_us, rule.short_us)
        self._limit = Fraction(rule.factor) * (1 - Fraction(promise.target))
        self._n, self._d = self._limit.numerator, self._limit.denominator
        self._coverage = Fraction(promise.min_coverage)
        self._covered_parts, self._parts = self._coverage.numerator, self._coverage.denominator

    def is_quiet(self, at: int) -> bool:
        """Is nothing bad in the short window, and nothing becoming so?"""
        account = self._account
        return account.rate_at(at).bad == 0 and account.growing(at)[0] == account.growing(at - self._lengths[1])[0]

    def next_change(self, at: int) -> int:
        """The next instant at which a segment begins, now or at the beginning of a window."""
        account = self._account
        return min(account.next_start(at - shift) + shift for shift in (0, *self._lengths))

    def stays(self, is_on: bool, start: int, end: int) -> bool:
        """Can it neither start nor stop in `[start, end)`? Sums only grow, which bounds those of every window in it."""
        read = self._account.growing
        bad_at_start, known_at_start, counted_at_start = read(start)
        bad_at_end, known_at_end, _ = read(end)
        is_above = True
        for length in self._lengths:
            bad_first, known_first, _ = read(start - length)
            bad_last, known_last, counted_last = read(end - length)
            most_known = known_at_end - known_first
            if most_known * self._parts < (counted_at_start - counted_last) * self._covered_parts:
                return True
            if not is_on and (bad_at_end - bad_first) * self._d <= (known_at_start - known_last) * self._n:
                return True
            is_above = is_above and (bad_at_start - bad_last) * self._d > most_known * self._n
        return is_on and is_above

    def first_switch(self, is_on: bool, at: int, length: int) -> int | None:
        """The first whole offset below `length` at which it starts or stops, in a stretch in which no rate changes."""
        now, rate = self._account.at(at), self._account.rate_at(at)
        windows = [
            _window(now, rate, self._account.at(at - shift), self._account.rate_at(at - shift))
            for shift in self._lengths
        ]
        if is_on:
            return _first(_stopping(windows, self._limit, self._coverage), length)
        above = _above(windows[0], self._limit)
        if above.value <= 0 and above.slope <= 0:  # most end here, before the other lines are made
            return None
        return first_offset(_firing(windows, self._limit, self._coverage), length)


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
