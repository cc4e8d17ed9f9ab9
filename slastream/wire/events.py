"""Bytes of a record or a line to an event, and back (contract section 1).

Parse once, at the border: what `decode_event` returns is valid in every part that has a meaning; fields without one are
kept out of the way. Everything that is wrong is an `EventError` with one of the words of contract section 3 and the
path of the fault. Whether an instant lies in the future is the caller's to judge, who has the clock.

`content` of an event is its bytes as they came. Only two events with one `event_id` are ever compared by content, and
then by `canonical` of it, so the sorted text is not made for every event. It is made at once for an event without an
`event_id`, whose id is its digest.
"""

import re
from hashlib import blake2b
from typing import Any, NoReturn

from orjson import OPT_SORT_KEYS, JSONDecodeError, JSONEncodeError, dumps, loads

from slastream.core.events import (
    AUTHORS,
    STATES,
    STATUSES,
    TICKET_EVENT_TYPES,
    Event,
    MaintenanceEvent,
    Message,
    MonitoringEvent,
    Override,
    Rating,
    Tick,
    TicketEvent,
)
from slastream.core.units import Duration, Instant, parse_duration, parse_instant
from slastream.errors import EventError

REASONS = (
    "not_json",
    "too_large",
    "unknown_kind",
    "missing",
    "wrong_type",
    "bad_value",
    "bad_instant",
    "future",
    "too_late",
)
"""Every reason for which a message is rejected; the last two are given by those who have a clock and a table."""

MAX_LINE_BYTES = 1024 * 1024
MAX_NAME_LENGTH = 512
MAX_DEPTH = 250
"""Levels of nesting; orjson writes 254 at most, and what can be read must also be written (in a digest, in a table)."""

TEXT_ATTRIBUTES = frozenset(
    {
        "service",
        "status",
        "status_name",
        "priority",
        "type",
        "customer",
        "provider",
        "group",
        "assignee",
        "requester",
        "opened_by",
        "title",
    }
)
"""Attributes of a ticket that are text or null; besides them there are `tags`, `fields.*` and `created_at`."""

_TYPES = frozenset(TICKET_EVENT_TYPES)
_STATUSES = frozenset(STATUSES)
_AUTHORS = frozenset(AUTHORS)
_STATES = frozenset(STATES)
_SCALARS = frozenset({str, int, float, bool, type(None)})
_INT64 = 2**63
_DURATION_LENGTH = 40
_BOUND = re.compile(r"\+?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?|[iI]nf)", re.ASCII)

_WORDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def decode_event(line: bytes) -> Event:
    """The event that a record or a line holds.

    Raises EventError. Costs 5 µs of CPU for a ticket event of 430 bytes with an `event_id`, 6.5 µs without, of which
    1 µs is orjson and 1.5 µs two instants (CPython 3.11, a shared 2 GHz Xeon core). The stream's hot path: hence the
    checks written out in `_ticket`.
    """
    if len(line) > MAX_LINE_BYTES:
        raise EventError("too_large", "$", f"has more than {MAX_LINE_BYTES} bytes; write a shorter event")
    try:
        document = loads(line)
    except JSONDecodeError as error:
        raise EventError("not_json", "$", f"not JSON: {error}; write one JSON object in UTF-8") from None
    if type(document) is not dict:
        _wrong_type(document, "$", "an object")
    if len(line) > 2 * MAX_DEPTH and line.count(b"[") + line.count(b"{") > MAX_DEPTH:  # counting costs 0.4 µs
        _check_depth(document)
    get = document.get
    if get("ticket_id") is not None:
        return _ticket(document, line) if get("maintenance_id") is None else _maintenance(document, line)
    if get("type") == "tick":
        return Tick(_instant(document, "at", "at"))
    if get("maintenance_id") is not None:
        return _maintenance(document, line)
    if get("state") is not None or get("counts") is not None or get("latency_ms") is not None:
        return _monitoring(document, line)
    for name in ("maintenance_id", "ticket_id", "state", "counts", "latency_ms"):
        if name in document:
            _missing(name)
    raise EventError(
        "unknown_kind",
        "$",
        "no ticket_id, no state or counts, no maintenance_id: not an event; write the one that names its kind",
    )


def encode_event(event: dict[str, Any]) -> bytes:
    """One line of JSON, without its end, of the fields as contract section 1 names them.

    Raises EventError (`wrong_type`) for values that JSON does not have.
    """
    try:
        return dumps(event)
    except JSONEncodeError as error:
        raise EventError("wrong_type", "$", f"cannot be written as JSON: {error}") from None


def canonical(content: bytes) -> bytes:
    """The JSON text with sorted keys and no spaces, by which two contents of one `event_id` are compared."""
    return dumps(loads(content), option=OPT_SORT_KEYS)


def derived_event_id(document: Any) -> str:
    """The id of an event that has none: of equal content, the same; 32 hexadecimal digits."""
    return blake2b(dumps(document, option=OPT_SORT_KEYS), digest_size=16).hexdigest()


# ---- the kinds


def _ticket(document: dict[str, Any], line: bytes) -> TicketEvent:
    """A ticket event. Its checks are written out, not called: this is the hot path."""
    get = document.get
    ticket_id = document["ticket_id"]
    if type(ticket_id) is not str or not 0 < len(ticket_id) <= MAX_NAME_LENGTH:
        _bad_name(ticket_id, "ticket_id")
    try:
        occurred_at = parse_instant(document["occurred_at"])
    except (KeyError, TypeError, ValueError):
        occurred_at = _instant(document, "occurred_at", "occurred_at")
    sequence = get("sequence", 0)
    if type(sequence) is not int or not -_INT64 <= sequence < _INT64:
        sequence = _integer(document, "sequence", "sequence", 0)
    source = get("source")
    if source is not None and type(source) is not str:
        _wrong_type(source, "source", "text")
    kind = get("type", "changed")
    if kind.__class__ is not str or kind not in _TYPES:
        kind = _kind(kind)

    attributes: dict[str, Any] = {}
    created_at = None
    ticket = get("ticket")
    if ticket is not None:
        if type(ticket) is not dict:
            _wrong_type(ticket, "ticket", "an object")
        for name, value in ticket.items():
            if name in TEXT_ATTRIBUTES:
                if value is not None and type(value) is not str:
                    _wrong_type(value, f"ticket.{name}", "text or null")
                attributes[name] = value
            elif name == "fields":
                _flatten(value, attributes)
            elif name == "tags":
                attributes[name] = _tags(value)
            elif name == "created_at" and value is not None:
                created_at = _instant(ticket, name, "ticket.created_at")
        status = attributes.get("status")
        if status is not None and status not in _STATUSES:
            _unknown_word(status, "ticket.status", STATUSES)
        opened_by = attributes.get("opened_by")
        if opened_by is not None and opened_by not in _AUTHORS:
            _unknown_word(opened_by, "ticket.opened_by", AUTHORS)
        service = attributes.get("service")
        if service is not None and not 0 < len(service) <= MAX_NAME_LENGTH:
            _bad_name(service, "ticket.service")

    message = get("message")
    if message is not None:
        message = _message(message)
    elif kind == "message":
        _missing("message")
    event_id = get("event_id")
    if event_id is None:
        event_id = derived_event_id(document)
    elif type(event_id) is not str or not 0 < len(event_id) <= MAX_NAME_LENGTH:
        _bad_name(event_id, "event_id")
    return TicketEvent(
        ticket_id,
        occurred_at,
        sequence,
        event_id,
        kind,
        source,
        attributes,
        created_at,
        message,
        _override(document) if kind == "override" else None,
        _rating(document) if kind == "rated" else None,
        _name(document, "merged_into") if kind == "merged" else None,
        line,
    )


def _kind(value: object) -> str:
    if value is None:
        return "changed"
    if type(value) is str:
        _unknown_word(value, "type", TICKET_EVENT_TYPES)
    return _wrong_type(value, "type", "text")


def _flatten(fields: object, attributes: dict[str, Any]) -> None:
    """The source's own fields under dotted names; null clears them all, told as the attribute `fields`."""
    if fields is None:
        attributes["fields"] = None
        return
    if type(fields) is not dict:
        _wrong_type(fields, "ticket.fields", "an object")
    for name, value in fields.items():
        if type(value) not in _SCALARS and not (type(value) is list and all(type(v) in _SCALARS for v in value)):
            _wrong_type(value, f"ticket.fields.{name}", "text, a number, true, false, null or a list of these")
        attributes["fields." + name] = value


def _tags(tags: object) -> list[str] | None:
    if tags is None:
        return None
    if type(tags) is not list:
        _wrong_type(tags, "ticket.tags", "a list of texts")
    for tag in tags:
        if type(tag) is not str:
            _wrong_type(tag, "ticket.tags", "a list of texts")
    return tags


def _message(message: object) -> Message:
    if type(message) is not dict:
        _wrong_type(message, "message", "an object")
    author = message.get("author")
    if author is None:
        _missing("message.author")
    if type(author) is not str:
        _wrong_type(author, "message.author", "text")
    if author not in _AUTHORS:
        _unknown_word(author, "message.author", AUTHORS)
    is_public = _boolean(message, "public", "message.public", True)
    return Message(author, is_public, _boolean(message, "automatic", "message.automatic", False))


def _override(document: dict[str, Any]) -> Override:
    override = _object(document, "override", "override")
    promise = _name(override, "promise", "override.promise")
    due_at = None if override.get("due_at") is None else _instant(override, "due_at", "override.due_at")
    by = _optional_text(override, "by", "override.by")
    return Override(promise, due_at, by, _optional_text(override, "reason", "override.reason"))


def _rating(document: dict[str, Any]) -> Rating:
    rating = _object(document, "rating", "rating")
    score, scale = _number(rating, "score", "rating.score"), _number(rating, "scale", "rating.scale")
    if scale <= 0:
        _bad_value(scale, "rating.scale", "a number above zero")
    if not 0 <= score <= scale:
        _bad_value(score, "rating.score", f"a number from 0 to the scale, {scale}")
    return Rating(score, scale)


def _monitoring(document: dict[str, Any], line: bytes) -> MonitoringEvent:
    service = _name(document, "service")
    occurred_at = _instant(document, "occurred_at", "occurred_at")
    state = _word(document, "state", STATES, None)
    confidence = _word(document, "confidence", ("hard", "soft"), "hard")
    good, total = _counts(document)
    return MonitoringEvent(
        service=service,
        component=service if document.get("component") is None else _name(document, "component"),
        occurred_at=occurred_at,
        sequence=_integer(document, "sequence", "sequence", 0),
        event_id=_event_id(document),
        source=_optional_text(document, "source", "source"),
        state=state,
        is_hard=confidence == "hard",
        episode=_optional_text(document, "episode", "episode"),
        expires_after=_duration(document, "expires_after"),
        interval=_duration(document, "interval"),
        good=good,
        total=total,
        latency=_latency(document),
        content=line,
    )


def _counts(document: dict[str, Any]) -> tuple[int | None, int | None]:
    if document.get("counts") is None:
        return None, None
    counts = _object(document, "counts", "counts")
    good, total = _integer(counts, "good", "counts.good"), _integer(counts, "total", "counts.total")
    if good < 0:
        _bad_value(good, "counts.good", "a whole number, 0 or more")
    if total < good:
        _bad_value(total, "counts.total", f"at least counts.good, {good}")
    return good, total


def _latency(document: dict[str, Any]) -> tuple[tuple[float, int], ...] | None:
    """The histogram by ascending bound; counts are cumulative, as in Prometheus."""
    if document.get("latency_ms") is None:
        return None
    bounds = _object(_object(document, "latency_ms", "latency_ms"), "le", "latency_ms.le")
    buckets: dict[float, int] = {}
    for text in bounds:
        path = f"latency_ms.le.{text}"
        bound = float(text) if _BOUND.fullmatch(text) else None
        if bound is None or bound in buckets:
            _bad_value(text, path, "milliseconds once each, such as 300 or inf")
        buckets[bound] = _integer(bounds, text, path)
    ascending = tuple(sorted(buckets.items()))
    below = 0
    for bound, count in ascending:
        if count < below:
            _bad_value(count, f"latency_ms.le.{bound:g}", f"a count of all events up to it, at least {below}")
        below = count
    return ascending


def _maintenance(document: dict[str, Any], line: bytes) -> MaintenanceEvent:
    """A planned maintenance; one that is withdrawn needs no `start` and `end`."""
    maintenance_id = _name(document, "maintenance_id")
    service = _name(document, "service")
    component = None if document.get("component") is None else _name(document, "component")
    occurred_at = _instant(document, "occurred_at", "occurred_at")
    is_withdrawn = _boolean(document, "withdrawn", "withdrawn", False)
    if is_withdrawn and document.get("start") is None and document.get("end") is None:
        start = end = occurred_at
    else:
        start, end = _instant(document, "start", "start"), _instant(document, "end", "end")
        if end <= start:
            _bad_value(document["end"], "end", "an instant after start")
    return MaintenanceEvent(
        maintenance_id=maintenance_id,
        service=service,
        component=component,
        occurred_at=occurred_at,
        start=start,
        end=end,
        revision=_integer(document, "revision", "revision", 0),
        is_withdrawn=is_withdrawn,
        event_id=_event_id(document),
        content=line,
    )


# ---- values: each takes the object that holds it, its name there and its path


def _instant(holder: dict[str, Any], name: str, path: str) -> Instant:
    value = holder.get(name)
    if type(value) is not str:
        return _missing(path) if value is None else _wrong_type(value, path, "an instant as text")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise EventError("bad_instant", path, str(error)) from None


def _duration(holder: dict[str, Any], name: str) -> Duration | None:
    value = holder.get(name)
    if value is None:
        return None
    if type(value) is not str:
        _wrong_type(value, name, "a duration as text")
    try:
        duration = parse_duration(value) if len(value) <= _DURATION_LENGTH else Duration(0)
    except ValueError:
        duration = Duration(0)
    if not 0 < duration < _INT64:
        _bad_value(value, name, "a duration above zero, such as 90s or 15m")
    return duration


def _event_id(document: dict[str, Any]) -> str:
    return derived_event_id(document) if document.get("event_id") is None else _name(document, "event_id")


def _name(holder: dict[str, Any], name: str, path: str | None = None) -> str:
    value = holder.get(name)
    if type(value) is not str or not 0 < len(value) <= MAX_NAME_LENGTH:
        _bad_name(value, path or name)
    return value


def _word(holder: dict[str, Any], name: str, words: tuple[str, ...], default: str | None) -> str | None:
    value = _optional_text(holder, name, name)
    if value is None:
        return default
    if value not in words:
        _unknown_word(value, name, words)
    return value


def _optional_text(holder: dict[str, Any], name: str, path: str) -> str | None:
    value = holder.get(name)
    if value is None or type(value) is str:
        return value
    return _wrong_type(value, path, "text")


def _boolean(holder: dict[str, Any], name: str, path: str, default: bool) -> bool:
    value = holder.get(name)
    if value is None:
        return default
    if type(value) is not bool:
        _wrong_type(value, path, "true or false")
    return value


def _integer(holder: dict[str, Any], name: str, path: str, default: int | None = None) -> int:
    """A whole number of 64 bits; without a default it is required. `1.0` is none."""
    value = holder.get(name)
    if value is None:
        if default is None:
            _missing(path)
        return default
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if type(value) is int or (type(value) is float and abs(value) >= _INT64):  # orjson reads beyond 64 bits as a float
        return _bad_value(value, path, "a whole number of 64 bits")
    return _wrong_type(value, path, "a whole number")


def _number(holder: dict[str, Any], name: str, path: str) -> float:
    value = holder.get(name)
    if value is None:
        _missing(path)
    if type(value) is not int and type(value) is not float:
        _wrong_type(value, path, "a number")
    return value


def _object(holder: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    value = holder.get(name)
    if type(value) is dict:
        return value
    return _missing(path) if value is None else _wrong_type(value, path, "an object")


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner = (value.values() if type(value) is dict else value for value in level)
        level = [child for children in inner for child in children if type(child) in (dict, list)]
        if not level:
            return
    raise EventError("not_json", "$", f"nested more than {MAX_DEPTH} levels deep; write a flatter object")


# ---- what is wrong


def _missing(path: str) -> NoReturn:
    raise EventError("missing", path, "is missing; it is required")


def _wrong_type(value: object, path: str, expected: str) -> NoReturn:
    raise EventError("wrong_type", path, f"is {_WORDS[type(value)]}, {_shown(value)}; write {expected}")


def _bad_value(value: object, path: str, expected: str) -> NoReturn:
    raise EventError("bad_value", path, f"is {_shown(value)}; write {expected}")


def _unknown_word(value: object, path: str, words: tuple[str, ...]) -> NoReturn:
    _bad_value(value, path, f"one of {', '.join(words)}")


def _bad_name(value: object, path: str) -> NoReturn:
    if value is None:
        _missing(path)
    if type(value) is not str:
        _wrong_type(value, path, "text")
    raise EventError("bad_value", path, f"has {len(value)} characters; write 1 to {MAX_NAME_LENGTH}")


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"with {len(value)} parts"
    text = dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
