"""The sections of a policy about contracts: credits, exclusions, scope, and whose time it is.

Like the loader's own methods, each notes what it cannot read and leaves it out.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from slastream.core.periods import ROLLING
from slastream.core.policies import (
    PARTIES,
    PERIODS,
    CreditBand,
    Credits,
    CreditTerms,
    EarnBack,
    Exclusion,
    HolderRule,
    LedgerTerms,
    Moods,
    Objective,
    Scope,
    Volume,
)
from slastream.core.units import Instant, parse_instant
from slastream.wire.predicate_text import PredicateReader
from slastream.wire.yaml_nodes import Entry, Reader, nearest, values

CREDIT_KEYS = ("fee", "cap", "bands", "per", "promises", "earn_back")
TERMS_KEYS = ("weight", "bands")
EARN_BACK_KEYS = ("periods", "at_least")
EXCLUSION_KEYS = ("reason", "from", "to", "services", "promises", "tickets")
SCOPE_KEYS = ("period", "about", "services", "types", "volumes")
VOLUME_KEYS = ("match", "low", "high")
LEDGER_KEYS = ("holders", "assignees")
HOLDER_KEYS = ("when", "party", "provider")
EXPERIENCE_KEYS = ("happy", "unhappy")
MOST_PERIODS = 36
_MONEY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s+([A-Z]{3})", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


class Promised(NamedTuple):
    """What the sections of an agreement refer to: its objective, and its promises by name with their window (None: clocks)."""

    objective: Objective
    windows: Mapping[str, str | None]


def read_share(reader: Reader, entry: Entry) -> Decimal | None:
    def read(text: str) -> Decimal:
        match = _SHARE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no share; write it in percent, like 99.5%")
        value = Decimal(match[1]) / 100
        if value > 1:
            raise ValueError(f"{text!r} is beyond 100%; write a share between 0% and 100%")
        return value

    return reader.parsed(entry, read, "a share in percent, like 99.5%")


class ContractSections:
    def __init__(self, reader: Reader, predicates: PredicateReader) -> None:
        self._reader = reader
        self._predicates = predicates

    # ---- money ---------------------------------------------------------------------------------------------------

    def credits(self, entry: Entry, promised: Promised) -> Credits | None:
        reader = self._reader
        found = reader.mapping(entry, CREDIT_KEYS, "credits like {fee: 10000 EUR, bands: [{below: 95%, credit: 5%}]}")
        if found is None:
            return None
        fee = self._money(found["fee"]) if "fee" in found else None
        currency = fee[1] if fee is not None else None
        cap_share = cap_amount = None
        if "cap" in found:
            cap_share, cap_amount, cap_currency = self._share_or_money(found["cap"])
            currency = currency or cap_currency
        bands: tuple[CreditBand, ...] = ()
        if "bands" not in found:
            reader.bad(entry, "bands is missing; write bands: [{below: 95%, credit: 5%}]")
        else:
            bands, currency = self._bands(found["bands"], currency)
        terms: dict[str, CreditTerms] = {}
        for name, one in values(self._named(found.get("promises"), promised)):
            terms[name], currency = self._terms(one, currency)
        every = [*bands, *(band for one in terms.values() for band in one.bands or ())]
        if "fee" not in found and (cap_share is not None or any(band.share is not None for band in every)):
            reader.bad(entry, "a credit in percent needs a fee that it is a share of; write fee: 10000 EUR")
        per: Any = reader.word(found["per"], ("service", "promise")) if "per" in found else "service"
        back = self._earn_back(found["earn_back"], promised.objective) if "earn_back" in found else None
        return Credits(
            currency or "EUR", fee[0] if fee is not None else None, bands, cap_share, cap_amount, per or "service",
            terms, back,
        )  # fmt: skip

    def _bands(self, entry: Entry, currency: str | None) -> tuple[tuple[CreditBand, ...], str | None]:
        """The bands, and the currency that they and what was before them are in."""
        reader, bands = self._reader, list[CreditBand]()
        for one in reader.sequence(entry, "a list of bands") or []:
            fields = reader.mapping(one, ("below", "credit"), "a band like {below: 95%, credit: 5%}")
            if fields is None:
                continue
            missing = [key for key in ("below", "credit") if key not in fields]
            if missing:
                reader.bad(one, f"{' and '.join(missing)} is missing; write a band like {{below: 95%, credit: 5%}}")
                continue
            below = read_share(reader, fields["below"])
            share, amount, own = self._share_or_money(fields["credit"])
            if own is not None and currency is not None and own != currency:
                reader.bad(fields["credit"], f"is in {own}, the rest in {currency}; write one currency")
            currency = currency or own
            if below is not None and (share is not None or amount is not None):
                if any(band.below == below for band in bands):
                    reader.bad(fields["below"], "is the edge of a band before it; give each band an edge of its own")
                bands.append(CreditBand(below, share, amount))
        return tuple(bands), currency

    def _named(self, entry: Entry | None, promised: Promised) -> dict[str, Entry] | None:
        """Terms by promise: those that the agreement has; of what is no clock, those whose window is the objective's."""
        reader = self._reader
        found = (
            {} if entry is None else reader.mapping(entry, None, "terms by promise, like {resolution: {weight: 60%}}")
        )
        period, known = promised.objective.period, dict[str, Entry]()
        for name, one in values(found):
            if name not in promised.windows:
                hint = f"{nearest(name, promised.windows)}it may be one of: {', '.join(sorted(promised.windows))}"
                reader.bad(one, f"no promise of the agreement is named {name!r}; {hint}")
            elif promised.windows[name] not in (None, period):
                window = promised.windows[name]
                reader.bad(one, f"is measured by {window!r}, the objective by {period!r}; give both the same window")
            else:
                known[name] = one
        return known

    def _terms(self, entry: Entry, currency: str | None) -> tuple[CreditTerms, str | None]:
        found = self._reader.mapping(entry, TERMS_KEYS, "terms like {weight: 60%}") or {}
        weight = read_share(self._reader, found["weight"]) if "weight" in found else Decimal(1)
        bands = None
        if "bands" in found:
            bands, currency = self._bands(found["bands"], currency)
        return CreditTerms(Decimal(1) if weight is None else weight, bands), currency

    def _earn_back(self, entry: Entry, objective: Objective) -> EarnBack | None:
        reader = self._reader
        found = reader.mapping(entry, EARN_BACK_KEYS, "terms like {periods: 3, at_least: 98%}")
        if found is None:
            return None
        if objective.period in ROLLING:
            reader.bad(entry, f"the objective's {objective.period!r} has no next period; write a calendar period there")
        periods = self._whole(found["periods"], 1, MOST_PERIODS) if "periods" in found else 1
        at_least = read_share(reader, found["at_least"]) if "at_least" in found else objective.target
        if at_least is None and "at_least" not in found:
            reader.bad(entry, "at_least is missing, and the objective has no target; write at_least: 98%")
        return None if at_least is None or periods is None else EarnBack(periods, at_least)

    def _whole(self, entry: Entry, low: int, high: int) -> int | None:
        def read(text: str) -> int:
            if _WHOLE.fullmatch(text) is None or not low <= int(text) <= high:
                raise ValueError(f"{text!r} is no whole number between {low} and {high}; write one, like {low}")
            return int(text)

        return self._reader.parsed(entry, read, f"a whole number between {low} and {high}")

    def _money(self, entry: Entry) -> tuple[Decimal, str] | None:
        def read(text: str) -> tuple[Decimal, str]:
            match = _MONEY.fullmatch(text)
            if match is None:
                raise ValueError(f"{text!r} is no amount; write a number and a currency, like 10000 EUR")
            return Decimal(match[1]), match[2]

        return self._reader.parsed(entry, read, "an amount like 10000 EUR")

    def _share_or_money(self, entry: Entry) -> tuple[Decimal | None, Decimal | None, str | None]:
        text = self._reader.text(entry, "a share like 5% or an amount like 500 EUR")
        if text is None:
            return None, None, None
        if "%" in text:
            return read_share(self._reader, entry), None, None
        money = self._money(entry)
        return (None, None, None) if money is None else (None, money[0], money[1])

    # ---- exclusions ----------------------------------------------------------------------------------------------

    def exclusions(self, entry: Entry, promised: Promised) -> tuple[Exclusion, ...]:
        what = "a list of exclusions like [{reason: strike, from: 2026-03-05T08:00:00+01:00, to: 2026-03-06T18:00:00+01:00}]"
        found = [self._exclusion(one, promised) for one in self._reader.sequence(entry, what) or []]
        return tuple(one for one in found if one is not None)

    def _exclusion(self, entry: Entry, promised: Promised) -> Exclusion | None:
        reader, before = self._reader, len(self._reader.problems)
        found = reader.mapping(entry, EXCLUSION_KEYS, "an exclusion with a reason")
        if found is None:
            return None
        reason = reader.text(found["reason"], "why it was agreed") if "reason" in found else None
        if "reason" not in found:
            reader.bad(entry, "reason is missing; write why it was agreed")
        if not {"from", "to", "tickets"} & set(found):
            reader.bad(entry, "leaves out everything for ever; write from and to, or tickets")
        start = self._instant(found["from"]) if "from" in found else None
        end = self._instant(found["to"]) if "to" in found else None
        if start is not None and end is not None and end <= start:
            reader.bad(found["to"], "does not lie after from; swap them")
        for one in (reader.texts(found["promises"], "a list of promises") or []) if "promises" in found else []:
            if one.node.value not in promised.windows:
                hint = nearest(str(one.node.value), promised.windows)
                reader.bad(one, f"no promise of the agreement is named {one.node.value!r}; {hint}name one")
        services, promises, tickets = (self._names(found.get(key)) for key in ("services", "promises", "tickets"))
        if len(reader.problems) > before or reason is None:
            return None
        return Exclusion(reason, start, end, services, promises, tickets)

    def _instant(self, entry: Entry) -> Instant | None:
        return self._reader.parsed(entry, parse_instant, "an instant like 2026-03-05T08:00:00+01:00")

    def _names(self, entry: Entry | None) -> frozenset[str] | None:
        if entry is None:
            return None
        return frozenset(str(one.node.value) for one in self._reader.texts(entry, "a list of names") or [])

    # ---- scope ---------------------------------------------------------------------------------------------------

    def scope(self, entry: Entry, objective: Objective) -> Scope | None:
        reader = self._reader
        found = reader.mapping(entry, SCOPE_KEYS, "a scope like {services: [mail], types: [incident]}")
        if found is None:
            return None
        usual = "month" if objective.period in ROLLING else objective.period
        period = reader.word(found["period"], PERIODS) if "period" in found else usual
        about = self._predicates.read_of_ticket(found["about"]) if "about" in found else None
        volumes = []
        for name, one in values(self._volumes(found.get("volumes"))):
            volume = self._volume(name, one)
            if volume is not None:
                volumes.append(volume)
        return Scope(
            period or usual, about, self._names(found.get("services")), self._names(found.get("types")), tuple(volumes)
        )

    def _volumes(self, entry: Entry | None) -> dict[str, Entry] | None:
        what = "volumes by name, like {incidents: {match: {type: incident}, low: 80, high: 120}}"
        return None if entry is None else self._reader.mapping(entry, None, what)

    def _volume(self, name: str, entry: Entry) -> Volume | None:
        reader = self._reader
        found = reader.mapping(entry, VOLUME_KEYS, "a volume like {match: {type: incident}, low: 80, high: 120}")
        if found is None:
            return None
        low, high = (self._whole(found[key], 0, 999_999_999) if key in found else None for key in ("low", "high"))
        if "low" not in found and "high" not in found:
            reader.bad(entry, "low and high are missing; write at least one of them")
        if low is not None and high is not None and high < low:
            reader.bad(found["high"], f"{high} is less than low, {low}; swap them")
        match = self._predicates.read_of_ticket(found["match"]) if "match" in found else None
        return Volume(name, match, low, high)

    # ---- of the whole policy -------------------------------------------------------------------------------------

    def ledger(self, entry: Entry) -> LedgerTerms:
        reader, rules = self._reader, list[HolderRule]()
        found = reader.mapping(
            entry, LEDGER_KEYS, "whose time it is, like {holders: [{when: {group: vendor}, party: provider}]}"
        )
        found = found or {}
        listed = found.get("holders")
        what = "a list of rules like [{when: {group: vendor}, party: provider}]"
        for one in (reader.sequence(listed, what) or []) if listed is not None else []:
            rule = self._holder(one)
            if rule is not None:
                rules.append(rule)
        names = "assignees" in found and reader.word(found["assignees"], ("true", "false")) == "true"
        return LedgerTerms(tuple(rules), names)

    def _holder(self, entry: Entry) -> HolderRule | None:
        reader = self._reader
        found = reader.mapping(entry, HOLDER_KEYS, "a rule like {when: {group: vendor}, party: provider}")
        if found is None:
            return None
        for key, example in (("when", "{group: vendor}"), ("party", "provider")):
            if key not in found:
                reader.bad(entry, f"{key} is missing; write {key}: {example}")
        when = self._predicates.read_of_ticket(found["when"]) if "when" in found else None
        party: Any = reader.word(found["party"], PARTIES) if "party" in found else None
        provider = reader.text(found["provider"], "the name of a provider") if "provider" in found else None
        if "provider" in found and party not in (None, "provider"):
            reader.bad(
                found["provider"], f"names a provider, but the party is {party}; write party: provider, or take it out"
            )
        return None if when is None or party is None else HolderRule(when, party, provider)

    def moods(self, entry: Entry) -> Moods:
        reader, usual = self._reader, Moods()
        found = reader.mapping(entry, EXPERIENCE_KEYS, "moods like {happy: 80%, unhappy: 40%}") or {}
        happy = read_share(reader, found["happy"]) if "happy" in found else usual.happy
        unhappy = read_share(reader, found["unhappy"]) if "unhappy" in found else usual.unhappy
        if happy is not None and unhappy is not None and unhappy >= happy:
            reader.bad(entry, "nobody is happy and unhappy at once; let unhappy be less than happy")
        return Moods(happy or usual.happy, unhappy if unhappy is not None else usual.unhappy)
