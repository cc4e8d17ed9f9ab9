"""What the tables of the page are made of: rows and columns as places in the report, chosen and put in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, TypeVar

from slastream.core.units import Duration
from slastream.report.figures import NONE_YET, CreditMonth, Outage, PromiseResult, ServiceLevelReport, Share
from slastream.report.pictures import budget_used
from slastream.report.service_figures import services_once

COLUMNS = 4
"""Promises beside each other in one table: more do not fit on paper."""
Item = TypeVar("Item")


class Judged(NamedTuple):
    """Something with a goal: what it came to in the period, and how many of its own periods or windows reached the goal."""

    name: str
    ratio: Fraction | None
    goal: Decimal
    reached: Share

    @property
    def is_reached(self) -> bool:
        """Without a whole window the time so far decides."""
        if self.reached.total:
            return self.reached.met == self.reached.total
        return self.ratio is None or self.ratio >= self.goal


class View(NamedTuple):
    """Along one attribute: for each value the place in `report.views` of each promise's row, None where it has none."""

    attribute: str
    promises: list[tuple[str, str]]
    rows: list[tuple[str | None, list[int | None]]]


@dataclass(frozen=True, slots=True)
class PageParts:
    report: ServiceLevelReport

    def judged(self) -> list[Judged]:
        """Everything with a goal and a sample."""
        return list(self._judged())

    def _judged(self) -> Iterator[Judged]:
        for one in self.report.promises:
            if one.objective is not None and one.reached.total:
                yield Judged(f"{one.agreement} / {one.promise}", one.kept.ratio, one.objective, one.reached)
        for service in self.report.services:
            if service.windows.total or service.counts.ratio is not None:
                name = f"{service.service} / {service.agreement} / {service.promise}"
                yield Judged(name, service.counts.ratio, service.target, service.windows)
        for felt in self.report.satisfaction.promises:
            if felt.happy.ratio is not None:
                yield Judged(f"{felt.agreement} / {felt.promise}", felt.happy.ratio, felt.target, NONE_YET)

    def missed(self) -> list[Judged]:
        """The goals that were missed, those furthest below first."""
        missed = [one for one in self._judged() if not one.is_reached]
        return sorted(missed, key=lambda one: ((one.ratio or 0) - Fraction(one.goal), one.name))

    def promise_columns(self) -> list[list[int]]:
        """The places of the promises, as many as fit into a table."""
        return in_groups(range(len(self.report.promises)))

    def has_months(self, promise: PromiseResult) -> bool:
        return any(month.of(promise.basis).total for month in promise.months)

    def months_with_clocks(self) -> list[int]:
        """The places of the months in which a promise has something to count, and that of the report's last one."""
        promises = self.report.promises
        last = len(promises[0].months) - 1
        return [
            number
            for number in range(last + 1)
            if number == last or any(one.months[number].of(one.basis).total for one in promises)
        ]

    def views(self) -> Iterator[View]:
        """The attributes that tell tickets apart, the values with most clocks first."""
        rows = self.report.views
        places = {(one.attribute, one.value, one.agreement, one.promise): place for place, one in enumerate(rows)}
        for attribute in dict.fromkeys(one.attribute for one in rows):
            totals: dict[str | None, int] = {}
            for one in rows:
                if one.attribute == attribute:
                    totals[one.value] = totals.get(one.value, 0) + one.kept.total
            if len(totals) < 2:
                continue
            values = sorted(totals, key=lambda value: -totals[value])
            promises = sorted({(one.agreement, one.promise) for one in rows if one.attribute == attribute})
            for group in in_groups(promises):
                cells = [(value, [places.get((attribute, value, *names)) for names in group]) for value in values]
                yield View(attribute, group, cells)

    def services_by_need(self, keeps_events: bool) -> list[int]:
        """The places of the promises about services, those that lost most of their budget first."""
        services = self.report.services
        places = [place for place, one in enumerate(services) if keeps_events or not one.is_of_events]
        return sorted(places, key=lambda place: -(budget_used(services[place]) or 0))

    def outages(self) -> list[tuple[str, Outage, Duration]]:
        """Each service's outages with how long they lasted until the report's end, the longest first."""
        found = [
            (one.service, outage, Duration((self.report.as_of if outage.end is None else outage.end) - outage.start))
            for one in services_once(self.report.services)
            for outage in one.outage_list
        ]
        return sorted(found, key=lambda one: -one[2])

    def credit_charts(self) -> list[tuple[str, list[CreditMonth]]]:
        """The months of each agreement that credited anything in them."""
        found: dict[str, list[CreditMonth]] = {}
        for one in self.report.credit_months:
            found.setdefault(one.agreement, []).append(one)
        return [(name, months) for name, months in found.items() if any(one.credit for one in months)]


def in_groups(items: Sequence[Item]) -> list[list[Item]]:
    return [list(items[start : start + COLUMNS]) for start in range(0, len(items), COLUMNS)]
