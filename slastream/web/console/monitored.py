"""The services of `sla.monitoring` and `sla.maintenance`: their state now, what it was, and planned maintenance."""

from typing import NamedTuple

from slastream.core.accounts import down_of
from slastream.core.availability import Availability
from slastream.core.events import MaintenanceEvent, MonitoringEvent
from slastream.core.policies import Policy
from slastream.core.services import component_of, names_of
from slastream.core.states import main_state
from slastream.core.units import DAY, HOUR, SECOND, Duration, Instant
from slastream.wire.events import canonical

REMEMBERED = Duration(31 * DAY)
"""How far back the states of services are known."""
MOMENT = 30 * SECOND
"""Of words that repeat each other the last of so long a time is kept."""


class StatePiece(NamedTuple):
    """`[start, end)` in one state; `end` None: until now."""

    start: Instant
    end: Instant | None
    state: str


class ServiceState(NamedTuple):
    """As of an instant: `state` since when; components and needed services with theirs."""

    state: str
    since: Instant
    members: list[tuple[str, str]]


class Monitored:
    """Folds monitoring and maintenance; with a policy services have the components and dependencies that it lists."""

    def __init__(self, policy: Policy) -> None:
        self._heard = Availability(policy, canonical, MOMENT)
        self._forgot_at = Instant(0)

    def tell(self, event: MonitoringEvent | MaintenanceEvent) -> None:
        """Counts of events say nothing of a state; what they amount to is in the windows."""
        if isinstance(event, MonitoringEvent) and event.state is None:
            return
        self._heard.feed(event)
        if event.occurred_at > self._forgot_at + DAY:
            self._forget(event.occurred_at)

    def _forget(self, now: Instant) -> None:
        self._forgot_at = now
        for history in self._heard.histories.values():
            history.settle(now - DAY, HOUR)
            history.gone.clear()
        self._heard.forget_before(now - REMEMBERED)

    def names(self) -> list[str]:
        return self._heard.services()

    def now(self, service: str, now: Instant) -> ServiceState | None:
        """None: nothing was heard of it."""
        pieces = self.pieces(service, Instant(now - REMEMBERED), now)
        if not pieces:
            return None
        history, listed = self._heard.histories.get(service), self._heard.book.service(service)
        states = {name: component_of(name, history).at(now) for name in names_of(listed, history)}
        states |= {other: self._heard.states.of(other).levels.at(now) for other in listed.depends_on}
        members = [(name, "unknown" if levels is None else main_state(levels)) for name, levels in states.items()]
        return ServiceState(pieces[-1].state, pieces[-1].start, members)

    def pieces(self, service: str, start: Instant, end: Instant) -> list[StatePiece]:
        """Its states in a time, from the first news on; neighbours differ."""
        found: list[StatePiece] = []
        for low, high, levels in self._heard.states.of(service).levels.pieces(end):
            if levels is None or high <= start:
                continue
            state, low = main_state(levels), max(low, start)
            if found and found[-1].state == state:
                found[-1] = found[-1]._replace(end=None if high >= end else Instant(high))
            else:
                found.append(StatePiece(Instant(low), None if high >= end else Instant(high), state))
        return found

    def outages(self, service: str, start: Instant, end: Instant) -> list[StatePiece]:
        """When it was down, the newest first."""
        down = down_of(self._heard.states.of(service).levels)
        found = [
            StatePiece(Instant(max(low, start)), None if high >= end else Instant(high), "down")
            for low, high, is_down in down.pieces(end)
            if is_down and high > start
        ]
        return found[::-1]

    def maintenance(self, service: str, since: Instant) -> list[MaintenanceEvent]:
        """What is planned, or was lately: the next first."""
        history = self._heard.histories.get(service)
        planned = [] if history is None else [one for one in history.maintenance.values() if not one.is_withdrawn]
        return sorted((one for one in planned if one.end > since), key=lambda one: one.start)
