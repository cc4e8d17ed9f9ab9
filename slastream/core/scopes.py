"""What a contract covers (its statement of work), and the tickets that it does not (semantics 6.7).

A contract looks at the tickets that it is about: those of its customer, or what `about` says. A ticket outside of the
services and types that it covers is out of scope; one inside counts in its volumes. A ticket belongs to the period of its
opening, by its attributes now. Merged and deleted tickets are none.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from slastream.core.policies import Agreement, Policy, Scope, Volume
from slastream.core.predicates import Holds, compile_predicate
from slastream.core.tickets import Ticket
from slastream.core.units import Instant

Outside = Literal["service", "type"]
Level = Literal["below", "within", "above"]


class Covered(NamedTuple):
    """What a ticket counts for in one agreement: in scope (`outside` None) in these volumes, or outside by this attribute."""

    agreement: str
    ticket_id: str
    opened_at: Instant
    service: str | None
    type: str | None
    outside: Outside | None
    volumes: tuple[str, ...]


class VolumeCount(NamedTuple):
    """`level` None: the period runs, and the tickets are still below the agreed band."""

    volume: Volume
    tickets: int
    level: Level | None


class ScopeReport(NamedTuple):
    """A period of a contract; `in_scope` and the tickets `out_of_scope` add up to those that it is about."""

    agreement: str
    customer: str | None
    period: str
    start: Instant
    end: Instant
    is_final: bool
    in_scope: int
    out_of_scope: tuple[Covered, ...]
    volumes: tuple[VolumeCount, ...]


class Scopes:
    """The scopes of a policy, compiled."""

    def __init__(self, policy: Policy) -> None:
        self._scopes = [_Compiled(one, one.scope) for one in policy.agreements if one.scope is not None]

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def of(self, ticket: Ticket) -> list[Covered]:
        """For each contract that is about the ticket, what it counts for."""
        if ticket.opened_at is None or ticket.is_gone:
            return []
        return [covered for one in self._scopes if (covered := one.of(ticket, ticket.opened_at)) is not None]


class _Compiled:
    def __init__(self, agreement: Agreement, scope: Scope) -> None:
        self._agreement, self._scope = agreement, scope
        self._about: Holds | None = None if scope.about is None else compile_predicate(scope.about)
        self._volumes: list[tuple[str, Holds | None]] = [
            (one.name, None if one.match is None else compile_predicate(one.match)) for one in scope.volumes
        ]

    def of(self, ticket: Ticket, opened_at: Instant) -> Covered | None:
        attributes, agreement, scope = ticket.attributes, self._agreement, self._scope
        if agreement.effective_from is not None and opened_at < agreement.effective_from:
            return None
        if self._about is not None:
            is_about = self._about(attributes, None, ())
        else:
            is_about = agreement.customer is None or attributes.get("customer") == agreement.customer
        if not is_about:
            return None
        service, type_ = attributes.get("service"), attributes.get("type")
        outside: Outside | None = None
        if scope.services is not None and service not in scope.services:
            outside = "service"
        elif scope.types is not None and type_ not in scope.types:
            outside = "type"
        counted = (
            name for name, holds in self._volumes if outside is None and (holds is None or holds(attributes, None, ()))
        )
        return Covered(agreement.name, ticket.ticket_id, opened_at, service, type_, outside, tuple(counted))


@dataclass(slots=True)
class ScopeCounts:
    """A period of one contract, ticket by ticket."""

    in_scope: int = 0
    outside: dict[str, Covered] = field(default_factory=dict)
    volumes: Counter[str] = field(default_factory=Counter)

    def put(self, one: Covered, sign: int = 1) -> None:
        """Adds a ticket, or takes it out again as it was put in (`sign` -1)."""
        if one.outside is None:
            self.in_scope += sign
            for name in one.volumes:
                self.volumes[name] += sign
        elif sign > 0:
            self.outside[one.ticket_id] = one
        else:
            del self.outside[one.ticket_id]

    @property
    def is_empty(self) -> bool:
        return not self.in_scope and not self.outside

    def report(self, agreement: Agreement, scope: Scope, start: Instant, end: Instant, now: Instant) -> ScopeReport:
        outside = sorted(self.outside.values(), key=lambda one: (one.opened_at, one.ticket_id))
        volumes = tuple(
            VolumeCount(volume, self.volumes[volume.name], level_of(volume, self.volumes[volume.name], end <= now))
            for volume in scope.volumes
        )
        return ScopeReport(
            agreement.name,
            agreement.customer,
            scope.period,
            start,
            end,
            end <= now,
            self.in_scope,
            tuple(outside),
            volumes,
        )


def scope_reports(
    agreement: Agreement,
    covered: Iterable[Covered],
    period_of: Callable[[Instant], tuple[Instant, Instant]],
    now: Instant,
) -> list[ScopeReport]:
    """The periods in order in which there were tickets, and the one that holds `now`."""
    scope = agreement.scope
    if scope is None:
        return []
    periods = {period_of(now): ScopeCounts()}
    for one in covered:
        if one.opened_at <= now:
            periods.setdefault(period_of(one.opened_at), ScopeCounts()).put(one)
    return [counts.report(agreement, scope, *period, now) for period, counts in sorted(periods.items(), key=_period)]


def _period(one: tuple[tuple[Instant, Instant], ScopeCounts]) -> tuple[Instant, Instant]:
    return one[0]


def level_of(volume: Volume, tickets: int, is_final: bool) -> Level | None:
    """Where a number of tickets lies; too few are known to be so only when the period is over."""
    if volume.high is not None and tickets > volume.high:
        return "above"
    if volume.low is not None and tickets < volume.low:
        return "below" if is_final else None
    return "within"
