"""What the pages of agreements show."""

from typing import NamedTuple

from slastream.core.policies import Agreement
from slastream.web.console.service_content import by_promise
from slastream.web.console.view import View
from slastream.web.console.windows import PromiseWindow


class AgreementLine(NamedTuple):
    """An agreement with the newest window of each of its promises. `agreement` None: the policy has none of that name."""

    name: str
    agreement: Agreement | None
    windows: int
    missed: int
    worst: PromiseWindow | None
    credits: dict[str, float]


class AgreementContent(NamedTuple):
    name: str
    agreement: Agreement | None
    credits: dict[str, float]
    windows: list[list[PromiseWindow]]
    """By promise and service, those that are missed first; in each the newest first."""


def agreement_list(view: View) -> list[AgreementLine]:
    """Those that miss most first."""
    newest: dict[str, list[PromiseWindow]] = {agreement.name: [] for agreement in view.policy.agreements}
    for window in view.windows.newest():
        newest.setdefault(window.agreement, []).append(window)
    lines = [_line(view, name, windows) for name, windows in newest.items()]
    return sorted(lines, key=lambda line: (-line.missed, line.name))


def _line(view: View, name: str, windows: list[PromiseWindow]) -> AgreementLine:
    budgets = [one for one in windows if one.budget_left is not None]
    return AgreementLine(
        name,
        agreement_of(view, name),
        len(windows),
        sum(one.is_kept is False for one in windows),
        min(budgets, key=lambda one: one.budget_left or 0.0, default=None),
        credits_of(windows),
    )


def agreement_of(view: View, name: str) -> Agreement | None:
    return next((one for one in view.policy.agreements if one.name == name), None)


def credits_of(windows: list[PromiseWindow]) -> dict[str, float]:
    """What these windows cost, by currency, as they stand."""
    found: dict[str, float] = {}
    for one in windows:
        if (credit := one.line.get("credit")) is not None and credit["amount"]:
            found[credit["currency"]] = found.get(credit["currency"], 0) + credit["amount"]
    return found


def agreement_content(view: View, name: str) -> AgreementContent | None:
    """None: nothing is known of it."""
    agreement, windows = agreement_of(view, name), view.windows.of_agreement(name)
    if agreement is None and not windows:
        return None
    newest = [one for one in view.windows.newest() if one.agreement == name]
    groups = sorted(by_promise(windows), key=lambda group: group[0].is_kept is not False)
    return AgreementContent(name, agreement, credits_of(newest), groups)
