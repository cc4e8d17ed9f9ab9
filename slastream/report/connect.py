"""`slastream connect`: what an adapter makes of a payload that was saved, field by field, and what the promises of a policy lack.

A promise needs attributes (its conditions ask for them) and news (messages, states, counts). Each of these is in this payload, or
may be in another one, or is never told by this adapter.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from slastream.core.policies import Agreement, ClockPromise, Policy, ServicePromise
from slastream.core.predicates import All, AnyOf, Equals, Predicate, attributes_of, looks_at_event
from slastream.ingest.adapters import Adapter, AdapterOptions, Translation

SERVICE_GIVES = frozenset({"customer", "provider", "team"})
"""Attributes that the policy's own list of services gives as well."""

NEEDS = {
    "first_response": ("message", "status"),
    "next_response": ("message", "status"),
    "periodic_update": ("message", "status"),
    "assignment": ("assignee", "status"),
    "resolution": ("status",),
    "closure": ("status",),
    "requester_wait": ("status",),
    "agent_work": ("status",),
    "ownership": ("group", "status"),
    "custom": (),
    "availability": ("state",),
    "latency": ("latency_ms",),
    "success": ("counts",),
}
"""What the metric itself looks at: an attribute of the ticket, or news."""

NEWS = frozenset({"message", "state", "latency_ms", "counts"})
_WIDTH = 24


class Check(NamedTuple):
    """The lines to print, and whether every record of the payload could be used."""

    lines: tuple[str, ...]
    is_fine: bool


def check_payload(
    adapter: Adapter, payload: bytes, headers: Mapping[str, str], options: AdapterOptions, policy: Policy | None
) -> Check:
    found = adapter.events(payload, headers, options)
    lines = [*_records(found), *_counts(found)]
    if policy is not None:
        lines += _promises(adapter, options, found, policy)
    return Check(tuple(lines), not found.refused)


# ---- the payload


def _records(found: Translation) -> Iterator[str]:
    refused = {one.record: one for one in found.refused}
    numbers = sorted({*found.records, *refused})
    for number in numbers:
        if number in refused:
            one = refused[number]
            yield f"record {number}: refused, {one.reason}: {one.path} {one.message}"
        for event, record, origins in zip(found.events, found.records, found.origins, strict=True):
            if record == number:
                yield f"record {number}: {_title(event)}"
                yield from (
                    f"  {path:{_WIDTH}} {_shown(value):{_WIDTH}} {origins.get(path, '')}".rstrip()
                    for path, value in _flat(event)
                )


def _title(event: Mapping[str, Any]) -> str:
    if "ticket_id" in event:
        return f"ticket {event['ticket_id']}, {event.get('type', 'changed')}, at {event['occurred_at']}"
    if "maintenance_id" in event:
        return f"maintenance {event['maintenance_id']} of {event['service']}"
    return f"service {event['service']}, {event.get('state', 'counts')}, at {event['occurred_at']}"


def _counts(found: Translation) -> Iterator[str]:
    for reason, count in sorted(found.ignored.items()):
        yield f"ignored: {count} {reason}"
    if found.lost:
        yield f"lost: {found.lost}, by the word of the sender"
    if not (found.events or found.refused or found.ignored):
        yield "the payload has no record"


def _flat(event: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    match value:
        case None:
            return "(cleared)"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


# ---- the promises


def _promises(adapter: Adapter, options: AdapterOptions, found: Translation, policy: Policy) -> Iterator[str]:
    here = _news(found.events)
    told = _told(adapter, options)
    for agreement in policy.agreements:
        promises: tuple[ClockPromise | ServicePromise, ...] = (*agreement.clock_promises, *agreement.service_promises)
        for promise in promises:
            lacking = list(_lacking(agreement, promise, adapter, here, told))
            yield f"{agreement.name}/{promise.name} ({promise.metric}): {'has its data' if not lacking else 'lacks'}"
            yield from (f"  {line}" for line in lacking)


def _lacking(
    agreement: Agreement,
    promise: ClockPromise | ServicePromise,
    adapter: Adapter,
    here: Mapping[str, set[Any]],
    told: frozenset[str] | None,
) -> Iterator[str]:
    if promise.metric in adapter.lacks:
        yield f"{promise.metric}: never sent by {adapter.name}: {adapter.lacks[promise.metric]}"
        return
    kind = "ticket" if isinstance(promise, ClockPromise) else "monitoring"
    if adapter.kind != kind and not adapter.passes_events:
        yield f"everything: {adapter.name} tells of {'services' if kind == 'ticket' else 'tickets'} only"
        return
    asked = _asked(agreement, promise)
    for name in sorted({*NEEDS[promise.metric], *asked}):
        if name in here:
            words = asked.get(name, set())
            if words and here[name].isdisjoint(words):
                seen = ", ".join(sorted(map(_shown, here[name])))
                yield f"{name}: here {seen}; the policy asks for {', '.join(sorted(map(str, words)))}"
        elif told is not None and name not in told and name not in SERVICE_GIVES:
            yield f"{name}: never sent by {adapter.name}" + ("" if name in NEWS else "; name its column in the options")
        elif name not in SERVICE_GIVES:
            yield f"{name}: not in this payload; {adapter.name} tells it in others"


def _asked(agreement: Agreement, promise: ClockPromise | ServicePromise) -> dict[str, set[Any]]:
    """The attributes that conditions of the promise read, with the words that they compare with."""
    predicates: list[Predicate] = [agreement.match]
    if isinstance(promise, ClockPromise):
        predicates += [rule.when for rule in promise.targets if rule.when is not None]
        own = (promise.start, promise.stop, promise.reset, promise.cancel, promise.pause, promise.resume)
        predicates += [one for one in own if one is not None]
    asked: dict[str, set[Any]] = {}
    for predicate in predicates:
        for name in attributes_of(predicate):
            asked.setdefault(name, set())
    every_target = isinstance(promise, ClockPromise) and any(rule.when is None for rule in promise.targets)
    for predicate in [agreement.match] if every_target else predicates:
        for one in _equalities(predicate):
            asked.setdefault(one.name, set()).update(one.values)
    for name in [name for name in asked if name.startswith(("message.", "event."))]:
        del asked[name]
    if any(looks_at_event(one) for one in predicates):
        asked.setdefault("message", set())
    if not isinstance(promise, ClockPromise):
        asked = {name: words for name, words in asked.items() if name in {"service", *SERVICE_GIVES}}
    return asked


def _equalities(predicate: Predicate) -> Iterator[Equals]:
    match predicate:
        case Equals():
            yield predicate
        case All(parts=parts) | AnyOf(parts=parts):
            for part in parts:
                yield from _equalities(part)
        case _:
            pass


def _news(events: Iterable[Mapping[str, Any]]) -> dict[str, set[Any]]:
    """What the events say: attributes of tickets and news, with their values."""
    found: dict[str, set[Any]] = {}
    for event in events:
        for name in ("message", "counts", "latency_ms"):
            if name in event:
                found.setdefault(name, set())
        for name in ("state", "service"):
            if name in event:
                found.setdefault(name, set()).add(event[name])
        for path, value in _flat(event.get("ticket", {})):
            if value is not None:
                found.setdefault(path, set()).update(value if isinstance(value, list) else [value])
    return found


def _told(adapter: Adapter, options: AdapterOptions) -> frozenset[str] | None:
    """What the adapter can say at all; None: anything."""
    if adapter.passes_events:
        return None
    paths = {path.removeprefix("ticket.") for path in (*adapter.fields, *options.fields)}
    return frozenset(paths | ({"message"} if adapter.messages else set()))
