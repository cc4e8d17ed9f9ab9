"""Availability, success and latency of every service of a log: which promises apply, and their measures.

`Availability` takes events in any order. What it says is computed from what was heard, so that a late event changes what it
touches and nothing else.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby, islice
from typing import NamedTuple

from slastream.core.accounts import (
    Account,
    account_of_events,
    account_of_time,
    open_time,
    outages_of,
    with_events,
    without_short_outages,
)
from slastream.core.events import MaintenanceEvent, MonitoringEvent
from slastream.core.intervals import Interval
from slastream.core.periods import LONGEST_OF_PERIOD, ROLLING
from slastream.core.policies import Agreement, Policy, Service, ServicePromise
from slastream.core.predicates import (
    ALWAYS,
    All,
    AnyOf,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
    compile_predicate,
)
from slastream.core.services import Canonical, Change, Count, History, ServiceStates, State
from slastream.core.steps import BEGINNING
from slastream.core.units import DAY, MILLISECOND, Duration, Instant
from slastream.core.windows import Measure, Reading, ServiceFact

HOURS_AHEAD = 8 * DAY
"""How far after its instant a measure knows the opening hours: more than the longest step of a window."""
SERVICE_ATTRIBUTES = frozenset({"service", "customer", "provider", "team"})
"""What agreements may ask of a service (semantics 3.2)."""
NO_EVENTS = account_of_events(())


def longest_window(policy: Policy) -> Duration:
    """Of the promises about services, with a day for what a change of the clocks adds; 0 without one."""
    kinds = {promise.window for agreement in policy.agreements for promise in agreement.service_promises}
    return Duration(
        max((ROLLING[kind] if kind in ROLLING else LONGEST_OF_PERIOD[kind] + DAY for kind in kinds), default=0)
    )


class Promised(NamedTuple):
    """A promise of an agreement that applies to a service."""

    agreement: Agreement
    promise: ServicePromise


class ServiceBook:
    """Which promises apply to a service."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._matches = [compile_predicate(of_service(agreement.match) or ALWAYS) for agreement in policy.agreements]
        self._known: dict[str, tuple[Promised, ...]] = {}

    @property
    def has_promises(self) -> bool:
        return any(agreement.service_promises for agreement in self.policy.agreements)

    def service(self, name: str) -> Service:
        return self.policy.services.get(name) or Service(name)

    def promises_of(self, name: str) -> tuple[Promised, ...]:
        """Of each kind of agreement the first by rank that matches, with `match_mode: all` every one.

        An agreement with a customer applies to services of that customer, and to those whose customer nobody told.
        """
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = tuple(
                Promised(agreement, promise)
                for agreement in self._agreements(self.service(name))
                for promise in agreement.service_promises
            )
        return known

    def _agreements(self, service: Service) -> list[Agreement]:
        attributes = {
            "service": service.name, "customer": service.customer, "provider": service.provider, "team": service.team,
        }  # fmt: skip
        ranked = sorted(
            zip(self.policy.agreements, self._matches, strict=True),
            key=lambda one: (one[0].rank is None, one[0].rank or 0, one[0].name),
        )
        found: dict[str, list[Agreement]] = {}
        for agreement, matches in ranked:
            is_customer = None in (agreement.customer, service.customer) or agreement.customer == service.customer
            if is_customer and matches(attributes, None, ()):
                found.setdefault(agreement.kind, []).append(agreement)
        of_kind = found.values() if self.policy.match_mode == "all" else (every[:1] for every in found.values())
        return sorted((agreement for every in of_kind for agreement in every), key=lambda one: one.name)


def of_service(predicate: Predicate) -> Predicate | None:
    """What is left of a condition when only a service is asked; None: nothing."""
    match predicate:
        case Equals(name=name) | Glob(name=name) | Compare(name=name) | Exists(name=name):
            return predicate if name in SERVICE_ATTRIBUTES else None
        case Not(part=part):
            inner = of_service(part)
            return None if inner is None else Not(inner)
        case All(parts=parts):
            return All(tuple(found for part in parts if (found := of_service(part)) is not None))
        case AnyOf(parts=parts):
            left = tuple(found for part in parts if (found := of_service(part)) is not None)
            return AnyOf(left) if left or not parts else None
        case _:
            return None


class Measured(NamedTuple):
    service: str
    agreement: Agreement
    promise: ServicePromise
    reading: Reading


class Declared(NamedTuple):
    service: str
    agreement: Agreement
    promise: ServicePromise
    fact: ServiceFact


class _Counted(NamedTuple):
    """The account of a promise of events, and of how much of its history."""

    rewrites: int
    used: int
    account: Account


class Availability:
    """All services of a log. `moment` is that of `History`; nothing is known of the time before `kept_from`."""

    def __init__(self, policy: Policy, canonical: Canonical, moment: int = 0) -> None:
        self.book = ServiceBook(policy)
        self.histories: dict[str, History] = {}
        self.states = ServiceStates(policy, self.histories)
        self.kept_from = BEGINNING
        self._canonical = canonical
        self._moment = moment
        self._accounts: dict[tuple[str, str, str], _Counted] = {}

    def history(self, service: str) -> History:
        history = self.histories.get(service)
        if history is None:
            history = self.histories[service] = History(service, self._canonical, self._moment)
        return history

    def feed(self, event: MonitoringEvent | MaintenanceEvent, *, is_stored: bool = False) -> Change:
        """Takes an event in."""
        change = self.history(event.service).add(event, is_stored=is_stored)
        if change.is_kept or change.since is not None:
            self.states.forget(event.service)
        return change

    def forget_before(self, before: int) -> None:
        """Forgets of every history what says nothing of the time from `before` on."""
        self.kept_from = before
        for name, history in self.histories.items():
            history.forget_before(before)
            self.states.forget(name)

    def services(self) -> list[str]:
        """Those that the policy lists, and those that were heard of."""
        heard = (name for name, history in self.histories.items() if history.reports or history.counts)
        return sorted({*self.book.policy.services, *heard})

    def readings(self, until: Instant) -> Iterator[Measured]:
        """Every window that there is to show, by identity."""
        for name in self.services():
            for agreement, promise, measure in self.measures(name, until):
                for window in measure.windows(until):
                    yield Measured(name, agreement, promise, measure.read(window, until))

    def facts(self, until: Instant) -> Iterator[Declared]:
        for name in self.services():
            for agreement, promise, measure in self.measures(name, until):
                for fact in measure.facts(until):
                    yield Declared(name, agreement, promise, fact)

    def measures(self, name: str, until: Instant) -> Iterator[tuple[Agreement, ServicePromise, Measure]]:
        """Of each promise that applies to a service and has something to measure, as of `until`."""
        for agreement, promise in self.book.promises_of(name):
            measure = self.measure(name, agreement, promise, until)
            if measure is not None:
                yield agreement, promise, measure

    def measure(self, name: str, agreement: Agreement, promise: ServicePromise, until: Instant) -> Measure | None:
        """None where there is nothing of what the promise measures; a service that the policy lists has unknown time then."""
        if agreement.effective_from is not None and agreement.effective_from >= until:
            return None
        if promise.metric == "availability":
            state = self.states.of(name)
            if state.first_news is None and name not in self.book.policy.services:
                return None
            return measure_of_time(state, agreement, promise, until, self.kept_from)
        history = self.histories.get(name)
        account = None if history is None else self._account_of(history, agreement, promise, until)
        return (
            measure_of_events(account, agreement, promise) if account is not None and len(account.starts) > 1 else None
        )

    def _account_of(self, history: History, agreement: Agreement, promise: ServicePromise, until: Instant) -> Account:
        """Of counted events; as they come in order, the one that is known grows by what is new."""
        if promise.slice_us is not None:
            counts = counts_of(history, agreement, promise)
            return account_of_events(slices_of(counts, promise.slice_us, promise.slice_target, until), WHOLE_OF_SLICES)
        key = (history.name, agreement.name, promise.name)
        known = self._accounts.get(key)
        if known is None or known.rewrites != history.rewrites:
            account = account_of_events(counts_of(history, agreement, promise))
        else:
            account = with_events(known.account, counts_of(history, agreement, promise, known.used))
        self._accounts[key] = _Counted(history.rewrites, len(history.counts), account)
        return account


def measure_of_time(
    state: State, agreement: Agreement, promise: ServicePromise, until: Instant, kept_from: int = BEGINNING
) -> Measure:
    effective_from = agreement.effective_from
    news = until if state.first_news is None else state.first_news
    low = max(min(news, until), kept_from) - 400 * DAY
    hours = open_time(promise.calendar, effective_from, low, until + HOURS_AHEAD)
    levels = without_short_outages(state.levels, promise.min_outage, until)
    account = account_of_time(levels, state.first_news, promise.count, promise.before_first_news, hours)
    alert_account = account
    if promise.burn_alerts and promise.before_first_news != "unknown":
        alert_account = account_of_time(levels, state.first_news, promise.count, "unknown", hours)
    begins_at = state.first_news
    if effective_from is not None and (
        begins_at is None or begins_at < effective_from or promise.before_first_news == "unknown"
    ):
        begins_at = effective_from
    return Measure(
        agreement=agreement,
        promise=promise,
        account=account,
        alert_account=alert_account,
        outages=tuple(outages_of(levels, hours, until)),
        down=account_of_time(levels, state.first_news, _ONLY_DOWN, "excluded", hours),
        begins_at=begins_at,
        opens_at=effective_from,
        is_of_events=False,
    )


_ONLY_DOWN = {"up": "good", "degraded": "good", "maintenance": "good", "unknown": "good", "down": "bad"}


WHOLE_OF_SLICES = 1_000_000_000
"""A slice is counted in parts of this size: its share of good events has nine digits."""


def slices_of(
    counts: Iterable[tuple[int, int, int]], length: int, target: Decimal | None, until: int
) -> Iterator[tuple[int, int, int]]:
    """Slices of time that have events, each counted once at its end: good or not by `target`, else by its share.

    A slice holds what ended in `(start, end]`; the running one is judged when it is over.
    **Source:** OpenSLO v1, budgetingMethod Timeslices and RatioTimeslices.
    """
    for end, inside in groupby(counts, lambda count: -(-count[0] // length) * length):
        if end > until:
            return
        good, total = (sum(column) for column in list(zip(*inside, strict=True))[1:])
        if not total:
            yield end, 0, 0
            continue
        share = good * WHOLE_OF_SLICES // total
        if target is not None:
            share = WHOLE_OF_SLICES if good >= target * total else 0
        yield end, share, WHOLE_OF_SLICES


def measure_of_events(account: Account, agreement: Agreement, promise: ServicePromise) -> Measure:
    return Measure(
        agreement=agreement,
        promise=promise,
        account=account,
        alert_account=account,
        outages=(),
        down=NO_EVENTS,
        begins_at=account.starts[1] - 1,
        opens_at=agreement.effective_from,
        is_of_events=True,
    )


def counts_of(
    history: History, agreement: Agreement, promise: ServicePromise, first: int = 0
) -> Iterator[tuple[int, int, int]]:
    """(instant, good, total) of what a promise counts: in its hours, from its beginning on; in maintenance nothing of it.

    From the `first` of the counts of the history on.
    """
    counts_maintenance = promise.count.get("maintenance", "excluded") in ("good", "bad")
    maintained: dict[str | None, list[Interval]] = {}
    for count in islice(history.counts, first, None):
        pair = _pair(count, promise)
        if pair is None:
            continue
        inside = count.occurred_at - 1
        if agreement.effective_from is not None and inside < agreement.effective_from:
            continue
        if not promise.calendar.is_open(Instant(inside)):
            continue
        if not counts_maintenance and _is_maintained(history, count.component, inside, maintained):
            pair = (0, 0)  # its window stands, with less in it
        yield count.occurred_at, *pair


def _pair(count: Count, promise: ServicePromise) -> tuple[int, int] | None:
    if promise.metric == "success":
        return None if count.good is None or count.total is None else (count.good, count.total)
    if not count.latency or promise.threshold is None:
        return None
    fast = max((events for bound, events in count.latency if bound * MILLISECOND <= promise.threshold), default=0)
    bound, every = count.latency[-1]
    return fast, every if bound == float("inf") else max(every, count.total or 0)


def _is_maintained(history: History, component: str, at: int, known: dict[str | None, list[Interval]]) -> bool:
    for name in (None, component):
        if name not in known:
            known[name] = history.maintained(name)
        index = bisect_left(known[name], (at + 1, 0)) - 1
        if index >= 0 and at < known[name][index][1]:
            return True
    return False
