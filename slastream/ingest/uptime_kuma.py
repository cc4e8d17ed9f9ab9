"""Uptime Kuma: the webhook notification with its standard JSON body.

occurred_at: `heartbeat.time`, UTC without saying so. event_id: monitor, time and status: a notification has no id.
Only changes are sent, and no sign of life: a service whose monitor is switched off keeps its last state.

**Source:** `server/notification-providers/webhook.js` and `server/model/heartbeat.js` of louislam/uptime-kuma
"""

from collections.abc import Iterator
from typing import Any

from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, named, take

STATES = {"0": "down", "1": "up", "2": "down", "3": "maintenance"}
PENDING = 2
"""Retries are running: a state that is not sure yet."""


def read(record: View, context: Context) -> Iterator[dict[str, Any]]:
    beat = record.at("heartbeat")
    if not beat.exists:
        if record.at("msg").exists:
            raise IgnoredError("test")
        raise EventError("missing", beat.path, "is missing; use the standard JSON body of the webhook")
    monitor = record.at("monitor").object()
    status, at = beat.object().at("status").integer(), context.instant(beat.at("time"))
    monitor_id = (beat.at("monitorID") if beat.at("monitorID").exists else monitor.at("id")).text()
    yield context.monitoring(
        View({**record.value, "tag": named(monitor.value.get("tags"), "name", "value")}, record.path),
        context.event_id(monitor_id, at, str(status)),
        at,
        **({"confidence": "soft"} if status == PENDING else {}),
    )


UPTIME_KUMA = Adapter(
    name="uptime-kuma",
    title="Uptime Kuma",
    kind="monitoring",
    is_utc=True,
    read=read,
    fields={
        "service": (take("tag.service", "monitor.name"),),
        "component": (take("monitor.name"),),
        "state": (take("heartbeat.status", map=STATES),),
    },
    lacks={
        "latency": "only changes of the state are sent, not each ping",
        "success": "only changes of the state are sent, not each check",
    },
)
