"""Grafana alerting: the webhook of a contact point.

Two organisations of a server may have alerts with one fingerprint, so the organisation is part of the event's id. A rule
without data fires as `DatasourceNoData` and one that failed as `DatasourceError`: then nobody knows how the service is.

**Source:**
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from collections.abc import Iterator, Sequence
from typing import Any

from slastream.ingest import prometheus_alerts
from slastream.ingest.adapting import Adapter, Context, View
from slastream.ingest.signatures import Signature

UNKNOWN = ("DatasourceNoData", "DatasourceError")


def split(payload: View, context: Context) -> Sequence[View]:
    org = payload.object().at("orgId")
    alerts = prometheus_alerts.split(payload, context)
    return [View({**one.value, "orgId": org.value}, one.path) if isinstance(one.value, dict) else one for one in alerts]


def read(alert: View, context: Context) -> Iterator[dict[str, Any]]:
    state = "unknown" if alert.object().at("labels", "alertname").value in UNKNOWN else None
    return prometheus_alerts.read(alert, context, alert.at("orgId").words() or "1", state=state)


GRAFANA = Adapter(
    name="grafana",
    title="Grafana alerting",
    kind="monitoring",
    split=split,
    read=read,
    fields=prometheus_alerts.FIELDS,
    signatures=(
        Signature(
            header="x-grafana-alerting-signature",
            signed="{timestamp}:{body}",
            timestamp_header="x-grafana-alerting-signature-timestamp",
        ),
        Signature(header="x-grafana-alerting-signature"),
    ),
    lacks={
        "latency": "an alert has no histogram; import it from the data source",
        "success": "an alert counts nothing; import good and total from the data source",
    },
)
