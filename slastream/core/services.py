"""The services of a log: what was heard of each, and the state of each that follows, by time (semantics 5.1 to 5.4).

`History` is the set of what was heard of one service. Only which events are in it decides, never how they came: a repetition
changes nothing, a late one stands where it belongs, of two with one id the later counts. A stream that goes on for years gives
it a `moment` and calls `settle` and `forget_before`, so that what it keeps does not depend on how often a component repeats
itself (`docs/decisions/what-monitoring-keeps.md`). `ServiceStates` puts histories together: components, the services that
one depends on, maintenance.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple, TypeVar

from slastream.core.events import STATES, MaintenanceEvent, MonitoringEvent
from slastream.core.intervals import Interval, merged
from slastream.core.policies import Policy, Service
from slastream.core.reports import RANK, Report, is_repetition, last_words, states_of, without_repetitions
from slastream.core.states import LEVELS, MAINTENANCE, UNKNOWN, Levels, combination
from slastream.core.steps import BEGINNING, Steps, combined, overlaid, steps_of
from slastream.core.units import Instant

Canonical = Callable[[bytes], bytes]
_LEVELS = tuple(LEVELS[state] for state in STATES)


class Count(NamedTuple):
    """Events of a component in the interval that ends at `occurred_at`; `latency` as in `MonitoringEvent`."""

    occurred_at: int
    sequence: int
    event_id: str
    component: str
    good: int | None
    total: int | None
    latency: tuple[tuple[float, int], ...] | None


Ordered = TypeVar("Ordered", Report, Count)


class _Heard(NamedTuple):
    """An event of an id: which component's report it is, its counts, and what decides between two of one id."""

    occurred_at: int
    sequence: int
    component: str
    report: Report | None
    counted: Count | None
    content: bytes


class Change(NamedTuple):
    """What an event did: is it to be kept, and from which instant on may the past read otherwise (None: from none)."""

    is_kept: bool
    since: int | None


NO_CHANGE = Change(False, None)


class History:
    """Everything heard of one service. The states of its components are kept as they grow.

    `rewrites` counts what happened to `counts` but growing at their end, and to maintenance. Of words that repeat each other
    the first is kept and the last of each `moment` (0: all); `gone` are the ids that were forgotten since it was emptied.
    """

    def __init__(self, name: str, canonical: Canonical, moment: int = 0) -> None:
        self.name = name
        self.gone: list[str] = []
        self.first_heard: Instant | None = None
        """Of its own components, where what came first is forgotten."""
        self.reports: dict[str, list[Report]] = {}
        self.counts: list[Count] = []
        self.rewrites = 0
        self.maintenance: dict[str, MaintenanceEvent] = {}
        self._canonical = canonical
        self._moment = moment
        self._replaced: set[str] = set()
        self._heard: dict[str, _Heard] = {}
        self._states: dict[str, Steps[int | None]] = {}
        self._has_episodes: set[str] = set()

    def add(self, event: MonitoringEvent | MaintenanceEvent, *, is_stored: bool = False) -> Change:
        """Takes an event in; of those that were stored none is a repetition to forget.

        A word in its order that says what holds already costs no more than a look at the last one.
        """
        if isinstance(event, MaintenanceEvent):
            return self._add_maintenance(event)
        old = self._heard.get(event.event_id)
        new = _heard_of(event)
        if old is not None:
            if old.content == new.content or self._order(old) >= self._order(new):
                return NO_CHANGE
            self._forget(old)
            self._replaced.add(event.event_id)
        elif (
            not is_stored
            and new.counted is None
            and new.report is not None
            and self._says_nothing(new.component, new.report)
        ):
            return NO_CHANGE
        self._heard[event.event_id] = new
        since = [] if old is None else [old.occurred_at - 1]
        if new.report is not None:
            changed_at = self._report(new.component, new.report, 0 if is_stored else self._moment)
            since += [] if changed_at is None else [changed_at]
        if new.counted is not None:
            self.rewrites += bool(self.counts) and new.counted[:3] < self.counts[-1][:3]
            _insert(self.counts, new.counted)
            since.append(new.occurred_at - 1)  # it belongs to the window that ends there
        return Change(new.report is not None or new.counted is not None, min(since, default=None))

    def _says_nothing(self, component: str, report: Report) -> bool:
        """Does a late word only repeat those around it? Of one that was forgotten, a repetition does."""
        reports = self.reports.get(component)
        if not self._moment or not reports or reports[-1][:3] < report[:3]:
            return False
        index = bisect_left(reports, report[:3], key=lambda one: one[:3])
        return index > 0 and is_repetition(reports[index - 1], report, reports[index], self._moment)

    def _report(self, component: str, report: Report, moment: int) -> int | None:
        """Takes a report in; gives from when on the component is not as it was: of one that says what held, when it expires."""
        reports = self.reports.setdefault(component, [])
        is_last = not reports or reports[-1][:3] < report[:3]
        _insert(reports, report)
        if report.episode is not None:
            self._has_episodes.add(component)
        if moment and is_last and len(reports) > 2 and is_repetition(reports[-3], reports[-2], report, moment):
            self._drop_last_but_one(reports)
        states = self._states.get(component)
        if states is None or not is_last or component in self._has_episodes:
            self._states.pop(component, None)
            return report.occurred_at
        was = states.at(report.occurred_at)
        ends: set[int] = set()
        while states.starts[-1] >= report.occurred_at:
            ends = {states.starts.pop()}
            states.values.pop()
        if states.values[-1] != report.rank:
            states.starts.append(report.occurred_at)
            states.values.append(report.rank)
        if report.expires_at is not None and report.rank != RANK["unknown"]:
            states.starts.append(report.expires_at)
            states.values.append(RANK["unknown"])
            ends ^= {report.expires_at}
        return report.occurred_at if was != report.rank else min(ends, default=None)

    def settle(self, before: int, pane: int) -> None:
        """Forgets words behind `before` that repeat each other, but the last of each `pane`: no state changes."""
        for reports in self.reports.values():
            settled = reports[: bisect_left(reports, before, key=lambda one: one.occurred_at)]
            kept = {one.event_id for one in without_repetitions(settled, pane)}
            self._drop(
                reports, {id for one in settled if (id := one.event_id) not in kept and self._can_be_forgotten(id)}
            )

    def forget_before(self, before: int) -> None:
        """Forgets all that says nothing of the time from `before` on."""
        first_news = self.first_news
        for component, reports in self.reports.items():
            past = reports[: bisect_left(reports, before, key=lambda one: one.occurred_at)]
            gone = {one.event_id for one in past}.difference(one.event_id for one in last_words(past))
            if self._drop(reports, gone):
                self.first_heard = first_news
                self._states.pop(component, None)
        counted = bisect_left(self.counts, before, key=lambda one: one.occurred_at)
        speaking = {one.event_id for reports in self.reports.values() for one in reports}
        self._lose(one.event_id for one in self.counts[:counted] if one.event_id not in speaking)
        del self.counts[:counted]
        ended = [name for name, one in self.maintenance.items() if one.end <= before]
        for name in ended:
            del self.maintenance[name]
        self.gone += ended
        self.rewrites += bool(counted or ended)

    def _can_be_forgotten(self, event_id: str) -> bool:
        """One that was replaced, or has counts, is kept until its time is over: its repetition would be another event."""
        return event_id not in self._replaced and self._heard[event_id].counted is None

    def _drop_last_but_one(self, reports: list[Report]) -> None:
        if self._can_be_forgotten(reports[-2].event_id):
            self._lose((reports.pop(-2).event_id,))

    def _drop(self, reports: list[Report], ids: set[str]) -> bool:
        if ids:
            reports[:] = [one for one in reports if one.event_id not in ids]
            self._lose(ids)
        return bool(ids)

    def _lose(self, ids: Iterable[str]) -> None:
        for one in ids:
            if self._heard.pop(one, None) is not None:
                self.gone.append(one)
                self._replaced.discard(one)

    def states_of(self, component: str) -> Steps[int | None]:
        """The state of a component by time; not to be changed."""
        known = self._states.get(component)
        if known is None:
            known = self._states[component] = states_of(self.reports.get(component, ()))
        return known

    def _add_maintenance(self, event: MaintenanceEvent) -> Change:
        old = self.maintenance.get(event.maintenance_id)
        if old is not None and self._revision(old) >= self._revision(event):
            return NO_CHANGE
        self.maintenance[event.maintenance_id] = event
        self.rewrites += 1
        return Change(True, min(event.start, event.start if old is None else old.start))

    def _revision(self, event: MaintenanceEvent) -> tuple[int, int, bytes]:
        return event.revision, event.occurred_at, self._canonical(event.content)

    def _order(self, heard: _Heard) -> tuple[int, int, bytes]:
        return heard.occurred_at, heard.sequence, self._canonical(heard.content)

    def _forget(self, heard: _Heard) -> None:
        if heard.report is not None:
            self._states.pop(heard.component, None)
            self.reports[heard.component].remove(heard.report)
            if not self.reports[heard.component]:
                del self.reports[heard.component]
        if heard.counted is not None:
            self.counts.remove(heard.counted)
            self.rewrites += 1

    @property
    def first_news(self) -> Instant | None:
        """Of its own components."""
        found = [one[0].occurred_at for one in self.reports.values() if one]
        if self.first_heard is not None:
            found.append(self.first_heard)
        return Instant(min(found)) if found else None

    def maintained(self, component: str | None) -> list[Interval]:
        """The planned maintenance of a component, or of the whole service (None): disjoint, ascending."""
        return merged(
            (one.start, one.end)
            for one in self.maintenance.values()
            if one.component == component and not one.is_withdrawn
        )


def _heard_of(event: MonitoringEvent) -> _Heard:
    report = count = None
    if event.state is not None and event.is_hard:
        expires_at = None if event.expires_after is None else event.occurred_at + event.expires_after
        report = Report(event.occurred_at, event.sequence, event.event_id, RANK[event.state], event.episode, expires_at)
    if event.total is not None or event.latency is not None:
        count = Count(
            event.occurred_at, event.sequence, event.event_id, event.component, event.good, event.total, event.latency
        )
    return _Heard(event.occurred_at, event.sequence, event.component, report, count, event.content)


def _insert(items: list[Ordered], item: Ordered) -> None:
    """Keeps them in order; one that comes in order costs nothing."""
    if items and item[:3] < items[-1][:3]:
        insort(items, item, key=lambda one: one[:3])
    else:
        items.append(item)


class State(NamedTuple):
    """A service by time: its levels, None before `first_news` (of any of its members; None: never)."""

    levels: Steps[Levels | None]
    first_news: Instant | None


NEVER_HEARD = State(Steps([BEGINNING], [None]), None)


class ServiceStates:
    """The states of services as of now. What it computed is kept until `forget`."""

    def __init__(self, policy: Policy, histories: Mapping[str, History]) -> None:
        self._listed = policy.services
        self._histories = histories
        self._known: dict[str, State] = {}
        self._users: dict[str, list[str]] = {}
        for service in policy.services.values():
            for needed in service.depends_on:
                self._users.setdefault(needed, []).append(service.name)

    def of(self, name: str) -> State:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._compute(name)
        return known

    def forget(self, name: str) -> None:
        """Something new was heard of this service: what stands on it is to be computed again, too."""
        self._known.pop(name, None)
        for user in self._users.get(name, ()):
            self.forget(user)

    def users_of(self, name: str) -> set[str]:
        """The services that stand on it, at whatever distance, and itself."""
        return {name}.union(*(self.users_of(user) for user in self._users.get(name, ())))

    def _compute(self, name: str) -> State:
        service, history = self._listed.get(name) or Service(name), self._histories.get(name)
        needed = [self.of(other) for other in service.depends_on]
        first_news = min(
            (news for news in (_first_news(history), *(one.first_news for one in needed)) if news is not None),
            default=None,
        )
        members = [*components_of(service, history), *(one.levels for one in needed)]
        weights = [
            *(service.components.get(component, Decimal(1)) for component in names_of(service, history)),
            *(self._listed[other].weight if other in self._listed else Decimal(1) for other in service.depends_on),
        ]
        combine = combination(service.combine, service.at_least, weights)
        levels: Steps[Levels | None] = Steps([BEGINNING], [None])
        if members and first_news is not None:
            whole = combined(members, lambda now: combine([UNKNOWN if one is None else one for one in now]))
            levels = steps_of(((max(start, first_news), value) for start, _, value in whole.pieces(_AFTER_ALL)), None)
        if history is not None:
            levels = overlaid(levels, history.maintained(None), _like(MAINTENANCE, levels))
        return State(levels, first_news)


_AFTER_ALL = 1 << 62


def _like(levels: Levels, others: Steps[Levels | None]) -> Levels:
    """With the same whole as `others` have."""
    whole = next((one[-1] for one in others.values if one is not None), 1)
    return tuple(share * whole for share in levels)


def _first_news(history: History | None) -> Instant | None:
    return None if history is None else history.first_news


def names_of(service: Service, history: History | None) -> list[str]:
    """The components of a service, listed or seen."""
    seen: Iterable[str] = () if history is None else history.reports
    return sorted({*service.components, *seen})


def components_of(service: Service, history: History | None) -> list[Steps[Levels | None]]:
    """The levels of each of `names_of`, with its own maintenance."""
    return [component_of(name, history) for name in names_of(service, history)]


def component_of(name: str, history: History | None) -> Steps[Levels | None]:
    if history is None:
        return Steps([BEGINNING], [None])
    states = history.states_of(name)
    levels: Steps[Levels | None] = Steps(
        list(states.starts), [None if state is None else _LEVELS[state] for state in states.values]
    )
    return overlaid(levels, history.maintained(name), MAINTENANCE)
