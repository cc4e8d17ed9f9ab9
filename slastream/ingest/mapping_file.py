"""A mapping file: YAML to the description of what becomes of a row, or every problem of it at once.

`slastream.ingest.mapping` makes the program that runs it.
"""

import codecs
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import yaml

from slastream.core.predicates import ALWAYS, Predicate
from slastream.errors import PolicyError
from slastream.ingest.field_text import ValueReader
from slastream.ingest.mapping_values import MAINTENANCE, MONITORING, TICKET, AnyName, Fields, Kind, shown
from slastream.wire.predicate_text import PredicateReader
from slastream.wire.yaml_nodes import Entry, Reader, line_of, parse, values

KEYS = ("format", "encoding", "delimiter", "timezone", "sort_by", "missing", "event", "events")
ROW_NUMBER = "@row"
FORMATS = ("csv", "jsonl", "json")


@dataclass(frozen=True, slots=True)
class Column:
    """A value taken from a column: then `parse`, `map` and `default`, the last two already of the field's type."""

    name: str
    parse: str | None
    map: Mapping[str, Any] | None
    default: Any  # ABSENT: none


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, with the path of its keys; a constant is already of its type."""

    path: tuple[str, ...]
    kind: Kind
    value: Column | Any


@dataclass(frozen=True, slots=True)
class EventDescription:
    """What one event of a row is made of. `required` are the fields without which it is refused."""

    fields: tuple[Field, ...]
    when: Predicate
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A whole mapping file."""

    format: str
    encoding: str
    delimiter: str
    zone: tzinfo
    sort_by: tuple[str, ...]
    missing: frozenset[str]
    events: tuple[EventDescription, ...]


def read_description(text: str | bytes, name: str) -> Description:
    """Raises PolicyError with every problem, a line each: `FILE:LINE: PATH: what is wrong; what to write instead`."""
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PolicyError(f"{name}:1: $: is no UTF-8; write the mapping as UTF-8") from None
    reader = _DescriptionReader()
    problems = reader.reader.problems
    root = parse(name, whole, problems, "format: and event:")
    description = None if root is None else reader.description(Entry(root, "$", line_of(root), name))
    if problems:
        raise PolicyError("\n".join(str(one) for one in sorted(problems, key=lambda one: (one.line, str(one)))))
    assert description is not None
    return description


class _DescriptionReader:
    """Reads the entries of the file; its `reader` collects what is wrong."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.values = ValueReader(self.reader)
        self.conditions = PredicateReader(self.reader, of_columns=True)

    # -- the file

    def description(self, root: Entry) -> Description | None:
        entries = self.reader.mapping(root, KEYS, "keys such as format: and event:")
        if entries is None:
            return None
        self.values.zone = self.values.timezone(entries.get("timezone"))
        return Description(
            format=self.format(entries.get("format")),
            encoding=self.encoding(entries.get("encoding")),
            delimiter=self.delimiter(entries.get("delimiter")),
            zone=self.values.zone,
            sort_by=self.texts(entries.get("sort_by"), "a column, or a list of columns", ()),
            missing=frozenset(self.texts(entries.get("missing"), 'a text, or a list such as ["?", ""]', ("",))),
            events=self.events(root, entries),
        )

    def format(self, entry: Entry | None) -> str:
        return "csv" if entry is None else self.reader.word(entry, FORMATS) or "csv"

    def encoding(self, entry: Entry | None) -> str:
        return (
            "utf-8" if entry is None else self.reader.parsed(entry, _encoding, "an encoding such as utf-8") or "utf-8"
        )

    def delimiter(self, entry: Entry | None) -> str:
        text = "," if entry is None else self.values.plain(entry) or ""
        if len(text) == 1 and text not in '"\r\n':
            return text
        if entry is not None:
            self.reader.bad(entry, f'is {shown(text)}; write one character, such as ";" or "\\t"')
        return ","

    def texts(self, entry: Entry | None, what: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts, or one text for a list of one; they may be empty."""
        if entry is None:
            return default
        found = self.reader.sequence(entry, what, allow_one=True) or []
        return tuple(text for text in map(self.values.plain, found) if text is not None)

    def events(self, root: Entry, entries: Mapping[str, Entry]) -> tuple[EventDescription, ...]:
        one, several = entries.get("event"), entries.get("events")
        if one is not None and several is not None:
            self.reader.bad(several, "is given besides `event`; write one of the two")
            return ()
        if one is None and several is None:
            self.reader.bad(root, "lacks `event`; write what becomes of a row, beginning with its ticket_id or service")
            return ()
        found = [one] if several is None else self.reader.sequence(several, "a list, a `-` before each event") or []
        if several is not None and not found:
            self.reader.bad(several, "has no event; write a `-` before each event")
        read = [self.event(entry) for entry in found if entry is not None]
        return tuple(event for event in read if event is not None)

    # -- an event

    def event(self, entry: Entry) -> EventDescription | None:
        shape = self.shape(entry, _names(entry))
        if shape is None:
            return None
        known, required = shape
        entries = self.reader.mapping(entry, (*known, "when"), "fields such as ticket_id: {column: NAME}") or {}
        for name in required:
            if name not in entries:
                self.reader.bad(entry, f"lacks `{name}`; write {name}: {{column: …}}")
        when = self.conditions.read(entries.pop("when")) if "when" in entries else None
        return EventDescription(tuple(self.fields(entries, known, ())), when or ALWAYS, required)

    def shape(self, entry: Entry, names: Collection[str]) -> tuple[Fields, tuple[str, ...]] | None:
        """The fields that such an event can have, and those that it must."""
        if "maintenance_id" in names:
            ends = () if "withdrawn" in names else ("start", "end")
            return MAINTENANCE, ("maintenance_id", "service", "occurred_at", *ends)
        if "ticket_id" in names or "ticket" in names:
            return TICKET, ("ticket_id", "occurred_at")
        if "counts" in names or "latency_ms" in names:
            return MONITORING, ("service", "occurred_at")
        if "state" in names:
            return MONITORING, ("service", "occurred_at", "state")
        self.reader.bad(
            entry, "lacks what names its kind; write ticket_id, or service with state or counts, or maintenance_id"
        )
        return None

    def fields(self, entries: Mapping[str, Entry], known: Fields, above: tuple[str, ...]) -> Iterator[Field]:
        for name, entry in entries.items():
            match known[name]:
                case Kind() as kind:
                    yield Field((*above, name), kind, self.value(entry, kind))
                case AnyName(kind=kind):
                    for key, inner in values(self.reader.mapping(entry, None, "names with their values")):
                        yield Field((*above, name, key), kind, self.value(inner, kind))
                case nested:
                    inside = self.reader.mapping(entry, tuple(nested), f"an object with fields of {name}") or {}
                    yield from self.fields(inside, nested, (*above, name))

    def value(self, entry: Entry, kind: Kind) -> Column | Any:
        if not isinstance(entry.node, yaml.MappingNode):
            return self.values.constant(entry, kind)
        found = self.values.column(entry, kind)
        if len(found.names) > 1:
            self.reader.bad(entry, "has several columns; name one")
        return Column("".join(found.names[:1]), found.parse, found.map, found.default)


def _names(entry: Entry) -> frozenset[str]:
    pairs = entry.node.value if isinstance(entry.node, yaml.MappingNode) else ()
    return frozenset(str(key.value) for key, _ in pairs if isinstance(key, yaml.ScalarNode))


def _encoding(text: str) -> str:
    try:
        found = codecs.lookup(text)
        is_of_text = found._is_text_encoding
    except (LookupError, ValueError):
        is_of_text = False
    if not is_of_text:
        raise ValueError(f"no encoding is named {shown(text)}; write one such as utf-8 or cp1252")
    return found.name
