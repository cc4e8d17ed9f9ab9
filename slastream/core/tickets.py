"""A ticket: its attributes, its clocks, and what each of its events does to them (semantics 3 and 4).

Events are folded in the order `(occurred_at, sequence, event_id)`. An event that comes in order costs the same however old the
ticket is. Two things need the ticket's history: an agreement that begins to match later, and an opening instant that is told
later; `apply` then asks for it, and raises `HistoryNeededError` where there is none.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from slastream.core.clocks import Cycle, Labels
from slastream.core.events import Rating, TicketEvent
from slastream.core.facts import Fact
from slastream.core.holders import Held, put
from slastream.core.rules import ANSWERED, CLOSED, ENDED, OPENED_BY_AGENT, Rule, Rulebook, Selection, is_response
from slastream.core.targets import due as due_of
from slastream.core.units import Instant

LABELS = frozenset({"service", "customer", "provider", "team", "group", "assignee", "priority", "type"})
OWN = "~"
"""Prefix of the ticket's own value of an attribute that its service gives otherwise."""

History = Callable[[], Sequence[TicketEvent]]
Order = tuple[Instant, int, str]


class HistoryNeededError(Exception):
    """The earlier events of the ticket are needed, in order, and were not given."""


def order_of(event: TicketEvent) -> Order:
    return (event.occurred_at, event.sequence, event.event_id)


@dataclass(slots=True, eq=False)
class Clock:
    """One rule on one ticket, with its cycles; `selection` None: it is not in force."""

    rule: Rule
    selection: Selection | None
    cycles: list[Cycle] = field(default_factory=list)
    start_held: bool = False
    pause_held: bool = False

    @property
    def open_cycle(self) -> Cycle | None:
        return self.cycles[-1] if self.cycles and self.cycles[-1].stopped_at is None else None


class Ticket:
    """The state of one ticket after the events folded so far. `facts` collects what was declared, with
    the attributes of that moment; the caller takes it."""

    __slots__ = (
        "_declared",
        "_labels",
        "attributes",
        "clocks",
        "facts",
        "fired_at",
        "is_created",
        "is_gone",
        "is_shadow",
        "last",
        "matched",
        "opened_at",
        "rated_at",
        "rating",
        "rulebook",
        "ticket_id",
        "trail",
        "wake_at",
    )

    def __init__(self, ticket_id: str, rulebook: Rulebook) -> None:
        self.ticket_id = ticket_id
        self.rulebook = rulebook
        self.attributes: dict[str, Any] = {}
        self.clocks: dict[int, Clock] = {}
        self.opened_at: Instant | None = None
        self.is_created = False
        self.is_gone = False
        self.is_shadow = False
        self.matched: frozenset[int] = frozenset()
        self.last: Order | None = None
        self.wake_at: Instant | None = None
        self.facts: list[tuple[Fact, Labels]] = []
        self.trail: list[Held] = []
        """Who had it from when on, from its opening (see `holders`)."""
        self.rating: Rating | None = None
        """The last one, given at `rated_at`."""
        self.rated_at: Instant | None = None
        self.fired_at: Instant | None = None
        """The latest instant at which time declared something: an event of then or before could still have moved it."""
        self._declared: list[Fact] = []
        self._labels: Labels | None = None

    # ---- time ----------------------------------------------------------------------------------------------------

    def advance(self, time: Instant, is_end: bool = False) -> None:
        """Declares what has its instant before `time`; at the end of all events also what one of them made at `time`."""
        for clock in self.clocks.values():
            for cycle in clock.cycles[-1:]:
                cycle.advance(time, self._declared, is_end)
        for fact in self._declared:
            if self.fired_at is None or fact.at > self.fired_at:
                self.fired_at = fact.at
        self._collect()
        self.set_wake()

    def _collect(self) -> None:
        """Gives what was declared the ticket's attributes of this moment."""
        for fact in self._declared:
            cycle = self.clocks[fact.rule_index].cycles[fact.cycle - 1]
            self.facts.append((fact, self.labels_of(cycle)))
        self._declared.clear()

    def set_wake(self) -> None:
        """Finds the earliest instant at which something is to be declared."""
        wake: Instant | None = None
        for clock in self.clocks.values():
            if clock.cycles:
                at = clock.cycles[-1].next_at
                if at is not None and (wake is None or at < wake):
                    wake = at
        self.wake_at = wake

    # ---- events --------------------------------------------------------------------------------------------------

    def apply(self, event: TicketEvent, history: History | None = None) -> None:
        """Folds the next event, which must not lie before the last one."""
        at = event.occurred_at
        if self.opened_at is None:
            self._open(event, None)
            return
        if event.created_at is not None and not self.is_created:
            raise HistoryNeededError
        self.last = order_of(event)
        if self.is_gone:
            return
        if self.wake_at is not None and self.wake_at < at and not self.is_shadow:
            self.advance(at)
        was_closed = self.attributes.get("status") in CLOSED
        changed = self._merge(event)
        rebinding = not changed.isdisjoint(self.rulebook.binding_attributes)
        beginning = self._bind(changed) if rebinding else ()
        self._turn(event, changed, was_closed, rebinding, beginning)
        if beginning:
            self._begin_late(event, beginning, history)
        self._finish(changed)
        if self.is_gone or not changed.isdisjoint(self.rulebook.holders.attributes):
            self._hold(at)
        if event.rating is not None:
            self.rating, self.rated_at = event.rating, at

    def _open(self, event: TicketEvent, created_at: Instant | None) -> None:
        """The first event: what it says holds from the opening on; then it happens itself."""
        at = event.occurred_at
        created_at = event.created_at if created_at is None else created_at
        self.is_created = created_at is not None
        self.opened_at = opened_at = at if created_at is None or created_at > at else created_at
        self.last = order_of(event)
        changed = self._merge(event)
        self.attributes[OPENED_BY_AGENT] = by_agent = self.attributes.get("opened_by") == "agent"
        self.attributes[ANSWERED] = by_agent or self.attributes.get(ANSWERED, False)
        self._bind(changed)
        for clock in self.clocks.values():
            self._start_at_opening(clock, opened_at, event)
        self.set_wake()
        if self.wake_at is not None and self.wake_at < at and not self.is_shadow:
            self.advance(at)
        self._turn(event, changed, False, False, ())
        self._finish(changed)
        if opened_at < at:
            put(self.trail, opened_at, self.rulebook.holders.of(self.attributes))
        self._hold(at)
        if event.rating is not None:
            self.rating, self.rated_at = event.rating, at

    def _hold(self, at: Instant) -> None:
        """Who has it from `at` on."""
        is_over = self.is_gone or self.attributes.get("status") in ENDED
        put(self.trail, at, None if is_over else self.rulebook.holders.of(self.attributes))

    def _start_at_opening(self, clock: Clock, at: Instant, event: TicketEvent) -> None:
        rule, attributes = clock.rule, self.attributes
        starts = rule.starts_at_opening and not (
            rule.promise.metric == "first_response" and attributes[OPENED_BY_AGENT]
        )
        if rule.start is not None and rule.start.is_static:
            clock.start_held = rule.start.holds(attributes, None, ())
            starts = clock.start_held and not (rule.stop.is_static and rule.stop.holds(attributes, None, ()))
        if rule.holds_group and rule.promise.start is None:
            starts = attributes.get("group") is not None
        if rule.pause is not None and rule.pause.is_static:
            clock.pause_held = rule.pause.holds(attributes, None, ())
        if starts and clock.selection is not None:
            cycle = self._begin(clock, at, clock.pause_held, event)
            if not self.is_shadow:
                cycle.plan(at, "")

    def _begin(self, clock: Clock, at: Instant, is_paused: bool, event: TicketEvent) -> Cycle:
        if clock.selection is None:
            raise AssertionError("a clock that is not in force does not start")
        group = self.attributes.get("group") if clock.rule.holds_group else None
        cycle = Cycle.begin(clock.rule, len(clock.cycles) + 1, at, clock.selection, is_paused, group)
        clock.cycles.append(cycle)
        if is_paused:
            cycle.note_pause(self._has_reason(event))
        return cycle

    def _merge(self, event: TicketEvent) -> set[str]:
        """Takes over what the event says; returns the names of the attributes that it changed."""
        attributes = self.attributes
        changed: set[str] = set()
        for name, value in event.attributes.items():
            if name == "customer" or name == "provider":
                if attributes.get(OWN + name) != value:
                    attributes[OWN + name] = value
                    changed.add(OWN + name)
            elif name == "fields":
                for field_name in [one for one in attributes if one.startswith("fields.")]:
                    attributes[field_name] = None
                    changed.add(field_name)
            elif attributes.get(name) != value:
                attributes[name] = value
                changed.add(name)
        if changed and not changed.isdisjoint(_SERVICE_GIVES):
            service = self.rulebook.policy.services.get(attributes.get("service") or "")
            for name in ("customer", "provider", "team"):
                value = attributes.get(OWN + name)
                if value is None and service is not None:
                    value = getattr(service, name)
                if attributes.get(name) != value:
                    attributes[name] = value
                    changed.add(name)
        if attributes.get("status") in CLOSED or is_response(event):
            attributes[ANSWERED] = True
        if changed:
            self._labels = None
        return changed

    def _bind(self, changed: Collection[str]) -> list[Clock]:
        """Finds what is in force for the attributes; returns the clocks that came into force."""
        attributes, book = self.attributes, self.rulebook
        if self.is_shadow:
            return []
        if self.opened_at is None:
            raise AssertionError("bound before it was opened")
        if not self.clocks or not book.match_attributes.isdisjoint(changed):
            self.matched = book.matching(attributes, self.opened_at)
        beginning: list[Clock] = []
        for index in sorted(self.matched):
            for rule in book.rules_of[index]:
                clock = self.clocks.get(rule.index)
                selection = rule.select(attributes)
                if clock is None:
                    if selection is not None:
                        self.clocks[rule.index] = clock = Clock(rule, selection)
                        beginning.append(clock)
                else:
                    if clock.selection is None and selection is not None:
                        beginning.append(clock)
                    clock.selection = selection
        for clock in self.clocks.values():
            if clock.rule.agreement_index not in self.matched:
                clock.selection = None
        return beginning

    def _turn(
        self, event: TicketEvent, changed: set[str], was_closed: bool, rebinding: bool, beginning: Sequence[Clock]
    ) -> None:
        status = self.attributes.get("status")
        reopened = was_closed and status not in ENDED
        ended = None
        if event.type == "merged" or event.type == "deleted":
            ended, self.is_gone = event.type, True
        elif status == "cancelled" and "status" in changed:
            ended = "ticket_cancelled"
        has_message, override = event.message is not None, event.override
        has_other_priority = rebinding and "priority" in changed
        for clock in self.clocks.values():
            rule = clock.rule
            if beginning and clock in beginning:
                continue
            if (
                rebinding
                or rule.looks_at_events
                or (has_message and rule.looks_at_messages)
                or not rule.watched.isdisjoint(changed)
                or reopened
                or ended is not None
                or (override is not None and override.promise == rule.promise.name)
            ):
                self._turn_clock(clock, event, changed, reopened, ended, has_other_priority)

    def _turn_clock(
        self,
        clock: Clock,
        event: TicketEvent,
        changed: set[str],
        reopened: bool,
        ended: str | None,
        has_other_priority: bool,
    ) -> None:
        """What one event does to one clock, in the order stop, reset, cancel, pause, resume, start."""
        rule, attributes, at, cause, facts = (
            clock.rule,
            self.attributes,
            event.occurred_at,
            event.event_id,
            self._declared,
        )
        fires = False
        if rule.start is not None:
            holds = rule.start.holds(attributes, event, changed)
            fires = holds and not (rule.start.is_static and clock.start_held)
            clock.start_held = holds
        cycle, restarts = clock.open_cycle, False
        stop_holds = rule.stop.holds(attributes, event, changed)
        if cycle is not None:
            if has_other_priority and not stop_holds:
                cycle.note_priority()
            if stop_holds:
                cycle.stop(at, cause, facts)
            elif (
                rule.reset is not None
                and rule.reset.holds(attributes, event, changed)
                and not (rule.holds_group and cycle.group == attributes.get("group"))
            ):
                cycle.stop(at, cause, facts)
                restarts = True
            elif ended is not None:
                cycle.cancel(at, ended, cause, facts)
            elif rule.cancel is not None and rule.cancel.holds(attributes, event, changed):
                cycle.cancel(at, "condition", cause, facts)
            elif clock.selection is None:
                cycle.cancel(at, "no_match", cause, facts)
            else:
                restarts = self._carry_on(clock, cycle, event, changed)
        elif rule.pause is not None and rule.pause.is_static and rule.resume is not None:
            clock.pause_held = rule.pause.holds(attributes, event, changed)
        is_over = ended is not None or self.is_gone or attributes.get("status") == "cancelled"
        if clock.open_cycle is None and clock.selection is not None and not is_over:
            if restarts:
                waits = rule.resume is not None and cycle is not None and cycle.is_paused
                still_waits = waits and rule.resume is not None and not rule.resume.holds(attributes, event, changed)
                restarted = self._begin(clock, at, self._is_pausing(clock, event, changed) or still_waits, event)
                if (
                    cycle is not None
                    and cycle.cancel_reason == "restarted"
                    and cycle.override is not None
                    and cycle.breached_at is None
                ):
                    restarted.set_override(cycle.override)
                restarted.plan(at, cause, has_moved=True)
            elif not (rule.stop.is_static and stop_holds):
                self._start(clock, event, changed, fires, reopened)

    def _carry_on(self, clock: Clock, cycle: Cycle, event: TicketEvent, changed: set[str]) -> bool:
        """Another target, an override, a pause or its end. Returns whether the cycle is to be restarted."""
        rule, selection, at, cause = clock.rule, clock.selection, event.occurred_at, event.event_id
        if selection is None:
            raise AssertionError("only a clock in force carries on")
        has_moved = False
        if selection != cycle.selection:
            if rule.on_change == "restart":
                cycle.cancel(at, "restarted", cause, self._declared)
                return True
            if cycle.breached_at is None:
                cycle.retarget(selection, at, carries=rule.on_change == "carry")
                has_moved = True
            elif rule.on_change == "reassess":
                cycle.retarget(selection, at, carries=False)
                cycle.reassess(at, cause, self._declared)
        override = event.override
        if override is not None and override.promise == rule.promise.name:
            cycle.set_override(override if override.due_at is not None else None)
            has_moved = True
        was_paused = cycle.is_paused
        self._pause_or_resume(clock, cycle, event, changed)
        if has_moved or cycle.is_paused is not was_paused:
            cycle.plan(at, cause, has_moved)
        return False

    def _pause_or_resume(self, clock: Clock, cycle: Cycle, event: TicketEvent, changed: set[str]) -> None:
        rule, at = clock.rule, event.occurred_at
        if rule.pause is None:
            return
        holds = rule.pause.holds(self.attributes, event, changed)
        if rule.resume is None:
            if holds is not cycle.is_paused:
                if holds:
                    self._pause(cycle, event)
                else:
                    cycle.resume(at)
            return
        fires = holds and not (rule.pause.is_static and clock.pause_held)
        clock.pause_held = holds
        resumes = rule.resume.holds(self.attributes, event, changed)
        if cycle.is_paused:
            if resumes:
                cycle.resume(at)
        elif fires and not resumes:
            self._pause(cycle, event)

    def _pause(self, cycle: Cycle, event: TicketEvent) -> None:
        at = event.occurred_at
        cycle.note_pause(self._has_reason(event), cycle.is_near_due(at))
        cycle.pause(at)

    def _has_reason(self, event: TicketEvent) -> bool:
        """Does a pause that begins with this event say why: in a message, or in an attribute that the policy names?"""
        return event.message is not None or any(
            self.attributes.get(name) not in (None, "") for name in self.rulebook.policy.pause_reasons
        )

    def _is_pausing(self, clock: Clock, event: TicketEvent, changed: set[str]) -> bool:
        """Is a cycle that starts at this event paused from its start on?"""
        rule = clock.rule
        if rule.pause is None:
            return False
        holds = rule.pause.holds(self.attributes, event, changed)
        if rule.resume is None:
            return holds
        clock.pause_held = holds
        return holds and not rule.resume.holds(self.attributes, event, changed)

    def _start(self, clock: Clock, event: TicketEvent, changed: set[str], fires: bool, reopened: bool) -> None:
        rule, at, cause = clock.rule, event.occurred_at, event.event_id
        last = clock.cycles[-1] if clock.cycles else None
        if (
            reopened
            and rule.resumes
            and last is not None
            and last.cancel_reason is None
            and (fires or rule.start is None)
        ):
            self._reopen(clock, last, event, changed)
        elif fires and not (rule.is_once and clock.cycles):
            cycle = self._begin(clock, at, self._is_pausing(clock, event, changed), event)
            cycle.plan(at, cause)

    def _reopen(self, clock: Clock, last: Cycle, event: TicketEvent, changed: set[str]) -> None:
        rule, at, cause, selection = clock.rule, event.occurred_at, event.event_id, clock.selection
        last.note_reopening()
        if rule.on_reopen == "ignore" or selection is None or last.stopped_at is None:
            return
        is_paused = self._is_pausing(clock, event, changed)
        is_other = selection != last.selection
        window_end = due_of(last.selection.calendar, last.stopped_at, rule.promise.reopen_window)
        if rule.on_reopen == "new_cycle" or at > window_end or (is_other and rule.on_change == "restart"):
            self._begin(clock, at, is_paused, event).plan(at, cause)
            return
        last.reopen(at, is_paused, cause, self._declared)
        if is_paused:
            last.note_pause(self._has_reason(event))
        has_moved = last.override is not None
        if is_other and last.breached_at is None:
            last.retarget(selection, at, carries=rule.on_change == "carry")
            has_moved = True
        elif is_other and rule.on_change == "reassess":
            last.retarget(selection, at, carries=False)
            last.reassess(at, cause, self._declared)
        last.plan(at, cause, has_moved)

    def _begin_late(self, event: TicketEvent, beginning: Sequence[Clock], history: History | None) -> None:
        """Agreements that begin to match: from the opening with the pauses that there were, or from this event."""
        if self.is_gone or self.attributes.get("status") in ENDED:
            for clock in beginning:
                if clock.rule.start is not None:
                    clock.start_held = clock.rule.start.holds(self.attributes, event, ())
            return
        if history is None:
            raise HistoryNeededError
        events = [*history(), event]
        for clock in beginning:
            shadow = _shadow(self, clock, events)
            clock.start_held, clock.pause_held = shadow.start_held, shadow.pause_held
            found = shadow.open_cycle
            if found is None:
                continue
            if clock.rule.on_change in ("retroactive", "reassess"):
                found.number = len(clock.cycles) + 1
                clock.cycles.append(found)
            else:
                self._begin(clock, event.occurred_at, found.is_paused, event)
            clock.cycles[-1].plan(event.occurred_at, event.event_id, has_moved=True)

    def _finish(self, changed: set[str]) -> None:
        relabel = not LABELS.isdisjoint(changed)
        for clock in self.clocks.values():
            if clock.cycles:
                cycle = clock.cycles[-1]
                if cycle.stopped_at is None:
                    if relabel:
                        cycle.is_touched = True
                elif cycle.labels is None:
                    cycle.labels = self.labels_of(cycle)
                for earlier in clock.cycles[-2:-1]:
                    if earlier.labels is None:
                        earlier.labels = self.labels_of(earlier)
        if self._declared:
            self._collect()
        self.set_wake()

    def labels_of(self, cycle: Cycle) -> Labels:
        """What a verdict shows of the ticket: its attributes at the end of the cycle, or now."""
        if cycle.labels is not None:
            return cycle.labels
        labels = self._labels
        if labels is None:
            labels = self._labels = Labels(*map(self.attributes.get, Labels._fields))
        return labels._replace(group=cycle.group) if cycle.rule.holds_group else labels

    def cycles(self) -> Iterable[Cycle]:
        for index in sorted(self.clocks):
            yield from self.clocks[index].cycles


_SERVICE_GIVES = frozenset({"service", OWN + "customer", OWN + "provider"})


def fold(ticket_id: str, rulebook: Rulebook, events: Sequence[TicketEvent]) -> Ticket:
    """The ticket after these events, which are in order and without repetitions."""
    ticket = Ticket(ticket_id, rulebook)
    created_at = next((e.created_at for e in events if e.created_at is not None), None)
    for index, event in enumerate(events):
        if index == 0:
            ticket._open(event, created_at)
        else:
            ticket.apply(event, partial(_before, events, index))
    return ticket


def _before(events: Sequence[TicketEvent], index: int) -> Sequence[TicketEvent]:
    return events[:index]


def _shadow(ticket: Ticket, clock: Clock, events: Sequence[TicketEvent]) -> Clock:
    """The clock as it would be had the rule been in force, with its present target, from the opening on."""
    shadow = Ticket(ticket.ticket_id, ticket.rulebook)
    shadow.is_shadow = True
    alone = Clock(clock.rule, clock.selection)
    shadow.clocks[clock.rule.index] = alone
    for index, event in enumerate(events):
        if index == 0:
            shadow._open(event, ticket.opened_at)
        else:
            shadow.apply(event)
    found = alone.open_cycle
    if found is not None and found.breached_at is not None:
        found.breached_at = found.fixed_due_at = None
    if found is not None:
        found.declared = found.marks = found.next_at = found.rearmed = None
    return alone
