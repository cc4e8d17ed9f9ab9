"""Recording and alerting rules for Prometheus: a general set for any policy, and one that fits a given policy.

The general set knows what the metrics say of themselves. With a policy there are only alerts of promises that it has, with its
lateness, its coverage and its alert windows. Use one of the two: an alert in both would come twice.

Every gauge is taken by `max by (its own labels)` before anything is added up, so that a key that two workers show for a moment
counts once, whatever else the scrape configuration puts on a series. `keep_firing_for` keeps an alert up through a rebalance, in
which the numbers of a partition are on no worker for a moment.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import yaml

from slastream.core.burns import BurnRule, rules_of
from slastream.core.policies import Policy, ServicePromise
from slastream.core.units import SECOND, Duration
from slastream.export import catalogue
from slastream.export.catalogue import Metric
from slastream.export.service_gauges import length_text

Json = dict[str, Any]

RUNBOOK = "docs/runbook.md"
"""Where the runbook is, from the root of the repository."""
DEADLINE_SECONDS = 1
"""Promised from a due instant to its fact, besides the policy's lateness."""
MIN_COVERAGE = Decimal("0.9")
OWNERS = ("customer", "provider", "team")
BY_KIND = '{{ if eq $labels.kind "sla" }}critical{{ else }}warning{{ end }}'
"""A broken promise to a customer wakes somebody; one among colleagues or of a supplier can wait for the morning."""
PAGING_FACTORS = (Decimal("14.4"), Decimal(6))
"""**Source:** https://sre.google/workbook/alerting-on-slos/, table 5-8: these page, slower burns make a ticket."""
BURN_WINDOWS = (("7d", "week"), ("28d",), ("30d", "month"), ("90d", "quarter"), ("year",))
"""Windows of the general set, those of the same length together."""

CLOCKS = "service_agreement_promise_status:sla_clocks:sum"
INFO = "service_agreement:sla_info:topk1"
BURN = "service_agreement_promise_window:sla_burn_rate:max"
LAG = "topic_partition:slastream_lag_records:max"
TIME = "topic_partition:slastream_partition_time_seconds:max"


@dataclass(frozen=True, slots=True)
class Recording:
    """`expr` under another name."""

    record: str
    expr: str

    def as_json(self, _: str) -> Json:
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `pending` is how long it must hold before it fires, `keeps` how long it goes on when it holds no more."""

    name: str
    expr: str
    severity: str
    summary: str
    description: str
    pending: str = ""
    keeps: str = "5m"
    labels: dict[str, str] = field(default_factory=dict)

    def as_json(self, runbook: str) -> Json:
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.pending} if self.pending else {}),
            "keep_firing_for": self.keeps,
            "labels": {"severity": self.severity, **{name: _literal(value) for name, value in self.labels.items()}},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbook}#{self.name.lower()}",
            },
        }


Rule = Recording | Alert


def rules_text(policy: Policy | None = None, runbook: str = RUNBOOK) -> str:
    """A rule file of Prometheus 2.42 or newer, general or for a policy. `runbook` is the address before the `#`."""
    groups = [
        {"name": name, "rules": [rule.as_json(runbook) for rule in rules]}
        for name, rules in _groups(policy)
    ]  # fmt: skip
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=130)
    return _head(policy) + text


def _groups(policy: Policy | None) -> Iterator[tuple[str, Sequence[Rule]]]:
    """Rules of a group are evaluated one after the other: what an alert looks at is recorded before it, at the same instant."""
    of_tickets, of_services = ticket_alerts(policy), (*service_alerts(policy), *burn_alerts(policy))
    yield "slastream-promises", [*promise_recordings(), *of_tickets, *of_services]
    yield "slastream-pipeline", [*pipeline_recordings(), *pipeline_alerts(policy)]


# ---- recorded


def promise_recordings() -> Iterator[Recording]:
    """What alerts look at, and compliance rolled up: numerators and denominators are added, never ratios."""
    yield Recording(CLOCKS, f"sum by (service, agreement, promise, status) ({once(catalogue.CLOCKS)})")
    yield Recording(INFO, f"topk by (service, agreement) (1, {once(catalogue.INFO)})")
    yield Recording(BURN, once(catalogue.BURN_RATE))
    for owner in OWNERS:
        level = f"{owner}_agreement_promise_window_basis"
        by = f"sum by ({owner}, agreement, promise, window, basis)"
        met, total = f"{level}:{catalogue.COMPLIANCE_MET.name}:sum", f"{level}:{catalogue.COMPLIANCE_TOTAL.name}:sum"
        for name, metric in ((met, catalogue.COMPLIANCE_MET), (total, catalogue.COMPLIANCE_TOTAL)):
            yield Recording(name, f"{by} ({owned(once(metric), owner)})")
        yield Recording(f"{level}:sla_compliance_ratio:sum", f"{met} / ({total} > 0)")


def pipeline_recordings() -> Iterator[Recording]:
    yield Recording(LAG, once(catalogue.LAG))
    yield Recording(TIME, once(catalogue.PARTITION_TIME))


def once(metric: Metric, *matchers: str) -> str:
    """A gauge, once for each key, without what the scrape put on it."""
    selector = f"{{{', '.join(matchers)}}}" if matchers else ""
    return f"max by ({', '.join(metric.labels)}) ({metric.name}{selector})"


def owned(expr: str, *labels: str) -> str:
    """With labels of who stands behind a service and an agreement."""
    return f"{expr} * on (service, agreement) group_left ({', '.join(labels)}) {INFO}"


def all_owned(expr: str) -> str:
    return owned(f"({expr})", "kind", *OWNERS)


# ---- tickets


def ticket_alerts(policy: Policy | None) -> Iterator[Alert]:
    """Of promises kept by people. A policy without any has none of these."""
    agreements = None if policy is None else policy.agreements
    if agreements is None or any(one.clock_promises for one in agreements):
        yield from _clock_alerts()
    if agreements is None or any(one.objective.target is not None or one.service_promises for one in agreements):
        yield Alert(
            "SlaObjectiveMissed",
            all_owned(f"{once(catalogue.BUDGET_RATIO)} < 0"),
            "warning",
            "{{ $labels.service }} {{ $labels.agreement }} {{ $labels.promise }} is below its objective in the running "
            "{{ $labels.window }}",
            "More went wrong than the objective allows for what was counted so far: {{ $value | humanizePercentage }} of the "
            "budget is left. Credits may be due if the period ends like this.",
            pending="5m",
            keeps="15m",
        )


def _clock_alerts() -> Iterator[Alert]:
    yield Alert(
        "SlaBreached",
        all_owned(f'sum without (status) ({CLOCKS}{{status="breached"}}) > 0'),
        BY_KIND,
        "{{ $value }} open clocks of {{ $labels.service }} have breached {{ $labels.agreement }} {{ $labels.promise }}",
        "These tickets are past their target and still open: finish them, and tell {{ with $labels.customer }}{{ . }}{{ else }}"
        "the customer{{ end }}. Which they are is on the topic sla.breaches (fact breached), and in the dashboard Tickets.",
    )
    yield Alert(
        "SlaAtRisk",
        all_owned(f'sum without (status) ({CLOCKS}{{status="at_risk"}}) > 0'),
        "warning",
        "{{ $value }} open clocks of {{ $labels.service }} are past the last warning of {{ $labels.agreement }} "
        "{{ $labels.promise }}",
        "Nothing is late yet: whoever takes these tickets first still keeps the promise. Which they are is on the topic "
        "sla.breaches (fact warned).",
    )


# ---- services


def service_alerts(policy: Policy | None) -> Iterator[Alert]:
    """Of monitoring that says nothing."""
    if policy is not None and not any(one.service_promises for one in policy.agreements):
        return
    yield Alert(
        "SlaNoData",
        f'max by (service) ({catalogue.SERVICE_STATE.name}{{state="unknown"}}) == 1',
        "warning",
        "Nothing is known of {{ $labels.service }}",
        "Its monitoring is silent or says unknown. The time counts neither as good nor as bad, and an outage would not be seen.",
        pending="10m",
    )
    if policy is None:
        yield _coverage_alert(once(catalogue.COVERAGE_RATIO), MIN_COVERAGE, {})
        return
    for agreement, promise in _service_promises(policy):
        if promise.metric == "availability" and promise.min_coverage > 0:
            named = {"agreement": agreement, "promise": promise.name}
            yield _coverage_alert(once(catalogue.COVERAGE_RATIO, *_matchers(named)), promise.min_coverage, named)


def _coverage_alert(expr: str, at_least: Decimal, labels: dict[str, str]) -> Alert:
    return Alert(
        "SlaLowCoverage",
        all_owned(f"{expr} < {at_least:f}"),
        "warning",
        "Only {{ $value | humanizePercentage }} of the time of {{ $labels.service }} is known",
        "{{ $labels.agreement }} {{ $labels.promise }} needs "
        f"{(at_least * 100).normalize():f} % of its {{{{ $labels.window }}}}: until then it has no ratio, and its alerts neither "
        "fire nor resolve.",
        pending="15m",
        labels=labels,
    )


def burn_alerts(policy: Policy | None) -> Iterator[Alert]:
    """Two burn rates above a factor at once, scaled to each promise's window."""
    if policy is None:
        for kinds in BURN_WINDOWS:
            of_window = once(catalogue.OBJECTIVE_RATIO, f'window=~"{chr(124).join(kinds)}"')
            for rule in rules_of(kinds[0]):
                yield _burn_alert(rule, {}, f" and on (service, agreement, promise) {of_window}")
        return
    for agreement, promise in _service_promises(policy):
        if promise.burn_alerts:
            for rule in rules_of(promise.window):
                yield _burn_alert(rule, {"agreement": agreement, "promise": promise.name}, "")


def _burn_alert(rule: BurnRule, named: dict[str, str], condition: str) -> Alert:
    long, short = length_text(rule.long_us), length_text(rule.short_us)

    def rate(window: str) -> str:
        matchers = ", ".join((f'window="{window}"', *_matchers(named)))
        return f"sum without (window) ({BURN}{{{matchers}}}) > {rule.text}"

    return Alert(
        "SlaBudgetBurning",
        all_owned(f"{rate(long)} and {rate(short)}{condition}"),
        "critical" if rule.factor in PAGING_FACTORS else "warning",
        "{{ $labels.service }} burns the budget of {{ $labels.agreement }} {{ $labels.promise }} {{ $value | humanize }} times too "
        "fast",
        f"In the last {long}, and in the last {short} still, more than {rule.text} times as much went wrong as would use the "
        "budget up exactly at the end of the window.",
        labels={"long_window": long, "factor": rule.text, **named},
    )


def _service_promises(policy: Policy) -> Iterator[tuple[str, ServicePromise]]:
    for agreement in policy.agreements:
        for promise in agreement.service_promises:
            yield agreement.name, promise


def _literal(text: str) -> str:
    """A label is a template: of a name that has braces the braces are meant."""
    return text.replace("{{", '{{ "{{" }}')


def _matchers(named: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={orjson.dumps(value).decode()}" for name, value in named.items())


# ---- the pipeline


def pipeline_alerts(policy: Policy | None) -> Iterator[Alert]:
    """Of the programs themselves."""
    yield from _owner_alerts()
    yield from _progress_alerts(_lateness(() if policy is None else policy.lateness.values()))
    yield from _configuration_alerts()
    yield Alert(
        "SlastreamNotifyFailing",
        f"{once(catalogue.NOTIFY_WAITING)} > 120",
        "critical",
        "News has not got through to {{ $labels.receiver }} for {{ $value | humanizeDuration }}",
        "Breaches are declared and nobody is told by this way. They are not lost: notify goes on trying. What the metrics say "
        "(SlaBreached) still gets out.",
        pending="1m",
    )


def _configuration_alerts() -> Iterator[Alert]:
    yield Alert(
        "SlastreamGatewayNotReady",
        f"{catalogue.GATEWAY_READY.name} == 0",
        "critical",
        "The gateway {{ $labels.instance }} takes no events",
        "Kafka does not acknowledge, so every request gets a 503. Senders that try again lose nothing; for the others their events "
        "are lost.",
        pending="2m",
    )
    yield Alert(
        "SlastreamPoliciesDiffer",
        f"count(count by (version) ({catalogue.POLICY_LOADED.name})) > 1",
        "warning",
        "Workers work by {{ $value }} versions of the policy",
        "What a ticket is judged by depends on the worker that its partition is on. During a rollout this is so for a moment.",
        pending="10m",
        keeps="1m",
    )
    yield Alert(
        "SlastreamSeriesLeftOut",
        f"sum({catalogue.SERIES_LEFT_OUT.name}) > 0",
        "warning",
        "{{ $value }} series are not shown: there would be too many",
        "Whole services are missing in dashboards and in the alerts that look at metrics. Facts and what notify tells have them.",
        pending="5m",
    )


def _owner_alerts() -> Iterator[Alert]:
    yield Alert(
        "SlastreamProcessDown",
        'up{job=~"slastream(-.*)?"} == 0',
        "warning",
        "{{ $labels.instance }} of {{ $labels.job }} does not answer",
        "Prometheus gets no metrics from it. Other workers take its partitions over within the session's timeout; a gateway or a "
        "notify that is alone is missed at once.",
        pending="2m",
    )
    yield Alert(
        "SlastreamNoWorker",
        f"absent({catalogue.OWNED.name})",
        "critical",
        "No worker owns a partition",
        "No deadline is declared and no ticket is followed while this lasts. What happens meanwhile is in Kafka and is made up for "
        "when a worker runs again.",
        pending="2m",
        keeps="2m",
    )
    yield Alert(
        "SlastreamPartitionLost",
        f"max by (topic, partition) (max_over_time({catalogue.OWNED.name}[1h])) unless on (topic, partition) "
        f"{catalogue.OWNED.name} and on () count({catalogue.OWNED.name})",
        "critical",
        "Partition {{ $labels.partition }} of {{ $labels.topic }} has no owner",
        "A worker had it within the last hour and none has it now: its tickets are not followed, its deadlines not declared.",
        pending="2m",
    )
    yield Alert(
        "SlastreamDoubleOwnership",
        f"sum by (topic, partition) ({catalogue.OWNED.name}) > 1",
        "critical",
        "{{ $value }} workers say that they own partition {{ $labels.partition }} of {{ $labels.topic }}",
        "For a moment this is a worker that has not noticed yet that it was cut off. For longer its numbers are old.",
        pending="2m",
    )
    restoring = once(catalogue.RESTORING)
    yield Alert(
        "SlastreamRestoring",
        f"{restoring} == 1",
        "warning",
        "Partition {{ $labels.partition }} of {{ $labels.topic }} is being restored",
        "Its tickets are not followed and its numbers are not shown until that is done. What falls due meanwhile is declared then.",
        pending="2m",
        keeps="1m",
    )
    yield Alert(
        "SlastreamRestoreStuck",
        f"{restoring} == 1",
        "critical",
        "Partition {{ $labels.partition }} of {{ $labels.topic }} does not get to run",
        "It has been fenced, restored or sought for 10 minutes; its tickets are not followed meanwhile.",
        pending="10m",
        keeps="1m",
    )


def _progress_alerts(lateness_seconds: float) -> Iterator[Alert]:
    by_topic = f"sum by (topic) ({LAG})"
    yield Alert(
        "SlastreamTimeStalled",
        f"{LAG} > 0 and {LAG} >= {LAG} offset 5m and {TIME} == {TIME} offset 5m",
        "critical",
        "Partition {{ $labels.partition }} of {{ $labels.topic }} stands still with {{ $value }} records waiting",
        "Its time has not moved for 5 minutes although there is something to read: nothing that falls due there is declared.",
        pending="2m",
    )
    yield Alert(
        "SlastreamLagGrowing",
        f"{by_topic} > 1000 and {by_topic} >= sum by (topic) ({LAG} offset 10m)",
        "warning",
        "{{ $value }} records of {{ $labels.topic }} wait, no fewer than 10 minutes ago",
        "The workers do not keep up. During an import this is expected.",
        pending="5m",
    )
    limit = DEADLINE_SECONDS + lateness_seconds
    yield Alert(
        "SlastreamDeadlinesLate",
        f"histogram_quantile(0.99, sum by (le) (rate({catalogue.DEADLINE_DELAY.name}_bucket[5m]))) > {limit:g}",
        "warning",
        "Breaches and warnings are declared {{ $value | humanizeDuration }} late",
        f"One of a hundred deadlines took longer than that to be noticed; promised is {limit:g} s. After an outage this is what "
        "fell due meanwhile.",
        pending="5m",
    )
    yield Alert(
        "SlastreamRejects",
        f"sum by (topic, reason) (increase({catalogue.REJECTED.name}[15m])) > 0",
        "warning",
        "Records of {{ $labels.topic }} are rejected: {{ $labels.reason }}",
        "They could not be used and are kept in sla.rejected with the reason, the path and the original bytes. Mend their producer "
        "and send them again.",
        keeps="15m",
    )


def _lateness(found: Iterable[Duration]) -> float:
    """The longest that a deadline waits for late events, in seconds."""
    return max(found, default=Duration(0)) / SECOND


# ---- text


def _head(policy: Policy | None) -> str:
    made = "any policy, by `slastream rules`" if policy is None else f"policy {policy.version}, by `slastream rules`"
    return f"# Rules of slastream for {made}. Change that, not this file. Prometheus 2.42 or newer.\n"
