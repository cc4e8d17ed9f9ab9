"""The rows of a CSV, JSON or JSONL file, each as its line in the file and its cells in a fixed order of columns.

A row that cannot be read is refused on its own; a file that cannot be read, or that lacks a column, stops everything
before the first row.
"""

import csv
import difflib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, Protocol

from orjson import JSONDecodeError, JSONEncodeError, dumps, loads

from slastream.errors import PolicyError
from slastream.ingest.files import BYTE_ORDER_MARK, naming, open_lines, opened
from slastream.ingest.mapping_file import ROW_NUMBER, Description
from slastream.ingest.mapping_values import Cell, Json, shown
from slastream.wire.events import MAX_LINE_BYTES


class Refusal(NamedTuple):
    """A row, or an event of it, that was not written."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.column}: {self.reason}"


Refuse = Callable[[Refusal], None]


class Table(Protocol):
    """An open file. `positions` says where in the cells of a row a column stands."""

    file: str
    positions: dict[str, int]

    def rows(self, refuse: Refuse) -> Iterator[tuple[int, Sequence[Cell]]]: ...

    def line(self, place: int) -> int:
        """The line of the file for what `rows` gave as the place of a row."""
        ...


def open_table(file: str, description: Description, columns: Sequence[str], stack: ExitStack) -> Table:
    """Raises PolicyError when the file cannot be read or lacks one of the columns."""
    with naming(file):
        match description.format:
            case "csv":
                return _CsvTable(file, description, columns, stack)
            case "jsonl":
                return _JsonTable(file, _JsonLines(file, description.encoding), columns)
            case _:
                return _JsonTable(file, JsonDocument(file, description.encoding), columns)


# ---- CSV


class _CsvTable:
    """The cells of a row are those of the file, and after them the number of the row."""

    def __init__(self, file: str, description: Description, columns: Sequence[str], stack: ExitStack) -> None:
        self.file = file
        text = _text(stack.enter_context(opened(file)), description.encoding)
        stack.callback(text.detach)
        csv.field_size_limit(MAX_LINE_BYTES)
        self._reader = csv.reader(text, delimiter=description.delimiter)
        header = _header(file, self._reader)
        self._width = len(header)
        self.positions = {name: i for i, name in enumerate(header)} | {ROW_NUMBER: self._width}
        problems = [_lacking(file, name, header) for name in columns if name not in self.positions]
        problems += [
            f"{file}:1: {name}: stands {header.count(name)} times in the header; name each column once"
            for name in columns
            if header.count(name) > 1
        ]
        if problems:
            raise PolicyError("\n".join(problems))

    def rows(self, refuse: Refuse) -> Iterator[tuple[int, Sequence[Cell]]]:
        reader, width, number, last = self._reader, self._width, 0, self._reader.line_num
        with naming(self.file):
            while True:
                try:
                    for cells in reader:
                        line, last = last + 1, reader.line_num
                        if len(cells) == width:
                            number += 1
                            cells.append(str(number))
                            yield line, cells
                        elif cells:
                            number += 1
                            refuse(Refusal(self.file, line, "$", f"has {len(cells)} cells; the header has {width}"))
                    return
                except csv.Error as error:
                    line, last, number = last + 1, reader.line_num, number + 1
                    refuse(Refusal(self.file, line, "$", f"is no CSV ({error}); write one row a line"))

    def line(self, place: int) -> int:
        return place


def _header(file: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise PolicyError(f"{file}:1: $: has no header ({error}); write the names of the columns") from None
    if not header:
        raise PolicyError(f"{file}:1: $: has no header; write the names of the columns in the first line")
    return header


def _text(binary: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Bytes that are not in the encoding become surrogates: the row that uses them is refused, not the file."""
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(binary, encoding=name, errors="surrogateescape", newline="")


# ---- JSON


class _JsonTable:
    """The cells of a row are those of the columns asked for."""

    def __init__(self, file: str, documents: "_JsonLines | JsonDocument", columns: Sequence[str]) -> None:
        self.file = file
        self.positions = {name: i for i, name in enumerate(columns)}
        self._paths = [_path(name) for name in columns]
        self._documents = documents
        self._known, self._scanned = self._scan(columns)

    def _scan(self, columns: Sequence[str]) -> tuple[list[tuple[int, Any]], Iterator[tuple[int, Any]]]:
        """Reads until every column was seen; a column that no row has stops the command."""
        lacking = {name: _path(name) for name in columns if name != ROW_NUMBER}
        seen: list[tuple[int, Any]] = []
        names: dict[str, None] = {}
        rest = self._documents.rows()
        while lacking and (row := next(rest, None)) is not None:
            seen.append(row)
            if isinstance(row[1], dict):
                names.update(dict.fromkeys(row[1]))
                lacking = {name: path for name, path in lacking.items() if _found(row[1], path) is _NOTHING}
        if lacking and seen:
            raise PolicyError("\n".join(_lacking(self.file, name, list(names)) for name in lacking))
        return seen, rest

    def rows(self, refuse: Refuse) -> Iterator[tuple[int, Sequence[Cell]]]:
        with naming(self.file):
            for number, (place, row) in enumerate(chain(self._known, self._scanned), 1):
                if not isinstance(row, dict):
                    reason = str(row) if isinstance(row, _Unreadable) else "is no object; write one object a row"
                    refuse(Refusal(self.file, self.line(place), "$", reason))
                    continue
                try:
                    cells = [_cell(_found(row, path), number) for path in self._paths]
                except JSONEncodeError:
                    refuse(Refusal(self.file, self.line(place), "$", "is nested too deep; write a flatter object"))
                    continue
                yield place, cells

    def line(self, place: int) -> int:
        return self._documents.line(place)


class _Unreadable(str):
    """Instead of the value of a line that holds none: why."""

    __slots__ = ()


class _JsonLines:
    def __init__(self, file: str, encoding: str) -> None:
        self._file = file
        self._encoding = encoding

    def rows(self) -> Iterator[tuple[int, Any]]:
        lines = open_lines(self._file) if self._encoding in ("utf-8", "ascii") else self._decoded_lines()
        for number, line in lines:
            if len(line) > MAX_LINE_BYTES:
                yield number, _Unreadable(f"has more than {MAX_LINE_BYTES} bytes; write a shorter object")
                continue
            try:
                yield number, loads(line)
            except JSONDecodeError as error:
                yield number, _Unreadable(f"is no JSON ({error}); write one object a line")

    def _decoded_lines(self) -> Iterator[tuple[int, bytes]]:
        with naming(self._file), opened(self._file) as binary:
            text = _text(binary, self._encoding)
            for number, line in enumerate(text, 1):
                if not line.isspace():
                    yield number, line.encode("utf-8", "surrogateescape")
            text.detach()

    def line(self, place: int) -> int:
        return place


class JsonDocument:
    """A file that is one list of objects (or one object: one row). Its lines are counted when one is asked for."""

    def __init__(self, file: str, encoding: str) -> None:
        with naming(file), opened(file) as binary:
            text = binary.read()
        if encoding not in ("utf-8", "ascii"):
            text = text.decode(encoding, "replace").encode()
        self._text = text.removeprefix(BYTE_ORDER_MARK)
        try:
            document = loads(self._text)
        except JSONDecodeError as error:
            what = f"is no JSON: {error.msg}; write a list of objects, or `format: jsonl`"
            raise PolicyError(f"{file}:{error.lineno}: $: {what}") from None
        self._rows = document if isinstance(document, list) else [document]
        self._is_list = isinstance(document, list)
        self._lines: list[int] | None = None

    def rows(self) -> Iterator[tuple[int, Any]]:
        return enumerate(self._rows)

    def line(self, place: int) -> int:
        if self._lines is None:
            self._lines = _lines_of_rows(self._text, 1 if self._is_list else 0)
        return self._lines[place]


def _lines_of_rows(text: bytes, depth_of_rows: int) -> list[int]:
    """The line on which each value at that depth of valid JSON begins."""
    lines: list[int] = []
    depth, line, is_next = 0, 1, True
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]|\n|[^\s"\[\]{},]+', text):
        mark = token[0]
        if mark == b"\n":
            line += 1
            continue
        if depth == depth_of_rows and is_next and mark not in b",]":
            lines.append(line)
            is_next = False
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        elif mark == b"," and depth == depth_of_rows:
            is_next = True
    return lines


_NOTHING = object()
_Path = tuple[str, ...]


def _path(column: str) -> _Path:
    """The column as one key, then its parts between dots, unless it has none."""
    return (column, *column.split(".")) if "." in column else (column,)


def _found(row: dict[str, Any], path: _Path) -> Any:
    if path[0] == ROW_NUMBER:
        return _ROW_NUMBER
    value = row.get(path[0], _NOTHING)
    if value is not _NOTHING or len(path) == 1:
        return value
    value = row
    for key in path[1:]:
        if isinstance(value, dict):
            value = value.get(key, _NOTHING)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return _NOTHING
    return value


_ROW_NUMBER = object()


def _cell(value: Any, number: int) -> Cell:
    if value.__class__ is str:
        return str(value)
    if value is None or value is _NOTHING:
        return None
    return str(number) if value is _ROW_NUMBER else Json(dumps(value).decode())


def _lacking(file: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {shown(near[0])}?" if near else f"it has {', '.join(map(shown, known[:40]))}"
    return f"{file}:1: {name}: is no column of the file; {hint}"
