"""`slastream import`: rows of any ticket or monitoring system to events, as a mapping file says (contract section 4).

`load_mapping` reads the file, `Mapping.run` the rows. What a cell becomes is kept for the next cell of the same text:
a row costs some look-ups and one `orjson.dumps`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from re import compile as compile_pattern
from re import fullmatch
from typing import Any, Protocol

from orjson import JSONEncodeError, dumps, loads

from slastream.core.events import Tick
from slastream.core.predicates import ALWAYS, All, AnyOf, Changed, Compare, Equals, Exists, Glob, Not, Predicate
from slastream.core.units import parse_instant
from slastream.errors import EventError, PolicyError
from slastream.ingest.field_text import ABSENT
from slastream.ingest.files import STANDARD_INPUT, naming, open_lines
from slastream.ingest.mapping_file import (
    ROW_NUMBER,
    Column,
    Description,
    EventDescription,
    Field,
    read_description,
)
from slastream.ingest.mapping_rows import JsonDocument, Refusal, Refuse, Table, open_table
from slastream.ingest.mapping_values import INSTANT, Cell, Json, instant_parser, shown, text_of
from slastream.wire.events import MAX_LINE_BYTES, decode_event

NATIVE = "native"
_CACHED_TEXTS = 50_000
"""Of a column, at most; then they are forgotten and learned again. 100 bytes each."""


class Mapping(Protocol):
    """Makes events of the rows of files."""

    def run(self, files: Sequence[str], refuse: Refuse) -> Iterator[bytes]:
        """The events as lines of JSON without their ends; what cannot be used goes to `refuse`.

        Raises PolicyError before the first line when a file cannot be opened or lacks a column, later when an archive
        turns out to be cut off. With `sort_by` all events are in memory.
        """
        ...


def load_mapping(path: str) -> Mapping:
    """The mapping of a file, or `native`: the input is events already.

    Raises PolicyError with every problem of the file, a line each.
    """
    if path == NATIVE:
        return NativeMapping()
    with naming(path), Path(path).open("rb") as file:
        text = file.read()
    return compile_mapping(text, path)


def compile_mapping(text: str | bytes, name: str = "mapping.yaml") -> Mapping:
    """As `load_mapping`, of the text; `name` stands in the messages."""
    return ColumnMapping(read_description(text, name))


# ---- events already


class NativeMapping:
    """Lines of events (of a `.json` file: one list): those that can be used pass unchanged, ticks are left out."""

    def run(self, files: Sequence[str], refuse: Refuse) -> Iterator[bytes]:
        for file in files:
            if file != STANDARD_INPUT and (not Path(file).exists() or Path(file).is_dir()):
                raise PolicyError(f"{file}: is no file; name a file of events")
        return (line for file in files for line in self._events(file, refuse))

    def _events(self, file: str, refuse: Refuse) -> Iterator[bytes]:
        line_of, lines = self._lines(file)
        for place, line in lines:
            try:
                event = decode_event(line)
            except EventError as error:
                refuse(Refusal(file, line_of(place), error.path, f"{error.reason}: {error}"))
            else:
                if not isinstance(event, Tick):
                    yield line

    def _lines(self, file: str) -> tuple[Callable[[int], int], Iterator[tuple[int, bytes]]]:
        if ".json" not in Path(file).suffixes[-2:]:
            return (lambda place: place), open_lines(file)
        document = JsonDocument(file, "utf-8")
        return document.line, ((place, dumps(row)) for place, row in document.rows())


# ---- rows by a description


class ColumnMapping:
    """Runs a mapping file."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._events = [_EventPlan(event, description) for event in description.events]
        columns = dict.fromkeys(column for plan in self._events for column in plan.columns)
        self._columns = tuple(columns | dict.fromkeys(description.sort_by))
        self._instants = {column: values for plan in reversed(self._events) for column, values in plan.instants.items()}

    def run(self, files: Sequence[str], refuse: Refuse) -> Iterator[bytes]:
        with ExitStack() as stack:
            tables = [open_table(file, self._description, self._columns, stack) for file in files]
            return self._lines(tables, stack.pop_all(), refuse)

    def _lines(self, tables: Sequence[Table], stack: ExitStack, refuse: Refuse) -> Iterator[bytes]:
        with stack:
            if self._description.sort_by:
                yield from self._sorted(tables, refuse)
            else:
                for table in tables:
                    for _, line in self._events_of(table, refuse):
                        yield line

    def _events_of(self, table: Table, refuse: Refuse) -> Iterator[tuple[Sequence[Cell], bytes]]:
        builders = [plan.bind(table.positions) for plan in self._events]
        for place, cells in table.rows(refuse):
            for build in builders:
                try:
                    line = build(cells)
                except _RefusedError as error:
                    refuse(Refusal(table.file, table.line(place), error.column, error.reason))
                else:
                    if line is not None:
                        yield cells, line

    def _sorted(self, tables: Sequence[Table], refuse: Refuse) -> Iterator[bytes]:
        """By the rank of a cell among those of its column, so that each text is interpreted once."""
        columns = self._description.sort_by
        lines: list[bytes] = []
        keys: list[list[Cell]] = [[] for _ in columns]
        for table in tables:
            places = [(key.append, table.positions[column]) for key, column in zip(keys, columns, strict=True)]
            for cells, line in self._events_of(table, refuse):
                lines.append(line)
                for append, position in places:
                    append(cells[position])
        order = [0] * len(lines)
        for column, key in zip(columns, keys, strict=True):
            ranks = _ranks({cell: self._order(column, cell) for cell in set(key)})
            order = [above * len(ranks) + ranks[cell] for above, cell in zip(order, key, strict=True)]
        for index in sorted(range(len(lines)), key=order.__getitem__):
            yield lines[index]

    def _order(self, column: str, cell: Cell) -> tuple[int, Any]:
        """Instants that an event parses and numbers by value, then other texts, then what is missing."""
        if cell is None:
            return 2, 0
        instants = self._instants.get(column)
        if instants is not None:
            try:
                value = instants[cell]
            except _RefusedError:
                value = ABSENT
            return (2, 0) if value is ABSENT else (0, parse_instant(value))
        text = text_of(cell)
        number = _number(text)
        return (1, text) if number is None else (0, number)


def _ranks(values: dict[Cell, tuple[int, Any]]) -> dict[Cell, int]:
    """Places in the order of the values; equal values (`7` and `07`) share one, and the next column decides."""
    ranks: dict[Cell, int] = {}
    rank, last = -1, None
    for cell in sorted(values, key=values.__getitem__):
        if values[cell] != last:
            rank, last = rank + 1, values[cell]
        ranks[cell] = rank
    return ranks


def _number(text: str) -> int | float | None:
    if fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    return float(text) if fullmatch(r"[+-]?[0-9]{1,18}\.[0-9]{1,18}", text) else None


class _RefusedError(Exception):
    """An event that cannot be made of a row, because of this column."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class _Values(dict[Cell, Any]):
    """From the cells of a column to the values of a field: made when first asked for, and kept."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[Cell], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, cell: Cell) -> Any:
        value = self._make(cell)
        if len(self) >= _CACHED_TEXTS:
            self.clear()
        self[cell] = value
        return value


@dataclass(slots=True)
class _Group:
    """An object of the event: its constants, its fields `(name, position of the cell, values)`, the objects in it."""

    constants: dict[str, Any]
    fields: tuple[tuple[str, int, _Values], ...]
    groups: tuple[tuple[str, "_Group"], ...]

    def filled(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """The hot path: 15 fields in 2 µs."""
        event = self.constants.copy()
        for name, position, values in self.fields:
            value = values[cells[position]]
            if value is not ABSENT:
                event[name] = value
        for name, group in self.groups:
            part = group.filled(cells)
            if part:
                event[name] = part
        return event


Build = Callable[[Sequence[Cell]], bytes | None]


class _EventPlan:
    """How one event of a row is made; `bind` fixes where a file has its columns."""

    def __init__(self, event: EventDescription, description: Description) -> None:
        self._event = event
        self._missing = description.missing
        self._values = {
            field.path: _Values(_conversion(field, field.value, description))
            for field in event.fields
            if isinstance(field.value, Column)
        }
        self._column_of = {f.path: f.value.name for f in event.fields if isinstance(f.value, Column)}
        self._is_checked = _needs_check(event)
        self.columns = (*self._column_of.values(), *_columns_of(event.when))
        self.instants = {self._column_of[f.path]: self._values[f.path] for f in event.fields if self._is_instant(f)}

    @staticmethod
    def _is_instant(field: Field) -> bool:
        return field.kind is INSTANT and isinstance(field.value, Column) and field.value.name != ROW_NUMBER

    def bind(self, positions: dict[str, int]) -> Build:
        root = self._group(self._event.fields, 0, positions)
        required, is_checked = self._event.required, self._is_checked
        when = self._event.when
        holds = None if when is ALWAYS else _compiled(when, positions, self._missing)

        def build(cells: Sequence[Cell]) -> bytes | None:
            if holds is not None and not holds(cells):
                return None
            event = root.filled(cells)
            for name in required:
                if name not in event:
                    raise _RefusedError(self._column((name,)), f"is missing; an event needs its {name}")
            try:
                line = dumps(event)
            except JSONEncodeError:
                raise self._not_in_encoding(cells, positions) from None
            if is_checked or len(line) > MAX_LINE_BYTES:
                self._check(line)
            return line

        return build

    def _group(self, fields: Sequence[Field], depth: int, positions: dict[str, int]) -> _Group:
        here = [field for field in fields if len(field.path) == depth + 1]
        below: dict[str, list[Field]] = {}
        for field in fields:
            if len(field.path) > depth + 1:
                below.setdefault(field.path[depth], []).append(field)
        columns = [(f.path, f.value.name) for f in here if isinstance(f.value, Column)]
        return _Group(
            {f.path[-1]: f.value for f in here if not isinstance(f.value, Column) and f.value is not ABSENT},
            tuple((path[-1], positions[column], self._values[path]) for path, column in columns),
            tuple((name, self._group(inner, depth + 1, positions)) for name, inner in below.items()),
        )

    def _check(self, line: bytes) -> None:
        """What no field knows alone (good up to total, an end after its start) is asked of the reader of events."""
        try:
            decode_event(line)
        except EventError as error:
            raise _RefusedError(self._column(tuple(error.path.split("."))), str(error)) from None

    def _column(self, path: tuple[str, ...]) -> str:
        return self._column_of.get(path) or ".".join(path)

    def _not_in_encoding(self, cells: Sequence[Cell], positions: dict[str, int]) -> _RefusedError:
        for column in self._column_of.values():
            cell = cells[positions[column]]
            if isinstance(cell, str) and not cell.isascii():
                try:
                    cell.encode()
                except UnicodeEncodeError:
                    return _RefusedError(
                        column, "has bytes that are not in the `encoding` of the mapping; name the file's own"
                    )
        return _RefusedError("$", "cannot be written as JSON; write text and numbers")


def _needs_check(event: EventDescription) -> bool:
    """Whether an event of valid fields can still be refused by its reader: then each is read once."""
    names = {field.path[0] for field in event.fields}
    if names & {"message", "rating", "override", "merged_into", "counts", "latency_ms", "maintenance_id"}:
        return True
    types = [field.value for field in event.fields if field.path == ("type",)]
    return not all(isinstance(value, str) and value in ("created", "changed", "deleted") for value in types)


def _conversion(field: Field, column: Column, description: Description) -> Callable[[Cell], Any]:
    """`missing`, `parse`, `map`, `default`, then the type of the field."""
    missing, names, default = description.missing, column.map, column.default
    parse = None
    if column.parse is not None or (field.kind is INSTANT and names is None):
        parse = instant_parser(column.parse, description.zone)
    convert = field.kind.convert

    def make(cell: Cell) -> Any:
        if cell is None or (text := text_of(cell)) in missing:
            return default
        try:
            if parse is not None:
                text = parse(text)
                cell = text
            if names is not None:
                if text in names:
                    return names[text]
                if default is not ABSENT:
                    return default
                raise ValueError(f"is {shown(text)}, which `map` does not name; name it there or give a `default`")
            return text if field.kind is INSTANT else convert(cell)
        except ValueError as error:
            raise _RefusedError(column.name, str(error)) from None

    return make


# ---- `when`

Holds = Callable[[Sequence[Cell]], bool]


def _columns_of(predicate: Predicate) -> tuple[str, ...]:
    match predicate:
        case Equals(name=name) | Glob(name=name) | Compare(name=name) | Exists(name=name):
            return (name,)
        case Not(part=part):
            return _columns_of(part)
        case All(parts=parts) | AnyOf(parts=parts):
            return tuple(name for part in parts for name in _columns_of(part))
        case Changed():
            return ()


def _compiled(predicate: Predicate, positions: dict[str, int], missing: frozenset[str]) -> Holds:
    """The predicate over the texts of a row; of a JSON list it holds if it does for one value of it."""
    match predicate:
        case Not(part=part):
            inner = _compiled(part, positions, missing)
            return lambda cells: not inner(cells)
        case All(parts=parts):
            held = [_compiled(part, positions, missing) for part in parts]
            return lambda cells: all(holds(cells) for holds in held)
        case AnyOf(parts=parts):
            held = [_compiled(part, positions, missing) for part in parts]
            return lambda cells: any(holds(cells) for holds in held)
        case Equals(name=name) | Glob(name=name) | Compare(name=name) | Exists(name=name):
            accepts = _accepts(predicate)
            answers = _Values(lambda cell: accepts(_texts(cell, missing)))
            position = positions[name]
            return lambda cells: bool(answers[cells[position]])
        case Changed():
            raise AssertionError("a row has no changes")


def _texts(cell: Cell, missing: frozenset[str]) -> list[str]:
    if cell is None:
        return []
    if isinstance(cell, Json) and cell.text.startswith("["):
        values = [value if isinstance(value, str) else dumps(value).decode() for value in loads(cell.text)]
    else:
        values = [text_of(cell)]
    return [value for value in values if value not in missing]


def _accepts(predicate: Equals | Glob | Compare | Exists) -> Callable[[list[str]], bool]:
    match predicate:
        case Equals(values=values):
            return lambda texts: not values.isdisjoint(texts)
        case Glob(pattern=pattern):
            matches = compile_pattern(translate(pattern)).match
            return lambda texts: any(matches(text) for text in texts)
        case Exists(expected=expected):
            return lambda texts: bool(texts) is expected
        case Compare(operator=operator, number=bound):
            holds: Callable[[int | float], bool] = {
                "gt": lambda value: value > bound,
                "gte": lambda value: value >= bound,
                "lt": lambda value: value < bound,
                "lte": lambda value: value <= bound,
            }[operator]
            return lambda texts: any(holds(v) for v in map(_number, texts) if v is not None)
