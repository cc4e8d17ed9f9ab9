"""Icinga 2: its event stream (NDJSON of `/v1/events`) and a notification script that posts the same shape.

occurred_at: the end of the check where there is one (`timestamp` is when Icinga had processed it).
event_id: kind, host, service and that time: the stream has no ids.
maintenance: a downtime is one event a change: added, started, triggered, removed. There is no event for its end; it ends
at `end_time`.

**Source:** https://icinga.com/docs/icinga-2/latest/doc/12-icinga2-api/#event-streams
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from slastream.core.units import Instant, format_instant
from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take

SERVICE_STATES = {0: "up", 1: "degraded", 2: "down", 3: "unknown"}
HOST_STATES = {0: "up", 1: "down"}
DOWNTIMES = ("DowntimeAdded", "DowntimeStarted", "DowntimeTriggered", "DowntimeRemoved")


def split(payload: View, _context: Context) -> Sequence[View]:
    return payload.items() if isinstance(payload.value, list) else [payload]


def read(record: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = record.object().at("type").text()
    if kind in ("StateChange", "CheckResult"):
        return _checked(record, kind, context)
    if kind in DOWNTIMES:
        return _downtime(record, kind, context)
    raise IgnoredError("other_type")


def _checked(record: View, kind: str, context: Context) -> Iterator[dict[str, Any]]:
    host, service = record.at("host").text(), record.at("service").words()
    result = record.at("check_result")
    state = record.at("state") if record.at("state").exists else result.at("state")
    states = SERVICE_STATES if service else HOST_STATES
    number = _whole(state)
    if number not in states:
        raise EventError("bad_value", state.path, f"is {number}; write one of {', '.join(map(str, states))}")
    hardness = record.at("state_type") if record.at("state_type").exists else result.at("vars_after", "state_type")
    is_soft = hardness.exists and _whole(hardness) == 0
    end = result.at("execution_end")
    at = context.instant(end if end.exists else record.at("timestamp"), "epoch_s")
    component = f"{host}!{service}" if service else host
    view = View({"component": component, **record.value, "state_name": states[number]}, record.path)
    yield context.monitoring(
        view,
        context.event_id(kind, host, service, at),
        at,
        **({"confidence": "soft"} if is_soft else {}),
    )


def _downtime(record: View, kind: str, context: Context) -> Iterator[dict[str, Any]]:
    downtime = record.at("downtime").object()
    host, service = downtime.at("host_name").text(), downtime.at("service_name").words()
    name = (downtime.at("__name") if downtime.at("__name").exists else downtime.at("name")).text()
    is_fixed = downtime.at("fixed").boolean(True)
    if kind == "DowntimeAdded" and not is_fixed:
        raise IgnoredError("flexible_downtime_not_triggered")
    at = context.instant(record.at("timestamp"), "epoch_s")
    start = downtime.at("start_time")
    if not is_fixed and _microseconds(downtime.at("trigger_time")):
        start = downtime.at("trigger_time")
    begin, end = _microseconds(start), _microseconds(downtime.at("end_time"))
    if not is_fixed and downtime.at("duration").exists:
        end = begin + _microseconds(downtime.at("duration"))
    revision = _microseconds(record.at("timestamp"))
    if kind == "DowntimeRemoved":
        end = min(end, revision)
    is_withdrawn = end <= begin
    place = context.fill(
        View({"component": f"{host}!{service}" if service else host, "host": host, "service": service}, record.path)
    )
    event = {
        "event_id": context.event_id(kind, name, at),
        "maintenance_id": name,
        "service": place.get("service", host),
        "component": place.get("component"),
        "occurred_at": at,
        "revision": revision,
    }
    if is_withdrawn:
        yield {**event, "withdrawn": True}
    else:
        yield {**event, "start": _text(begin, start), "end": _text(end, downtime.at("end_time"))}


def _whole(view: View) -> int:
    """Icinga writes its numbers as floats (`2.0`)."""
    value = view.value
    return int(value) if isinstance(value, float) and value.is_integer() else view.integer()


def _microseconds(view: View) -> int:
    value = view.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return view.integer() * 1_000_000
    return int(Decimal(repr(value)) * 1_000_000)


def _text(at: int, view: View) -> str:
    try:
        return format_instant(Instant(at))
    except (ValueError, OverflowError):
        raise EventError("bad_instant", view.path, "lies outside the years 1 to 9999") from None


ICINGA = Adapter(
    name="icinga",
    title="Icinga 2",
    kind="monitoring",
    split=split,
    read=read,
    lines=True,
    fields={
        "service": (take("host"),),
        "component": (take("component"),),
        "state": (take("state_name"),),
    },
    lacks={
        "latency": "a check has one value, no histogram",
        "success": "a check counts nothing",
    },
)
