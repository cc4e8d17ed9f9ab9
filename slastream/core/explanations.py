"""The story of a ticket: every stretch of time of every clock, whether it counted, and the rule that says so.

The ticket is folded once more, event by event, and each cycle is looked at after each event. What is told is therefore
what the engine did: the counted stretches of a cycle add up to its elapsed time, the paused ones to its paused time,
exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from slastream.core.calendars import Calendar, CalendarVersion
from slastream.core.clocks import Cycle, Reading
from slastream.core.events import Override, TicketEvent
from slastream.core.facts import BREACHED, MET_LATE, RETRACTED, Fact
from slastream.core.rules import Rule, Rulebook, Selection
from slastream.core.tickets import Clock, Ticket
from slastream.core.units import Duration, Instant, format_instant
from slastream.core.wording import (
    condition_text,
    due_text,
    event_text,
    target_name,
    target_text,
    value_text,
    wall_clock,
    zone_of,
)

StretchReason = Literal["running", "closed_hours", "holiday", "exception", "paused", "stopped"]
PointReason = Literal[
    "started", "target", "override", "warned", "breached", "met_late", "retracted", "stopped", "reopened", "cancelled"
]


class Stretch(NamedTuple):
    """`[start, end)` of one cycle, all of it for one reason.

    `open_us` is what it adds to the elapsed time where it `counts`, to the paused time where its reason is `paused` or
    `stopped` (closed before a reopening), and 0 where the calendar is closed. `total_us` is the elapsed time at its
    end.
    """

    start: Instant
    end: Instant
    reason: StretchReason
    rule: str
    caused_by: str | None
    open_us: Duration
    total_us: Duration

    @property
    def counts(self) -> bool:
        return self.reason == "running"

    @property
    def is_paused(self) -> bool:
        return self.reason == "paused" or self.reason == "stopped"


class Point(NamedTuple):
    """Something that happened to a cycle at an instant; `caused_by` is an event's id, or `deadline`."""

    at: Instant
    reason: PointReason
    rule: str
    caused_by: str | None
    total_us: Duration = Duration(0)


@dataclass(frozen=True, slots=True)
class Story:
    """One cycle of a clock; `parts` in the order of time. The reading is the one of the verdict."""

    rule: Rule
    cycle: int
    started_at: Instant
    stopped_at: Instant | None
    reading: Reading
    calendar: Calendar
    parts: tuple[Stretch | Point, ...]

    @property
    def stretches(self) -> list[Stretch]:
        return [part for part in self.parts if isinstance(part, Stretch)]

    @property
    def points(self) -> list[Point]:
        return [part for part in self.parts if isinstance(part, Point)]


class Absence(NamedTuple):
    """A promise that has no clock on this ticket, and why."""

    rule: Rule
    why: str


def explain(
    ticket_id: str, book: Rulebook, events: Sequence[TicketEvent], end: Instant, promise: str | None = None
) -> tuple[list[Story], list[Absence]]:
    """Tells every cycle of a ticket up to `end`, which lies not before its last event.

    `events` are those of the ticket, in order, each once (`histories.in_order`). `promise` tells only the promises of
    that name.
    """
    ticket = Ticket(ticket_id, book)
    created_at = next((e.created_at for e in events if e.created_at is not None), None)
    watches: dict[tuple[int, int], _Watch] = {}
    seen: list[_Seen] = []
    for index, event in enumerate(events):
        first = event._replace(created_at=created_at) if index == 0 else event
        ticket.apply(first, lambda index=index: events[:index])  # type: ignore[misc]
        seen.append(_Seen(event, dict(ticket.attributes)))
        _observe(ticket, event, watches, seen)
    if ticket.wake_at is not None and ticket.wake_at <= end:
        ticket.advance(end, is_end=True)
    _tell_facts(ticket, watches)
    stories: list[Story] = []
    absences: list[Absence] = []
    for rule in sorted(book.rules, key=lambda rule: (rule.agreement.name, rule.promise.name)):
        if promise is not None and rule.promise.name != promise:
            continue
        clock = ticket.clocks.get(rule.index)
        if clock is None or not clock.cycles:
            absences.append(Absence(rule, _why_absent(ticket, rule, clock)))
        else:
            stories.extend(_story(watches[rule.index, cycle.number], end, seen) for cycle in clock.cycles)
    return stories, absences


def _why_absent(ticket: Ticket, rule: Rule, clock: Clock | None) -> str:
    if rule.agreement_index in ticket.matched:
        if rule.select(ticket.attributes) is None:
            return "no target for the ticket's attributes"
        return "it has not started" if clock is not None else "the agreement matched a ticket that was closed already"
    begins = rule.agreement.effective_from
    if begins is not None and ticket.opened_at is not None and ticket.opened_at < begins:
        return f"the ticket was opened before {format_instant(begins)}"
    return "the agreement does not match the ticket, or another of its kind comes first"


# ---- looking at the cycles ------------------------------------------------------------------------------------------


class _Seen(NamedTuple):
    """An event, and the ticket's attributes after it."""

    event: TicketEvent
    attributes: dict[str, Any]


class _Segment(NamedTuple):
    """Running or paused, measured by this calendar."""

    start: Instant
    end: Instant
    is_paused: bool
    calendar: Calendar


@dataclass(slots=True)
class _Watch:
    """A cycle as it was when last looked at."""

    cycle: Cycle
    selection: Selection
    override: Override | None = None
    stopped_at: Instant | None = None
    switches: list[int] = field(default_factory=list)
    starts_paused: bool = False
    carried_at: Instant | None = None
    frozen: list[_Segment] = field(default_factory=list)
    gaps: list[tuple[Instant, Instant, str]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def add(self, at: Instant, reason: PointReason, rule: str, caused_by: str | None) -> None:
        self.points.append(Point(at, reason, rule, caused_by))

    def segments(self, end: Instant) -> list[_Segment]:
        """Those since the last `carry`, measured by the present calendar."""
        first = self.switches[0] if self.carried_at is None else self.carried_at
        bounds = [Instant(at) for at in self.switches] + [end]
        return [
            _Segment(Instant(max(low, first)), high, (index % 2 == 0) is self.starts_paused, self.selection.calendar)
            for index, (low, high) in enumerate(pairwise(bounds))
            if max(low, first) < high
        ]


def _observe(ticket: Ticket, event: TicketEvent, watches: dict[tuple[int, int], _Watch], seen: list[_Seen]) -> None:
    """Notes what the event did to each cycle, after what time alone has done."""
    before = set(watches)
    for clock in ticket.clocks.values():
        for cycle in clock.cycles:
            key = (clock.rule.index, cycle.number)
            if key not in watches:
                watches[key] = _Watch(cycle, cycle.selection, switches=list(cycle.switches))
    _tell_facts(ticket, watches, before=event.occurred_at)
    for key, watch in watches.items():
        clock = ticket.clocks[key[0]]
        if key in before:
            _note_changes(watch, event)
        else:
            _note_beginning(watch, ticket, clock, event, seen)
        cycle = watch.cycle
        if event.override is not None and event.override.promise == cycle.rule.promise.name:
            _note_override(watch, event.override, event)
        if cycle.stopped_at is not None and watch.stopped_at is None:
            _note_end(watch, cycle.stopped_at, event)
        watch.override, watch.stopped_at = cycle.override, cycle.stopped_at
        watch.switches, watch.starts_paused = list(cycle.switches), cycle.starts_paused
        watch.carried_at = cycle.carried_at
    _tell_facts(ticket, watches)


def _tell_facts(ticket: Ticket, watches: dict[tuple[int, int], _Watch], before: Instant | None = None) -> None:
    """Takes the facts from the ticket; with `before` only those that came before what the event of this instant did."""
    kept = []
    for fact, labels in ticket.facts:
        if before is None or fact.at < before or fact.fact == BREACHED:
            watch = watches[fact.rule_index, fact.cycle]
            word: PointReason = fact.fact  # type: ignore[assignment]
            watch.add(fact.at, word, _fact_text(fact), fact.caused_by)
        else:
            kept.append((fact, labels))
    ticket.facts = kept


def _fact_text(fact: Fact) -> str:
    if fact.fact == RETRACTED:
        mark = f" at {fact.threshold}" if fact.threshold is not None else ""
        return f"{(fact.retracted or '').replace('_', ' ')}{mark} no longer holds"
    if fact.fact == BREACHED:
        return "the promise was not kept"
    if fact.fact == MET_LATE:
        return "done after the breach"
    return f"the mark {fact.threshold} was reached"


def _note_beginning(watch: _Watch, ticket: Ticket, clock: Clock, event: TicketEvent, seen: list[_Seen]) -> None:
    cycle = watch.cycle
    why = _why_started(ticket, clock, cycle, event, is_first=len(seen) == 1)
    watch.add(cycle.started_at, "started", why, event.event_id)
    target = target_text(cycle.rule, cycle.selection, seen[-1].attributes)
    watch.add(cycle.started_at, "target", target + due_text(cycle), event.event_id)


def _why_started(ticket: Ticket, clock: Clock, cycle: Cycle, event: TicketEvent, is_first: bool) -> str:
    rule = clock.rule
    earlier = clock.cycles[cycle.number - 2] if cycle.number > 1 else None
    is_at_opening = is_first and cycle.started_at == ticket.opened_at
    if is_at_opening and (rule.starts_at_opening or cycle.started_at < event.occurred_at):
        return "the ticket was opened"
    if earlier is not None and earlier.stopped_at == cycle.started_at == event.occurred_at:
        if earlier.cancel_reason == "restarted":
            return "started again: another target (on_change: restart)"
        if earlier.cancel_reason is None and rule.reset is not None:
            return f"reset: {condition_text(rule, 'reset')}"
    if cycle.started_at < event.occurred_at:
        return "the agreement began to match: counted from the opening"
    if earlier is not None and earlier.cancel_reason is None and rule.resumes:
        if rule.on_reopen == "new_cycle":
            return "reopened (on_reopen: new_cycle)"
        return f"started anew after cycle {earlier.number}: the reopen_window was over, or the target another"
    if rule.start is None:
        return "the agreement matches from here on"
    return f"start: {condition_text(rule, 'start')}"


def _note_changes(watch: _Watch, event: TicketEvent) -> None:
    cycle, at, rule = watch.cycle, event.occurred_at, watch.cycle.rule
    if watch.stopped_at is not None and cycle.stopped_at is None:
        watch.gaps.append((watch.stopped_at, at, event.event_id))
        watch.add(at, "reopened", f"{event_text(event)}; the time since the stop is a pause", event.event_id)
    if cycle.carried_at is None:
        watch.frozen.clear()
    elif cycle.carried_at != watch.carried_at:
        until = at if watch.stopped_at is None else watch.stopped_at
        watch.frozen += watch.segments(until)
        if until < at:
            watch.frozen.append(_Segment(until, at, True, watch.selection.calendar))
    if cycle.selection != watch.selection:
        how = "from the original start" if cycle.carried_at is None else "the time used stays"
        watch.selection = cycle.selection
        text = f"{target_name(cycle.selection)} ({event_text(event)}; on_change: {rule.on_change}, {how})"
        watch.add(at, "target", f"now {text}{due_text(cycle)}", event.event_id)


def _note_override(watch: _Watch, override: Override, event: TicketEvent) -> None:
    cycle = watch.cycle
    if watch.stopped_at is not None:
        return
    text = "taken back" if override.due_at is None else f"due {wall_clock(zone_of(cycle), override.due_at)}"
    text += f", by {override.by or 'nobody named'}: {override.reason or 'no reason given'}"
    if cycle.override != (None if override.due_at is None else override):
        text += "; no effect"
    watch.add(event.occurred_at, "override", text, event.event_id)


def _note_end(watch: _Watch, at: Instant, event: TicketEvent) -> None:
    cycle, rule = watch.cycle, watch.cycle.rule
    if cycle.cancel_reason is not None:
        rest = "; it stays breached" if not cycle.is_cancelled else ""
        said = event_text(event)
        text = cycle.cancel_reason if said == cycle.cancel_reason else f"{cycle.cancel_reason}: {said}"
        watch.add(at, "cancelled", text + rest, event.event_id)
    else:
        text = f"{cycle.status()}: {event_text(event)} ({condition_text(rule, 'stop')})"
        watch.add(at, "stopped", text, event.event_id)


# ---- telling ---------------------------------------------------------------------------------------------------------


def _story(watch: _Watch, end: Instant, seen: list[_Seen]) -> Story:
    cycle = watch.cycle
    until = end if cycle.stopped_at is None else cycle.stopped_at
    points = sorted(watch.points, key=lambda point: point.at)
    pieces = [piece for segment in watch.frozen + watch.segments(until) for piece in _pieces(segment, watch, seen)]
    parts: list[Stretch | Point] = []
    total = 0
    for stretch in _cut(pieces, [point.at for point in points]):
        while points and points[0].at <= stretch.start:
            parts.append(points.pop(0)._replace(total_us=Duration(total)))
        total += stretch.open_us if stretch.counts else 0
        parts.append(stretch._replace(total_us=Duration(total)))
    parts.extend(point._replace(total_us=Duration(total)) for point in points)
    calendar = cycle.selection.calendar
    return Story(cycle.rule, cycle.number, cycle.started_at, cycle.stopped_at, cycle.read(end), calendar, tuple(parts))


class _Piece(NamedTuple):
    start: Instant
    end: Instant
    reason: StretchReason
    rule: str
    caused_by: str | None
    calendar: Calendar


def _cut(pieces: list[_Piece], at: list[Instant]) -> Iterator[Stretch]:
    """The pieces as stretches, cut where something happened."""
    for piece in pieces:
        bounds = [piece.start, *sorted({one for one in at if piece.start < one < piece.end}), piece.end]
        for low, high in pairwise(bounds):
            open_us = piece.calendar.open_between(low, high)
            yield Stretch(low, high, piece.reason, piece.rule, piece.caused_by, open_us, Duration(0))


def _pieces(segment: _Segment, watch: _Watch, seen: list[_Seen]) -> Iterator[_Piece]:
    return _paused_pieces(segment, watch, seen) if segment.is_paused else _running_pieces(segment)


def _running_pieces(segment: _Segment) -> Iterator[_Piece]:
    calendar, at = segment.calendar, segment.start
    for low, high in calendar.intervals(segment.start, segment.end):
        yield from _closed_pieces(calendar, at, low)
        yield _Piece(low, high, "running", f"{calendar.name}: open", None, calendar)
        at = high
    yield from _closed_pieces(calendar, at, segment.end)


def _closed_pieces(calendar: Calendar, start: Instant, end: Instant) -> Iterator[_Piece]:
    """A time outside the hours, cut at the midnights where the reason changes."""
    at = start
    while at < end:
        day = calendar.local(at)[0]
        why = why_closed(calendar, day)
        while True:
            day += timedelta(days=1)
            midnight = calendar.to_instant(day, 0)
            if midnight >= end or why_closed(calendar, day) != why:
                break
        high = min(midnight, end)
        reason, text = why
        yield _Piece(at, high, reason, f"{calendar.name}: {text}", None, calendar)
        at = high


def why_closed(calendar: Calendar, day: date) -> tuple[StretchReason, str]:
    """Why the calendar is closed at some time of this local date."""
    version = _version(calendar, day)
    if day in version.exceptions:
        return "exception", f"exception of {day}"
    usual = version.hours[day.weekday()]
    if usual and not version.periods(day):
        return "holiday", f"holiday of {day}"
    return "closed_hours", "outside the hours"


def _version(calendar: Calendar, day: date) -> CalendarVersion:
    first, *later = calendar.versions
    return [first, *(v for v in later if v.effective_from is not None and v.effective_from <= day)][-1]


def _paused_pieces(segment: _Segment, watch: _Watch, seen: list[_Seen]) -> Iterator[_Piece]:
    """A pause, cut where another value holds it and where the ticket was closed."""
    calendar, rule = segment.calendar, watch.cycle.rule
    gaps = [gap for gap in watch.gaps if gap[0] < segment.end and segment.start < gap[1]]
    edges = {segment.start, segment.end}
    edges.update(at for gap in gaps for at in gap[:2] if segment.start < at < segment.end)
    edges.update(s.event.occurred_at for s in seen if segment.start < s.event.occurred_at < segment.end)
    found: list[_Piece] = []
    for low, high in pairwise(sorted(edges)):
        gap = next((gap for gap in gaps if gap[0] <= low and high <= gap[1]), None)
        if gap is not None:
            piece = _Piece(low, high, "stopped", f"stopped, until event {gap[2]} reopened it", gap[2], calendar)
        else:
            is_same = rule.resume is not None and bool(found) and found[-1].reason == "paused"
            text, caused_by = (found[-1].rule, found[-1].caused_by) if is_same else _why_paused(rule, seen, low)
            piece = _Piece(low, high, "paused", text, caused_by, calendar)
        if found and (found[-1].reason, found[-1].rule) == (piece.reason, piece.rule):
            found[-1] = found[-1]._replace(end=high)
        else:
            found.append(piece)
    yield from found


def _why_paused(rule: Rule, seen: list[_Seen], at: Instant) -> tuple[str, str]:
    """The values that hold the pause at an instant, and the event that gave them."""
    known = [s for s in seen if s.event.occurred_at <= at] or seen[:1]
    names = sorted(rule.pause.attributes) if rule.pause is not None else []
    values = [_values(one.attributes, names) for one in known]
    first = len(known) - 1
    while first > 0 and values[first - 1] == values[-1] and known[first].event.occurred_at != at:
        first -= 1
    while first > 0 and values[first - 1] == values[-1] and known[first - 1].event.occurred_at == at:
        first -= 1
    condition = condition_text(rule, "pause")
    text = values[-1] or condition
    return f"pause: {text}" + ("" if text == condition else f" ({condition})"), known[first].event.event_id


def _values(attributes: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} is {value_text(attributes.get(name))}" for name in names)
