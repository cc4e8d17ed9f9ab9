"""What each page and its JSON show, as plain values from the view."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from slastream.core.units import Instant
from slastream.web.console.clocks import FILTERS, OPEN_STATES, Clock, Counts
from slastream.web.console.facts import BREACHES, Fact
from slastream.web.console.tickets import Ticket
from slastream.web.console.view import View

GROUPS = ("service", "team", "provider")
CHOICES = ("service", "team", "customer", "group", "priority")
MOST_SECTION, MOST_PAGE, MOST_GROUPS, MOST_FOUND = 12, 100, 12, 100
MOST_VALUE = 512


class Row(NamedTuple):
    """A clock with its ticket's title."""

    clock: Clock
    title: str | None


class Now(NamedTuple):
    """`totals` by state, of what is chosen; each section is the beginning of its list; groups are of everything."""

    chosen: dict[str, str]
    totals: dict[str, int]
    breached: list[Row]
    at_risk: list[Row]
    next_due: list[Row]
    groups: dict[str, list[Counts]]


class ClockList(NamedTuple):
    """A page of a list; `pages` is at least 1."""

    chosen: dict[str, str]
    state: str
    totals: dict[str, int]
    rows: list[Row]
    page: int
    pages: int


class FoundTicket(NamedTuple):
    """A ticket with its open clocks, the most urgent first."""

    ticket: Ticket
    open_clocks: list[Clock]


class TicketContent(NamedTuple):
    """`ticket` is None when only its clocks are known."""

    ticket_id: str
    ticket: Ticket | None
    clocks: list[Clock]
    facts: list[Fact]


def chosen_of(query: Mapping[str, str]) -> dict[str, str]:
    """The filters among the parameters of a request."""
    return {name: query[name][:MOST_VALUE] for name in FILTERS if name in query}


def now_content(view: View, chosen: dict[str, str]) -> Now:
    listed = view.clocks.listed
    return Now(
        chosen,
        view.clocks.totals(chosen),
        rows_of(view, listed("breached", chosen, MOST_SECTION)),
        rows_of(view, listed("at_risk", chosen, MOST_SECTION)),
        rows_of(view, listed("running", chosen, MOST_SECTION)),
        {name: view.clocks.counts(name) for name in GROUPS},
    )


def clock_list(view: View, state: str, chosen: dict[str, str], page: int) -> ClockList:
    """Raises ValueError for a word that is no open state."""
    if state not in OPEN_STATES:
        raise ValueError(f"state: {state!r} is no state of an open clock; write one of {', '.join(OPEN_STATES)}")
    totals = view.clocks.totals(chosen)
    pages = max(1, -(-totals[state] // MOST_PAGE))
    page = min(max(1, page), pages)
    rows = rows_of(view, view.clocks.listed(state, chosen, MOST_PAGE, (page - 1) * MOST_PAGE))
    return ClockList(chosen, state, totals, rows, page, pages)


def choices(view: View) -> dict[str, list[str]]:
    """What each filter may be set to."""
    found = {name: view.clocks.values(name) for name in CHOICES}
    return {name: values for name, values in found.items() if values}


def found_tickets(view: View, text: str) -> list[FoundTicket]:
    """Without words those that changed last."""
    tickets = view.tickets.found(text, MOST_FOUND) if text.strip() else view.tickets.newest(MOST_FOUND)
    clocks = view.clocks.of_tickets([ticket.ticket_id for ticket in tickets])
    return [FoundTicket(ticket, _urgent(clocks[ticket.ticket_id])) for ticket in tickets]


def ticket_content(view: View, ticket_id: str) -> TicketContent | None:
    """None: nothing is known of it."""
    ticket, clocks = view.tickets.get(ticket_id), view.clocks.of_ticket(ticket_id)
    if ticket is None and not clocks:
        return None
    return TicketContent(ticket_id, ticket, clocks, view.facts.of_ticket(ticket_id))


def breaches(view: View, chosen: Mapping[str, str], since: Instant, until: Instant, most: int) -> list[Fact]:
    """Of tickets and of services, newest first."""
    return view.facts.newest(BREACHES, chosen, since, until, most)


def rows_of(view: View, clocks: list[Clock]) -> list[Row]:
    titles = view.tickets.titles([clock.ticket_id for clock in clocks])
    return [Row(clock, titles.get(clock.ticket_id)) for clock in clocks]


def _urgent(clocks: Iterable[Clock]) -> list[Clock]:
    return sorted(clocks, key=lambda one: (OPEN_STATES.index(one.state), one.due_at or 0))
