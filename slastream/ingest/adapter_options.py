"""The options of an adapter: what an operator says about one source, as YAML.

    source: jira-eu
    timezone: Europe/Berlin
    authors: {"*@example.com": agent, "bot-*": automation}
    ticket:
      service: {column: issue.fields.customfield_10042.value, map: {E-Mail: mail}}
      status: {column: issue.fields.status.name, map: {Waiting for vendor: hold}}

A field is written as in an import mapping (contract section 4): a constant, or `{column: C, parse: …, map: …, default: …}`;
`column` may be a list, of which the first counts that has a value. What an entry does not name is asked of the adapter's own
table; `null` never sends the field.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from pathlib import Path

import yaml

from slastream.core.events import AUTHORS
from slastream.errors import PolicyError
from slastream.ingest.adapting import Adapter, AdapterOptions, Constant, Sources, Take
from slastream.ingest.field_text import ABSENT, ValueReader
from slastream.ingest.files import naming
from slastream.ingest.mapping_values import AnyName, Fields, Kind
from slastream.wire.yaml_nodes import Entry, Reader, is_null, line_of, parse

KEYS = ("source", "timezone", "authors")
FIXED = ("event_id", "occurred_at", "sequence", "source", "type", "message", "override", "rating", "merged_into")
"""What an adapter alone decides, so that events stay exact."""


def read_options(text: str, adapter: Adapter, file: str = "options.yaml", zone: tzinfo = UTC) -> AdapterOptions:
    """`zone` counts where the text has no `timezone`.

    Raises PolicyError with every problem, a line each: `FILE:LINE: PATH: what is wrong; what to write instead`."""
    problems = (reader := _OptionsReader(adapter, zone)).reader.problems
    root = parse(file, text, problems, "source: NAME")
    options = None if root is None else reader.read(Entry(root, "$", line_of(root), file))
    if problems:
        raise PolicyError("\n".join(map(str, sorted(problems, key=lambda one: one.line))))
    assert options is not None
    return options


def load_options(path: str | None, adapter: Adapter) -> AdapterOptions:
    """The options in a file; None: none. Raises PolicyError."""
    if path is None:
        return AdapterOptions()
    with naming(path), Path(path).open("rb") as file:
        text = file.read()
    try:
        return read_options(text.decode(), adapter, path)
    except UnicodeDecodeError:
        raise PolicyError(f"{path}:1: $: is no UTF-8; write it as UTF-8") from None


class _OptionsReader:
    def __init__(self, adapter: Adapter, zone: tzinfo) -> None:
        self._zone = zone
        self.reader = Reader()
        self.values = ValueReader(self.reader)
        self.known = {name: kind for name, kind in adapter.kinds.items() if name not in FIXED}

    def read(self, root: Entry) -> AdapterOptions | None:
        found = self.reader.mapping(root, (*KEYS, *self.known), "keys such as source: and ticket:")
        if found is None:
            return None
        self.values.zone = self.values.timezone(found.get("timezone")) if "timezone" in found else self._zone
        source = found.get("source")
        return AdapterOptions(
            source=None if source is None else self.reader.text(source, "a name such as jira-eu"),
            zone=self.values.zone,
            fields=dict(self._fields({k: v for k, v in found.items() if k in self.known}, self.known, "")),
            authors=self._authors(found.get("authors")),
        )

    def _authors(self, entry: Entry | None) -> Mapping[str, str]:
        if entry is None:
            return {}
        found = self.reader.mapping(entry, None, 'patterns with a role, such as "*@example.com": agent') or {}
        words = {name: self.reader.word(one, AUTHORS) for name, one in found.items()}
        return {name: word for name, word in words.items() if word is not None}

    def _fields(self, entries: Mapping[str, Entry], known: Fields, above: str) -> Iterator[tuple[str, Sources]]:
        for name, entry in entries.items():
            path = f"{above}{name}"
            match known[name]:
                case Kind() as kind:
                    yield path, self._sources(entry, kind)
                case AnyName(kind=kind):
                    inner = self.reader.mapping(entry, None, "names with their values") or {}
                    for key, one in inner.items():
                        yield f"{path}.{key}", self._sources(one, kind)
                case nested:
                    inner = self.reader.mapping(entry, tuple(nested), f"fields of {name}") or {}
                    yield from self._fields(inner, nested, f"{path}.")

    def _sources(self, entry: Entry, kind: Kind) -> Sources:
        """One source, or a list of them, asked in turn."""
        if isinstance(entry.node, yaml.SequenceNode) and all(isinstance(n, yaml.MappingNode) for n in entry.node.value):
            return tuple(self._source(one, kind) for one in self.reader.sequence(entry, "a list of columns") or ())
        return (self._source(entry, kind),)

    def _source(self, entry: Entry, kind: Kind) -> Take | Constant:
        if is_null(entry.node):
            return Constant(ABSENT)
        if not isinstance(entry.node, yaml.MappingNode):
            return Constant(self.values.constant(entry, kind))
        found = self.values.column(entry, kind)
        return Take(found.names, found.map, found.default, found.parse)
