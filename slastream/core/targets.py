"""What a promise allows: open time, days, or a time of day, and when it is due (semantics 2.6)."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from slastream.core.calendars import Calendar
from slastream.core.units import DAY, FAR, HOUR, MINUTE, SECOND, Duration, Instant, parse_duration


@dataclass(frozen=True, slots=True)
class OpenTime:
    """So much open time of the promise's calendar."""

    duration: Duration


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """The same local time on the n-th day with opening hours, moved into that day's hours."""

    days: int


@dataclass(frozen=True, slots=True)
class CalendarDays:
    """The same wall clock time n days later, in the calendar's zone."""

    days: int


@dataclass(frozen=True, slots=True)
class EndOfBusinessDay:
    """The last closing of the n-th open day after the one whose hours hold the start."""

    days: int


@dataclass(frozen=True, slots=True)
class NextBusinessDay:
    """A time of the first open day after the start's local date, moved into its hours."""

    time_of_day_us: int


Target = OpenTime | BusinessDays | CalendarDays | EndOfBusinessDay | NextBusinessDay


_DAYS = re.compile(r"(\d{1,6})\s*(business_days?|calendar_days?)", re.ASCII)
_PARTS_OF_DAYS = re.compile(r"[\d.]+\s*(business_days|calendar_days)", re.ASCII)
_END = re.compile(r"end of business_day(?:\s*\+\s*(\d{1,6}))?", re.ASCII)
_NEXT = re.compile(r"next business_day\s+(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


def parse_target(text: str) -> Target:
    """Raises ValueError: what is wrong and what to write instead."""
    text = text.strip()
    if match := _DAYS.fullmatch(text):
        days = int(match.group(1))
        return BusinessDays(days) if match.group(2).startswith("business") else CalendarDays(days)
    if match := _END.fullmatch(text):
        return EndOfBusinessDay(int(match.group(1) or 0))
    if match := _NEXT.fullmatch(text):
        hour, minute, second = int(match.group(1)), int(match.group(2)), int(match.group(3) or 0)
        if (hour, minute, second) > (24, 0, 0) or minute > 59 or second > 59:
            raise ValueError(f"{text!r}: there is no such time of day; write next business_day 16:00")
        return NextBusinessDay(hour * HOUR + minute * MINUTE + second * SECOND)
    if text.startswith("-"):
        raise ValueError(f"{text!r} is negative; write how long it may take, like 4h")
    if match := _PARTS_OF_DAYS.fullmatch(text):
        raise ValueError(f"{text!r} is no whole number of days; write 2 {match.group(1)}, or open time like 4h")
    try:
        return OpenTime(parse_duration(text))
    except ValueError as error:
        known = "4h, 90s, 2 business_days, 5 calendar_days, end of business_day + 1, next business_day 16:00"
        hint = "" if "three meanings" in str(error) else f" (a target is one of {known})"
        raise ValueError(f"{error}{hint}") from None


def format_target(target: Target) -> str:
    match target:
        case OpenTime(duration):
            for unit, size in (("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1000)):
                if duration % size == 0:
                    return f"{duration // size}{unit}"
            return f"{duration}us"
        case BusinessDays(days):
            return f"{days} business_days"
        case CalendarDays(days):
            return f"{days} calendar_days"
        case EndOfBusinessDay(days):
            return f"end of business_day + {days}" if days else "end of business_day"
        case NextBusinessDay(us):
            seconds = f":{us % MINUTE // SECOND:02}" if us % MINUTE else ""
            return f"next business_day {us // HOUR:02}:{us % HOUR // MINUTE:02}{seconds}"


def due(calendar: Calendar, start: Instant, target: Target) -> Instant:
    """When a promise that starts at `start` is due, without pauses; never before it, and FAR where the years end."""
    try:
        return max(start, _due(calendar, start, target))
    except (OverflowError, ValueError):
        return FAR


def _due(calendar: Calendar, start: Instant, target: Target) -> Instant:
    match target:
        case OpenTime(duration):
            return calendar.add(start, duration)
        case CalendarDays(days):
            day, us = calendar.local(start)
            return start if days == 0 else calendar.to_instant(day + timedelta(days=days), us)
        case BusinessDays(days):
            return _business_days(calendar, calendar.next_open(start), days)
        case EndOfBusinessDay(days):
            day = calendar.day_holding(calendar.next_open(start))
            periods = calendar.day_periods(calendar.next_open_day(day, days) if days else day)
            return periods[-1][1] if periods else FAR
        case NextBusinessDay(us):
            day = calendar.next_open_day(calendar.local(start)[0])
            return _moved_into_hours(calendar, day, us)


def _business_days(calendar: Calendar, begin: Instant, days: int) -> Instant:
    """Counted from the day whose hours hold `begin`; a shift past midnight goes on past 24:00 of its day."""
    if days == 0:
        return begin
    anchor = calendar.day_holding(begin)
    local_day, us = calendar.local(begin)
    us += (local_day - anchor).days * int(DAY)
    return _moved_into_hours(calendar, calendar.next_open_day(anchor, days), us)


def _moved_into_hours(calendar: Calendar, day: date, us_of_day: int) -> Instant:
    """Before the hours or in a break: the next opening of the day; after them: its last closing."""
    at, periods = calendar.to_instant(day, us_of_day), calendar.day_periods(day)
    for low, high in periods:
        if at < high:
            return max(low, at)
    return periods[-1][1] if periods else FAR
