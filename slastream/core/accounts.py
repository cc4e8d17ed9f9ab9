"""Accounts: what a promise has seen of a service, as running sums from which every window is a difference.

Two kinds, one shape. An account of time (`availability`) grows at a constant rate inside of each of its segments; an account of
events (`success`, `latency`) jumps at its instants, so that a window `(start, end]` holds what ended in it. All sums are
integers: microseconds times the account's `whole`, or events. Each segment costs the same whatever happened in it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from slastream.core.calendars import Calendar
from slastream.core.events import STATES
from slastream.core.intervals import Interval
from slastream.core.states import Levels, is_down, shares
from slastream.core.steps import BEGINNING, Steps, combined, steps_of
from slastream.core.units import Instant

A = TypeVar("A")
CLASSES = ("good", "bad", "excluded", "unknown")
DEFAULT_COUNT = {"up": "good", "degraded": "good", "down": "bad", "maintenance": "excluded", "unknown": "unknown"}


class Sums(NamedTuple):
    """`bad`, `known` (good and bad), `counted` (and unknown), and `open`: what would count if nothing were excluded."""

    bad: int
    known: int
    counted: int
    open: int

    def plus(self, rate: "Sums", length: int) -> "Sums":
        return Sums(
            self.bad + rate.bad * length,
            self.known + rate.known * length,
            self.counted + rate.counted * length,
            self.open + rate.open * length,
        )

    def less(self, other: "Sums") -> "Sums":
        return Sums(
            self.bad - other.bad, self.known - other.known, self.counted - other.counted, self.open - other.open
        )

    @property
    def good(self) -> int:
        return self.known - self.bad

    @property
    def unknown(self) -> int:
        return self.counted - self.known


NOTHING = Sums(0, 0, 0, 0)
FAR = 1 << 62
"""After every instant."""


@dataclass(frozen=True, slots=True)
class Account:
    """Sums up to `starts[i]`, and their rates from there on; constant before the first. Microseconds count `whole` times."""

    starts: Sequence[int]
    sums: Sequence[Sums]
    rates: Sequence[Sums]
    whole: int

    def at(self, at: int) -> Sums:
        index = bisect_right(self.starts, at) - 1
        if index < 0:
            return self.sums[0] if self.sums else NOTHING
        return self.sums[index].plus(self.rates[index], at - self.starts[index])

    def rate_at(self, at: int) -> Sums:
        index = bisect_right(self.starts, at) - 1
        return NOTHING if index < 0 else self.rates[index]

    def growing(self, at: int) -> tuple[int, int, int]:
        """`bad`, `known` and `counted` up to an instant, for those who ask for many."""
        index = max(0, bisect_right(self.starts, at) - 1)
        since = max(0, at - self.starts[index])
        bad, known, counted, _ = self.sums[index]
        bad_rate, known_rate, counted_rate, _ = self.rates[index]
        return bad + bad_rate * since, known + known_rate * since, counted + counted_rate * since

    def next_start(self, at: int) -> int:
        """The first instant after `at` at which a segment begins; FAR without one."""
        index = bisect_right(self.starts, at)
        return self.starts[index] if index < len(self.starts) else FAR

    def between(self, start: int, end: int) -> Sums:
        return self.at(end).less(self.at(start))

    def next_bad(self, at: int) -> int | None:
        """The first instant from `at` on at which there is more that is bad; None: never."""
        index = max(0, bisect_right(self.starts, at) - 1)
        bad = self.at(at).bad
        while index < len(self.starts):
            if self.rates[index].bad > 0 or self.sums[index].bad > bad:
                return max(at, self.starts[index])
            index += 1
        return None


def account_of_time(
    levels: Steps[Levels | None],
    first_news: Instant | None,
    count: Mapping[str, str],
    before_first_news: str,
    open_time: Steps[bool],
) -> Account:
    """The account of a service's levels: states by what they count as, closed time excluded."""
    words = [({**DEFAULT_COUNT, **count})[state] for state in STATES]
    whole = next((value[-1] for value in levels.values if value is not None), 1)
    of_nobody = Sums(0, 0, whole if before_first_news == "unknown" or first_news is None else 0, whole)
    known: dict[tuple[Levels | None, bool], Sums] = {}

    def rate(now: Sequence[object]) -> Sums:
        value, is_open = now
        key: tuple[Levels | None, bool] = (value, bool(is_open))  # type: ignore[assignment]  # the two parts below
        found = known.get(key)
        if found is None:
            found = known[key] = _rate(key[0], key[1], words, of_nobody)
        return found

    parts: list[Steps[object]] = [
        Steps(levels.starts, list(levels.values)),
        Steps(open_time.starts, list(open_time.values)),
    ]
    rates = combined(parts, rate)
    return _integrated(rates.starts, rates.values, whole)


def _rate(levels: Levels | None, is_open: bool, words: Sequence[str], of_nobody: Sums) -> Sums:
    if not is_open:
        return NOTHING
    if levels is None:
        return of_nobody
    by_class = dict.fromkeys(CLASSES, 0)
    for word, share in zip(words, shares(levels), strict=True):
        by_class[word] += share
    known = by_class["good"] + by_class["bad"]
    return Sums(by_class["bad"], known, known + by_class["unknown"], levels[-1])


def _integrated(starts: Sequence[int], rates: Sequence[Sums], whole: int) -> Account:
    sums = [NOTHING]
    for index in range(1, len(starts)):
        sums.append(sums[-1].plus(rates[index - 1], starts[index] - starts[index - 1]))
    return Account(starts, sums, rates, whole)


def account_of_events(counts: Iterable[tuple[int, int, int]], whole: int = 1) -> Account:
    """Of (instant, good, total), ascending: all of it is known. An event counts `whole` times."""
    return with_events(Account([BEGINNING], [NOTHING], [NOTHING], whole), counts)


def with_events(account: Account, counts: Iterable[tuple[int, int, int]]) -> Account:
    """The account and later events; the lists of the one that is given grow, what it said of the time before stays."""
    starts, sums, rates = list_of(account.starts), list_of(account.sums), list_of(account.rates)
    bad, known = sums[-1].bad, sums[-1].known
    for at, good, total in counts:
        bad += total - good
        known += total
        if at == starts[-1]:
            sums[-1] = Sums(bad, known, known, known)
        else:
            sums.append(Sums(bad, known, known, known))
            rates.append(NOTHING)
            starts.append(at)
    return account


def list_of(values: Sequence[A]) -> list[A]:
    assert isinstance(values, list)
    return values


def open_time(calendar: Calendar, effective_from: Instant | None, low: int, high: int) -> Steps[bool]:
    """Is time counted? In the calendar's hours from `effective_from` on. Known between `low` and `high`, closed outside of them.

    A calendar that is always open is so for ever.
    """
    start = low if effective_from is None else max(low, effective_from)
    if calendar.is_always:
        return steps_of([(start, True)] if effective_from is not None else [], effective_from is None)
    intervals = calendar.intervals(Instant(start), Instant(max(start, high)))
    return steps_of(((at, inside) for a, b in intervals for at, inside in ((a, True), (b, False))), False)


class Outage(NamedTuple):
    """A maximal interval of `down`, from its first counted instant on; `end` None: it goes on."""

    start: int
    end: int | None


def outages_of(levels: Steps[Levels | None], counted: Steps[bool], until: int) -> list[Outage]:
    """Those that began before `until`; closed hours inside of one do not split it."""
    found: list[Outage] = []
    for start, end, is_so in down_of(levels).pieces(until):
        begin = _first_open(counted, start, end) if is_so else None
        if begin is not None:
            found.append(Outage(begin, None if end == until else end))
    return found


def down_of(levels: Steps[Levels | None]) -> Steps[bool]:
    changes = (
        (start, value is not None and is_down(value)) for start, value in zip(levels.starts, levels.values, strict=True)
    )
    _, first = next(changes)
    return steps_of(changes, first)


def _first_open(counted: Steps[bool], start: int, end: int) -> int | None:
    index = bisect_right(counted.starts, start) - 1
    if counted.values[index]:
        return start
    index += 1
    return counted.starts[index] if index < len(counted.starts) and counted.starts[index] < end else None


def without_short_outages(levels: Steps[Levels | None], min_outage: int, until: int) -> Steps[Levels | None]:
    """What is down for less than `min_outage` (by `until`, where it goes on) is what it was before, where that is known."""
    if min_outage <= 0:
        return levels
    down = down_of(levels)
    short: list[Interval] = [(a, b) for a, b, is_so in down.pieces(until) if is_so and b - a < min_outage]
    changes: list[tuple[int, Levels | None]] = list(zip(levels.starts, levels.values, strict=True))[1:]
    for start, end in short:
        before = levels.at(start - 1)
        if before is not None:
            changes = [(at, before if start <= at < end else value) for at, value in changes]
    return steps_of(changes, levels.values[0])


def pieces_of(account: Account, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of `[start, end)` in which the rates are constant."""
    index = bisect_right(account.starts, start)
    while start < end:
        stop = min(end, account.starts[index]) if index < len(account.starts) else end
        yield start, stop
        start, index = stop, index + 1
