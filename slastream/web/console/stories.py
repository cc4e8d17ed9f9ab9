"""The explained timeline of a ticket: its events read again from the log, told by `core.explanations`."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from slastream.core.events import TicketEvent
from slastream.core.explanations import Absence, Point, Story, Stretch, explain
from slastream.core.histories import in_order
from slastream.core.rules import Rulebook
from slastream.core.units import Instant, seconds
from slastream.errors import DeliveryError, EventError
from slastream.web.console.archive import Archive
from slastream.web.console.content import TicketContent
from slastream.web.console.tickets import Place
from slastream.web.console.view import TICKETS, View
from slastream.wire.events import canonical, decode_event

MOST_EVENTS = 2_000
MOST_KEPT = 256


class Bar(NamedTuple):
    """A stretch of a story as a part of its whole time, in percent."""

    left: float
    width: float
    kind: str
    text: str


class Told(NamedTuple):
    """What a ticket's page tells besides its clocks; `why_not` says why there are no stories."""

    events: list[TicketEvent]
    stories: list[Story]
    absences: list[Absence]
    why_not: str


class Stories:
    """Remembers the events of tickets that were looked at lately."""

    def __init__(self, view: View, archive: Archive) -> None:
        self._view = view
        self._archive = archive
        self._book = Rulebook(view.policy)
        self._events: OrderedDict[tuple[Place, ...], list[TicketEvent]] = OrderedDict()

    async def of(self, content: TicketContent, now: Instant) -> Told:
        """Up to `now`."""
        places = self._view.tickets.places(content.ticket_id)[:MOST_EVENTS]
        try:
            events = await self._read(content.ticket_id, tuple(places))
        except DeliveryError as error:
            return Told([], [], [], str(error))
        if not events:
            return Told([], [], [], "The log has no events of this ticket any more.")
        if not self._book.rules:
            return Told(
                events, [], [], "Give the console the policy (--policy), and it tells why each minute counted or not."
            )
        end = Instant(max(now, events[-1].occurred_at))
        stories, absences = explain(content.ticket_id, self._book, events, end)
        return Told(events, stories, absences, "")

    async def _read(self, ticket_id: str, places: tuple[Place, ...]) -> list[TicketEvent]:
        known = self._events.get(places)
        if known is None:
            known = _events_of(ticket_id, await self._archive.read(TICKETS, places))
            self._events[places] = known
            if len(self._events) > MOST_KEPT:
                self._events.popitem(last=False)
        return known


def _events_of(ticket_id: str, records: Sequence[bytes]) -> list[TicketEvent]:
    found = []
    for record in records:
        try:
            event = decode_event(record)
        except EventError:
            continue
        if isinstance(event, TicketEvent) and event.ticket_id == ticket_id:
            found.append(event)
    return in_order(found, canonical)


def bars(story: Story) -> list[Bar]:
    """The stretches of a story side by side."""
    stretches = story.stretches
    if not stretches:
        return []
    start, whole = stretches[0].start, max(1, stretches[-1].end - stretches[0].start)
    return [
        Bar((one.start - start) * 100 / whole, (one.end - one.start) * 100 / whole, kind_of(one), one.rule)
        for one in stretches
    ]


def kind_of(part: Stretch | Point) -> str:
    """`counts`, `paused`, `closed`, or what happened."""
    if isinstance(part, Point):
        return part.reason
    return "counts" if part.counts else "paused" if part.is_paused else "closed"


def part_object(story: Story, part: Stretch | Point) -> dict[str, object]:
    """A part as `slastream explain --format jsonl` writes it, without the ticket."""
    is_stretch = isinstance(part, Stretch)
    return {
        "kind": "stretch" if is_stretch else "point",
        "agreement": story.rule.agreement.name,
        "promise": story.rule.promise.name,
        "cycle": story.cycle,
        "start": part.start if isinstance(part, Stretch) else part.at,
        "end": part.end if isinstance(part, Stretch) else part.at,
        "counts": part.counts if isinstance(part, Stretch) else None,
        "reason": part.reason,
        "seconds": seconds(part.open_us) if isinstance(part, Stretch) else None,
        "total_seconds": seconds(part.total_us),
        "rule": part.rule,
        "caused_by": part.caused_by,
    }
