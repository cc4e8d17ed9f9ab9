"""The list of alerts that Alertmanager and Grafana send alike: an alert fires or is resolved.

occurred_at: `startsAt` of one that fires, `endsAt` of one that is resolved (while it fires, `endsAt` is no end).
event_id: fingerprint, `startsAt` and status, so that repeats, and the second of two servers, are the same event.
episode: the fingerprint, so that several alerts on one component stand beside each other.

**Source:** https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from orjson import OPT_SORT_KEYS, dumps

from slastream.errors import EventError
from slastream.ingest.adapting import Context, IgnoredError, Sources, View, take

INFORMATIONAL = ("info", "informational", "none")

FIELDS: Mapping[str, Sources] = {
    "service": (take("labels.service", "labels.job"),),
    "component": (take("labels.component", "labels.instance"),),
    "state": (take("labels.severity", map={"warning": "degraded", "minor": "degraded"}, default="down"),),
}
"""`state` is that of an alert that fires."""


def split(payload: View, context: Context) -> Sequence[View]:
    alerts = payload.object().at("alerts").items()
    if payload.at("truncatedAlerts").exists:
        context.lost += max(payload.at("truncatedAlerts").integer(), 0)
    return alerts


def read(alert: View, context: Context, *scope: str, state: str | None = None) -> Iterator[dict[str, Any]]:
    """`scope` comes into the event's id; `state` is that of an alert that fires, where the vendor's rule knows better."""
    status = alert.object().at("status").text()
    if status not in ("firing", "resolved"):
        raise EventError("bad_value", alert.at("status").path, f"is {status[:40]!r}; write firing or resolved")
    severity = alert.at("labels", "severity").value
    if state is None and severity in INFORMATIONAL and "state" not in context.options.fields:
        raise IgnoredError("informational")
    began = context.instant(alert.at("startsAt"))
    fingerprint = _fingerprint(alert)
    is_firing = status == "firing"
    yield context.monitoring(
        alert,
        context.event_id(*scope, fingerprint, began, status),
        began if is_firing else context.instant(alert.at("endsAt")),
        episode=":".join((*scope, fingerprint)),
        **({} if is_firing and state is None else {"state": state if is_firing else "up"}),
    )


def _fingerprint(alert: View) -> str:
    """Its own, or of servers that send none, the digest of the labels."""
    own = alert.at("fingerprint")
    return (
        own.text()
        if own.exists
        else blake2b(dumps(alert.at("labels").object().value, option=OPT_SORT_KEYS), digest_size=8).hexdigest()
    )
