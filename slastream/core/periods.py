"""Calendar periods: day, week (from Monday), month, quarter, year of a zone, as instants (semantics 5.7).

March in Berlin has 743 hours: the bounds are local midnights, the length is what lies between.
"""

from bisect import bisect_right
from datetime import date, timedelta

from slastream.core.calendars import Calendar
from slastream.core.units import DAY, HOUR, Duration, Instant

ROLLING: dict[str, Duration] = {
    "1h": HOUR,
    "6h": Duration(6 * HOUR),
    "1d": DAY,
    **{f"{n}d": Duration(n * DAY) for n in (3, 7, 28, 30, 90)},
}
LONGEST_OF_PERIOD: dict[str, Duration] = {
    name: Duration(days * DAY)
    for name, days in (("day", 1), ("week", 7), ("month", 31), ("quarter", 92), ("year", 366))
}
"""But for the hour of a change of the clocks."""


def period_of(at: Instant, period: str, calendar: Calendar) -> tuple[Instant, Instant]:
    """The half-open period `[start, end)` that holds `at`, in the calendar's zone."""
    day, _ = calendar.local(at)
    first = first_day(day, period)
    return calendar.to_instant(first, 0), calendar.to_instant(next_first_day(first, period), 0)


class Periods:
    """The periods of one kind and zone, found once and then by binary search."""

    def __init__(self, period: str, calendar: Calendar) -> None:
        self._period = period
        self._calendar = calendar
        self._starts: list[Instant] = []
        self._ends: list[Instant] = []

    def of(self, at: Instant) -> tuple[Instant, Instant]:
        index = bisect_right(self._starts, at) - 1
        if index >= 0 and at < self._ends[index]:
            return self._starts[index], self._ends[index]
        start, end = period_of(at, self._period, self._calendar)
        self._starts.insert(index + 1, start)
        self._ends.insert(index + 1, end)
        return start, end


def first_day(day: date, period: str) -> date:
    match period:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case "year":
            return date(day.year, 1, 1)
        case _:
            raise ValueError(f"{period!r} is no calendar period")


def next_first_day(first: date, period: str) -> date:
    match period:
        case "day":
            return first + timedelta(days=1)
        case "week":
            return first + timedelta(days=7)
        case _:
            months = {"month": 1, "quarter": 3, "year": 12}[period]
            month = first.month - 1 + months
            return date(first.year + month // 12, month % 12 + 1, 1)
