"""Predicates of the policy, over a ticket and over an event."""

import fnmatch
from typing import Any

Json = dict[str, Any]
EVENT_WORDS = ("event", "message", "changed")


def holds(predicate: Json, ticket: Json, event: Json) -> bool:
    """Does a predicate hold for the ticket after the event, and for the event itself?

    `event` is `{"type", "message", "changed"}`; an empty one stands for no event at all.
    """
    return all(_one(name, want, ticket, event) for name, want in predicate.items())


def looks_at_event(predicate: Json) -> bool:
    """Does any part of it speak about the event?"""
    for name, want in predicate.items():
        if name in ("any", "all"):
            if any(map(looks_at_event, want)):
                return True
        elif name == "not":
            if looks_at_event(want):
                return True
        elif name.split(".")[0] in EVENT_WORDS:
            return True
    return False


def _one(name: str, want: Any, ticket: Json, event: Json) -> bool:
    if name == "all":
        return all(holds(p, ticket, event) for p in want)
    if name == "any":
        return any(holds(p, ticket, event) for p in want)
    if name == "not":
        return not holds(want, ticket, event)
    if name == "changed":
        return any(attribute in event.get("changed", ()) for attribute in ([want] if isinstance(want, str) else want))
    if name in ("event", "message"):
        return all(_one(f"{name}.{key}", value, ticket, event) for key, value in want.items())
    head, _, rest = name.partition(".")
    if head == "event":
        return _value(event.get(rest), want)
    if head == "message":
        return _value((event.get("message") or {}).get(rest), want)
    if head == "fields":
        return _value((ticket.get("fields") or {}).get(rest), want)
    return _value(ticket.get(name), want)


def _value(value: Any, want: Any) -> bool:
    if isinstance(value, list) and not (isinstance(want, dict) and "exists" in want):
        return any(_value(item, want) for item in value)
    if isinstance(want, list):
        return any(_value(value, item) for item in want)
    if isinstance(want, dict):
        return all(_operator(value, word, operand) for word, operand in want.items())
    return bool(value is not None and value == want)


def _operator(value: Any, word: str, operand: Any) -> bool:
    match word:
        case "exists":
            return bool((value is not None) == operand)
        case "not":
            return not _value(value, operand)
        case "glob":
            return isinstance(value, str) and fnmatch.fnmatchcase(value, operand)
        case "gt" | "gte" | "lt" | "lte":
            if value is None:
                return False
            return bool(
                {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}[word]
            )
    raise AssertionError(word)
