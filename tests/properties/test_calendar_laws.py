"""Laws of business time, and an oracle that looks at every minute of two weeks."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.calendars import Calendar, CalendarVersion, Period, zone
from slastream.core.targets import BusinessDays, CalendarDays, EndOfBusinessDay, NextBusinessDay, due
from slastream.core.units import DAY, HOUR, MINUTE, Duration, Instant, parse_instant

CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Asia/Tehran": (date(2021, 3, 22), date(2021, 9, 22)),
    "America/Sao_Paulo": (date(2018, 11, 4), date(2018, 2, 18)),
    "Asia/Kathmandu": (date(1986, 1, 1), date(2026, 1, 1)),
    "Pacific/Apia": (date(2011, 12, 30), date(2011, 9, 24)),
}
WEEKS = [(name, day) for name, days in CHANGES.items() for day in days]
BEFORE = timedelta(days=7)
SPAN_MINUTES = 14 * 1440
QUARTER = 15 * MINUTE


@st.composite
def day_hours(draw: st.DrawFn) -> tuple[Period, ...]:
    found = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, 95))
        found.append((start * QUARTER, (start + draw(st.integers(1, 48))) * QUARTER))
    return tuple(found)


@st.composite
def versions(draw: st.DrawFn, change: date) -> list[CalendarVersion]:
    """Two, the second from about the change on, with a holiday and an exception about it."""
    near = st.integers(-3, 3).map(lambda n: change + timedelta(days=n))
    found = []
    for begins in (None, draw(near)):
        week = tuple(draw(day_hours()) for _ in range(7))
        if not any(week):
            week = (((9 * HOUR, 17 * HOUR),), *week[1:])
        holidays = frozenset(draw(st.lists(near, max_size=2)))
        found.append(CalendarVersion(begins, week, holidays, exceptions={draw(near): draw(day_hours())}))
    return found[: draw(st.integers(1, 2))]


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, date]:
    name, change = draw(st.sampled_from(WEEKS))
    return Calendar("c", name, draw(versions(change))), change


def _instant(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


offsets = st.integers(-7 * 1440, 7 * 1440).map(lambda minutes: minutes * int(MINUTE))
durations = st.one_of(st.integers(0, 40 * HOUR), st.integers(0, 160).map(lambda n: n * QUARTER)).map(Duration)


# ---- the oracle --------------------------------------------------------------------------------------------------


@cache
def _walls(name: str, change: date) -> list[datetime]:
    """What a clock on the wall shows at each minute from a week before the change on, with three days on each side."""
    first = datetime(change.year, change.month, change.day, tzinfo=UTC) - BEFORE - timedelta(days=3)
    minutes = SPAN_MINUTES + 6 * 1440
    return [(first + timedelta(minutes=n)).astimezone(zone(name)).replace(tzinfo=None) for n in range(minutes)]


def _periods(found: list[CalendarVersion], day: date) -> tuple[Period, ...]:
    version = found[0]
    for later in found[1:]:
        if later.effective_from is not None and day >= later.effective_from:
            version = later
    if day in version.exceptions:
        return version.exceptions[day]
    return () if day in version.holidays else version.hours[day.weekday()]


def _open_minutes(name: str, change: date, found: list[CalendarVersion]) -> list[bool]:
    """Whether each minute is open. A period is from the first minute at which the wall shows its opening or more, to the
    last before it shows its closing (of two times the second), or where it never shows that, less than it."""
    walls = _walls(name, change)
    is_open = [False] * len(walls)
    for n in range(-9, 10):
        day = change + timedelta(days=n)
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001
        for start, end in _periods(found, day):
            opening, closing = midnight + timedelta(microseconds=start), midnight + timedelta(microseconds=end)
            low = max(0, (n + 10) * 1440 - 2 * 1440 + start // MINUTE)
            near = range(low, min(len(walls), low + 4 * 1440 + (end - start) // MINUTE))
            first = next((i for i in near if walls[i] >= opening), None)
            twice = [i for i in near if walls[i] == closing]
            last = twice[-1] - 1 if twice else next((i for i in reversed(near) if walls[i] < closing), None)
            if first is not None and last is not None:
                is_open[first : last + 1] = [True] * (last + 1 - first)
    return is_open[3 * 1440 : 3 * 1440 + SPAN_MINUTES]


@given(st.sampled_from(WEEKS), st.data())
@settings(max_examples=150, deadline=None)
def test_openings_are_those_found_by_looking_at_every_minute(week: tuple[str, date], data: st.DataObject) -> None:
    name, change = week
    found = data.draw(versions(change))
    calendar = Calendar("c", name, found)
    minutes = _open_minutes(name, change, found)
    begin = _instant(change - BEFORE)
    expected: list[tuple[int, int]] = []
    for n, is_open in enumerate(minutes):
        at = begin + n * MINUTE
        if is_open and expected and expected[-1][1] == at:
            expected[-1] = expected[-1][0], at + MINUTE
        elif is_open:
            expected.append((at, at + MINUTE))
    assert list(calendar.intervals(Instant(begin), Instant(begin + SPAN_MINUTES * MINUTE))) == expected
    for _ in range(5):
        a, b = sorted(data.draw(st.tuples(st.integers(0, SPAN_MINUTES - 1), st.integers(0, SPAN_MINUTES - 1))))
        start, end = Instant(begin + a * MINUTE), Instant(begin + b * MINUTE)
        assert calendar.open_between(start, end) == sum(minutes[a:b]) * MINUTE
        assert calendar.is_open(start) == minutes[a]
        following = next((n for n in range(a, SPAN_MINUTES) if minutes[n]), None)
        if following is not None:
            assert calendar.next_open(start) == begin + following * MINUTE


# ---- laws --------------------------------------------------------------------------------------------------------


@given(calendars(), offsets, offsets, offsets)
def test_elapsed_time_is_the_sum_of_its_parts(place: tuple[Calendar, date], a: int, b: int, c: int) -> None:
    calendar, change = place
    first, middle, last = (Instant(_instant(change) + n) for n in sorted((a, b, c)))
    whole = calendar.open_between(first, last)
    assert whole == calendar.open_between(first, middle) + calendar.open_between(middle, last)
    assert 0 <= whole <= last - first
    assert whole == sum(end - start for start, end in calendar.intervals(first, last))


@given(calendars(), offsets, durations)
def test_a_duration_added_is_the_duration_elapsed_and_at_the_first_such_instant(
    place: tuple[Calendar, date], offset: int, duration: Duration
) -> None:
    calendar, change = place
    start = Instant(_instant(change) + offset)
    end = calendar.add(start, duration)
    assert calendar.open_between(start, end) == duration
    if duration:
        assert calendar.open_between(start, Instant(end - 1)) == duration - 1
    else:
        assert end == start


@given(calendars(), offsets, durations, durations)
def test_more_time_and_a_later_start_are_never_due_earlier(
    place: tuple[Calendar, date], offset: int, duration: Duration, more: Duration
) -> None:
    calendar, change = place
    start = Instant(_instant(change) + offset)
    end = calendar.add(start, duration)
    assert calendar.add(start, Duration(duration + more)) >= end
    if duration:
        assert calendar.add(Instant(start + more), duration) >= end
        assert calendar.add(end, more) == calendar.add(start, Duration(duration + more))


@given(st.sampled_from(WEEKS), offsets, durations)
def test_24x7_is_real_time_as_hours_from_midnight_to_midnight_are(
    week: tuple[str, date], offset: int, duration: Duration
) -> None:
    name, change = week
    start = Instant(_instant(change) + offset)
    always = Calendar.always(name)
    all_day = Calendar("c", name, [CalendarVersion(None, (((0, int(DAY)),),) * 7)])
    for calendar in (always, all_day):
        assert calendar.add(start, duration) == start + duration
        assert calendar.open_between(start, Instant(start + duration)) == duration
        assert calendar.next_open(start) == start


@given(calendars(), offsets)
def test_the_next_opening_is_open_and_nothing_before_it(place: tuple[Calendar, date], offset: int) -> None:
    calendar, change = place
    start = Instant(_instant(change) + offset)
    opening = calendar.next_open(start)
    assert opening >= start
    assert calendar.is_open(opening)
    assert calendar.open_between(start, opening) == 0
    assert any(low <= opening < high for low, high in calendar.day_periods(calendar.day_holding(opening)))


@given(calendars(), offsets)
def test_local_time_and_instant_are_inverse_but_for_what_occurs_twice(
    place: tuple[Calendar, date], offset: int
) -> None:
    calendar, change = place
    start = Instant(_instant(change) + offset)
    day, us = calendar.local(start)
    back = calendar.to_instant(day, us)
    assert back <= start
    assert calendar.local(back) == (day, us)


@given(calendars(), offsets, st.integers(0, 5), st.integers(0, 95))
def test_days_are_due_within_hours_of_a_later_day_and_never_before_the_start(
    place: tuple[Calendar, date], offset: int, days: int, quarter: int
) -> None:
    calendar, change = place
    start = Instant(_instant(change) + offset)
    begin = calendar.next_open(start)
    anchor = calendar.day_holding(begin)
    day = calendar.next_open_day(anchor, days) if days else anchor
    periods = calendar.day_periods(day)
    assert due(calendar, start, EndOfBusinessDay(days)) == periods[-1][1]
    at = due(calendar, start, BusinessDays(days))
    assert any(low <= at <= high for low, high in periods)
    assert at >= start
    following = calendar.day_periods(calendar.next_open_day(calendar.local(start)[0]))
    at = due(calendar, start, NextBusinessDay(int(quarter * QUARTER)))
    assert any(low <= at <= high for low, high in following)
    assert due(calendar, start, CalendarDays(days)) >= start


@given(st.sampled_from(["Europe/Berlin", "America/New_York"]), st.integers(0, 399), day_hours())
@settings(max_examples=30, deadline=None)
def test_years_far_away_repeat_after_four_centuries(name: str, year: int, found: tuple[Period, ...]) -> None:
    """The week and the leap years do: what is taken from a kind of year must, too."""
    calendar = Calendar("c", name, [CalendarVersion(None, (found, ((0, int(HOUR)),), *[()] * 5))])
    totals = [
        calendar.open_between(parse_instant(f"{y}-01-01T00:00:00Z"), parse_instant(f"{y + 1}-01-01T00:00:00Z"))
        for y in (2500 + year, 2900 + year, 6900 + year)
    ]
    assert totals[0] == totals[1] == totals[2]
