"""What a promise allows, and when it is due."""

import re
from datetime import date

import pytest

from slastream.core.calendars import Calendar, CalendarVersion, Period
from slastream.core.targets import (
    BusinessDays,
    CalendarDays,
    EndOfBusinessDay,
    NextBusinessDay,
    OpenTime,
    Target,
    due,
    format_target,
    parse_target,
)
from slastream.core.units import FAR, FIRST, HOUR, MINUTE, SECOND, Duration, format_instant, parse_instant


def hours(*spans: tuple[float, float]) -> tuple[Period, ...]:
    return tuple((int(a * HOUR), int(b * HOUR)) for a, b in spans)


def calendar(zone_name: str, *week: tuple[Period, ...], **fields: frozenset[date]) -> Calendar:
    return Calendar("c", zone_name, [CalendarVersion(None, week, **fields)])  # type: ignore[arg-type]


LUNCH = hours((8, 12), (13, 18))
HELP_DESK = calendar("Europe/Berlin", *[LUNCH] * 4, hours((8, 15)), (), ())  # mon-thu with a break, fri to 15:00
NIGHT = calendar("UTC", *[hours((22, 30))] * 5, (), ())
GLPI = calendar("UTC", hours((10.5, 19)), *[hours((8.5, 19))] * 4, (), ())
ALL_DAY = calendar("Europe/Berlin", *[hours((0, 24))] * 7)
ALWAYS = Calendar.always("UTC")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4h", OpenTime(HOUR * 4)),  # type: ignore[arg-type]
        ("30m", OpenTime(MINUTE * 30)),  # type: ignore[arg-type]
        ("0m", OpenTime(Duration(0))),
        ("2 business_days", BusinessDays(2)),
        ("1 business_day", BusinessDays(1)),
        ("5 calendar_days", CalendarDays(5)),
        ("0 calendar_days", CalendarDays(0)),
        ("end of business_day", EndOfBusinessDay(0)),
        ("end of business_day + 1", EndOfBusinessDay(1)),
        ("end of business_day+7", EndOfBusinessDay(7)),
        ("next business_day 16:00", NextBusinessDay(16 * HOUR)),
        ("next business_day 08:30:15", NextBusinessDay(8 * HOUR + 30 * MINUTE + 15 * SECOND)),
    ],
)
def test_a_target_is_read_and_written(text: str, expected: Target) -> None:
    assert parse_target(text) == expected
    assert parse_target(format_target(expected)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2d", ("48h", "2 business_days", "2 calendar_days")),
        ("4 hrs", ("'hrs'", "ms, s, m or h", "business_days", "calendar_days")),
        ("2 days", ("'days'", "business_days", "calendar_days")),
        ("-4h", ("negative", "4h")),
        ("-2 business_days", ("negative",)),
        ("4", ("4h", "next business_day 16:00")),
        ("", ("is no duration",)),
        ("next business_day 25:00", ("no such time of day", "16:00")),
        ("next business_day 10:60", ("no such time of day",)),
        ("next business_day", ("next business_day 16:00",)),
        ("end of day", ("end of business_day + 1",)),
        ("1.5 business_days", ("whole number of days", "business_days")),
        ("soon", ("is no duration", "4h")),
    ],
)
def test_what_is_no_target_is_refused_with_what_to_write(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(words[0])) as refused:
        parse_target(text)
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    ("place", "start", "target", "expected"),
    [
        # two days at the same time, over a weekend, after Friday's closing, out of the break, from a closed day
        (HELP_DESK, "2026-03-03T09:30:00Z", "2 business_days", "2026-03-05T09:30:00Z"),
        (HELP_DESK, "2026-03-05T09:30:00Z", "2 business_days", "2026-03-09T09:30:00Z"),
        (HELP_DESK, "2026-03-05T16:30:00Z", "1 business_days", "2026-03-06T14:00:00Z"),
        (HELP_DESK, "2026-03-04T10:59:59Z", "1 business_days", "2026-03-05T10:59:59Z"),
        (HELP_DESK, "2026-03-07T12:00:00Z", "2 business_days", "2026-03-11T07:00:00Z"),
        (GLPI, "2034-06-09T08:46:12Z", "5 business_days", "2034-06-16T08:46:12Z"),
        # in the break: it begins after it
        (HELP_DESK, "2026-03-03T11:30:00Z", "1 business_days", "2026-03-04T12:00:00Z"),
        # before the hours of the due day: its opening
        (GLPI, "2034-06-09T08:46:12Z", "1 business_days", "2034-06-12T10:30:00Z"),
        # none: the start, or the next opening
        (HELP_DESK, "2026-03-03T09:30:00Z", "0 business_days", "2026-03-03T09:30:00Z"),
        (HELP_DESK, "2026-03-07T12:00:00Z", "0 business_days", "2026-03-09T07:00:00Z"),
        # at closing, the next opening
        (HELP_DESK, "2026-03-06T14:00:00Z", "1 business_days", "2026-03-10T07:00:00Z"),
        # same local time over a change of the clock
        (ALL_DAY, "2026-03-28T11:00:00Z", "1 business_days", "2026-03-29T10:00:00Z"),
        # a shift past midnight belongs to the day on which it begins, and so does the due time
        (NIGHT, "2026-03-04T02:00:00Z", "1 business_days", "2026-03-05T02:00:00Z"),
        (NIGHT, "2026-03-07T02:00:00Z", "1 business_days", "2026-03-10T02:00:00Z"),
        # ends of days
        (HELP_DESK, "2026-03-05T09:00:00Z", "end of business_day", "2026-03-05T17:00:00Z"),
        (HELP_DESK, "2026-03-05T09:00:00Z", "end of business_day + 1", "2026-03-06T14:00:00Z"),
        (HELP_DESK, "2026-03-03T20:00:00Z", "end of business_day", "2026-03-04T17:00:00Z"),
        (HELP_DESK, "2026-03-03T17:00:00Z", "end of business_day", "2026-03-04T17:00:00Z"),
        (NIGHT, "2026-03-04T02:00:00Z", "end of business_day", "2026-03-04T06:00:00Z"),
        (NIGHT, "2026-03-04T02:00:00Z", "end of business_day + 1", "2026-03-05T06:00:00Z"),
        # a time on the next day
        (HELP_DESK, "2026-03-03T09:00:00Z", "next business_day 16:00", "2026-03-04T15:00:00Z"),
        (HELP_DESK, "2026-03-06T19:00:00Z", "next business_day 16:00", "2026-03-09T15:00:00Z"),
        (HELP_DESK, "2026-03-07T12:00:00Z", "next business_day 16:00", "2026-03-09T15:00:00Z"),
        (HELP_DESK, "2026-03-05T09:00:00Z", "next business_day 16:00", "2026-03-06T14:00:00Z"),
        (HELP_DESK, "2026-03-03T09:00:00Z", "next business_day 12:30", "2026-03-04T12:00:00Z"),
        (HELP_DESK, "2026-03-03T09:00:00Z", "next business_day 06:00", "2026-03-04T07:00:00Z"),
        (NIGHT, "2026-03-04T02:00:00Z", "next business_day 16:00", "2026-03-05T22:00:00Z"),
        # calendar days: same wall clock, the end of a gap, the first of two
        (ALWAYS, "2026-03-02T10:00:00Z", "1095 calendar_days", "2029-03-01T10:00:00Z"),
        (ALL_DAY, "2026-03-28T01:30:00Z", "1 calendar_days", "2026-03-29T01:00:00Z"),
        (ALL_DAY, "2026-10-24T00:30:00Z", "1 calendar_days", "2026-10-25T00:30:00Z"),
        (ALL_DAY, "2026-10-25T01:30:00Z", "0 calendar_days", "2026-10-25T01:30:00Z"),
        (Calendar.always("Australia/Lord_Howe"), "2026-04-03T13:00:00Z", "2 calendar_days", "2026-04-05T13:30:00Z"),
        # open time
        (HELP_DESK, "2026-03-06T12:00:00Z", "2h", "2026-03-06T14:00:00Z"),
        (HELP_DESK, "2026-03-07T12:00:00Z", "0m", "2026-03-07T12:00:00Z"),
    ],
)
def test_when_a_target_is_due(place: Calendar, start: str, target: str, expected: str) -> None:
    assert format_instant(due(place, parse_instant(start), parse_target(target))) == expected


def test_a_holiday_is_no_business_day() -> None:
    desk = calendar("UTC", *[hours((9, 17))] * 5, (), (), holidays=frozenset({date(2026, 3, 4)}))
    start = parse_instant("2026-03-03T10:00:00Z")
    assert format_instant(due(desk, start, BusinessDays(1))) == "2026-03-05T10:00:00Z"
    assert format_instant(due(desk, start, EndOfBusinessDay(1))) == "2026-03-05T17:00:00Z"
    assert format_instant(due(desk, start, NextBusinessDay(12 * HOUR))) == "2026-03-05T12:00:00Z"


@pytest.mark.parametrize("text", ["999999 calendar_days", "2 business_days", "end of business_day", "9999999999h"])
@pytest.mark.parametrize("zone_name", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_what_lies_beyond_the_last_year_is_due_at_its_end(text: str, zone_name: str) -> None:
    target = parse_target(text)
    for place in (Calendar.always(zone_name), calendar(zone_name, *[hours((9, 17))] * 5, (), ())):
        late = parse_instant("9999-12-31T23:30:00Z")
        assert late <= due(place, late, target) <= FAR
        assert FIRST <= due(place, FIRST, target) <= FAR
        assert due(place, FIRST, CalendarDays(2)) > FIRST


def test_a_calendar_that_never_opens_is_due_at_the_last_instant() -> None:
    closed = calendar("UTC", *[()] * 7)
    for text in ("1h", "1 business_days", "0 business_days", "end of business_day", "next business_day 16:00"):
        assert due(closed, parse_instant("2026-03-02T10:00:00Z"), parse_target(text)) == FAR
