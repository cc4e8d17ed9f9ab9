"""Agreement: how the running period stands against what was promised, and what it costs."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions import shared
from definitions.frame import SERVICE, Row, Variable, framed
from definitions.panels import BLUE, BUDGET, GREEN, RED, Column, Query, bars, lines, stat, table, targets_dashed
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "How the running period of an agreement stands: compliance by basis, what is left of the budget, and credits so far."
CUSTOMER = Variable("customer", "Customer", f'label_values({metrics.INFO.name}{{job=~"$job"}}, customer)', ".*")
AGREEMENT = Variable(
    "agreement", "Agreement", f'label_values({metrics.INFO.name}{{job=~"$job", customer=~"$customer"}}, agreement)'
)
SCOPE = Scope("agreement", "service")
MONEY = Scope("agreement", "customer")
STAT = (6, 4)
NO_CREDITS = "no agreement has credits, or no ticket yet"
NO_SCOPE = "no agreement has a scope, or no ticket yet"


def agreement() -> Dashboard:
    return framed("Agreement", ABOUT, [CUSTOMER, AGREEMENT, SERVICE], [now(), period(), budget(), credits(), scope()])


def now() -> Row:
    basis = f"sum({SCOPE.once(metrics.COMPLIANCE_MET, basis='due')}) / sum({SCOPE.once(metrics.COMPLIANCE_TOTAL, basis='due')})"
    return Row(
        "Now",
        [
            shared.objectives_missed(SCOPE, STAT, "Overview"),
            shared.least_budget(SCOPE, STAT, "Service"),
            stat(
                "Kept of what fell due",
                "Of all promises about tickets that fell due in the running period, the share that was kept. One number for many "
                "objectives: the table below has each against its own.",
                basis,
                size=STAT, unit="percentunit", decimals=3, no_value="nothing fell due yet",
            ),
            stat(
                "Credits so far",
                "What the running period costs if it ended now, of all services and promises under the cap, in all currencies alike. It falls "
                "again when a share rises above a band.",
                f"sum({MONEY.once(metrics.CREDIT_EXPOSURE)})",
                size=STAT, unit="locale", decimals=2, no_value=NO_CREDITS, steps=((GREEN, None), (RED, 0.01)),
            ),
        ],
    )  # fmt: skip


def period() -> Row:
    return Row(
        "Running period",
        [
            table(
                "Compliance against the objective",
                "The share of promises kept in the running window, on the basis of the objective, beside the objective and what is left of "
                "the failures that it allows. Red: missed as of now, and only more kept promises bring it back. Empty: nothing counts yet.",
                [
                    Column("agreement"),
                    Column("service", link="Service"),
                    Column("promise"),
                    Column("window"),
                    *shared.compliance_columns(SCOPE),
                ],
                "budget left",
                size=(12, 9), unit="percentunit", decimals=2, no_value=shared.NOTHING_COUNTS,
            ),
            shared.by_basis(SCOPE, (12, 9)),
        ],
    )  # fmt: skip


def budget() -> Row:
    left = f"min by (agreement, promise, window) ({SCOPE.once(metrics.BUDGET_RATIO)})"
    return Row(
        "Budget",
        [
            targets_dashed(
                lines(
                    "Budget burn-down",
                    "What is left of the failures that the objective allows, the worst service of each promise. Of tickets as a share of "
                    "those counted so far, so it recovers when promises are kept; of a service of the whole window, so it only falls. Dashed: "
                    "a month used up evenly (days of UTC). Off the chart: spent twice.",
                    Query(left, "{{agreement}} {{promise}} {{window}}"),
                    Query("1 - (day_of_month() - 1 + hour() / 24) / days_in_month()", "ideal of a month"),
                    size=(16, 9), unit="percentunit", decimals=1, no_value="no objective, or nothing counts yet", steps=BUDGET, min=-1, max=1,
                ),
                "/^ideal/", BLUE,
            ),
            bars(
                "Budget left by service",
                "The worst promise of each service and agreement. Below 0 the objective is missed; near 0 the next failure misses it.",
                Query(f"sort(min by (service, agreement) ({SCOPE.once(metrics.BUDGET_RATIO)}))", "{{service}} {{agreement}}"),
                size=(8, 9), unit="percentunit", decimals=0, no_value="no objective, or nothing counts yet", steps=BUDGET, min=-1, max=1,
            ),
        ],
    )  # fmt: skip


def credits() -> Row:
    exposure = f"sum by (customer, agreement, currency) ({MONEY.once(metrics.CREDIT_EXPOSURE)})"
    legend = "{{customer}} {{agreement}} {{currency}}"
    return Row(
        "Credits",
        [
            bars(
                "Credits by customer",
                "What the running period costs if it ended now, by customer, agreement and currency. Tell the customer before the report does.",
                Query(exposure, legend),
                size=(8, 8), unit="locale", decimals=2, no_value=NO_CREDITS, steps=((GREEN, None), (RED, 0.01)), min=0,
            ),
            lines(
                "Credits over time",
                "The same over time. A step is a share that fell below a band; it goes back when the share rises, and to 0 with a new period.",
                Query(exposure, legend),
                size=(16, 8), unit="locale", decimals=2, no_value=NO_CREDITS, min=0,
            ),
        ],
    )  # fmt: skip


def scope() -> Row:
    tickets = f"max by (agreement, volume) ({MONEY.once(metrics.VOLUME)})"
    low, high = (
        f"max by (agreement, volume) ({MONEY.once(metrics.VOLUME_BAND, limit=side)})" for side in ("lower", "upper")
    )
    return Row(
        "Scope",
        [
            table(
                "Volumes against what was agreed",
                "Tickets of the running period beside the band of the contract. Above it the fee may rise, below it you pay for what nobody "
                "uses. A side without a bound is empty.",
                [
                    Column("agreement"),
                    Column("volume"),
                    Column("tickets", tickets, "short"),
                    Column("at least", low, "short"),
                    Column("at most", high, "short"),
                ],
                "tickets",
                is_descending=True,
                size=(16, 7), unit="short", decimals=0, no_value=NO_SCOPE,
            ),
            bars(
                "Tickets by scope",
                "Tickets of the running period that the contract covers, and those outside of it: work that nobody agreed on. The report lists them.",
                Query(f"sum by (agreement, scope) ({MONEY.once(metrics.SCOPE)})", "{{agreement}} {{scope}}"),
                size=(8, 7), unit="short", decimals=0, no_value=NO_SCOPE, min=0,
            ),
        ],
    )  # fmt: skip
