"""Opening hours, one local date at a time: instants are microseconds since the epoch in UTC."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = 60 * 10**6
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
UNITS = {"s": 10**6, "m": MINUTE, "h": 60 * MINUTE}
HORIZON_DAYS = 1000
Interval = tuple[int, int]


def micros(text: str) -> int:
    """Microseconds of an RFC 3339 instant, digits beyond them cut off."""
    head, fraction, zone = re.fullmatch(r"(.{19})(?:\.(\d+))?([Zz]|[+-].*)", text.strip()).groups()  # type: ignore[union-attr]
    whole = datetime.fromisoformat(head.upper() + ("+00:00" if zone in "Zz" else zone)) - EPOCH
    return (whole.days * 86400 + whole.seconds) * 10**6 + int(((fraction or "") + "000000")[:6])


def rfc3339(instant: int | None) -> str | None:
    """An instant as text, `None` as it is."""
    if instant is None:
        return None
    moment = EPOCH + timedelta(microseconds=instant)
    return (
        moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{instant % 10**6:06d}".rstrip("0") if instant % 10**6 else "") + "Z"
    )


def duration(text: str) -> int | None:
    """Microseconds of `90s`, `15m`, `4h`; `None` for anything else."""
    found = re.fullmatch(r"(\d+)(s|m|h)", text)
    return int(found[1]) * UNITS[found[2]] if found else None


def of_wall_clock(zone: ZoneInfo, local: datetime, *, closing: bool = False) -> int:
    """The instant at which a clock on the wall shows `local`.

    One that is skipped is the end of the gap; one shown twice is the first of the two, for a closing the second.
    """

    def instant(fold: int) -> int:
        gone = local.replace(tzinfo=zone, fold=fold).astimezone(UTC) - EPOCH
        return (gone.days * 86400 + gone.seconds) * 10**6 + gone.microseconds

    early, late = instant(0), instant(1)
    if early <= late:
        return late if closing else early
    moment = late - late % MINUTE  # skipped: walk to the first minute on which the wall clock is past it
    while to_wall_clock(zone, moment) <= local:
        moment += MINUTE
    return moment


def to_wall_clock(zone: ZoneInfo, instant: int) -> datetime:
    """What the clock on the wall shows."""
    return (EPOCH + timedelta(microseconds=instant)).astimezone(zone).replace(tzinfo=None)


class Hours:
    """A calendar: `day(date)` gives the open intervals that begin on a local date."""

    def __init__(self, body: dict[str, Any], zone: str, files: dict[str, str]) -> None:
        self.zone = ZoneInfo(body.get("timezone", zone))
        self.body, self.files = body, files
        self.known: dict[date, list[Interval]] = {}

    def local(self, instant: int) -> datetime:
        return to_wall_clock(self.zone, instant)

    def in_force(self, day: date) -> dict[str, Any]:
        """The fields of the calendar on a date: each version replaces what it gives."""
        body = dict(self.body)
        for version in sorted(self.body.get("versions", []), key=lambda v: str(v["effective_from"])):
            if date.fromisoformat(str(version["effective_from"])) <= day:
                body.update(version)
        return body

    def periods(self, day: date) -> list[str]:
        """The opening hours that begin on a date, as the policy writes them."""
        body = self.in_force(day)
        for when, hours in body.get("exceptions", {}).items():
            if str(when) == day.isoformat():
                return [] if hours == "closed" else list(hours)
        if any(self.is_holiday(entry, day) for entry in body.get("holidays", [])):
            return []
        found: list[str] = []
        for names, hours in body.get("hours", {}).items():
            first, _, last = names.partition("-")
            if day.weekday() in range(DAYS.index(first), DAYS.index(last or first) + 1):
                found += hours
        return found

    def is_holiday(self, entry: Any, day: date) -> bool:
        if isinstance(entry, dict) and "ics" in entry:
            text = self.files[entry["ics"]]
            begins, ends = (re.search(rf"{w};VALUE=DATE:(\d{{8}})", text)[1] for w in ("DTSTART", "DTEND"))  # type: ignore[index]
            return begins <= day.strftime("%Y%m%d") < ends
        if isinstance(entry, dict):
            import holidays

            return day in holidays.country_holidays(entry["country"], subdiv=entry.get("subdivision"))
        return str(entry) in (day.isoformat(), day.strftime("%m-%d"))

    def day(self, day: date) -> list[Interval]:
        """Open intervals that begin on the local date, in order, none overlapping another."""
        if day not in self.known:
            found = []
            for period in self.periods(day):
                sides = [int(h) * 60 + int(m) for h, m in (side.split(":") for side in period.split("-"))]
                midnight = datetime.combine(day, datetime.min.time())
                begin, end = (midnight + timedelta(minutes=side) for side in sides)
                found.append((of_wall_clock(self.zone, begin), of_wall_clock(self.zone, end, closing=True)))
            self.known[day] = list(apart(sorted(found)))
        return self.known[day]

    def open_from(self, start: int) -> Iterator[Interval]:
        """Open intervals after an instant, the first one cut at it."""
        first = self.local(start).date() - timedelta(days=2)
        days = (self.day(first + timedelta(days=n)) for n in range(HORIZON_DAYS))
        for begin, end in apart(interval for day in days for interval in day):
            if end > start:
                yield max(begin, start), end

    def is_open(self, instant: int) -> bool:
        return self.next_opening(instant) == instant

    def next_opening(self, instant: int) -> int:
        """The instant itself while it is open, else the next opening."""
        return next(self.open_from(instant))[0]

    def open_time(self, start: int, end: int) -> int:
        """Open microseconds between two instants."""
        total = 0
        for a, b in self.open_from(start):
            if a >= end:
                break
            total += min(b, end) - a
        return total

    def advance(self, start: int, amount: int) -> int:
        """The first instant at which `amount` of open time has passed."""
        if amount <= 0:
            return start
        for a, b in self.open_from(start):
            if b - a >= amount:
                return a + amount
            amount -= b - a
        raise AssertionError("no opening hours")

    # -- days and times of day ---------------------------------------------------------------------------------------
    def open_day(self, day: date, n: int) -> date:
        """The n-th day with opening hours after a date."""
        while n:
            day += timedelta(days=1)
            n -= bool(self.day(day))
        return day

    def moved_into(self, day: date, time: datetime) -> int:
        """A wall clock time on an open day, moved into the hours that begin on it."""
        instant = of_wall_clock(self.zone, datetime.combine(day, time.time()))
        for begin, end in self.day(day):
            if instant < end:
                return max(begin, instant)
        return self.day(day)[-1][1]

    def due(self, start: int, within: str) -> int:
        """When a target that begins at `start` is used up, if nothing pauses it."""
        amount = duration(within)
        if amount is not None:
            return self.advance(start, amount)
        if found := re.fullmatch(r"(\d+) calendar_days?", within):
            return of_wall_clock(self.zone, self.local(start) + timedelta(days=int(found[1])))
        begin = self.local(self.next_opening(start))
        if found := re.fullmatch(r"(\d+) business_days?", within):
            return self.moved_into(self.open_day(begin.date(), int(found[1])), begin)
        if found := re.fullmatch(r"end of business_day(?: \+ (\d+))?", within):
            return self.day(self.open_day(self.day_of(start), int(found[1] or 0)))[-1][1]
        if found := re.fullmatch(r"next business_day (\d\d):(\d\d)", within):
            time = datetime(2000, 1, 1, int(found[1]), int(found[2]))  # noqa: DTZ001
            return self.moved_into(self.open_day(self.local(start).date(), 1), time)
        raise AssertionError(within)

    def day_of(self, start: int) -> date:
        """The date on which the hours begin that hold the instant, or that open next after it."""
        opening = self.next_opening(start)
        today = self.local(opening).date()
        for day in (today - timedelta(days=1), today):
            if any(a <= opening < b for a, b in self.day(day)):
                return day
        raise AssertionError("an opening without hours")


def apart(intervals: Iterator[Interval] | list[Interval]) -> Iterator[Interval]:
    """Intervals in order of their beginning, without what an earlier one has already covered."""
    covered = -(10**30)
    for begin, end in intervals:
        if max(begin, covered) < end:
            yield max(begin, covered), end
            covered = end
