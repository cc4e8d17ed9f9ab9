"""Zabbix: its webhook media type (parameters: docs/adapters/zabbix.md) and its streaming of events (NDJSON).

occurred_at: `clock` and `ns` of the stream. The webhook's macros are local time without a zone: `timezone` in the options.
event_id: `eventid` of the problem, and of the recovery its own; Zabbix counts them.
episode: the problem's `eventid`. A recovery in the stream carries neither host nor tags: its service is that of its
problem, from the same payload or from `places` of the options, which the gateway keeps (`web/places.py`).

**Source:** https://www.zabbix.com/documentation/current/en/manual/appendix/protocols/real_time_export
"""

from collections.abc import Iterator, Sequence
from typing import Any

from orjson import JSONDecodeError, loads

from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, IgnoredError, Place, View, named, take

SEVERITIES = {"0": "up", "1": "up", "2": "degraded", "3": "degraded", "4": "down", "5": "down"}
"""Of a problem: not classified and information say nothing, warning and average degrade, high and disaster are down."""

LOCAL = "%Y.%m.%d %H:%M:%S"


def split(payload: View, _context: Context) -> Sequence[View]:
    return payload.items() if isinstance(payload.value, list) else [payload]


def read(record: View, context: Context) -> Iterator[dict[str, Any]]:
    record = _with_tags(record.object())
    return _streamed(record, context) if record.at("eventid").exists else _sent(record, context)


def _streamed(record: View, context: Context) -> Iterator[dict[str, Any]]:
    """One line of the stream."""
    own = record.at("eventid").text()
    at = context.epoch(record.at("clock"), 1)
    if record.at("ns").exists:
        nanoseconds = record.at("clock").integer() * 1_000_000_000 + record.at("ns").integer()
        at = context.epoch(View(nanoseconds, record.at("ns").path), 1_000_000_000)
    match record.at("value").integer():
        case 1:
            yield from _problem(record, context, own, at)
        case 0 if record.at("p_eventid").exists:
            problem = record.at("p_eventid").text()
            place = _place(problem, record, context)
            yield context.monitoring(
                View({**record.value, "hosts": [{"host": place.service}]}, record.path),
                context.event_id(own),
                at,
                service=place.service,
                component=place.component,
                state="up",
                episode=problem,
            )
        case 0:
            raise IgnoredError("no_problem")
        case value:
            raise EventError(
                "bad_value", record.at("value").path, f"is {value}; write 1 for a problem or 0 for its end"
            )


def _place(problem: str, record: View, context: Context) -> Place:
    place = context.places.get(problem) or context.options.places.get(problem)
    constant = context.field(record, "service")
    if place is None and isinstance(constant, str):
        place = Place(constant, constant)
    if place is None:
        raise EventError(
            "missing",
            record.at("p_eventid").path,
            f"is problem {problem}, which was not seen; Zabbix streams no host with a recovery: give a constant service: in the "
            "options, or use its webhook",
        )
    return place


def _sent(record: View, context: Context) -> Iterator[dict[str, Any]]:
    """A payload of the webhook media type."""
    problem, value = record.at("event_id").text(), record.at("value").integer()
    if record.at("update_status").exists and record.at("update_status").integer() == 1:
        raise IgnoredError("update")
    if value == 1:
        yield from _problem(record, context, problem, _local(record, "", context))
    elif value == 0:
        recovery = record.at("recovery_id").words() or f"{problem}:recovery"
        at = _local(record, "recovery_", context)
        yield context.monitoring(record, context.event_id(recovery), at, state="up", episode=problem)
    else:
        raise EventError("bad_value", record.at("value").path, f"is {value}; write 1 for a problem or 0 for its end")


def _problem(record: View, context: Context, problem: str, at: str) -> Iterator[dict[str, Any]]:
    if record.at("severity").words() in ("0", "1") and "state" not in context.options.fields:
        raise IgnoredError("informational")
    event = context.monitoring(record, context.event_id(problem), at, episode=problem)
    context.places[problem] = Place(event["service"], event.get("component", event["service"]))
    yield event


def _local(record: View, prefix: str, context: Context) -> str:
    """`timestamp` (seconds since 1970), or `date` and `time` of the server's zone."""
    stamp = record.at(f"{prefix}timestamp")
    if stamp.exists:
        return context.epoch(stamp, 1)
    date, time = record.at(f"{prefix}date"), record.at(f"{prefix}time")
    return context.instant(View(f"{date.text()} {time.text()}", date.path), LOCAL)


def _with_tags(record: View) -> View:
    """The record with `tag`, its tags by name; the webhook sends them as text."""
    tags = record.value.get("tags")
    if isinstance(tags, str) and tags:
        try:
            tags = loads(tags)
        except JSONDecodeError:
            raise EventError("bad_value", record.at("tags").path, "is no JSON; send {EVENT.TAGSJSON}") from None
    return View({**record.value, "tag": named(tags, "tag", "value")}, record.path)


ZABBIX = Adapter(
    name="zabbix",
    title="Zabbix",
    kind="monitoring",
    split=split,
    read=read,
    lines=True,
    keeps_places=True,
    fields={
        "service": (take("tag.service", "tag.Service", "host", "hosts.0.host"),),
        "component": (take("tag.component", "host", "hosts.0.host"),),
        "state": (take("severity", map=SEVERITIES, default="down"),),
    },
    lacks={
        "latency": "an event has no histogram; import item values",
        "success": "an event counts nothing; import good and total",
    },
)
