"""Nagios (and Naemon, Shinken): JSON that an event handler makes of macros, see docs/adapters/nagios.md.

occurred_at: `$TIMET$`, seconds since 1970. event_id: `$SERVICEEVENTID$` or `$HOSTEVENTID$`, which Nagios counts, with the
time of the event: the count begins anew when its retention file is lost.

**Source:** https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/macrolist.html
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, View, take

STATES = {
    "OK": "up", "UP": "up", "WARNING": "degraded", "CRITICAL": "down", "DOWN": "down", "UNREACHABLE": "unknown",
    "UNKNOWN": "unknown",
}  # fmt: skip


def read(record: View, context: Context) -> Iterator[dict[str, Any]]:
    host, service = record.at("host").text(), record.at("service").words()
    at = context.instant(record.at("timet"), "epoch_s")
    own = record.at("event_id").words() or context.digest(
        record.at("state").value if record.at("state").exists else None
    )
    depth = record.at("downtime_depth")
    in_downtime = depth.exists and depth.integer() > 0
    view = View({"component": f"{host}!{service}" if service else host, **record.value}, record.path)
    yield context.monitoring(
        view,
        context.event_id(host, service, own, at),
        at,
        **({"state": "maintenance"} if in_downtime else {}),
        **({"confidence": "soft"} if record.at("state_type").words().upper() == "SOFT" else {}),
    )


NAGIOS = Adapter(
    name="nagios",
    title="Nagios",
    kind="monitoring",
    read=read,
    fields={
        "service": (take("host"),),
        "component": (take("component"),),
        "state": (take("state", map=STATES),),
    },
    lacks={
        "latency": "a check has one value, no histogram",
        "success": "a check counts nothing",
    },
)
