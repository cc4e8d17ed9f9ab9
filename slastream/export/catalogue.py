"""Which metrics there are: a row for each. The collector, `docs/metrics.md` and the tests are made from these tables.

**Source:** the contract, section 5; names and units follow https://prometheus.io/docs/practices/naming/ but for
`sla_compliance_total`, a gauge, whose name the contract fixes.
"""

from dataclasses import dataclass
from typing import Literal

from slastream.core.events import STATES
from slastream.core.policies import PARTIES
from slastream.core.units import DAY, HOUR, MINUTE, SECOND
from slastream.wire.events import REASONS

Type = Literal["gauge", "counter", "histogram", "summary"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is the contract's; `buckets_us` the upper bounds of a histogram's buckets in microseconds."""

    name: str
    type: Type
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets_us: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """One label: what it says, and how many values it may have (`words` are all that there are)."""

    name: str
    meaning: str
    bound: str = ""
    words: tuple[str, ...] = ()


def gauge(name: str, unit: str, labels: str, text: str) -> Metric:
    return Metric(name, "gauge", unit, tuple(labels.split()), text)


def counter(name: str, unit: str, labels: str, text: str) -> Metric:
    return Metric(name, "counter", unit, tuple(labels.split()), text)


def summary(name: str, unit: str, labels: str, text: str) -> Metric:
    """A sum and a count."""
    return Metric(name, "summary", unit, tuple(labels.split()), text)


def histogram(name: str, labels: str, text: str, *buckets_us: float) -> Metric:
    return Metric(name, "histogram", "seconds", tuple(labels.split()), text, tuple(map(round, buckets_us)))


# ---- Words and bounds ------------------------------------------------------------------------------------------------

OPEN_STATUSES = ("running", "paused", "breached", "at_risk")
VERDICT_WORDS = ("met", "breached", "cancelled")
AGES = ("4 h", "1 d", "3 d", "7 d", "30 d", "older")
AGES_US = (4 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY)
"""Upper bounds of the ages but the last."""
OUTCOMES = ("delivered", "failed", "given_up")
BASES = ("completed", "due", "started")
TIME_WORDS = ("good", "bad", "excluded", "unknown")
CORRECTION_REASONS = ("verdict", "retracted", "withdrawn")
MAX_SOURCES = 100
MAX_PRIORITIES = 20
LIMITS = ("lower", "centre", "upper")
PLACES = ("inside", "outside")
SIGNS = ("ended", "cancelled", "overridden", "reopened", "priority_changed_after_warning", "paused_before_due")
REASONS_GIVEN = ("given", "missing")
CHANCES = ("told", "unknown")
MOOD_WORDS = ("happy", "neutral", "unhappy")
SCOPES = ("covered", "outside")
OTHER = "other"
"""Counts the sources and priorities beyond the first so many that a process sees: those names come from outside."""
SERIES_LIMIT = 50_000
"""Series of one worker, at most: beyond it whole services are left out, those that the policy does not list first."""

_POLICY, _LISTED = "as many as the policy names", "as many as the policy lists"
LABELS = (
    Label("service", "the ticket's or the monitored service; empty for tickets without one",
          f"as many as are seen, until a worker has {SERIES_LIMIT:,} series"),
    Label("agreement", "name in the policy", _POLICY),
    Label("promise", "name in the policy", _POLICY),
    Label("priority", "the ticket's; empty without one", f"{MAX_PRIORITIES} of a worker, the rest is `{OTHER}`"),
    Label("status", "what an open clock does; of a gateway's request HTTP's number", words=OPEN_STATUSES),
    Label("verdict", "how a clock ended, or that it is late; of a rating that of its ticket (`none`: it has no clock)",
          words=(*VERDICT_WORDS, "open", "none")),
    Label("window", "the running period (`month`), or a rolling one (`28d`); of a burn rate how far it looks back (`5m`)", _POLICY),
    Label("state", "what time counts as; of a service what it is", words=(*TIME_WORDS, *STATES)),
    Label("basis", "which promises count: those that stopped, fell due or started", words=BASES),
    Label("age", "since the start of a clock, up to and including", words=AGES),
    Label("limit", "of a control chart; of a volume `lower` and `upper`", words=LIMITS),
    Label("place", "of a ticket, as to the limits of its control chart", words=PLACES),
    Label("rule", "of Western Electric", words=("1", "2", "3", "4")),
    Label("sign", "of a gamed number; `ended` are all clocks", words=SIGNS),
    Label("pause_reason", "does a pause have one", words=REASONS_GIVEN),
    Label("chance", "is the chance to breach known", words=CHANCES),
    Label("group", "that had the ticket; empty for every other party", "as many as are seen, until a worker has its most series"),
    Label("party", "who had the ticket; `idle` is nobody", words=PARTIES),
    Label("mood", "what a rating says", words=MOOD_WORDS),
    Label("scope", "does the contract cover the ticket", words=SCOPES),
    Label("volume", "name in the policy", _POLICY),
    Label("supports", "the agreement that stands on this one", _POLICY),
    Label("customer", "of the agreement, else of the service (of credits: of all services); empty without one", _POLICY),
    Label("currency", "of the agreement's credits", _POLICY),
    Label("kind", "of the agreement", words=("sla", "ola", "uc")),
    Label("provider", "of the service; empty without one", _LISTED),
    Label("team", "of the service; empty without one", _LISTED),
    Label("topic", "a topic that the worker reads, or the gateway writes", "4"),
    Label("source", "the event's own; of the gateway the name in its configuration",
          f"{MAX_SOURCES} of a topic and worker, the rest is `{OTHER}`"),
    Label("reason", "of a reject, or of a correction", words=(*REASONS, *CORRECTION_REASONS)),
    Label("partition", "its number", "as many as the topics have"),
    Label("table", "changelog topic of the table", "2"),
    Label("version", "of a policy", "those that the workers run by"),
    Label("receiver", "of notify: Alertmanager's address, or the configured name of a webhook", "as many as are configured"),
    Label("outcome", "how a request to a receiver ended", words=OUTCOMES),
    Label("alertname", "of an alert", words=("SlaTicketBreached", "SlaServiceBreached", "SlaBurnStarted")),
)  # fmt: skip

# ---- Metrics ---------------------------------------------------------------------------------------------------------

_KEY = "service agreement promise"
_WINDOW = f"{_KEY} window"
_PARTITION = "topic partition"
_EPOCH = "seconds since 1970"

# fmt: off
CLOCKS = gauge("sla_clocks", "clocks", f"{_KEY} priority status",
    "Open clocks by what they do; at_risk is running or paused past the last warning.")
VERDICTS = counter("sla_verdicts_total", "clocks", f"{_KEY} priority verdict",
    "Clocks that were met, breached (open ones too) or cancelled, made from the kept state.")
NEXT_DUE = gauge("sla_next_due_timestamp_seconds", _EPOCH, _KEY,
    "Earliest due instant of the open clocks that are not breached.")
OLDEST_OPEN = gauge("sla_oldest_open_timestamp_seconds", _EPOCH, _KEY,
    "Earliest start of the open clocks.")
OPEN_AGES = gauge("sla_open_clocks", "clocks", f"{_KEY} age",
    "Open clocks by how long ago they started, pauses included.")
COMPLIANCE_MET = gauge("sla_compliance_met", "clocks", f"{_WINDOW} basis",
    "Promises kept in the running period, by basis: the numerator.")
COMPLIANCE_TOTAL = gauge("sla_compliance_total", "clocks", f"{_WINDOW} basis",
    "Promises that count in the running period, by basis: the denominator.")
COMPLIANCE_RATIO = gauge("sla_compliance_ratio", "ratio", _WINDOW,
    "Share of promises kept in the running period on the objective's basis; none without any that counts.")
OBJECTIVE_RATIO = gauge("sla_objective_ratio", "ratio", _WINDOW,
    "Share of promises to keep, as agreed, or the target of a promise of a service; none without an objective.")
BUDGET_RATIO = gauge("sla_budget_remaining_ratio", "ratio", _WINDOW,
    "Failures that the objective still allows, divided by those that it allows for the promises counted so far: "
    "1 - (total - met) / ((1 - objective) * total); below 0 when overspent. Of a service: budget that remains in the whole "
    "window divided by all of it.")
DURATION = histogram("sla_duration_seconds", "service promise priority",
    "Open time from start to stop of the clocks that stopped (met or breached), without pauses, made from the kept state.",
    5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY)
CREDIT_EXPOSURE = gauge("sla_credit_exposure", "money", "customer agreement currency",
    "Credits that the running period would cost if it ended now: of all services and promises of an agreement, under its cap.")
HANDOFF = counter("sla_handoff_seconds_total", "seconds", "service group party",
    "Open time (of the agreement that leads) that tickets were with a group, a provider, the requester or nobody. Made from "
    "the kept state; goes on while they are open.")
SATISFACTION = summary("sla_satisfaction_score", "share of the scale", "service verdict",
    "Ratings of tickets, each as a share of its scale, by whether the ticket's promises were kept; made from the kept state.")
MOODS = gauge("sla_satisfaction_ratings", "ratings", "service verdict mood",
    "Ratings by what they say: happy and unhappy ones have limits in the policy.")
MISFITS = gauge("sla_chain_misfits", "clocks", "service agreement supports",
    "Running clocks of a supporting agreement whose remaining time no longer fits into that of the agreement that stands on it.")
SCOPE = gauge("sla_scope_tickets", "tickets", "agreement scope",
    "Tickets of the running period that a contract is about, by whether it covers them.")
VOLUME = gauge("sla_volume_tickets", "tickets", "agreement volume",
    "Tickets of the running period that count for an agreed volume.")
VOLUME_BAND = gauge("sla_volume_band_tickets", "tickets", "agreement volume limit",
    "The agreed band of a volume; a side without a bound has none.")
CONTROL_LIMIT = gauge("sla_control_limit_seconds", "seconds", f"{_KEY} limit",
    "Limits of the control chart of the open time of the newest 100 clocks that finished; none for fewer than 20, or where "
    "nothing varies.")
CONTROL_POINTS = gauge("sla_control_points", "clocks", f"{_KEY} place",
    "Clocks of the control chart by whether they lie within its limits.")
CONTROL_SIGNALS = gauge("sla_control_signals", "clocks", f"{_KEY} rule",
    "Clocks of the control chart that break a rule of Western Electric.")
CONTROL_TREND = gauge("sla_control_trend", "1", _KEY,
    "1 while the open times of the control chart rise, -1 while they fall, 0 where chance explains it.")
CAPABILITY = gauge("sla_capability_index", "1", _KEY,
    "(1 - median) / (spread - median) of the share of the target used: at least 1 when the objective's share of tickets fits.")
MATURITY = gauge("sla_maturity_clocks", "clocks", f"{_WINDOW} sign",
    "Clocks that ended in the running period, all of them and those with a sign of a gamed number.")
PAUSES = gauge("sla_maturity_pauses", "pauses", f"{_WINDOW} pause_reason",
    "Pauses of the clocks that ended in the running period, by whether the ticket said why.")
EXPECTED_BREACHES = gauge("sla_expected_breaches", "clocks", _KEY,
    "Sum of the chances to breach of the open clocks that are not late; none while no chance is known.")
FORECAST_CLOCKS = gauge("sla_forecast_clocks", "clocks", f"{_KEY} chance",
    "Open clocks that are not late by whether their chance to breach is known: 20 tickets must have been at the same stage.")
INFO = gauge("sla_info", "1", "service agreement kind customer provider team",
    "Who stands behind a service and an agreement; always 1.")
SUPPORT = gauge("sla_support_info", "1", "service agreement supports",
    "An operational agreement or contract (ola, uc) and an agreement that stands on it; always 1.")

AVAILABILITY_SECONDS = gauge("sla_availability_seconds", "seconds", f"{_WINDOW} state",
    "Elapsed time of the running window by what it counts as; the four add up to it.")
AVAILABILITY_RATIO = gauge("sla_availability_ratio", "ratio", _WINDOW,
    "good / (good + bad) of the running window, of availability, success and latency; none under min_coverage or with nothing "
    "counted.")
COVERAGE_RATIO = gauge("sla_coverage_ratio", "ratio", _WINDOW,
    "Known time divided by the elapsed time that counts in the running window.")
BURN_RATE = gauge("sla_burn_rate", "1", _WINDOW,
    "Bad ratio of the last `window` divided by 1 - target, for promises with burn alerts; none under min_coverage.")
SERVICE_STATE = gauge("sla_service_state", "0 or 1", "service state",
    "1 for the state of a service, by its members and planned maintenance; of a weighted one the state of its largest share.")

EVENTS = counter("slastream_events_total", "records", "topic source",
    "Events of tickets, monitoring and maintenance taken, by the source that they name.")
REJECTED = counter("slastream_rejected_total", "records", "topic reason",
    "Records that could not be used and went to sla.rejected.")
LATE = counter("slastream_late_events_total", "records", "topic",
    "Events behind which something was applied or declared already, so that their ticket was folded, or their service read, again.")
CORRECTIONS = counter("slastream_corrections_total", "messages", "topic reason",
    "What late events changed of the published: a new revision (verdict), a fact taken back (retracted), a clock taken back "
    "(withdrawn).")
EVENT_AGE = histogram("slastream_event_age_seconds", "topic",
    "From an event's own instant to the durable result: state, messages and offset of the cut that it was in.",
    *(bound * SECOND for bound in (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)))
DEADLINE_DELAY = histogram("slastream_deadline_delay_seconds", "",
    "From a due instant to the durable fact.",
    *(bound * SECOND for bound in (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600)))
PARTITION_TIME = gauge("slastream_partition_time_seconds", _EPOCH, _PARTITION,
    "Partition time: what is due before it has been declared. It moves with events and ticks only.")
LAG = gauge("slastream_lag_records", "records", _PARTITION,
    "Records of an owned partition that were not applied yet.")
OWNED = gauge("slastream_partition_owned", "1", _PARTITION,
    "1 for each partition that this worker owns.")
RESTORING = gauge("slastream_partition_restoring", "0 or 1", _PARTITION,
    "1 while an owned partition is not running yet: fenced, restored or sought.")
RESTORE_SECONDS = gauge("slastream_restore_seconds", "seconds", "table",
    "The longest restore among the owned partitions of a table.")
STATE_KEYS = gauge("slastream_state_keys", "keys", "table",
    "Keys in the owned and restored partitions of a table.")
UNLISTED = gauge("slastream_unlisted_services", "services", _PARTITION,
    "Monitored services that the policy does not list; they have its defaults.")
COMMIT_SECONDS = histogram("slastream_commit_seconds", "table",
    "How long commits took: their number and sum (no buckets but the last).")
REBALANCES = counter("slastream_rebalances_total", "assignments", "",
    "How often Kafka has assigned partitions to this worker: one when it starts, and one for every change of the group.")
POLICY_LOADED = gauge("slastream_policy_loaded_timestamp_seconds", _EPOCH, "version",
    "When this worker began to work by this version of the policy.")
SNAPSHOT = gauge("slastream_snapshot_timestamp_seconds", _EPOCH, "",
    "When what this answer shows of the worker's state was read: at most a second ago, with a million open clocks a minute.")
SERIES = gauge("slastream_series", "series", "",
    "Series in this answer, buckets included.")
SERIES_LEFT_OUT = gauge("slastream_series_left_out", "series", "",
    f"Series of whole services that are not in this answer, because it would have more than {SERIES_LIMIT:,}.")

GATEWAY_REQUESTS = counter("slastream_gateway_requests_total", "requests", "source status",
    "Requests answered, by the HTTP status; the source is empty where none was found.")
GATEWAY_EVENTS = counter("slastream_gateway_events_total", "events", "source topic",
    "Events that Kafka has acknowledged.")
GATEWAY_REJECTED = counter("slastream_gateway_rejected_total", "records", "source reason",
    "Records that are no event; they went to sla.rejected.")
GATEWAY_IGNORED = counter("slastream_gateway_ignored_total", "records", "source reason",
    "Records of a vendor's payload that say nothing about service levels.")
GATEWAY_SECONDS = histogram("slastream_gateway_request_seconds", "",
    "From the head of a request to its 202, Kafka's acknowledgement included.",
    *(bound * SECOND for bound in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)))
GATEWAY_PENDING = gauge("slastream_gateway_pending_records", "records", "",
    "Records sent to Kafka and not acknowledged yet.")
GATEWAY_READY = gauge("slastream_gateway_ready", "0 or 1", "",
    "1 while Kafka takes records; with 0 every request gets a 503.")

NOTIFY_DELIVERIES = counter("slastream_notify_deliveries_total", "requests", "receiver outcome",
    "Requests to a receiver, by how they ended.")
NOTIFY_WAITING = gauge("slastream_notify_waiting_seconds", "seconds", "receiver",
    "For how long the oldest news has waited that a receiver has not taken; 0 when there is none.")
NOTIFY_ALERTS = gauge("slastream_notify_firing_alerts", "alerts", "alertname",
    "Alerts that are on, as told to Alertmanager.")
NOTIFY_LAG = gauge("slastream_notify_lag_records", "records", "topic",
    "Records of a topic that were not read yet.")
# fmt: on

EVERY_METRIC = tuple(each for each in list(globals().values()) if isinstance(each, Metric))
"""The rows above, in their order."""
GATEWAY_METRICS = tuple(each for each in EVERY_METRIC if each.name.startswith("slastream_gateway_"))
"""Of the gateway, which is a process of its own."""
NOTIFY_METRICS = tuple(each for each in EVERY_METRIC if each.name.startswith("slastream_notify_"))
"""Of `slastream notify`, which is a process of its own."""
METRICS = tuple(each for each in EVERY_METRIC if each not in GATEWAY_METRICS + NOTIFY_METRICS)
"""Of a worker."""
BY_NAME = {each.name: each for each in EVERY_METRIC}

# ---- The page --------------------------------------------------------------------------------------------------------


def as_markdown() -> str:
    """The page `docs/metrics.md`."""
    rows = [
        f"| `{m.name}` | {m.type} | {m.unit} | {', '.join(f'`{label}`' for label in m.labels) or '–'} | {m.help} |"
        for m in EVERY_METRIC
    ]
    labels = [f"| `{each.name}` | {each.meaning} | {each.bound or ', '.join(each.words)} |" for each in LABELS]
    buckets = [
        f"- `{m.name}`: {', '.join(f'{bound / SECOND:g}' for bound in m.buckets_us)} s"
        for m in EVERY_METRIC
        if m.buckets_us
    ]
    return "\n".join(
        [*_HEAD, *rows, "", "## Labels", "", "| label | meaning | values |", "|---|---|---|", *labels, "",
         "## Buckets", "", *buckets, ""]
    )  # fmt: skip


_HEAD = """\
# Metrics

*Made by `python grafana/build.py` from `slastream/export/catalogue.py`; change that.*

`slastream worker --metrics HOST:PORT` answers `/metrics` (text, or OpenMetrics when asked for), `/healthz` (200 while the
process is alive) and `/readyz` (200 when everything assigned to it is restored and runs, else 503). Without a host it listens
on the loopback interface. The numbers are a snapshot, made for a scrape and at most once a second. It is kept for ten times as long
as it took, so that it takes a tenth of a core at most: with a million open clocks on one worker it may be a minute old
(`slastream_snapshot_timestamp_seconds`). Breaches do not wait for it: they are facts on `sla.breaches`.

- A worker exports the keys of the partitions that it owns, once they are restored. When a partition moves, its keys are on no
  worker for a moment, and a worker that was cut off may show them until it notices. In queries take gauges by
  `max without (instance) (…)` first, and add up after that; add up counters and credits over `instance`.
- `sla_…` is made from state. `sla_verdicts_total` and `sla_duration_seconds` start at what the state holds, not at 0,
  wherever the partition is; they never fall within a process (a ticket that is reopened leaves them as they are). After a
  restart they may be lower than before by what was reopened: ask with `delta`, which is exact then, where `rate` would see a reset.
- `slastream_…` counts what this process made durable since it started. What was applied and not durable before a crash is counted
  by the next owner, who applies it again, and by nobody else: the sum over workers never counts twice.
- `slastream_gateway_…` are those of `slastream gateway`, on a port of their own (`--metrics`), and where it listens when that is
  the loopback interface.
- `slastream_notify_…` are those of `slastream notify`, on a port of their own (`--metrics`).
- There are no ticket ids. `slastream_series` is how much Prometheus has to keep for one worker: 50,000 at most. Beyond that whole
  services are left out, those first that the policy does not list, and `slastream_series_left_out` counts their series: use more
  workers, or list fewer services.
- A ratio without a denominator has no sample: neither 0 nor 1.
- In OpenMetrics `sla_verdicts_total` and `slastream_deadline_delay_seconds` name the newest breach that they count, as an exemplar
  `breach_id`: the id of the fact on `sla.breaches`, which a verdict of a breached clock carries as `breach_id`, too. Prometheus
  keeps them with `--enable-feature=exemplar-storage`.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|""".splitlines()
