"""Panels and queries that more than one dashboard has."""

from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import statetimeline, timeseries

from definitions.panels import (
    BLUE,
    BUDGET,
    GRAY,
    GREEN,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    YELLOW,
    Column,
    Query,
    Steps,
    colored,
    lines,
    stat,
    targets_dashed,
    timeline,
)  # fmt: skip
from definitions.queries import Scope, both, or_zero
from slastream.export import catalogue as metrics

KEY = "service, agreement, promise"
WINDOW = f"{KEY}, window"
NO_CLOCKS, NO_SERVICES = "no clocks yet", "nothing monitored yet"
NOTHING_COUNTS = "nothing counts yet"
STATES = (("up", GREEN), ("degraded", YELLOW), ("maintenance", BLUE), ("unknown", GRAY), ("down", RED))
STATUS_COLORS = {"running": GREEN, "paused": BLUE, "at_risk": ORANGE, "breached": RED}
RISK: Steps = ((GREEN, None), (ORANGE, 1))
SOON: Steps = ((RED, None), (ORANGE, 900), (GREEN, 3600))
"""Of a time that is left, in seconds."""


def kept(scope: Scope) -> str:
    """The share that was kept in the running window, of promises about tickets and about services."""
    return both(
        *(
            f"max by ({WINDOW}) ({scope.series(each)})"
            for each in (metrics.COMPLIANCE_RATIO, metrics.AVAILABILITY_RATIO)
        )
    )


def of_window(scope: Scope, metric: metrics.Metric) -> str:
    return f"max by ({WINDOW}) ({scope.series(metric)})"


def clocks(scope: Scope, status: str) -> str:
    """How many clocks do this now."""
    return f"sum({scope.once(metrics.CLOCKS, status=status)})"


def clocks_of_windows(scope: Scope, status: str) -> str:
    """How many clocks of a promise do this now, beside each of its windows."""
    counted = f"sum by ({KEY}) ({scope.once(metrics.CLOCKS, status=status)})"
    return f"0 * {of_window(scope, metrics.OBJECTIVE_RATIO)} + on ({KEY}) group_left () {counted}"


def seconds_to_due(scope: Scope) -> str:
    return f"{scope.once(metrics.NEXT_DUE, 'min')} - time()"


def only_of_tickets(scope: Scope, metric: metrics.Metric) -> str:
    """A gauge that promises about services have, too: without those."""
    return f"({scope.once(metric)} and on ({WINDOW}) {scope.once(metrics.COMPLIANCE_TOTAL)})"


def only_of_services(scope: Scope, metric: metrics.Metric) -> str:
    """A gauge that promises about tickets have, too: without those."""
    return f"({scope.once(metric)} and on ({WINDOW}) {scope.once(metrics.AVAILABILITY_RATIO)})"


# ---- Stats -----------------------------------------------------------------------------------------------------------


def breached_now(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Breached now",
        "Open clocks that are past their target. Each is a promise that can no longer be kept: finish these tickets, and tell "
        "who was promised.",
        clocks(scope, "breached"),
        size=size, unit="short", decimals=0, no_value=NO_CLOCKS, steps=NONE_IS_GOOD, link=link,
    )  # fmt: skip


def at_risk_now(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "At risk now",
        "Open clocks past their last warning and not late yet. These can still be saved: take them before new ones.",
        clocks(scope, "at_risk"),
        size=size, unit="short", decimals=0, no_value=NO_CLOCKS, steps=RISK, link=link,
    )  # fmt: skip


def next_breach(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Time to next breach",
        "Until the earliest due instant of a running clock, if nobody does anything. Below 0 for more than a second: deadlines "
        "are not declared, look at the pipeline.",
        f"min({seconds_to_due(scope)})",
        size=size, unit="s", decimals=1, no_value="nothing is due", steps=SOON, link=link,
    )  # fmt: skip


def services_down(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Services down",
        "Services that are down now, by their components, what they depend on, and planned maintenance. The timeline of states "
        "says which.",
        f"sum({scope.once(metrics.SERVICE_STATE, state='down')})",
        size=size, unit="short", decimals=0, no_value=NO_SERVICES, steps=NONE_IS_GOOD, link=link,
    )  # fmt: skip


def nothing_known(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "No data",
        "Services whose state is unknown: their monitoring is silent. That time is neither up nor down, and what they promise "
        "cannot be judged. Ask who runs the monitoring.",
        f"sum({scope.once(metrics.SERVICE_STATE, state='unknown')})",
        size=size, unit="short", decimals=0, no_value=NO_SERVICES, steps=RISK, link=link,
    )  # fmt: skip


def objectives_missed(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Objectives missed",
        "Promises whose share in the running window is below what was agreed: their budget is below 0. The table of compliance "
        "says which; only more kept promises bring them back.",
        or_zero(f"count({scope.once(metrics.BUDGET_RATIO)} < 0)", f"count({scope.once(metrics.OBJECTIVE_RATIO)})"),
        size=size, unit="short", decimals=0, no_value="no objectives", steps=NONE_IS_GOOD, link=link,
    )  # fmt: skip


def least_budget(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Least budget",
        "What is left of the smallest budget, as a share of all of it. Below 0 a promise is broken in its window: no more changes "
        "to that service without need.",
        f"min({scope.once(metrics.BUDGET_RATIO)})",
        size=size, unit="percentunit", decimals=1, no_value="no objective", steps=BUDGET, link=link,
    )  # fmt: skip


def highest_burn(scope: Scope, size: tuple[int, int], link: str) -> stats.Panel:
    return stat(
        "Highest burn rate",
        "The highest of all look-backs: 1 uses up the budget exactly at the end of the window, 14.4 one of 30 days in two. An "
        "alert starts only when a long and a short look-back are both above its factor.",
        f"max({scope.once(metrics.BURN_RATE)})",
        size=size, unit="short", decimals=1, no_value="no burn alerts", steps=((GREEN, None), (ORANGE, 3), (RED, 14.4)), link=link,
    )  # fmt: skip


# ---- Charts ----------------------------------------------------------------------------------------------------------


def open_by_status(scope: Scope, size: tuple[int, int]) -> timeseries.Panel:
    return colored(
        lines(
            "Open clocks by status",
            "What the open clocks do. Paused ones wait for somebody else and do not use up their target; a growing red part is "
            "work that comes faster than it is done.",
            *(Query(clocks(scope, status), status) for status in STATUS_COLORS),
            size=size, unit="short", decimals=0, no_value=NO_CLOCKS, is_stacked=True, min=0,
        ),
        STATUS_COLORS,
    )  # fmt: skip


def states(scope: Scope, size: tuple[int, int]) -> statetimeline.Panel:
    numbers = [f"{number} * {scope.once(metrics.SERVICE_STATE, state=word)}" for number, (word, _) in enumerate(STATES)]
    return timeline(
        "States of the services",
        "What each service was, as its members and planned maintenance made it, when it was scraped. What became known later is "
        "in the windows, and in slastream explain.",
        Query(f"sum by (service) ({both(*numbers)})", "{{service}}"),
        STATES,
        size=size, unit="short", decimals=0, no_value=NO_SERVICES,
    )  # fmt: skip


def by_basis(scope: Scope, size: tuple[int, int]) -> timeseries.Panel:
    """Compliance by all three denominators, and what is aimed at."""

    def share(basis: str) -> str:
        met = f"sum({scope.once(metrics.COMPLIANCE_MET, basis=basis)})"
        return f"{met} / (sum({scope.once(metrics.COMPLIANCE_TOTAL, basis=basis)}) > 0)"

    return targets_dashed(
        lines(
            "Compliance by basis",
            "All that is chosen, in the running window, by three denominators: completed (clocks that stopped), due (that fell due, the contractual one) "
            "and started. Completed far above due: late tickets are left open, and nobody gets better by parking them.",
            *(Query(share(basis), basis) for basis in metrics.BASES),
            Query(f"max by (agreement) ({only_of_tickets(scope, metrics.OBJECTIVE_RATIO)})", "objective of {{agreement}}"),
            size=size, unit="percentunit", decimals=2, no_value=NOTHING_COUNTS, max=1,
        ),
        "/^objective/",
    )  # fmt: skip


def compliance_columns(scope: Scope) -> list[Column]:
    """Kept, promised, and what is left: the columns of every table of compliance."""
    return [
        Column("kept", kept(scope), "percentunit", 3),
        Column("objective", of_window(scope, metrics.OBJECTIVE_RATIO), "percentunit", 2),
        Column("budget left", of_window(scope, metrics.BUDGET_RATIO), "percentunit", 0, BUDGET),
    ]
