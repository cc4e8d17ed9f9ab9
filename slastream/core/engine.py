"""The engine over a whole log without a broker: `replay` is `Ticket.apply` in a loop.

Events that come in order are folded in place and forgotten, so that a log larger than memory can be read as a stream. A ticket
whose events come out of order, or that needs its history, is put aside in `unordered`; the caller reads the log once more
and gives the events of those to `refold`.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from slastream.core.clocks import Cycle, Labels
from slastream.core.compliance import Contribution, Line, Tally
from slastream.core.control import Point
from slastream.core.events import TicketEvent
from slastream.core.facts import Fact, identity
from slastream.core.histories import Canonical, in_order
from slastream.core.periods import Periods
from slastream.core.policies import Policy
from slastream.core.prediction import OpenClock, remaining_of
from slastream.core.rules import Rule, Rulebook
from slastream.core.tickets import HistoryNeededError, Ticket, fold, order_of
from slastream.core.units import Duration, Instant


class Promised(NamedTuple):
    """A fact with the attributes of its ticket at that moment."""

    ticket_id: str
    fact: Fact
    labels: Labels


class TicketReplay:
    """All tickets of a log, up to `until` (None: the newest event's instant)."""

    def __init__(self, policy: Policy, until: Instant | None, canonical: Canonical, keeps_facts: bool = True) -> None:
        self.book = Rulebook(policy)
        self.tickets: dict[str, Ticket] = {}
        self.unordered: set[str] = set()
        self.newest: Instant | None = None
        self.facts: list[Promised] = []
        self._until = until
        self._canonical = canonical
        self._keeps_facts = keeps_facts
        self._ids: dict[str, set[int]] = {}

    @property
    def end(self) -> Instant | None:
        return self._until if self._until is not None else self.newest

    def see(self, at: Instant) -> None:
        """Notes that an event of this instant was there, of whatever kind."""
        if self.newest is None or at > self.newest:
            self.newest = at

    def feed(self, event: TicketEvent) -> None:
        """Folds an event that counts already (not after `until`)."""
        ticket_id = event.ticket_id
        if ticket_id in self.unordered:
            return
        ticket = self.tickets.get(ticket_id)
        if ticket is None:
            ticket = self.tickets[ticket_id] = Ticket(ticket_id, self.book)
            self._ids[ticket_id] = {hash(event.event_id)}
        else:
            order, ids = order_of(event), self._ids[ticket_id]
            known = len(ids)
            ids.add(hash(event.event_id))
            if ticket.last is None or order <= ticket.last or len(ids) == known:
                self._put_aside(ticket_id)
                return
        try:
            ticket.apply(event)
        except HistoryNeededError:
            self._put_aside(ticket_id)
            return

    def _put_aside(self, ticket_id: str) -> None:
        self.unordered.add(ticket_id)
        del self.tickets[ticket_id], self._ids[ticket_id]

    def refold(self, ticket_id: str, events: Iterable[TicketEvent]) -> None:
        """Folds a ticket again from all of its events, in any order and with repetitions."""
        self.tickets[ticket_id] = fold(ticket_id, self.book, in_order(events, self._canonical))

    def close(self) -> None:
        """Lets time reach the end: declares what has no event behind it."""
        self._ids.clear()
        end = self.end
        for ticket in self.tickets.values():
            if end is not None and ticket.wake_at is not None and ticket.wake_at <= end:
                ticket.advance(end, is_end=True)
            if self._keeps_facts:
                self.facts.extend(Promised(ticket.ticket_id, fact, labels) for fact, labels in ticket.facts)
            ticket.facts = []

    def cycles(self) -> Iterator[tuple[Ticket, Cycle]]:
        """Every cycle of every clock, by identity."""
        for ticket_id in sorted(self.tickets):
            ticket = self.tickets[ticket_id]
            ordered = sorted(
                ticket.clocks.values(), key=lambda clock: (clock.rule.agreement.name, clock.rule.promise.name)
            )
            for clock in ordered:
                for cycle in clock.cycles:
                    yield ticket, cycle

    def by_promise(self) -> list[tuple[str | None, Rule, list[tuple[Ticket, Cycle]]]]:
        """The cycles of each service and promise, by identity."""
        found: dict[tuple[str, str, str], tuple[Rule, list[tuple[Ticket, Cycle]]]] = {}
        for ticket, cycle in self.cycles():
            rule = cycle.rule
            key = ticket.labels_of(cycle).service or "", rule.agreement.name, rule.promise.name
            found.setdefault(key, (rule, []))[1].append((ticket, cycle))
        return [(key[0] or None, rule, cycles) for key, (rule, cycles) in sorted(found.items())]

    def compliance(self) -> Iterator[tuple[str | None, str, str, Line]]:
        """(service, agreement, promise, period) by identity, as of the end."""
        tallies: dict[tuple[str, int], Tally] = {}
        periods: dict[int, Periods] = {}
        end = self.end
        if end is None:
            return
        for ticket, cycle in self.cycles():
            service = ticket.labels_of(cycle).service
            key = (service if service is not None else "", cycle.rule.index)
            tally = tallies.get(key)
            if tally is None:
                agreement = cycle.rule.agreement
                known = periods.setdefault(
                    cycle.rule.agreement_index, Periods(agreement.objective.period, agreement.calendar)
                )
                tally = tallies[key] = Tally(agreement, known, end)
            tally.put(f"{ticket.ticket_id}\0{cycle.number}", contribution_of(cycle, ticket.labels_of(cycle)))
        rules = self.book.rules
        for service, index in sorted(tallies, key=lambda key: (key[0], *_names(self.book, key[1]))):
            for line in tallies[service, index].lines():
                yield service or None, rules[index].agreement.name, rules[index].promise.name, line


def _names(book: Rulebook, index: int) -> tuple[str, str]:
    return book.rules[index].agreement.name, book.rules[index].promise.name


def points_of(cycles: Iterable[tuple[Ticket, Cycle]]) -> Iterator[Point]:
    """Those that stopped, as points of a control chart."""
    for ticket, cycle in cycles:
        stopped_at = cycle.stopped_at
        if stopped_at is not None and not cycle.is_cancelled:
            rule, reading = cycle.rule, cycle.read(stopped_at)
            clock = identity(ticket.ticket_id, rule.agreement.name, rule.promise.name, cycle.number)
            yield Point(
                stopped_at, clock, Duration(reading.elapsed_us), _duration(reading.target_us), reading.status == "met",
                ticket.labels_of(cycle).priority,
            )  # fmt: skip


def open_clock_of(ticket: Ticket, cycle: Cycle, at: Instant) -> OpenClock:
    """An open cycle that is not late, as prediction looks at it."""
    reading, priority = cycle.read(at), ticket.labels_of(cycle).priority
    elapsed = Duration(reading.elapsed_us)
    if cycle.is_paused:
        return OpenClock(priority, elapsed, None)
    target = None if cycle.override is not None else _duration(reading.target_us)
    return OpenClock(priority, elapsed, remaining_of(cycle.selection.calendar, at, elapsed, target, reading.due_at))


def _duration(us: int | None) -> Duration | None:
    return None if us is None else Duration(us)


def contribution_of(cycle: Cycle, labels: Labels) -> Contribution:
    return Contribution(cycle.status(), cycle.started_at, cycle.due_at, cycle.stopped_at, labels.priority, cycle.signs)
