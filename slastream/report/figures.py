"""The service level report as a value: every number that any of its forms shows, and what made it.

Counts are integers, amounts decimals, ratios fractions, instants and durations microseconds. Names are those of the policy.
`evidence` fields are numbers of `Evidence`, from 1.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from slastream.core.units import Duration, Instant


@dataclass(frozen=True, slots=True)
class Share:
    """`met` of `total`."""

    met: int
    total: int

    @property
    def ratio(self) -> Fraction | None:
        """None without anything to divide by: neither 100 % nor 0 %."""
        return Fraction(self.met, self.total) if self.total else None

    def __add__(self, other: "Share") -> "Share":
        return Share(self.met + other.met, self.total + other.total)


NONE_YET = Share(0, 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Clocks of one promise in a half-open period, by each basis, and the cancelled beside them (semantics 6.1)."""

    period: str
    start: Instant
    end: Instant
    completed: Share
    due: Share
    started: Share
    cancelled: int

    def of(self, basis: str) -> Share:
        match basis:
            case "completed":
                return self.completed
            case "due":
                return self.due
            case _:
                return self.started


@dataclass(frozen=True, slots=True)
class ObjectivePeriod:
    """A period of the agreement's objective that has time in common with the report's: its share, and what it still allows."""

    start: Instant
    end: Instant
    is_running: bool
    kept: Share
    is_reached: bool | None
    allowed: Decimal
    remaining: Decimal


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """One promise about tickets; `kept` is the share of the objective's basis in the report's period.

    `reached`: of the objective's own periods that have a sample, those that reached it.
    """

    agreement: str
    agreement_kind: str
    promise: str
    metric: str
    basis: str
    objective: Decimal | None
    kept: Share
    reached: Share
    counts: Counts
    open: int
    open_breached: int
    months: tuple[Counts, ...]
    objective_periods: tuple[ObjectivePeriod, ...]
    evidence: int


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A promise's share among the clocks whose ticket has this value (None: none) of an attribute."""

    attribute: str
    value: str | None
    agreement: str
    promise: str
    kept: Share


@dataclass(frozen=True, slots=True)
class Breach:
    """A clock that broke in the period; `over_us` is the open time beyond the target so far, None for targets in days."""

    ticket_id: str
    agreement: str
    promise: str
    cycle: int
    priority: str | None
    group: str | None
    breached_at: Instant
    stopped_at: Instant | None
    over_us: Duration | None


@dataclass(frozen=True, slots=True)
class BreachCount:
    """Breaches of the period whose ticket has this value of an attribute."""

    attribute: str
    value: str | None
    breaches: int


@dataclass(frozen=True, slots=True)
class AgeBucket:
    """Open tickets at the report's end whose age lies in `[from_days, before_days)` of 24 hours."""

    from_days: int
    before_days: int | None
    in_time: int
    breached: int
    without_promise: int
    evidence: int


@dataclass(frozen=True, slots=True)
class TimeCounts:
    """A service's time in a period; or counted events, with `good` and `known` of them and nothing else."""

    period: str
    start: Instant
    end: Instant
    good_us: Duration
    bad_us: Duration
    excluded_us: Duration
    unknown_us: Duration
    good_events: Fraction
    total_events: Fraction
    ratio: Fraction | None
    coverage: Fraction | None


@dataclass(frozen=True, slots=True)
class Outage:
    """A maximal interval of `down` that has time in common with the period; `end` None: it goes on."""

    start: Instant
    end: Instant | None


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """One promise about a service. `windows` are the promise's own that ended in the period, of a rolling one the one that ends it.

    The budget and what remains of it are of the report's period: of time, or of events where the promise counts those.
    """

    service: str
    agreement: str
    agreement_kind: str
    promise: str
    metric: str
    target: Decimal
    window: str
    windows: Share
    is_of_events: bool
    counts: TimeCounts
    budget_us: Fraction | None
    budget_remaining_us: Fraction | None
    budget_events: Fraction | None
    budget_remaining_events: Fraction | None
    outages: int
    downtime_us: Duration
    longest_us: Duration
    mttr_us: Fraction | None
    mtbf_us: Fraction | None
    months: tuple[TimeCounts, ...]
    outage_list: tuple[Outage, ...]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Clocks that count in no share, by why they ended."""

    agreement: str
    promise: str
    reason: str
    clocks: int
    evidence: int


@dataclass(frozen=True, slots=True)
class Override:
    """A due date set by hand on a clock that was open in the period."""

    ticket_id: str
    agreement: str
    promise: str
    due_at: Instant
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What is in none of the shares, and why."""

    cancelled: tuple[Cancelled, ...]
    overrides: tuple[Override, ...]
    tickets_without_promise: int
    tickets_without_promise_evidence: int
    rejected_events: int


@dataclass(frozen=True, slots=True)
class Correction:
    """A number of an earlier month that the last report had otherwise."""

    agreement: str
    promise: str
    period: str
    measure: str
    was: Share
    now: Share


@dataclass(frozen=True, slots=True)
class Corrections:
    """What changed since a stored report; `since` None: none was given."""

    since: str | None
    since_policy_version: str | None
    changes: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """A ticket on a control chart, and the Western Electric rules that it breaks."""

    ticket_id: str
    stopped_at: Instant
    elapsed_us: Duration
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ControlResult:
    """The open time of the tickets that ended in the period, of one promise and service, against their natural variation.

    Limits come from all of them; `newest` are those that a chart shows. `signals` counts the tickets that break rules 1 to 4.
    """

    service: str | None
    agreement: str
    agreement_kind: str
    promise: str
    tickets: int
    inside: Share
    median_us: Fraction
    ninetieth_us: Fraction
    lower_us: Fraction
    upper_us: Fraction
    signals: tuple[int, ...]
    capability: Fraction | None
    trend: str | None
    newest: tuple[ControlPoint, ...]
    evidence: int


@dataclass(frozen=True, slots=True)
class SignsResult:
    """Of the clocks of a promise that ended in the period, those with a sign of a gamed number; `pauses`: with a reason, of all."""

    agreement: str
    promise: str
    ended: int
    cancelled: int
    overridden: int
    reopened: int
    priority_changed_after_warning: int
    paused_before_due: int
    pauses: Share
    evidence: int


@dataclass(frozen=True, slots=True)
class Maturity:
    """Tickets opened in the period that an agreement covers, and the signs of each promise."""

    covered: Share
    signs: tuple[SignsResult, ...]


@dataclass(frozen=True, slots=True)
class Consistent:
    """Tickets inside the control limits, of all charts added up."""

    inside: Share
    charts: int


@dataclass(frozen=True, slots=True)
class Reliable:
    """Promises of customers' agreements kept, and the time in which services were good, each service once."""

    kept: Share
    good_us: Duration
    known_us: Duration
    availability: Fraction | None
    outages: int
    downtime_us: Duration


@dataclass(frozen=True, slots=True)
class PartyTime:
    """Open time of the period in which a party had tickets: `group`, `provider`, `requester`, `idle` (nobody)."""

    party: str
    held_us: Duration


@dataclass(frozen=True, slots=True)
class GroupTime:
    """The same of one group or provider; `name` None: it has none."""

    party: str
    name: str | None
    held_us: Duration


@dataclass(frozen=True, slots=True)
class Efficient:
    """Who had the tickets that were open in the period; the parties add up to the total exactly.

    `touched` is the share of a group. `reopened`: of the tickets that were closed in the period, those opened again since.
    """

    tickets: int
    parties: tuple[PartyTime, ...]
    total_us: Duration
    touched: Fraction | None
    handoffs: int
    reopened: Share
    reopened_evidence: int


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """`kept`: promises of underpinning contracts; `waited`: of the time that customers waited, the provider's part."""

    provider: str | None
    kept: Share
    held_us: Duration
    waited: Fraction | None
    evidence: int


@dataclass(frozen=True, slots=True)
class Outsourcing:
    """All providers; customers wait while anybody but themselves has their ticket."""

    waited_us: Duration
    held_us: Duration
    waited: Fraction | None
    kept: Share
    providers: tuple[ProviderResult, ...]


@dataclass(frozen=True, slots=True)
class BreachCause:
    """Breaches of promises to customers by who had the ticket for most of the time that was used up, and how much of it."""

    party: str
    name: str | None
    breaches: int
    held_us: Duration
    evidence: int


@dataclass(frozen=True, slots=True)
class SupportResult:
    """A promise that stands under another: the time that both used, how many above it broke, and with how many it did not fit."""

    agreement: str
    promise: str
    kind: str
    by_agreement: str
    by_promise: str
    clocks: int
    used_us: Duration
    above_us: Duration
    broken: int
    misfits: int


@dataclass(frozen=True, slots=True)
class ExcludedClock:
    """A clock that the agreement leaves out of what it pays for, and why."""

    ticket_id: str
    promise: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreditItem:
    """What one promise costs: `met` of `total` (clocks, ratings, events or microseconds), and the band that it is below."""

    service: str | None
    promise: str
    met: Fraction
    total: Fraction
    ratio: Fraction | None
    below: Decimal | None
    weight: Decimal
    credit: Decimal
    is_earned_back: bool | None
    evidence: int


@dataclass(frozen=True, slots=True)
class CreditStatement:
    """A period of an agreement's credits; not final: what it would cost if it ended now. `payable` + `earned_back` = `credit`."""

    agreement: str
    currency: str
    start: Instant
    end: Instant
    is_final: bool
    fee: Decimal | None
    items: tuple[CreditItem, ...]
    sum: Decimal
    cap: Decimal | None
    credit: Decimal
    earned_back: Decimal
    payable: Decimal
    excluded: tuple[ExcludedClock, ...]


@dataclass(frozen=True, slots=True)
class CreditMonth:
    """What an agreement credited in the statements whose period began in a month."""

    agreement: str
    currency: str
    period: str
    credit: Decimal


@dataclass(frozen=True, slots=True)
class VolumeResult:
    """Tickets against what was agreed, `low` to `high` (None: no bound); `level` is `below`, `within`, `above` or open yet."""

    name: str
    tickets: int
    low: int | None
    high: int | None
    level: str | None


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """The tickets that a contract is about, in a period of its own."""

    agreement: str
    start: Instant
    end: Instant
    is_final: bool
    in_scope: int
    out_of_scope: int
    volumes: tuple[VolumeResult, ...]
    evidence: int


@dataclass(frozen=True, slots=True)
class VerdictSatisfaction:
    """Ratings of tickets whose promises were `met`, `breached`, are `open`, or were never made (`none`)."""

    verdict: str
    ratings: int
    score: Fraction | None
    happy: Share
    unhappy: Share


@dataclass(frozen=True, slots=True)
class SatisfactionMonth:
    period: str
    ratings: int
    score: Fraction | None


@dataclass(frozen=True, slots=True)
class ExperienceResult:
    """A promise about ratings, in a window of its own: the share of happy ones."""

    agreement: str
    promise: str
    target: Decimal
    start: Instant
    end: Instant
    happy: Share


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """What users said in the period; scores are shares of their scale, 0 to 1."""

    ratings: int
    score: Fraction | None
    happy: Share
    unhappy: Share
    met_but_unhappy: Share
    breached_but_happy: Share
    by_verdict: tuple[VerdictSatisfaction, ...]
    months: tuple[SatisfactionMonth, ...]
    promises: tuple[ExperienceResult, ...]
    met_but_unhappy_evidence: int


About = Literal[
    "signs", "promise", "credit", "scope", "met_but_unhappy", "control", "cause",
    "provider", "reopened", "age", "cancelled", "without_promise",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """The tickets behind a number: those that count for it, and those that count against it.

    `detail` is what the number is of: `desk / closure`, an age, a reason.
    """

    number: int
    about: About
    detail: str
    kept: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.kept or self.missed)


@dataclass(frozen=True, slots=True)
class ServiceLevelReport:
    """All of it. `as_of` is the instant up to which the log was read; a period that ends later is running. `digest` is of the
    evidence (`evidence.digest_of`)."""

    customer: str | None
    period: str
    start: Instant
    end: Instant
    as_of: Instant
    is_running: bool
    policy_version: str
    digest: str
    tzdata_version: str
    timezone: str
    events_until: Instant | None
    consistent: Consistent
    reliable: Reliable
    efficient: Efficient
    outsourcing: Outsourcing
    promises: tuple[PromiseResult, ...]
    views: tuple[ViewRow, ...]
    breach_counts: tuple[BreachCount, ...]
    breaches: tuple[Breach, ...]
    breach_causes: tuple[BreachCause, ...]
    group_times: tuple[GroupTime, ...]
    supports: tuple[SupportResult, ...]
    ageing: tuple[AgeBucket, ...]
    control: tuple[ControlResult, ...]
    maturity: Maturity
    services: tuple[ServiceResult, ...]
    credits: tuple[CreditStatement, ...]
    credit_months: tuple[CreditMonth, ...]
    scopes: tuple[ScopeResult, ...]
    satisfaction: Satisfaction
    exclusions: Exclusions
    corrections: Corrections
    evidence: tuple[Evidence, ...]
