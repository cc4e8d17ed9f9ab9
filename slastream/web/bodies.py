"""A request's body taken apart: unpacked within a limit, and split into records that are judged one by one."""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from orjson import JSONDecodeError, JSONEncodeError, dumps, loads

from slastream.core.events import Event
from slastream.errors import EventError
from slastream.wire.events import decode_event

GZIP_OR_ZLIB = 47
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


class TooLargeError(Exception):
    """The body is larger than allowed, packed or not."""


class Refusal(NamedTuple):
    """A record that is no event: its number in the request from 0, a word of the contract (section 3), path, why; its bytes."""

    number: int
    reason: str
    path: str
    message: str
    original: bytes | None = None


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its `Content-Encoding`. Raises TooLargeError, and EventError for what cannot be unpacked."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise EventError("bad_value", "$", f"Content-Encoding {encoding[:40]!r} is not read; send gzip, or none")
    unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise EventError("not_json", "$", f"is no {encoding}: {error}; send it whole") from None
    if len(found) > limit:
        raise TooLargeError
    if not unpacker.eof:
        raise EventError("not_json", "$", f"is no whole {encoding}: it ends too early; send it whole")
    return found


def events_in(body: bytes, content_type: str, limit: int) -> tuple[list[tuple[int, Event]], list[Refusal]]:
    """Events of the contract in a body (one, a JSON array or lines) by number, and what is none.

    Raises EventError for a body that has no records at all, TooLargeError for more than `limit` of them.
    """
    events: list[tuple[int, Event]] = []
    refused: list[Refusal] = []
    index = -1
    for index, record in enumerate(_records(body, content_type)):
        if index >= limit:
            raise TooLargeError
        original = record if isinstance(record, bytes) else None
        try:
            original = _written(record) if original is None else original
            events.append((index, decode_event(original)))
        except EventError as error:
            refused.append(Refusal(index, error.reason, error.path, str(error), original))
    return events, refused


def _records(body: bytes, content_type: str) -> Iterator[Any]:
    """Bytes of a record, or the part of an array that it is."""
    if not body.strip():
        raise EventError(
            "missing", "$", "the body is empty; send one event, a JSON array of events, or one event a line"
        )
    if content_type in LINES or _is_object(body.partition(b"\n")[0]):
        return (line for line in body.split(b"\n") if line.strip())
    try:
        document = loads(body)
    except JSONDecodeError as error:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if any(_is_object(line) for line in lines[1:]):
            return iter(lines)
        raise EventError("not_json", "$", f"not JSON: {error}; send JSON in UTF-8") from None
    return iter(document) if type(document) is list else iter((body,))


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{") or not line.rstrip().endswith(b"}"):
        return False
    try:
        return type(loads(line)) is dict
    except JSONDecodeError:
        return False


def _written(part: Any) -> bytes:
    try:
        return dumps(part)
    except JSONEncodeError as error:
        raise EventError("not_json", "$", f"cannot be written as JSON: {error}") from None
