"""The period of a report: `2026-03`, `2026-Q1` or `2026`, as local days, and the months up to its end."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from slastream.core.calendars import Calendar
from slastream.core.periods import next_first_day
from slastream.core.units import Instant
from slastream.errors import PolicyError

MONTHS_SHOWN = 13
_TEXT = re.compile(r"(\d{4})(?:-(?:(\d\d)|Q([1-4])))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """Local days `[first_day, after_day)`; `text` is what the operator writes."""

    text: str
    kind: Literal["month", "quarter", "year"]
    first_day: date
    after_day: date

    def bounds(self, calendar: Calendar) -> tuple[Instant, Instant]:
        """The half-open period in the calendar's zone."""
        return calendar.to_instant(self.first_day, 0), calendar.to_instant(self.after_day, 0)

    def months(self) -> tuple["ReportPeriod", ...]:
        """The `MONTHS_SHOWN` months that end with the period's last one, in order."""
        last = self.after_day.year * 12 + self.after_day.month - 2
        return tuple(_month(*divmod(number, 12)) for number in range(last - MONTHS_SHOWN + 1, last + 1))


def parse_period(text: str) -> ReportPeriod:
    """Raises PolicyError."""
    match = _TEXT.fullmatch(text)
    wrong = PolicyError(
        f"--period {text}: no such period; write a month (2026-03), a quarter (2026-Q1) or a year (2026)"
    )
    if match is None:
        raise wrong
    year, month, quarter = (None if one is None else int(one) for one in match.groups())
    if year is None or not 2 <= year <= 9998 or (month is not None and not 1 <= month <= 12):
        raise wrong
    if month is not None:
        return _month(year, month - 1)
    if quarter is not None:
        first = date(year, 3 * quarter - 2, 1)
        return ReportPeriod(text, "quarter", first, next_first_day(first, "quarter"))
    first = date(year, 1, 1)
    return ReportPeriod(text, "year", first, next_first_day(first, "year"))


def _month(year: int, month_from_0: int) -> ReportPeriod:
    first = date(year, month_from_0 + 1, 1)
    return ReportPeriod(f"{year:04}-{month_from_0 + 1:02}", "month", first, next_first_day(first, "month"))
