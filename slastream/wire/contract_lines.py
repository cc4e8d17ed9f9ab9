"""Ledgers, chains, statements, scopes and experience as JSON objects: what `replay` shows of contracts.

Seconds are exact decimals, amounts of money texts of exact decimals.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from slastream.core.chains import Chain, Support
from slastream.core.contracts import Felt
from slastream.core.credits import Clock, Item, Statement
from slastream.core.experience import Rated, Scores
from slastream.core.holders import Holder
from slastream.core.ledger import Ledger
from slastream.core.policies import PARTIES, CreditBand
from slastream.core.scopes import Covered, ScopeReport
from slastream.core.units import Duration, Instant, format_instant, seconds
from slastream.wire.availability_lines import fraction
from slastream.wire.lines import Json, instant_text, number


def ledger_line(ledger: Ledger) -> Json:
    spent = ledger.by("party")
    return {
        "kind": "ledger",
        "ticket_id": ledger.ticket_id,
        "agreement": ledger.agreement,
        "calendar": ledger.calendar.name,
        "opened_at": format_instant(ledger.opened_at),
        "ended_at": instant_text(ledger.ended_at),
        "total_seconds": seconds(ledger.total_us),
        **{f"{party}_seconds": seconds(spent.get((party,), Duration(0))) for party in PARTIES},
        "closed_seconds": seconds(ledger.closed_us),
        "handoffs": ledger.handoffs,
        "parts": [{**holder_object(holder), "seconds": seconds(us)} for holder, us in ledger.parts],
    }


def holder_object(holder: Holder) -> Json:
    """Without an assignee where the policy names none."""
    found: Json = dict(zip(Holder._fields, holder, strict=True))
    if holder.assignee is None:
        del found["assignee"]
    return found


def holder_text(holder: Holder) -> str:
    """The members of its object, without the brackets."""
    return orjson.dumps(holder_object(holder)).decode()[1:-1]


def chain_line(chain: Chain, at: Instant) -> Json:
    return {
        "kind": "chain",
        "ticket_id": chain.ticket_id,
        "service": chain.labels.service,
        "agreement": chain.agreement,
        "agreement_kind": chain.kind,
        "promise": chain.promise,
        "cycle": chain.cycle,
        "status": chain.status,
        "due_at": instant_text(chain.due_at),
        "breached_at": instant_text(chain.breached_at),
        "target_seconds": _seconds(chain.target_us),
        "elapsed_seconds": seconds(chain.elapsed_us),
        "fits": not chain.misfits(at),
        "supports": [_support_object(one, at) for one in chain.supports],
        "consumed": list(_consumed(chain)),
        "customer": chain.labels.customer,
        "provider": chain.labels.provider,
        "priority": chain.labels.priority,
        "type": chain.labels.type,
    }


def _support_object(one: Support, at: Instant) -> Json:
    return {
        "agreement": one.agreement,
        "agreement_kind": one.kind,
        "promise": one.promise,
        "cycle": one.cycle,
        "status": one.status,
        "started_at": format_instant(one.started_at),
        "due_at": instant_text(one.due_at),
        "target_seconds": _seconds(one.target_us),
        "used_seconds": seconds(one.used_us),
        "used_before_breach_seconds": _seconds(one.used_before_breach_us),
        "fits": one.misfits_at is None or one.misfits_at > at,
        "misfits_at": instant_text(one.misfits_at),
    }


def _consumed(chain: Chain) -> Iterable[Json]:
    """By party, group and provider; `closed` is the time in which the ticket was, `carried` what was measured before a carry."""
    found: dict[tuple[str | None, ...], int] = {}
    for holder, us in chain.consumed:
        key = ("closed", None, None) if holder is None else (holder.party, holder.group, holder.provider)
        found[key] = found.get(key, 0) + int(us)
    if chain.carried_us:
        found["carried", None, None] = int(chain.carried_us)
    for (party, group, provider), spent in found.items():
        yield {"party": party, "group": group, "provider": provider, "seconds": seconds(spent)}


def _seconds(us: Duration | None) -> int | float | None:
    return None if us is None else seconds(us)


# ---- money -----------------------------------------------------------------------------------------------------------


def statement_line(one: Statement, has_evidence: bool = True) -> Json:
    """Without evidence, the clocks that were missed and excluded are left out."""
    return {
        "kind": "statement",
        "agreement": one.agreement,
        "customer": one.customer,
        "window": _window(one.period, one.start, one.end),
        "is_final": one.is_final,
        "currency": one.currency,
        "fee": _money(one.fee),
        "sum": _money(one.sum),
        "cap": _money(one.cap),
        "credit": _money(one.credit),
        "earned_back": _money(one.earned_back),
        "payable": _money(one.payable),
        "items": [_item_object(item, has_evidence) for item in one.items],
    }


def _item_object(item: Item, has_evidence: bool) -> Json:
    result, ratio = item.result, item.result.ratio
    shown: Json = {
        "service": item.service,
        "promise": item.promise,
        "met": fraction(result.met),
        "total": fraction(result.total),
        "ratio": None if ratio is None else fraction(ratio),
        "band": None if item.band is None else _band_object(item.band),
        "weight": number(item.weight),
        "credit": _money(item.credit),
        "is_earned_back": item.is_earned_back,
    }
    if has_evidence:
        shown["missed"] = [_clock_object(clock) for clock in result.missed]
        shown["excluded"] = [
            {**_clock_object(one.clock), "is_met": one.clock.is_met, "reason": one.reason} for one in result.excluded
        ]
    return shown


def _band_object(band: CreditBand) -> Json:
    share = None if band.share is None else number(band.share)
    return {"below": number(band.below), "share": share, "amount": _money(band.amount)}


def _clock_object(clock: Clock) -> Json:
    return {
        "ticket_id": clock.ticket_id, "service": clock.service, "cycle": clock.cycle,
        "counted_at": format_instant(clock.counted_at),
    }  # fmt: skip


def _money(amount: Decimal | None) -> str | None:
    """The exact decimal: `300`, `12.5`, never `3E+2`."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ---- scope and experience --------------------------------------------------------------------------------------------


def scope_line(one: ScopeReport, listed: int | None = None) -> Json:
    """`listed`: so many tickets out of scope are listed at most, the first ones."""
    return {
        "kind": "scope",
        "agreement": one.agreement,
        "customer": one.customer,
        "window": _window(one.period, one.start, one.end),
        "is_final": one.is_final,
        "tickets": one.in_scope + len(one.out_of_scope),
        "in_scope": one.in_scope,
        "out_of_scope": len(one.out_of_scope),
        "out_of_scope_tickets": [_outside_object(ticket) for ticket in one.out_of_scope[:listed]],
        "volumes": [
            {
                "volume": count.volume.name, "tickets": count.tickets, "low": count.volume.low, "high": count.volume.high,
                "level": count.level,
            }
            for count in one.volumes
        ],
    }  # fmt: skip


def _outside_object(ticket: Covered) -> Json:
    return {
        "ticket_id": ticket.ticket_id, "opened_at": format_instant(ticket.opened_at), "service": ticket.service,
        "type": ticket.type, "outside": ticket.outside,
    }  # fmt: skip


def covered_line(one: Covered) -> Json:
    """What a ticket counts for in a contract, as the stream tells it."""
    return {
        "kind": "scope", "ticket_id": one.ticket_id, "agreement": one.agreement, "opened_at": format_instant(one.opened_at),
        "service": one.service, "type": one.type, "outside": one.outside, "volumes": list(one.volumes),
    }  # fmt: skip


def rated_line(one: Rated) -> Json:
    """A ticket's rating, as the stream tells it: a share of its scale, exactly."""
    return {
        "kind": "rating", "ticket_id": one.ticket_id, "service": one.service, "agreement": one.agreement,
        "rated_at": format_instant(one.at), "score": one.score.numerator, "scale": one.score.denominator, "verdict": one.verdict,
    }  # fmt: skip


def experience_line(felt: Felt) -> Json:
    one, every = felt.experience, felt.experience.all
    unhappy, met = one.met_but_unhappy
    happy, breached = one.breached_but_happy
    targets = () if felt.agreement is None else felt.agreement.experience_promises
    target = next((promise.target for promise in targets if promise.name == felt.promise), None)
    return {
        "kind": "experience",
        "service": felt.service,
        "agreement": None if felt.agreement is None else felt.agreement.name,
        "promise": felt.promise,
        "window": _window(felt.window, felt.start, felt.end),
        **_scores_object(every),
        "target": None if target is None else number(target),
        "ratio": every.happy / every.ratings if every.ratings else None,
        "met_but_unhappy": {"unhappy": unhappy, "ratings": met},
        "breached_but_happy": {"happy": happy, "ratings": breached},
        "by_verdict": {verdict: _scores_object(scores) for verdict, scores in one.by_verdict.items()},
    }


def _scores_object(scores: Scores) -> Json:
    return {
        "ratings": scores.ratings, "score_sum": fraction(scores.score), "happy": scores.happy, "unhappy": scores.unhappy,
    }  # fmt: skip


def _window(kind: str, start: Instant, end: Instant) -> dict[str, Any]:
    return {"kind": kind, "start": format_instant(start), "end": format_instant(end)}
