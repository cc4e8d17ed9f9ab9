"""A simulated service desk: people open tickets, agents answer, park, escalate, resolve and sometimes forget them.

Pure and deterministic: the same seed and start give the same events. Nothing here waits; whoever sends the events does.
"""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple

Json = dict[str, Any]
Delayed = tuple[float, Json]
"""Seconds after the one before, and the event."""

_SUBJECTS = {
    "mail": ("No mail since this morning", "Calendar shows the wrong room", "Mailbox is full", "Spam filter holds an order"),
    "web-shop": ("Checkout ends with an error", "Prices are from last week", "Pictures do not load", "Voucher is refused"),
    "payroll": ("Payslip is missing", "Bank details cannot be changed", "Overtime is counted twice", "Report ends empty"),
    "vpn": ("Connection drops every minute", "New laptop cannot connect", "Token is not accepted", "Very slow since noon"),
}  # fmt: skip
_REQUESTERS = ("bob", "carla", "deniz", "emeka", "fatima", "greta", "hiro", "ivana")
_AGENTS = {"L1": ("ann", "lars", "mei"), "L2": ("noor", "otto")}
_HIGHER = {"P3": "P2", "P2": "P1"}


class _Mood(NamedTuple):
    """A phase of the day: how long it is, how often tickets come, how much slower than usual agents are."""

    seconds: float
    between_seconds: float
    slowness: float
    forgotten: float


_QUIET = _Mood(14.0, 4.0, 1.0, 0.1)
_STORM = _Mood(22.0, 1.4, 1.6, 0.3)
_RECOVERY = _Mood(24.0, 3.0, 0.7, 0.05)
_FIRST_ANSWER = {"P1": 3.0, "P2": 5.0, "P3": 8.0}
_WORK = {"P1": 5.0, "P2": 10.0, "P3": 18.0}


class _Ticket:
    """Writes the events of one ticket; `at` is in seconds since the start of the desk."""

    def __init__(self, number: int, service: str, priority: str, title: str, requester: str, agent: str) -> None:
        self.ticket_id = f"OPS-{number}"
        self.priority = priority
        self.requester = requester
        self.agent = agent
        self.events: list[tuple[float, Json]] = []
        self._opening = {
            "service": service, "status": "new", "status_name": "New", "priority": priority, "type": "incident",
            "group": "L1", "requester": requester, "opened_by": "requester", "title": title,
        }  # fmt: skip

    def open(self, at: float) -> None:
        self._add(at, "created", self._opening)

    def answer(self, at: float) -> None:
        changes = {"status": "open", "status_name": "In Progress", "assignee": self.agent}
        self._add(at, "message", changes, {"author": "agent", "public": True})

    def park(self, at: float) -> None:
        self._add(at, "changed", {"status": "pending", "status_name": "Waiting for requester"})

    def reply(self, at: float) -> None:
        changes = {"status": "open", "status_name": "In Progress"}
        self._add(at, "message", changes, {"author": "requester", "public": True})

    def escalate(self, at: float, agent: str) -> None:
        self.priority, self.agent = _HIGHER[self.priority], agent
        self._add(at, "changed", {"priority": self.priority, "group": "L2", "assignee": agent})

    def resolve(self, at: float) -> None:
        self._add(at, "changed", {"status": "resolved", "status_name": "Resolved"})

    def reopen(self, at: float) -> None:
        self._add(at, "changed", {"status": "open", "status_name": "Reopened"})

    def close(self, at: float) -> None:
        self._add(at, "changed", {"status": "closed", "status_name": "Closed"})

    def rate(self, at: float, score: int) -> None:
        self._add(at, "rated", {})
        self.events[-1][1]["rating"] = {"score": score, "scale": 5}

    def withdraw(self, at: float) -> None:
        self._add(at, "changed", {"status": "cancelled", "status_name": "Withdrawn"})

    def _add(self, at: float, kind: str, changes: Json, message: Json | None = None) -> None:
        event: Json = {
            "event_id": f"desk:{self.ticket_id}:{len(self.events) + 1}",
            "ticket_id": self.ticket_id,
            "sequence": len(self.events) + 1,
            "source": "desk",
            "type": kind,
            "ticket": dict(changes),
        }
        if message is not None:
            event["message"] = message
        self.events.append((at, event))


def events(seed: int, start: datetime) -> Iterator[Delayed]:
    """Events without end: quiet, a storm, recovery, and again. The first 10 s have one of everything that matters."""
    random = Random(seed)  # noqa: S311 no secret
    return _timed(_opened(random, _first_number(start)), start)


def fixed_events(start: datetime) -> Iterator[Delayed]:
    """The four tickets of `demo --fast`, 10 s long; `FIXED_OUTCOMES` is what must come of them."""
    first = _first_number(start)
    good = _Ticket(first, "mail", "P1", "No mail since this morning", "bob", "ann")
    good.open(0.0)
    good.answer(1.0)
    good.resolve(3.0)
    late = _Ticket(first + 1, "web-shop", "P1", "Checkout ends with an error", "carla", "lars")
    late.open(0.2)
    late.answer(8.0)
    late.resolve(10.0)
    parked = _Ticket(first + 2, "payroll", "P2", "Payslip is missing", "deniz", "mei")
    parked.open(0.4)
    parked.answer(1.5)
    parked.park(2.0)
    parked.reply(6.0)
    parked.resolve(7.0)
    withdrawn = _Ticket(first + 3, "vpn", "P3", "Very slow since noon", "greta", "otto")
    withdrawn.open(0.6)
    withdrawn.withdraw(4.0)
    return _timed(iter([(t.events[0][0], t) for t in (good, late, parked, withdrawn)]), start)


FIXED_OUTCOMES = frozenset(
    {
        (0, "first_response", "running"), (0, "first_response", "met"),
        (0, "resolution", "running"), (0, "resolution", "met"),
        (1, "first_response", "running"), (1, "first_response", "warned"),
        (1, "first_response", "breached"), (1, "first_response", "met_late"),
        (1, "resolution", "warned"), (1, "resolution", "met"),
        (2, "first_response", "met"), (2, "resolution", "paused"), (2, "resolution", "met"),
        (3, "first_response", "cancelled"), (3, "resolution", "cancelled"),
    }
)  # fmt: skip
"""Of `fixed_events`: number of the ticket, promise, what must be said of it on `sla.verdicts` or `sla.breaches`."""


def describe(event: Json) -> str:
    """What happened at the desk, in words."""
    changes = event["ticket"]
    match event["type"]:
        case "created":
            return f"{changes['requester']} opens: {changes['title']}"
        case "message" if event["message"]["author"] == "agent":
            return f"{changes['assignee']} answers"
        case "message":
            return "the requester replies"
        case "rated":
            return f"the requester gives {event['rating']['score']} of {event['rating']['scale']}"
    if "priority" in changes:
        return f"escalated to {changes['priority']}, goes to {changes['assignee']} ({changes['group']})"
    words = {
        "pending": "parked, waits for the requester",
        "cancelled": "withdrawn by the requester",
        "open": "reopened",
    }
    return words.get(changes["status"], str(changes["status"]))


def _first_number(start: datetime) -> int:
    """Ticket numbers go on from one demo to the next on the same broker, so that none is used twice within a day."""
    return 10_000 + int(start.timestamp()) % 86_400


def _opened(random: Random, first: int) -> Iterator[tuple[float, _Ticket]]:
    """Tickets with the seconds at which they are opened, in that order."""
    good = _Ticket(first, "mail", "P1", "No mail since this morning", "bob", "ann")
    good.open(0.0)
    good.answer(2.0)
    good.resolve(7.0)
    yield 0.0, good
    forgotten = _Ticket(first + 1, "web-shop", "P1", "Checkout ends with an error", "carla", "lars")
    forgotten.open(1.0)
    forgotten.answer(9.5)
    forgotten.resolve(20.0)
    yield 1.0, forgotten
    at, number, begin = 4.0, count(first + 2), 0.0
    while True:
        for mood in (_QUIET, _STORM, _RECOVERY):
            while at < begin + mood.seconds:
                yield at, _simulated(random, next(number), round(at, 3), mood)
                at += random.uniform(0.5, 1.5) * mood.between_seconds
            begin += mood.seconds


def _simulated(random: Random, number: int, at: float, mood: _Mood) -> _Ticket:
    """One ticket with everything that will happen to it."""

    def later(seconds: float) -> float:
        return round(at + random.uniform(0.4, 1.4) * seconds * mood.slowness, 3)

    service = random.choice(sorted(_SUBJECTS))
    priority = random.choices(("P1", "P2", "P3"), (3, 4, 3))[0]
    ticket = _Ticket(
        number, service, priority, random.choice(_SUBJECTS[service]), random.choice(_REQUESTERS),
        random.choice(_AGENTS["L1"]),
    )  # fmt: skip
    ticket.open(at)
    if random.random() < 0.06:
        at = later(4.0)
        ticket.withdraw(at)
        return ticket
    at = later(_FIRST_ANSWER[priority] * (2.5 if random.random() < mood.forgotten else 1.0))
    ticket.answer(at)
    if random.random() < 0.3:
        at = round(at + random.uniform(1, 3), 3)
        ticket.park(at)
        at = round(at + random.uniform(4, 12), 3)
        ticket.reply(at)
    if priority != "P1" and random.random() < 0.25:
        at = later(4.0)
        ticket.escalate(at, random.choice(_AGENTS["L2"]))
    at = later(_WORK[ticket.priority])
    ticket.resolve(at)
    if random.random() < 0.15:
        at = round(at + random.uniform(2, 6), 3)
        ticket.reopen(at)
        at = later(5.0)
        ticket.resolve(at)
    at = round(at + 15.0, 3)
    ticket.close(at)
    if random.random() < 0.4:
        stars = (3, 4, 3, 3, 2) if mood.slowness > 1 else (1, 1, 2, 5, 8)
        ticket.rate(round(at + 2.0, 3), random.choices((1, 2, 3, 4, 5), stars)[0])
    return ticket


def _timed(opened: Iterator[tuple[float, _Ticket]], start: datetime) -> Iterator[Delayed]:
    """The events of all tickets by time, with their instants."""
    waiting: list[tuple[float, int, Json]] = []
    order = count()
    sent_at = 0.0

    def stamped(at: float, event: Json) -> Delayed:
        nonlocal sent_at
        delay, sent_at = at - sent_at, at
        return round(delay, 3), event | {"occurred_at": (start + timedelta(seconds=at)).isoformat()}

    for opened_at, ticket in opened:
        while waiting and waiting[0][0] < opened_at:
            at, _, event = heapq.heappop(waiting)
            yield stamped(at, event)
        for at, event in ticket.events:
            heapq.heappush(waiting, (at, next(order), event))
    while waiting:
        at, _, event = heapq.heappop(waiting)
        yield stamped(at, event)
