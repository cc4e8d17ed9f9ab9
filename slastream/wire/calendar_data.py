"""Holidays that nobody should write again: of countries (the `holidays` package) and of iCalendar files.

Both packages are imported only where a policy uses them: they take longer to load than everything else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

FIRST_REPEATED_YEAR = 1800
LAST_REPEATED_DAY = date(2099, 12, 31)
LONGEST_EVENT_DAYS = 3660
_DAILY = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_BROKEN = (ValueError, IndexError, KeyError, AttributeError, TypeError, ArithmeticError)
"""What the two packages raise for values that they cannot read."""


class CountryHolidays:
    """The public holidays of a country or one of its regions. **Source:** the `holidays` package, of pinned version."""

    def __init__(self, country: str, subdivision: str | None) -> None:
        import holidays

        supported = _supported()
        if country not in supported:
            raise ValueError(f"{country!r} is no country of the holidays package; write an ISO 3166 code like DE")
        if subdivision is not None and subdivision not in supported[country]:
            some = ", ".join(sorted(supported[country])[:20])
            raise ValueError(f"{subdivision!r} is no subdivision of {country}; write one of: {some or '(it has none)'}")
        self._days: Any = holidays.country_holidays(country, subdiv=subdivision)

    def contains(self, day: date) -> bool:
        return day in self._days


@cache
def _supported() -> dict[str, list[str]]:
    import holidays

    found: dict[str, list[str]] = holidays.list_supported_countries()
    return found


class EventHolidays:
    """The days of an iCalendar file's events; an end is exclusive. **Source:** RFC 5545 3.6.1, 3.8.4.4, 3.8.5.

    Repeated events are written out up to the year 2099, when the policy is loaded. A cancelled event is none.
    """

    def __init__(self, content: bytes) -> None:
        from icalendar import Calendar

        self._days: set[date] = set()
        try:
            calendars: list[Any] = Calendar.from_ical(content, multiple=True)
            events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
        except _BROKEN as error:
            raise ValueError(f"is no iCalendar file: {_first_line(error)}; save the calendar as .ics") from None
        if not calendars:
            raise ValueError("is no iCalendar file, or is cut off before its end; save the calendar as .ics")
        moved: set[tuple[str, date]] = set()
        for number, event in enumerate(events, 1):
            with _naming(event, number):
                if event.get("RECURRENCE-ID") is not None:
                    moved.add((str(event.get("UID")), _day(event["RECURRENCE-ID"].dt)))
        for number, event in enumerate(events, 1):
            with _naming(event, number):
                self._add(event, moved)

    def contains(self, day: date) -> bool:
        return day in self._days

    def _add(self, event: Any, moved: set[tuple[str, date]]) -> None:
        if event.get("DTSTART") is None or str(event.get("STATUS", "")).upper() == "CANCELLED":
            return
        start = event["DTSTART"].dt
        first, count = _day(start), _count_of_days(event, start)
        starts = {first}
        for rule in _several(event.get("RRULE")):
            starts |= _repeated(rule, first)
        starts |= {_day(one) for one in _dates(event.get("RDATE"))}
        starts -= {_day(one) for one in _dates(event.get("EXDATE"))}
        if event.get("RECURRENCE-ID") is None:
            starts -= {day for name, day in moved if name == str(event.get("UID"))}
        self._days.update(begin + timedelta(days=n) for begin in starts for n in range(count))


def _count_of_days(event: Any, start: date | datetime) -> int:
    first = _day(start)
    if event.get("DTEND") is not None:
        end = event["DTEND"].dt
        last = _day(end - timedelta(microseconds=1)) if isinstance(end, datetime) else end - timedelta(days=1)
    elif event.get("DURATION") is not None:
        after = start + event["DURATION"].dt
        last = _day(after - timedelta(microseconds=1)) if isinstance(after, datetime) else after - timedelta(days=1)
    else:
        last = first
    if (last - first).days > LONGEST_EVENT_DAYS:
        raise ValueError(f"lasts longer than {LONGEST_EVENT_DAYS} days; check its end")
    return max(0, (last - first).days) + 1


def _repeated(rule: Any, first: date) -> set[date]:
    """The days at which a rule lets an event begin again.

    A rule by hours or with a step of 0 would take very long, or for ever, and says nothing about days.
    """
    from dateutil.rrule import rrulestr

    if str(*rule.get("FREQ", [""])) not in _DAILY or any(key in rule for key in ("BYHOUR", "BYMINUTE", "BYSECOND")):
        raise ValueError("repeats by hours, minutes or seconds, or by no known rule; repeat it by days or longer")
    step, count = rule.get("INTERVAL", [1])[0], rule.get("COUNT", [None])[0]
    filters = {key for key in rule if key.startswith("BY")}
    if rule["FREQ"][0] == "DAILY" and filters and (step != 1 or filters - {"BYDAY", "BYMONTH"}):
        raise ValueError("repeats daily under conditions that may never hold; repeat it by months or years instead")
    if step < 1 or (count or 0) < 0 or first.year < FIRST_REPEATED_YEAR:
        raise ValueError(
            f"repeats with a step of 0, less than 0 times, or from before {FIRST_REPEATED_YEAR}; write another rule"
        )
    begin = datetime(first.year, first.month, first.day)  # noqa: DTZ001 -- a date has no zone
    last = min([LAST_REPEATED_DAY, *map(_day, rule.get("UNTIL", []))])
    end = datetime(last.year, last.month, last.day)  # noqa: DTZ001
    bounded = rrulestr(rule.to_ical().decode(), dtstart=begin, ignoretz=True).replace(count=None, until=end)
    return {one.date() for one in islice(bounded, count)}


def _several(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _dates(value: Any) -> list[Any]:
    """Of EXDATE and RDATE: lists of dates, or of periods that begin with one."""
    found = [one.dt for dates in _several(value) for one in dates.dts]
    return [one[0] if isinstance(one, tuple) else one for one in found]


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


@contextmanager
def _naming(event: Any, number: int) -> Iterator[None]:
    """Says in which event something is wrong."""
    try:
        yield
    except _BROKEN as error:
        name = str(event.get("SUMMARY") or event.get("UID") or "without a name")[:60]
        why = (
            _first_line(error)
            if isinstance(error, ValueError)
            else "has a property twice, or one that cannot be read; mend it"
        )
        raise ValueError(f"has an event that cannot be used, number {number} ({name!r}): {why}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
