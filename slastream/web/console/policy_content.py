"""What the page of the policy shows: what is in force, and what in it one might want to mend."""

from collections.abc import Iterator
from typing import NamedTuple

from slastream.core.policies import Agreement, ClockPromise, Policy, ServicePromise, TargetRule
from slastream.core.predicates import ALWAYS
from slastream.core.targets import format_target
from slastream.core.units import Instant
from slastream.core.wording import duration_text, predicate_text
from slastream.web.console.rendering import percent_exactly
from slastream.web.console.service_content import service_names
from slastream.web.console.view import View

LOOKED_AT = 1_000
NAMED = 5


class PromiseText(NamedTuple):
    """A promise in words: `targets` says what is promised, `rest` how it is counted."""

    name: str
    metric: str
    targets: list[str]
    rest: list[str]


class AgreementText(NamedTuple):
    agreement: Agreement
    match: str
    objective: str
    promises: list[PromiseText]


class CalendarText(NamedTuple):
    name: str
    zone: str
    is_open: bool


class Note(NamedTuple):
    """Something that the policy and what is seen do not agree on; `kind` is `warning` or `hint`."""

    kind: str
    text: str


class PolicyContent(NamedTuple):
    """`versions` are those that open clocks were judged by."""

    version: str
    versions: list[str]
    notes: list[Note]
    agreements: list[AgreementText]
    calendars: list[CalendarText]
    services: int


def policy_content(view: View, now: Instant, is_complete: bool) -> PolicyContent:
    """Notes about what was never seen are made only when everything is read."""
    policy = view.policy
    return PolicyContent(
        policy.version,
        view.clocks.values("policy_version"),
        list(_notes(view, is_complete)),
        [_agreement_text(one) for one in policy.agreements],
        [CalendarText(name, one.zone_name, one.is_open(now)) for name, one in sorted(policy.calendars.items())],
        len(policy.services),
    )


# ---- in words


def _agreement_text(agreement: Agreement) -> AgreementText:
    objective = agreement.objective
    target = (
        "no goal" if objective.target is None else f"{percent_exactly(objective.target)} of what is {objective.basis}"
    )
    return AgreementText(
        agreement,
        "everything" if agreement.match == ALWAYS else predicate_text(agreement.match),
        f"{target}, each {objective.period}",
        [_clock_text(one) for one in agreement.clock_promises]
        + [_service_text(one) for one in agreement.service_promises],
    )


def _clock_text(promise: ClockPromise) -> PromiseText:
    is_only = len(promise.targets) == 1
    rest = [f"warns at {', '.join(one.text for one in promise.warn_at)}"] if promise.warn_at else []
    rest += [f"pauses while {predicate_text(promise.pause)}"] if promise.pause is not None else []
    rest += [f"on change {promise.on_change}", f"on reopening {promise.on_reopen}"]
    return PromiseText(promise.name, promise.metric, [_target_text(one, is_only) for one in promise.targets], rest)


def _target_text(target: TargetRule, is_only: bool) -> str:
    text = f"{format_target(target.within)} on {target.calendar.name}"
    if target.when is not None and target.when != ALWAYS:
        return f"{predicate_text(target.when)}: {text}"
    return text if is_only else f"all others: {text}"


def _service_text(promise: ServicePromise) -> PromiseText:
    fast = "" if promise.threshold is None else f" within {duration_text(promise.threshold)}"
    rest = [f"on {promise.calendar.name}", f"needs {percent_exactly(promise.min_coverage)} coverage"]
    return PromiseText(
        promise.name,
        promise.metric,
        [f"{percent_exactly(promise.target)}{fast}, each {promise.window}"],
        rest + ["burn rate alerts"] * promise.burn_alerts,
    )


# ---- notes


def _notes(view: View, is_complete: bool) -> Iterator[Note]:
    policy = view.policy
    if not policy.agreements:
        return
    if others := [one for one in view.clocks.values("policy_version") if one != policy.version]:
        yield Note(
            "warning",
            f"Open clocks were judged by version {', '.join(others)}, and the console has {policy.version}: give workers and "
            "console the same policy, and start them again.",
        )
    if is_complete:
        yield from _never_seen(view, policy)
    if unlisted := [name for name in service_names(view) if name not in policy.services]:
        yield Note("hint", f"Not listed under services, so without customer, provider and team: {_named(unlisted)}.")
    if lost := _without_clock(view):
        yield Note(
            "hint", f"Of the last {LOOKED_AT:,} tickets {len(lost)} have no clock: {_named(lost)}. Their pages say why."
        )
    silent = [
        f"{one.name} / {promise.name}"
        for one in policy.agreements
        for promise in one.clock_promises
        if not promise.warn_at
    ]
    if silent:
        yield Note("hint", f"Without warn_at, so never at risk before the breach: {_named(silent)}.")


def _never_seen(view: View, policy: Policy) -> Iterator[Note]:
    seen = {(one.agreement, one.promise) for one in view.windows}
    promised = [
        (agreement.name, promise.name)
        for agreement in policy.agreements
        for promises in (agreement.clock_promises, agreement.service_promises)
        for promise in promises
    ]
    idle = [f"{agreement} / {promise}" for agreement, promise in promised if (agreement, promise) not in seen]
    if idle:
        yield Note("hint", f"Nothing was ever counted for {_named(idle)}: does the agreement match what you expect?")


def _without_clock(view: View) -> list[str]:
    tickets = [ticket.ticket_id for ticket in view.tickets.newest(LOOKED_AT)]
    having = view.clocks.known_tickets(tickets)
    return [ticket_id for ticket_id in tickets if ticket_id not in having]


def _named(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
