"""The state of a ticket and its log as bytes, and back: what a worker stores in its changelog.

Two kinds of values, each under a key of its own:
- the state of a ticket, key the ticket's id: `[version,progress,wake_at,policy version,...]`, in one line;
- a logged event, key `log_key(offset)`: `[version,offset,digest of the event's id,ticket's id]` and, on the next line, the
  event as it came. It is written once, however old the ticket grows.

`progress` and `offset` are of the source record up to which a value is folded in. A value of a newer version is refused: an
older worker must not guess. What a restore needs of a state stands in front (`head_of`), so that a ticket is decoded when an
event or a deadline asks for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import orjson

from slastream.core.clocks import Cycle, Declared, Labels
from slastream.core.events import Override, Rating
from slastream.core.facts import Fact
from slastream.core.holders import Held, Holder
from slastream.core.rules import Rule, Rulebook, Selection
from slastream.core.signs import NO_SIGNS, Signs
from slastream.core.targets import BusinessDays, CalendarDays, EndOfBusinessDay, NextBusinessDay, OpenTime
from slastream.core.tickets import Clock, Ticket
from slastream.core.units import Instant
from slastream.errors import SnapshotError

VERSION = 2
"""1: without the trail of a ticket, its rating and what was told of them."""
_LOG_MARK = b"\xff"
_TARGETS: tuple[type[Any], ...] = (OpenTime, BusinessDays, CalendarDays, EndOfBusinessDay, NextBusinessDay)
Correction = dict[str, str | None]
_VALUES = {kind: fields(kind)[0].name for kind in _TARGETS}
"""The one field of each kind of target."""


class Stored(NamedTuple):
    """A ticket with what is kept beside its clocks.

    `wake_at`: when time asks for it next; `policy_version`: of the policy that it was folded by; `born_at`: offset of the
    source record of its first event; `held`: facts that wait for
    late events; `withdrawn`: the last revision and the facts of each cycle that a late event made undone; `corrects`: what the
    verdict of a cycle, which waits with a held fact, will say that it corrects; `told`: by place where, and a digest of what,
    was told beside the verdicts (`slastream.stream.telling`). A state of version 1 has no trail: the log has it.
    """

    ticket: Ticket
    progress: int
    wake_at: Instant | None
    policy_version: str
    born_at: int
    held: list[tuple[Fact, Labels]]
    withdrawn: dict[tuple[str, str, int], tuple[int, list[Declared]]]
    corrects: dict[tuple[str, str, int], Correction]
    told: Mapping[tuple[str, ...], tuple[str, int]] = {}


class Head(NamedTuple):
    """What stands in front of a stored state."""

    wake_at: Instant | None
    policy_version: str


class LogHead(NamedTuple):
    """What stands in front of a logged event."""

    offset: int
    digest: int
    ticket_id: str


FRONT_BYTES = 128
"""Version, progress, wake and the digest of the policy take less."""


def progress_of(value: bytes) -> int:
    """Up to which record a stored value is folded in. Raises SnapshotError for a version that is newer than this one."""
    version, progress, _ = value[1:60].split(b",", 2)
    if int(version) > VERSION:
        raise SnapshotError(
            f"the stored state has version {int(version)}, this program reads up to {VERSION}; start the newer program again"
        )
    return int(progress)


def is_log_key(key: bytes) -> bool:
    """Keys of logged events begin with a byte that no text in UTF-8 has."""
    return key[:1] == _LOG_MARK


def log_key(offset: int) -> bytes:
    """The key of the event that came with the source record at `offset`."""
    return b"%b%d" % (_LOG_MARK, offset)


def encode_logged(head: LogHead, event: bytes) -> bytes:
    """`event` has no line feed."""
    return b"[%d,%d,%d,%b]\n%b" % (VERSION, head.offset, head.digest, orjson.dumps(head.ticket_id), event)


def log_head_of(value: bytes) -> LogHead:
    _, offset, digest, ticket_id = orjson.loads(value[: value.index(b"\n")])
    return LogHead(offset, digest, ticket_id)


def logged_event(value: bytes) -> bytes:
    return value[value.index(b"\n") + 1 :]


def head_of(value: bytes) -> Head:
    """Raises SnapshotError for a version that is newer than this one."""
    front = value[:FRONT_BYTES]  # each look at its rest would copy the state
    progress_of(front)
    _, _, wake_at, rest = front.split(b",", 3)
    version = rest[1 : rest.index(b'"', 1)].decode()
    return Head(None if wake_at == b"null" else Instant(int(wake_at)), version)


def encode_ticket(stored: Stored) -> bytes:
    ticket = stored.ticket
    clocks = [
        [
            clock.rule.agreement.name,
            clock.rule.promise.name,
            None if clock.selection is None else _selection_to_list(clock.selection),
            clock.start_held,
            clock.pause_held,
            [_cycle_to_list(cycle) for cycle in clock.cycles],
        ]
        for clock in ticket.clocks.values()
    ]
    state = [
        VERSION,
        stored.progress,
        stored.wake_at,
        stored.policy_version,
        stored.born_at,
        ticket.ticket_id,
        ticket.attributes,
        [ticket.opened_at, ticket.is_created, ticket.is_gone, ticket.last, ticket.fired_at],
        clocks,
        [[*fact, *labels] for fact, labels in stored.held],
        [[*key, revision, _declared_to_list(declared)] for key, (revision, declared) in stored.withdrawn.items()],
        [[*key, correction] for key, correction in stored.corrects.items()],
        _trail_to_list(ticket.trail),
        None if ticket.rating is None else [*ticket.rating, ticket.rated_at],
        [[list(place), *told] for place, told in stored.told.items()],
    ]
    return orjson.dumps(state)


def decode_ticket(value: bytes, book: Rulebook) -> Stored:
    """Raises SnapshotError for bytes that are none of ours."""
    progress_of(value)
    try:
        (
            _,
            progress,
            wake_at,
            version,
            born_at,
            ticket_id,
            attributes,
            (opened_at, is_created, is_gone, last, fired_at),
            clocks,
            held,
            withdrawn,
            corrects,
            *rest,
        ) = orjson.loads(value)
        ticket = Ticket(ticket_id, book)
        ticket.attributes = attributes
        ticket.opened_at, ticket.is_created, ticket.is_gone, ticket.fired_at = opened_at, is_created, is_gone, fired_at
        ticket.last = None if last is None else (last[0], last[1], last[2])
        for agreement, promise, selection, start_held, pause_held, cycles in clocks:
            rule = book.by_name.get((agreement, promise))
            if rule is None:
                continue
            chosen = None if selection is None else _selection_from_list(selection, rule, book)
            clock = Clock(rule, chosen, [], start_held, pause_held)
            clock.cycles = [_cycle_from_list(rule, one, book) for one in cycles]
            ticket.clocks[rule.index] = clock
        ticket.matched = book.matching(attributes, opened_at) if opened_at is not None else frozenset()
        ticket.set_wake()
        trail, rating, told = rest if rest else ([[], []], None, [])
        ticket.trail = _trail_from_list(trail, book)
        if rating is not None:
            *values, ticket.rated_at = rating
            ticket.rating = Rating(*values)
        waiting = [_held_from_list(one, book) for one in held if (one[0], one[1]) in book.by_name]
        for fact, _ in waiting:
            ticket.clocks[fact.rule_index].cycles[fact.cycle - 1].is_touched = True
        return Stored(
            ticket,
            progress,
            wake_at,
            version,
            born_at,
            waiting,
            {
                (agreement, promise, number): (revision, [Declared(*d) for d in declared])
                for agreement, promise, number, revision, declared in withdrawn
            },
            {(agreement, promise, number): correction for agreement, promise, number, correction in corrects},
            {tuple(place): (partition_key, digest) for place, partition_key, digest in told},
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise SnapshotError(f"the stored state of a ticket cannot be read: {error}") from error


def _cycle_to_list(cycle: Cycle) -> list[Any]:
    declared = cycle.declared
    return [
        cycle.number, cycle.started_at, _selection_to_list(cycle.selection), cycle.is_paused, cycle.since, cycle.used_us,
        cycle.paused_us, cycle.paused_real_us, cycle.switches, cycle.starts_paused,
        [cycle.carried_at, cycle.carried_used_us, cycle.carried_paused_us], cycle.stopped_at,
        cycle.breached_at, cycle.cancel_reason, cycle.is_cancelled, _plain(cycle.override), cycle.group, _plain(cycle.labels),
        None if declared is None else _declared_to_list(declared),
        cycle.next_at, [cycle.moved_at, cycle.moved_by, cycle.is_moved_late, cycle.rearmed], cycle.revision,
        cycle.published_in, cycle.fixed_due_at, *([list(cycle.signs)] if cycle.signs != NO_SIGNS else []),
    ]  # fmt: skip


def _cycle_from_list(rule: Rule, one: list[Any], book: Rulebook) -> Cycle:
    (
        number,
        started_at,
        selection,
        is_paused,
        since,
        used_us,
        paused_us,
        paused_real_us,
        switches,
        starts_paused,
        (carried_at, carried_used_us, carried_paused_us),
        stopped_at,
        breached_at,
        cancel_reason,
        is_cancelled,
        override,
        group,
        labels,
        declared,
        next_at,
        (moved_at, moved_by, is_moved_late, rearmed),
        revision,
        published_in,
        fixed_due_at,
        *signs,
    ) = one
    return Cycle(
        rule=rule, number=number, started_at=started_at, selection=_selection_from_list(selection, rule, book), is_paused=is_paused,
        since=since, used_us=used_us, paused_us=paused_us, paused_real_us=paused_real_us, switches=switches,
        starts_paused=starts_paused, carried_at=carried_at, carried_used_us=carried_used_us,
        carried_paused_us=carried_paused_us, stopped_at=stopped_at, breached_at=breached_at,
        cancel_reason=cancel_reason, is_cancelled=is_cancelled, override=None if override is None else Override(*override),
        group=group, labels=None if labels is None else Labels(*labels),
        declared=None if declared is None else [Declared(*d) for d in declared], next_at=next_at, moved_at=moved_at,
        moved_by=moved_by, is_moved_late=is_moved_late, rearmed=rearmed, revision=revision,
        published_in=published_in, fixed_due_at=fixed_due_at, signs=Signs(*signs[0]) if signs else NO_SIGNS,
        is_touched=False,
    )  # fmt: skip


def _selection_to_list(selection: Selection) -> list[Any]:
    """By value, not by its place in the policy, which may be another one when it is read."""
    kind = type(selection.within)
    return [_TARGETS.index(kind), getattr(selection.within, _VALUES[kind]), selection.calendar.name]


def _selection_from_list(one: list[Any], rule: Rule, book: Rulebook) -> Selection:
    kind, value, name = one
    calendars = book.policy.calendars
    found = Selection(_TARGETS[kind](value), calendars[name] if name in calendars else calendars["24x7"])
    return next((known for _, known in rule.selections if known == found), found)


def _declared_to_list(declared: list[Declared]) -> list[list[Any]]:
    return [[d.fact, d.threshold, d.at, d.occurrence, d.is_active] for d in declared]


def _held_from_list(one: list[Any], book: Rulebook) -> tuple[Fact, Labels]:
    fact = Fact(*one[: len(Fact._fields)])
    return fact._replace(rule_index=book.by_name[fact.agreement, fact.promise].index), Labels(*one[len(Fact._fields) :])


def _trail_to_list(trail: Sequence[Held]) -> list[Any]:
    """Its holders once each, and [since, place of the holder or null]."""
    places: dict[Holder, int] = {}
    entries = [
        [held.since, None if held.holder is None else places.setdefault(held.holder, len(places))] for held in trail
    ]
    return [[list(holder) for holder in places], entries]


def _trail_from_list(one: list[Any], book: Rulebook) -> list[Held]:
    holders = [book.holders.same(Holder(*values)) for values in one[0]]
    return [Held(since, None if place is None else holders[place]) for since, place in one[1]]


def _plain(value: tuple[Any, ...] | None) -> list[Any] | None:
    """orjson refuses named tuples."""
    return None if value is None else list(value)
