"""What goes out, as JSON objects: verdicts, facts and compliance, with the names of the contract (section 3)."""

from decimal import Decimal
from typing import Any

from slastream.core.clocks import Cycle, Labels
from slastream.core.compliance import Line, budget_remaining
from slastream.core.credits import credit_amount, why_excluded
from slastream.core.facts import BREACHED, Fact, fact_id, identity, retracted_id
from slastream.core.policies import Agreement, Policy
from slastream.core.rules import Rulebook
from slastream.core.signs import NO_SIGNS
from slastream.core.units import Instant, format_instant, seconds

Json = dict[str, Any]


def instant_text(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)


def clock_id(ticket_id: str, cycle: Cycle) -> str:
    """Names one cycle of one clock; the key of `sla.verdicts`."""
    return identity(ticket_id, cycle.rule.agreement.name, cycle.rule.promise.name, cycle.number)


def verdict_line(ticket_id: str, cycle: Cycle, labels: Labels, at: Instant, policy: Policy) -> Json:
    """The clock as it stands at `at`."""
    rule, reading, override = cycle.rule, cycle.read(at), cycle.override
    target = reading.target_us
    line: Json = {
        "kind": "verdict",
        "ticket_id": ticket_id,
        "service": labels.service,
        "agreement": rule.agreement.name,
        "agreement_kind": rule.agreement.kind,
        "promise": rule.promise.name,
        "metric": rule.promise.metric,
        "cycle": cycle.number,
        "status": reading.status,
        "started_at": format_instant(cycle.started_at),
        "due_at": instant_text(reading.due_at),
        "stopped_at": instant_text(cycle.stopped_at),
        "breached_at": instant_text(cycle.breached_at),
        "elapsed_seconds": seconds(reading.elapsed_us),
        "target_seconds": None if target is None else seconds(target),
        "remaining_seconds": None if target is None else seconds(target - reading.elapsed_us),
        "paused_seconds": seconds(reading.paused_us),
        "calendar": cycle.selection.calendar.name,
        "in_hours": reading.in_hours,
        "due_if_resumed_now": instant_text(reading.due_if_resumed_now),
        "cancel_reason": cycle.cancel_reason,
        "override": None
        if override is None
        else {"due_at": instant_text(override.due_at), "by": override.by, "reason": override.reason},
        "is_at_risk": cycle.is_at_risk,
        "as_of": format_instant(at),
        "revision": cycle.revision,
        "policy_version": policy.version,
        "id": identity(ticket_id, rule.agreement.name, rule.promise.name, cycle.number, None, cycle.revision),
        "customer": labels.customer,
        "provider": labels.provider,
        "team": labels.team,
        "group": labels.group,
        "assignee": labels.assignee,
        "priority": labels.priority,
        "type": labels.type,
    }
    if (occurrence := cycle.breach_occurrence) is not None:
        line["breach_id"] = identity(
            ticket_id, rule.agreement.name, rule.promise.name, cycle.number, BREACHED, None, occurrence
        )
    if cycle.signs != NO_SIGNS:
        line["signs"] = cycle.signs._asdict()
    if rule.agreement.exclusions and (reason := why_excluded(ticket_id, cycle, labels.service)) is not None:
        line["excluded"] = reason
    return line


def fact_line(ticket_id: str, fact: Fact, labels: Labels, published_at: Instant | None, book: Rulebook) -> Json:
    rule = book.rules[fact.rule_index]
    return {
        "kind": "fact",
        "fact": fact.fact,
        "ticket_id": ticket_id,
        "service": labels.service,
        "agreement": fact.agreement,
        "agreement_kind": rule.agreement.kind,
        "promise": fact.promise,
        "metric": rule.promise.metric,
        "cycle": fact.cycle,
        "threshold": fact.threshold,
        "at": format_instant(fact.at),
        "published_at": instant_text(published_at),
        "caused_by": fact.caused_by,
        "retracts": retracted_id(ticket_id, fact),
        "policy_version": book.policy.version,
        "id": fact_id(ticket_id, fact),
        "customer": labels.customer,
        "provider": labels.provider,
        "team": labels.team,
        "group": labels.group,
        "assignee": labels.assignee,
        "priority": labels.priority,
        "type": labels.type,
    }


def compliance_line(service: str | None, agreement: Agreement, promise: str, line: Line) -> Json:
    counts, objective = line.counts, agreement.objective
    met, total = counts.of(objective.basis)
    result: Json = {
        "kind": "compliance",
        "service": service,
        "agreement": agreement.name,
        "promise": promise,
        "window": {"kind": objective.period, "start": format_instant(line.start), "end": format_instant(line.end)},
        "completed": {"met": counts.completed_met, "total": counts.completed_total},
        "due": {"met": counts.due_met, "total": counts.due_total},
        "started": {"met": counts.started_met, "total": counts.started_total},
    }
    if line.open is not None:
        result["now"] = {"breached": line.breached, "open": line.open}
    result["cancelled"] = counts.cancelled
    result["objective"] = None if objective.target is None else number(objective.target)
    result["basis"] = objective.basis
    result["ratio"] = met / total if total else None
    result["budget_remaining"] = (
        None if objective.target is None else number(budget_remaining(objective.target, met, total))
    )
    if agreement.credits is not None and agreement.credits.per == "service":
        amount = credit_amount(agreement.credits, met, total, promise)
        result["credit"] = {"amount": number(amount), "currency": agreement.credits.currency}
    return result


def number(value: Decimal) -> int | float:
    """A decimal as a JSON number: whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)
