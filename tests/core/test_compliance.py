"""Shares as counts: what each basis counts, when, and what a correction does."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.calendars import Calendar
from slastream.core.compliance import Contribution, Line, Tally, budget_remaining
from slastream.core.credits import credit_amount
from slastream.core.periods import Periods
from slastream.core.policies import Agreement, CreditBand, Credits, Objective
from slastream.core.predicates import ALWAYS
from slastream.core.units import DAY, Instant, format_instant, parse_instant

BERLIN = Calendar.always("Europe/Berlin")
MAY = parse_instant("2026-05-01T00:00:00+02:00")
JUNE = parse_instant("2026-06-01T00:00:00+02:00")


def tally(now: Instant, period: str = "month") -> Tally:
    objective = Objective(Decimal("0.95"), period)
    agreement = Agreement("gold", "sla", None, None, ALWAYS, BERLIN, objective, (), ())
    return Tally(agreement, Periods(period, BERLIN), now)


def clock(status: str, start: int, due: int | None, stop: int | None = None) -> Contribution:
    """Instants in days after the beginning of May."""

    def at(days: int | None) -> Instant | None:
        return None if days is None else Instant(MAY + days * DAY)

    return Contribution(status, Instant(MAY + start * DAY), at(due), at(stop), "P1")


def may(one: Tally) -> Line:
    return next(line for line in one.lines() if line.start == MAY)


def test_the_example_of_the_specification() -> None:
    """100 fell due in May: 80 met, 10 breached and closed, 10 breached and open; 20 run, not due; 5 cancelled."""
    one = tally(Instant(MAY + 20 * DAY))
    clocks = (
        [clock("met", 1, 10, 9)] * 80
        + [clock("breached", 1, 10, 12)] * 10
        + [clock("breached", 1, 10)] * 10
        + [clock("running", 15, 25)] * 20
        + [clock("cancelled", 1, None, 5)] * 5
    )
    for number, contribution in enumerate(clocks):
        one.put(str(number), contribution)
    line = may(one)
    assert line.counts.of("completed") == (80, 90)
    assert line.counts.of("due") == (80, 100)
    assert line.counts.of("started") == (80, 120)
    assert line.counts.cancelled == 5
    assert (line.breached, line.open) == (10, 30)


def test_a_due_instant_counts_when_it_is_reached() -> None:
    one = tally(Instant(MAY + 9 * DAY))
    one.put("a", clock("running", 1, 10))
    assert may(one).counts.of("due") == (0, 0)
    one.advance(Instant(MAY + 10 * DAY - 1))
    assert may(one).counts.of("due") == (0, 0)
    assert one.wake_at == MAY + 10 * DAY
    one.advance(Instant(MAY + 10 * DAY))
    assert may(one).counts.of("due") == (0, 1)
    assert one.wake_at is None


def test_a_clock_met_before_it_is_due_counts_in_the_due_share_at_its_due_instant() -> None:
    one = tally(Instant(MAY + 5 * DAY))
    one.put("a", clock("met", 1, 10, 5))
    assert (may(one).counts.of("completed"), may(one).counts.of("due")) == ((1, 1), (0, 0))
    one.advance(Instant(MAY + 10 * DAY))
    assert may(one).counts.of("due") == (1, 1)


def test_periods_are_half_open_in_the_zone_of_the_agreement() -> None:
    one = tally(Instant(JUNE + DAY))
    one.put("last of May", clock("met", 30, 30, 30)._replace(stopped_at=Instant(JUNE - 1)))
    one.put("first of June", clock("met", 30, 30, 30)._replace(stopped_at=JUNE))
    completed = {format_instant(line.start): line.counts.of("completed") for line in one.lines()}
    assert completed == {"2026-04-30T22:00:00Z": (1, 1), "2026-05-31T22:00:00Z": (1, 1)}


def test_a_clock_taken_out_leaves_nothing() -> None:
    one = tally(Instant(MAY + 20 * DAY))
    one.put("a", clock("breached", 1, 10))
    one.put("a", None)
    line = may(one)
    assert line.counts.is_empty
    assert (line.breached, line.open) == (0, 0)


def test_a_clock_that_loses_its_due_instant_does_not_fall_due() -> None:
    one = tally(Instant(MAY + 5 * DAY))
    one.put("a", clock("running", 1, 10))
    one.put("a", clock("paused", 1, None))
    one.advance(Instant(MAY + 15 * DAY))
    assert may(one).counts.of("due") == (0, 0)


def test_a_due_instant_that_comes_back_counts_once() -> None:
    one = tally(Instant(MAY + 5 * DAY))
    for due in (10, 12, 10):
        one.put("a", clock("running", 1, due))
    one.advance(Instant(MAY + 15 * DAY))
    assert may(one).counts.of("due") == (0, 1)


def test_only_the_running_period_says_how_many_are_open() -> None:
    one = tally(Instant(JUNE + DAY))
    one.put("a", clock("breached", 1, 10))
    lines = list(one.lines())
    assert [(line.start, line.breached, line.open) for line in lines] == [(MAY, None, None), (JUNE, 1, 1)]


days = st.integers(0, 70)


@st.composite
def contributions(draw: st.DrawFn) -> Contribution:
    start = draw(days)
    status = draw(st.sampled_from(["running", "paused", "met", "breached", "cancelled"]))
    stop = start + draw(days)
    match status:
        case "running" | "paused":
            return clock(status, start, None if status == "paused" else start + draw(days))
        case "met":
            return clock(status, start, stop + draw(days), stop)
        case "cancelled":
            return clock(status, start, None, stop)
        case _:
            return clock(status, start, start + draw(days), draw(st.sampled_from([None, stop])))


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), contributions()), max_size=12),
    st.lists(st.integers(0, 150), max_size=6),
    st.data(),
)
def test_counts_depend_on_the_last_word_of_each_clock_and_on_now_alone(
    puts: list[tuple[str, Contribution]], times: list[int], data: st.DataObject
) -> None:
    """Corrections and the passing of time, however they are mixed, end where a fresh tally ends."""
    one, end = tally(MAY), Instant(MAY + 150 * DAY)
    steps = data.draw(st.permutations([(0, index) for index in range(len(puts))] + [(1, day) for day in times]))
    last: dict[str, Contribution] = {}
    for kind, value in steps:
        if kind:
            one.advance(Instant(MAY + value * DAY))
        else:
            name, contribution = puts[value]
            one.put(name, contribution)
            last[name] = contribution
    one.advance(end)
    fresh = tally(end)
    for name, contribution in last.items():
        fresh.put(name, contribution)
    assert list(one.lines()) == list(fresh.lines())


@pytest.mark.parametrize(("met", "total", "left"), [(80, 100, "-15"), (95, 100, "0"), (10, 10, "0.5"), (0, 0, "0")])
def test_the_budget_is_what_may_still_fail(met: int, total: int, left: str) -> None:
    assert budget_remaining(Decimal("0.95"), met, total) == Decimal(left)


def credits(cap_share: Decimal | None = None, cap_amount: Decimal | None = None) -> Credits:
    bands = (
        CreditBand(Decimal("0.95"), Decimal("0.05"), None),
        CreditBand(Decimal("0.90"), Decimal("0.10"), None),
        CreditBand(Decimal("0.50"), None, Decimal(7777)),
    )
    return Credits("EUR", Decimal(10000), bands, cap_share, cap_amount)


@pytest.mark.parametrize(
    ("met", "total", "amount"),
    [(95, 100, 0), (94, 100, 500), (90, 100, 500), (89, 100, 1000), (49, 100, 7777), (0, 0, 0), (0, 3, 7777)],
)
def test_the_lowest_band_that_the_ratio_is_below_gives_the_credit(met: int, total: int, amount: int) -> None:
    assert credit_amount(credits(), met, total) == amount


def test_a_ratio_at_the_edge_of_a_band_is_not_below_it_even_where_a_float_would_be() -> None:
    third = Credits("EUR", Decimal(100), (CreditBand(Decimal("0.3"), Decimal(1), None),))
    assert credit_amount(third, 3, 10) == 0


def test_a_credit_ends_at_its_cap() -> None:
    assert credit_amount(credits(cap_share=Decimal("0.2")), 0, 10) == 2000
    assert credit_amount(credits(cap_amount=Decimal(300)), 94, 100) == 300
