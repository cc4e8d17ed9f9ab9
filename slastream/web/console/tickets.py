"""The tickets of `sla.tickets`: what people call them, and where their events lie in the log."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orjson import dumps, loads

from slastream.core.events import TicketEvent
from slastream.core.units import Instant

SHOWN = ("title", "status", "status_name", "priority", "service", "customer", "group", "assignee", "requester")
"""What is kept of a ticket's attributes."""
MOST = 400_000
"""Tickets that are remembered: those without an open clock that were quiet longest are forgotten."""
FORGET_EVERY = 20_000
MOST_TEXT = 300
MOST_WORDS = 8


class Ticket(NamedTuple):
    """A ticket as its last event left it; None what nobody told. `opened_at` is its first event's, or what it says of that."""

    ticket_id: str
    title: str | None
    status: str | None
    status_name: str | None
    priority: str | None
    service: str | None
    customer: str | None
    group: str | None
    assignee: str | None
    requester: str | None
    opened_at: Instant | None
    changed_at: Instant | None


class Place(NamedTuple):
    """Where a record lies in its topic."""

    partition: int
    offset: int


_COLUMNS = ", ".join(f'"{name}"' for name in Ticket._fields)
_SCHEMA = f"""
CREATE TABLE ticket ({_COLUMNS}, text, told_at, PRIMARY KEY (ticket_id)) WITHOUT ROWID;
CREATE INDEX ticket_changed ON ticket (changed_at);
CREATE TABLE event (ticket_id, partition, "offset", PRIMARY KEY (ticket_id, partition, "offset")) WITHOUT ROWID;
"""
_INSERT = f"INSERT OR REPLACE INTO ticket VALUES ({', '.join('?' * (len(Ticket._fields) + 2))})"


class Tickets:
    """Takes events in any order; of what they say the latest counts."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)
        self._told = 0

    # ---- what is told

    def tell(self, event: TicketEvent, place: Place) -> None:
        self._database.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?)", (event.ticket_id, *place))
        row = self._database.execute(
            f"SELECT {_COLUMNS}, told_at FROM ticket WHERE ticket_id = ?",
            (event.ticket_id,),
        ).fetchone()
        old, told_at = (None, {}) if row is None else (Ticket._make(row[:-1]), loads(row[-1]))
        self._put(_after(old, told_at, event), told_at)
        self._told += 1
        if self._told % FORGET_EVERY == 0:
            self.forget()

    def heard_of(self, ticket_id: str, attributes: Mapping[str, str | None]) -> None:
        """A verdict names a ticket whose events may be gone from the log."""
        row = self._database.execute("SELECT 1 FROM ticket WHERE ticket_id = ?", (ticket_id,)).fetchone()
        if row is None:
            told = {name: attributes.get(name) for name in SHOWN}
            self._put(Ticket(ticket_id, **told, opened_at=None, changed_at=None), {})

    def forget(self, most: int = MOST) -> None:
        """Drops tickets without open clocks, where there are more than that."""
        (count,) = self._database.execute("SELECT count(*) FROM ticket").fetchone()
        if count <= most:
            return
        is_open = "EXISTS (SELECT 1 FROM clock WHERE clock.ticket_id = ticket.ticket_id AND clock.stopped_at IS NULL)"
        gone = self._database.execute(
            f"SELECT ticket_id FROM ticket WHERE NOT {is_open} ORDER BY changed_at LIMIT ?",
            (count - most,),
        ).fetchall()
        self._database.executemany("DELETE FROM ticket WHERE ticket_id = ?", gone)
        self._database.executemany("DELETE FROM event WHERE ticket_id = ?", gone)

    def _put(self, ticket: Ticket, told_at: dict[str, int]) -> None:
        words = (ticket.ticket_id, *(getattr(ticket, name) for name in SHOWN))
        text = " ".join(word for word in words if word).casefold()
        self._database.execute(_INSERT, (*ticket, text, dumps(told_at).decode()))

    # ---- what is asked

    def get(self, ticket_id: str) -> Ticket | None:
        row = self._database.execute(f"SELECT {_COLUMNS} FROM ticket WHERE ticket_id = ?", (ticket_id,)).fetchone()
        return None if row is None else Ticket._make(row)

    def places(self, ticket_id: str) -> list[Place]:
        """Where its events lie, in the order of the log."""
        rows = self._database.execute(
            'SELECT partition, "offset" FROM event WHERE ticket_id = ? ORDER BY partition, "offset"', (ticket_id,)
        )
        return [Place._make(row) for row in rows]

    def titles(self, ticket_ids: Sequence[str]) -> dict[str, str]:
        marks = ", ".join("?" * len(ticket_ids))
        rows = self._database.execute(f"SELECT ticket_id, title FROM ticket WHERE ticket_id IN ({marks})", ticket_ids)
        return {ticket_id: title for ticket_id, title in rows if title}

    def found(self, text: str, most: int) -> list[Ticket]:
        """Those that hold every word somewhere, upper or lower case: the one of that id first, then what changed last."""
        words = text.casefold().split()[:MOST_WORDS]
        if not words:
            return []
        holds = " AND ".join(["instr(text, ?)"] * len(words))
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM ticket WHERE {holds} ORDER BY ticket_id = ? DESC, changed_at DESC LIMIT ?",
            (*words, text.strip(), most),
        )
        return [Ticket._make(row) for row in rows]

    def newest(self, most: int) -> list[Ticket]:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM ticket ORDER BY changed_at DESC LIMIT ?", (most,))
        return [Ticket._make(row) for row in rows]


def _after(old: Ticket | None, told_at: dict[str, int], event: TicketEvent) -> Ticket:
    """Of each attribute the latest word counts; `told_at` says from when it is, and is brought up to date."""
    at = event.occurred_at
    news = {name: _text(event.attributes[name]) for name in SHOWN if name in event.attributes}
    news = {name: value for name, value in news.items() if at >= told_at.get(name, at)}
    told_at |= dict.fromkeys(news, at)
    opened_at = at if event.created_at is None else event.created_at
    if old is None:
        return Ticket(event.ticket_id, **(dict.fromkeys(SHOWN) | news), opened_at=opened_at, changed_at=at)
    return old._replace(
        opened_at=opened_at if old.opened_at is None else min(old.opened_at, opened_at),
        changed_at=at if old.changed_at is None else max(old.changed_at, at),
        **news,  # type: ignore[arg-type]  # of SHOWN, which are texts
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:MOST_TEXT]
