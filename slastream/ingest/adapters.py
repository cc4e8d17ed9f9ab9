"""The adapters by name: a vendor's own payload to events (contract section 6).

    translation = adapter("jira").events(payload, headers, options)

`slastream.ingest.adapting` says how they think; there is one module a vendor, and none knows another.
"""

from slastream.errors import PolicyError
from slastream.ingest.adapting import Adapter, AdapterOptions, Refused, Translation
from slastream.ingest.alertmanager import ALERTMANAGER
from slastream.ingest.cloudevents import CLOUDEVENTS
from slastream.ingest.freshservice import FRESHSERVICE
from slastream.ingest.github import GITHUB
from slastream.ingest.gitlab import GITLAB
from slastream.ingest.glpi import GLPI
from slastream.ingest.grafana import GRAFANA
from slastream.ingest.icinga import ICINGA
from slastream.ingest.jira import JIRA
from slastream.ingest.nagios import NAGIOS
from slastream.ingest.opsgenie import OPSGENIE
from slastream.ingest.pagerduty import PAGERDUTY
from slastream.ingest.redmine import REDMINE
from slastream.ingest.request_tracker import REQUEST_TRACKER
from slastream.ingest.servicenow import SERVICENOW
from slastream.ingest.signatures import Signature, why_not_genuine
from slastream.ingest.uptime_kuma import UPTIME_KUMA
from slastream.ingest.zabbix import ZABBIX
from slastream.ingest.zammad import ZAMMAD
from slastream.ingest.zendesk import ZENDESK
from slastream.wire.yaml_nodes import nearest

__all__ = ["ADAPTERS", "Adapter", "AdapterOptions", "Refused", "Signature", "Translation", "adapter", "why_not_genuine"]

ADAPTERS: dict[str, Adapter] = {
    one.name: one
    for one in (
        JIRA, SERVICENOW, ZENDESK, ZAMMAD, GLPI, FRESHSERVICE, REQUEST_TRACKER, REDMINE, GITHUB, GITLAB, PAGERDUTY, OPSGENIE,
        ALERTMANAGER, GRAFANA, ZABBIX, ICINGA, NAGIOS, UPTIME_KUMA, CLOUDEVENTS,
    )
}  # fmt: skip


def adapter(name: str) -> Adapter:
    """Raises PolicyError for a name that none has."""
    if name not in ADAPTERS:
        raise PolicyError(
            f"adapter {name[:60]!r} is unknown; {nearest(name, ADAPTERS)}there are {', '.join(sorted(ADAPTERS))}"
        )
    return ADAPTERS[name]
