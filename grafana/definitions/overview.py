"""Overview: what is breaching, what is next, how every service stands, and whether the pipeline can be trusted."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions import shared
from definitions.frame import AGREEMENT, SERVICE, Row, framed
from definitions.panels import BUDGET, GREEN, NONE_IS_GOOD, RED, Column, Query, bars, stat, table
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "What is breaching, what is next, how each service stands against what was agreed, and whether to trust these numbers."
SCOPE = Scope("service", "agreement")
STAT = (3, 4)


def overview() -> Dashboard:
    return framed("Overview", ABOUT, [SERVICE, AGREEMENT], [now(), standing(), over_time()])


def now() -> Row:
    owned, restoring = SCOPE.series(metrics.OWNED), SCOPE.once(metrics.RESTORING)
    late = f"count({SCOPE.once(metrics.LAG)} > 10000) or vector(0)"
    twice = f"count(sum without (instance) ({owned}) > 1) or vector(0)"
    return Row(
        "Now",
        [
            shared.breached_now(SCOPE, STAT, "Tickets"),
            shared.at_risk_now(SCOPE, STAT, "Tickets"),
            shared.next_breach(SCOPE, STAT, "Tickets"),
            shared.services_down(SCOPE, STAT, "Service"),
            shared.nothing_known(SCOPE, STAT, "Service"),
            shared.objectives_missed(SCOPE, STAT, "Agreement"),
            shared.highest_burn(SCOPE, STAT, "Service"),
            stat(
                "Pipeline troubles",
                "Partitions that are being restored, that two workers own, or that lag by more than 10,000 records. Above 0 for "
                "longer than a restart: numbers are late or missing, never wrong. The dashboard of the pipeline says which.",
                f"sum({restoring}) + on () ({late}) + on () ({twice})",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=NONE_IS_GOOD, link="Pipeline",
            ),
        ],
    )  # fmt: skip


def standing() -> Row:
    return Row(
        "By service and agreement",
        [
            table(
                "Compliance, target and budget",
                "Every promise in its running window: what was kept, what was agreed, what is left of the failures that this allows, "
                "and the clocks that are late or at risk now. Red: missed as of now. Empty: too little is known, or nothing counts yet. "
                "A service or an agreement opens its own dashboard.",
                [
                    Column("service", link="Service"),
                    Column("agreement", link="Agreement"),
                    Column("promise"),
                    Column("window"),
                    *shared.compliance_columns(SCOPE),
                    Column("breached", shared.clocks_of_windows(SCOPE, "breached"), "short", 0, NONE_IS_GOOD),
                    Column("at risk", shared.clocks_of_windows(SCOPE, "at_risk"), "short", 0, shared.RISK),
                ],
                "budget left",
                size=(16, 11), unit="percentunit", decimals=2, no_value=shared.NOTHING_COUNTS,
            ),
            bars(
                "Least budget left",
                "The ten promises with the least left of the failures that they allow, their windows' worst. Below 0 the promise is "
                "missed; near 0 the next failure misses it.",
                Query(f"bottomk(10, min by ({shared.KEY}) ({SCOPE.once(metrics.BUDGET_RATIO)}))", "{{service}} {{agreement}} {{promise}}"),
                size=(8, 11), unit="percentunit", decimals=0, no_value="no objective, or nothing counts yet", steps=BUDGET, min=-1, max=1,
            ),
        ],
    )  # fmt: skip


def over_time() -> Row:
    coverage = f"sort(min by ({shared.KEY}) ({SCOPE.once(metrics.COVERAGE_RATIO)}))"
    return Row(
        "Over time",
        [
            shared.open_by_status(SCOPE, (8, 9)),
            shared.states(SCOPE, (10, 9)),
            bars(
                "How much is known",
                "Known time as a share of the time that counts, of the ten promises with the least. Under its min_coverage (0.9 unless "
                "the policy says otherwise) a promise has no ratio, and its alerts are frozen: mend its monitoring.",
                Query(f"bottomk(10, {coverage})", "{{service}} {{promise}}"),
                size=(6, 9), unit="percentunit", decimals=1, no_value=shared.NO_SERVICES, steps=((RED, None), (GREEN, 0.9)), min=0, max=1,
            ),
        ],
    )  # fmt: skip
