"""Makes what is committed here from Python: the dashboards and `docs/metrics.md`.

    python grafana/build.py            # write
    python grafana/build.py --check    # 1 when a committed file differs

Grafana's classic dashboard JSON as plain dictionaries. Every panel says what it means and what to do. Gauges are taken by
`max without (instance)` before anything is added up, so that a key that two workers show for a moment counts once.
"""

import argparse
import difflib
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slastream.export.catalogue import as_markdown

Json = dict[str, Any]

HERE = Path(__file__).parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BREACHED, AT_RISK = 'status="breached"', 'status="at_risk"'
SERVICE = 'service=~"$service"'
KEYS = f'{SERVICE}, agreement=~"$agreement"'
BLUE, GREEN, YELLOW, ORANGE, RED = "blue", "green", "yellow", "orange", "red"
NEUTRAL: tuple[tuple[str, float | None], ...] = ((BLUE, None),)
NO_CLOCKS = "no clocks yet"


def gauge(name: str, *matchers: str, pick: str = "max") -> str:
    """A gauge of tickets, once for each key."""
    return f"{pick} without (instance) ({name}{{{', '.join((KEYS, *matchers))}}})"


def of_tickets(name: str) -> str:
    """A gauge that promises about services have, too: without those."""
    return f"({gauge(name)} and on (service, agreement, promise, window) {gauge('sla_compliance_total')})"


def target(expr: str, legend: str = "", shape: str = "time_series", *, is_instant: bool = False) -> Json:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": shape,
        "instant": is_instant,
        "legendFormat": legend or "__auto",
        "range": not is_instant,
    }


def panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    size: tuple[int, int],
    unit: str,
    decimals: int,
    no_value: str,
    thresholds: Sequence[tuple[str, float | None]] = NEUTRAL,
    custom: Json | None = None,
    options: Json | None = None,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
    **defaults: Any,
) -> Json:
    """A panel of `size` (width of 24, height); its place is found by `layout`."""
    colors = "thresholds" if kind in ("stat", "bargauge", "table") else "palette-classic"
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "decimals": decimals,
                "noValue": no_value,
                "color": {"mode": colors},
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": color, "value": value} for color, value in thresholds],
                },
                "custom": custom or {},
                **defaults,
            },
            "overrides": list(overrides),
        },
        "options": options or {},
        "targets": [{**each, "refId": chr(ord("A") + number)} for number, each in enumerate(targets)],
        "transformations": list(transformations),
    }


def stat(title: str, description: str, expr: str, **rest: Any) -> Json:
    """One number, now."""
    options = {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    targets = [target(expr, title, is_instant=True)]
    return panel("stat", title, description, targets, size=(4, 4), options=options, **rest)


def lines(title: str, description: str, targets: Sequence[Json], *, is_stacked: bool = False, **rest: Any) -> Json:
    """Lines over time."""
    custom = {
        "drawStyle": "line",
        "fillOpacity": 40 if is_stacked else 10,
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if is_stacked else "none"},
        "thresholdsStyle": {"mode": "off"},
    }
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, targets, custom=custom, options=options, **rest)


def bars(title: str, description: str, expr: str, legend: str, **rest: Any) -> Json:
    """One bar a key, now."""
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
    }
    return panel("bargauge", title, description, [target(expr, legend, is_instant=True)], options=options, **rest)


def override(field: str, **properties: Any) -> Json:
    return {
        "matcher": {"id": "byName", "options": field},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }


def fixed(field: str, color: str) -> Json:
    return override(field, color={"mode": "fixed", "fixedColor": color})


def steps(*pairs: tuple[str, float | None]) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in pairs]}


# ---- Tickets ---------------------------------------------------------------------------------------------------------


def now_row() -> list[Json]:
    seconds_to_due = gauge("sla_next_due_timestamp_seconds", pick="min")
    oldest = gauge("sla_oldest_open_timestamp_seconds", pick="min")
    return [
        stat(
            "Breached now",
            "Open clocks that are past their target. Each is a promise that can no longer be kept: finish these tickets, "
            "and tell who was promised.",
            f"sum({gauge('sla_clocks', BREACHED)})",
            unit="short", decimals=0, no_value=NO_CLOCKS, thresholds=((GREEN, None), (RED, 1)),
        ),
        stat(
            "At risk now",
            "Open clocks past their last warning and not late yet. These can still be saved: take them before new ones.",
            f"sum({gauge('sla_clocks', AT_RISK)})",
            unit="short", decimals=0, no_value=NO_CLOCKS, thresholds=((GREEN, None), (ORANGE, 1)),
        ),
        stat(
            "Time to next breach",
            "Until the earliest due instant of a running clock, if nobody does anything. Below 0 for more than a second: "
            "deadlines are not declared, look at the pipeline below.",
            f"min({seconds_to_due}) - time()",
            unit="s", decimals=0, no_value="nothing is due", thresholds=((RED, None), (ORANGE, 900), (GREEN, 3600)),
        ),
        stat(
            "Oldest open clock",
            "Since the earliest start of a clock that is still open. A value that only grows is a ticket that everybody "
            "has forgotten, or one that waits for ever.",
            f"time() - min({oldest})",
            unit="s", decimals=0, no_value="nothing is open", thresholds=((GREEN, None), (YELLOW, 864000)),
        ),
        stat(
            "Open clocks",
            "Clocks that run, wait or are late. Work in hand; a ticket has one for each promise made for it.",
            f"sum({gauge('sla_clocks')})",
            unit="short", decimals=0, no_value=NO_CLOCKS, thresholds=NEUTRAL,
        ),
        stat(
            "Objectives missed",
            "Promises of a service whose share in the running period is below the objective: with a budget below 0. The "
            "table below says which.",
            f"count({of_tickets('sla_budget_remaining_ratio')} < 0) or (0 * count({of_tickets('sla_objective_ratio')}))",
            unit="short", decimals=0, no_value="no objectives", thresholds=((GREEN, None), (RED, 1)),
        ),
    ]  # fmt: skip


def clocks_row() -> list[Json]:
    statuses = (("running", GREEN), ("paused", BLUE), ("at_risk", ORANGE), ("breached", RED))
    return [
        lines(
            "Open clocks by status",
            "What the open clocks do. Paused ones wait for somebody else and do not use up their target; a growing red "
            "part is work that comes faster than it is done.",
            [target(f"sum by (status) ({gauge('sla_clocks')})", "{{status}}")],
            size=(12, 8), unit="short", decimals=0, no_value=NO_CLOCKS, is_stacked=True,
            overrides=[fixed(status, color) for status, color in statuses],
        ),
        lines(
            "Verdicts per hour",
            "Clocks met, breached and cancelled within the hour before. Breaches that rise while the rest does not: a "
            "service is in trouble, or a group is.",
            [target(f"clamp_min(sum by (verdict) (delta(sla_verdicts_total{{{KEYS}}}[1h])), 0)", "{{verdict}}")],
            size=(12, 8), unit="short", decimals=1, no_value="no verdicts yet",
            overrides=[fixed("met", GREEN), fixed("breached", RED), fixed("cancelled", BLUE)],
        ),
    ]  # fmt: skip


def compliance_row() -> list[Json]:
    def table(expr: str) -> Json:
        return target(expr, shape="table", is_instant=True)

    def share(basis: str) -> str:
        met = gauge("sla_compliance_met", f'basis="{basis}"')
        total = gauge("sla_compliance_total", f'basis="{basis}"')
        return f"sum by (service, agreement) ({met}) / (sum by (service, agreement) ({total}) > 0)"

    organize = {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True, "job": True},
            "indexByName": {},
            "renameByName": {"Value #A": "kept", "Value #B": "objective", "Value #C": "budget left"},
        },
    }
    budget_colors = steps((RED, None), (ORANGE, 0), (GREEN, 0.25))
    return [
        panel(
            "table",
            "Compliance against the objective",
            "Share of promises kept in the running period, on the basis of the objective, beside the objective and what is "
            "left of the failures that it allows. Red: the objective is missed as of now, and only more kept promises "
            "bring it back. Empty: nothing that counts yet.",
            [
                table(gauge("sla_compliance_ratio")),
                table(of_tickets("sla_objective_ratio")),
                table(of_tickets("sla_budget_remaining_ratio")),
            ],
            size=(12, 9), unit="percentunit", decimals=2, no_value="nothing counts yet",
            custom={"align": "auto", "cellOptions": {"type": "auto"}},
            options={"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": "budget left", "desc": False}]},
            overrides=[
                override("budget left", **{"thresholds": budget_colors, "custom.cellOptions": {"type": "color-background"}})
            ],
            transformations=[{"id": "merge", "options": {}}, organize],
        ),
        lines(
            "Compliance by basis",
            "The same period by three denominators: completed (stopped clocks), due (fell due, the contractual one) and "
            "started. Completed far above due means that late tickets are left open: nobody gets better by parking them.",
            [
                *(target(share(basis), f"{{{{service}}}} {{{{agreement}}}} {basis}") for basis in ("completed", "due", "started")),
                target(f"max by (agreement) ({of_tickets('sla_objective_ratio')})", "objective of {{agreement}}"),
            ],
            size=(12, 9), unit="percentunit", decimals=2, no_value="nothing counts yet", min=0, max=1,
            overrides=[
                {
                    "matcher": {"id": "byRegexp", "options": "/^objective/"},
                    "properties": [
                        {"id": "custom.lineStyle", "value": {"dash": [10, 10], "fill": "dash"}},
                        {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
                    ],
                }
            ],
        ),
        bars(
            "Budget remaining",
            "What is left of the failures that the objective allows for the promises counted so far, the worst promise of "
            "each service and agreement. Below 0 the objective is missed; near 0 the next breach misses it.",
            f"min by (service, agreement) ({of_tickets('sla_budget_remaining_ratio')})",
            "{{service}} {{agreement}}",
            size=(12, 7), unit="percentunit", decimals=0, no_value="no objective, or nothing counts yet",
            thresholds=((RED, None), (ORANGE, 0), (GREEN, 0.25)), min=-1, max=1,
        ),
        bars(
            "Credits so far",
            "What the running period costs so far if it ended now, by customer and agreement, added up over services and "
            "promises. It falls again when the share rises above a band.",
            'sum by (customer, agreement, currency) (sum without (instance) (sla_credit_exposure{agreement=~"$agreement"}))',
            "{{customer}} {{agreement}} {{currency}}",
            size=(12, 7), unit="locale", decimals=2, no_value="no agreement has credits", thresholds=((GREEN, None), (RED, 0.01)),
        ),
    ]  # fmt: skip


def durations_row() -> list[Json]:
    buckets = 'sla_duration_seconds_bucket{service=~"$service"}'
    return [
        panel(
            "heatmap",
            "Open time until stopped",
            "How much open time the clocks had used when they stopped (met or late), pauses left out. A second band far above "
            "the first is a kind of ticket that needs a promise, or a group, of its own.",
            [target(f"clamp_min(sum by (le) (delta({buckets}[$__rate_interval])), 0)", "{{le}}", "heatmap")],
            size=(12, 8), unit="short", decimals=0, no_value="nothing has stopped yet",
            options={
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": True},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "yHistogram": True},
                "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "s"},
            },
        ),
        lines(
            "Open time, half and nine of ten",
            "Within the day before, by promise: half of the clocks stopped within the lower line, nine of ten within the upper. "
            "Compare the upper one with the target: it should stay clearly below. Within buckets of 5 min to 10 d.",
            [
                target(f"histogram_quantile({q}, clamp_min(sum by (le, promise) (delta({buckets}[1d])), 0))", f"{{{{promise}}}} {name}")
                for q, name in ((0.5, "half"), (0.9, "nine of ten"))
            ],
            size=(12, 8), unit="s", decimals=1, no_value="nothing has stopped within a day",
        ),
    ]  # fmt: skip


# ---- Pipeline --------------------------------------------------------------------------------------------------------


def pipeline_row() -> list[Json]:
    def quantile(q: float, name: str, by: str) -> str:
        return f"histogram_quantile({q}, sum by ({by}) (rate({name}_bucket[$__rate_interval])))"

    lag = "max without (instance) (slastream_lag_records)"
    owned = "slastream_partition_owned"
    return [
        lines(
            "Lag",
            "Records that the owned partitions have not applied yet. Peaks during an import are normal; a line that does not "
            "come down means too few workers, or one that hangs. Verdicts are late, never wrong.",
            [target(f"sum by (topic) ({lag})", "{{topic}}")],
            size=(8, 8), unit="short", decimals=0, no_value="no worker", thresholds=((GREEN, None), (RED, 10000)),
        ),
        lines(
            "Age of events",
            "From an event's own instant to the broker's time of it. High without lag: the source, or what feeds it to Kafka, "
            "is slow, and the deadlines run on without knowing.",
            [
                target(quantile(0.5, "slastream_event_age_seconds", "le, topic"), "{{topic}} half"),
                target(quantile(0.99, "slastream_event_age_seconds", "le, topic"), "{{topic}} 99 of 100"),
            ],
            size=(8, 8), unit="s", decimals=2, no_value="no events", thresholds=((GREEN, None), (ORANGE, 300)),
        ),
        lines(
            "Delay of deadlines, 99 of 100",
            "From a due instant to the record that made it declared. Promised is 1 s; more is normal only after an outage, while "
            "what fell due meanwhile is declared. Otherwise look at lag and commits.",
            [target(quantile(0.99, "slastream_deadline_delay_seconds", "le"), "99 of 100")],
            size=(8, 8), unit="s", decimals=2, no_value="no deadlines", thresholds=((GREEN, None), (RED, 1)),
        ),
        lines(
            "Events by source",
            "Events taken per second. A source that falls to 0 in office hours has stopped sending: its tickets will look idle.",
            [target("sum by (source) (rate(slastream_events_total[$__rate_interval]))", "{{source}}")],
            size=(8, 8), unit="ops", decimals=2, no_value="no events",
        ),
        lines(
            "Rejects by reason",
            "Records that could not be used, within the hour before; they are kept in sla.rejected with reason and path. Mend "
            "the producer, then send them again.",
            [target("sum by (topic, reason) (increase(slastream_rejected_total[1h])) > 0", "{{topic}} {{reason}}")],
            size=(8, 8), unit="short", decimals=0, no_value="none rejected", thresholds=((GREEN, None), (RED, 1)),
        ),
        lines(
            "Late events and corrections",
            "Events that came after later ones, and what they changed of the published, within the hour before. Many corrections: "
            "give that source a lateness in the policy, and deadlines will wait for it.",
            [
                target("sum by (topic) (increase(slastream_late_events_total[1h]))", "late events"),
                target("sum by (reason) (increase(slastream_corrections_total[1h]))", "corrections: {{reason}}"),
            ],
            size=(8, 8), unit="short", decimals=0, no_value="no worker",
        ),
        lines(
            "Partitions",
            "Owned by a worker, being restored, and owned by two at once. Owned ones missing: no worker is running for them. "
            "Restoring ones show no numbers until they run. Two owners for longer than a session timeout: a worker that hangs.",
            [
                target(f"count by (topic) (max without (instance) ({owned}))", "{{topic}} owned"),
                target("sum by (topic) (max without (instance) (slastream_partition_restoring))", "{{topic}} restoring"),
                target(f"count by (topic) (sum without (instance) ({owned}) > 1)", "{{topic}} owned twice"),
            ],
            size=(8, 8), unit="short", decimals=0, no_value="no worker owns a partition",
        ),
        lines(
            "Commits",
            "How long it takes, on average, until a cut of state, messages and offsets is durable. It is part of every delay; "
            "above 0.5 s the brokers or their disks are slow.",
            [
                target(
                    "sum by (table) (rate(slastream_commit_seconds_sum[$__rate_interval]))"
                    " / (sum by (table) (rate(slastream_commit_seconds_count[$__rate_interval])) > 0)",
                    "{{table}}",
                )
            ],
            size=(8, 8), unit="s", decimals=3, no_value="no commits", thresholds=((GREEN, None), (RED, 0.5)),
        ),
        lines(
            "State and series",
            "Keys in the tables of all workers, how long the longest restore took, and the series that one worker shows. Keys "
            "that only grow: look at the policy's retention. Restores above a minute: use more partitions.",
            [
                target("sum by (table) (slastream_state_keys)", "{{table}} keys"),
                target("max by (table) (slastream_restore_seconds)", "{{table}} restore"),
                target("max(slastream_series)", "series of a worker"),
            ],
            size=(8, 8), unit="short", decimals=0, no_value="no worker",
            overrides=[{"matcher": {"id": "byRegexp", "options": "/restore$/"}, "properties": [{"id": "unit", "value": "s"}]}],
        ),
    ]  # fmt: skip


# ---- Services --------------------------------------------------------------------------------------------------------


def of_service(name: str, *matchers: str) -> str:
    """A gauge that has no agreement, once for each key."""
    return f"max without (instance) ({name}{{{', '.join((SERVICE, *matchers))}}})"


STATE_COLORS = (("up", GREEN), ("degraded", YELLOW), ("maintenance", BLUE), ("unknown", "gray"), ("down", RED))
IS_DOWN, IS_UNKNOWN = 'state="down"', 'state="unknown"'
NO_SERVICES = "nothing monitored yet"


def services_now_row() -> list[Json]:
    return [
        stat(
            "Services down",
            "Services that are down now, by their components, what they depend on, and planned maintenance. The timeline below "
            "says which.",
            f"sum({of_service('sla_service_state', IS_DOWN)})",
            unit="short", decimals=0, no_value=NO_SERVICES, thresholds=((GREEN, None), (RED, 1)),
        ),
        stat(
            "Nothing known of",
            "Services whose state is unknown: their monitoring is silent. It is neither up nor down for that long, and what they "
            "promise cannot be judged.",
            f"sum({of_service('sla_service_state', IS_UNKNOWN)})",
            unit="short", decimals=0, no_value=NO_SERVICES, thresholds=((GREEN, None), (ORANGE, 1)),
        ),
        stat(
            "Least budget",
            "What is left of the smallest error budget, as a share of all of it. Below 0 a promise is broken in its window: no more "
            "changes to that service without need.",
            f"min({gauge('sla_budget_remaining_ratio')} and on (service, agreement, promise, window) {gauge('sla_availability_ratio')})",
            unit="percentunit", decimals=1, no_value="no promise with a budget", thresholds=((RED, None), (ORANGE, 0), (GREEN, 0.25)),
        ),
        stat(
            "Highest burn rate",
            "The highest burn rate of the last hour: 1 uses up the budget exactly at the end of the window, 14.4 one of 30 days in "
            "two. Alerts go by two windows at once, see below.",
            f"max({gauge('sla_burn_rate')})",
            unit="short", decimals=1, no_value="no burn alerts", thresholds=((GREEN, None), (ORANGE, 3), (RED, 14.4)),
        ),
        stat(
            "Least coverage",
            "Known time as a share of the time that counts, of the promise with the least. Under its min_coverage (0.9) there is no "
            "ratio, and its alerts are frozen.",
            f"min({gauge('sla_coverage_ratio')})",
            unit="percentunit", decimals=1, no_value="nothing counts yet", thresholds=((RED, None), (ORANGE, 0.9), (GREEN, 0.99)),
        ),
    ]  # fmt: skip


def states_row() -> list[Json]:
    matchers = [f'state="{word}"' for word, _ in STATE_COLORS]
    numbers = " or ".join(f"{n} * {of_service('sla_service_state', matcher)}" for n, matcher in enumerate(matchers))
    mappings = [
        {
            "type": "value",
            "options": {
                str(n): {"text": word, "color": color, "index": n} for n, (word, color) in enumerate(STATE_COLORS)
            },
        }
    ]
    return [
        panel(
            "state-timeline",
            "States of the services",
            "What each service was, as its members and planned maintenance made it. This is what was known when it was scraped: "
            "what became known later is in the windows, and in explain --service.",
            [target(f"sum by (service) ({numbers})", "{{service}}")],
            size=(24, 9), unit="short", decimals=0, no_value=NO_SERVICES, mappings=mappings,
            custom={"fillOpacity": 80, "lineWidth": 0},
            options={"mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.9,
                     "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "single"}},
        ),
    ]  # fmt: skip


def windows_row() -> list[Json]:
    month = 'window="month"'
    left = f"{gauge('sla_budget_remaining_ratio')} and on (service, agreement, promise, window) {gauge('sla_availability_ratio')}"
    return [
        lines(
            "Availability against the target",
            "Good as a share of good and bad in the running window, of availability, success and latency alike. Below its target the "
            "promise is broken as of now. No line: too little is known, or nothing was counted.",
            [
                target(gauge("sla_availability_ratio"), "{{service}} {{promise}} {{window}}"),
                target(
                    f"max by (promise, window) ({gauge('sla_objective_ratio')} and on (service, agreement, promise, window) "
                    f"{gauge('sla_availability_ratio')})",
                    "target of {{promise}} {{window}}",
                ),
            ],
            size=(12, 9), unit="percentunit", decimals=3, no_value="nothing counts yet", max=1,
            overrides=[
                {
                    "matcher": {"id": "byRegexp", "options": "/^target/"},
                    "properties": [
                        {"id": "custom.lineStyle", "value": {"dash": [10, 10], "fill": "dash"}},
                        {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
                    ],
                }
            ],
        ),
        lines(
            "Budget that remains",
            "The error budget of the whole window less what is used, as a share of it. The dashed line is that of a month used up "
            "evenly (days of UTC): below it the budget will not last.",
            [
                target(left, "{{service}} {{promise}} {{window}}"),
                target("1 - (day_of_month() - 1 + hour() / 24) / days_in_month()", "ideal of a month"),
            ],
            size=(12, 9), unit="percentunit", decimals=1, no_value="no promise with a budget",
            thresholds=((RED, None), (ORANGE, 0), (GREEN, 0.25)),
            overrides=[
                override(
                    "ideal of a month",
                    **{"custom.lineStyle": {"dash": [10, 10], "fill": "dash"}, "color": {"mode": "fixed", "fixedColor": BLUE}},
                )
            ],
        ),
        lines(
            "Burn rates",
            "How fast the budget is used: the bad ratio of a look-back over the one that the target allows. An alert starts when the "
            "rates of its long and its short look-back are both above its factor: 14.4, 6, 3 or 1.",
            [target(gauge("sla_burn_rate"), "{{service}} {{promise}} {{window}}")],
            size=(12, 9), unit="short", decimals=2, no_value="no burn alerts",
            thresholds=((GREEN, None), (YELLOW, 1), (ORANGE, 3), (ORANGE, 6), (RED, 14.4)),
        ),
        lines(
            "Bad time in the window",
            "Seconds of the running window that count as bad. A step is an outage; it falls where a window ends, or maintenance that "
            "was declared later takes it back.",
            [target(gauge("sla_availability_seconds", 'state="bad"'), "{{service}} {{promise}} {{window}}")],
            size=(12, 9), unit="s", decimals=0, no_value="nothing counts yet",
        ),
        lines(
            "Time by what it counts as",
            "The elapsed month of all chosen services: good, bad, excluded (maintenance, closed hours) and unknown. The four add up "
            "to the elapsed time; much unknown means that monitoring is missing.",
            [target(f"sum by (state) ({gauge('sla_availability_seconds', month)})", "{{state}}")],
            size=(12, 8), unit="s", decimals=0, no_value="no promise of a month", is_stacked=True,
            overrides=[fixed("good", GREEN), fixed("bad", RED), fixed("excluded", BLUE), fixed("unknown", "gray")],
        ),
        lines(
            "Coverage",
            "Known time as a share of the time that counts in the running window. Under the promise's min_coverage nothing is claimed "
            "of it, and its burn alerts neither start nor stop.",
            [target(gauge("sla_coverage_ratio"), "{{service}} {{promise}} {{window}}")],
            size=(12, 8), unit="percentunit", decimals=2, no_value="nothing counts yet", max=1,
            thresholds=((RED, None), (GREEN, 0.9)),
        ),
    ]  # fmt: skip


def variables() -> list[Json]:
    def query(name: str, label: str, values: str) -> Json:
        return {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": values,
            "query": {"query": values, "refId": name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }

    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "current": {},
        },
        query("service", "Service", "label_values(sla_info, service)"),
        query("agreement", "Agreement", 'label_values(sla_info{service=~"$service"}, agreement)'),
    ]


def layout(rows: Sequence[tuple[str, Sequence[Json]]]) -> list[Json]:
    """Places panels left to right in a grid of 24 columns, each row under a title."""
    number = itertools.count(1)
    placed: list[Json] = []
    y = 0
    for title, panels in rows:
        grid = {"x": 0, "y": y, "w": 24, "h": 1}
        placed.append(
            {"type": "row", "title": title, "id": next(number), "collapsed": False, "gridPos": grid, "panels": []}
        )
        x, y, height = 0, y + 1, 0
        for each in panels:
            size = each["gridPos"]
            if x + size["w"] > 24:
                x, y, height = 0, y + height, 0
            placed.append({**each, "id": next(number), "gridPos": {"x": x, "y": y, **size}})
            x, height = x + size["w"], max(height, size["h"])
        y += height
    return placed


def tickets_dashboard() -> Json:
    rows = [
        ("Now", now_row()),
        ("Clocks", clocks_row()),
        ("Running period", compliance_row()),
        ("Durations", durations_row()),
        ("Pipeline", pipeline_row()),
    ]
    what = "Promises about tickets: what is late, what is next, how the period stands, and whether to trust it."
    return dashboard("Tickets", what, rows)


def services_dashboard() -> Json:
    rows = [("Now", services_now_row()), ("States", states_row()), ("Running window", windows_row())]
    what = "Promises about services: what is down, how much of each budget is left, how fast it goes, and how much is known."
    return dashboard("Services", what, rows)


def dashboard(title: str, description: str, rows: Sequence[tuple[str, Sequence[Json]]]) -> Json:
    return {
        "uid": f"slastream-{title.lower()}",
        "title": title,
        "description": description,
        "tags": ["slastream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": layout(rows),
    }


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    made = {
        HERE / "dashboards" / f"{one['title'].lower()}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n"
        for one in (tickets_dashboard(), services_dashboard())
    }
    return {**made, HERE.parent / "docs" / "metrics.md": as_markdown()}


def main() -> int:
    parser = argparse.ArgumentParser(description="make the dashboards and the page of the metrics")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a committed file differs")
    is_check = parser.parse_args().check
    status = 0
    for path, text in files().items():
        if not is_check:
            path.write_text(text, encoding="utf-8")
            continue
        held = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in difflib.unified_diff(held.splitlines(), text.splitlines(), str(path), "generated", lineterm=""):
            print(line)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
