"""Instants, durations and their text."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.units import (
    DAY,
    FAR,
    FIRST,
    HOUR,
    SECOND,
    Instant,
    format_instant,
    parse_duration,
    parse_instant,
    seconds,
    seconds_text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", SECOND),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T00:00:00.1234567899Z", 123_456),
        ("1970-01-01T00:00:00.000001z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T19:00:00.25-05:00", 250_000),
        ("1970-01-01T05:45:00+05:45", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999999Z", FAR),
    ],
)
def test_an_rfc_3339_instant_is_microseconds_of_utc(text: str, expected: int) -> None:
    assert parse_instant(text) == expected
    assert parse_instant(text) == expected  # and again, from the remembered date


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-03-02 10:05:00Z", "space"),
        ("2026-03-02T10:05:00", "no offset"),
        ("2026-03-02T10:05", "no offset"),
        ("2026-03-02T10:05:60Z", "leap second"),
        ("2026-02-29T10:05:00Z", "day that does not exist"),
        ("2026-13-01T10:05:00Z", "day that does not exist"),
        ("0000-01-01T10:05:00Z", "day that does not exist"),
        ("2026-03-02T24:00:00Z", "no RFC 3339"),
        ("2026-03-02T10:60:00Z", "no RFC 3339"),
        ("2026-03-02T10:05Z", "no RFC 3339"),
        ("2026-03-02T10:05:00.Z", "no RFC 3339"),
        ("2026-03-02T10:05:00,5Z", "no RFC 3339"),
        ("2026-03-02T10:05:00.²Z", "no RFC 3339"),
        ("2026-03-02T10:05:00.5+1:00", "no RFC 3339"),
        ("2026-03-02T10:05:00+0100", "no RFC 3339"),
        ("2026-03-02T10:05:00+24:00", "no RFC 3339"),
        ("2026-03-02T10:05:00 Z", "no RFC 3339"),
        ("2026-03-02T10:05:00ZZ", "no RFC 3339"),
        ("2026-W01-1T10:05:00Z", "no RFC 3339"),
        ("20260302T100500Z", "no RFC 3339"),
        ("٢٠٢٦-03-02T10:05:00Z", "no RFC 3339"),
        ("+2026-03-02T10:05:00Z", "no RFC 3339"),
        ("", "no RFC 3339"),
        ("Z", "no RFC 3339"),
        ("x" * 10_000, "no RFC 3339"),
        ("0001-01-01T00:00:00+00:01", "outside the years"),
        ("9999-12-31T23:59:59-00:01", "outside the years"),
    ],
)
def test_what_is_no_instant_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        parse_instant(text)
    assert len(str(refused.value)) < 250


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-1439, 1439),
)
def test_instants_agree_with_the_standard_library(wall: datetime, offset_minutes: int) -> None:
    moment = wall.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    assert parse_instant(moment.isoformat()) == (moment - EPOCH) // timedelta(microseconds=1)


@given(st.integers(FIRST, FAR))
def test_text_of_an_instant_is_read_back_as_the_same(at: int) -> None:
    text = format_instant(Instant(at))
    assert parse_instant(text) == at
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z", text)


@given(st.text(alphabet="0123456789-+:.TtZz ", max_size=30))
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        assert FIRST <= parse_instant(text) <= FAR
    except ValueError as error:
        assert str(error)


def test_many_dates_do_not_fill_the_memory_of_dates() -> None:
    for day in range(10_000):
        at = Instant(day * DAY)
        assert parse_instant(format_instant(at)) == at


@pytest.mark.parametrize(
    ("us", "number", "text"),
    [
        (0, 0, "0"),
        (3_600_000_000, 3600, "3600"),
        (1_500_000, 1.5, "1.5"),
        (-1_500_000, -1.5, "-1.5"),
        (-1, -0.000001, "-0.000001"),
        (100_000, 0.1, "0.1"),
        (63_072_000_000_000_000_001, 63_072_000_000_000.0, "63072000000000.000001"),
    ],
)
def test_seconds_are_whole_where_they_are_whole_and_exact_as_text(us: int, number: float, text: str) -> None:
    assert seconds(us) == number
    assert isinstance(seconds(us), int) == (us % SECOND == 0)
    assert seconds_text(us) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90 * SECOND),
        ("15m", 15 * 60 * SECOND),
        ("4h", 4 * HOUR),
        ("300ms", 300_000),
        ("1.5h", 90 * 60 * SECOND),
        ("0.000001s", 1),
        ("0m", 0),
        (" 4 h ", 4 * HOUR),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("4", "a number and a unit"),
        ("-4h", "a number and a unit"),
        ("1e3h", "a number and a unit"),
        ("4h30m", "a number and a unit"),
        ("", "a number and a unit"),
        ("٤h", "a number and a unit"),
        ("9" * 40 + "h", "a number and a unit"),
        ("4 hrs", "'hrs' is no unit; write ms, s, m or h"),
        ("4H", "'H' is no unit"),
        ("0.0000001s", "whole number of microseconds"),
        ("2d", "48h, or 2 business_days, or 2 calendar_days"),
        ("1.5d", "36h"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_duration(text)


def test_a_retention_may_be_in_days_of_24_hours() -> None:
    assert parse_duration("90d", allow_days=True) == 90 * DAY
