"""The events of one ticket as a set: in order, each once, whatever order and repetition they came in (semantics 1.2, 1.3)."""

from collections.abc import Callable, Iterable

from slastream.core.events import TicketEvent
from slastream.core.tickets import order_of

Canonical = Callable[[bytes], bytes]
"""The content of an event as JSON with sorted keys."""


def is_later(one: TicketEvent, other: TicketEvent, canonical: Canonical) -> bool:
    """Of two events with one `event_id`: does the first count? The last by (occurred_at, sequence, content) does."""
    return (one.occurred_at, one.sequence, canonical(one.content)) > (
        other.occurred_at,
        other.sequence,
        canonical(other.content),
    )


def in_order(events: Iterable[TicketEvent], canonical: Canonical) -> list[TicketEvent]:
    """The events that count, in the order in which they happened."""
    by_id: dict[str, TicketEvent] = {}
    for event in events:
        known = by_id.get(event.event_id)
        if known is None or is_later(event, known, canonical):
            by_id[event.event_id] = event
    return sorted(by_id.values(), key=order_of)
