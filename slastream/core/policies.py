"""What was promised: a policy as values, loaded and checked by `slastream.wire.policy_file`.

Everything is resolved: names of calendars are calendars, dates are instants, texts are predicates and targets. A policy that
exists is valid; `version` is the digest of the text that made it (semantics 3.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from slastream.core.calendars import Calendar
from slastream.core.predicates import Predicate
from slastream.core.targets import Target
from slastream.core.units import Duration, Instant

Kind = Literal["sla", "ola", "uc"]
OnChange = Literal["retroactive", "carry", "restart", "reassess"]
OnReopen = Literal["resume", "new_cycle", "ignore"]
Basis = Literal["completed", "due", "started"]
Period = Literal["day", "week", "month", "quarter", "year"]
ClockMetric = Literal[
    "first_response", "next_response", "periodic_update", "assignment", "resolution", "closure", "requester_wait",
    "agent_work", "ownership", "custom",
]  # fmt: skip
ServiceMetric = Literal["availability", "latency", "success"]
Party = Literal["group", "provider", "requester", "idle"]

CLOCK_METRICS: tuple[ClockMetric, ...] = (
    "first_response", "next_response", "periodic_update", "assignment", "resolution", "closure", "requester_wait",
    "agent_work", "ownership", "custom",
)  # fmt: skip
SERVICE_METRICS: tuple[ServiceMetric, ...] = ("availability", "latency", "success")
SATISFACTION = "satisfaction"
"""The metric of a promise about ratings."""
PARTIES: tuple[Party, ...] = ("group", "provider", "requester", "idle")
PERIODS: tuple[Period, ...] = ("day", "week", "month", "quarter", "year")
ROLLING_WINDOWS = ("1h", "6h", "1d", "3d", "7d", "28d", "30d", "90d")


PAUSE_REASONS = ("fields.pause_reason",)
_NO_TIME = Duration(0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a tool counts as what: the defaults of the fields of the same names in a service promise."""

    count: Mapping[str, str]
    min_coverage: Decimal
    before_first_news: Literal["excluded", "unknown"] = "excluded"


PROFILES: dict[str, Profile] = {
    "generic": Profile({}, Decimal("0.9")),
    "icinga": Profile({"degraded": "good", "maintenance": "good", "unknown": "unknown"}, Decimal(0)),
    "zabbix": Profile({"degraded": "bad", "maintenance": "excluded", "unknown": "good"}, Decimal(0)),
    "uptime-kuma": Profile({"degraded": "bad", "maintenance": "excluded", "unknown": "unknown"}, Decimal(0)),
    "statuspage": Profile({"degraded": "good", "maintenance": "good", "unknown": "good"}, Decimal(0)),
}
"""How other tools count, in our words; what they count otherwise is in docs/policy.md.

**Source:** Icinga DB `get_sla_ok_percent` (pending shrinks the total, a downtime forgives a problem and stays in the total);
Zabbix `CSla::calculateSli` (every problem is down, an excluded downtime leaves both sides); Uptime Kuma
`uptime-calculator.js` (pending is down,
maintenance is neither); incident.io, uptime calculation (partial and full outages are down, degraded and maintenance up).
"""


@dataclass(frozen=True, slots=True)
class Warning:
    """A mark before the due instant: a share of the promise's own time, or a time before its end.

    Exactly one of `share` (0 <= share < 1) and `before` is given; `text` is the word of the policy (`50%`, `-30m`).
    """

    text: str
    share: Decimal | None
    before: Duration | None


@dataclass(frozen=True, slots=True)
class TargetRule:
    """`within` this, on this calendar, where `when` holds (None: always). The first that holds counts."""

    when: Predicate | None
    within: Target
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class ClockPromise:
    """A promise measured by clocks of tickets. A condition that is None is the metric's own."""

    name: str
    metric: ClockMetric
    calendar: Calendar
    targets: tuple[TargetRule, ...]
    warn_at: tuple[Warning, ...]
    on_change: OnChange
    on_reopen: OnReopen
    reopen_window: Target
    start: Predicate | None = None
    stop: Predicate | None = None
    reset: Predicate | None = None
    cancel: Predicate | None = None
    pause: Predicate | None = None
    resume: Predicate | None = None


@dataclass(frozen=True, slots=True)
class ServicePromise:
    """A promise measured by windows of a service (semantics 5)."""

    name: str
    metric: ServiceMetric
    calendar: Calendar
    target: Decimal
    window: str
    threshold: Duration | None = None
    count: Mapping[str, str] = field(default_factory=dict)
    min_coverage: Decimal = Decimal("0.9")
    before_first_news: Literal["excluded", "unknown"] = "excluded"
    min_outage: Duration = _NO_TIME
    burn_alerts: bool = False
    slice_us: Duration | None = None
    """Events are judged by slices of time of this length: each counts once."""
    slice_target: Decimal | None = None
    """The share of good events that makes a slice good; None: a slice counts as good by its share."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The share of promises to keep in a period; `target` None gives shares without a goal.

    `period` is one of PERIODS, of the agreement's zone, or of ROLLING_WINDOWS.
    """

    target: Decimal | None = None
    period: str = "month"
    basis: Basis = "due"


@dataclass(frozen=True, slots=True)
class CreditBand:
    """Below this ratio, this credit: a share of the fee, or an amount. Exactly one of the two is given."""

    below: Decimal
    share: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """What a promise is credited with otherwise: `weight` is a share of what its band says; `bands` None: those of all."""

    weight: Decimal = Decimal(1)
    bands: tuple[CreditBand, ...] | None = None


@dataclass(frozen=True, slots=True)
class EarnBack:
    """A credit is given back when each of the next `periods` periods has a ratio of at least `at_least`."""

    periods: int
    at_least: Decimal


@dataclass(frozen=True, slots=True)
class Credits:
    """What a missed objective costs in a period; `cap_share` and `cap_amount` bound the sum of an agreement.

    `per` says what is judged: each promise of each service, or each promise over all services. `promises` are those
    with terms of their own; a promise about a service or about ratings is credited only when it is among them.
    """

    currency: str
    fee: Decimal | None
    bands: tuple[CreditBand, ...]
    cap_share: Decimal | None = None
    cap_amount: Decimal | None = None
    per: Literal["service", "promise"] = "service"
    promises: Mapping[str, CreditTerms] = field(default_factory=dict)
    earn_back: EarnBack | None = None

    def terms_of(self, promise: str) -> CreditTerms:
        return self.promises.get(promise, _USUAL_TERMS)


_USUAL_TERMS = CreditTerms()


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Clocks that money does not count, and why: those whose instant of the basis lies in `[start, end)`, of these
    services, promises and tickets (each None: all)."""

    reason: str
    start: Instant | None = None
    end: Instant | None = None
    services: frozenset[str] | None = None
    promises: frozenset[str] | None = None
    tickets: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ExperiencePromise:
    """The share of ratings in a window that are happy ones; `window` is one of PERIODS or of ROLLING_WINDOWS."""

    name: str
    target: Decimal
    window: str


@dataclass(frozen=True, slots=True)
class Volume:
    """So many tickets of a period are agreed, `low` to `high` (None: no bound); `match` None counts all in scope."""

    name: str
    match: Predicate | None
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a contract covers, of the tickets that it is `about` (None: of the agreement's customer, or all).

    `services` and `types` None: all of them.
    """

    period: str
    about: Predicate | None = None
    services: frozenset[str] | None = None
    types: frozenset[str] | None = None
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    name: str
    kind: Kind
    rank: int | None
    customer: str | None
    match: Predicate
    calendar: Calendar
    objective: Objective
    clock_promises: tuple[ClockPromise, ...]
    service_promises: tuple[ServicePromise, ...]
    credits: Credits | None = None
    effective_from: Instant | None = None
    supports: tuple[str, ...] = ()
    experience_promises: tuple[ExperiencePromise, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class HolderRule:
    """Where `when` holds, this party has the ticket; `provider` names it where the ticket does not."""

    when: Predicate
    party: Party
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerTerms:
    """Who holds a ticket: the first rule that holds, then the usual ones. People are named only if `names_assignees`."""

    holders: tuple[HolderRule, ...] = ()
    names_assignees: bool = False


@dataclass(frozen=True, slots=True)
class Moods:
    """A rating is happy from this share of its scale on, and unhappy up to that one."""

    happy: Decimal = Decimal("0.8")
    unhappy: Decimal = Decimal("0.4")


_USUAL_LEDGER, _USUAL_MOODS = LedgerTerms(), Moods()


@dataclass(frozen=True, slots=True)
class Service:
    """A service that the policy lists; every other one exists with defaults."""

    name: str
    customer: str | None = None
    provider: str | None = None
    team: str | None = None
    depends_on: tuple[str, ...] = ()
    combine: str = "worst"
    at_least: int | None = None
    weight: Decimal = Decimal(1)
    components: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    version: str
    timezone: str
    match_mode: Literal["first", "all"]
    lateness: Mapping[str, Duration]
    retention: Duration
    max_clock_skew: Duration
    calendars: Mapping[str, Calendar]
    services: Mapping[str, Service]
    agreements: tuple[Agreement, ...]
    pause_reasons: tuple[str, ...] = PAUSE_REASONS
    """The attributes in which a ticket says why it waits."""
    ledger: LedgerTerms = _USUAL_LEDGER
    moods: Moods = _USUAL_MOODS
    warnings: tuple[str, ...] = ()
    """What is allowed and odd, each as `FILE:LINE: PATH: what; what to write instead`."""

    def lateness_of(self, source: str | None) -> Duration:
        """How late events of a source may be (`default` for the others)."""
        found = self.lateness.get(source) if source is not None else None
        return found if found is not None else self.lateness.get("default", Duration(0))
