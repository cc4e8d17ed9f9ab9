"""What stories are told in: conditions, events, targets and instants as people say them."""

from typing import Any, Literal

from slastream.core.calendars import Calendar
from slastream.core.clocks import Cycle
from slastream.core.events import Message, TicketEvent
from slastream.core.predicates import (
    ALWAYS,
    NEVER,
    All,
    AnyOf,
    Changed,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
)
from slastream.core.rules import CLOSED, Rule, Selection
from slastream.core.targets import format_target
from slastream.core.units import DAY, EPOCH_ORDINAL, HOUR, MINUTE, SECOND, Instant, seconds_text


def target_name(selection: Selection) -> str:
    return f"{format_target(selection.within)} on {selection.calendar.name}"


def target_text(rule: Rule, selection: Selection, attributes: dict[str, Any]) -> str:
    """The target, and which entry gave it."""
    name, entries = target_name(selection), rule.promise.targets
    if len(entries) == 1 and entries[0].when is None:
        return name
    for number, (entry, (when, one)) in enumerate(zip(entries, rule.selections, strict=True), 1):
        if one == selection and (when is None or when(attributes, None, ())):
            text = "for all others" if entry.when is None or entry.when == ALWAYS else predicate_text(entry.when)
            return f"{name} (entry {number} of {len(entries)}: {text})"
    return name


def due_text(cycle: Cycle) -> str:
    due_at = cycle.due_at if cycle.is_open else None
    return "" if due_at is None else f"; due {wall_clock(zone_of(cycle), due_at)}"


def zone_of(cycle: Cycle) -> Calendar:
    return cycle.rule.promise.calendar


def wall_clock(calendar: Calendar, at: Instant) -> str:
    """`Fri 2026-03-06 13:00 +01:00` in the calendar's zone, with seconds and their fraction where there are any."""
    day, us = calendar.local(at)
    offset = (day.toordinal() - EPOCH_ORDINAL) * DAY + us - at
    sign, ahead = "+" if offset >= 0 else "-", abs(offset)
    rest = us % MINUTE
    clock = f"{us // HOUR:02}:{us % HOUR // MINUTE:02}"
    if rest:
        clock += f":{rest // SECOND:02}" + (f".{rest % SECOND:06}".rstrip("0") if rest % SECOND else "")
    return f"{_WEEKDAYS[day.weekday()]} {day} {clock} {sign}{ahead // HOUR:02}:{ahead % HOUR // MINUTE:02}"


def duration_text(us: int) -> str:
    """`3 h 20 min`, `45 s`, `0.5 s`; hours are not gathered into days, which would have two meanings."""
    hours, rest = divmod(us, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0) + [f"{seconds_text(rest)} s"] * (rest > 0)
    return " ".join(parts) or "0 min"


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def event_text(event: TicketEvent) -> str:
    """What an event says, in a few words."""
    said = [] if event.type in ("changed", "message", "override") else [event.type]
    said += [f"{name} {value_text(event.attributes[name])}" for name in _TOLD if name in event.attributes]
    if event.message is not None:
        said.append(_message_text(event.message))
    if event.override is not None:
        said.append("override")
    rest = [name for name in event.attributes if name not in _TOLD]
    if not said:
        said = [f"{name} {value_text(event.attributes[name])}" for name in rest[:3]]
    return ", ".join(said) or event.type


def _message_text(message: Message) -> str:
    automatic = "automatic " if message.is_automatic else ""
    return f"{automatic}{'public' if message.is_public else 'internal'} message of {message.author.replace('_', ' ')}"


_TOLD = ("status", "priority", "group", "assignee", "service", "customer", "type")


def value_text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


def condition_text(rule: Rule, name: Literal["start", "stop", "reset", "cancel", "pause", "resume"]) -> str:
    own: Predicate | None = getattr(rule.promise, name)
    return predicate_text(own) if own is not None else _OWN_CONDITIONS[name].get(rule.promise.metric, name)


_CLOSING = f"status is {' or '.join(sorted(CLOSED, reverse=True))}"
_OWN_CONDITIONS: dict[str, dict[str, str]] = {
    "start": {
        "next_response": "a message of the requester after an answer",
        "periodic_update": "an answer of an agent",
        "ownership": "a group holds the open ticket",
    },
    "stop": {
        "first_response": f"a public answer of an agent, or {_CLOSING}",
        "next_response": f"a public answer of an agent, or {_CLOSING}",
        "periodic_update": _CLOSING,
        "assignment": f"an assignee, or {_CLOSING}",
        "resolution": _CLOSING,
        "closure": "status is closed",
        "requester_wait": _CLOSING,
        "agent_work": _CLOSING,
        "ownership": f"no group holds it, or {_CLOSING}",
    },
    "reset": {"periodic_update": "an answer of an agent", "ownership": "another group"},
    "pause": {
        "resolution": "status is pending",
        "requester_wait": "status is pending",
        "agent_work": "status is pending or hold",
    },
    "cancel": {},
    "resume": {},
}
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def predicate_text(predicate: Predicate) -> str:
    """A condition as people say it: `status is hold and not priority is P1`."""
    if predicate == ALWAYS:
        return "always"
    if predicate == NEVER:
        return "never"
    match predicate:
        case Equals(name=name, values=values):
            return f"{name} is {' or '.join(sorted(map(_scalar_text, values)))}"
        case Glob(name=name, pattern=pattern):
            return f"{name} matches {pattern}"
        case Compare(name=name, operator=operator, number=number):
            return f"{name} {_OPERATORS[operator]} {number}"
        case Exists(name=name, expected=expected):
            return f"{name} is {'set' if expected else 'not set'}"
        case Changed(names=names):
            return f"{' or '.join(sorted(names))} changed"
        case Not(part=part):
            return f"not {_inner_text(part)}"
        case All(parts=parts):
            return " and ".join(map(_inner_text, parts))
        case AnyOf(parts=parts):
            return " or ".join(map(_inner_text, parts))


def _inner_text(part: Predicate) -> str:
    text = predicate_text(part)
    return f"({text})" if isinstance(part, All | AnyOf) and len(part.parts) > 1 else text


def _scalar_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
