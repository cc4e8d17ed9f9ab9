"""Conditions over a ticket after an event and over the event itself: a small tree, compiled once to a closure.

A predicate that names only attributes of the ticket is *static*: it changes only when one of them does. One that looks at
the event (`event.type`, `message.author`, `changed`) is asked on every event (semantics 4.2).
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from slastream.core.events import TicketEvent

Holds = Callable[[Mapping[str, Any], TicketEvent | None, Collection[str]], bool]
"""(the ticket's attributes, the event or None, the names of the attributes that it changed) -> bool"""

EVENT_NAMES = ("event.type", "event.source", "message.author", "message.public", "message.automatic")
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equals:
    """The attribute (or one value of a list) is one of `values`; an absent attribute equals nothing."""

    name: str
    values: frozenset[Scalar]


@dataclass(frozen=True, slots=True)
class Glob:
    """The attribute (or one value of a list) matches a shell pattern, case-sensitively."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Compare:
    """The attribute is a number and `operator` (`gt`, `gte`, `lt`, `lte`) holds for it."""

    name: str
    operator: str
    number: int | float


@dataclass(frozen=True, slots=True)
class Exists:
    """The attribute is there (or not)."""

    name: str
    expected: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """The event changed one of these attributes."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Predicate", ...]


Predicate = Equals | Glob | Compare | Exists | Changed | Not | All | AnyOf

ALWAYS = All(())
NEVER = AnyOf(())


def attributes_of(predicate: Predicate) -> frozenset[str]:
    """Names of the ticket's attributes that it reads (not those of the event)."""
    match predicate:
        case Equals(name=name) | Glob(name=name) | Compare(name=name) | Exists(name=name):
            return frozenset() if name in EVENT_NAMES else frozenset({name})
        case Changed():
            return frozenset()
        case Not(part=part):
            return attributes_of(part)
        case All(parts=parts) | AnyOf(parts=parts):
            return frozenset().union(*map(attributes_of, parts))


def looks_at_event(predicate: Predicate) -> bool:
    match predicate:
        case Equals(name=name) | Glob(name=name) | Compare(name=name) | Exists(name=name):
            return name in EVENT_NAMES
        case Changed():
            return True
        case Not(part=part):
            return looks_at_event(part)
        case All(parts=parts) | AnyOf(parts=parts):
            return any(map(looks_at_event, parts))


def compile_predicate(predicate: Predicate) -> Holds:
    match predicate:
        case Equals(name=name, values=values):
            return _equals(name, values)
        case Glob(name=name, pattern=pattern):
            matches = re.compile(fnmatch.translate(pattern)).match
            return _some(name, lambda value: isinstance(value, str) and matches(value) is not None)
        case Compare(name=name, operator=operator, number=number):
            return _some(name, _comparison(operator, number))
        case Exists(name=name, expected=expected):
            get = _getter(name)
            return lambda attributes, event, _changed: (get(attributes, event) is not None) is expected
        case Changed(names=names):
            return lambda _attributes, _event, changed: not names.isdisjoint(changed)
        case Not(part=part):
            inner = compile_predicate(part)
            return lambda attributes, event, changed: not inner(attributes, event, changed)
        case All(parts=parts):
            held = tuple(map(compile_predicate, parts))
            if len(held) == 1:
                return held[0]
            return lambda attributes, event, changed: all(h(attributes, event, changed) for h in held)
        case AnyOf(parts=parts):
            held = tuple(map(compile_predicate, parts))
            return lambda attributes, event, changed: any(h(attributes, event, changed) for h in held)


def _equals(name: str, values: frozenset[Scalar]) -> Holds:
    if name in EVENT_NAMES or any(isinstance(value, bool) for value in values):
        return _some(
            name, lambda value: any(value == v and isinstance(value, bool) is isinstance(v, bool) for v in values)
        )

    def holds(attributes: Mapping[str, Any], _event: TicketEvent | None, _changed: Collection[str]) -> bool:
        value = attributes.get(name)
        if value.__class__ is list:
            return not values.isdisjoint(value)
        return value in values and not isinstance(value, bool)

    return holds


def _some(name: str, accepts: Callable[[Any], bool]) -> Holds:
    get = _getter(name)

    def holds(attributes: Mapping[str, Any], event: TicketEvent | None, _changed: Collection[str]) -> bool:
        value = get(attributes, event)
        if isinstance(value, list):
            return any(map(accepts, value))
        return value is not None and accepts(value)

    return holds


def _getter(name: str) -> Callable[[Mapping[str, Any], TicketEvent | None], Any]:
    match name:
        case "event.type":
            return lambda _attributes, event: None if event is None else event.type
        case "event.source":
            return lambda _attributes, event: None if event is None else event.source
        case "message.author":
            return lambda _attributes, event: None if event is None or event.message is None else event.message.author
        case "message.public":
            return lambda _attributes, event: (
                None if event is None or event.message is None else event.message.is_public
            )
        case "message.automatic":
            return lambda _attributes, event: (
                None if event is None or event.message is None else event.message.is_automatic
            )
        case _:
            return lambda attributes, _event: attributes.get(name)


def _comparison(operator: str, number: int | float) -> Callable[[Any], bool]:
    def is_number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    match operator:
        case "gt":
            return lambda value: is_number(value) and value > number
        case "gte":
            return lambda value: is_number(value) and value >= number
        case "lt":
            return lambda value: is_number(value) and value < number
        case _:
            return lambda value: is_number(value) and value <= number
