"""The dashboard: made from Python as committed, complete for its readers, and every query of it answered by a Prometheus."""

import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grafana.prometheus_harness import Prometheus
from slastream.export import catalogue

REPOSITORY = Path(__file__).parents[2]
DASHBOARD = json.loads((REPOSITORY / "grafana" / "dashboards" / "tickets.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
EACH_PANEL = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])

GAUGES = [metric.name for metric in catalogue.METRICS if metric.type == "gauge"]
OF_EACH_WORKER = {"slastream_state_keys", "slastream_restore_seconds", "slastream_series"}


def expand(expr: str) -> str:
    """As Grafana would, with everything chosen."""
    for name in ("service", "agreement"):
        expr = expr.replace(f"${name}", VARIABLES[name]["allValue"])
    return expr.replace("$__rate_interval", "1m")


def query_of(title: str, number: int = 0) -> str:
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    return expand(panel["targets"][number]["expr"])


def test_committed_files_are_what_the_program_makes() -> None:
    done = subprocess.run(
        [sys.executable, "grafana/build.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `python grafana/build.py`\n{done.stdout}{done.stderr}"


def test_the_page_of_metrics_names_every_metric_label_and_word() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    for metric in catalogue.METRICS:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{metric.name}` |"))
        assert all(f"`{label}`" in row for label in metric.labels)
    for label in {label for metric in catalogue.METRICS for label in metric.labels}:
        assert f"\n| `{label}` | " in page


@EACH_PANEL
def test_a_panel_tells_what_it_means_in_which_unit_and_what_nothing_means(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 60
    assert defaults["unit"]
    assert isinstance(defaults["decimals"], int)
    assert defaults["noValue"]
    assert defaults["thresholds"]["steps"]
    assert panel["targets"]


def test_panels_have_titles_and_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        columns, rows = range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        taken = set(itertools.product(columns, rows))
        assert not taken & cells, panel["title"]
        assert max(columns) < 24
        cells |= taken


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_counts_a_key_once_though_two_workers_show_it(expr: str) -> None:
    for name in re.findall(r"\b(?:sla|slastream)_[a-z_]+", expr):
        if name in GAUGES and name not in OF_EACH_WORKER:
            assert re.search(rf"(max|min|sum) without \(instance\) \({name}\b", expr), name
        elif name not in GAUGES:
            assert re.search(rf"(rate|increase|delta)\({name}\b", expr), name


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_names_only_metrics_of_the_catalogue(expr: str) -> None:
    names = {metric.name for metric in catalogue.METRICS if metric.type != "histogram"} | {
        f"{metric.name}_{ending}"
        for metric in catalogue.METRICS
        if metric.type == "histogram"
        for ending in ("bucket", "sum", "count")
    }
    assert set(re.findall(r"\b(?:sla|slastream)_[a-z_]+", expr)) <= names


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_is_answered_with_series(scraped: Prometheus, expr: str) -> None:
    expanded = expand(expr)
    assert "$" not in expanded
    found = scraped.query(expanded)
    assert found
    keys = [frozenset(each["metric"].items()) for each in found]
    assert len(set(keys)) == len(keys)
    assert any(math.isfinite(float(each["value"][1])) for each in found), found
    assert scraped.query_range(expanded)


def test_every_variable_has_values(scraped: Prometheus) -> None:
    assert values_of(scraped, "service") == ["mail", "web"]
    assert values_of(scraped, "agreement") == ["desk", "gold"]
    assert VARIABLES["datasource"]["query"] == "prometheus"


def values_of(server: Prometheus, name: str) -> list[str]:
    parts = re.fullmatch(r"label_values\((.+), (\w+)\)", expand(VARIABLES[name]["query"]["query"]))
    assert parts is not None
    found: list[str] = server.get(f"label/{parts[2]}/values", **{"match[]": parts[1]})
    return found


def test_numbers_are_those_of_the_desk_though_it_is_shown_twice(scraped: Prometheus) -> None:
    assert scraped.value(query_of("Breached now")) == 3, "OPS-2 twice, and the response of OPS-7"
    assert scraped.value(query_of("At risk now")) == 0, "OPS-4 was closed in time"
    assert scraped.value(query_of("Objectives missed")) == 2, "response is at 2 of 4, resolution at 0 of 1"
    assert scraped.value(query_of("Credits so far")) == 2 * (500 + 1000), "each worker shows its own part"
    owned = {each["metric"]["topic"]: each["value"][1] for each in scraped.query(query_of("Partitions"))}
    assert owned == dict.fromkeys(("sla.tickets", "sla.verdicts", "sla.monitoring", "sla.maintenance"), "1")
    twice = {each["metric"]["topic"]: each["value"][1] for each in scraped.query(query_of("Partitions", 2))}
    assert twice == owned
