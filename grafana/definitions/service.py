"""Service: what a service is, what it promises, how fast its budget goes, and how much of it is known."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions import shared
from definitions.frame import AGREEMENT, SERVICE, Row, framed
from definitions.panels import (
    BLUE,
    BUDGET,
    GRAY,
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Column,
    Query,
    bars,
    colored,
    lines,
    stat,
    table,
    targets_dashed,
)  # fmt: skip
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "What the chosen services are and were, how they stand against each promise, how fast budgets go, and how much is known."
SCOPE = Scope("service", "agreement")
STAT = (4, 4)
LEGEND = "{{service}} {{promise}} {{window}}"
NO_RATINGS = "nobody has rated a ticket"


def service() -> Dashboard:
    return framed("Service", ABOUT, [SERVICE, AGREEMENT], [now(), states(), windows(), promises(), people()])


def now() -> Row:
    return Row(
        "Now",
        [
            shared.services_down(SCOPE, STAT, "Overview"),
            shared.nothing_known(SCOPE, STAT, "Overview"),
            shared.least_budget(SCOPE, STAT, "Agreement"),
            shared.highest_burn(SCOPE, STAT, "Agreement"),
            stat(
                "Least coverage",
                "Known time as a share of the time that counts, of the promise with the least. Under its min_coverage (0.9 unless the "
                "policy says otherwise) there is no ratio, and its alerts are frozen.",
                f"min({SCOPE.once(metrics.COVERAGE_RATIO)})",
                size=STAT, unit="percentunit", decimals=1, no_value=shared.NOTHING_COUNTS,
                steps=((RED, None), (ORANGE, 0.9), (GREEN, 0.99)),
            ),
            shared.breached_now(SCOPE, STAT, "Tickets"),
        ],
    )  # fmt: skip


def states() -> Row:
    return Row("States", [shared.states(SCOPE, (24, 8))])


def windows() -> Row:
    target = shared.only_of_services(SCOPE, metrics.OBJECTIVE_RATIO)
    not_good = SCOPE.series(metrics.AVAILABILITY_SECONDS, state="~bad|excluded|unknown")
    return Row(
        "Running window",
        [
            targets_dashed(
                lines(
                    "Availability against the target",
                    "Good as a share of good and bad in the running window, of availability, success and latency alike. Below its "
                    "target the promise is broken as of now. No line: too little is known, or nothing was counted.",
                    Query(SCOPE.once(metrics.AVAILABILITY_RATIO), LEGEND),
                    Query(f"max by (promise, window) ({target})", "target of {{promise}} {{window}}"),
                    size=(12, 9), unit="percentunit", decimals=3, no_value=shared.NOTHING_COUNTS, max=1,
                ),
                "/^target/",
            ),
            targets_dashed(
                lines(
                    "Budget burn-down",
                    "What is left of the whole window's error budget. The dashed line is that of a month used up evenly (days of UTC): "
                    "below it the budget will not last. Below 0 the promise is broken; off the chart it is spent twice.",
                    Query(shared.only_of_services(SCOPE, metrics.BUDGET_RATIO), LEGEND),
                    Query("1 - (day_of_month() - 1 + hour() / 24) / days_in_month()", "ideal of a month"),
                    size=(12, 9), unit="percentunit", decimals=1, no_value="no promise with a budget", steps=BUDGET, min=-1, max=1,
                ),
                "/^ideal/", BLUE,
            ),
            lines(
                "Burn rates",
                "How fast the budget goes: the bad ratio of a look-back over the one that the target allows. An alert starts when the "
                "rates of its long and its short look-back are both above its factor: 14.4, 6, 3 or 1. No line: below 0.1.",
                Query(SCOPE.once(metrics.BURN_RATE), LEGEND),
                size=(12, 9), unit="short", decimals=2, no_value="no burn alerts", is_logarithmic=True, min=0.1,
                steps=((GREEN, None), (YELLOW, 1), (ORANGE, 3), (RED, 14.4)),
            ),
            lines(
                "Bad time in the window",
                "Time of the running window that counts as bad. A step up is an outage; it falls where a window ends, or where "
                "maintenance that was declared later takes it back.",
                Query(SCOPE.once(metrics.AVAILABILITY_SECONDS, state="bad"), LEGEND),
                size=(12, 9), unit="s", decimals=0, no_value=shared.NOTHING_COUNTS, min=0,
            ),
            colored(
                lines(
                    "Time that was not good",
                    "Of the longest window of each service: bad, excluded (maintenance, closed hours) and unknown, added up over the chosen "
                    "services. The rest was good. Much unknown means that monitoring is missing.",
                    Query(f'sum by (state) (max by (service, state) ({not_good}))', "{{state}}"),
                    size=(12, 8), unit="s", decimals=0, no_value=shared.NOTHING_COUNTS, is_stacked=True, min=0,
                ),
                {"bad": RED, "excluded": BLUE, "unknown": GRAY},
            ),
            lines(
                "Coverage",
                "Known time as a share of the time that counts in the running window. Under the promise's min_coverage nothing is claimed "
                "of it, and its burn alerts neither start nor stop.",
                Query(SCOPE.once(metrics.COVERAGE_RATIO), LEGEND),
                size=(12, 8), unit="percentunit", decimals=2, no_value=shared.NOTHING_COUNTS, max=1, steps=((RED, None), (GREEN, 0.9)),
            ),
        ],
    )  # fmt: skip


def promises() -> Row:
    return Row(
        "Promises",
        [
            table(
                "Promises of the services",
                "Every promise in its running window, about tickets and about the service itself. Red: missed as of now.",
                [
                    Column("service"),
                    Column("agreement", link="Agreement"),
                    Column("promise"),
                    Column("window"),
                    *shared.compliance_columns(SCOPE),
                ],
                "budget left",
                size=(24, 9), unit="percentunit", decimals=2, no_value=shared.NOTHING_COUNTS,
            )
        ],
    )  # fmt: skip


def people() -> Row:
    ratings, score = (SCOPE.once(metrics.SATISFACTION, suffix=part) for part in ("_count", "_sum"))
    unhappy = f"sum({SCOPE.once(metrics.MOODS, verdict='met', mood='unhappy')})"
    kept = f"sum({SCOPE.once(metrics.SATISFACTION, suffix='_count', verdict='met')})"
    return Row(
        "What users say",
        [
            bars(
                "Satisfaction by verdict",
                "Mean of the ratings, as a share of the scale, of tickets whose promises were kept and of those with a broken one. Alike: what "
                "you measure is not what users feel.",
                Query(f"sum by (verdict) ({score}) / (sum by (verdict) ({ratings}) > 0)", "{{verdict}}"),
                size=(8, 6), unit="percentunit", decimals=1, no_value=NO_RATINGS, min=0, max=1,
            ),
            stat(
                "Kept, and yet unhappy",
                "Of the rated tickets whose promises were all kept, the share with an unhappy rating: a green report over red faces. Ask them.",
                f"{unhappy} / ({kept} > 0)",
                size=(4, 6), unit="percentunit", decimals=1, no_value=NO_RATINGS, steps=((GREEN, None), (YELLOW, 0.1), (RED, 0.3)),
            ),
            table(
                "Signs of a gamed number",
                "Clocks that ended in the running period with something that makes a number look better: cancelled, overridden, reopened, their "
                "priority changed after a warning, paused shortly before they were due. `ended` are all. No proof: look at the tickets.",
                [
                    Column("service"),
                    *(
                        Column(sign.replace("_", " "), f"sum by (service) ({SCOPE.once(metrics.MATURITY, sign=sign)})", "short")
                        for sign in metrics.SIGNS
                    ),
                ],
                "ended",
                is_descending=True,
                size=(12, 6), unit="short", decimals=0, no_value=shared.NOTHING_COUNTS,
            ),
        ],
    )  # fmt: skip
