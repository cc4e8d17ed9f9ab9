"""A mapping file: YAML to the description of what becomes of a row, or every problem of it at once.

`slastream.ingest.mapping` makes the program that runs it.
"""

import codecs
import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from slastream.core.predicates import ALWAYS, All, AnyOf, Compare, Equals, Exists, Glob, Not, Predicate
from slastream.errors import PolicyError
from slastream.ingest.mapping_values import (
    EPOCH_FORMATS,
    INSTANT,
    MAINTENANCE,
    MONITORING,
    SCALAR,
    TAGS,
    TICKET,
    AnyName,
    Fields,
    Kind,
    instant_parser,
    shown,
)

ROW_NUMBER = "@row"
FORMATS = ("csv", "jsonl", "json")
ABSENT: Any = type("Absent", (), {"__repr__": lambda _self: "ABSENT"})()
"""Instead of a value: leave the field out."""


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
    reader = _Reader(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        description = None if node is None else reader.description(node)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).split("\n")[0] or "nested too deep"
        raise PolicyError(f"{name}:{mark.line + 1 if mark else 1}: $: is no YAML: {what}; write valid YAML") from None
    if node is None:
        raise PolicyError(f"{name}:1: $: is empty; write format: and event:")
    if reader.problems:
        raise PolicyError("\n".join(text for _, text in sorted(reader.problems)))
    assert description is not None
    return description


@dataclass(slots=True)
class _Reader:
    """Walks the nodes of the file and collects what is wrong."""

    name: str
    problems: list[tuple[int, str]] = field(default_factory=list)
    zone: tzinfo = UTC

    # -- the file

    def description(self, root: yaml.Node) -> Description | None:
        entries = self.entries(root, "$")
        if entries is None:
            return None
        known = ("format", "encoding", "delimiter", "timezone", "sort_by", "missing", "event", "events")
        self.check_names(entries, known, "")
        self.zone = self.timezone(entries.get("timezone"))
        return Description(
            format=self.word(entries, "format", FORMATS, "csv"),
            encoding=self.encoding(entries.get("encoding")),
            delimiter=self.delimiter(entries.get("delimiter")),
            zone=self.zone,
            sort_by=self.texts(entries.get("sort_by"), "sort_by", ()),
            missing=frozenset(self.texts(entries.get("missing"), "missing", ("",))),
            events=self.events(root, entries),
        )

    def timezone(self, node: yaml.Node | None) -> tzinfo:
        text = "UTC" if node is None else self.text(node, "timezone")
        if text in (None, "UTC", "Etc/UTC"):
            return UTC
        try:
            return ZoneInfo(text)
        except (ValueError, OSError, LookupError):
            self.problem(node, "timezone", f"no time zone is named {shown(text)}; write one such as Europe/Berlin")
            return UTC

    def encoding(self, node: yaml.Node | None) -> str:
        text = "utf-8" if node is None else self.text(node, "encoding")
        try:
            found = codecs.lookup(text or "utf-8")
            is_of_text = found._is_text_encoding
        except (LookupError, ValueError):
            is_of_text = False
        if not is_of_text:
            self.problem(
                node, "encoding", f"no encoding is named {shown(text or '')}; write one such as utf-8 or cp1252"
            )
            return "utf-8"
        return found.name

    def delimiter(self, node: yaml.Node | None) -> str:
        text = "," if node is None else self.text(node, "delimiter") or ","
        if len(text) != 1 or text in '"\r\n':
            self.problem(node, "delimiter", f'is {shown(text)}; write one character, such as ";" or "\\t"')
            return ","
        return text

    def events(self, root: yaml.Node, entries: Mapping[str, yaml.Node]) -> tuple[EventDescription, ...]:
        one, several = entries.get("event"), entries.get("events")
        if one is not None and several is not None:
            self.problem(several, "events", "is given besides `event`; write one of the two")
        elif one is not None:
            return tuple(self.event(one, "event"))
        elif several is None:
            self.problem(
                root, "$", "lacks `event`; write what becomes of a row, beginning with its ticket_id or service"
            )
        elif not isinstance(several, yaml.SequenceNode) or not several.value:
            self.problem(several, "events", "is no list; write a `-` before each event")
        else:
            return tuple(e for i, node in enumerate(several.value) for e in self.event(node, f"events[{i}]"))
        return ()

    # -- an event

    def event(self, node: yaml.Node, path: str) -> Iterator[EventDescription]:
        entries = self.entries(node, path)
        if entries is None:
            return
        when_node = entries.pop("when", None)
        when = ALWAYS if when_node is None else self.predicate(when_node, f"{path}.when")
        shape = self.shape(node, entries, path)
        if shape is None:
            return
        known, required = shape
        for name in required:
            if name not in entries:
                self.problem(node, path, f"lacks `{name}`; write {name}: {{column: …}}")
        fields = tuple(self.fields(entries, known, path, ()))
        yield EventDescription(fields, when, required)

    def shape(self, node: yaml.Node, names: Collection[str], path: str) -> tuple[Fields, tuple[str, ...]] | None:
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
        self.problem(
            node, path, "lacks what names its kind; write ticket_id, or service with state or counts, or maintenance_id"
        )
        return None

    def fields(
        self, entries: Mapping[str, yaml.Node], known: Fields, path: str, above: tuple[str, ...]
    ) -> Iterator[Field]:
        self.check_names(entries, (*known, *(() if above else ("when",))), path)
        for name, node in entries.items():
            match known.get(name):
                case None:
                    pass
                case Kind() as kind:
                    yield Field((*above, name), kind, self.value(node, kind, f"{path}.{name}"))
                case AnyName(kind=kind):
                    for key, inner in (self.entries(node, f"{path}.{name}") or {}).items():
                        yield Field((*above, name, key), kind, self.value(inner, kind, f"{path}.{name}.{key}"))
                case nested:
                    inside = self.entries(node, f"{path}.{name}")
                    if inside is not None:
                        yield from self.fields(inside, nested, f"{path}.{name}", (*above, name))

    def value(self, node: yaml.Node, kind: Kind, path: str) -> Column | Any:
        if not isinstance(node, yaml.MappingNode):
            return self.constant(node, kind, path)
        entries = self.entries(node, path) or {}
        self.check_names(entries, ("column", "parse", "map", "default"), path)
        if "column" not in entries:
            self.problem(node, path, "lacks `column`; write {column: NAME}, or a constant")
        parse = self.parse(entries.get("parse"), kind, f"{path}.parse")
        pairs = None if "map" not in entries else self.entries(entries["map"], f"{path}.map")
        return Column(
            name=(self.text(entries["column"], f"{path}.column") or "") if "column" in entries else "",
            parse=parse,
            map=None if pairs is None else {k: self.constant(v, kind, f"{path}.map.{k}") for k, v in pairs.items()},
            default=self.constant(entries["default"], kind, f"{path}.default") if "default" in entries else ABSENT,
        )

    def constant(self, node: yaml.Node, kind: Kind, path: str) -> Any:
        """A value of the field's type; ABSENT for a null that means nothing there."""
        if isinstance(node, yaml.SequenceNode) and kind in (TAGS, SCALAR):
            values = [self.constant(item, SCALAR, f"{path}[{i}]") for i, item in enumerate(node.value)]
            return [str(v) for v in values] if kind is TAGS else values
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, path, "is a list or an object; write a constant or {column: NAME}")
            return ABSENT
        if node.tag == "tag:yaml.org,2002:null":
            return None if kind.is_nullable else ABSENT
        if kind is SCALAR and node.tag.rsplit(":", 1)[-1] in ("int", "float", "bool"):
            return self.scalar(node, path)
        try:
            return instant_parser(None, self.zone)(node.value) if kind is INSTANT else kind.convert(node.value)
        except ValueError as error:
            self.problem(node, path, str(error))
            return ABSENT

    def scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        value = yaml.safe_load(node.value)
        if isinstance(value, float) and value - value != 0:
            self.problem(node, path, f"is {node.value}; write a finite number")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.problem(node, path, "exceeds 64 bits; write it in quotes")
        else:
            return value
        return ABSENT

    def parse(self, node: yaml.Node | None, kind: Kind, path: str) -> str | None:
        text = None if node is None else self.text(node, path)
        if text is None or text in EPOCH_FORMATS:
            pass
        elif "%" not in text:
            self.problem(
                node, path, f'is {shown(text)}; write a strptime format such as "%d/%m/%Y %H:%M", epoch_s or epoch_ms'
            )
        else:
            for directive in re.findall(r"%(.?)", re.sub("%%", "", text), re.DOTALL):
                if directive == "Z":
                    self.problem(node, path, "has %Z, which names no offset reliably; write %z, or `timezone`")
                elif directive not in "aAwdbBmyYHIpMSfzjUWcxXGuV" or not directive:
                    self.problem(node, path, f"has %{directive}, which strptime does not know; write one such as %d")
        if text is not None and kind.name not in ("instant", "text", "name", "scalar"):
            self.problem(node, path, f"is given for a {kind.name}; leave `parse` out, it reads instants")
        return text

    # -- `when`

    def predicate(self, node: yaml.Node, path: str) -> Predicate:
        parts: list[Predicate] = []
        for name, inner in (self.entries(node, path) or {}).items():
            here = f"{path}.{name}"
            match name:
                case "any":
                    parts.append(AnyOf(self.predicates(inner, here)))
                case "all":
                    parts.append(All(self.predicates(inner, here)))
                case "not":
                    parts.append(Not(self.predicate(inner, here)))
                case _:
                    parts.append(self.condition(name, inner, here))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def predicates(self, node: yaml.Node, path: str) -> tuple[Predicate, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, path, "is no list; write a list of conditions")
            return ()
        return tuple(self.predicate(item, f"{path}[{i}]") for i, item in enumerate(node.value))

    def condition(self, column: str, node: yaml.Node, path: str) -> Predicate:
        if isinstance(node, yaml.MappingNode):
            entries = self.entries(node, path) or {}
            self.check_names(entries, ("not", "glob", "gt", "gte", "lt", "lte", "exists"), path)
            if not entries:
                self.problem(node, path, "is empty; write a value, or an operator such as {exists: true}")
            return All(tuple(self.operator(column, n, inner, f"{path}.{n}") for n, inner in entries.items()))
        if isinstance(node, yaml.SequenceNode):
            return Equals(column, frozenset(self.texts(node, path, ())))
        text = self.text(node, path)
        return Equals(column, frozenset() if text is None else frozenset({text}))

    def operator(self, column: str, name: str, node: yaml.Node, path: str) -> Predicate:
        match name:
            case "not":
                return Not(self.condition(column, node, path))
            case "glob":
                return Glob(column, self.text(node, path) or "")
            case "exists":
                text = self.text(node, path)
                if text is not None and text.lower() not in ("true", "false"):
                    self.problem(node, path, f"is {shown(text)}; write true or false")
                return Exists(column, text is not None and text.lower() == "true")
            case "gt" | "gte" | "lt" | "lte":
                text = self.text(node, path)
                try:
                    return Compare(column, name, float(text or "0"))
                except ValueError:
                    self.problem(node, path, f"is {shown(text or '')}; write a number")
        return ALWAYS

    # -- nodes

    def problem(self, node: yaml.Node | None, path: str, text: str) -> None:
        line = 1 if node is None else node.start_mark.line + 1
        self.problems.append((line, f"{self.name}:{line}: {path}: {text}"))

    def entries(self, node: yaml.Node, path: str) -> dict[str, yaml.Node] | None:
        """The keys of an object, as text, each once."""
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, path, "is no object; write keys and values")
            return None
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(key, path, "has a key that is no text; write text")
            elif key.value in found:
                self.problem(key, _joined(path, key.value), "is given twice; write it once")
            else:
                found[key.value] = value
                if not isinstance(value, yaml.ScalarNode):
                    value.start_mark = key.start_mark  # a problem of an object is shown where its name stands
        return found

    def check_names(self, entries: Mapping[str, yaml.Node], known: Collection[str], path: str) -> None:
        for name, node in entries.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"write `{near[0]}`" if near else f"write one of {', '.join(known)}"
                self.problem(node, _joined(path, name), f"is unknown; {hint}")

    def text(self, node: yaml.Node, path: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            self.problem(node, path, "is no text; write text")
            return None
        return str(node.value)

    def texts(self, node: yaml.Node | None, path: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts, or one text for a list of one."""
        if node is None:
            return default
        if not isinstance(node, yaml.SequenceNode):
            text = self.text(node, path)
            return () if text is None else (text,)
        found = (self.text(item, f"{path}[{i}]") for i, item in enumerate(node.value))
        return tuple(text for text in found if text is not None)

    def word(self, entries: Mapping[str, yaml.Node], name: str, words: tuple[str, ...], default: str) -> str:
        text = self.text(entries[name], name) if name in entries else default
        if text is not None and text not in words:
            self.problem(entries[name], name, f"is {shown(text)}; write one of {', '.join(words)}")
        return text if text in words else default


def _joined(path: str, name: str) -> str:
    return name if path in ("", "$") else f"{path}.{name}"
