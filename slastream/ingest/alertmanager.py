"""Prometheus Alertmanager: its webhook, version 4."""

from slastream.ingest.adapting import Adapter
from slastream.ingest.prometheus_alerts import FIELDS, read, split

ALERTMANAGER = Adapter(
    name="alertmanager",
    title="Prometheus Alertmanager",
    kind="monitoring",
    split=split,
    read=read,
    fields=FIELDS,
    lacks={
        "latency": "an alert has no histogram; import it from Prometheus",
        "success": "an alert counts nothing; import good and total from Prometheus",
    },
)
