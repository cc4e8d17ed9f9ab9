"""Tickets: what is late, what is next, how long things take, and how old what is open is."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions import shared
from definitions.frame import AGREEMENT, SERVICE, Row, Variable, framed
from definitions.panels import BLUE, GREEN, ORANGE, RED, YELLOW, Column, Query, colored, heat, lines, stat, table
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "Promises about tickets: what is late, what is next, how long things take, and how old the open work is."
PROMISE = Variable(
    "promise", "Promise", f'label_values({metrics.DURATION.name}_count{{job=~"$job", service=~"$service"}}, promise)'
)
SCOPE = Scope("service", "agreement")
STAT = (4, 4)


def tickets() -> Dashboard:
    return framed("Tickets", ABOUT, [SERVICE, AGREEMENT, PROMISE], [now(), next_breaches(), flow(), durations()])


def now() -> Row:
    oldest = SCOPE.once(metrics.OLDEST_OPEN, "min")
    return Row(
        "Now",
        [
            shared.breached_now(SCOPE, STAT, "Overview"),
            shared.at_risk_now(SCOPE, STAT, "Overview"),
            shared.next_breach(SCOPE, STAT, "Overview"),
            stat(
                "Oldest open clock",
                "Since the earliest start of a clock that is still open. A value that only grows is a ticket that everybody has "
                "forgotten, or one that waits for ever.",
                f"time() - min({oldest})",
                size=STAT, unit="s", decimals=1, no_value="nothing is open", steps=((GREEN, None), (YELLOW, 864000)),
            ),
            stat(
                "Open clocks",
                "Clocks that run, wait or are late: the work in hand. A ticket has one for each promise made for it.",
                f"sum({SCOPE.once(metrics.CLOCKS)})",
                size=STAT, unit="short", decimals=0, no_value=shared.NO_CLOCKS,
            ),
            shared.objectives_missed(SCOPE, STAT, "Agreement"),
        ],
    )  # fmt: skip


def next_breaches() -> Row:
    left = shared.seconds_to_due(SCOPE)
    at_risk = f"sum by ({shared.KEY}) ({SCOPE.once(metrics.CLOCKS, status='at_risk')})"
    due = f"min by ({shared.KEY}) ({left})"
    return Row(
        "Next",
        [
            table(
                "Next to breach, within 4 h",
                "Promises of which a clock falls due within the next 4 hours, the nearest first, and how many of their clocks are past the "
                "last warning. Work from the top. Below 0 for more than a second: deadlines are not declared, look at the pipeline.",
                [
                    Column("service", link="Service"),
                    Column("agreement", link="Agreement"),
                    Column("promise"),
                    Column("due in", f"{due} < 14400", "s", 1, shared.SOON),
                    Column("at risk", f"{at_risk} and on ({shared.KEY}) ({due} < 14400)", "short", 0, shared.RISK),
                ],
                "due in",
                size=(12, 8), unit="s", decimals=0, no_value="nothing falls due within 4 h",
            ),
            colored(
                lines(
                    "Age of what is open",
                    "Open clocks by how long ago they started, pauses included. A band of old ones that does not shrink is work that nobody "
                    "takes: look at the oldest first.",
                    *(Query(f"sum({SCOPE.once(metrics.OPEN_AGES, age=age)})", age) for age in metrics.AGES),
                    size=(12, 8), unit="short", decimals=0, no_value=shared.NO_CLOCKS, is_stacked=True, min=0,
                ),
                dict(zip(metrics.AGES, (GREEN, "light-green", YELLOW, ORANGE, RED, "dark-red"), strict=True)),
            ),
        ],
    )  # fmt: skip


def flow() -> Row:
    return Row(
        "Work",
        [
            shared.open_by_status(SCOPE, (8, 8)),
            lines(
                "Open clocks by priority",
                "The same clocks by the ticket's priority. Many of the highest: either a bad day, or a desk where everything is urgent.",
                Query(f"sum by (priority) ({SCOPE.once(metrics.CLOCKS)})", "{{priority}}"),
                size=(8, 8), unit="short", decimals=0, no_value=shared.NO_CLOCKS, is_stacked=True, min=0,
            ),
            colored(
                lines(
                    "Verdicts within an hour",
                    "Clocks met, breached and cancelled within the hour before. Breaches that rise while the rest does not: a service is in "
                    "trouble, or a group is. Points are single breaches; their id is that of sla.breaches.",
                    Query(SCOPE.within(metrics.VERDICTS, "1h", "verdict"), "{{verdict}}"),
                    exemplars=True,
                    size=(8, 8), unit="short", decimals=0, no_value="no verdicts yet", min=0,
                ),
                {"met": GREEN, "breached": RED, "cancelled": BLUE},
            ),
        ],
    )  # fmt: skip


def durations() -> Row:
    chosen = Scope("service", "promise")
    every = Scope("service")
    heatmap = heat(
        "Open time until stopped: $promise",
        "How much open time the clocks had used when they stopped, met or late, pauses left out. A second band far above the first is "
        "a kind of ticket that needs a promise, or a group, of its own.",
        chosen.within(metrics.DURATION, "$__rate_interval", "le", "_bucket"),
        size=(24, 8), unit="short", decimals=0, no_value="nothing has stopped yet",
    )  # fmt: skip
    grown = every.within(metrics.DURATION, "1d", "le, promise", "_bucket")
    return Row(
        "Durations",
        [
            heatmap.repeat("promise").repeat_direction("h").max_per_row(2),
            lines(
                "Open time, half and nine of ten",
                "Within the day before, by promise: half of the clocks stopped within the lower line, nine of ten within the upper. Compare "
                "the upper one with the target: it should stay clearly below. Within buckets of 5 min to 10 d.",
                *(
                    Query(f"histogram_quantile({share}, {grown})", f"{{{{promise}}}} {name}")
                    for share, name in ((0.5, "half"), (0.9, "nine of ten"))
                ),
                size=(24, 8), unit="s", decimals=1, no_value="nothing has stopped within a day", min=0,
            ),
        ],
    )  # fmt: skip
