"""Opening hours as instants: business time is arithmetic over precomputed intervals, found by binary search (semantics 2).

A `Calendar` builds the opening intervals of a local year when that year is first asked for (about 2 ms) and keeps them with
running sums. A question about two instants is then two binary searches, however far apart they lie.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Protocol
from zoneinfo import ZoneInfo

from slastream.core.units import DAY, EPOCH_ORDINAL, FAR, SECOND, Duration, Instant

Period = tuple[int, int]
"""[start, end) in microseconds of a local day; the end may lie beyond 24 h."""

YEARS = range(1, 10000)
_MAX_PERIOD_DAYS = 2
_ONE_DAY = timedelta(days=1)


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
        if day in self.holidays or (day.month, day.day) in self.yearly or any(one.contains(day) for one in self.lists):
            return ()
        return self.hours[day.weekday()]


@lru_cache(maxsize=None)
def zone(name: str) -> ZoneInfo:
    """A time zone of the pinned `tzdata` package, not of the host. Raises ValueError with the nearest names."""
    parts = name.split("/")
    if name and all(part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        resource = files("tzdata.zoneinfo").joinpath(*parts)
        if resource.is_file():
            with resource.open("rb") as data:
                try:
                    return ZoneInfo.from_file(data, key=name)
                except ValueError:
                    pass
    near = get_close_matches(name, zone_names(), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; write a name of the IANA database like Europe/Berlin"
    raise ValueError(f"{name!r} is no time zone{hint}")


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    return tuple(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


class Calendar:
    """Opening hours in a zone. Immutable but for what it has already computed."""

    def __init__(self, name: str, zone_name: str, versions: Sequence[CalendarVersion]) -> None:
        self.name = name
        self.zone_name = zone_name
        self.is_always = False
        self.versions = tuple(sorted(versions, key=lambda v: v.effective_from or date.min))
        self._zone = zone(zone_name)
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sums: list[int] = []
        self._first = 0
        self._last = -1

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
        """Open microseconds in `[start, end)`; 0 where `end` does not lie after `start`."""
        if end <= start:
            return Duration(0)
        if self.is_always:
            return Duration(end - start)
        self._cover(start, end)
        return Duration(self._sum_at(end) - self._sum_at(start))

    def add(self, start: Instant, duration: Duration) -> Instant:
        """The first instant at which `duration` of open time has passed since `start`.

        Used up exactly at closing time it is the closing; 0 gives `start`; FAR where the years end before.
        """
        if duration <= 0:
            return start
        if self.is_always:
            return Instant(min(start + duration, FAR))
        self._cover(start, start)
        wanted = self._sum_at(start) + duration
        while not self._sums or wanted > self._sums[-1] + self._ends[-1] - self._starts[-1]:
            if not self._extend_forward():
                return FAR
        index = bisect_left(self._sums, wanted) - 1
        return Instant(self._starts[index] + wanted - self._sums[index])

    def is_open(self, at: Instant) -> bool:
        if self.is_always:
            return True
        self._cover(at, at)
        index = bisect_right(self._starts, at) - 1
        return index >= 0 and at < self._ends[index]

    def next_open(self, at: Instant) -> Instant:
        """`at` where it is open, else the next opening; FAR where there is none."""
        if self.is_always:
            return at
        self._cover(at, at)
        index = bisect_right(self._starts, at) - 1
        if index >= 0 and at < self._ends[index]:
            return at
        while index + 1 >= len(self._starts):
            if not self._extend_forward():
                return FAR
            index = bisect_right(self._starts, at) - 1
        return Instant(self._starts[index + 1])

    def intervals(self, start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant]]:
        """The open intervals in `[start, end)`, clipped."""
        if self.is_always:
            if start < end:
                yield start, end
            return
        self._cover(start, end)
        index = max(0, bisect_right(self._starts, start) - 1)
        while index < len(self._starts) and self._starts[index] < end:
            low, high = max(start, self._starts[index]), min(end, self._ends[index])
            if low < high:
                yield Instant(low), Instant(high)
            index += 1

    def _sum_at(self, at: int) -> int:
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return 0
        start, end = self._starts[index], self._ends[index]
        return self._sums[index] + (at if at < end else end) - start

    # ---- local days ----------------------------------------------------------------------------------------------

    def local(self, at: Instant) -> tuple[date, int]:
        """Local date, and microseconds of the wall clock since its midnight."""
        whole, us = divmod(at, SECOND)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=whole)
        wall = moment.astimezone(self._zone)
        return wall.date(), (wall.hour * 3600 + wall.minute * 60 + wall.second) * SECOND + us

    def to_instant(self, day: date, us_of_day: int) -> Instant:
        """The instant of a wall clock time: in a gap the gap's end, of two the first. `us_of_day` may exceed a day."""
        return self._resolve(day, us_of_day, is_closing=False)

    def day_periods(self, day: date) -> list[tuple[Instant, Instant]]:
        """The intervals that begin on this local date, merged, as instants."""
        found: list[tuple[Instant, Instant]] = []
        for start, end in sorted(self._version(day).periods(day)):
            low, high = self._resolve(day, start, False), self._resolve(day, end, True)
            if low >= high:
                continue
            if found and low <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], high))
            else:
                found.append((low, high))
        return found

    def day_holding(self, at: Instant) -> date:
        """The local date whose hours hold `at`, which is open; the latest, where shifts of two dates overlap."""
        day = self.local(at)[0]
        for back in range(_MAX_PERIOD_DAYS + 1):
            candidate = day - timedelta(days=back)
            if any(low <= at < high for low, high in self.day_periods(candidate)):
                return candidate
        raise AssertionError("asked for the day of an instant that is not open")

    def next_open_day(self, day: date) -> date:
        """The first local date after `day` with opening hours."""
        for _ in range(3660):
            day += _ONE_DAY
            if self.day_periods(day):
                return day
        raise OverflowError(f"calendar {self.name!r} has no opening in the ten years before {day}")

    def closed_stretch(self, days: int = 400) -> date | None:
        """A local date from which on there is no opening for so many days; None where there is none.

        Looked for in the two years after each version begins, and from 2020 to 2030.
        """
        begins = [date(2020, 1, 1), *(v.effective_from for v in self.versions if v.effective_from is not None)]
        for begin in begins:
            closed = 0
            for offset in range(11 * 366 if begin == begins[0] else 2 * 366 + days):
                day = begin + timedelta(days=offset)
                closed = 0 if self._version(day).periods(day) else closed + 1
                if closed >= days:
                    return day - timedelta(days=days - 1)
        return None

    def _version(self, day: date) -> CalendarVersion:
        found = self.versions[0]
        for version in self.versions[1:]:
            if version.effective_from is not None and version.effective_from <= day:
                found = version
        return found

    def _resolve(self, day: date, us_of_day: int, is_closing: bool) -> Instant:
        days, us = divmod(us_of_day, DAY)
        wall_us = (day.toordinal() + days - EPOCH_ORDINAL) * DAY + us
        wall = datetime(1970, 1, 1) + timedelta(microseconds=wall_us)  # noqa: DTZ001 -- the wall clock has no zone yet
        first = wall_us - self._offset_us(wall.replace(tzinfo=self._zone))
        second = wall_us - self._offset_us(wall.replace(tzinfo=self._zone, fold=1))
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
        return self._offset_us((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(self._zone))

    @staticmethod
    def _offset_us(moment: datetime) -> int:
        offset = moment.utcoffset()
        if offset is None:
            raise AssertionError("a moment without a zone")
        return (offset.days * 86400 + offset.seconds) * SECOND + offset.microseconds

    # ---- years ---------------------------------------------------------------------------------------------------

    def _cover(self, start: int, end: int) -> None:
        """Builds the years that hold these instants, with one more on each side."""
        low, high = _year_of(start) - 1, _year_of(end) + 1
        if self._last < self._first:
            self._first, self._last = low, low - 1
        if low < self._first:
            blocks = [self._build(year) for year in range(low, self._first)]
            self._prepend(blocks)
            self._first = low
        while self._last < high and self._extend_forward():
            pass

    def _extend_forward(self) -> bool:
        """Builds one year more; False at the end of the years that have dates."""
        year = self._last + 1
        if year > YEARS[-1]:
            return False
        total = self._sums[-1] + self._ends[-1] - self._starts[-1] if self._sums else 0
        for start, end in self._build(year):
            if self._ends and start <= self._ends[-1]:
                if end > self._ends[-1]:
                    total += end - self._ends[-1]
                    self._ends[-1] = end
                continue
            self._starts.append(start)
            self._ends.append(end)
            self._sums.append(total)
            total += end - start
        self._last = year
        return True

    def _prepend(self, blocks: list[list[tuple[int, int]]]) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in [*(one for block in blocks for one in block), *zip(self._starts, self._ends, strict=True)]:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        self._starts, self._ends, self._sums, total = [], [], [], 0
        for start, end in merged:
            self._starts.append(start)
            self._ends.append(end)
            self._sums.append(total)
            total += end - start

    def _build(self, year: int) -> list[tuple[int, int]]:
        if year < YEARS[0] or year > YEARS[-1]:
            return []
        found: list[tuple[int, int]] = []
        day, last = date(year, 1, 1), date(year, 12, 31)
        while True:
            found.extend(self.day_periods(day))
            if day == last:
                break
            day += _ONE_DAY
        found.sort()
        return found


def _year_of(at: int) -> int:
    """The UTC year of an instant, at most one off for far instants; clamped to those that have dates."""
    day = at // DAY + EPOCH_ORDINAL
    return date.fromordinal(min(max(day, 1), date.max.toordinal())).year
