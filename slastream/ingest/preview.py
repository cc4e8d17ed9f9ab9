"""`slastream import --dry-run`: what a mapping would write, counted, without writing it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from slastream.core.events import MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.core.units import Instant, format_instant
from slastream.wire.events import decode_event

SHOWN = 5
_EVERY = 1000


class Preview:
    """The first events, and counts of all of them."""

    def __init__(self) -> None:
        self.first: list[bytes] = []
        self.count = 0
        self._kinds: Counter[str] = Counter()
        self._tickets: set[str] = set()
        self._services: set[str] = set()
        self._earliest: Instant | None = None
        self._latest: Instant | None = None

    def read(self, events: Iterable[bytes], progress: Callable[[int], None] | None = None) -> None:
        for line in events:
            self._add(line)
            if progress is not None and self.count % _EVERY == 0:
                progress(self.count)

    def _add(self, line: bytes) -> None:
        if len(self.first) < SHOWN:
            self.first.append(line)
        self.count += 1
        event = decode_event(line)
        match event:
            case TicketEvent():
                self._kinds[f"ticket {event.type}"] += 1
                self._tickets.add(event.ticket_id)
            case MonitoringEvent():
                self._kinds[f"service {event.state or 'counts'}"] += 1
                self._services.add(event.service)
            case MaintenanceEvent():
                self._kinds["maintenance"] += 1
                self._services.add(event.service)
            case _:
                raise AssertionError("an import makes no ticks")
        at = event.occurred_at
        self._earliest = at if self._earliest is None else min(self._earliest, at)
        self._latest = at if self._latest is None else max(self._latest, at)

    def summary(self, refused: int) -> Iterator[str]:
        yield f"nothing is written: {len(self.first)} of {self.count} events shown, {refused} refused"
        for kind, count in sorted(self._kinds.items()):
            yield f"  {kind}: {count}"
        for what, names in (("tickets", self._tickets), ("services", self._services)):
            if names:
                yield f"  {what}: {len(names)}"
        if self._earliest is not None and self._latest is not None:
            yield f"  from {format_instant(self._earliest)} to {format_instant(self._latest)}"
