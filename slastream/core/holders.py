"""Who has a ticket: one of a group, a provider, the requester, or nobody (semantics 6.5).

A ticket's *trail* is who had it from when on. It changes when an attribute does that decides it, and is closed while the
ticket is resolved, closed, cancelled, merged or deleted: what is over waits for nobody.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from slastream.core.policies import HolderRule, LedgerTerms, Party
from slastream.core.predicates import attributes_of, compile_predicate
from slastream.core.units import Instant

COMPONENT = "fields.component"
_DECIDING = ("status", "group", "assignee", "provider", "service", "customer", "type", COMPONENT)


class Holder(NamedTuple):
    """Who has a ticket, and of which kind the ticket is. `group` is that of the party `group`, `provider` that of
    the party `provider`; `assignee` is None unless the policy names people."""

    party: Party
    group: str | None
    assignee: str | None
    provider: str | None
    service: str | None
    customer: str | None
    type: str | None
    component: str | None


class Held(NamedTuple):
    """From `since` on; `holder` None: the ticket is closed."""

    since: Instant
    holder: Holder | None


class Holders:
    """The rules of a policy, compiled. A holder is one object, however many tickets it has."""

    def __init__(self, terms: LedgerTerms) -> None:
        self._rules = [(compile_predicate(rule.when), rule) for rule in terms.holders]
        self._names_assignees = terms.names_assignees
        self._known: dict[Holder, Holder] = {}
        self.attributes = frozenset(_DECIDING).union(*(attributes_of(rule.when) for rule in terms.holders))
        """Those that can change who has a ticket."""

    def of(self, attributes: Mapping[str, Any]) -> Holder:
        """Who has an open ticket with these attributes."""
        party, provider = self._party(attributes)
        get = attributes.get
        holder = Holder(
            party,
            get("group") if party == "group" else None,
            get("assignee") if party == "group" and self._names_assignees else None,
            provider if party == "provider" else None,
            get("service"),
            get("customer"),
            get("type"),
            get(COMPONENT),
        )
        return self.same(holder)

    def same(self, holder: Holder) -> Holder:
        return self._known.setdefault(holder, holder)

    def _party(self, attributes: Mapping[str, Any]) -> tuple[Party, str | None]:
        provider = attributes.get("provider")
        rule = self._rule(attributes)
        if rule is not None:
            return rule.party, rule.provider if rule.provider is not None else provider
        match attributes.get("status"):
            case "pending":
                return "requester", None
            case "hold":
                return "provider", provider
            case _:
                is_held = attributes.get("group") is not None or attributes.get("assignee") is not None
                return "group" if is_held else "idle", None

    def _rule(self, attributes: Mapping[str, Any]) -> HolderRule | None:
        for holds, rule in self._rules:
            if holds(attributes, None, ()):
                return rule
        return None


def put(trail: list[Held], at: Instant, holder: Holder | None) -> None:
    """Goes on with this holder from `at` on, which lies not before the last entry; of one instant the last one counts."""
    if trail and trail[-1].since == at:
        trail.pop()
    if not trail or trail[-1].holder != holder:
        trail.append(Held(at, holder))
