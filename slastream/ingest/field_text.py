"""What a field of an event is made of, as text: a constant, or `{column: C, parse: …, map: …, default: …}` (contract section 4).

Mapping files and the options of adapters are written with it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml

from slastream.ingest.mapping_values import EPOCH_FORMATS, INSTANT, SCALAR, TAGS, Kind, instant_parser, shown
from slastream.wire.yaml_nodes import Entry, Reader, is_null, line_of, scalar

ABSENT: Any = type("Absent", (), {"__repr__": lambda _self: "ABSENT"})()
"""Instead of a value: leave the field out."""

_DIRECTIVES = "aAwdbBmyYHIpMSfzjUWcxXGuV"
_INT64 = 2**63


class ColumnText(NamedTuple):
    """What stands in the braces; `map` and `default` are already of the field's type."""

    names: tuple[str, ...]
    parse: str | None
    map: Mapping[str, Any] | None
    default: Any  # ABSENT: none


class ValueReader:
    """Reads values with a `Reader`, which notes the problems. Instants without an offset are of `zone`."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.zone: tzinfo = UTC

    def timezone(self, entry: Entry | None) -> tzinfo:
        return UTC if entry is None else self.reader.parsed(entry, _zone, "a time zone such as Europe/Berlin") or UTC

    def column(self, entry: Entry, kind: Kind) -> ColumnText:
        """Of a mapping; `column` may be a list of names."""
        found = self.reader.mapping(entry, ("column", "parse", "map", "default"), "{column: NAME}") or {}
        if "column" not in found:
            self.reader.bad(entry, "lacks `column`; write {column: NAME}, or a constant")
        columns = self.reader.sequence(found["column"], "a column", allow_one=True) if "column" in found else None
        names = [self.plain(one) for one in columns or ()]
        pairs = None if "map" not in found else self.reader.mapping(found["map"], None, "texts with values", True) or {}
        return ColumnText(
            names=tuple(name for name in names if name is not None),
            parse=self._parse(found["parse"], kind) if "parse" in found else None,
            map=None if pairs is None else {text: self.constant(one, kind) for text, one in pairs.items()},
            default=self.constant(found["default"], kind) if "default" in found else ABSENT,
        )

    def constant(self, entry: Entry, kind: Kind) -> Any:
        """A value of the field's type; ABSENT for a null that means nothing there, and after a problem."""
        node = entry.node
        if isinstance(node, yaml.SequenceNode) and kind in (TAGS, SCALAR):
            parts = [Entry(n, f"{entry.path}[{i}]", line_of(n), entry.file) for i, n in enumerate(node.value)]
            found = [self.constant(part, SCALAR) for part in parts]
            return [str(value) for value in found] if kind is TAGS else found
        if not isinstance(node, yaml.ScalarNode):
            self.reader.bad(entry, "is a list or an object; write a constant or {column: NAME}")
            return ABSENT
        if is_null(node):
            return None if kind.is_nullable else ABSENT
        if kind is SCALAR:
            return self._scalar(entry, node)
        try:
            return instant_parser(None, self.zone)(node.value) if kind is INSTANT else kind.convert(node.value)
        except ValueError as error:
            self.reader.bad(entry, str(error))
            return ABSENT

    def plain(self, entry: Entry) -> str | None:
        """Any text as it stands, also an empty one; None after a problem."""
        node = entry.node
        if isinstance(node, yaml.ScalarNode) and not is_null(node):
            return str(node.value)
        self.reader.bad(entry, "is no text; write text")
        return None

    def _scalar(self, entry: Entry, node: yaml.ScalarNode) -> Any:
        value = scalar(node)
        if isinstance(value, str) and node.style is None and node.tag == "tag:yaml.org,2002:float":
            self.reader.bad(entry, f"is {node.value}; write a finite number in decimals, or text in quotes")
        elif isinstance(value, int) and not -_INT64 <= value < _INT64:
            self.reader.bad(entry, "exceeds 64 bits; write it in quotes")
        else:
            return value
        return ABSENT

    def _parse(self, entry: Entry, kind: Kind) -> str | None:
        if kind.name not in ("instant", "text", "name", "scalar"):
            self.reader.bad(entry, f"is given for a {kind.name}; leave `parse` out, it reads instants")
            return None
        return self.reader.parsed(entry, _time_format, "a strptime format, epoch_s or epoch_ms")


def _zone(text: str) -> tzinfo:
    if text in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"no time zone is named {shown(text)}; write one such as Europe/Berlin") from None


def _time_format(text: str) -> str:
    if text in EPOCH_FORMATS:
        return text
    if "%" not in text:
        raise ValueError(f'is {shown(text)}; write a strptime format such as "%d/%m/%Y %H:%M", epoch_s or epoch_ms')
    for directive in re.findall(r"%(.?)", re.sub("%%", "", text), re.DOTALL):
        if directive == "Z":
            raise ValueError("has %Z, which names no offset reliably; write %z, or `timezone`")
        if directive not in _DIRECTIVES or not directive:
            raise ValueError(f"has %{directive}, which strptime does not know; write one such as %d")
    return text
