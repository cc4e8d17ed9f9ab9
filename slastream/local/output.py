"""Results on stdout or in a file: JSON lines, CSV, or a table for a terminal."""

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from slastream.errors import PolicyError

TABLE_COLUMNS = (
    "kind", "ticket_id", "service", "agreement", "promise", "cycle", "fact", "status", "threshold", "at", "due_at", "stopped_at",
    "breached_at", "elapsed_seconds", "remaining_seconds", "window", "basis", "ratio", "budget_remaining", "line", "reason", "path",
    "points", "inside", "limits", "signals", "capability", "trend", "ended", "cancelled", "overridden", "reopened",
    "priority_changed_after_warning", "paused_before_due", "pauses", "tickets", "open", "predicted", "expected_breaches", "chance",
    "before", "after", "clocks", "differing", "statuses",
)  # fmt: skip
BATCH = 4096


@contextmanager
def open_output(path: str | None) -> Iterator[BinaryIO]:
    """The file, or stdout. Raises PolicyError where the file cannot be written."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with Path(path).open("wb") as out:
            yield out
    except OSError as error:
        raise PolicyError(f"--out {path}: cannot be written: {error.strerror}; name another file") from None


def write_events(events: Iterable[bytes], out: BinaryIO, progress: Callable[[int], None] | None = None) -> int:
    """Events, one a line; returns how many."""
    count, rest = 0, iter(events)
    while batch := list(islice(rest, BATCH)):
        out.write(b"\n".join(batch) + b"\n")
        count += len(batch)
        if progress is not None:
            progress(count)
    return count


def write_lines(lines: Iterable[dict[str, Any]], format: str, out: BinaryIO) -> None:
    if format == "jsonl":
        _write_jsonl(lines, out)
    elif format == "csv":
        _write_csv(list(lines), out)
    else:
        _write_table(list(lines), out)


def _write_jsonl(lines: Iterable[dict[str, Any]], out: BinaryIO) -> None:
    rest, dumps = iter(lines), orjson.dumps
    while batch := [dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in islice(rest, BATCH)]:
        out.write(b"".join(batch))


def _write_csv(lines: list[dict[str, Any]], out: BinaryIO) -> None:
    flat = [_flat(line) for line in lines]
    columns = list(dict.fromkeys(name for line in flat for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    out.write(text.getvalue().encode())


def _flat(line: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _write_table(lines: list[dict[str, Any]], out: BinaryIO) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = [c for c in TABLE_COLUMNS if any(line.get(c) is not None for line in lines)]
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in ("ticket_id", "status"))
    for line in lines:
        table.add_row(*(_cell(line.get(c)) for c in columns))
    text = io.StringIO()
    Console(file=text, width=max(120, 18 * len(columns))).print(table)
    out.write(text.getvalue().encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    if isinstance(value, dict):
        if "start" in value:
            return f"{value.get('kind')} {str(value['start'])[:10]}"
        return ", ".join(f"{name} {_cell(one) or '–'}" for name, one in value.items())
    return str(value)
