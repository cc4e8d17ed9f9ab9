"""Which metrics there are. The collector, `docs/metrics.md` and the tests are made from this list.

**Source:** the contract, section 5; names and units follow https://prometheus.io/docs/practices/naming/ but for
`sla_compliance_total`, a gauge, whose name the contract fixes.
"""

from dataclasses import dataclass
from typing import Literal

from slastream.core.units import DAY, HOUR, MINUTE, SECOND

Type = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is the contract's; `buckets_us` the upper bounds of a histogram's buckets in microseconds."""

    name: str
    type: Type
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets_us: tuple[int, ...] = ()


def buckets_of(unit_us: int, *bounds: float) -> tuple[int, ...]:
    """Upper bounds in microseconds."""
    return tuple(round(bound * unit_us) for bound in bounds)


KEY = ("service", "agreement", "promise")
WINDOW = (*KEY, "window")
PARTITION = ("topic", "partition")

CLOCKS = Metric(
    "sla_clocks", "gauge", "clocks", (*KEY, "priority", "status"),
    "Open clocks by what they do; at_risk is running or paused past the last warning.",
)  # fmt: skip
VERDICTS = Metric(
    "sla_verdicts_total", "counter", "clocks", (*KEY, "priority", "verdict"),
    "Clocks that were met, breached (open ones too) or cancelled, made from the kept state.",
)  # fmt: skip
NEXT_DUE = Metric(
    "sla_next_due_timestamp_seconds", "gauge", "seconds since 1970", KEY,
    "Earliest due instant of the open clocks that are not breached.",
)  # fmt: skip
OLDEST_OPEN = Metric(
    "sla_oldest_open_timestamp_seconds", "gauge", "seconds since 1970", KEY,
    "Earliest start of the open clocks.",
)  # fmt: skip
COMPLIANCE_MET = Metric(
    "sla_compliance_met", "gauge", "clocks", (*WINDOW, "basis"),
    "Promises kept in the running period, by basis: the numerator.",
)  # fmt: skip
COMPLIANCE_TOTAL = Metric(
    "sla_compliance_total", "gauge", "clocks", (*WINDOW, "basis"),
    "Promises that count in the running period, by basis: the denominator.",
)  # fmt: skip
COMPLIANCE_RATIO = Metric(
    "sla_compliance_ratio", "gauge", "ratio", WINDOW,
    "Share of promises kept in the running period on the objective's basis; none without any that counts.",
)  # fmt: skip
OBJECTIVE_RATIO = Metric(
    "sla_objective_ratio", "gauge", "ratio", WINDOW,
    "Share of promises to keep, as agreed, or the target of a promise of a service; none without an objective.",
)  # fmt: skip
BUDGET_RATIO = Metric(
    "sla_budget_remaining_ratio", "gauge", "ratio", WINDOW,
    "Failures that the objective still allows, divided by those that it allows for the promises counted so far: "
    "1 - (total - met) / ((1 - objective) * total); below 0 when overspent. Of a service: budget that remains in the whole "
    "window divided by all of it.",
)  # fmt: skip
DURATION = Metric(
    "sla_duration_seconds", "histogram", "seconds", ("service", "promise", "priority"),
    "Open time from start to stop of the clocks that stopped (met or breached), without pauses, made from the kept state.",
    buckets_of(MINUTE, 5, 15, 30) + buckets_of(HOUR, 1, 2, 4, 8) + buckets_of(DAY, 1, 2, 5, 10),
)  # fmt: skip
CREDIT_EXPOSURE = Metric(
    "sla_credit_exposure", "gauge", "money", ("customer", "agreement", "currency"),
    "Credits that the running period costs so far: the sum over this worker's services and promises. Add up over workers.",
)  # fmt: skip
INFO = Metric(
    "sla_info", "gauge", "1", ("service", "agreement", "kind", "customer", "provider", "team"),
    "Who stands behind a service and an agreement; always 1.",
)  # fmt: skip

AVAILABILITY_SECONDS = Metric(
    "sla_availability_seconds", "gauge", "seconds", (*WINDOW, "state"),
    "Elapsed time of the running window by what it counts as; the four add up to it.",
)  # fmt: skip
AVAILABILITY_RATIO = Metric(
    "sla_availability_ratio", "gauge", "ratio", WINDOW,
    "good / (good + bad) of the running window, of availability, success and latency; none under min_coverage or with nothing "
    "counted.",
)  # fmt: skip
COVERAGE_RATIO = Metric(
    "sla_coverage_ratio", "gauge", "ratio", WINDOW,
    "Known time divided by the elapsed time that counts in the running window.",
)  # fmt: skip
BURN_RATE = Metric(
    "sla_burn_rate", "gauge", "1", WINDOW,
    "Bad ratio of the last `window` divided by 1 - target, for promises with burn alerts; none under min_coverage.",
)  # fmt: skip
SERVICE_STATE = Metric(
    "sla_service_state", "gauge", "0 or 1", ("service", "state"),
    "1 for the state of a service, by its members and planned maintenance; of a weighted one the state of its largest share.",
)  # fmt: skip

EVENTS = Metric(
    "slastream_events_total", "counter", "records", ("topic", "source"),
    "Events of tickets, monitoring and maintenance taken, by the source that they name.",
)  # fmt: skip
REJECTED = Metric(
    "slastream_rejected_total", "counter", "records", ("topic", "reason"),
    "Records that could not be used and went to sla.rejected.",
)  # fmt: skip
LATE = Metric(
    "slastream_late_events_total", "counter", "records", ("topic",),
    "Events behind which something was applied or declared already, so that their ticket was folded, or their service read, again.",
)  # fmt: skip
CORRECTIONS = Metric(
    "slastream_corrections_total", "counter", "messages", ("topic", "reason"),
    "What late events changed of the published: a new revision (verdict), a fact taken back (retracted), a clock taken back "
    "(withdrawn).",
)  # fmt: skip
EVENT_AGE = Metric(
    "slastream_event_age_seconds", "histogram", "seconds", ("topic",),
    "From an event's own instant to the broker's time of its record; lag and commit come on top.",
    buckets_of(SECOND, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400),
)  # fmt: skip
DEADLINE_DELAY = Metric(
    "slastream_deadline_delay_seconds", "histogram", "seconds", (),
    "From a due instant to the broker's time of the record that made it declared; the commit comes on top.",
    buckets_of(SECOND, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600),
)  # fmt: skip
PARTITION_TIME = Metric(
    "slastream_partition_time_seconds", "gauge", "seconds since 1970", PARTITION,
    "Partition time: what is due before it has been declared. It moves with events and ticks only.",
)  # fmt: skip
LAG = Metric(
    "slastream_lag_records", "gauge", "records", PARTITION,
    "Records of an owned partition that were not applied yet.",
)  # fmt: skip
OWNED = Metric(
    "slastream_partition_owned", "gauge", "1", PARTITION,
    "1 for each partition that this worker owns.",
)  # fmt: skip
RESTORING = Metric(
    "slastream_partition_restoring", "gauge", "0 or 1", PARTITION,
    "1 while an owned partition is not running yet: fenced, restored or sought.",
)  # fmt: skip
RESTORE_SECONDS = Metric(
    "slastream_restore_seconds", "gauge", "seconds", ("table",),
    "The longest restore among the owned partitions of a table.",
)  # fmt: skip
STATE_KEYS = Metric(
    "slastream_state_keys", "gauge", "keys", ("table",),
    "Keys in the owned and restored partitions of a table.",
)  # fmt: skip
UNLISTED = Metric(
    "slastream_unlisted_services", "gauge", "services", PARTITION,
    "Monitored services that the policy does not list; they have its defaults.",
)  # fmt: skip
COMMIT_SECONDS = Metric(
    "slastream_commit_seconds", "histogram", "seconds", ("table",),
    "How long commits took: their number and sum (no buckets but the last).",
)  # fmt: skip
SERIES = Metric(
    "slastream_series", "gauge", "series", (),
    "Series in this answer, buckets included, this one left out.",
)  # fmt: skip

METRICS = (
    CLOCKS, VERDICTS, NEXT_DUE, OLDEST_OPEN, COMPLIANCE_MET, COMPLIANCE_TOTAL, COMPLIANCE_RATIO, OBJECTIVE_RATIO,
    BUDGET_RATIO, DURATION, CREDIT_EXPOSURE, INFO, AVAILABILITY_SECONDS, AVAILABILITY_RATIO, COVERAGE_RATIO, BURN_RATE,
    SERVICE_STATE, EVENTS, REJECTED, LATE, CORRECTIONS, EVENT_AGE, DEADLINE_DELAY,
    PARTITION_TIME, LAG, OWNED, RESTORING, RESTORE_SECONDS, STATE_KEYS, UNLISTED, COMMIT_SECONDS, SERIES,
)  # fmt: skip

GATEWAY_REQUESTS = Metric(
    "slastream_gateway_requests_total", "counter", "requests", ("source", "status"),
    "Requests answered, by the HTTP status; the source is empty where none was found.",
)  # fmt: skip
GATEWAY_EVENTS = Metric(
    "slastream_gateway_events_total", "counter", "events", ("source", "topic"),
    "Events that Kafka has acknowledged.",
)  # fmt: skip
GATEWAY_REJECTED = Metric(
    "slastream_gateway_rejected_total", "counter", "records", ("source", "reason"),
    "Records that are no event; they went to sla.rejected.",
)  # fmt: skip
GATEWAY_IGNORED = Metric(
    "slastream_gateway_ignored_total", "counter", "records", ("source", "reason"),
    "Records of a vendor's payload that say nothing about service levels.",
)  # fmt: skip
GATEWAY_SECONDS = Metric(
    "slastream_gateway_request_seconds", "histogram", "seconds", (),
    "From the head of a request to its 202, Kafka's acknowledgement included.",
    buckets_of(SECOND, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
GATEWAY_PENDING = Metric(
    "slastream_gateway_pending_records", "gauge", "records", (),
    "Records sent to Kafka and not acknowledged yet.",
)  # fmt: skip
GATEWAY_READY = Metric(
    "slastream_gateway_ready", "gauge", "0 or 1", (),
    "1 while Kafka takes records; with 0 every request gets a 503.",
)  # fmt: skip

GATEWAY_METRICS = (
    GATEWAY_REQUESTS, GATEWAY_EVENTS, GATEWAY_REJECTED, GATEWAY_IGNORED, GATEWAY_SECONDS, GATEWAY_PENDING, GATEWAY_READY,
)  # fmt: skip
"""Of the gateway, which is a process of its own."""

NOTIFY_DELIVERIES = Metric(
    "slastream_notify_deliveries_total", "counter", "requests", ("receiver", "outcome"),
    "Requests to a receiver, by how they ended.",
)  # fmt: skip
NOTIFY_WAITING = Metric(
    "slastream_notify_waiting_seconds", "gauge", "seconds", ("receiver",),
    "For how long the oldest news has waited that a receiver has not taken; 0 when there is none.",
)  # fmt: skip
NOTIFY_ALERTS = Metric(
    "slastream_notify_firing_alerts", "gauge", "alerts", ("alertname",),
    "Alerts that are on, as told to Alertmanager.",
)  # fmt: skip
NOTIFY_LAG = Metric(
    "slastream_notify_lag_records", "gauge", "records", ("topic",),
    "Records of a topic that were not read yet.",
)  # fmt: skip

NOTIFY_METRICS = (NOTIFY_DELIVERIES, NOTIFY_WAITING, NOTIFY_ALERTS, NOTIFY_LAG)
"""Of `slastream notify`, which is a process of its own."""

EVERY_METRIC = (*METRICS, *GATEWAY_METRICS, *NOTIFY_METRICS)

OPEN_STATUSES = ("running", "paused", "breached", "at_risk")
VERDICT_WORDS = ("met", "breached", "cancelled")
OUTCOMES = ("delivered", "failed", "given_up")
BASES = ("completed", "due", "started")
CORRECTION_REASONS = ("verdict", "retracted", "withdrawn")
REJECT_REASONS = (
    "not_json", "too_large", "unknown_kind", "missing", "wrong_type", "bad_value", "bad_instant", "future", "too_late",
)  # fmt: skip
MAX_SOURCES = 100
"""Sources beyond these are counted as OTHER: their names come from outside."""
OTHER = "other"

LABELS = {
    "service": "the ticket's service; empty for tickets without one. As many as services are seen",
    "agreement": "name in the policy",
    "promise": "name in the policy",
    "priority": "the ticket's priority; empty without one. As many as the desk uses",
    "status": f"of a clock: {'/'.join(OPEN_STATUSES)}; of a request: HTTP's number",
    "verdict": "/".join(VERDICT_WORDS),
    "window": "kind of the running period: day/week/month/quarter/year, or rolling, such as 28d; of a burn rate the time that "
    "it looks back, such as 5m",
    "state": "what time counts as: good/bad/excluded/unknown; of a service up/degraded/maintenance/unknown/down",
    "basis": "/".join(BASES),
    "customer": "of the agreement, else of the service in the policy; empty without one",
    "currency": "of the agreement's credits",
    "kind": "sla/ola/uc",
    "provider": "of the service in the policy",
    "team": "of the service in the policy",
    "topic": "a topic that the worker reads, or the gateway writes",
    "source": f"the event's own, at most {MAX_SOURCES} and `{OTHER}`; of the gateway: the name in its configuration",
    "reason": f"of a reject: {'/'.join(REJECT_REASONS)}; of a correction: {'/'.join(CORRECTION_REASONS)}",
    "partition": "number of the partition",
    "table": "changelog topic of the table",
    "receiver": "of notify: Alertmanager's address, or the name of a webhook in its configuration",
    "outcome": "/".join(OUTCOMES),
    "alertname": "SlaTicketBreached/SlaServiceBreached/SlaBurnStarted",
}


def as_markdown() -> str:
    """The page `docs/metrics.md`."""
    rows = [
        f"| `{m.name}` | {m.type} | {m.unit} | {', '.join(f'`{label}`' for label in m.labels) or '–'} | {m.help} |"
        for m in EVERY_METRIC
    ]
    labels = [f"| `{name}` | {meaning.replace('/', ', ')} |" for name, meaning in LABELS.items()]
    buckets = [
        f"- `{m.name}`: {', '.join(f'{bound / SECOND:g}' for bound in m.buckets_us)} s"
        for m in EVERY_METRIC
        if m.buckets_us
    ]
    return "\n".join(
        [*_HEAD, *rows, "", "## Labels", "", "| label | values |", "|---|---|", *labels, "", "## Buckets", "", *buckets, ""]
    )  # fmt: skip


_HEAD = """\
# Metrics

*Made by `python grafana/build.py` from `slastream/export/catalogue.py`; change that.*

`slastream worker --metrics HOST:PORT` answers `/metrics` (text, or OpenMetrics when asked for), `/healthz` (200 while the
process is alive) and `/readyz` (200 when everything assigned to it is restored and runs, else 503). Without a host it listens
on the loopback interface. The numbers are a snapshot, made for a scrape and at most once a second.

- A worker exports the keys of the partitions that it owns, once they are restored. When a partition moves, its keys are on no
  worker for a moment, and a worker that was cut off may show them until it notices. In queries take gauges by
  `max without (instance) (…)` first, and add up after that; add up counters and credits over `instance`.
- `sla_…` is made from state. `sla_verdicts_total` and `sla_duration_seconds` start at what the state holds, not at 0,
  wherever the partition is; they never fall within a process (a ticket that is reopened leaves them as they are). After a
  restart they may be lower than before by what was reopened: ask with `delta`, which is exact then, where `rate` would see a reset.
- `slastream_…` counts what this process did since it started; what was read and not committed before a crash is counted
  again by the next owner.
- `slastream_gateway_…` are those of `slastream gateway`, on a port of their own (`--metrics`), and where it listens when that is
  the loopback interface.
- `slastream_notify_…` are those of `slastream notify`, on a port of their own (`--metrics`).
- There are no ticket ids. `slastream_series` is how much Prometheus has to keep for one worker.
- A ratio without a denominator has no sample: neither 0 nor 1.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|""".splitlines()
