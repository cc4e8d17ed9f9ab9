"""Opening hours: golden values of other systems, the wall clock's gaps and repetitions, the edges of the years."""

import json
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from slastream.core.calendars import COMPUTED_YEARS, Calendar, CalendarVersion, Period, zone, zone_names
from slastream.core.units import (
    DAY,
    FAR,
    FIRST,
    HOUR,
    MINUTE,
    SECOND,
    Duration,
    Instant,
    format_instant,
    parse_instant,
)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def clock(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * HOUR + int(minute) * MINUTE


def periods(*texts: str) -> tuple[Period, ...]:
    return tuple((clock(a), clock(b)) for a, b in (text.split("-") for text in texts))


def weekly(weekdays: tuple[Period, ...], weekend: tuple[Period, ...] = ()) -> tuple[tuple[Period, ...], ...]:
    return (weekdays,) * 5 + (weekend,) * 2


def daily(*texts: str, zone_name: str = "Europe/Berlin") -> Calendar:
    return Calendar("c", zone_name, [CalendarVersion(None, (periods(*texts),) * 7)])


def office(*texts: str, zone_name: str = "UTC", **fields: Any) -> Calendar:
    return Calendar("c", zone_name, [CalendarVersion(None, weekly(periods(*texts)), **fields)])


def at(text: str) -> Instant:
    return parse_instant(text)


def opened(calendar: Calendar, start: str, end: str) -> list[tuple[str, str]]:
    return [(format_instant(a), format_instant(b)) for a, b in calendar.intervals(at(start), at(end))]


# ---- golden values -----------------------------------------------------------------------------------------------


def _calendar_of(body: dict[str, Any]) -> Calendar:
    hours = tuple(tuple((clock(a), clock(b)) for a, b in body["hours"].get(day, [])) for day in WEEKDAYS)
    yearly = frozenset((int(text[:2]), int(text[3:])) for text in body["annual_holidays"])
    holidays = frozenset(date.fromisoformat(text) for text in body["holidays"])
    return Calendar("c", body["timezone"], [CalendarVersion(None, hours, holidays, yearly)])


def test_values_of_other_systems_are_reproduced(shared: Path) -> None:
    scenarios = json.loads((shared / "conformance" / "calendar.json").read_text(encoding="utf-8"))
    assert scenarios
    for one in scenarios:
        calendar, start = _calendar_of(one["calendar"]), at(one["start"])
        if one["op"] == "due":
            due = calendar.add(start, Duration(one["seconds"] * SECOND))
            assert format_instant(due) == one["expected"], one["id"]
        else:
            assert calendar.open_between(start, at(one["end"])) == one["expected_seconds"] * SECOND, one["id"]


# ---- open time ---------------------------------------------------------------------------------------------------


def test_a_duration_used_up_at_closing_ends_at_closing() -> None:
    calendar = office("09:00-17:00")
    friday = at("2026-03-06T15:00:00Z")
    assert calendar.add(friday, Duration(2 * HOUR)) == at("2026-03-06T17:00:00Z")
    assert calendar.add(friday, Duration(2 * HOUR + 1)) == at("2026-03-09T09:00:00.000001Z")


def test_no_duration_ends_where_it_starts_even_outside_hours() -> None:
    saturday = at("2026-03-07T12:00:00Z")
    assert office("09:00-17:00").add(saturday, Duration(0)) == saturday


def test_opening_belongs_to_the_hours_and_closing_does_not() -> None:
    calendar = office("09:00-17:00")
    assert calendar.is_open(at("2026-03-06T09:00:00Z"))
    assert not calendar.is_open(at("2026-03-06T17:00:00Z"))
    assert calendar.next_open(at("2026-03-06T17:00:00Z")) == at("2026-03-09T09:00:00Z")
    assert calendar.next_open(at("2026-03-06T09:00:00Z")) == at("2026-03-06T09:00:00Z")


def test_time_does_not_run_backwards() -> None:
    assert office("09:00-17:00").open_between(at("2026-03-06T12:00:00Z"), at("2026-03-06T11:00:00Z")) == 0


def test_overlapping_and_unsorted_periods_count_once() -> None:
    calendar = daily("08:00-24:00", "00:00-12:00", "10:00-10:00", zone_name="UTC")
    assert calendar.open_between(at("2026-03-02T00:00:00Z"), at("2026-03-03T00:00:00Z")) == DAY
    assert opened(calendar, "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z") == [
        ("2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")
    ]


def test_an_interval_over_new_year_is_one() -> None:
    assert opened(daily("20:00-30:00", zone_name="UTC"), "2025-12-31T12:00:00Z", "2026-01-01T12:00:00Z") == [
        ("2025-12-31T20:00:00Z", "2026-01-01T06:00:00Z")
    ]


# ---- days --------------------------------------------------------------------------------------------------------


def test_a_holiday_takes_the_shift_that_begins_on_it_and_leaves_the_tail_of_the_night_before() -> None:
    calendar = office("22:00-30:00", holidays=frozenset({date(2026, 3, 4)}))
    assert opened(calendar, "2026-03-03T12:00:00Z", "2026-03-05T23:00:00Z") == [
        ("2026-03-03T22:00:00Z", "2026-03-04T06:00:00Z"),
        ("2026-03-05T22:00:00Z", "2026-03-05T23:00:00Z"),
    ]


def test_an_exception_wins_over_a_holiday_and_may_close_a_day() -> None:
    calendar = office(
        "09:00-17:00",
        holidays=frozenset({date(2026, 3, 4)}),
        exceptions={date(2026, 3, 4): periods("10:00-11:00"), date(2026, 3, 5): ()},
    )
    assert opened(calendar, "2026-03-04T00:00:00Z", "2026-03-06T00:00:00Z") == [
        ("2026-03-04T10:00:00Z", "2026-03-04T11:00:00Z")
    ]


def test_a_list_of_holidays_closes_its_days() -> None:
    class Easter:
        def contains(self, day: date) -> bool:
            return day == date(2026, 4, 6)

    assert office("09:00-17:00", lists=(Easter(),)).next_open(at("2026-04-06T00:00:00Z")) == at("2026-04-07T09:00:00Z")


def test_a_yearly_holiday_of_29_february_is_in_leap_years() -> None:
    calendar = daily("00:00-24:00", zone_name="UTC")
    closed = Calendar("c", "UTC", [CalendarVersion(None, calendar.versions[0].hours, yearly=frozenset({(2, 29)}))])
    year = at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")
    leap = at("2028-01-01T00:00:00Z"), at("2029-01-01T00:00:00Z")
    assert closed.open_between(*year) == calendar.open_between(*year)
    assert closed.open_between(*leap) == calendar.open_between(*leap) - DAY


def test_a_version_begins_at_local_midnight_and_leaves_the_past_alone() -> None:
    versions = [
        CalendarVersion(date(2026, 3, 4), (periods("12:00-13:00"),) * 7),
        CalendarVersion(None, (periods("00:00-24:00"),) * 7),
        CalendarVersion(date(2026, 3, 6), (periods("08:00-09:00"),) * 7),
    ]
    calendar = Calendar("c", "America/New_York", versions)
    assert opened(calendar, "2026-03-03T17:00:00Z", "2026-03-07T00:00:00Z") == [
        ("2026-03-03T17:00:00Z", "2026-03-04T05:00:00Z"),
        ("2026-03-04T17:00:00Z", "2026-03-04T18:00:00Z"),
        ("2026-03-05T17:00:00Z", "2026-03-05T18:00:00Z"),
        ("2026-03-06T13:00:00Z", "2026-03-06T14:00:00Z"),
    ]


def test_open_days_are_counted_over_holidays_and_years() -> None:
    calendar = office("09:00-17:00", holidays=frozenset({date(2026, 1, 1)}))
    assert calendar.next_open_day(date(2025, 12, 31)) == date(2026, 1, 2)
    assert calendar.next_open_day(date(2025, 12, 30), 2) == date(2026, 1, 2)
    assert calendar.next_open_day(date(2025, 12, 30), 262) == date(2027, 1, 1)


def test_the_day_of_an_instant_is_the_one_on_which_its_shift_begins() -> None:
    night = office("22:00-30:00")
    assert night.day_holding(at("2026-03-03T23:00:00Z")) == date(2026, 3, 3)
    assert night.day_holding(at("2026-03-04T05:00:00Z")) == date(2026, 3, 3)


# ---- the wall clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "day", "expected"),
    [
        # Berlin, 29 March 2026: 02:00 is 03:00, at 01:00 UTC
        ("02:30-05:00", date(2026, 3, 29), ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z")),  # opening in the gap
        ("00:00-02:30", date(2026, 3, 29), ("2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z")),  # closing in the gap
        ("01:30-03:30", date(2026, 3, 29), ("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z")),  # over it
        # Berlin, 25 October 2026: 03:00 is 02:00, at 01:00 UTC
        ("02:30-05:00", date(2026, 10, 25), ("2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z")),  # opens at the first
        ("00:00-02:30", date(2026, 10, 25), ("2026-10-24T22:00:00Z", "2026-10-25T01:30:00Z")),  # closes at the second
        ("22:00-26:30", date(2026, 10, 24), ("2026-10-24T20:00:00Z", "2026-10-25T01:30:00Z")),  # from the day before
    ],
)
def test_hours_on_the_nights_of_a_change(texts: str, day: date, expected: tuple[str, str]) -> None:
    found = daily(texts).day_periods(day)
    assert [(format_instant(a), format_instant(b)) for a, b in found] == [expected]


def test_hours_wholly_in_the_gap_do_not_open() -> None:
    calendar = daily("02:00-03:00")
    assert calendar.day_periods(date(2026, 3, 29)) == ()
    assert calendar.next_open_day(date(2026, 3, 28)) == date(2026, 3, 30)


def test_a_date_that_a_zone_skipped_has_no_hours() -> None:
    samoa = daily("09:00-17:00", zone_name="Pacific/Apia")
    assert samoa.day_periods(date(2011, 12, 30)) == ()
    assert samoa.next_open_day(date(2011, 12, 29)) == date(2011, 12, 31)


def test_a_midnight_that_does_not_exist_is_the_end_of_the_gap() -> None:
    brazil = Calendar.always("America/Sao_Paulo")
    assert format_instant(brazil.to_instant(date(2018, 11, 4), 0)) == "2018-11-04T03:00:00Z"
    assert brazil.local(at("2018-11-04T03:00:00Z")) == (date(2018, 11, 4), HOUR)


def test_a_time_that_occurs_twice_is_the_first() -> None:
    berlin = Calendar.always("Europe/Berlin")
    assert format_instant(berlin.to_instant(date(2026, 10, 25), clock("02:30"))) == "2026-10-25T00:30:00Z"


def test_local_keeps_microseconds_and_offsets_of_minutes() -> None:
    assert Calendar.always("Asia/Kathmandu").local(at("2026-03-01T18:15:00.000001Z")) == (date(2026, 3, 2), 1)


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Antarctica/Troll", "America/Caracas"]
)
def test_local_days_are_those_of_the_zone_near_every_change_of_it(name: str) -> None:
    """Offsets are remembered by day; here each answer is asked of the zone itself."""
    calendar = Calendar.always(name)
    for change, before, after in _transitions(name):
        for hours in range(-72, 73, 7) if before != after else ():
            start = Instant((change + hours * 3600) * SECOND + 1)
            wall = datetime.fromtimestamp(start // SECOND, UTC).astimezone(zone(name))
            seconds = wall.hour * 3600 + wall.minute * 60 + wall.second
            assert calendar.local(start) == (wall.date(), seconds * SECOND + 1)
            first = min(wall.replace(fold=fold).timestamp() for fold in (0, 1))
            assert calendar.to_instant(wall.date(), seconds * SECOND + 1) == int(first) * SECOND + 1


# ---- zones -------------------------------------------------------------------------------------------------------


def test_every_zone_of_the_package_can_be_read() -> None:
    assert len(zone_names()) > 400
    assert all(zone(name).key == name for name in zone_names())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("europe/berlin", "did you mean Europe/Berlin"),
        ("../../etc/passwd", "is no time zone"),
        ("Europe", "is no time zone"),
        ("", "write a name of the IANA database"),
        ("/etc/localtime", "is no time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        zone(name)


def _transitions(name: str) -> Iterator[tuple[int, int, int]]:
    """Instant in seconds, offsets before and after, as the file lists them. **Source:** RFC 8536."""
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    skip = struct.unpack(">6l", data[20:44])
    at = 44 + skip[3] * 5 + skip[4] * 6 + skip[5] + skip[2] * 8 + skip[1] + skip[0]
    _, _, _, count, types, _ = struct.unpack(">6l", data[at + 20 : at + 44])
    at += 44
    instants = struct.unpack(f">{count}q", data[at : at + 8 * count])
    kinds = data[at + 8 * count : at + 9 * count]
    offsets = [struct.unpack(">l", data[at + 9 * count + 6 * i : at + 9 * count + 6 * i + 4])[0] for i in range(types)]
    before = offsets[0]
    for instant, kind in zip(instants, kinds, strict=True):
        yield instant, before, offsets[kind]
        before = offsets[kind]


def test_no_zone_changes_outside_of_the_computed_years_but_by_its_rule() -> None:
    low = at(f"{COMPUTED_YEARS[0]}-01-01T00:00:00Z") // SECOND
    high = at(f"{COMPUTED_YEARS[-1]}-12-31T00:00:00Z") // SECOND
    for name in zone_names():
        for instant, before, after in _transitions(name):
            assert before == after or low < instant < high, name


def test_no_zone_changes_and_changes_back_within_one_utc_day() -> None:
    """A change is looked for from midnight to midnight."""
    for name in zone_names():
        changes = [(instant, before, after) for instant, before, after in _transitions(name) if before != after]
        for (first, before, _), (second, _, after) in pairwise(changes):
            assert second // 86400 > first // 86400 or before != after, name


# ---- the edges of the years --------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone_name", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("instant", [FIRST, FAR, Instant(FIRST + 5 * HOUR), Instant(FAR - 5 * HOUR)])
def test_the_first_and_the_last_instant_have_answers(zone_name: str, instant: Instant) -> None:
    for calendar in (office("09:00-17:00", zone_name=zone_name), Calendar.always(zone_name)):
        day, us = calendar.local(instant)
        assert FIRST <= calendar.to_instant(day, us) <= FAR
        assert FIRST <= calendar.next_open(instant) <= FAR
        assert instant <= calendar.add(instant, HOUR) <= FAR
        assert FIRST <= calendar.to_instant(day, 2 * DAY) <= FAR


def test_all_years_from_the_first_to_the_last_are_counted() -> None:
    calendar = office("09:00-17:00", zone_name="Europe/Berlin")
    weeks = calendar.open_between(FIRST, FAR) / (40 * HOUR)
    assert abs(weeks - 3652059 / 7) < 1
    assert calendar.add(at("2026-01-01T00:00:00Z"), Duration(10**21)) == FAR


def test_a_year_taken_from_its_kind_is_as_if_computed() -> None:
    hours = weekly(periods("22:00-30:00"), periods("01:30-02:30"))

    def fresh() -> Calendar:
        return Calendar("c", "Europe/Berlin", [CalendarVersion(None, hours, yearly=frozenset({(1, 1)}))])

    walked = fresh()
    walked.open_between(FIRST, FAR)
    for year in (3, 4, 1796, 1799, 2100, 2101, 2104, 2400, 9996):
        start, end = at(f"{year:04}-01-01T00:00:00Z"), at(f"{year + 1:04}-01-01T00:00:00Z")
        assert walked.open_between(start, end) == fresh().open_between(start, end), year
        assert walked.next_open_day(date(year, 1, 3), 300) == fresh().next_open_day(date(year, 1, 3), 300), year


def test_dates_outside_of_the_computed_years_count() -> None:
    calendar = office("09:00-17:00", holidays=frozenset({date(2500, 3, 1)}), exceptions={date(12, 1, 2): ()})
    plain = office("09:00-17:00")
    lost = plain.open_between(FIRST, FAR) - calendar.open_between(FIRST, FAR)
    assert lost == 16 * HOUR
    assert calendar.next_open(at("2500-03-01T00:00:00Z")) == at("2500-03-02T09:00:00Z")


def test_the_order_of_questions_does_not_matter() -> None:
    spans = [(at(f"{a}-06-01T00:00:00Z"), at(f"{b}-06-02T00:00:00Z")) for a in (1990, 2026) for b in (2026, 2031)]
    forwards, backwards = daily("08:00-18:00"), daily("08:00-18:00")
    expected = [forwards.open_between(*span) for span in spans]
    assert [backwards.open_between(*span) for span in reversed(spans)] == expected[::-1]


# ---- a calendar that never opens ---------------------------------------------------------------------------------


def test_a_calendar_without_hours_is_closed_for_400_days() -> None:
    assert Calendar("c", "UTC", [CalendarVersion(None, ((),) * 7)]).closed_stretch() == date(2020, 1, 1)


def test_ordinary_hours_have_no_closed_stretch() -> None:
    one_day_a_week = Calendar("c", "UTC", [CalendarVersion(None, (periods("09:00-10:00"),) + ((),) * 6)])
    assert one_day_a_week.closed_stretch() is None
    assert Calendar.always("UTC").closed_stretch() is None


@pytest.mark.parametrize("begins", [date(1975, 5, 1), date(2026, 7, 1), date(2090, 1, 1)])
def test_a_version_that_closes_for_good_is_found(begins: date) -> None:
    versions = [CalendarVersion(None, weekly(periods("09:00-17:00"))), CalendarVersion(begins, ((),) * 7)]
    found = Calendar("c", "UTC", versions).closed_stretch()
    assert found is not None
    assert timedelta(0) <= begins - found <= timedelta(days=2)


def test_a_first_version_that_never_opened_is_found() -> None:
    versions = [CalendarVersion(None, ((),) * 7), CalendarVersion(date(2019, 1, 1), weekly(periods("09:00-17:00")))]
    assert Calendar("c", "UTC", versions).closed_stretch() is not None


def test_exceptions_alone_may_keep_a_calendar_open() -> None:
    exceptions = {date(year, 1, 1): periods("09:00-10:00") for year in range(2015, 2046)}
    assert Calendar("c", "UTC", [CalendarVersion(None, ((),) * 7, exceptions=exceptions)]).closed_stretch() is None
    del exceptions[date(2027, 1, 1)]
    closed = Calendar("c", "UTC", [CalendarVersion(None, ((),) * 7, exceptions=exceptions)]).closed_stretch()
    assert closed == date(2026, 1, 2)


def test_a_calendar_that_never_opens_again_answers_the_last_instant() -> None:
    calendar = Calendar("c", "UTC", [CalendarVersion(None, ((),) * 7)])
    now = at("2026-03-02T10:00:00Z")
    assert calendar.next_open(now) == FAR
    assert calendar.add(now, HOUR) == FAR
    assert calendar.open_between(now, FAR) == 0
