"""What comes in, parsed once: the values that everything inside works on.

`slastream.wire.events` makes them from bytes; here they are already valid. Instants and durations are integer
microseconds (`slastream.core.units`). Tuples, because a worker makes several hundred thousand of them a second.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from slastream.core.units import Duration, Instant

TICKET_EVENT_TYPES = ("created", "changed", "message", "rated", "override", "merged", "deleted")
STATUSES = ("new", "open", "pending", "hold", "resolved", "closed", "cancelled")
AUTHORS = ("requester", "agent", "third_party", "automation")
STATES = ("up", "degraded", "maintenance", "unknown", "down")  # from best to worst (semantics 5.1)


class Message(NamedTuple):
    """A message on a ticket; `author` is one of AUTHORS, in the role of that moment."""

    author: str
    is_public: bool
    is_automatic: bool


class Override(NamedTuple):
    """A due instant set by hand for a promise of that name; `due_at` None takes it back."""

    promise: str
    due_at: Instant | None
    by: str | None
    reason: str | None


class Rating(NamedTuple):
    """A requester's score out of `scale`."""

    score: float
    scale: float


class TicketEvent(NamedTuple):
    """One change of one ticket.

    `attributes` holds only what changed, without `created_at`: absent is unchanged, None is cleared. `fields` in it is
    flattened to dotted names (`fields.region`). `content` is the bytes as they came: of two events with one `event_id`
    the greater `(occurred_at, sequence, content as JSON with sorted keys)` counts.
    """

    ticket_id: str
    occurred_at: Instant
    sequence: int
    event_id: str
    type: str
    source: str | None
    attributes: Mapping[str, Any]
    created_at: Instant | None
    message: Message | None
    override: Override | None
    rating: Rating | None
    merged_into: str | None
    content: bytes


class MonitoringEvent(NamedTuple):
    """The state or the counts of a service's component from `occurred_at` on (counts: up to it)."""

    service: str
    component: str
    occurred_at: Instant
    sequence: int
    event_id: str
    source: str | None
    state: str | None
    is_hard: bool
    episode: str | None
    expires_after: Duration | None
    interval: Duration | None
    good: int | None
    total: int | None
    latency: tuple[tuple[float, int], ...] | None  # (upper bound in ms, events at or below it), ascending
    content: bytes


class MaintenanceEvent(NamedTuple):
    """A planned maintenance `[start, end)` of a component (None: the whole service); the newest revision wins."""

    maintenance_id: str
    service: str
    component: str | None
    occurred_at: Instant
    start: Instant
    end: Instant
    revision: int
    is_withdrawn: bool
    event_id: str
    content: bytes


class Tick(NamedTuple):
    """Time itself, written into a partition by a worker."""

    at: Instant


Event = TicketEvent | MonitoringEvent | MaintenanceEvent | Tick
