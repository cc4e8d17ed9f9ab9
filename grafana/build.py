"""Makes the dashboards: `python grafana/build.py` writes `grafana/dashboards/*.json` (classic JSON, for file provisioning).

Every query takes `max without (instance, job)`, so that a key that two workers show in the moment of a rebalance counts once.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PICKED = 'service=~"$service", agreement=~"$agreement"'
RED, YELLOW, GREEN = "red", "yellow", "green"


def one(metric: str, labels: str = PICKED) -> str:
    """The metric with each key once, whoever shows it."""
    return f"max without (instance, job) ({metric}{{{labels}}})"


def clocks(status: str) -> str:
    picked = PICKED + f', status="{status}"'
    return f"sum({one('sla_clocks', picked)}) or vector(0)"


def panel(
    kind: str,
    title: str,
    description: str,
    query: str,
    legend: str,
    unit: str,
    place: tuple[int, int, int, int],
    **more: Any,
) -> dict[str, Any]:
    """A panel at (x, y, width, height) of the grid of 24 columns."""
    x, y, width, height = place
    defaults: dict[str, Any] = {
        "unit": unit,
        "decimals": more.get("decimals", 0),
        "noValue": more.get("no_value", "no data"),
        "thresholds": {"mode": "absolute", "steps": more.get("steps", [{"color": GREEN, "value": None}])},
    }
    if "max" in more:
        defaults |= {"min": 0, "max": more["max"]}
    target = {"refId": "A", "datasource": SOURCE, "expr": query, "legendFormat": legend}
    if kind in ("stat", "table", "bargauge"):
        target |= {"instant": True, "format": "table" if kind == "table" else "time_series"}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
        if kind == "stat"
        else {},
        "targets": [target],
    }


def steps(*pairs: tuple[str, float | None]) -> list[dict[str, Any]]:
    return [{"color": color, "value": value} for color, value in pairs]


def tickets() -> dict[str, Any]:
    bad = steps((GREEN, None), (RED, 1))
    key = "{{service}} {{agreement}} {{promise}}"
    panels = [
        panel("stat", "Breached and open", "Open clocks past their due instant. Work on these first.",
              clocks("breached"), "", "short", (0, 0, 4, 4), steps=bad),
        panel("stat", "At risk", "Open clocks past their last warning. They breach next if nobody acts.",
              clocks("at_risk"), "", "short", (4, 0, 4, 4),
              steps=steps((GREEN, None), (YELLOW, 1))),
        panel("stat", "Running", "Open clocks that count and are neither late nor at risk.",
              clocks("running"), "", "short", (8, 0, 4, 4)),
        panel("stat", "Paused", "Open clocks that stand still because their ticket waits. Many for long: ask why.",
              clocks("paused"), "", "short", (12, 0, 4, 4)),
        panel("stat", "Next due in", "Time to the next due instant of an open clock. Below 0: a worker is behind, look at the lag.",
              f"min({one('sla_next_due_timestamp_seconds')}) - time()", "", "s", (16, 0, 4, 4), no_value="nothing is due",
              steps=steps((RED, None), (YELLOW, 900), (GREEN, 3600))),
        panel("stat", "Oldest open", "Age of the oldest open clock.", f"time() - min({one('sla_oldest_open_timestamp_seconds')})",
              "", "s", (20, 0, 4, 4), no_value="nothing is open"),
        panel("timeseries", "Open clocks by status", "How many clocks are open, by status. A rising breached line needs people.",
              f"sum by (status) ({one('sla_clocks')})", "{{status}}", "short", (0, 4, 12, 8)),
        panel("timeseries", "Verdicts in the last hour", "Clocks that were met, breached or cancelled, per hour.",
              f"sum by (verdict) (increase(sla_verdicts_total{{{PICKED}}}[1h]))", "{{verdict}}", "short", (12, 4, 12, 8)),
        panel("bargauge", "Compliance in the running period", "Share of promises kept, by the basis of the objective.",
              one("sla_compliance_ratio"), key, "percentunit", (0, 12, 12, 8), decimals=2, max=1,
              steps=steps((RED, None), (YELLOW, 0.9), (GREEN, 0.95))),
        panel("bargauge", "Budget that remains", "Failures still allowed, as a share of all that are. Below 0 the objective is missed.",
              one("sla_budget_remaining_ratio"), key, "percentunit", (12, 12, 12, 8), decimals=1, no_value="no objective",
              steps=steps((RED, None), (YELLOW, 0), (GREEN, 0.25))),
        panel("table", "Compliance against the objective", "Ratio less objective for each promise: below 0 it is missed so far.",
              f"{one('sla_compliance_ratio')} - {one('sla_objective_ratio')}", key, "percentunit", (0, 20, 12, 8), decimals=2,
              steps=steps((RED, None), (GREEN, 0))),
        panel("timeseries", "Open time, median and 90 %", "How long clocks ran until they stopped, in open time.",
              "histogram_quantile(0.9, sum by (promise, le) (max without (instance, job) "
              '(sla_duration_seconds_bucket{service=~"$service"})))', "90 % {{promise}}", "s", (12, 20, 12, 8)),
        panel("stat", "Credits so far", "What the running period costs as things stand.", "sum by (currency) "
              "(max without (instance, job) (sla_credit_exposure))", "{{currency}}", "short", (0, 28, 4, 4), decimals=2,
              no_value="no credits agreed"),
        panel("timeseries", "Lag", "Records not folded in yet. It grows: add a worker, or look at its log.",
              "sum by (topic) (max without (instance, job) (slastream_lag_records))", "{{topic}}", "short", (4, 28, 10, 8)),
        panel("timeseries", "Deadline delay, 99 %", "From a due instant to the record that declares it, of the last 15 min.",
              "histogram_quantile(0.99, sum by (le) (rate(slastream_deadline_delay_seconds_bucket[15m])))", "p99", "s",
              (14, 28, 10, 8), decimals=3, steps=steps((GREEN, None), (RED, 1))),
        panel("timeseries", "Rejected, late, corrected", "Records refused by reason, and what late events changed. Look at sla.rejected.",
              "sum by (reason) (rate(slastream_rejected_total[5m])) or sum by (reason) (rate(slastream_corrections_total[5m]))",
              "{{reason}}", "short", (0, 36, 12, 8), decimals=2),
        panel("timeseries", "Partitions owned and restoring", "Owned by all workers together: it must equal the partitions.",
              "sum by (topic) (slastream_partition_owned)", "{{topic}}", "short", (12, 36, 12, 8)),
    ]  # fmt: skip
    for number, one_panel in enumerate(panels, 1):
        one_panel["id"] = number
    return {
        "uid": "slastream-tickets",
        "title": "Tickets",
        "description": "Service levels of tickets: what is late, what is next, and whether the numbers can be trusted.",
        "tags": ["slastream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                variable("service", "Service", "label_values(sla_info, service)"),
                variable("agreement", "Agreement", "label_values(sla_info, agreement)"),
            ]
        },
        "annotations": {"list": []},
        "panels": panels,
    }


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "multi": True,
        "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def text(dashboard: dict[str, Any]) -> str:
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


DASHBOARDS = {"tickets.json": tickets}

if __name__ == "__main__":
    for name, make in DASHBOARDS.items():
        (FOLDER / name).write_text(text(make()), encoding="utf-8")
