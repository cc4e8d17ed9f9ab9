"""Opening hours as instants: business time is arithmetic over precomputed intervals, by binary search (semantics 2).

A `Calendar` builds the openings of a UTC year when an instant in it is first asked for (about 1 ms) and keeps them with
running sums. A question about two instants is then two binary searches, however far apart they lie.

Between 1800 and 2099 every year is computed. Outside of it no zone of `tzdata` changes but by its yearly rule, so that
a year without dated holidays, exceptions or versions nearby depends on its first weekday and its length alone: one
year of each kind is computed. Lists of holidays (a country's, an iCalendar file's) are not asked about days outside of
it. An event of the year 1 therefore costs about 0.2 s once, and not ten.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from slastream.core.intervals import NO_YEAR, Interval, OpenYear, merged, open_year
from slastream.core.units import DAY, EPOCH_ORDINAL, FAR, FIRST, SECOND, Duration, Instant

Period = tuple[int, int]
"""[start, end) in microseconds of a local day; the end may lie beyond 24 h."""

FIRST_YEAR, LAST_YEAR = 1, 9999
COMPUTED_YEARS = range(1800, 2100)
_KEPT_YEARS = 400
_KEPT_DAYS = 2048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_ORDINAL = date.max.toordinal()
_EDGE_DAYS = 3  # zone arithmetic fails so near to the first and the last date


class HolidayList(Protocol):
    def contains(self, day: date) -> bool: ...


@dataclass(frozen=True, slots=True)
class CalendarVersion:
    """What holds from local midnight of `effective_from` on (None: from the beginning). `hours`: Monday first."""

    effective_from: date | None
    hours: tuple[tuple[Period, ...], ...]
    holidays: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    lists: tuple[HolidayList, ...] = ()
    exceptions: Mapping[date, tuple[Period, ...]] = field(default_factory=dict)

    def periods(self, day: date) -> tuple[Period, ...]:
        """Those that begin on this local date. An exception wins over a holiday."""
        found = self.exceptions.get(day)
        if found is not None:
            return found
        hours = self.hours[day.weekday()]
        return () if hours and self._is_holiday(day) else hours

    def _is_holiday(self, day: date) -> bool:
        if day in self.holidays or (day.month, day.day) in self.yearly:
            return True
        return bool(self.lists) and day.year in COMPUTED_YEARS and any(one.contains(day) for one in self.lists)

    def dated_years(self) -> Iterator[int]:
        """The years that something in it names."""
        if self.effective_from is not None:
            yield self.effective_from.year
        yield from (day.year for day in self.holidays)
        yield from (day.year for day in self.exceptions)


class _Shape(NamedTuple):
    """What years of one kind have in common: open time, and the open local days, counted from 1 January."""

    total: int
    days: tuple[int, ...]


@cache
def zone(name: str) -> ZoneInfo:
    """A time zone of the pinned `tzdata` package, not of the host. Raises ValueError with the nearest names."""
    if name in _known_zones():
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    by_lower = {known.lower(): known for known in zone_names()}
    near = [by_lower[lower] for lower in get_close_matches(name.lower(), by_lower, n=3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; write a name of the IANA database like Europe/Berlin"
    raise ValueError(f"{name!r} is no time zone{hint}")


@cache
def zone_names() -> tuple[str, ...]:
    return tuple(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(zone_names())


class Calendar:
    """Opening hours in a zone. Immutable but for what it has already computed.

    Before the first version's `effective_from` that version holds.
    """

    __slots__ = (
        "_bases",
        "_computed",
        "_days",
        "_high",
        "_low",
        "_reach",
        "_recent",
        "_shapes",
        "_steady",
        "_years",
        "_zone",
        "is_always",
        "name",
        "versions",
        "zone_name",
    )

    def __init__(self, name: str, zone_name: str, versions: Sequence[CalendarVersion]) -> None:
        self.name = name
        self.zone_name = zone_name
        self.is_always = False
        self.versions = tuple(_tidy(v) for v in sorted(versions, key=lambda v: v.effective_from or date.min))
        self._zone = zone(zone_name)
        self._reach = -(-_longest(self.versions) // DAY)
        self._computed = {year + near for v in self.versions for year in v.dated_years() for near in (-1, 0, 1)}
        self._years: dict[int, OpenYear] = {}
        self._shapes: dict[object, _Shape] = {}
        self._bases: dict[int, int] = {}
        self._low = self._high = 0
        self._recent = NO_YEAR
        self._days: dict[date, tuple[tuple[Instant, Instant], ...]] = {}
        self._steady: dict[int, int | None] = {}

    @classmethod
    def always(cls, zone_name: str) -> "Calendar":
        """`24x7`: open all the time, with the zone for questions about local days."""
        calendar = cls("24x7", zone_name, [CalendarVersion(None, (((0, int(DAY)),),) * 7)])
        calendar.is_always = True
        return calendar

    def __repr__(self) -> str:
        return f"Calendar({self.name!r}, {self.zone_name!r})"

    # ---- open time -----------------------------------------------------------------------------------------------

    def open_between(self, start: Instant, end: Instant) -> Duration:
        """Open microseconds in `[start, end)`; 0 where `end` does not lie after `start`. Costs about 1 µs."""
        if end <= start:
            return Duration(0)
        if self.is_always:
            return Duration(end - start)
        return Duration(self._sum_at(end) - self._sum_at(start))

    def add(self, start: Instant, duration: Duration) -> Instant:
        """The first instant at which `duration` of open time has passed since `start`. Costs about 1 µs.

        Used up exactly at closing time it is the closing; 0 gives `start`; FAR where the years end before.
        """
        if duration <= 0:
            return start
        if self.is_always:
            return Instant(min(start + duration, FAR))
        wanted = self._sum_at(start) + duration
        block = self._year_at(start)
        if wanted > block.base + block.total:
            year = _year_of(block.low)
            while wanted > self._base(year) + self._shape(year).total:
                year += 1
                if year > LAST_YEAR:
                    return FAR
            block = self._year(year)
        index = bisect_left(block.sums, wanted) - 1
        return Instant(block.starts[index] + wanted - block.sums[index])

    def is_open(self, at: Instant) -> bool:
        if self.is_always:
            return True
        block = self._year_at(at)
        index = bisect_right(block.starts, at) - 1
        return index >= 0 and at < block.ends[index]

    def next_open(self, at: Instant) -> Instant:
        """`at` where it is open, else the next opening; FAR where there is none."""
        if self.is_always:
            return at
        block = self._year_at(at)
        index = bisect_right(block.starts, at)
        if index and at < block.ends[index - 1]:
            return at
        if index < len(block.starts):
            return Instant(block.starts[index])
        for year in range(_year_of(block.low) + 1, LAST_YEAR + 1):
            if self._shape(year).total:
                return Instant(self._year(year).starts[0])
        return FAR

    def intervals(self, start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant]]:
        """The open intervals in `[start, end)`, clipped, none touching another."""
        if start >= end:
            return
        if self.is_always:
            yield start, end
            return
        low = high = start
        for begin, finish in self._clipped(start, end):
            if begin == high:
                high = finish
                continue
            if low < high:
                yield low, high
            low, high = begin, finish
        if low < high:
            yield low, high

    def _clipped(self, start: int, end: int) -> Iterator[tuple[Instant, Instant]]:
        for year in range(_year_of(start), _year_of(end) + 1):
            block = self._year(year)
            index = max(0, bisect_right(block.starts, start) - 1)
            while index < len(block.starts) and block.starts[index] < end:
                low, high = max(start, block.starts[index]), min(end, block.ends[index])
                if low < high:
                    yield Instant(low), Instant(high)
                index += 1

    def _sum_at(self, at: int) -> int:
        block = self._recent
        if not block.low <= at < block.high:
            block = self._year_at(at)
        index = bisect_right(block.starts, at) - 1
        if index < 0:
            return block.base
        end = block.ends[index]
        return block.sums[index] + (at if at < end else end) - block.starts[index]

    # ---- local days ----------------------------------------------------------------------------------------------

    def local(self, at: Instant) -> tuple[date, int]:
        """Local date, and microseconds of the wall clock since its midnight; held at the first and the last date."""
        days = at // DAY
        offset = self._steady_offset(EPOCH_ORDINAL + days)
        if offset is not None:
            days, us = divmod(at + offset, DAY)
            return date.fromordinal(EPOCH_ORDINAL + days), us
        whole, us = divmod(at, SECOND)
        try:
            wall = (_EPOCH + timedelta(seconds=whole)).astimezone(self._zone)
        except OverflowError:
            return (date.min, 0) if at < 0 else (date.max, int(DAY) - 1)
        return wall.date(), (wall.hour * 3600 + wall.minute * 60 + wall.second) * SECOND + us

    def to_instant(self, day: date, us_of_day: int) -> Instant:
        """The instant of a wall clock time: in a gap the gap's end, of two the first. `us_of_day` may exceed a day."""
        return self._resolve(day, us_of_day, is_closing=False)

    def day_periods(self, day: date) -> tuple[tuple[Instant, Instant], ...]:
        """The intervals that begin on this local date, merged, as instants."""
        found = self._days.get(day)
        if found is None:
            periods = self._version(day).periods(day)
            found = tuple(
                (Instant(low), Instant(high))
                for low, high in merged((self._resolve(day, a, False), self._resolve(day, b, True)) for a, b in periods)
            )
            if len(self._days) >= _KEPT_DAYS:
                self._days.clear()
            self._days[day] = found
        return found

    def day_holding(self, at: Instant) -> date:
        """The local date whose hours hold `at`, which is open; the latest, where shifts of two dates overlap.

        Within three days of the first and the last date there may be none: it is the local date then.
        """
        today = self.local(at)[0]
        for ordinal in range(today.toordinal(), max(0, today.toordinal() - self._reach - 1), -1):
            day = date.fromordinal(ordinal)
            for low, high in self.day_periods(day):
                if low <= at < high:
                    return day
        if not FIRST + _EDGE_DAYS * DAY < at < FAR - _EDGE_DAYS * DAY:
            return today
        raise AssertionError("asked for the day of an instant that is not open")

    def next_open_day(self, day: date, count: int = 1) -> date:
        """The `count`-th local date after `day` with opening hours. Raises OverflowError where the years end before."""
        year = day.year
        days = self._shape(year).days
        index = bisect_right(days, day.toordinal() - _first_ordinal(year)) + count - 1
        while index >= len(days):
            index -= len(days)
            year += 1
            if year > LAST_YEAR:
                raise OverflowError(f"calendar {self.name!r} has no {count} open days after {day}")
            days = self._shape(year).days
        return date.fromordinal(_first_ordinal(year) + days[index])

    def closed_stretch(self, days: int = 400) -> date | None:
        """The local date at which so many days without an opening begin; None where there are none.

        Looked for from 2020 to 2040, and in the years around the beginning of each version. Costs far below 1 ms,
        because it asks about one day in `days` as long as that is open.
        """
        begins = [v.effective_from.toordinal() for v in self.versions if v.effective_from is not None]
        spans = [(_first_ordinal(2020), _first_ordinal(2041)), *((b - 2 * days, b + 3 * days) for b in begins)]
        return next((found for low, high in sorted(spans) if (found := self._closed_in(low, high, days))), None)

    def _closed_in(self, low: int, high: int, days: int) -> date | None:
        first, last = max(1, low), min(high, _LAST_ORDINAL)
        while first + days - 1 <= last:
            open_day = next((o for o in range(first + days - 1, first - 1, -1) if self._periods(o)), None)
            if open_day is None:
                return date.fromordinal(first)
            first = open_day + 1
        return None

    def _periods(self, ordinal: int) -> tuple[Period, ...]:
        day = date.fromordinal(ordinal)
        return self._version(day).periods(day)

    def _version(self, day: date) -> CalendarVersion:
        found = self.versions[0]
        for version in self.versions[1:]:
            if version.effective_from is not None and version.effective_from <= day:
                found = version
        return found

    # ---- the wall clock ------------------------------------------------------------------------------------------

    def _resolve(self, day: date, us_of_day: int, is_closing: bool) -> Instant:
        days, us = divmod(us_of_day, DAY)
        ordinal = day.toordinal() + days
        wall_us = (ordinal - EPOCH_ORDINAL) * DAY + us
        if not _EDGE_DAYS < ordinal < _LAST_ORDINAL - _EDGE_DAYS:
            return Instant(min(max(wall_us - self._offset_of_day(ordinal), FIRST), FAR))
        offset = self._steady_offset(ordinal)
        if offset is not None:
            return Instant(wall_us - offset)
        wall = datetime(1970, 1, 1, tzinfo=self._zone) + timedelta(microseconds=wall_us)
        first = wall_us - _offset_us(wall)
        second = wall_us - _offset_us(wall.replace(fold=1))
        if first > second:
            return self._transition(second, first)
        return Instant(second if is_closing else first)

    def _transition(self, low: int, high: int) -> Instant:
        """The instant between the two at which the offset changes."""
        before = self._offset_at(low)
        while high - low > SECOND:
            middle = (low + high) // 2
            if self._offset_at(middle) == before:
                low = middle
            else:
                high = middle
        return Instant(high // SECOND * SECOND)

    def _offset_at(self, at: int) -> int:
        return _offset_us((_EPOCH + timedelta(microseconds=at)).astimezone(self._zone))

    def _offset_of_day(self, ordinal: int) -> int:
        """The offset at 00:00 UTC of a date; near the first and the last date that of a few days inwards."""
        inner = min(max(ordinal, _EDGE_DAYS), _LAST_ORDINAL - _EDGE_DAYS)
        return _offset_us(datetime.fromordinal(inner).replace(tzinfo=UTC).astimezone(self._zone))

    def _steady_offset(self, ordinal: int) -> int | None:
        """The zone's offset on a date, in UTC and on the wall; None where it changes then, the day before or the day after."""
        if ordinal not in self._steady:
            if len(self._steady) >= _KEPT_DAYS:
                self._steady.clear()
            first = self._offset_of_day(ordinal - 1)
            is_steady = all(self._offset_of_day(ordinal + more) == first for more in range(3))
            self._steady[ordinal] = first if is_steady and _EDGE_DAYS < ordinal < _LAST_ORDINAL - _EDGE_DAYS else None
        return self._steady[ordinal]

    # ---- years ---------------------------------------------------------------------------------------------------

    def _year_at(self, at: int) -> OpenYear:
        block = self._recent
        if not block.low <= at < block.high:
            block = self._recent = self._year(_year_of(at))
        return block

    def _year(self, year: int) -> OpenYear:
        found = self._years.get(year)
        if found is None:
            if len(self._years) >= _KEPT_YEARS:
                self._years.clear()
            base = self._base(year)
            openings, days = self._openings(year)
            found = self._years[year] = open_year(*_bounds(year), base, openings)
            self._shapes[self._kind(year)] = _Shape(found.total, days)
        return found

    def _base(self, year: int) -> int:
        """Open time from the first year that was asked for to the beginning of this one; negative before it."""
        if not self._bases:
            self._bases[year] = 0
            self._low = self._high = year
        while self._high < year:
            self._bases[self._high + 1] = self._bases[self._high] + self._shape(self._high).total
            self._high += 1
        while self._low > year:
            self._bases[self._low - 1] = self._bases[self._low] - self._shape(self._low - 1).total
            self._low -= 1
        return self._bases[year]

    def _shape(self, year: int) -> _Shape:
        kind = self._kind(year)
        found = self._shapes.get(kind)
        if found is None:
            openings, days = self._openings(year)
            found = self._shapes[kind] = _Shape(open_year(*_bounds(year), 0, openings).total, days)
        return found

    def _kind(self, year: int) -> object:
        """Years of one kind have the same hours: the year itself where anything but the week decides."""
        if COMPUTED_YEARS[0] - 1 <= year <= COMPUTED_YEARS[-1] + 1 or year in self._computed or year in _EDGE_YEARS:
            return year
        first = date(year, 1, 1)
        length = _first_ordinal(year + 1) - first.toordinal()
        return first.weekday(), length, year < COMPUTED_YEARS[0], self._version(first).effective_from

    def _openings(self, year: int) -> tuple[list[Interval], tuple[int, ...]]:
        """The openings that reach into a UTC year, and the open local days of that year, counted from 1 January."""
        begin, end = _first_ordinal(year), _first_ordinal(year + 1)
        first, last = max(1, begin - self._reach - 1), min(end, _LAST_ORDINAL)
        offsets = [self._offset_of_day(ordinal) for ordinal in range(first - 1, last + self._reach + 2)]
        changes = [first - 1 + i for i, (a, b) in enumerate(pairwise(offsets)) if a != b]
        uneven = {day for change in changes for day in range(change - self._reach - 1, change + 3)}
        found: list[Interval] = []
        days: list[int] = []
        for ordinal in range(first, last + 1):
            openings: Sequence[Interval]
            if ordinal in uneven:
                openings = self.day_periods(date.fromordinal(ordinal))
            else:
                midnight = (ordinal - EPOCH_ORDINAL) * DAY - offsets[ordinal - first + 1]
                openings = [(midnight + a, midnight + b) for a, b in self._periods(ordinal)]
            if openings:
                found.extend(openings)
                if begin <= ordinal < end:
                    days.append(ordinal - begin)
        return merged(found), tuple(days)


_EDGE_YEARS = (FIRST_YEAR, FIRST_YEAR + 1, LAST_YEAR - 1, LAST_YEAR)


def _tidy(version: CalendarVersion) -> CalendarVersion:
    """Its periods in order and disjoint."""
    hours = tuple(tuple(merged(periods)) for periods in version.hours)
    exceptions = {day: tuple(merged(periods)) for day, periods in version.exceptions.items()}
    return replace(version, hours=hours, exceptions=exceptions)


def _longest(versions: Sequence[CalendarVersion]) -> int:
    """The latest end of a period, in microseconds of its day."""
    every = [p for v in versions for periods in (*v.hours, *v.exceptions.values()) for p in periods]
    return max((end for _, end in every), default=int(DAY))


def _offset_us(moment: datetime) -> int:
    offset = moment.utcoffset()
    if offset is None:
        raise AssertionError("a moment without a zone")
    return (offset.days * 86400 + offset.seconds) * SECOND + offset.microseconds


def _year_of(at: int) -> int:
    """The UTC year of an instant; the first or the last that has dates, where it lies outside of them."""
    return date.fromordinal(min(max(at // DAY + EPOCH_ORDINAL, 1), _LAST_ORDINAL)).year


@cache
def _first_ordinal(year: int) -> int:
    """1 January; of the year after the last one, too."""
    return date(year, 1, 1).toordinal() if year <= LAST_YEAR else _LAST_ORDINAL + 1


def _bounds(year: int) -> tuple[int, int]:
    return (_first_ordinal(year) - EPOCH_ORDINAL) * DAY, (_first_ordinal(year + 1) - EPOCH_ORDINAL) * DAY
