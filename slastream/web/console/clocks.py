"""The clocks of `sla.verdicts`: all that are open, and those that ended last."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orjson import dumps

from slastream.core.units import Instant, parse_instant

Json = dict[str, Any]

OPEN_STATES = ("breached", "at_risk", "running", "paused")
ENDED_STATES = ("met", "late", "cancelled")
STATES = (*OPEN_STATES, *ENDED_STATES)
FILTERS = ("service", "team", "provider", "customer", "agreement", "promise", "priority", "group", "assignee", "type")
"""What clocks can be chosen by."""
GROUPINGS = ("service", "team", "provider", "customer", "agreement", "group", "priority", "policy_version")
"""What open clocks are counted by."""
MOST_ENDED = 300_000
"""Clocks that ended are remembered, the last of them so many: `sla.verdicts` keeps them for ever, memory must not."""
FORGET_EVERY = 20_000


class Clock(NamedTuple):
    """A verdict. `state` is one of STATES: `breached` is over its target and open, `late` ended so."""

    key: str
    ticket_id: str
    service: str
    agreement: str
    agreement_kind: str
    promise: str
    metric: str
    cycle: int
    status: str
    state: str
    started_at: Instant
    due_at: Instant | None
    stopped_at: Instant | None
    breached_at: Instant | None
    elapsed_seconds: float
    target_seconds: float | None
    remaining_seconds: float | None
    paused_seconds: float
    due_if_resumed_now: Instant | None
    cancel_reason: str | None
    override: str | None
    as_of: Instant
    revision: int
    policy_version: str
    customer: str | None
    provider: str | None
    team: str | None
    group: str | None
    assignee: str | None
    priority: str | None
    type: str | None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class Counts(NamedTuple):
    """How many open clocks of some value (of a service, a team, …) are in which state."""

    value: str | None
    breached: int
    at_risk: int
    running: int
    paused: int

    @property
    def total(self) -> int:
        return self.breached + self.at_risk + self.running + self.paused


_COLUMNS = ", ".join(f'"{name}"' for name in Clock._fields)
_ORDER = {
    "breached": "breached_at DESC",
    "at_risk": "due_at",
    "running": "due_at",
    "paused": "due_if_resumed_now",
}
_SCHEMA = f"""
CREATE TABLE clock ({_COLUMNS}, PRIMARY KEY (key)) WITHOUT ROWID;
CREATE INDEX clock_ticket ON clock (ticket_id);
CREATE INDEX clock_breached ON clock (breached_at) WHERE state = 'breached';
CREATE INDEX clock_at_risk ON clock (due_at) WHERE state = 'at_risk';
CREATE INDEX clock_running ON clock (due_at) WHERE state = 'running';
CREATE INDEX clock_paused ON clock (due_if_resumed_now) WHERE state = 'paused';
CREATE INDEX clock_service ON clock (service, state);
CREATE INDEX clock_team ON clock (team, state);
CREATE INDEX clock_provider ON clock (provider, state);
CREATE INDEX clock_customer ON clock (customer, state);
CREATE INDEX clock_ended ON clock (stopped_at) WHERE state IN ('met', 'late', 'cancelled');
"""
_INSERT = f"INSERT OR REPLACE INTO clock VALUES ({', '.join('?' * len(Clock._fields))})"


class Clocks:
    """Takes verdicts in any order of partitions: of two of one clock the newer counts."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_SCHEMA)
        self._counts: dict[str, dict[str | None, Counter[str]]] = {name: defaultdict(Counter) for name in GROUPINGS}
        self._totals: Counter[str] = Counter()
        self._told = 0

    # ---- what is told

    def tell(self, key: str, line: Json) -> None:
        """Raises KeyError, TypeError and ValueError for what is no verdict."""
        new = clock_of(key, line)
        old = self._old(key)
        if old is not None and (old.as_of, old.revision) > (new.as_of, new.revision):
            return
        if line.get("is_withdrawn"):
            if old is not None and old.service == new.service:
                self._count(old, -1)
                self._database.execute("DELETE FROM clock WHERE key = ?", (key,))
            return
        if old is not None:
            self._count(old, -1)
        self._count(new, 1)
        self._database.execute(_INSERT, new)
        self._told += 1
        if self._told % FORGET_EVERY == 0:
            self.forget()

    def forget(self, most_ended: int = MOST_ENDED) -> None:
        """Drops those that ended first, where there are more than that."""
        excess = sum(self._totals[state] for state in ENDED_STATES) - most_ended
        if excess <= 0:
            return
        ended = "state IN ('met', 'late', 'cancelled')"
        keys = self._database.execute(
            f"SELECT key, state FROM clock WHERE {ended} ORDER BY stopped_at LIMIT ?", (excess,)
        )
        for key, state in keys.fetchall():
            self._totals[state] -= 1
            self._database.execute("DELETE FROM clock WHERE key = ?", (key,))

    def _old(self, key: str) -> Clock | None:
        row = self._database.execute("SELECT * FROM clock WHERE key = ?", (key,)).fetchone()
        return None if row is None else Clock._make(row)

    def _count(self, clock: Clock, change: int) -> None:
        self._totals[clock.state] += change
        if clock.is_open:
            for name in GROUPINGS:
                self._counts[name][getattr(clock, name)][clock.state] += change

    # ---- what is asked

    def totals(self, chosen: Mapping[str, str] | None = None) -> dict[str, int]:
        """How many clocks are in each state, of those that are chosen."""
        if not chosen:
            return {state: self._totals[state] for state in STATES}
        where, values = _where(chosen)
        found = dict(self._database.execute(f"SELECT state, count(*) FROM clock WHERE {where} GROUP BY state", values))
        return {state: found.get(state, 0) for state in STATES}

    def counts(self, grouping: str) -> list[Counts]:
        """By one of GROUPINGS, those with most trouble first; values without open clocks are left out."""
        rows = [Counts(value, *(by[state] for state in OPEN_STATES)) for value, by in self._counts[grouping].items()]
        shown = [row for row in rows if row.total]
        return sorted(shown, key=lambda row: (-row.breached, -row.at_risk, -row.total, row.value or ""))

    def listed(self, state: str, chosen: Mapping[str, str], most: int, skipped: int = 0) -> list[Clock]:
        """Of one open state, the most urgent first (of the breached: what was breached last)."""
        where, values = _where(chosen)
        order = _ORDER[
            state
        ]  # KeyError for another word: it goes into the statement, where the partial index is found by it
        return self._select(f"state = '{state}' AND {where} ORDER BY {order} LIMIT ? OFFSET ?", *values, most, skipped)

    def of_ticket(self, ticket_id: str) -> list[Clock]:
        return self._select("ticket_id = ? ORDER BY agreement, promise, cycle", ticket_id)

    def of_tickets(self, ticket_ids: Sequence[str]) -> dict[str, list[Clock]]:
        """The open clocks of each."""
        found: dict[str, list[Clock]] = {one: [] for one in ticket_ids}
        for clock in self._select(f"ticket_id IN ({', '.join('?' * len(ticket_ids))})", *ticket_ids):
            if clock.is_open:
                found[clock.ticket_id].append(clock)
        return found

    def known_tickets(self, ticket_ids: Sequence[str]) -> set[str]:
        """Those that have a clock."""
        marks = ", ".join("?" * len(ticket_ids))
        rows = self._database.execute(f"SELECT DISTINCT ticket_id FROM clock WHERE ticket_id IN ({marks})", ticket_ids)
        return {ticket_id for (ticket_id,) in rows}

    def values(self, grouping: str) -> list[str]:
        """Those of open clocks, to choose from."""
        return sorted(value for value, by in self._counts[grouping].items() if value and by.total())

    def _select(self, rest: str, *values: object) -> list[Clock]:
        return [Clock._make(row) for row in self._database.execute(f"SELECT * FROM clock WHERE {rest}", values)]


def _where(chosen: Mapping[str, str]) -> tuple[str, list[str]]:
    """A condition of our own names; the values are bound. A value that is empty stands for none."""
    parts = [f'"{name}" = ?' if value else f"coalesce(\"{name}\", '') = ?" for name, value in _pairs(chosen)]
    return " AND ".join(parts) or "1", [value for _, value in _pairs(chosen)]


def _pairs(chosen: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, chosen[name]) for name in FILTERS if name in chosen)


def clock_of(key: str, line: Json) -> Clock:
    get = line.get
    status, stopped_at = line["status"], _instant(line["stopped_at"])
    override = get("override")
    return Clock(
        key,
        line["ticket_id"],
        get("service") or "",
        line["agreement"],
        line["agreement_kind"],
        line["promise"],
        line["metric"],
        line["cycle"],
        status,
        _state(status, stopped_at is not None, bool(get("is_at_risk"))),
        parse_instant(line["started_at"]),
        _instant(line["due_at"]),
        stopped_at,
        _instant(line["breached_at"]),
        line["elapsed_seconds"],
        line["target_seconds"],
        line["remaining_seconds"],
        line["paused_seconds"],
        _instant(get("due_if_resumed_now")),
        line["cancel_reason"],
        None if override is None else dumps(override).decode(),
        parse_instant(line["as_of"]),
        line["revision"],
        line["policy_version"],
        get("customer"),
        get("provider"),
        get("team"),
        get("group"),
        get("assignee"),
        get("priority"),
        get("type"),
    )


def _state(status: str, is_stopped: bool, is_at_risk: bool) -> str:
    if status == "breached":
        return "late" if is_stopped else "breached"
    if status == "running" and is_at_risk:
        return "at_risk"
    if status not in STATES:
        raise ValueError(f"{status!r} is no status of a clock")
    return status


def _instant(text: str | None) -> Instant | None:
    return None if text is None else parse_instant(text)
