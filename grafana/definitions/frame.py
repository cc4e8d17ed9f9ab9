"""A dashboard around its panels: rows, variables, links to the other dashboards, and what is marked on every chart."""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)  # fmt: skip

from definitions.panels import BLUE, DATASOURCE, ORANGE, RED, AnyPanel, uid_of
from definitions.queries import ANY, Scope
from slastream.export import catalogue

TAG = "slastream"
NAMES = ("Overview", "Service", "Tickets", "Agreement", "Providers and teams", "Pipeline")


class Variable(NamedTuple):
    """A choice at the top. `all_value` is what "All" stands for; without it all values that there are."""

    name: str
    label: str
    query: str
    all_value: str = ""


JOB = Variable("job", "Job", f"label_values({catalogue.OWNED.name}, job)", ".+")
SERVICE = Variable("service", "Service", f'label_values({catalogue.INFO.name}{{job=~"$job"}}, service)', ANY)
AGREEMENT = Variable(
    "agreement", "Agreement", f'label_values({catalogue.INFO.name}{{job=~"$job", service=~"$service"}}, agreement)', ANY
)


class Row(NamedTuple):
    """Panels under a title."""

    title: str
    panels: Sequence[AnyPanel]


def framed(name: str, description: str, variables: Sequence[Variable], rows: Sequence[Row]) -> Dashboard:
    """The dashboard of this name. Grafana's builder begins a new line where the widths have come to 24."""
    found = (
        dashboard.Dashboard(name)
        .uid(uid_of(name))
        .description(description)
        .tags([TAG])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-24h", "now")
        .timezone("browser")
        .variables([_datasource(), *(_variable(each) for each in (JOB, *variables))])
        .annotations([_Built(each) for each in marks(variables)])
        .links([_link(other) for other in NAMES if other != name])
    )
    for row in rows:
        found.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            found.with_panel(panel)
    made = found.build()
    for number, each in enumerate(made.panels or [], 1):
        each.id_val = number
    return made


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _variable(one: Variable) -> dashboard.QueryVariable:
    found = (
        dashboard.QueryVariable(one.name)
        .label(one.label)
        .datasource(DATASOURCE)
        .query({"query": one.query, "refId": one.name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
    return found.all_value(one.all_value) if one.all_value else found


def _link(name: str) -> dashboard.DashboardLink:
    url = f"/d/{uid_of(name)}"
    return dashboard.DashboardLink(name).type(DashboardLinkType.LINK).url(url).include_vars(True).keep_time(True)


class Mark(AnnotationQuery):
    """What Prometheus says at an instant, marked on every chart. `title` and `step` are the data source's own fields, of which
    the builders know nothing: https://grafana.com/docs/grafana/latest/datasources/prometheus/annotations/"""

    def __init__(self, name: str, color: str, expr: str, title: str) -> None:
        super().__init__(name=name, datasource=DATASOURCE, icon_color=color, expr=expr)
        self._title = title

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self._title, "step": "60s"}


class _Built(dashboard.AnnotationQuery):
    """A builder of what is built."""

    def __init__(self, mark: Mark) -> None:
        self._internal = mark


def marks(variables: Sequence[Variable]) -> list[Mark]:
    """Breaches of tickets, promises about services in the minute when they break, maintenance, and new versions of the policy."""
    scope = Scope(*(each.name for each in variables if each.name in ("service", "agreement")))
    breached = scope.within(catalogue.VERDICTS, "2m", "service, agreement, promise", verdict="breached")
    budget = scope.series(catalogue.BUDGET_RATIO)
    broken = (
        f"{scope.once(catalogue.BUDGET_RATIO)} < 0 and {scope.once(catalogue.AVAILABILITY_RATIO)} "
        f"unless max without (instance) ({budget} offset 2m) < 0"
    )
    version = scope.series(catalogue.POLICY_LOADED)
    before = f"count by (version) (last_over_time({version}[10m] offset 1m))"
    return [
        Mark("Breaches", RED, f"{breached} > 0.5", "breached: {{service}} {{agreement}} {{promise}}"),
        Mark("Broken promises", ORANGE, broken, "broken: {{service}} {{agreement}} {{promise}}"),
        Mark(
            "Maintenance", BLUE, f"{scope.once(catalogue.SERVICE_STATE, state='maintenance')} == 1",
            "maintenance: {{service}}",
        ),
        Mark("Policy", "purple", f"count by (version) ({version}) unless {before}", "policy {{version}}"),
    ]  # fmt: skip
