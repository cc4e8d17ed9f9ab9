"""Breaches: the list of single breaches, from the console's JSON by Grafana's Infinity data source. An example, not provisioned."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import TableAutoCellOptions
from grafana_foundation_sdk.models.dashboard import Dashboard, DataSourceRef

from definitions.frame import TAG

INFINITY = DataSourceRef(type_val="yesoreyeram-infinity-datasource", uid="slastream-console")
URL = "/api/breaches?since=${__from}&until=${__to}"
COLUMNS = (
    ("at", "timestamp"), ("fact", "string"), ("service", "string"), ("ticket_id", "string"), ("agreement", "string"),
    ("promise", "string"), ("priority", "string"), ("group", "string"), ("id", "string"),
)  # fmt: skip


class Rows(Dataquery):
    """A query of Infinity: rows of JSON, of which the builders know nothing.
    https://grafana.com/docs/plugins/yesoreyeram-infinity-datasource/latest/query/"""

    def to_json(self) -> dict[str, object]:
        return {
            "refId": "A", "datasource": INFINITY, "type": "json", "parser": "backend", "source": "url", "format": "table",
            "url": URL, "url_options": {"method": "GET", "data": ""}, "root_selector": "",
            "columns": [{"selector": name, "text": name, "type": kind} for name, kind in COLUMNS],
        }  # fmt: skip


class _Query(Builder[Dataquery]):
    def build(self) -> Dataquery:
        return Rows()


def breaches() -> Dashboard:
    listed = (
        tables.Panel()
        .title("Breaches")
        .description(
            "Every breach of the chosen time, by tickets and by services, the newest first, as the console knows them. The id is the key "
            "of the fact on sla.breaches, and that of the dots in the other dashboards."
        )
        .datasource(INFINITY)
        .unit("string")
        .no_value("nothing was breached")
        .cell_options(TableAutoCellOptions())
        .span(24)
        .height(20)
        .id(1)
        .with_target(_Query())
    )
    return (
        dashboard.Dashboard("Breaches")
        .uid("slastream-breaches")
        .description("Every breach of the chosen time, from the console.")
        .tags([TAG])
        .readonly()
        .time("now-24h", "now")
        .timezone("browser")
        .refresh("30s")
        .with_panel(listed)
        .build()
    )
