"""Providers and teams: who holds the time, and how what supports an agreement stands beside it."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions import shared
from definitions.frame import Row, Variable, framed
from definitions.panels import BUDGET, Column, Query, bars, lines, table
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "Who holds the time of tickets, and how operational agreements and contracts stand beside what they support."
PROVIDER = Variable("provider", "Provider", f'label_values({metrics.INFO.name}{{job=~"$job"}}, provider)', ".*")
TEAM = Variable("team", "Team", f'label_values({metrics.INFO.name}{{job=~"$job", provider=~"$provider"}}, team)', ".*")
SERVICE = Variable(
    "service",
    "Service",
    f'label_values({metrics.INFO.name}{{job=~"$job", provider=~"$provider", team=~"$team"}}, service)',
)
SCOPE = Scope("service")
WHO = "kind, provider, team"
NO_HANDS = "no ticket was in anybody's hands"


def providers() -> Dashboard:
    return framed("Providers and teams", ABOUT, [PROVIDER, TEAM, SERVICE], [hands(), supporting(), teams()])


def share_kept(by: str) -> str:
    met, total = (
        f"sum by ({by}) ({SCOPE.once(each, basis='due')})"
        for each in (metrics.COMPLIANCE_MET, metrics.COMPLIANCE_TOTAL)
    )
    return f"{met} / ({total} > 0)"


def with_names(of_agreement: str) -> str:
    """Values by service and agreement, with who stands behind them."""
    info = f"topk by (service, agreement) (1, {SCOPE.once(metrics.INFO)})"
    return f"max by (service, agreement, {WHO}) ({info} * on (service, agreement) group_left () ({of_agreement}))"


def hands() -> Row:
    return Row(
        "Who holds the time",
        [
            bars(
                "Whose time it was",
                "Open time of tickets in the chosen range, by who had them: a group, a provider (hold), the requester (pending), or nobody. "
                "Much of nobody: tickets wait to be assigned. Much of the requester: look at the signs of a gamed number.",
                Query(SCOPE.within(metrics.HANDOFF, "$__range", "party"), "{{party}}"),
                size=(6, 8), unit="s", decimals=1, no_value=NO_HANDS, min=0,
            ),
            lines(
                "Tickets in hand",
                "How many tickets each of them has, while the hours of the agreements are open: seconds of tickets in a second. A line that "
                "rises is a queue.",
                Query(SCOPE.rate(metrics.HANDOFF, "party"), "{{party}}"),
                size=(10, 8), unit="short", decimals=1, no_value=NO_HANDS, is_stacked=True, min=0,
            ),
            table(
                "Time by group",
                "The same by service and group, the longest first. The report has it ticket by ticket.",
                [
                    Column("service", link="Service"),
                    Column("group"),
                    Column("party"),
                    Column("time", SCOPE.within(metrics.HANDOFF, "$__range", "service, group, party"), "s", 1),
                ],
                "time",
                is_descending=True,
                size=(8, 8), unit="s", decimals=1, no_value=NO_HANDS,
            ),
        ],
    )  # fmt: skip


def supporting() -> Row:
    support = f"max by (service, agreement, supports) ({SCOPE.series(metrics.SUPPORT)})"
    own = share_kept("service, agreement")
    renamed = f'label_replace({own}, "supports", "$1", "agreement", "(.*)")'
    of_supported = f"(sum by (service, supports) ({renamed}))"
    return Row(
        "What stands on what",
        [
            table(
                "Agreements that support others",
                "An operational agreement (OLA) or a contract (UC) beside the agreement that stands on it: shares of what fell due in the "
                "running period. A good supporting share under a bad supported one: the targets do not fit together, or the time is lost "
                "between them.",
                [
                    Column("service", link="Service"),
                    Column("agreement", link="Agreement"),
                    Column("supports"),
                    Column("kept", f"({support} and on (service, supports) {of_supported}) * on (service, agreement) group_left () ({own})",
                           "percentunit", 3),
                    Column("kept of the supported", f"{support} * on (service, supports) group_left () {of_supported}", "percentunit", 3),
                ],
                "kept",
                size=(16, 7), unit="percentunit", decimals=2, no_value="no agreement supports another",
            ),
            bars(
                "Support that no longer fits",
                "Running clocks of a supporting agreement that may take longer than the agreement on top has left: the customer's clock breaks "
                "though the supporter keeps its word. Speed these up, or tell the customer now.",
                Query(f"sum by (service, agreement, supports) ({SCOPE.once(metrics.MISFITS)})", "{{service}} {{agreement}} for {{supports}}"),
                size=(8, 7), unit="short", decimals=0, no_value="all of it fits", steps=shared.NONE_IS_GOOD, min=0,
            ),
        ],
    )  # fmt: skip


def teams() -> Row:
    budget = f"min by (service, agreement) ({SCOPE.once(metrics.BUDGET_RATIO)})"
    late = f"sum by (service, agreement) ({SCOPE.once(metrics.CLOCKS, status='breached')})"
    late_of_names = with_names(late)
    return Row(
        "Who stands behind it",
        [
            table(
                "Agreements by provider and team",
                "Every service and agreement with who stands behind it, what was kept of what fell due, the worst budget of its promises, and "
                "the clocks that are late now. Talk to the team of the first row first.",
                [
                    Column("service", link="Service"),
                    Column("agreement", link="Agreement"),
                    Column("kind"),
                    Column("provider"),
                    Column("team"),
                    Column("kept", with_names(share_kept("service, agreement")), "percentunit", 3),
                    Column("budget left", with_names(budget), "percentunit", 0, BUDGET),
                    Column("breached", with_names(late), "short", 0, shared.NONE_IS_GOOD),
                ],
                "budget left",
                size=(16, 10), unit="percentunit", decimals=2, no_value=shared.NOTHING_COUNTS,
            ),
            bars(
                "Late now, by provider",
                "Open clocks past their target, of the services that a provider runs; an empty name is a service without one.",
                Query(f"sum by (provider) ({late_of_names})", "{{provider}}"),
                size=(4, 10), unit="short", decimals=0, no_value=shared.NO_CLOCKS, steps=shared.NONE_IS_GOOD, min=0,
            ),
            bars(
                "Late now, by team",
                "The same by the team of the service; an empty name is a service without one.",
                Query(f"sum by (team) ({late_of_names})", "{{team}}"),
                size=(4, 10), unit="short", decimals=0, no_value=shared.NO_CLOCKS, steps=shared.NONE_IS_GOOD, min=0,
            ),
        ],
    )  # fmt: skip
