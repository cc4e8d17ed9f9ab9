"""The facts of `sla.breaches`: what was declared, newest first, and whether it was taken back."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from slastream.core.facts import BREACHED, RETRACTED
from slastream.core.units import Instant, parse_instant
from slastream.core.windows import BREACHED as WINDOW_BREACHED

Json = dict[str, Any]

BREACHES = (BREACHED, WINDOW_BREACHED)
FILTERS = ("service", "team", "provider", "customer", "agreement", "promise", "priority", "group")
MOST = 300_000
FORGET_EVERY = 20_000


class Fact(NamedTuple):
    """`ticket_id` and `cycle` are None of a service; `is_taken_back`: a retraction names it."""

    id: str
    fact: str
    ticket_id: str | None
    service: str
    agreement: str
    agreement_kind: str
    promise: str
    metric: str
    cycle: int | None
    threshold: str | None
    at: Instant
    published_at: Instant | None
    caused_by: str
    retracts: str | None
    window: str | None
    customer: str | None
    provider: str | None
    team: str | None
    group: str | None
    assignee: str | None
    priority: str | None
    type: str | None
    is_taken_back: bool = False


_STORED = Fact._fields[:-1]
_COLUMNS = ", ".join(f'"{name}"' for name in _STORED)
_SCHEMA = f"""
CREATE TABLE fact ({_COLUMNS}, PRIMARY KEY (id)) WITHOUT ROWID;
CREATE INDEX fact_ticket ON fact (ticket_id, at) WHERE ticket_id IS NOT NULL;
CREATE INDEX fact_service ON fact (service, at) WHERE ticket_id IS NULL;
CREATE INDEX fact_word ON fact (fact, at);
CREATE INDEX fact_retracts ON fact (retracts) WHERE retracts IS NOT NULL;
"""
_INSERT = f"INSERT OR REPLACE INTO fact VALUES ({', '.join('?' * len(_STORED))})"


class Facts:
    """Takes facts in any order, each as often as it comes."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)
        self._told = 0

    def tell(self, line: Json) -> None:
        """Raises KeyError and ValueError for what is no fact."""
        self._database.execute(_INSERT, _stored(line))
        self._told += 1
        if self._told % FORGET_EVERY == 0:
            self.forget()

    def forget(self, most: int = MOST) -> None:
        """Drops the oldest."""
        (count,) = self._database.execute("SELECT count(*) FROM fact").fetchone()
        if count > most:
            oldest = "SELECT id FROM fact ORDER BY at LIMIT ?"
            self._database.execute(f"DELETE FROM fact WHERE id IN ({oldest})", (count - most,))

    def of_ticket(self, ticket_id: str) -> list[Fact]:
        """In the order of time."""
        return self._select("ticket_id = ? ORDER BY at", ticket_id)

    def of_service(self, service: str, most: int) -> list[Fact]:
        """About the service itself, newest first."""
        return self._select("ticket_id IS NULL AND service = ? ORDER BY at DESC LIMIT ?", service, most)

    def newest(
        self, words: Sequence[str], chosen: Mapping[str, str], since: Instant, until: Instant, most: int
    ) -> list[Fact]:
        """Of these words, newest first, declared of instants in `[since, until]`."""
        names = [name for name in FILTERS if name in chosen]
        where = "".join(f" AND coalesce(\"{name}\", '') = ?" for name in names)
        marks = ", ".join("?" * len(words))
        rest = f"fact IN ({marks}) AND at BETWEEN ? AND ?{where} ORDER BY at DESC LIMIT ?"
        return self._select(rest, *words, since, until, *(chosen[name] for name in names), most)

    def _select(self, rest: str, *values: object) -> list[Fact]:
        taken_back = "EXISTS (SELECT 1 FROM fact AS other WHERE other.retracts = fact.id)"
        rows = self._database.execute(f"SELECT *, {taken_back} FROM fact WHERE {rest}", values)
        return [Fact._make((*row[:-1], bool(row[-1]))) for row in rows]


def _stored(line: Json) -> tuple[object, ...]:
    get, window, published_at = line.get, line.get("window"), line.get("published_at")
    return (
        line["id"],
        line["fact"],
        get("ticket_id"),
        get("service") or "",
        line["agreement"],
        line["agreement_kind"],
        line["promise"],
        line["metric"],
        get("cycle"),
        line["threshold"],
        parse_instant(line["at"]),
        None if published_at is None else parse_instant(published_at),
        line["caused_by"],
        line["retracts"] if line["fact"] == RETRACTED else None,
        None if window is None else window["kind"],
        *(get(name) for name in ("customer", "provider", "team", "group", "assignee", "priority", "type")),
    )
