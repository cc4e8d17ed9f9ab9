"""A report as one HTML page: no scripts, no external resources, made for A4.

Each number is a `data` element whose `value` is the exact one and whose `data-figure` is its path in the JSON form.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from slastream.core.calendars import Calendar
from slastream.core.units import Duration
from slastream.report.as_json import plain
from slastream.report.charts import Charts
from slastream.report.figures import CreditMonth, Outage, PromiseResult, ServiceLevelReport, Share
from slastream.report.pictures import Pictures, budget_used, control_name
from slastream.report.service_figures import services_once
from slastream.report.words import Words, words_of

CHARTS_SHOWN = 4
"""Control charts; the table has the others."""
LISTED_ON_FIRST_PAGE = 4
LISTED = 12
"""Rows of a long table; the JSON and CSV forms have all of them."""


class Names(NamedTuple):
    """The policy and the event files as the operator named them, for the commands that show more."""

    policy: str
    files: tuple[str, ...]

    def command(self, *words: str) -> str:
        """A command line over them: `command("explain", "--ticket", "OPS-1")`."""
        return shlex.join(["slastream", words[0], self.policy, *self.files, *words[1:]])


def report_html(report: ServiceLevelReport, language: str, names: Names) -> bytes:
    words, zone = words_of(language), Calendar.always(report.timezone)
    environment = Environment(
        loader=PackageLoader("slastream.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        words=words,
        figure=Figures(report, words),
        picture=Pictures(report, words, Charts(), zone),
        zone=zone,
        names=names,
        repeat=names.command("report", *_choice(report), "--format", "json"),
        listed=LISTED,
        views=_views(report),
        promise_names=[f"{one.agreement} / {one.promise}" for one in report.promises],
        has_months=_has_months,
        months_with_clocks=_months_with_clocks(report),
        missed=_missed(report, words),
        judged=len(list(_judged(report))),
        listed_on_first_page=LISTED_ON_FIRST_PAGE,
        control_name=control_name,
        credit_charts=_credit_charts(report),
        charts_shown=CHARTS_SHOWN,
        services_by_need=_by_need(report, keeps_events=True),
        times_by_need=_by_need(report, keeps_events=False),
        outages=_outages(report),
        definitions=[
            name.split(".")[1] for name in words.texts if name.startswith("define.") and name.endswith(".text")
        ],
    )
    return page.encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of the report by their path (`promises.0.kept`), as people read them and with their exact value."""

    report: ServiceLevelReport
    words: Words

    def value(self, path: str) -> Any:
        found: Any = self.report
        for name in path.split("."):
            found = found[int(name)] if name.isdigit() else getattr(found, name)
        return found

    def count(self, path: str, digits: int = 0) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.word("", None) if value is None else self.words.number(value, digits))

    def percent(self, path: str, digits: int = 1) -> Markup:
        """Of a ratio; of a share its ratio."""
        value = self.value(path)
        if isinstance(value, Share):
            return self._data(f"{path}.ratio", value.ratio, self.words.percent(value.ratio, digits))
        return self._data(path, value, self.words.percent(value, digits))

    def exactly(self, path: str) -> Markup:
        """A ratio of the policy, with all of its digits."""
        value = self.value(path)
        return self._data(path, value, self.words.word("", None) if value is None else self.words.exactly(value))

    def share(self, path: str) -> Markup:
        """`met` of `total`."""
        met, total = self.count(f"{path}.met"), self.count(f"{path}.total")
        return escape(self.words.texts["format.share"]).format(met=met, total=total)

    def money(self, path: str, currency: str) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.money(value, currency))

    def duration(self, path: str) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.duration(value))

    def _data(self, path: str, value: Any, text: str) -> Markup:
        name, exact = plain(path.rpartition(".")[2], value)
        head = path.rpartition(".")[0]
        return Markup('<data data-figure="{}" value="{}">{}</data>').format(
            f"{head}.{name}" if head else name, "" if exact is None else exact, text
        )


def _choice(report: ServiceLevelReport) -> list[str]:
    return ["--period", report.period, *([] if report.customer is None else ["--customer", report.customer])]


def _has_months(promise: PromiseResult) -> bool:
    return any(month.of(promise.basis).total for month in promise.months)


def _months_with_clocks(report: ServiceLevelReport) -> list[int]:
    """The places of the months in which a promise has something to count; the report's last one is always among them."""
    months = range(len(report.promises[0].months)) if report.promises else range(0)
    return [
        number
        for number in months
        if number == len(months) - 1 or any(one.months[number].of(one.basis).total for one in report.promises)
    ]


def _by_need(report: ServiceLevelReport, keeps_events: bool) -> list[int]:
    """The places of the promises about services, those that lost most of their budget first."""
    places = [place for place, one in enumerate(report.services) if keeps_events or not one.is_of_events]
    return sorted(places, key=lambda place: -(budget_used(report.services[place]) or 0))


def _outages(report: ServiceLevelReport) -> list[tuple[str, Outage, Duration]]:
    """Each service's outages with how long they lasted until the report's end, the longest first."""
    found = [
        (one.service, outage, Duration((report.as_of if outage.end is None else outage.end) - outage.start))
        for one in services_once(report.services)
        for outage in one.outage_list
    ]
    return sorted(found, key=lambda one: -one[2])


def _credit_charts(report: ServiceLevelReport) -> list[tuple[str, list[CreditMonth]]]:
    """The months of each agreement that credited anything in them."""
    found: dict[str, list[CreditMonth]] = {}
    for one in report.credit_months:
        found.setdefault(one.agreement, []).append(one)
    return [(name, months) for name, months in found.items() if any(one.credit for one in months)]


def _judged(report: ServiceLevelReport) -> Iterator[tuple[str, Fraction, Decimal]]:
    """(name, what was reached, goal) of everything with a goal and a sample in the period."""
    for one in report.promises:
        if one.objective is not None and one.kept.ratio is not None:
            yield f"{one.agreement} / {one.promise}", one.kept.ratio, one.objective
    for service in report.services:
        if service.counts.ratio is not None:
            name = f"{service.service} / {service.agreement} / {service.promise}"
            yield name, service.counts.ratio, service.target
    for felt in report.satisfaction.promises:
        if felt.happy.ratio is not None:
            yield f"{felt.agreement} / {felt.promise}", felt.happy.ratio, felt.target


def _missed(report: ServiceLevelReport, words: Words) -> list[tuple[str, str, str]]:
    """The goals that were missed, those furthest below first, in words."""
    below = [(ratio - Fraction(goal), name, ratio, goal) for name, ratio, goal in _judged(report) if ratio < goal]
    return [
        (name, words.percent(ratio, 2), words.exactly(goal))
        for _, name, ratio, goal in sorted(below, key=lambda one: one[:2])
    ]


class View(NamedTuple):
    """Along one attribute: for each value the place in `report.views` of each promise's row, None where it has none."""

    attribute: str
    promises: list[tuple[str, str]]
    rows: list[tuple[str | None, list[int | None]]]


def _views(report: ServiceLevelReport) -> list[View]:
    """The attributes that tell tickets apart, the values with most clocks first."""
    places = {(one.attribute, one.value, one.agreement, one.promise): index for index, one in enumerate(report.views)}
    views = []
    for attribute in dict.fromkeys(one.attribute for one in report.views):
        totals: dict[str | None, int] = {}
        promises: set[tuple[str, str]] = set()
        for one in report.views:
            if one.attribute == attribute:
                totals[one.value] = totals.get(one.value, 0) + one.kept.total
                promises.add((one.agreement, one.promise))
        if len(totals) > 1:
            columns = sorted(promises)
            values = sorted(totals, key=lambda value: -totals[value])
            rows = [(value, [places.get((attribute, value, *column)) for column in columns]) for value in values]
            views.append(View(attribute, columns, rows))
    return views
