"""What a report stands on, as canonical lines, and their digest: the same digest means the same evidence.

The lines are what is known at an instant of the customer's tickets, their clocks and services, one JSON object each with
sorted keys; before them goes a line with the policy's version. They do not depend on the order or the repetition of the events,
nor on events of other customers. Every figure of a report follows from them.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

import orjson

from slastream.core.availability import Availability
from slastream.core.engine import TicketReplay
from slastream.core.tickets import Ticket
from slastream.core.units import Instant
from slastream.wire.availability_lines import availability_line
from slastream.wire.lines import Json, instant_text, verdict_line


def digest_of(policy_version: str, lines: Iterable[Json]) -> str:
    """The sha256, in hexadecimal, of the policy's version and these lines, in this order."""
    digest = sha256(canonical_line({"kind": "policy", "version": policy_version}))
    for line in lines:
        digest.update(canonical_line(line))
    return digest.hexdigest()


def canonical_line(line: Json) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def evidence_lines(
    engine: TicketReplay, services: Availability, customer: str | None, as_of: Instant
) -> Iterator[Json]:
    """Tickets, verdicts and windows of services as known at `as_of`, of one customer or of all (None), by identity.

    `engine` is closed at `as_of`.
    """

    def is_ours(name: str | None) -> bool:
        return customer is None or name == customer

    for _, ticket in sorted(engine.tickets.items()):
        if is_ours(ticket.attributes.get("customer")):
            yield _ticket_line(ticket)
    for ticket, cycle in engine.cycles():
        labels = ticket.labels_of(cycle)
        if is_ours(labels.customer):
            yield verdict_line(ticket.ticket_id, cycle, labels, as_of, engine.book.policy)
    for measured in services.readings(as_of):
        served = services.book.service(measured.service).customer
        if is_ours(measured.agreement.customer if served is None else served):
            yield availability_line(measured)


def _ticket_line(ticket: Ticket) -> Json:
    rating = ticket.rating
    return {
        "kind": "ticket",
        "ticket_id": ticket.ticket_id,
        "opened_at": instant_text(ticket.opened_at),
        "is_gone": ticket.is_gone,
        "attributes": {name: value for name, value in ticket.attributes.items() if not name.startswith("~")},
        "rating": None if rating is None else {"score": rating.score, "scale": rating.scale},
        "rated_at": instant_text(ticket.rated_at),
        "trail": [
            {"since": instant_text(one.since), "holder": None if one.holder is None else one.holder._asdict()}
            for one in ticket.trail
        ],
    }
