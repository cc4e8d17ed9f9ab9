"""Conditions of a policy: YAML to predicates, and what can be said about two of them without a ticket (contract 2)."""

import fnmatch
from collections.abc import Collection

import yaml

from slastream.core.events import AUTHORS, STATUSES, TICKET_EVENT_TYPES
from slastream.core.predicates import (
    ALWAYS,
    EVENT_NAMES,
    All,
    AnyOf,
    Changed,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
    Scalar,
    looks_at_event,
)
from slastream.wire.yaml_nodes import Entry, Reader, below, is_null, line_of, nearest, scalar, shown

ATTRIBUTES = (
    "service", "status", "status_name", "priority", "type", "customer", "provider", "team", "group", "assignee", "requester",
    "opened_by", "title", "tags",
)  # fmt: skip
OPERATORS = ("not", "glob", "gt", "gte", "lt", "lte", "exists")
COMBINING = ("any", "all", "not", "changed")
_WORDS: dict[str, Collection[str]] = {
    "status": STATUSES,
    "opened_by": AUTHORS,
    "message.author": AUTHORS,
    "event.type": TICKET_EVENT_TYPES,
}
_SWITCHES = ("message.public", "message.automatic")


class PredicateReader:
    """Reads conditions with a `Reader`, which notes the problems.

    `of_columns`: on the columns of a foreign file, whose names are free and whose values are text.
    """

    def __init__(self, reader: Reader, of_columns: bool = False) -> None:
        self.reader = reader
        self.of_columns = of_columns

    def read(self, entry: Entry) -> Predicate | None:
        """A mapping: everything in it is required. None after a problem."""
        if is_null(entry.node):  # not `always`: a forgotten value must not match everything
            self.reader.bad(entry, "is nothing; write a condition like {status: [pending, hold]}, or leave the key out")
            return None
        before = len(self.reader.problems)
        found = self.reader.mapping(entry, None, "a condition like {status: [pending, hold]}")
        if found is None:
            return None
        parts = [self._part(name, one) for name, one in found.items()]
        if len(self.reader.problems) > before or any(part is None for part in parts):
            return None
        known = tuple(part for part in parts if part is not None)
        return known[0] if len(known) == 1 else All(known)

    def read_of_ticket(self, entry: Entry) -> Predicate | None:
        """A condition that is asked of the ticket alone, without an event."""
        found = self.read(entry)
        if found is not None and looks_at_event(found):
            self.reader.bad(
                entry,
                "looks at an event, but is asked of the ticket alone, so it says nothing; write conditions on attributes",
            )
            return None
        return found

    def _part(self, name: str, entry: Entry) -> Predicate | None:
        match name:
            case "any" | "all":
                parts = self._parts(entry)
                return None if parts is None else (AnyOf(parts) if name == "any" else All(parts))
            case "not":
                part = self.read(entry)
                return None if part is None else Not(part)
            case "changed" if not self.of_columns:
                names = self.reader.texts(entry, "attributes like [priority]")
                if names is None:
                    return None
                good = [str(one.node.value) for one in names if self.is_attribute(str(one.node.value), one)]
                return Changed(frozenset(good)) if len(good) == len(names) else None
            case "event" | "message" | "fields" if isinstance(entry.node, yaml.MappingNode) and not self.of_columns:
                inner = self.reader.mapping(entry, None, f"conditions on {name}") or {}
                parts_in = [
                    self._attribute(f"{name}.{key}", one._replace(path=below(entry.path, key)))
                    for key, one in inner.items()
                ]
                if any(part is None for part in parts_in):
                    return None
                return All(tuple(part for part in parts_in if part is not None))
            case _:
                return self._attribute(name, entry)

    def _parts(self, entry: Entry) -> tuple[Predicate, ...] | None:
        entries = self.reader.sequence(entry, "a list of conditions")
        if entries is None:
            return None
        if not entries:
            self.reader.bad(entry, "is an empty list; write at least one condition")
            return None
        parts = [self.read(one) for one in entries]
        return None if any(part is None for part in parts) else tuple(part for part in parts if part is not None)

    def is_attribute(self, name: str, entry: Entry) -> bool:
        if (
            self.of_columns
            or name in ATTRIBUTES
            or name in EVENT_NAMES
            or (name.startswith("fields.") and len(name) > len("fields."))
        ):
            return True
        known = [*ATTRIBUTES, *EVENT_NAMES, *COMBINING]
        self.reader.bad(
            entry,
            f"unknown attribute {name!r}; {nearest(name, known)}it may be one of: {', '.join(known)}, or fields.NAME",
        )
        return False

    def _attribute(self, name: str, entry: Entry) -> Predicate | None:
        if not self.is_attribute(name, entry):
            return None
        node = entry.node
        if isinstance(node, yaml.MappingNode):
            return self._operators(name, entry)
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not nodes:
            self.reader.bad(entry, "is an empty list, which nothing equals; write the values")
            return None
        found: list[Scalar] = []
        for index, one in enumerate(nodes):
            if not isinstance(one, yaml.ScalarNode) or is_null(one):
                place = entry if one is node else Entry(one, f"{entry.path}[{index}]", line_of(one), entry.file)
                self.reader.bad(
                    place, f"is {'null' if is_null(one) else shown(one)}; write a value, or {{exists: false}}"
                )
                return None
            value = scalar(one)
            if self.of_columns:
                found.append(str(one.value))
                continue
            if name not in EVENT_NAMES and not name.startswith("fields.") and isinstance(value, bool | int | float):
                value = str(one.value)
            if name in _SWITCHES and not isinstance(value, bool):
                self.reader.bad(entry, f"{value!r} is not what {name} may be; write true or false")
                return None
            words = _WORDS.get(name)
            if words is not None and value not in words:
                self.reader.bad(
                    entry,
                    f"{value!r} is no {name}, so this can never hold; {nearest(str(value), words)}"
                    f"write one of: {', '.join(words)}",
                )
                return None
            found.append(value)
        return Equals(name, frozenset(found))

    def _operators(self, name: str, entry: Entry) -> Predicate | None:
        before = len(self.reader.problems)
        found = self.reader.mapping(
            entry, OPERATORS, "an operator like {not: P4}, {glob: 'db-*'}, {gte: 3}, {exists: true}"
        )
        if found is None:
            return None
        if not found:
            if isinstance(entry.node, yaml.MappingNode) and not entry.node.value:
                self.reader.bad(entry, f"is empty; write a value, or an operator: {', '.join(OPERATORS)}")
            return None
        parts = [self._operator(name, operator, one) for operator, one in found.items()]
        if len(self.reader.problems) > before or any(part is None for part in parts):
            return None
        known = tuple(part for part in parts if part is not None)
        return known[0] if len(known) == 1 else All(known)

    def _operator(self, name: str, operator: str, entry: Entry) -> Predicate | None:
        match operator:
            case "not":
                inner = self._attribute(name, entry)
                return None if inner is None else Not(inner)
            case "glob":
                text = self.reader.text(entry, "a pattern like 'db-*'")
                if text is not None and len(text) > 200:
                    self.reader.bad(entry, "a pattern has at most 200 characters; write a shorter one")
                    return None
                return None if text is None else Glob(name, text)
            case "exists":
                value = scalar(entry.node) if isinstance(entry.node, yaml.ScalarNode) else None
                if not isinstance(value, bool):
                    self.reader.bad(entry, f"is {shown(entry.node)}; write true or false")
                    return None
                return Exists(name, value)
            case _:
                if not self.of_columns and not name.startswith("fields."):
                    self.reader.bad(
                        entry, f"compares numbers, but {name} is text, so it never holds; write its values as a list"
                    )
                    return None
                value = scalar(entry.node) if isinstance(entry.node, yaml.ScalarNode) else None
                if not isinstance(value, int | float) or isinstance(value, bool):
                    self.reader.bad(entry, f"is {shown(entry.node)}; write a number")
                    return None
                return Compare(name, operator, value)


def implies(one: Predicate, other: Predicate) -> bool:
    """Does `other` hold wherever `one` does? False where it cannot be told."""
    if one == other:
        return True
    if isinstance(other, All):
        return all(implies(one, part) for part in other.parts)
    if isinstance(one, AnyOf):
        return all(implies(part, other) for part in one.parts)
    if isinstance(other, AnyOf):
        return any(implies(one, part) for part in other.parts)
    if isinstance(one, All):
        return any(implies(part, other) for part in one.parts)
    if isinstance(one, Equals) and isinstance(other, Equals):
        return one.name == other.name and one.values <= other.values
    if isinstance(one, Equals | Glob | Compare) and isinstance(other, Exists):
        return one.name == other.name and other.expected
    return False


def excludes(one: Predicate, other: Predicate) -> bool:
    """Do the two name one attribute with no value in common, so that no ticket has both?"""
    if isinstance(one, AnyOf):
        return all(excludes(part, other) for part in one.parts)
    if isinstance(other, AnyOf):
        return all(excludes(one, part) for part in other.parts)
    if isinstance(one, All):
        return any(excludes(part, other) for part in one.parts)
    if isinstance(other, All):
        return any(excludes(one, part) for part in other.parts)
    return _rules_out(one, other) or _rules_out(other, one)


def _rules_out(one: Predicate, other: Predicate) -> bool:
    """`excludes` for two conditions on one attribute each. A ticket may have several tags."""
    match one, other:
        case Equals(name=name, values=values), Equals(name=same, values=others):
            return name == same and name != "tags" and values.isdisjoint(others)
        case Equals(name=name, values=values), Glob(name=same, pattern=pattern):
            return name == same and name != "tags" and not any(_fits(value, pattern) for value in values)
        case Exists(name=name, expected=False), Equals(name=same) | Glob(name=same) | Compare(name=same):
            return name == same
        case Exists(name=name, expected=expected), Exists(name=same, expected=other_expected):
            return name == same and expected is not other_expected
        case Not(part=part), _:
            return implies(other, part)
        case _:
            return False


def _fits(value: Scalar, pattern: str) -> bool:
    return isinstance(value, str) and fnmatch.fnmatchcase(value, pattern)


def is_never(predicate: Predicate) -> bool:
    """Does it ask for two values of one attribute at once? Only a list (`tags`, a field) can have both."""
    match predicate:
        case All(parts=parts):
            seen: dict[str, frozenset[Scalar]] = {}
            for part in parts:
                if isinstance(part, Equals) and part.name != "tags" and not part.name.startswith("fields."):
                    if part.name in seen and not (seen[part.name] & part.values):
                        return True
                    seen[part.name] = seen.get(part.name, part.values) & part.values
            return any(map(is_never, parts))
        case AnyOf(parts=parts):
            return all(map(is_never, parts))
        case Not(part=part):
            return part == ALWAYS
        case _:
            return False
