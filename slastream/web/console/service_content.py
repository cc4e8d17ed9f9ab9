"""What the pages of services show."""

from typing import NamedTuple

from slastream.core.events import MaintenanceEvent
from slastream.core.policies import Service
from slastream.core.units import DAY, Duration, Instant
from slastream.web.console.clocks import Counts
from slastream.web.console.content import MOST_SECTION, Row, rows_of
from slastream.web.console.facts import Fact
from slastream.web.console.monitored import REMEMBERED, ServiceState, StatePiece
from slastream.web.console.view import View
from slastream.web.console.windows import PromiseWindow

STRIPS = (("24 hours", DAY), ("7 days", Duration(7 * DAY)), ("30 days", Duration(30 * DAY)))
MOST_OUTAGES = MOST_FACTS = 50
MOST_WINDOWS = 13
"""Of one promise: a year of months, and the running one."""
_WORST = ("down", "degraded", "unknown", "maintenance", "up")


class ServiceLine(NamedTuple):
    """A service in the list. `state` None: nothing is monitored; `worst`: the newest window with least budget left."""

    service: Service
    state: ServiceState | None
    clocks: Counts
    worst: PromiseWindow | None
    missed: int
    promises: int


class Strip(NamedTuple):
    """The states of a time up to now."""

    name: str
    start: Instant
    end: Instant
    pieces: list[StatePiece]


class ServiceContent(NamedTuple):
    """`windows` are by promise, the newest first."""

    service: Service
    state: ServiceState | None
    strips: list[Strip]
    outages: list[StatePiece]
    maintenance: list[MaintenanceEvent]
    windows: list[list[PromiseWindow]]
    clocks: Counts
    urgent: list[Row]
    facts: list[Fact]


def service_names(view: View) -> list[str]:
    clocked = {row.value for row in view.clocks.counts("service") if row.value}
    return sorted({*view.monitored.names(), *clocked, *(view.windows.services() - {""})})


def service_list(view: View, now: Instant) -> list[ServiceLine]:
    """Those in trouble first: by state, by breached clocks, by what is left of a budget."""
    newest: dict[str, list[PromiseWindow]] = {}
    for window in view.windows.newest():
        newest.setdefault(window.service, []).append(window)
    counts = {row.value: row for row in view.clocks.counts("service")}
    lines = [_line(view, name, now, newest.get(name, []), counts.get(name)) for name in service_names(view)]
    return sorted(lines, key=_urgency)


def _line(view: View, name: str, now: Instant, windows: list[PromiseWindow], clocks: Counts | None) -> ServiceLine:
    budgets = [one for one in windows if one.budget_left is not None]
    return ServiceLine(
        service_of(view, name),
        view.monitored.now(name, now),
        clocks or Counts(name, 0, 0, 0, 0),
        min(budgets, key=lambda one: one.budget_left or 0.0, default=None),
        sum(one.is_kept is False for one in windows),
        len(windows),
    )


def _urgency(line: ServiceLine) -> tuple[int, int, int, float, str]:
    state = len(_WORST) if line.state is None else _WORST.index(line.state.state)
    left = 1.0 if line.worst is None or line.worst.budget_left is None else line.worst.budget_left
    trouble = 0 if state < 2 else 1
    return trouble, -line.clocks.breached, -line.clocks.at_risk, left, line.service.name


def service_of(view: View, name: str) -> Service:
    return view.policy.services.get(name) or Service(name)


def service_content(view: View, name: str, now: Instant) -> ServiceContent | None:
    """None: nothing is known of it."""
    if name not in service_names(view):
        return None
    counts = {row.value: row for row in view.clocks.counts("service")}
    chosen = {"service": name}
    urgent = [
        clock
        for state in ("breached", "at_risk", "running")
        for clock in view.clocks.listed(state, chosen, MOST_SECTION)
    ]
    return ServiceContent(
        service_of(view, name),
        view.monitored.now(name, now),
        [
            Strip(text, Instant(now - length), now, view.monitored.pieces(name, Instant(now - length), now))
            for text, length in STRIPS
        ],
        view.monitored.outages(name, Instant(now - REMEMBERED), now)[:MOST_OUTAGES],
        view.monitored.maintenance(name, Instant(now - DAY)),
        by_promise(view.windows.of_service(name)),
        counts.get(name) or Counts(name, 0, 0, 0, 0),
        rows_of(view, urgent[:MOST_SECTION]),
        view.facts.of_service(name, MOST_FACTS),
    )


def by_promise(windows: list[PromiseWindow]) -> list[list[PromiseWindow]]:
    """Windows of one promise of one service together, in the order in which they come."""
    found: dict[tuple[str, str, str, str], list[PromiseWindow]] = {}
    for one in windows:
        found.setdefault((one.kind, one.agreement, one.promise, one.service), []).append(one)
    return [group[:MOST_WINDOWS] for group in found.values()]
