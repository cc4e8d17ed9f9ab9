"""Chains of agreements: what stands under a promise, whether it still fits, and who used the time (semantics 6.5).

An `ola` or `uc` names the agreements that stand on it (`supports`). Its promise stands under the promise of the same metric
there; where there is none, work on a ticket (ownership, agent_work, ...) stands under `resolution`.

A supporting clock *fits* while it is due no later than the clock above it: then keeping the one is no reason to break the
other. It is judged for the present arrangement of the two, which began when either of them last started, paused, resumed or got
another target; one that stands still counts as if resumed then. While only the supporting clock stands still, its due
instant moves on, and the instant from which it no longer fits is solved for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from slastream.core.clocks import Cycle, Labels
from slastream.core.holders import Held, Holder
from slastream.core.ledger import pieces
from slastream.core.policies import Agreement, ClockPromise, Kind
from slastream.core.rules import Rule, Rulebook
from slastream.core.tickets import Ticket
from slastream.core.units import Duration, Instant

WORK = frozenset({"assignment", "ownership", "agent_work", "requester_wait", "closure", "custom"})
"""Metrics that stand under a resolution where the agreement above has no promise of their own metric."""


class Support(NamedTuple):
    """One cycle of a supporting clock. `used_us` is open time of its own calendar, up to now and up to the breach above.

    `misfits_at` is the instant from which on it does not fit, which may lie ahead; None: it fits, or one of the two is over.
    """

    agreement: str
    kind: Kind
    promise: str
    cycle: int
    status: str
    started_at: Instant
    due_at: Instant | None
    target_us: Duration | None
    used_us: Duration
    used_before_breach_us: Duration | None
    misfits_at: Instant | None


class Chain(NamedTuple):
    """One cycle of a promise with what stands under it.

    `consumed` says who had the ticket while the clock ran, up to its breach or else up to now, the most first; None is a
    time in which it was closed. With `carried_us`, measured before the clock was carried over to another target, it adds
    up to `elapsed_us`.
    """

    ticket_id: str
    agreement: str
    kind: Kind
    promise: str
    cycle: int
    status: str
    due_at: Instant | None
    breached_at: Instant | None
    target_us: Duration | None
    elapsed_us: Duration
    consumed: tuple[tuple[Holder | None, Duration], ...]
    carried_us: Duration
    supports: tuple[Support, ...]
    labels: Labels

    def misfits(self, at: Instant) -> list[Support]:
        """Those that do not fit at `at`."""
        return [one for one in self.supports if one.misfits_at is not None and one.misfits_at <= at]


class Chains:
    """The chains of a policy: which promises stand under which."""

    def __init__(self, book: Rulebook) -> None:
        self._under: dict[int, tuple[Rule, ...]] = {}
        for rule in book.rules:
            found = tuple(
                other
                for other in book.rules
                if rule.agreement.name in other.agreement.supports
                and stands_under(other.promise, rule.promise, rule.agreement)
            )
            if found:
                self._under[rule.index] = found

    def __bool__(self) -> bool:
        return bool(self._under)

    def of(self, ticket: Ticket, at: Instant) -> Iterator[Chain]:
        """The cycles of a ticket that something stands under, and every breached one of an sla, as known at `at`."""
        for index in sorted(ticket.clocks):
            clock = ticket.clocks[index]
            under = self._under.get(index, ())
            for cycle in clock.cycles:
                if under or (clock.rule.agreement.kind == "sla" and cycle.breached_at is not None):
                    yield chain_of(ticket, cycle, _cycles(ticket, under), at)


def stands_under(lower: ClockPromise, upper: ClockPromise, agreement: Agreement) -> bool:
    """Does a promise of a supporting agreement stand under this one of the agreement above?"""
    if any(one.metric == lower.metric for one in agreement.clock_promises):
        return lower.metric == upper.metric
    return lower.metric in WORK and upper.metric == "resolution"


def chain_of(ticket: Ticket, cycle: Cycle, under: Iterable[Cycle], at: Instant) -> Chain:
    rule, end = cycle.rule, _end_of(cycle, at)
    consumed, carried = consumed_by(cycle, ticket.trail, end)
    return Chain(
        ticket.ticket_id, rule.agreement.name, rule.agreement.kind, rule.promise.name, cycle.number, cycle.status(),
        cycle.due_at, cycle.breached_at, cycle.selection.open_time_us,
        used_until(cycle, end), consumed, carried, tuple(_support(cycle, one, at) for one in under), ticket.labels_of(cycle),
    )  # fmt: skip


def _cycles(ticket: Ticket, rules: Iterable[Rule]) -> list[Cycle]:
    return [cycle for rule in rules if rule.index in ticket.clocks for cycle in ticket.clocks[rule.index].cycles]


def _end_of(cycle: Cycle, at: Instant) -> Instant:
    """Up to when the time of a clock is looked at: its breach, its stop, or now."""
    return min(one for one in (cycle.breached_at, cycle.stopped_at, at) if one is not None)


def _support(above: Cycle, cycle: Cycle, at: Instant) -> Support:
    rule = cycle.rule
    return Support(
        rule.agreement.name, rule.agreement.kind, rule.promise.name, cycle.number, cycle.status(), cycle.started_at,
        cycle.due_at, cycle.selection.open_time_us,
        used_until(cycle, at),
        None if above.breached_at is None else used_until(cycle, above.breached_at),
        misfits_at(above, cycle),
    )  # fmt: skip


def used_until(cycle: Cycle, at: Instant) -> Duration:
    """The elapsed time of a clock at an instant that may lie before its last event."""
    calendar, used = cycle.selection.calendar, cycle.carried_used_us if _is_carried(cycle, at) else 0
    for start, end in cycle.running_stretches(at):
        if start < at:
            used += calendar.open_between(start, min(end, at))
    return Duration(used)


def consumed_by(
    cycle: Cycle, trail: Iterable[Held], at: Instant
) -> tuple[tuple[tuple[Holder | None, Duration], ...], Duration]:
    """Who had the ticket while the clock ran up to `at`, and what was measured before it was carried over."""
    calendar, held = cycle.selection.calendar, list(trail)
    spent: Counter[Holder | None] = Counter()
    for start, end in cycle.running_stretches(at):
        for piece in pieces(held, start, min(end, at)):
            spent[piece.holder] += calendar.open_between(piece.start, piece.end)
    found = [(holder, Duration(us)) for holder, us in spent.items() if us]
    found.sort(key=lambda one: (-one[1], tuple(value or "" for value in one[0] or ())))
    return tuple(found), Duration(cycle.carried_used_us if _is_carried(cycle, at) else 0)


def _is_carried(cycle: Cycle, at: Instant) -> bool:
    return cycle.carried_at is not None and cycle.carried_at <= at


# ---- does it fit? ----------------------------------------------------------------------------------------------------


def misfits_at(above: Cycle, cycle: Cycle) -> Instant | None:
    """From when on a supporting clock is due later than the one above; None: not as things stand."""
    if not (_is_pending(above) and _is_pending(cycle)):
        return None
    since = max(_arranged_at(above), _arranged_at(cycle))
    limit, due_at = above.due_or_resumed(since), cycle.due_or_resumed(since)
    if limit is None or due_at is None:
        return None
    if due_at > limit:
        return since
    if not cycle.is_paused or above.is_paused or cycle.override is not None:
        return None
    return _first_beyond(cycle, since, limit)


def _is_pending(cycle: Cycle) -> bool:
    return cycle.stopped_at is None and cycle.breached_at is None


def _arranged_at(cycle: Cycle) -> Instant:
    return cycle.since if cycle.moved_at is None else max(cycle.since, cycle.moved_at)


def _first_beyond(cycle: Cycle, low: Instant, limit: Instant) -> Instant | None:
    """The first instant after `low` at which a paused clock, resumed then, would be due after `limit`: it is due ever later."""
    high = Instant(limit + 1)
    if not _is_beyond(cycle, high, limit):
        return None
    while high - low > 1:
        middle = Instant((low + high) // 2)
        if _is_beyond(cycle, middle, limit):
            high = middle
        else:
            low = middle
    return high


def _is_beyond(cycle: Cycle, at: Instant, limit: Instant) -> bool:
    due_at = cycle.due_or_resumed(at)
    return due_at is not None and due_at > limit
