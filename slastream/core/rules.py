"""A clock promise made ready to run: the metric's own conditions and those of the policy, compiled.

Every condition is a function of (attributes after the event, the event, names of the attributes that it changed). Two facts
that a ticket's history decides are kept beside its attributes: ANSWERED (somebody of the desk has answered, opened or closed
it) and OPENED_BY_AGENT. **Source:** semantics 4.2, 4.3.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slastream.core.calendars import Calendar
from slastream.core.events import TicketEvent
from slastream.core.holders import Holders
from slastream.core.policies import Agreement, ClockPromise, OnChange, OnReopen, Policy
from slastream.core.predicates import ALWAYS, Holds, Predicate, attributes_of, compile_predicate, looks_at_event
from slastream.core.targets import CalendarDays, OpenTime, Target
from slastream.core.units import Duration

ANSWERED = "~answered"
OPENED_BY_AGENT = "~opened_by_agent"
CLOSED = frozenset({"resolved", "closed"})
ENDED = CLOSED | {"cancelled"}


class Selection(NamedTuple):
    """The target that a ticket's attributes select: `within` on `calendar`."""

    within: Target
    calendar: Calendar

    @property
    def open_time_us(self) -> Duration | None:
        """The target in µs of open time; None for targets in days and times of day."""
        return self.within.duration if isinstance(self.within, OpenTime) else None

    @property
    def is_real_time(self) -> bool:
        """Is its own time real time, not open time? (calendar days)"""
        return isinstance(self.within, CalendarDays)


class Condition(NamedTuple):
    """A compiled predicate; a *static* one is over the ticket alone."""

    holds: Holds
    attributes: frozenset[str]
    is_static: bool
    needs_message: bool = False


@dataclass(slots=True, eq=False)
class Rule:
    """One promise of one agreement, compiled. `index` is its place in `Rulebook.rules`."""

    index: int
    agreement_index: int
    agreement: Agreement
    promise: ClockPromise
    starts_at_opening: bool
    is_once: bool
    resumes: bool
    start: Condition | None
    stop: Condition
    reset: Condition | None
    cancel: Condition | None
    pause: Condition | None
    resume: Condition | None
    selections: tuple[tuple[Holds | None, Selection], ...]
    on_change: OnChange
    on_reopen: OnReopen
    watched: frozenset[str]
    looks_at_messages: bool
    looks_at_events: bool
    holds_group: bool
    marks: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    """(µs of its own time, word) of its warnings, ascending, by that own time: found once for each target."""

    def select(self, attributes: Mapping[str, Any]) -> Selection | None:
        """The first target whose condition holds; None: no such promise for this ticket."""
        for when, selection in self.selections:
            if when is None or when(attributes, None, ()):
                return selection
        return None


class Rulebook:
    """A policy compiled for tickets: its rules, and which agreements match."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.rules: list[Rule] = []
        self.rules_of: list[tuple[Rule, ...]] = []
        self._matches: list[Holds] = []
        for index, agreement in enumerate(policy.agreements):
            rules = tuple(
                compile_rule(len(self.rules) + i, index, agreement, promise)
                for i, promise in enumerate(agreement.clock_promises)
            )
            self.rules.extend(rules)
            self.rules_of.append(rules)
            self._matches.append(compile_predicate(agreement.match))
        self._order = [
            sorted(
                (i for i, a in enumerate(policy.agreements) if a.kind == kind),
                key=lambda i: (
                    policy.agreements[i].rank is None,
                    policy.agreements[i].rank or 0,
                    policy.agreements[i].name,
                ),
            )
            for kind in ("sla", "ola", "uc")
        ]
        read = {"customer"}.union(*(attributes_of(a.match) for a in policy.agreements))
        self.match_attributes = frozenset(read)
        selecting: set[str] = set()
        for rule in self.rules:
            for target in rule.promise.targets:
                if target.when is not None:
                    selecting |= attributes_of(target.when)
        self.binding_attributes = self.match_attributes | selecting
        self.by_name = {(r.agreement.name, r.promise.name): r for r in self.rules}
        self.holders = Holders(policy.ledger)

    def matching(self, attributes: Mapping[str, Any], opened_at: int) -> frozenset[int]:
        """Indices of the agreements that apply: per kind the first by rank, with `match_mode: all` every one."""
        found: set[int] = set()
        for order in self._order:
            for i in order:
                agreement = self.policy.agreements[i]
                if agreement.effective_from is not None and opened_at < agreement.effective_from:
                    continue
                if agreement.customer is not None and attributes.get("customer") != agreement.customer:
                    continue
                if self._matches[i](attributes, None, ()):
                    found.add(i)
                    if self.policy.match_mode == "first":
                        break
        return frozenset(found)

    def leading(self, matched: Collection[int]) -> Agreement | None:
        """Of those that apply the one that the customer looks at: an sla before an ola before a uc, the smallest rank first."""
        return next((self.policy.agreements[i] for order in self._order for i in order if i in matched), None)


def is_response(event: TicketEvent) -> bool:
    """A public message from an agent that no machine wrote."""
    message = event.message
    return message is not None and message.author == "agent" and message.is_public and not message.is_automatic


def compile_rule(index: int, agreement_index: int, agreement: Agreement, promise: ClockPromise) -> Rule:
    own = _OWN[promise.metric]
    start = _condition(promise.start) if promise.start is not None else own.start
    starts_at_opening = own.starts_at_opening and promise.start is None
    stop = _condition(promise.stop) if promise.stop is not None else own.stop
    if stop is None:
        raise AssertionError(f"a {promise.metric} clock without stop: the loader refuses it")
    pause = _condition(promise.pause) if promise.pause is not None else own.pause
    reset = _condition(promise.reset) if promise.reset is not None else own.reset
    cancel, resume = _condition(promise.cancel), _condition(promise.resume)
    conditions = [c for c in (start, stop, reset, cancel, pause, resume) if c is not None]
    return Rule(
        index=index,
        agreement_index=agreement_index,
        agreement=agreement,
        promise=promise,
        starts_at_opening=starts_at_opening,
        is_once=own.is_once,
        resumes=own.resumes,
        start=start,
        stop=stop,
        reset=reset,
        cancel=cancel,
        pause=pause,
        resume=resume,
        selections=tuple(
            (None if t.when is None or t.when == ALWAYS else compile_predicate(t.when), Selection(t.within, t.calendar))
            for t in promise.targets
        ),
        on_change=promise.on_change,
        on_reopen=promise.on_reopen,
        watched=frozenset().union(*(c.attributes for c in conditions)),
        looks_at_messages=any(c.needs_message for c in conditions),
        looks_at_events=cancel is not None or any(not c.is_static and not c.needs_message for c in conditions),
        holds_group=promise.metric == "ownership",
    )


class _Own(NamedTuple):
    """A metric's own conditions."""

    stop: Condition | None = None
    start: Condition | None = None
    reset: Condition | None = None
    pause: Condition | None = None
    starts_at_opening: bool = False
    is_once: bool = False
    resumes: bool = False


def _condition(predicate: Predicate | None) -> Condition | None:
    if predicate is None:
        return None
    return Condition(compile_predicate(predicate), attributes_of(predicate), not looks_at_event(predicate))


def _status_in(*statuses: str) -> Condition:
    wanted = frozenset(statuses)
    return Condition(
        lambda attributes, _event, _changed: attributes.get("status") in wanted, frozenset({"status"}), True
    )


def _responded(_attributes: Mapping[str, Any], event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return event is not None and is_response(event)


def _answered_or_closed(attributes: Mapping[str, Any], event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return attributes.get("status") in CLOSED or (event is not None and is_response(event))


def _asked(attributes: Mapping[str, Any], event: TicketEvent | None, _changed: Collection[str]) -> bool:
    message = None if event is None else event.message
    return (
        message is not None
        and message.author == "requester"
        and message.is_public
        and not message.is_automatic
        and attributes.get(ANSWERED) is True
        and attributes.get("status") not in ENDED
    )


def _is_owned_or_closed(attributes: Mapping[str, Any], _event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return attributes.get("assignee") is not None or attributes.get("status") in CLOSED


def _is_held(attributes: Mapping[str, Any], _event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return attributes.get("group") is not None and attributes.get("status") not in ENDED


def _is_not_held(attributes: Mapping[str, Any], _event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return attributes.get("group") is None or attributes.get("status") in CLOSED


def _is_open_response(attributes: Mapping[str, Any], event: TicketEvent | None, _changed: Collection[str]) -> bool:
    return event is not None and attributes.get("status") not in ENDED and is_response(event)


def _changed_group(_attributes: Mapping[str, Any], _event: TicketEvent | None, changed: Collection[str]) -> bool:
    return "group" in changed


_STATUS = frozenset({"status"})
_HOLDING = frozenset({"status", "group"})
_CLOSING = _status_in("resolved", "closed")
_OWN: dict[str, _Own] = {
    "first_response": _Own(
        stop=Condition(_answered_or_closed, _STATUS, False, needs_message=True), starts_at_opening=True, is_once=True
    ),
    "next_response": _Own(
        start=Condition(_asked, _STATUS, False, needs_message=True),
        stop=Condition(_answered_or_closed, _STATUS, False, needs_message=True),
    ),
    "periodic_update": _Own(
        start=Condition(_is_open_response, _STATUS, False, needs_message=True),
        reset=Condition(_responded, frozenset(), False, needs_message=True),
        stop=_CLOSING,
    ),
    "assignment": _Own(
        stop=Condition(_is_owned_or_closed, frozenset({"assignee", "status"}), True),
        starts_at_opening=True,
        is_once=True,
    ),
    "resolution": _Own(stop=_CLOSING, pause=_status_in("pending"), starts_at_opening=True, resumes=True),
    "closure": _Own(stop=_status_in("closed"), starts_at_opening=True, resumes=True),
    "requester_wait": _Own(stop=_CLOSING, pause=_status_in("pending"), starts_at_opening=True, resumes=True),
    "agent_work": _Own(stop=_CLOSING, pause=_status_in("pending", "hold"), starts_at_opening=True, resumes=True),
    "ownership": _Own(
        start=Condition(_is_held, _HOLDING, True),
        stop=Condition(_is_not_held, _HOLDING, True),
        reset=Condition(_changed_group, frozenset({"group"}), False),
    ),
    "custom": _Own(resumes=True),
}
