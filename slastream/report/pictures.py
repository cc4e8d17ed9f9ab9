"""The charts of a report: which numbers each one draws, and what it says of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from markupsafe import Markup

from slastream.core.calendars import Calendar
from slastream.core.units import HOUR
from slastream.report.charts import HALF, WIDTH, Bar, Charts, Level, Part, Point, ratio_axis, value_axis
from slastream.report.figures import (
    AgeBucket,
    ControlResult,
    CreditMonth,
    PromiseResult,
    ServiceLevelReport,
    ServiceResult,
)
from slastream.report.service_figures import services_once
from slastream.report.words import Words

TALLEST = 3
"""A control chart is as high as so many upper limits."""
LISTED_ON_FIRST_PAGE = 6
LISTED = 12
"""Bars of a chart; the table beside it has the others."""


@dataclass(frozen=True, slots=True)
class Pictures:
    report: ServiceLevelReport
    words: Words
    charts: Charts
    zone: Calendar

    def kept_promises(self) -> Markup:
        """The first page's: each customer promise against its objective."""
        promises = [one for one in self.report.promises if one.agreement_kind == "sla" and one.kept.total]
        bars = [
            Bar(
                f"{one.agreement} / {one.promise}",
                (Part(_ratio(one.kept.ratio), "solid"),),
                self.words.percent(one.kept.ratio),
                None if one.objective is None else float(one.objective),
            )
            for one in promises[:LISTED_ON_FIRST_PAGE]
        ]
        return self._bars("picture.kept", bars, full=1.0, width=HALF)

    def parties(self) -> Markup:
        """The first page's: who had the tickets."""
        bars = [
            Bar(
                self.words.word("party", one.party),
                (Part(float(one.held_us), "solid" if one.party == "group" else "hatched"),),
                self.words.percent(Fraction(one.held_us, self.report.efficient.total_us), 0),
            )
            for one in self.report.efficient.parties
        ]
        return self._bars("picture.parties", bars, full=float(self.report.efficient.total_us), width=HALF)

    def providers(self) -> Markup:
        """The first page's: each provider's part of the time that customers waited."""
        bars = [
            Bar(
                one.provider or self.words("unnamed"),
                (Part(_ratio(one.waited), "hatched"),),
                self.words.percent(one.waited),
            )
            for one in self.report.outsourcing.providers[:LISTED_ON_FIRST_PAGE]
        ]
        return self._bars("picture.providers", bars, full=1.0, width=HALF)

    def causes(self) -> Markup:
        """Breaches by who had the ticket for most of the time."""
        bars = [
            Bar(self.holder(one.party, one.name), (Part(one.breaches, "hatched"),), self.words.number(one.breaches))
            for one in self.report.breach_causes[:LISTED]
        ]
        return self._bars("picture.causes", bars)

    def group_times(self) -> Markup:
        bars = [
            Bar(
                self.holder(one.party, one.name),
                (Part(float(one.held_us), "solid" if one.party == "group" else "hatched"),),
                self.words.duration(one.held_us),
            )
            for one in self.report.group_times[:LISTED]
        ]
        return self._bars("picture.parties", bars)

    def holder(self, party: str, name: str | None) -> str:
        """A party, and which one of it."""
        word = self.words.word("party", party)
        return word if name is None else name if party == "group" else f"{word}: {name}"

    def months(self, promise: PromiseResult) -> Markup:
        """A promise's share by month against its objective."""
        words, shares = self.words, [(month.period, month.of(promise.basis)) for month in promise.months]
        points = [
            Point(words.short_month(period), _or_none(share.ratio), words.percent(share.ratio))
            for period, share in shares
        ]
        levels = []
        if promise.objective is not None:
            levels = [
                Level(float(promise.objective), words("picture.objective", percent=words.exactly(promise.objective)))
            ]
        return self._ratio_lines(
            words("picture.months.title", promise=f"{promise.agreement} / {promise.promise}"), points, levels
        )

    def control(self, result: ControlResult, half: bool = False) -> Markup:
        """The newest tickets by the open time that they took; what lies beyond `TALLEST` limits is drawn there."""
        words, upper = self.words, float(result.upper_us / HOUR)
        points = [
            Point(
                words.short_day(one.stopped_at, self.zone),
                min(one.elapsed_us / HOUR, TALLEST * upper),
                words.duration(one.elapsed_us),
                1 in one.rules,
            )
            for one in result.newest
        ]
        drawn = [("upper", result.upper_us, "limit"), ("median", result.median_us, "middle")]
        if result.lower_us:
            drawn.append(("lower", result.lower_us, "limit"))
        levels = [
            Level(float(us / HOUR), words(f"picture.control.{name}", duration=words.duration(us)), style)
            for name, us, style in drawn
        ]
        highest = max(upper, *(one.value for one in points if one.value is not None))
        axis = [Level(value, self._hours(value)) for value in value_axis(highest)]
        title = words("picture.control.title", promise=control_name(result))
        description = words(
            "picture.control.description",
            outside=words.number(sum(1 in one.rules for one in result.newest)),
            shown=words.number(len(points)),
            upper=words.duration(result.upper_us),
            median=words.duration(result.median_us),
        )
        width, height = (HALF, 130) if half else (WIDTH, 190)
        return self.charts.lines(title, description, points, levels, axis, width, height, labels_values=False)

    def _hours(self, value: float) -> str:
        return self.words("format.hours", number=self.words.number(Fraction(value), 0 if value == round(value) else 1))

    def service_months(self) -> Markup:
        """All services' known time, by month."""
        once = services_once(self.report.services)
        points = []
        for index, month in enumerate(once[0].months):
            good = sum(one.months[index].good_us for one in once)
            known = good + sum(one.months[index].bad_us for one in once)
            ratio = Fraction(good, known) if known else None
            points.append(Point(self.words.short_month(month.period), _or_none(ratio), self.words.percent(ratio, 2)))
        return self._ratio_lines(self.words("picture.service_months.title"), points, [])

    def downtime(self) -> Markup:
        """The services that were down for longest."""
        worst = sorted(services_once(self.report.services), key=lambda one: (-one.downtime_us, one.service))
        bars = [
            Bar(one.service, (Part(one.downtime_us / HOUR, "hatched"),), self.words.duration(one.downtime_us))
            for one in worst[:LISTED]
            if one.downtime_us
        ]
        return self._bars("picture.downtime", bars)

    def has_budgets(self) -> bool:
        return any(budget_used(one) for one in self.report.services)

    def budgets(self, half: bool = False) -> Markup:
        """The part of each error budget that was used, the largest first; the goal's mark is the whole budget.

        Half as wide it shows each service once.
        """
        used = [(one, share) for one in self.report.services if (share := budget_used(one))]
        used.sort(key=lambda one: (-one[1], one[0].service, one[0].agreement, one[0].promise))
        if half:
            used = list({one.service: (one, share) for one, share in reversed(used)}.values())[::-1][
                :LISTED_ON_FIRST_PAGE
            ]
        bars = [
            Bar(
                one.service if half else f"{one.service} / {one.promise}",
                (Part(min(1.0, float(share)), "solid"), Part(min(1.0, max(0.0, float(share) - 1)), "hatched")),
                self.words.percent(share, 0),
                1.0,
            )
            for one, share in used[:LISTED]
        ]
        return self._bars("picture.budgets", bars, full=2.0, width=HALF if half else None)

    def ageing(self) -> Markup:
        bars = [
            Bar(
                self.age(one),
                (Part(one.in_time, "plain"), Part(one.without_promise, "dotted"), Part(one.breached, "hatched")),
                self.words.number(one.in_time + one.breached + one.without_promise),
            )
            for one in self.report.ageing
        ]
        title = self.words("picture.ageing.title")
        return self.charts.columns(title, _description(bars), bars)

    def age(self, bucket: AgeBucket) -> str:
        if bucket.before_days is None:
            return self.words("age.from", start=bucket.from_days)
        return self.words("age.between", start=bucket.from_days, end=bucket.before_days)

    def breaches(self, attribute: str) -> Markup:
        found = [one for one in self.report.breach_counts if one.attribute == attribute]
        bars = [
            Bar(
                self.words.word(attribute, one.value), (Part(one.breaches, "hatched"),), self.words.number(one.breaches)
            )
            for one in found[:LISTED]
        ]
        title = self.words("picture.breaches.title", attribute=self.words.word("attribute", attribute))
        return self.charts.bars(title, _description(bars), bars, width=HALF)

    def credits(self, agreement: str, months: Sequence[CreditMonth]) -> Markup:
        bars = [
            Bar(
                self.words.short_month(one.period),
                (Part(float(one.credit), "hatched"),),
                self.words.number(one.credit) if one.credit else "",
            )
            for one in months
        ]
        title = self.words("picture.credits.title", agreement=agreement)
        return self.charts.columns(title, f"{_description(bars)} {months[0].currency}", bars)

    def satisfaction(self) -> Markup:
        """The mean score by month."""
        points = [
            Point(self.words.short_month(one.period), _or_none(one.score), self.words.percent(one.score, 0))
            for one in self.report.satisfaction.months
        ]
        return self._ratio_lines(self.words("picture.satisfaction.title"), points, [])

    def moods(self) -> Markup:
        """Happy, neither and unhappy ratings by the verdict of their ticket."""
        bars = [
            Bar(
                self.words.word("verdict", one.verdict),
                (
                    Part(one.happy.met, "solid"),
                    Part(one.ratings - one.happy.met - one.unhappy.met, "plain"),
                    Part(one.unhappy.met, "hatched"),
                ),
                self.words.number(one.ratings),
            )
            for one in self.report.satisfaction.by_verdict
            if one.ratings
        ]
        return self._bars("picture.moods", bars)

    def _bars(self, name: str, bars: Sequence[Bar], full: float | None = None, width: int | None = None) -> Markup:
        title, description = self.words(f"{name}.title"), _description(bars)
        if width is None:
            return self.charts.bars(title, description, bars, full)
        return self.charts.bars(title, description, bars, full, width)

    def _ratio_lines(self, title: str, points: list[Point], levels: list[Level]) -> Markup:
        known = [*(one.value for one in points if one.value is not None), *(one.value for one in levels)]
        axis = [Level(value, self._axis(value)) for value in ratio_axis(known)]
        description = "; ".join(f"{one.label}: {one.text}" for one in points if one.value is not None)
        return self.charts.lines(title, description, points, levels, axis)

    def _axis(self, value: float) -> str:
        exact = Fraction(value).limit_denominator(10_000) * 100
        digits = next(number for number in range(5) if (exact * 10**number).denominator == 1)
        return self.words("format.percent", number=self.words.number(exact, digits))


def control_name(result: ControlResult) -> str:
    """Of what a chart is: the service only where it has a name."""
    return " / ".join([*([result.service] if result.service else []), result.agreement, result.promise])


def budget_used(service: ServiceResult) -> Fraction | None:
    """The part of the budget that is used; None where there is none."""
    budget, remaining = service.budget_us, service.budget_remaining_us
    if service.is_of_events:
        budget, remaining = service.budget_events, service.budget_remaining_events
    return 1 - remaining / budget if budget and remaining is not None else None


def _ratio(ratio: Fraction | None) -> float:
    return 0.0 if ratio is None else float(ratio)


def _or_none(ratio: Fraction | None) -> float | None:
    return None if ratio is None else float(ratio)


def _description(bars: Iterable[Bar]) -> str:
    return "; ".join(f"{one.label}: {one.text}" for one in bars)
