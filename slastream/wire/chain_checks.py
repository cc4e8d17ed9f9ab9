"""Checks of chains when a policy is loaded: circles are refused, sums of targets that cannot fit are warned of.

Supporting agreements that can apply to one ticket are worked through one after the other: together they may take no longer
than the promise that stands on them. Only targets of open time on one calendar are compared; everything else is judged on
each ticket (`slastream.core.chains`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml

from slastream.core.chains import stands_under
from slastream.core.policies import Agreement, ClockPromise, TargetRule
from slastream.core.predicates import ALWAYS, All, Equals, Predicate
from slastream.core.targets import OpenTime, format_target
from slastream.core.units import Duration
from slastream.wire.predicate_text import excludes, implies
from slastream.wire.yaml_nodes import Entry, Problem, Reader, line_of

Read = tuple[Agreement, Entry]


class _Step(NamedTuple):
    """A supporting promise with the target that it has where the one above has its own."""

    agreement: Agreement
    entry: Entry
    promise: str
    target: OpenTime


def check_chains(reader: Reader, agreements: Sequence[Read], match_mode: str) -> list[Problem]:
    """Notes circles as problems of the reader; returns the warnings."""
    by_name = {agreement.name: (agreement, entry) for agreement, entry in agreements}
    for agreement, entry in agreements:
        if agreement.name in _reached(agreement, by_name):
            reader.bad(_supports(entry), "stands on itself; take one of the agreements out of the circle")
    warnings: list[Problem] = []
    for upper, _ in agreements:
        lower = [(one, entry) for one, entry in agreements if upper.name in one.supports]
        warnings += (_useless(upper, entry) for one, entry in lower if not _has_pair(upper, one))
        for promise in upper.clock_promises:
            warnings += _warnings(upper, promise, lower, match_mode)
    return warnings


def _reached(start: Agreement, by_name: dict[str, Read]) -> set[str]:
    """The agreements that stand on this one, at whatever distance."""
    found: set[str] = set()
    waiting = list(start.supports)
    while waiting:
        name = waiting.pop()
        if name not in found and name in by_name:
            found.add(name)
            waiting += by_name[name][0].supports
    return found


def _has_pair(upper: Agreement, lower: Agreement) -> bool:
    return any(stands_under(one, other, upper) for one in lower.clock_promises for other in upper.clock_promises)


def _useless(upper: Agreement, entry: Entry) -> Problem:
    metrics = ", ".join(sorted({one.metric for one in upper.clock_promises})) or "none about tickets"
    return _problem(
        entry,
        f"none of its promises stands under one of {upper.name!r}, whose metrics are: {metrics}; promise one of those",
    )


def _warnings(upper: Agreement, promise: ClockPromise, lower: Sequence[Read], match_mode: str) -> Iterator[Problem]:
    """At most one for each promise above: where the sum is first too long."""
    for rule in promise.targets:
        if not isinstance(rule.within, OpenTime):
            continue
        steps = _steps(upper, promise, rule, lower, match_mode)
        total = sum(one.target.duration for one in steps)
        if total > rule.within.duration:
            parts = " and ".join(f"{one.agreement.name}.{one.promise} ({format_target(one.target)})" for one in steps)
            yield _problem(
                max(steps, key=lambda one: one.target.duration).entry,
                f"{parts} may take {format_target(OpenTime(Duration(total)))} one after the other, but "
                f"{upper.name}.{promise.name}{_of(rule)} promises {format_target(rule.within)}; promise less below, or more above",
            )
            return


def _steps(
    upper: Agreement, promise: ClockPromise, rule: TargetRule, lower: Sequence[Read], match_mode: str
) -> list[_Step]:
    """Those that can apply to one ticket, the longest first."""
    condition = condition_of(upper) if rule.when is None else All((condition_of(upper), rule.when))
    found = [
        _Step(agreement, entry, one.name, target)
        for agreement, entry in lower
        if not excludes(condition, condition_of(agreement))
        for one in agreement.clock_promises
        if one.metric == promise.metric and (target := _target_of(one, rule)) is not None
    ]
    chosen: list[_Step] = []
    for step in sorted(found, key=lambda one: -one.target.duration):
        if all(_both_apply(step.agreement, one.agreement, match_mode) for one in chosen):
            chosen.append(step)
    return chosen


def _both_apply(one: Agreement, other: Agreement, match_mode: str) -> bool:
    if one.name == other.name or (match_mode == "first" and one.kind == other.kind):
        return False
    return not excludes(condition_of(one), condition_of(other))


def _target_of(promise: ClockPromise, above: TargetRule) -> OpenTime | None:
    """The target for every ticket that has this one above; None where it is not known, or not comparable."""
    for rule in promise.targets:
        if rule.when is None or (above.when is not None and implies(above.when, rule.when)):
            is_comparable = isinstance(rule.within, OpenTime) and rule.calendar.name == above.calendar.name
            return rule.within if is_comparable and isinstance(rule.within, OpenTime) else None
        if above.when is None or not excludes(above.when, rule.when):
            return None
    return None


def _of(rule: TargetRule) -> str:
    """Of which tickets a target is, in brackets, where one attribute says it."""
    if isinstance(rule.when, Equals):
        return f" ({rule.when.name} {', '.join(sorted(map(str, rule.when.values)))})"
    return ""


def condition_of(agreement: Agreement) -> Predicate:
    """What a ticket must be for an agreement to apply to it, its rank aside."""
    if agreement.customer is None:
        return agreement.match
    customer = Equals("customer", frozenset({agreement.customer}))
    return customer if agreement.match == ALWAYS else All((customer, agreement.match))


def _problem(entry: Entry, message: str) -> Problem:
    place = _supports(entry)
    return Problem(place.file, place.line, place.path, message)


def _supports(entry: Entry) -> Entry:
    """The place of the key `supports` of an agreement."""
    pairs = entry.node.value if isinstance(entry.node, yaml.MappingNode) else []
    line = next((line_of(key) for key, _ in pairs if key.value == "supports"), entry.line)
    return entry._replace(path=f"{entry.path}.supports", line=line)
