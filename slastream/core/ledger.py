"""The hand-off ledger: every open second of a ticket belongs to exactly one party; the parts add up to all of it.

Time is open time of one calendar, that of the agreement which leads for the ticket (an `sla` before an `ola` before a `uc`,
the smallest rank first), and `24x7` without one. The parts, in whole microseconds, and the time between a closing and a
reopening add up to the open time between the ticket's opening and its end (semantics 6.5).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from slastream.core.calendars import Calendar
from slastream.core.holders import Held, Holder
from slastream.core.tickets import Ticket
from slastream.core.units import Duration, Instant


class Piece(NamedTuple):
    """`[start, end)` of a ticket; `holder` None: it was closed."""

    start: Instant
    end: Instant
    holder: Holder | None


class Ledger(NamedTuple):
    """Open time of a ticket in `calendar`, by who had it, the most first; `ended_at` None: it is open.

    `handoffs` counts how often an open ticket went from one group, provider, requester or nobody to another one.
    """

    ticket_id: str
    agreement: str | None
    calendar: Calendar
    opened_at: Instant
    ended_at: Instant | None
    parts: tuple[tuple[Holder, Duration], ...]
    closed_us: Duration
    handoffs: int

    @property
    def total_us(self) -> Duration:
        return Duration(sum(us for _, us in self.parts))

    def by(self, *names: str) -> dict[tuple[str | None, ...], Duration]:
        """The same time by these fields of its holders: `("party", "group")`."""
        return added_up(self.parts, names)


def ledger_of(ticket: Ticket, end: Instant, start: Instant | None = None) -> Ledger | None:
    """The ledger of a ticket as known at `end`; with `start` only of the time from then on. None: it has no time yet."""
    if ticket.opened_at is None or ticket.opened_at > end:
        return None
    agreement = ticket.rulebook.leading(ticket.matched)
    calendar = ticket.rulebook.policy.calendars["24x7"] if agreement is None else agreement.calendar
    last = ticket.trail[-1]
    ended_at = last.since if last.holder is None else None
    low = ticket.opened_at if start is None else max(start, ticket.opened_at)
    spent: Counter[Holder] = Counter()
    closed = 0
    for piece in pieces(ticket.trail, low, end if ended_at is None else min(end, ended_at)):
        length = calendar.open_between(piece.start, piece.end)
        if piece.holder is None:
            closed += length
        else:
            spent[piece.holder] += length
    return Ledger(
        ticket.ticket_id, None if agreement is None else agreement.name, calendar, ticket.opened_at, ended_at,
        parts_of(spent), Duration(closed), handoffs_of(ticket.trail),
    )  # fmt: skip


def pieces(trail: Iterable[Held], start: Instant, end: Instant) -> Iterator[Piece]:
    """What of a trail lies in `[start, end)`."""
    before: Held | None = None
    for held in (*trail, Held(end, None)):
        if before is not None:
            low, high = max(before.since, start), min(held.since, end)
            if low < high:
                yield Piece(low, high, before.holder)
        before = held


def parts_of(spent: Counter[Holder]) -> tuple[tuple[Holder, Duration], ...]:
    """Without those that had no time, the most first."""
    found = [(holder, Duration(us)) for holder, us in spent.items() if us]
    return tuple(sorted(found, key=lambda part: (-part[1], tuple(value or "" for value in part[0]))))


def added_up(parts: Iterable[tuple[Holder, Duration]], names: Iterable[str]) -> dict[tuple[str | None, ...], Duration]:
    """Time by these fields of the holders; the values add up to that of the parts."""
    places = [Holder._fields.index(name) for name in names]
    found: dict[tuple[str | None, ...], Duration] = {}
    for holder, us in parts:
        key = tuple(holder[place] for place in places)
        found[key] = Duration(found.get(key, Duration(0)) + us)
    return found


def handoffs_of(trail: Iterable[Held]) -> int:
    """How often it went from one to another; a closing and a reopening are none."""
    count, before = 0, None
    for held in trail:
        if held.holder is None:
            continue
        now = held.holder.party, held.holder.group, held.holder.provider
        count += before is not None and now != before
        before = now
    return count
