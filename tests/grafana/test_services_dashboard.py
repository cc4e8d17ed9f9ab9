"""The dashboard of services: every query answered by a Prometheus that has scraped two workers with services of known states.

hours before now  -30                 -2          -1        now
mail              up ---------------- down ------ up ------    counts 990 of 1000 half an hour ago
web               up ------------------------------------- down since now - 5 min
dns               up, of which nothing is known since an hour ago (it expired)
shop              depends on mail and web, best of them
"""

import itertools
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from export.scenario import Desk, policy_of

from grafana.conftest import config_for, served
from grafana.prometheus_harness import Prometheus, program, prometheus, wait_until
from slastream.core.units import HOUR, MINUTE, Instant, format_instant
from slastream.export import catalogue
from slastream.stream.stage import Record

REPOSITORY = Path(__file__).parents[2]
DASHBOARD = json.loads((REPOSITORY / "grafana" / "dashboards" / "services.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TICKETS = json.loads((REPOSITORY / "grafana" / "dashboards" / "tickets.json").read_text())
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
POLICY = """
version: 1
services:
  shop: {depends_on: [mail, web], combine: best, customer: acme}
agreements:
  gold:
    kind: sla
    promises:
      month: {metric: availability, target: 99.9%, window: month, alerts: burn_rate, min_coverage: 0}
      day: {metric: availability, target: 99%, window: 1d}
      success: {metric: success, target: 99.5%, window: 1d}
"""


def fed(now: Instant) -> Desk:
    desk = Desk(policy_of(POLICY))
    stage, offsets = desk.services, itertools.count()

    def event(service: str, before_us: int, **rest: Any) -> None:
        line = {"service": service, "occurred_at": format_instant(Instant(now - before_us)), **rest}
        stage.apply(Record("sla.monitoring", 0, next(offsets), now, service.encode(), orjson.dumps(line), ()))

    for service in ("mail", "web"):
        event(service, 30 * HOUR, state="up")
    event("dns", 30 * HOUR, state="up", expires_after="29h")
    event("mail", 2 * HOUR, state="down")
    event("mail", HOUR, state="up")
    event("mail", HOUR // 2, interval="60s", counts={"good": 990, "total": 1000})
    event("web", 5 * MINUTE, state="down")
    for output in stage.cut().outputs:
        if output.topic == "sla.monitoring":
            stage.apply(Record(output.topic, 0, next(offsets), now, output.key, output.value, ()))
    desk.feed([], now)
    stage.cut()
    return desk


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program("prometheus")
    with (
        served(fed(Instant(time.time_ns() // 1000))) as (address, _),
        prometheus(config_for(address), tmp_path_factory.mktemp("prometheus")) as server,
    ):
        wait_until(lambda: (server.value("min(count_over_time(slastream_series[1m]))") or 0) >= 2, 30, "two scrapes")
        yield server


def expand(expr: str) -> str:
    return expr.replace("$service", ".*").replace("$agreement", ".*").replace("$__rate_interval", "1m")


def query_of(title: str) -> str:
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    return expand(panel["targets"][0]["expr"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_tells_what_it_means_in_which_unit_and_what_nothing_means(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 60
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["targets"]


def test_panels_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        columns, rows = range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        taken = set(itertools.product(columns, rows))
        assert not taken & cells, panel["title"]
        cells |= taken


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_counts_a_key_once_and_names_metrics_of_the_catalogue(expr: str) -> None:
    for name in re.findall(r"\b(?:sla|slastream)_[a-z_]+", expr):
        assert re.search(rf"max without \(instance\) \({name}\b", expr), name
        assert name in {metric.name for metric in catalogue.METRICS}


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_is_answered_with_series(watched: Prometheus, expr: str) -> None:
    expanded = expand(expr)
    assert "$" not in expanded
    found = watched.query(expanded)
    keys = [frozenset(each["metric"].items()) for each in found]
    assert found
    assert len(set(keys)) == len(keys)
    assert any(math.isfinite(float(each["value"][1])) for each in found), found
    assert watched.query_range(expanded)


def test_numbers_are_those_of_the_services(watched: Prometheus) -> None:
    assert watched.value(query_of("Services down")) == 1, "web"
    assert watched.value(query_of("Nothing known of")) == 1, "dns"
    state = {
        each["metric"]["service"]: float(each["value"][1]) for each in watched.query(query_of("States of the services"))
    }
    assert state == {"mail": 0, "web": 4, "dns": 3, "shop": 0}
    day = 'max(sla_availability_ratio{service="%s", promise="%s"})'
    assert watched.value(day % ("mail", "day")) == pytest.approx(23 / 24, abs=1e-6)
    assert watched.value(day % ("mail", "success")) == pytest.approx(0.99)
    assert watched.value(day % ("shop", "day")) == 1
    assert watched.value(query_of("Highest burn rate")) == pytest.approx(1000), "the last 5 min of web"


def test_the_dashboard_of_tickets_shows_no_promise_about_a_service(watched: Prometheus) -> None:
    queries = [target["expr"] for panel in TICKETS["panels"] for target in panel.get("targets", ())]
    asked = [expr for expr in queries if "sla_objective_ratio" in expr or "sla_budget_remaining_ratio" in expr]
    assert len(asked) == 5
    assert watched.query("sla_objective_ratio")
    for expr in asked:
        assert not watched.query(expand(expr)), expr
