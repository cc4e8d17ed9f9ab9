"""Calendar periods are local midnights: half-open, side by side, and as long as the clock changes make them."""

from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slastream.core.calendars import Calendar
from slastream.core.periods import Periods, first_day, next_first_day, period_of
from slastream.core.units import HOUR, Instant, format_instant, parse_instant

KINDS = ("day", "week", "month", "quarter", "year")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago")
YEARS = (parse_instant("1900-01-01T00:00:00Z"), parse_instant("2100-01-01T00:00:00Z"))

instants = st.integers(*YEARS).map(Instant)
kinds = st.sampled_from(KINDS)
zones = st.sampled_from(ZONES)


def bounds(at: str, kind: str, zone: str = "Europe/Berlin") -> tuple[str, str]:
    start, end = period_of(parse_instant(at), kind, Calendar.always(zone))
    return format_instant(start), format_instant(end)


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("day", "2026-05-12T22:00:00Z", "2026-05-13T22:00:00Z"),
        ("week", "2026-05-10T22:00:00Z", "2026-05-17T22:00:00Z"),
        ("month", "2026-04-30T22:00:00Z", "2026-05-31T22:00:00Z"),
        ("quarter", "2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z"),
        ("year", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
    ],
)
def test_a_period_goes_from_local_midnight_to_local_midnight(kind: str, start: str, end: str) -> None:
    assert bounds("2026-05-13T10:00:00Z", kind) == (start, end)


def test_the_last_microsecond_belongs_to_the_period_and_midnight_to_the_next() -> None:
    assert bounds("2026-05-31T21:59:59.999999Z", "month")[1] == "2026-05-31T22:00:00Z"
    assert bounds("2026-05-31T22:00:00Z", "month")[0] == "2026-05-31T22:00:00Z"


@pytest.mark.parametrize(
    ("at", "kind", "hours"),
    [
        ("2026-03-15T12:00:00Z", "month", 743),  # the clock goes forward
        ("2026-10-15T12:00:00Z", "month", 745),
        ("2026-03-29T12:00:00Z", "day", 23),
        ("2026-10-25T12:00:00Z", "day", 25),
        ("2024-07-01T12:00:00Z", "year", 366 * 24),
        ("2026-02-10T12:00:00Z", "quarter", 90 * 24 - 1),
    ],
)
def test_a_clock_change_makes_a_period_longer_or_shorter(at: str, kind: str, hours: int) -> None:
    start, end = period_of(parse_instant(at), kind, Calendar.always("Europe/Berlin"))
    assert end - start == hours * HOUR


def test_a_day_whose_midnight_does_not_exist_begins_when_the_clock_goes_on() -> None:
    # Santiago, 2026-09-06: 00:00 -04:00 becomes 01:00 -03:00.
    assert bounds("2026-09-06T12:00:00Z", "day", "America/Santiago") == ("2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z")


def test_a_week_begins_on_monday_even_across_a_year() -> None:
    assert first_day(date(2027, 1, 1), "week") == date(2026, 12, 28)
    assert next_first_day(date(2026, 12, 28), "week") == date(2027, 1, 4)


def test_a_word_that_is_no_period_is_an_error() -> None:
    with pytest.raises(ValueError, match="'fortnight' is no calendar period"):
        first_day(date(2026, 1, 1), "fortnight")


@settings(deadline=None)
@given(instants, kinds, zones)
@example(parse_instant("2026-03-29T00:59:59.999999Z"), "day", "Europe/Berlin")
def test_every_instant_lies_in_its_period_and_the_next_begins_where_it_ends(at: Instant, kind: str, zone: str) -> None:
    calendar = Calendar.always(zone)
    start, end = period_of(at, kind, calendar)
    assert start <= at < end
    assert period_of(end, kind, calendar)[0] == end
    assert period_of(Instant(end - 1), kind, calendar) == (start, end)


@settings(deadline=None)
@given(st.dates(date(1, 2, 1), date(9998, 12, 31)), kinds)
def test_periods_of_a_kind_lie_side_by_side(day: date, kind: str) -> None:
    first = first_day(day, kind)
    following = next_first_day(first, kind)
    assert first <= day < following
    assert first_day(following, kind) == following
    assert first_day(following - timedelta(days=1), kind) == first


@settings(deadline=None)
@given(st.lists(instants, max_size=30), kinds, zones)
def test_remembered_periods_are_the_same_in_any_order_of_asking(ats: list[Instant], kind: str, zone: str) -> None:
    calendar = Calendar.always(zone)
    periods = Periods(kind, calendar)
    assert [periods.of(at) for at in ats] == [period_of(at, kind, calendar) for at in ats]
