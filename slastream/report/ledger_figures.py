"""The figures about hand-offs: who had the tickets in the period, what came back, and what suppliers did with their part."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction

from slastream.core.chains import Chain, Chains
from slastream.core.holders import Holder
from slastream.core.ledger import ledger_of
from slastream.core.policies import PARTIES
from slastream.core.tickets import Ticket
from slastream.core.units import Duration, Instant
from slastream.report.figures import (
    BreachCause,
    Efficient,
    GroupTime,
    Outsourcing,
    PartyTime,
    ProviderResult,
    Share,
    SupportResult,
)
from slastream.report.report_source import Source, bounds_of
from slastream.report.ticket_figures import belongs


class Spent:
    """The open time of all tickets in the period, by who had them; on the calendar of the agreement that leads for each."""

    def __init__(self, source: Source) -> None:
        self.by_holder: Counter[Holder] = Counter()
        self.handoffs = self.tickets = 0
        for ticket in source.tickets:
            start, end = bounds_of(source, ticket.rulebook.leading(ticket.matched))
            found = ledger_of(ticket, min(end, source.as_of), start)
            if found is not None and found.parts:
                self.by_holder.update(dict(found.parts))
                self.tickets += 1
                self.handoffs += found.handoffs

    @property
    def total_us(self) -> Duration:
        return Duration(self.by_holder.total())

    def of(self, party: str) -> Duration:
        return Duration(sum(us for holder, us in self.by_holder.items() if holder.party == party))


def efficient(source: Source, spent: Spent) -> Efficient:
    parties = tuple(PartyTime(party, spent.of(party)) for party in PARTIES)
    closed, reopened = [], []
    for ticket in source.tickets:
        if _closed_in(ticket, *bounds_of(source, ticket.rulebook.leading(ticket.matched))):
            closed.append(ticket.ticket_id)
            if _came_back(ticket, source):
                reopened.append(ticket.ticket_id)
    total = spent.total_us
    stayed = sorted(set(closed) - set(reopened))
    return Efficient(
        tickets=spent.tickets,
        parties=parties,
        total_us=total,
        touched=Fraction(spent.of("group"), total) if total else None,
        handoffs=spent.handoffs,
        reopened=Share(len(reopened), len(closed)),
        reopened_evidence=source.evidence.put("reopened", "", stayed, reopened),
    )


def _closed_in(ticket: Ticket, start: Instant, end: Instant) -> bool:
    return any(held.holder is None and start <= held.since < end for held in ticket.trail)


def _came_back(ticket: Ticket, source: Source) -> bool:
    """Was it opened again after its first closing in the period, by the report's end?"""
    start, end = bounds_of(source, ticket.rulebook.leading(ticket.matched))
    first = next(index for index, held in enumerate(ticket.trail) if held.holder is None and start <= held.since < end)
    return any(held.holder is not None for held in ticket.trail[first:])


def group_times(spent: Spent) -> tuple[GroupTime, ...]:
    """The time of each group, provider and the others, the most first."""
    found: Counter[tuple[str, str | None]] = Counter()
    for holder, us in spent.by_holder.items():
        found[holder.party, holder.group if holder.party == "group" else holder.provider] += us
    rows = [GroupTime(party, name, Duration(us)) for (party, name), us in found.items()]
    return tuple(sorted(rows, key=lambda one: (-one.held_us, one.party, one.name or "")))


def outsourcing(source: Source, spent: Spent) -> Outsourcing:
    """Each provider that a ticket waited for, or that an underpinning contract is about.

    Customers wait while a group, a provider or nobody has their ticket, and not while they have it themselves.
    """
    waited = Duration(spent.total_us - spent.of("requester"))
    held: Counter[str | None] = Counter()
    for holder, us in spent.by_holder.items():
        if holder.party == "provider":
            held[holder.provider] += us
    kept: defaultdict[str | None, list[tuple[str, bool]]] = defaultdict(list)
    for clock in source.clocks:
        if clock.agreement.kind == "uc":
            start, end = bounds_of(source, clock.agreement)
            if belongs(clock, clock.agreement.objective.basis, start, end, source.as_of):
                kept[clock.labels.provider].append((clock.ticket_id, clock.is_met))
    providers = tuple(
        ProviderResult(
            provider=name,
            kept=Share(sum(is_met for _, is_met in kept[name]), len(kept[name])),
            held_us=Duration(held[name]),
            waited=Fraction(held[name], waited) if waited else None,
            evidence=source.evidence.put(
                "provider",
                name or "–",
                [ticket for ticket, is_met in kept[name] if is_met],
                [ticket for ticket, is_met in kept[name] if not is_met],
            ),
        )
        for name in sorted({*held, *kept}, key=lambda name: (-held[name], name or ""))
    )
    return Outsourcing(
        waited_us=waited,
        held_us=spent.of("provider"),
        waited=Fraction(spent.of("provider"), waited) if waited else None,
        kept=sum((one.kept for one in providers), Share(0, 0)),
        providers=providers,
    )


# ---- chains ----------------------------------------------------------------------------------------------------------


def chains_of(source: Source) -> list[Chain]:
    """Those that something stands under, and every broken one of an sla."""
    chains = Chains(source.engine.book)
    return [chain for ticket in source.tickets for chain in chains.of(ticket, source.as_of)]


def breach_causes(source: Source, chains: list[Chain]) -> tuple[BreachCause, ...]:
    """Of the promises to customers that broke in the period: who had the ticket for most of the time that was used up."""
    found: defaultdict[tuple[str, str | None], list[tuple[str, int]]] = defaultdict(list)
    for chain in chains:
        start, end = source.bounds_of_name(chain.agreement)
        if chain.kind == "sla" and chain.breached_at is not None and start <= chain.breached_at < end:
            party, name, us = _most(chain)
            found[party, name].append((chain.ticket_id, us))
    rows = [
        BreachCause(
            party, name, len(broken), Duration(sum(us for _, us in broken)),
            source.evidence.put("cause", " ".join([party, name or "–"]), (), [ticket for ticket, _ in broken]),
        )
        for (party, name), broken in sorted(found.items(), key=lambda one: (-len(one[1]), one[0][0], one[0][1] or ""))
    ]  # fmt: skip
    return tuple(rows)


def _most(chain: Chain) -> tuple[str, str | None, int]:
    """Of equals the first by name; `none` where nobody had it, as for a target of no time."""
    spent: Counter[tuple[str, str | None]] = Counter()
    for holder, us in chain.consumed:
        if holder is not None:
            spent[holder.party, holder.group if holder.party == "group" else holder.provider] += us
    if not spent:
        return "none", None, 0
    (party, name), longest = min(spent.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or ""))
    return party, name, longest


def support_results(source: Source, chains: list[Chain]) -> tuple[SupportResult, ...]:
    """What each supporting promise did to the promise above it, of the chains that count in the period."""
    return tuple(_support_results(source, chains))


def _support_results(source: Source, chains: list[Chain]) -> Iterator[SupportResult]:
    above = {(one.ticket_id, *one.key, one.cycle): one for one in source.clocks}
    found: defaultdict[tuple[str, str, str, str, str], list[tuple[Chain, int]]] = defaultdict(list)
    for chain in chains:
        clock = above[chain.ticket_id, chain.agreement, chain.promise, chain.cycle]
        start, end = bounds_of(source, clock.agreement)
        if belongs(clock, clock.agreement.objective.basis, start, end, source.as_of):
            for support in chain.supports:
                key = (chain.agreement, chain.promise, support.kind, support.agreement, support.promise)
                found[key].append((chain, support.used_us))
    for (agreement, promise, kind, by_agreement, by_promise), used in sorted(found.items()):
        yield SupportResult(
            agreement=agreement,
            promise=promise,
            kind=kind,
            by_agreement=by_agreement,
            by_promise=by_promise,
            clocks=len(used),
            used_us=Duration(sum(us for _, us in used)),
            above_us=Duration(sum(chain.elapsed_us for chain, _ in used)),
            broken=sum(chain.breached_at is not None for chain, _ in used),
            misfits=sum(bool(chain.misfits(source.as_of)) for chain, _ in used),
        )
