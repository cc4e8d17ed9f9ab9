"""An outage and the tickets about it: what they share is the `episode` (semantics: what detection, response and repair took).

An incident is an episode of a service's monitoring: from its first word that is not `up` to the `up` that ends it in every
component. A ticket is about it when its attribute `fields.episode` says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from slastream.core.availability import Availability
from slastream.core.policies import Agreement, ServicePromise
from slastream.core.reports import RANK
from slastream.core.services import History
from slastream.core.tickets import Ticket
from slastream.core.units import Instant
from slastream.core.windows import Window

EPISODE = "fields.episode"
_UP = RANK["up"]


class Answer(NamedTuple):
    """A ticket about an incident; responded and resolved as its clocks of these metrics saw it, None without one."""

    ticket_id: str
    opened_at: Instant | None
    responded_at: Instant | None
    resolved_at: Instant | None


class Cost(NamedTuple):
    """What an incident used of one window's budget, in microseconds."""

    agreement: Agreement
    promise: ServicePromise
    window: Window
    bad_us: Fraction
    budget_us: Fraction


class Incident(NamedTuple):
    service: str
    episode: str
    started_at: Instant
    recovered_at: Instant | None
    answers: list[Answer]
    costs: list[Cost]


def incidents_of(services: Availability, tickets: Iterable[Ticket], until: Instant) -> Iterator[Incident]:
    """Every incident that began by `until`, by service and beginning."""
    about: dict[str, list[Answer]] = {}
    for ticket in tickets:
        episode = ticket.attributes.get(EPISODE)
        if isinstance(episode, str):
            about.setdefault(episode, []).append(_answer(ticket))
    for name, history in sorted(services.histories.items()):
        for (start, episode), end in sorted(episodes_of(history).items()):
            answers = sorted(about.get(episode, []), key=lambda answer: answer.ticket_id)
            costs = list(_costs(services, name, start, until if end is None else end, until))
            yield Incident(name, episode, start, end, answers, costs)


def episodes_of(history: History) -> Mapping[tuple[Instant, str], Instant | None]:
    """(start, episode) to its end; None: it goes on in some component."""
    starts: dict[str, Instant] = {}
    ends: dict[str, list[Instant | None]] = {}
    for reports in history.reports.values():
        open_since: dict[str, bool] = {}
        ended_at: dict[str, Instant] = {}
        for report in reports:
            if report.episode is None:
                continue
            at = Instant(report.occurred_at)
            if report.rank != _UP:
                starts[report.episode] = min(starts.get(report.episode, at), at)
                open_since[report.episode] = True
            elif open_since.get(report.episode):
                open_since[report.episode], ended_at[report.episode] = False, at
        for episode, is_open in open_since.items():
            ends.setdefault(episode, []).append(None if is_open else ended_at[episode])
    found: dict[tuple[Instant, str], Instant | None] = {}
    for episode, start in starts.items():
        closed = [end for end in ends[episode] if end is not None]
        found[start, episode] = max(closed) if len(closed) == len(ends[episode]) else None
    return found


def _answer(ticket: Ticket) -> Answer:
    stops: dict[str, Instant | None] = {}
    for clock in ticket.clocks.values():
        metric = clock.rule.promise.metric
        if metric in ("first_response", "resolution") and clock.cycles:
            stops.setdefault(metric, clock.cycles[-1].stopped_at)
    return Answer(ticket.ticket_id, ticket.opened_at, stops.get("first_response"), stops.get("resolution"))


def _costs(services: Availability, name: str, start: Instant, end: Instant, until: Instant) -> Iterator[Cost]:
    for agreement, promise, measure in services.measures(name, until):
        if measure.is_of_events:
            continue
        for window in measure.windows(until, start):
            low, high = max(start, window.start), min(end, window.end)
            if low < high:
                bad = Fraction(measure.account.between(low, high).bad, measure.account.whole)
                yield Cost(agreement, promise, window, bad, measure.read(window, until).budget)
