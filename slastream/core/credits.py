"""What missed promises cost: bands, weights, caps and earn-back of a period, as a statement with its evidence (semantics 6.4).

Amounts are exact decimals, never rounded. An agreement's statement has an item for each promise of each service (`per:
service`), or for each promise over all of its services (`per: promise`: numerators and denominators are added up). An item's
credit is its band's times its weight; the cap bounds their sum.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from slastream.core.clocks import Cycle
from slastream.core.compliance import Contribution
from slastream.core.policies import Agreement, CreditBand, Credits, EarnBack, Exclusion
from slastream.core.units import FAR, Instant

EXACT = Context(prec=200)
"""Nothing of a product or sum of amounts is cut off: they have at most 24 digits, shares 12."""

ItemKey = tuple[str | None, str]
"""(service, promise); the service is None where all are judged together, and of tickets without one."""


class Clock(NamedTuple):
    """A cycle of a clock, as evidence; `counted_at` is the instant that puts it into the period."""

    ticket_id: str
    service: str | None
    promise: str
    cycle: int
    counted_at: Instant
    is_met: bool

    @property
    def place(self) -> tuple[str, str, int]:
        return self.ticket_id, self.promise, self.cycle


class Excluded(NamedTuple):
    clock: Clock
    reason: str


class Result(NamedTuple):
    """What a promise reached in a period: `met` of `total`, of clocks, ratings, events or seconds.

    `missed` are the clocks that were not met, `excluded` those that an exclusion of the agreement leaves out of both.
    """

    met: Fraction
    total: Fraction
    missed: tuple[Clock, ...] = ()
    excluded: tuple[Excluded, ...] = ()

    @property
    def ratio(self) -> Fraction | None:
        return self.met / self.total if self.total else None


NOTHING = Result(Fraction(0), Fraction(0))
Results = Mapping[ItemKey, Result]
"""Of one agreement and period."""


class Item(NamedTuple):
    """`credit` is what the band says times the weight; `is_earned_back` None: later periods are to decide."""

    service: str | None
    promise: str
    result: Result
    band: CreditBand | None
    weight: Decimal
    credit: Decimal
    is_earned_back: bool | None


class Statement(NamedTuple):
    """What a period costs. `credit` is the sum of the items under the cap; what is `payable` and what is `earned_back`
    add up to it. Not `is_final`: the period runs, and this is what it would cost if it ended now."""

    agreement: str
    customer: str | None
    currency: str
    period: str
    start: Instant
    end: Instant
    is_final: bool
    fee: Decimal | None
    items: tuple[Item, ...]
    sum: Decimal
    cap: Decimal | None
    credit: Decimal
    earned_back: Decimal
    payable: Decimal


def statement(
    agreement: Agreement, start: Instant, end: Instant, results: Results, later: Sequence[Results | None], now: Instant
) -> Statement | None:
    """The statement of `[start, end)` as known at `now`. None: the agreement has no credits.

    `later` are the periods that follow, as many as can earn it back; None: one that has not ended.
    """
    credits = agreement.credits
    if credits is None:
        return None
    items = tuple(
        _item(credits, key, result, [None if one is None else one.get(key, NOTHING) for one in later])
        for key, result in sorted(results.items(), key=lambda one: (one[0][0] or "", one[0][1]))
        if is_credited(agreement, key[1])
    )
    cap = cap_of(credits)
    total, payable = _sum(items), _sum(one for one in items if one.is_earned_back is not True)
    credit, payable = (total, payable) if cap is None else (min(total, cap), min(payable, cap))
    return Statement(
        agreement.name, agreement.customer, credits.currency, agreement.objective.period, start, end, end <= now,
        credits.fee, items, total, cap, credit, EXACT.subtract(credit, payable), payable,
    )  # fmt: skip


def is_credited(agreement: Agreement, promise: str) -> bool:
    """A promise about tickets, or one with terms of its own."""
    credits = agreement.credits
    return credits is not None and (
        promise in credits.promises or any(one.name == promise for one in agreement.clock_promises)
    )


def item_key(credits: Credits, service: str | None, promise: str) -> ItemKey:
    return (service if credits.per == "service" else None), promise


def _item(credits: Credits, key: ItemKey, result: Result, later: Sequence[Result | None]) -> Item:
    service, promise = key
    weight = credits.terms_of(promise).weight
    band = band_of(credits, promise, result.met, result.total)
    credit = Decimal(0) if band is None else EXACT.multiply(weight, _amount(credits, band))
    is_earned_back = False if not credit or credits.earn_back is None else _is_earned_back(credits.earn_back, later)
    return Item(service, promise, result, band, weight, credit, is_earned_back)


def _is_earned_back(terms: EarnBack, later: Sequence[Result | None]) -> bool | None:
    """A period without a sample reaches nothing."""
    for one in later:
        if one is not None and not (one.total and one.met >= Fraction(terms.at_least) * one.total):
            return False
    return None if None in later or len(later) < terms.periods else True


def _sum(items: Iterable[Item]) -> Decimal:
    total = Decimal(0)
    for one in items:
        total = EXACT.add(total, one.credit)
    return total


def band_of(credits: Credits, promise: str | None, met: int | Fraction, total: int | Fraction) -> CreditBand | None:
    """The lowest band that the ratio is below; at its edge it is not below it. None without a sample."""
    own = None if promise is None else credits.terms_of(promise).bands
    bands = credits.bands if own is None else own
    below = [band for band in bands if total and met < Fraction(band.below) * total]
    return min(below, key=lambda band: band.below, default=None)


def credit_amount(credits: Credits, met: int, total: int, promise: str | None = None) -> Decimal:
    """What one promise would cost so far, were it alone: its band times its weight, under the cap."""
    band = band_of(credits, promise, met, total)
    weight = Decimal(1) if promise is None else credits.terms_of(promise).weight
    amount = Decimal(0) if band is None else EXACT.multiply(weight, _amount(credits, band))
    cap = cap_of(credits)
    return amount if cap is None else min(amount, cap)


def _amount(credits: Credits, band: CreditBand) -> Decimal:
    return band.amount if band.amount is not None else _share_of_fee(credits, band.share or Decimal(0))


def _share_of_fee(credits: Credits, share: Decimal) -> Decimal:
    return EXACT.multiply(share, credits.fee or Decimal(0))


def cap_of(credits: Credits) -> Decimal | None:
    if credits.cap_amount is not None:
        return credits.cap_amount
    return None if credits.cap_share is None else _share_of_fee(credits, credits.cap_share)


# ---- results of clocks -----------------------------------------------------------------------------------------------


class ClockResults:
    """Collects the results of an agreement's clocks, by period; `period_of` gives the one that holds an instant."""

    def __init__(self, agreement: Agreement, period_of: Callable[[Instant], tuple[Instant, Instant] | None]) -> None:
        self._agreement = agreement
        self._period_of = period_of
        self._counted: dict[tuple[Instant, Instant], dict[ItemKey, list[Clock]]] = {}

    def put(
        self, ticket_id: str, promise: str, cycle: int, service: str | None, one: Contribution, now: Instant
    ) -> None:
        """Counts a cycle as it stands at `now`."""
        credits, at = self._agreement.credits, one.counted_at(self._agreement.objective.basis, now)
        period = None if at is None else self._period_of(at)
        if credits is None or at is None or period is None:
            return
        clocks = self._counted.setdefault(period, {}).setdefault(item_key(credits, service, promise), [])
        clocks.append(Clock(ticket_id, service, promise, cycle, at, one.is_met))

    def periods(self) -> dict[tuple[Instant, Instant], dict[ItemKey, Result]]:
        return {
            period: {key: result_of(clocks, self._agreement.exclusions) for key, clocks in counted.items()}
            for period, counted in sorted(self._counted.items())
        }


def result_of(clocks: Iterable[Clock], exclusions: Sequence[Exclusion]) -> Result:
    """What these clocks come to; the first exclusion that one falls under leaves it out, and gives the reason."""
    met, missed, excluded = 0, list[Clock](), list[Excluded]()
    for clock in sorted(clocks, key=lambda one: one.place):
        reason = reason_of(clock, exclusions)
        if reason is not None:
            excluded.append(Excluded(clock, reason))
        elif clock.is_met:
            met += 1
        else:
            missed.append(clock)
    return Result(Fraction(met), Fraction(met + len(missed)), tuple(missed), tuple(excluded))


def reason_of(clock: Clock, exclusions: Iterable[Exclusion]) -> str | None:
    """Of the first exclusion that a clock falls under; None: it counts."""
    return next((one.reason for one in exclusions if is_excluded(clock, one)), None)


def why_excluded(ticket_id: str, cycle: Cycle, service: str | None) -> str | None:
    """The reason for which money does not count a cycle, as it stands; None: it does, or counts nowhere yet."""
    agreement = cycle.rule.agreement
    contribution = Contribution(cycle.status(), cycle.started_at, cycle.due_at, cycle.stopped_at, None)
    at = contribution.counted_at(agreement.objective.basis, FAR)
    if at is None:
        return None
    clock = Clock(ticket_id, service, cycle.rule.promise.name, cycle.number, at, contribution.is_met)
    return reason_of(clock, agreement.exclusions)


def is_excluded(clock: Clock, exclusion: Exclusion) -> bool:
    return (
        (exclusion.start is None or clock.counted_at >= exclusion.start)
        and (exclusion.end is None or clock.counted_at < exclusion.end)
        and (exclusion.services is None or clock.service in exclusion.services)
        and (exclusion.promises is None or clock.promise in exclusion.promises)
        and (exclusion.tickets is None or clock.ticket_id in exclusion.tickets)
    )
