"""Why a window of a service is what it is: every stretch of its time, what it counted as, and what says so.

The stretches are those of the account itself, cut where a member changes, so that what they add up to is the reading.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from slastream.core.accounts import Sums
from slastream.core.availability import Availability
from slastream.core.policies import Agreement, ServicePromise
from slastream.core.reports import Report
from slastream.core.services import History, component_of, names_of
from slastream.core.states import main_state
from slastream.core.units import Instant
from slastream.core.windows import STEPS, Measure, Reading


class Member(NamedTuple):
    """A component, or a service that is depended on, in a stretch; `event_id` is the last word about a component."""

    name: str
    state: str
    event_id: str | None


class ServiceStretch(NamedTuple):
    """A stretch of time: `reason` is `state`, `maintenance`, `closed`, `before_effective_from` or `before_first_news`.

    `sums` are in parts of the reading's `whole` to a microsecond; of counted events they are the events.
    """

    start: Instant
    end: Instant
    sums: Sums
    reason: str
    state: str | None
    members: tuple[Member, ...]
    maintenance: tuple[str, ...]


class ServiceStory(NamedTuple):
    service: str
    agreement: Agreement
    promise: ServicePromise
    reading: Reading
    stretches: list[ServiceStretch]


def stories_of(services: Availability, name: str, promise: str | None, until: Instant) -> Iterator[ServiceStory]:
    """Of each promise that applies to a service (or of the one that is named) the window that holds `until`."""
    for agreement, one in services.book.promises_of(name):
        if promise not in (None, one.name):
            continue
        measure = services.measure(name, agreement, one, until)
        if measure is None:
            continue
        for window in list(measure.windows(until))[-1:]:
            reading = measure.read(window, until)
            told = _counted(measure, reading) if measure.is_of_events else _timed(services, name, measure, reading)
            yield ServiceStory(name, agreement, one, reading, _joined(told))


def _counted(measure: Measure, reading: Reading) -> Iterator[ServiceStretch]:
    """Steps of a window in which something was counted."""
    start, length = reading.window.start, reading.window.end - reading.window.start
    for step in range(STEPS):
        low, high = (Instant(start + length * n // STEPS) for n in (step, step + 1))
        sums = measure.account.between(low, min(high, reading.until))
        if sums.known:
            yield ServiceStretch(low, high, sums, "state", None, (), ())


def _timed(services: Availability, name: str, measure: Measure, reading: Reading) -> Iterator[ServiceStretch]:
    history, service = services.histories.get(name), services.book.service(name)
    state = services.states.of(name)
    start, end = reading.window.start, min(reading.window.end, reading.until)
    own = {component: component_of(component, history) for component in names_of(service, history)}
    members = {**own, **{other: services.states.of(other).levels for other in service.depends_on}}
    planned = [] if history is None else [one for one in history.maintenance.values() if not one.is_withdrawn]
    cuts = {start, *(Instant(at) for at in (*measure.account.starts, *state.levels.starts))}
    cuts |= {Instant(at) for member in members.values() for at in member.starts}
    cuts |= {at for one in planned for at in (one.start, one.end)}
    cuts |= {at for interval in measure.calendar.intervals(start, end) for at in interval}
    inside = [*sorted(at for at in cuts if start <= at < end), end]
    for low, high in pairwise(inside):
        levels = state.levels.at(low)
        told = tuple(
            Member(
                member,
                "unknown" if (now := steps.at(low)) is None else main_state(now),
                _last_word(history, member, low) if member in own else None,
            )
            for member, steps in members.items()
        )
        in_force = [one for one in planned if one.start <= low < one.end]
        is_whole = any(one.component is None for one in in_force)
        yield ServiceStretch(
            low,
            high,
            measure.account.between(low, high),
            _reason(measure, low, is_whole, levels is None),
            None if levels is None else main_state(levels),
            told,
            tuple(sorted(one.maintenance_id for one in in_force)),
        )


def _reason(measure: Measure, at: Instant, is_maintained: bool, is_before_news: bool) -> str:
    if measure.opens_at is not None and at < measure.opens_at:
        return "before_effective_from"
    if not measure.calendar.is_open(at):
        return "closed"
    if is_maintained:
        return "maintenance"
    return "before_first_news" if is_before_news else "state"


def _last_word(history: History | None, component: str, at: int) -> str | None:
    reports: list[Report] = [] if history is None else history.reports.get(component, [])
    index = bisect_right(reports, at, key=lambda report: report.occurred_at)
    return reports[index - 1].event_id if index else None


def _joined(stretches: Iterator[ServiceStretch]) -> list[ServiceStretch]:
    """Neighbours that say the same are one, with the first one's events."""
    found: list[ServiceStretch] = []
    for one in stretches:
        last = found[-1] if found else None
        if last is not None and one.state is not None and last.end == one.start and _told(last) == _told(one):
            sums = Sums(*(a + b for a, b in zip(last.sums, one.sums, strict=True)))
            found[-1] = last._replace(end=one.end, sums=sums)
        else:
            found.append(one)
    return found


def _told(one: ServiceStretch) -> tuple[object, ...]:
    sums = one.sums
    split = (sums.bad > 0, sums.good > 0, sums.unknown > 0)
    return one.reason, one.state, one.maintenance, split, tuple((m.name, m.state) for m in one.members)
