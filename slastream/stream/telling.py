"""What stage 1 tells of a ticket beside its clocks, as records of `sla.ledger`: whose time it was, its rating, what stands
under its promises, and what contracts count of it.

A record has a *place*: one for each service that the ticket was with, one for its rating, one for its chains, one for each
contract. It goes where stage 2 adds it up: to the partition of the service, or of the agreement. A place that is no more is
withdrawn. Ledgers are written at each change of hand, the others when they differ from what was told.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from orjson import dumps

from slastream.core.calendars import Calendar
from slastream.core.chains import Chains
from slastream.core.experience import rated
from slastream.core.holders import Held, Holder
from slastream.core.policies import Agreement
from slastream.core.rules import Rulebook
from slastream.core.scopes import Scopes
from slastream.core.tickets import Ticket
from slastream.core.units import Instant, format_instant
from slastream.stream.stage import Output
from slastream.wire.contract_lines import chain_line, covered_line, holder_text, rated_line
from slastream.wire.line_text import quoted, seconds_of

LEDGER = "sla.ledger"
Place = tuple[str, ...]


class Told(NamedTuple):
    """Where a place was told last, and a digest of what was said there (of a ledger: 0)."""

    partition_key: str
    digest: int


class Spent:
    """The closed pieces of a trail, added up: those before its entry `count - 1`, which is `last`."""

    __slots__ = ("calendar", "count", "last", "of_service")

    def __init__(self, calendar: Calendar, first: Held) -> None:
        self.calendar = calendar
        self.count = 1
        self.last = first
        self.of_service: dict[str, dict[Holder, int]] = {}

    def go_on(self, trail: list[Held]) -> set[str]:
        """Adds up to the last entry of the trail; returns the services of which something changed."""
        changed: set[str] = set()
        for held in trail[self.count :]:
            before, holder = self.last, self.last.holder
            if holder is not None:
                parts = self.of_service.setdefault(holder.service or "", {})
                parts[holder] = parts.get(holder, 0) + self.calendar.open_between(before.since, held.since)
                changed.add(holder.service or "")
            if held.holder is not None:
                changed.add(held.holder.service or "")
            self.last = held
        self.count = len(trail)
        return changed

    def fits(self, trail: list[Held], calendar: Calendar) -> bool:
        """Is the trail the same up to here?"""
        return self.calendar is calendar and self.count <= len(trail) and trail[self.count - 1] is self.last


class Telling:
    """What is kept of a ticket between two of its records. `told` outlives the process, the rest is made anew."""

    __slots__ = ("matched", "seen", "spent", "told")

    def __init__(self, told: dict[Place, Told] | None = None) -> None:
        self.told: dict[Place, Told] = {} if told is None else told
        self.seen: Held | None = None
        self.matched: frozenset[int] | None = None
        self.spent: Spent | None = None


class Teller:
    """Writes the records of a policy's tickets."""

    def __init__(self, book: Rulebook) -> None:
        self._book = book
        self._chains, self._scopes = Chains(book), Scopes(book.policy)
        self.tells_always = bool(self._chains) or bool(self._scopes)
        """May any event of a ticket change what is told of it, and not only a change of hand?"""
        self._version = f',"policy_version":{quoted(book.policy.version)}}}'
        self._holders: dict[Holder, str] = {}
        self._everywhere = book.policy.calendars["24x7"]

    def has_news(self, ticket: Ticket, telling: Telling) -> bool:
        """May there be something to tell? Cheap."""
        return (
            ticket.trail[-1] is not telling.seen
            or ticket.matched is not telling.matched
            or ticket.rating is not None
            or self.tells_always
        )

    def tell(self, ticket: Ticket, telling: Telling, as_of: Instant, progress: int) -> Iterator[Output]:
        """The records of what has changed."""
        telling.seen, telling.matched = ticket.trail[-1], ticket.matched
        end = f',"as_of":"{format_instant(as_of)}","progress":{progress}{self._version}'
        yield from self._ledgers(ticket, telling, end)
        if ticket.rating is not None or self.tells_always or len(telling.told) > 1:
            yield from self._others(ticket, telling, as_of, end)

    # ---- ledgers -------------------------------------------------------------------------------------------------

    def _ledgers(self, ticket: Ticket, telling: Telling, end: str) -> Iterator[Output]:
        agreement = self._book.leading(ticket.matched)
        calendar = self._everywhere if agreement is None else agreement.calendar
        spent = telling.spent
        if spent is not None and spent.fits(ticket.trail, calendar):
            changed = spent.go_on(ticket.trail)
        else:
            spent = telling.spent = Spent(calendar, ticket.trail[0])
            changed = spent.go_on(ticket.trail)
            first = ticket.trail[0].holder
            if first is not None:
                changed.add(first.service or "")
            changed.update(place[1] for place in telling.told if place[0] == "ledger")
        for service in changed:
            place, holder = ("ledger", service), spent.last.holder
            if service not in spent.of_service and (holder is None or (holder.service or "") != service):
                if telling.told.pop(place, None) is not None:
                    yield withdrawn(ticket.ticket_id, place, service, end)
                continue
            telling.told[place] = Told(service, 0)
            yield _output(
                ticket.ticket_id, place, service, self._ledger(ticket.ticket_id, service, spent, agreement), end
            )

    def _ledger(self, ticket_id: str, service: str, spent: Spent, agreement: Agreement | None) -> str:
        parts = spent.of_service.get(service, {})
        total = sum(parts.values())
        holder = spent.last.holder
        if holder is not None and (holder.service or "") == service:
            now = f'{{{self._holder(holder)},"since":"{format_instant(spent.last.since)}"}}'
        else:
            now = "null"
        listed = ",".join(
            f'{{{self._holder(holder)},"seconds":{seconds_of(us)}}}' for holder, us in parts.items() if us
        )
        return (
            f'{{"kind":"ledger","ticket_id":{quoted(ticket_id)},"service":{quoted(service or None)},'
            f'"agreement":{quoted(None if agreement is None else agreement.name)},"calendar":{quoted(spent.calendar.name)},'
            f'"total_seconds":{seconds_of(total)},"parts":[{listed}],"held_by":{now}'
        )

    def _holder(self, holder: Holder) -> str:
        text = self._holders.get(holder)
        if text is None:
            if len(self._holders) >= 1 << 16:
                self._holders.clear()
            text = self._holders[holder] = holder_text(holder)
        return text

    # ---- the others ----------------------------------------------------------------------------------------------

    def _others(self, ticket: Ticket, telling: Telling, as_of: Instant, end: str) -> Iterator[Output]:
        now = {place: (partition_key, body) for place, partition_key, body in self._bodies(ticket, as_of)}
        for place, told in list(telling.told.items()):
            if place[0] != "ledger" and (place not in now or now[place][0] != told.partition_key):
                del telling.told[place]
                yield withdrawn(ticket.ticket_id, place, told.partition_key, end)
        for place, (partition_key, body) in now.items():
            text = dumps(body).decode()[:-1]
            digest = crc32(text.encode())
            if telling.told.get(place) != (partition_key, digest):
                telling.told[place] = Told(partition_key, digest)
                yield _output(ticket.ticket_id, place, partition_key, text, end)

    def _bodies(self, ticket: Ticket, as_of: Instant) -> Iterator[tuple[Place, str, dict[str, Any]]]:
        service = ticket.attributes.get("service") or ""
        rating = rated(ticket)
        if rating is not None:
            yield ("rating",), service, rated_line(rating)
        for covered in self._scopes.of(ticket):
            yield ("scope", covered.agreement), covered.agreement, covered_line(covered)
        chains = [chain_line(chain, as_of) for chain in self._chains.of(ticket, as_of)] if self._chains else []
        if chains:
            yield (
                ("chains",),
                service,
                {"kind": "chains", "ticket_id": ticket.ticket_id, "service": service or None, "chains": chains},
            )


def withdrawn(ticket_id: str, place: Place, partition_key: str, end: str) -> Output:
    body = f'{{"kind":"{place[0]}","ticket_id":{quoted(ticket_id)},"is_withdrawn":true'
    return _output(ticket_id, place, partition_key, body, end)


def _output(ticket_id: str, place: Place, partition_key: str, body: str, end: str) -> Output:
    key = dumps([place[0], ticket_id, *place[1:]])
    return Output(LEDGER, partition_key.encode(), key, (body + end).encode())
