"""What all adapters stand on: a payload that is asked by path, fields taken by a table, and one translation.

An adapter is data (which field comes from where) and a function for what data cannot say: which kind of event a record is,
what identifies it, when it happened. It never looks at a clock, keeps nothing, and what it cannot use it refuses with a
reason, record by record.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from functools import cache
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from orjson import OPT_SORT_KEYS, JSONDecodeError, JSONEncodeError, dumps, loads

from slastream.core.units import Instant, format_instant
from slastream.errors import EventError
from slastream.ingest.field_text import ABSENT
from slastream.ingest.mapping_values import (
    INSTANT,
    MONITORING,
    TICKET,
    AnyName,
    Fields,
    Json,
    Kind,
    instant_parser,
    shown,
)
from slastream.ingest.signatures import Signature
from slastream.wire.events import MAX_NAME_LENGTH, decode_event

NO_TIME = ("", "0001-01-01T00:00:00Z")
_MAX_SHOWN_PATH = 200
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DAY = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")

# ---- what goes in


@dataclass(frozen=True, slots=True)
class Take:
    """A value from the first of these paths of the record that has one; then `parse`, `map`, `default`, as in a mapping file.

    A path has dots between its keys; numbers are places in a list, `*` is every one. A text that `map` does not name has
    no value here, and the next `Take` of the field is asked; of a list the first text counts that `map` names.
    """

    paths: tuple[str, ...]
    map: Mapping[str, Any] | None = None
    default: Any = ABSENT
    parse: str | None = None


def take(*paths: str, map: Mapping[str, Any] | None = None, default: Any = ABSENT, parse: str | None = None) -> Take:
    return Take(paths, map, default, parse)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record; `ABSENT`: never sent."""

    value: Any


Sources = tuple[Take | Constant, ...]
"""Where a field comes from: asked in this order, the first that has a value counts."""


class Place(NamedTuple):
    """Where a problem is, for a vendor whose recovery does not say it."""

    service: str
    component: str


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """What an operator says about one source.

    source:   `source` of its events and beginning of their ids; None: the adapter's name. Two systems of a vendor need two.
    zone:     of times that the vendor sends without an offset
    fields:   by dotted path of the event (`ticket.priority`): asked before the adapter's own
    authors:  a pattern (`*@example.com`) to the role of who it names, in this order, asked before the adapter's own rule
    places:   open problems by `episode`, as earlier translations gave them (`Translation.places`); only `zabbix` needs it
    """

    source: str | None = None
    zone: tzinfo = UTC
    fields: Mapping[str, Sources] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)


# ---- what comes out


class Refused(NamedTuple):
    """A record that is no event: its number in the payload from 0, a word of contract section 3, its path there, why."""

    record: int
    reason: str
    path: str
    message: str


class Translation(NamedTuple):
    """What a payload means.

    events:   of the contract (section 1), valid, as objects for JSON
    records:  for each event, the number of the record that it comes from
    origins:  for each event, by dotted path of its fields, the path in the payload, where a table gave the field
    refused:  records that could not be used
    ignored:  how many records say nothing about service levels, by reason (a bounded set of words)
    lost:     how many records the vendor says it left out (`truncatedAlerts`)
    places:   problems that began here, by `episode`
    """

    events: tuple[dict[str, Any], ...] = ()
    records: tuple[int, ...] = ()
    origins: tuple[Mapping[str, str], ...] = ()
    refused: tuple[Refused, ...] = ()
    ignored: Mapping[str, int] = {}
    lost: int = 0
    places: Mapping[str, Place] = {}


Ignored = Literal[
    "other_type",  # of a kind that is not about tickets, states or maintenance
    "test",
    "informational",  # a severity that means no outage
    "update",  # an acknowledgement of a problem
    "no_problem",  # the end of nothing
    "edited_message",
    "system_note",
    "pull_request",
    "flexible_downtime_not_triggered",
]
"""Why a record says nothing about service levels: bounded, so that it can be a label."""


class IgnoredError(Exception):
    """A record that says nothing about service levels."""

    def __init__(self, reason: Ignored) -> None:
        super().__init__(reason)
        self.reason: Ignored = reason


# ---- the adapter


class View:
    """A value in a payload, with its path. What is asked for and not there, or of another type, is an EventError with that path."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "$") -> None:
        self.value = value
        self.path = path

    def at(self, *names: str) -> "View":
        """What stands under these keys; `ABSENT` where one is missing or null."""
        here = self
        for name in names:
            value = here.value.get(name) if isinstance(here.value, dict) else None
            here = View(ABSENT if value is None else value, joined(here.path, name))
        return here

    @property
    def exists(self) -> bool:
        return self.value is not ABSENT and self.value != ""

    def object(self) -> "View":
        return self if isinstance(self.value, dict) else self._wrong("an object")

    def items(self) -> "list[View]":
        """The parts of a list."""
        if not isinstance(self.value, list):
            self._wrong("a list")
        return [View(one, f"{self.path}[{index}]") for index, one in enumerate(self.value)]

    def text(self) -> str:
        """A text or a whole number, as text: ids are either, by vendor and version."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        if not isinstance(self.value, str):
            self._wrong("text")
        if not self.value:
            raise EventError("missing", self.path, "is empty; it is required")
        return str(self.value)

    def words(self) -> str:
        """As `text`; empty where there is none."""
        return self.text() if self.exists else ""

    def integer(self) -> int:
        """A whole number, also in quotes."""
        value = self.value
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong("a whole number")
        return int(value)

    def boolean(self, default: bool) -> bool:
        """True and false, also in quotes or as 1 and 0."""
        if not self.exists:
            return default
        found = _BOOLEANS.get(str(self.value).lower()) if isinstance(self.value, bool | int | str) else None
        return found if found is not None else bool(self._wrong("true or false"))

    def _wrong(self, expected: str) -> Any:
        if self.value is ABSENT:
            raise EventError("missing", self.path, "is missing; it is required")
        raise EventError("wrong_type", self.path, f"is {_kind(self.value)}; {expected} is expected there")


_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Context:
    """One translation: the request, what the operator says, and the tools that a vendor's function works with."""

    def __init__(self, adapter: "Adapter", headers: Mapping[str, str], options: AdapterOptions) -> None:
        self.adapter = adapter
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.options = options
        self.source = options.source or adapter.name
        self.zone = UTC if adapter.is_utc else options.zone
        self.origins: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        self.lost = 0

    def event_id(self, *parts: str) -> str:
        """`source:part:part`, the same for the same parts; of what is too long, a digest."""
        text = ":".join((self.source, *parts))
        if len(text) <= MAX_NAME_LENGTH:
            return text
        return f"{self.source[:64]}:{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"

    def instant(self, view: View, parse: str | None = None) -> str:
        """RFC 3339 in UTC of a time as `parse` says (None: ISO 8601); what has no offset is UTC or of the operator's zone."""
        value = view.value
        text = value if isinstance(value, str) else dumps(value).decode() if _is_number(value) else view.text()
        if text in NO_TIME:
            raise EventError("missing", view.path, "has no time; it is required")
        if parse is None and _DAY.fullmatch(text):
            raise EventError("bad_instant", view.path, f"is {text}, a day without a time; send the time as well")
        try:
            return instant_parser(parse, self.zone)(text.strip())
        except ValueError as error:
            raise EventError("bad_instant", view.path, str(error)) from None

    def epoch(self, view: View, per_second: int) -> str:
        """RFC 3339 of a whole number of `per_second` parts of a second since 1970, exactly (a float has no nanoseconds)."""
        try:
            return format_instant(Instant(view.integer() * 1_000_000 // per_second))
        except (ValueError, OverflowError):
            raise EventError("bad_instant", view.path, f"is {view.value}, which lies beyond the year 9999") from None

    def digest(self, value: Any) -> str:
        """16 hexadecimal digits of a value, the same for equal values: for payloads that have no id of their own."""
        return blake2b(dumps(value, option=OPT_SORT_KEYS), digest_size=8).hexdigest()

    def fill(self, record: View, group: str = "") -> dict[str, Any]:
        """The fields below `group` (`ticket`, or empty for the event itself) that the tables give for the record."""
        found: dict[str, Any] = {}
        prefix = f"{group}." if group else ""
        for path in {**self.adapter.fields, **self.options.fields}:
            if not path.startswith(prefix) or (not group and "." in path):
                continue
            value = self.field(record, path)
            if value is not ABSENT:
                into, names = found, path[len(prefix) :].split(".", 1)
                if len(names) == 2:
                    into = found.setdefault(names[0], {})
                into[names[-1]] = value
        return found

    def field(self, record: View, path: str) -> Any:
        """One field by its table; ABSENT where nothing gives it, None where the record says that it is empty."""
        kind = kind_of(path, self.adapter.kind)
        sources = (*self.options.fields.get(path, ()), *self.adapter.fields.get(path, ()))
        unnamed: tuple[str, str] | None = None
        empty: str | None = None
        for one in sources:
            if isinstance(one, Constant):
                if one.value is not ABSENT:
                    self.origins[path] = "constant"
                return one.value
            for place in one.paths:
                value, where = _found(record, place)
                if value is ABSENT:
                    continue
                if value is None or value == "" or value == []:
                    empty = empty or where
                    continue
                value, text = self._converted(value, where, one, kind)
                if value is not ABSENT:
                    self.origins[path] = where
                    return value
                unnamed = unnamed or (where, text)
            if one.default is not ABSENT:
                self.origins[path] = "default"
                return one.default
        if unnamed is not None and kind.name == "word":
            where, text = unnamed
            raise EventError(
                "bad_value", where, f"is {shown(text)}, which no table names; name it in the options under {path}: map"
            )
        if empty is None or not kind.is_nullable or kind.name == "word":
            return ABSENT
        self.origins[path] = empty
        return None

    def _converted(self, value: Any, where: str, one: Take, kind: Kind) -> tuple[Any, str]:
        try:
            cell = value if isinstance(value, str) else Json(dumps(value).decode())
            text = cell if isinstance(cell, str) else cell.text
            if one.parse is not None or (kind is INSTANT and one.map is None):
                cell = text = instant_parser(one.parse, self.zone)(text)
            if one.map is not None and isinstance(value, list):
                named = [one.map[text] for text in value if isinstance(text, str) and text in one.map]
                return (named[0] if named else ABSENT), text
            if one.map is not None:
                return one.map.get(text, ABSENT), text
            return text if kind is INSTANT else kind.convert(cell), text
        except (JSONEncodeError, ValueError) as error:
            reason = "bad_instant" if kind is INSTANT else "bad_value"
            raise EventError(reason, where, str(error)) from None

    def ticket(
        self,
        record: View,
        event_id: str,
        occurred_at: str,
        kind: str = "changed",
        *,
        has_state: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        """A ticket event; with `has_state` the ticket's attributes by the tables. `more` are other fields; None leaves one out."""
        ticket_id = self.field(record, "ticket_id")
        if ticket_id is ABSENT or ticket_id is None:
            raise EventError("missing", self._first_path(record, "ticket_id"), "is missing; it identifies the ticket")
        event = {
            "event_id": event_id,
            "ticket_id": ticket_id,
            "occurred_at": occurred_at,
            "source": self.source,
            "type": kind,
        }
        state = self.fill(record, "ticket") if has_state else {}
        if state:
            event["ticket"] = state
        return event | {name: value for name, value in more.items() if value is not None}

    def monitoring(self, record: View, event_id: str, occurred_at: str, **more: Any) -> dict[str, Any]:
        """A monitoring event, its service and what else the tables give; `more` wins over them, None in it leaves a field out."""
        event = {"event_id": event_id, "occurred_at": occurred_at, "source": self.source, **self.fill(record), **more}
        if event.get("service") is None:
            where = self._first_path(record, "service")
            raise EventError(
                "missing", where, "names no service; say where it is in the options under service: {column: …}"
            )
        for name in more:
            self.origins.pop(name, None)
        return {name: value for name, value in event.items() if value is not None}

    def _first_path(self, record: View, path: str) -> str:
        sources = (*self.options.fields.get(path, ()), *self.adapter.fields.get(path, ()))
        first = next((one.paths[0] for one in sources if isinstance(one, Take)), path)
        return joined(record.path, first)

    def author(self, role: str, *names: View) -> str:
        """The role of who has these names (a login, an address, an id): the operator's word, else the adapter's `role`."""
        known = [str(one.value) for one in names if isinstance(one.value, str | int)]
        for pattern, word in self.options.authors.items():
            if any(fnmatchcase(name, pattern) for name in known):
                return word
        return role


Events = Iterable[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """One vendor.

    name:       as in `/v1/hooks/NAME`
    title:      as the vendor writes it
    kind:       `ticket` or `monitoring`: what its events are first of all
    read:       the events of one record; raises EventError for one that cannot be used, IgnoredError for one that says nothing
    split:      the records of a payload; left out, the payload is one
    fields:     where the fields of events come from
    messages:   whether it tells who wrote a message to whom
    signatures: the vendor's own schemes, see `why_not_genuine`; none: use a bearer token
    lacks:      promise metrics that its payloads have no data for, and why
    passes_events: whether a payload may hold events of the contract, of any kind
    is_utc:     whether its times without an offset are UTC, whatever zone the operator has
    lines:      whether a payload may also be NDJSON
    keeps_places: whether a recovery may not say where its problem was, so that `Translation.places` must be kept
    """

    name: str
    title: str
    kind: str
    read: Callable[[View, Context], Events]
    fields: Mapping[str, Sources]
    split: Callable[[View, Context], Sequence[View]] | None = None
    messages: bool = False
    signatures: tuple[Signature, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    passes_events: bool = False
    is_utc: bool = False
    lines: bool = False
    keeps_places: bool = False

    @property
    def kinds(self) -> Fields:
        return TICKET if self.kind == "ticket" else MONITORING

    def events(self, payload: bytes, headers: Mapping[str, str], options: AdapterOptions | None = None) -> Translation:
        """What the payload means; raises nothing, whatever the bytes are."""
        options = AdapterOptions() if options is None else options
        context = Context(self, headers, options)
        made: list[tuple[dict[str, Any], int, Mapping[str, str]]] = []
        refused: list[Refused] = []
        ignored: Counter[str] = Counter()
        for number, record in self._records(payload, context):
            try:
                if isinstance(record, EventError):
                    raise record
                events = []
                for event in self.read(record, context):
                    decode_event(dumps(event))
                    events.append((event, number, context.origins))
                    context.origins = {}
                made += events
            except EventError as error:
                refused.append(Refused(number, error.reason, error.path, str(error)))
            except IgnoredError as error:
                ignored[error.reason] += 1
            except JSONEncodeError as error:
                refused.append(Refused(number, "not_json", "$", f"cannot be written as JSON: {error}"))
            context.origins = {}
        return Translation(
            tuple(event for event, _, _ in made),
            tuple(number for _, number, _ in made),
            tuple(origins for _, _, origins in made),
            tuple(refused),
            dict(ignored),
            context.lost,
            context.places,
        )

    def _records(self, payload: bytes, context: Context) -> Iterator[tuple[int, View | EventError]]:
        number = 0
        for document in _documents(payload, self.lines):
            try:
                parts: Sequence[View | EventError] = (
                    [document]
                    if isinstance(document, EventError)
                    else [document.object()]
                    if self.split is None
                    else self.split(document, context)
                )
            except EventError as error:
                parts = [error]
            for part in parts:
                yield number, part
                number += 1


def _documents(payload: bytes, are_lines: bool) -> Iterator[View | EventError]:
    """The payload, or with `are_lines` each line of it where it is not one JSON text."""
    try:
        yield View(loads(payload))
        return
    except JSONDecodeError as error:
        whole = _not_json(error, "$")
    lines = [one for one in payload.split(b"\n") if one.strip()]
    if not are_lines or len(lines) < 2:
        yield whole
        return
    for line in lines:
        try:
            yield View(loads(line))
        except JSONDecodeError as error:
            yield _not_json(error, "$")


def _not_json(error: JSONDecodeError, path: str) -> EventError:
    return EventError("not_json", path, f"is no JSON: {error.msg}; send one JSON object in UTF-8")


# ---- paths and values


def joined(path: str, name: str) -> str:
    return (name if path == "$" else f"{path}.{name}")[:_MAX_SHOWN_PATH]


@cache
def kind_of(path: str, kind: str) -> Kind:
    """The type of a field of a ticket or monitoring event by its dotted path. Raises KeyError for one that it does not have."""
    names = path.split(".")
    here: Kind | AnyName | Fields = TICKET if kind == "ticket" else MONITORING
    for index, name in enumerate(names):
        if isinstance(here, AnyName):
            return here.kind
        if isinstance(here, Kind):
            raise KeyError(path)
        here = here[name]
        if isinstance(here, AnyName) and index + 1 < len(names):
            return here.kind
    if not isinstance(here, Kind):
        raise KeyError(path)
    return here


def named(items: Any, name: str, value: str) -> dict[str, Any]:
    """A list of pairs as an object: `[{name: N, value: V}]` to `{N: V}`; what is no such pair is left out."""
    pairs = items if isinstance(items, list) else []
    return {one[name]: one.get(value) for one in pairs if isinstance(one, dict) and isinstance(one.get(name), str)}


@cache
def _names(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _found(record: View, path: str) -> tuple[Any, str]:
    """The value at a dotted path and where it stands; a key that has dots itself is found too. ABSENT where there is none."""
    value = _value(record.value, _names(path))
    return value, joined(record.path, path)


def _value(value: Any, names: Sequence[str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        if names[0] in value:
            found = _value(value[names[0]], names[1:])
            if found is not ABSENT:
                return found
        for end in range(len(names), 0, -1):
            key = ".".join(names[:end])
            if key in value:
                return _value(value[key], names[end:])
        return ABSENT
    if isinstance(value, list):
        if names[0] == "*":
            found = [_value(one, names[1:]) for one in value]
            return [one for one in found if one is not ABSENT and one is not None]
        if names[0].isdecimal() and int(names[0]) < len(value):
            return _value(value[int(names[0])], names[1:])
    return ABSENT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
