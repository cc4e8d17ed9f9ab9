"""The report of July 2026 of a status page: every figure about its services again, from the raw file.

A state holds until the next row of its site. `degraded` is good, and nothing is excluded, so that a month is good and bad time
from the first row on.
"""

import csv
import json
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page

from slastream.app import load_policy_path, service_level_report
from slastream.ingest.mapping import load_mapping
from slastream.report.as_html import Names, report_html
from slastream.report.as_json import report_json
from slastream.report.report_period import parse_period

from .report_looks import faults_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "upptime"
TARGET = 0.995
Site = list[tuple[int, bool]]
"""(second, is it down) of each change, the first row first."""


class Two(NamedTuple):
    report: Any
    page: str
    sites: dict[str, Site]


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.fixture(scope="module")
def two(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Two:
    raw = tmp_path_factory.mktemp("upptime") / "checks.csv"
    raw.write_bytes(lzma.decompress((shared / "data" / "upptime" / "dhbern.checks.csv.xz").read_bytes()))
    events = list(load_mapping(str(EXAMPLES / "mapping.yaml")).run([str(raw)], print))

    def read() -> Iterator[tuple[str, int, bytes]]:
        return (("upptime", number, line) for number, line in enumerate(events, 1))

    report = service_level_report(load_policy_path(EXAMPLES / "policy.yaml"), read, parse_period("2026-07"), "readers")
    page = report_html(report, "de", Names("policy.yaml", ("events.jsonl",))).decode()
    return Two(json.loads(report_json(report)), page, sites_of(raw))


def sites_of(raw: Path) -> dict[str, Site]:
    with raw.open(encoding="utf-8") as lines:
        rows = [(second(one["committed_at"]), number, one) for number, one in enumerate(csv.DictReader(lines))]
    sites: dict[str, Site] = {}
    for at, _, row in sorted(rows, key=lambda one: one[:2]):
        if row["slug"] != "wikipedia":
            sites.setdefault(row["slug"], []).append((at, row["status"] == "down"))
    return sites


def downtimes(site: Site, start: int, end: int) -> list[int]:
    """Seconds of each stretch of `down` in `[start, end)` that has any."""
    found, began = [], None
    for at, is_down in [*site, (10**12, False)]:
        if is_down and began is None:
            began = at
        elif not is_down and began is not None:
            length = min(at, end) - max(began, start)
            if length > 0:
                found.append(length)
            began = None
    return found


def bounds(period: str) -> tuple[int, int]:
    year, month = (int(one) for one in period.split("-"))
    ends = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()), int(ends.timestamp())


def test_the_good_and_the_bad_time_of_each_month(two: Two) -> None:
    assert {one["service"] for one in two.report["services"]} == {
        name for name, site in two.sites.items() if site[0][0] < bounds("2026-07")[1]
    }
    for service in two.report["services"]:
        site = two.sites[service["service"]]
        for month in service["months"]:
            start, end = bounds(month["period"])
            start = max(start, site[0][0])
            bad = sum(downtimes(site, start, end))
            assert month["bad_seconds"] == bad, (service["service"], month["period"])
            assert month["good_seconds"] == max(0, end - start) - bad
            if end > start:
                assert month["ratio"] == pytest.approx(1 - bad / (end - start), rel=1e-12)


def test_outages_budgets_and_windows_of_the_month(two: Two) -> None:
    start, end = bounds("2026-07")
    for service in two.report["services"]:
        site = two.sites[service["service"]]
        start_here = max(start, site[0][0])
        lengths = downtimes(site, start_here, end)
        assert service["outages"] == len(lengths)
        assert service["downtime_seconds"] == sum(lengths)
        assert service["longest_seconds"] == max(lengths, default=0)
        assert service["mttr_seconds"] == (sum(lengths) / len(lengths) if lengths else None)
        budget = (1 - TARGET) * (end - start_here)
        assert service["budget_seconds"] == pytest.approx(budget)
        assert service["budget_remaining_seconds"] == pytest.approx(budget - sum(lengths))
        days = [end - start] if service["window"] == "month" else [86400] * 31
        kept = known = 0
        for number, length in enumerate(days):
            first, last = max(start_here, start + number * length), start + (number + 1) * length
            if last > first:
                known += 1
                kept += sum(downtimes(site, first, last)) <= (1 - TARGET) * (last - first) + 1e-9
        assert service["windows"] == {"met": kept, "total": known, "ratio": kept / known}


def test_the_first_page_adds_up_each_site_once(two: Two) -> None:
    start, end = bounds("2026-07")
    bad = known = outages = 0
    for site in two.sites.values():
        if site[0][0] < end:
            lengths = downtimes(site, max(start, site[0][0]), end)
            bad, known, outages = bad + sum(lengths), known + end - max(start, site[0][0]), outages + len(lengths)
    told = two.report["reliable"]
    assert (told["known_seconds"], told["good_seconds"], told["downtime_seconds"], told["outages"]) == (
        known,
        known - bad,
        bad,
        outages,
    )
    assert told["availability"] == pytest.approx(1 - bad / known, rel=1e-12)


def test_its_page_is_accessible_and_nothing_lies_over_another(two: Two, browser_page: Page) -> None:
    assert faults_of(two.page, browser_page) == []
