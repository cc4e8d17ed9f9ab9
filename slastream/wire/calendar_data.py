"""Holidays that nobody should write again: of countries (the `holidays` package) and of iCalendar files.

Both packages are imported only where a policy uses them: they take longer to load than everything else.
"""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any


class CountryHolidays:
    """The public holidays of a country or one of its regions. **Source:** the `holidays` package, of pinned version."""

    def __init__(self, country: str, subdivision: str | None) -> None:
        import holidays

        supported = holidays.list_supported_countries()
        if country not in supported:
            raise ValueError(f"{country!r} is no country of the holidays package; write an ISO 3166 code like DE")
        if subdivision is not None and subdivision not in supported[country]:
            some = ", ".join(sorted(supported[country])[:20])
            raise ValueError(f"{subdivision!r} is no subdivision of {country}; write one of: {some or '(it has none)'}")
        self._days: Any = holidays.country_holidays(country, subdiv=subdivision)

    def contains(self, day: date) -> bool:
        return day in self._days


class EventHolidays:
    """The days of an iCalendar file's events; an end date is exclusive. **Source:** RFC 5545 3.6.1, 3.8.5.3."""

    def __init__(self, content: bytes) -> None:
        from icalendar import Calendar

        self._days: set[date] = set()
        self._rules: list[tuple[Any, int]] = []
        try:
            calendar: Any = Calendar.from_ical(content)
        except (ValueError, IndexError, KeyError) as error:
            raise ValueError(f"is no iCalendar file: {error}; save the calendar as .ics") from None
        for event in calendar.walk("VEVENT"):
            self._add(event)

    def _add(self, event: Any) -> None:
        from dateutil.rrule import rrulestr

        if event.get("DTSTART") is None:
            return
        start = event["DTSTART"].dt
        first = start.date() if isinstance(start, datetime) else start
        if event.get("DTEND") is not None:
            end = event["DTEND"].dt
            last = end.date() if isinstance(end, datetime) else end - timedelta(days=1)
        elif event.get("DURATION") is not None:
            last = first + event["DURATION"].dt - timedelta(days=1)
        else:
            last = first
        length = max(0, min((last - first).days, 3660))
        rule = event.get("RRULE")
        if rule is None:
            self._days.update(first + timedelta(days=n) for n in range(length + 1))
        else:
            begin = datetime(first.year, first.month, first.day)  # noqa: DTZ001 -- a date has no zone
            self._rules.append((rrulestr(rule.to_ical().decode(), dtstart=begin, ignoretz=True), length))

    def contains(self, day: date) -> bool:
        return day in self._days or (bool(self._rules) and day in self._of_year(day.year))

    @lru_cache(maxsize=64)  # noqa: B019 -- lives as long as its policy
    def _of_year(self, year: int) -> frozenset[date]:
        low, high = datetime(max(year - 1, 1), 1, 1), datetime(year, 12, 31)  # noqa: DTZ001
        days = {
            begin.date() + timedelta(days=n)
            for rule, length in self._rules
            for begin in rule.between(low, high, inc=True)
            for n in range(length + 1)
        }
        return frozenset(day for day in days if day.year == year)
