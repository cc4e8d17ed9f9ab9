"""What a report is made of: the clocks and tickets of a log up to the report's end, of one customer or of all."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from slastream.core.availability import Availability
from slastream.core.clocks import Labels, Reading
from slastream.core.engine import TicketReplay
from slastream.core.events import Override
from slastream.core.policies import Agreement, ClockPromise, Policy
from slastream.core.rules import ENDED
from slastream.core.signs import Signs
from slastream.core.tickets import Ticket
from slastream.core.units import Instant
from slastream.report.evidence import digest_of, evidence_lines
from slastream.report.figures import About, Evidence
from slastream.report.report_period import ReportPeriod


class Clock(NamedTuple):
    """One cycle of a clock as it stands at the report's end."""

    ticket_id: str
    cycle: int
    agreement: Agreement
    promise: ClockPromise
    labels: Labels
    reading: Reading
    started_at: Instant
    stopped_at: Instant | None
    breached_at: Instant | None
    cancel_reason: str | None
    override: Override | None
    signs: Signs

    @property
    def is_met(self) -> bool:
        return self.reading.status == "met"

    @property
    def is_cancelled(self) -> bool:
        return self.reading.status == "cancelled"

    @property
    def is_open(self) -> bool:
        return self.stopped_at is None

    @property
    def key(self) -> tuple[str, str]:
        return self.agreement.name, self.promise.name


@dataclass(slots=True)
class EvidenceBook:
    """Numbers what is put in, from 1."""

    pages: list[Evidence] = field(default_factory=list)

    def put(self, about: About, detail: str, kept: Iterable[str], missed: Iterable[str]) -> int:
        """Tickets that count for a number and against it; returns its number."""
        number = len(self.pages) + 1
        self.pages.append(Evidence(number, about, detail, tuple(sorted(set(kept))), tuple(sorted(set(missed)))))
        return number


@dataclass(frozen=True, slots=True)
class Source:
    """`as_of` is the end of what is known; `tickets` and `clocks` are those of the customer."""

    engine: TicketReplay
    period: ReportPeriod
    customer: str | None
    as_of: Instant
    tickets: tuple[Ticket, ...]
    clocks: tuple[Clock, ...]
    services: Availability
    rejected: int
    newest: Instant | None
    digest: str
    evidence: EvidenceBook = field(default_factory=EvidenceBook)

    @property
    def policy(self) -> Policy:
        return self.engine.book.policy

    def bounds_of_name(self, agreement: str) -> tuple[Instant, Instant]:
        """The report's period in the zone of the agreement of this name."""
        return bounds_of(self, next(one for one in self.policy.agreements if one.name == agreement))

    def of_promise(self) -> dict[tuple[str, str], list[Clock]]:
        """Clocks by the names of agreement and promise: every promise of the policy that the customer could have."""
        found: dict[tuple[str, str], list[Clock]] = {
            (agreement.name, promise.name): []
            for agreement in self.policy.agreements
            for promise in agreement.clock_promises
            if self.customer is None or agreement.customer in (None, self.customer)
        }
        for clock in self.clocks:
            found.setdefault(clock.key, []).append(clock)
        return dict(sorted(found.items()))


def bounds_of(source: Source, agreement: Agreement | None) -> tuple[Instant, Instant]:
    """The report's period in the agreement's zone, without one in that of the policy."""
    return source.period.bounds(source.policy.calendars["24x7"] if agreement is None else agreement.calendar)


def source_of(
    engine: TicketReplay,
    services: Availability,
    period: ReportPeriod,
    customer: str | None,
    as_of: Instant,
    rejected: int,
    newest: Instant | None,
) -> Source:
    """Leaves out what is of other customers. `engine` is closed at `as_of`, `newest` is the last event that counts."""

    def is_ours(name: str | None) -> bool:
        return customer is None or name == customer

    clocks = tuple(
        Clock(
            ticket.ticket_id, cycle.number, cycle.rule.agreement, cycle.rule.promise, labels, cycle.read(as_of),
            cycle.started_at, cycle.stopped_at, cycle.breached_at, cycle.cancel_reason, cycle.override, cycle.signs,
        )
        for ticket, cycle in engine.cycles()
        if is_ours((labels := ticket.labels_of(cycle)).customer)
    )  # fmt: skip
    tickets = tuple(one for _, one in sorted(engine.tickets.items()) if is_ours(one.attributes.get("customer")))
    digest = digest_of(engine.book.policy.version, evidence_lines(engine, services, customer, as_of))
    return Source(engine, period, customer, as_of, tickets, clocks, services, rejected, newest, digest)


def customers_of(engine: TicketReplay, services: Availability) -> list[str]:
    """Everyone that a ticket, a service or an agreement names."""
    policy = services.book.policy
    named = {
        *(one.customer for one in policy.agreements),
        *(one.customer for one in policy.services.values()),
        *(one.attributes.get("customer") for one in engine.tickets.values()),
    }
    return sorted(one for one in named if one is not None)


def is_open(ticket: Ticket) -> bool:
    return not ticket.is_gone and ticket.attributes.get("status") not in ENDED
