"""The numbers of a report, and how its command is used."""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from slastream.cli import main
from slastream.core.units import HOUR, MINUTE, parse_instant
from slastream.errors import PolicyError
from slastream.report.as_csv import report_csv
from slastream.report.as_html import Names, report_html
from slastream.report.as_json import report_json
from slastream.report.figures import ServiceLevelReport, Share
from slastream.report.page_parts import PageParts
from slastream.report.report_period import parse_period

from . import everything
from .report_scenario import POLICY, report_of, ticket, worked_example, write

NAMES = Names("policy.yaml", ("events.jsonl",))


def test_the_worked_example_has_80_of_90_completed_and_80_of_100_due(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    [promise] = report.promises
    assert promise.counts.completed == Share(80, 90)
    assert promise.kept == promise.counts.due == Share(80, 100)
    assert promise.counts.started == Share(80, 120)
    assert (promise.counts.cancelled, promise.open, promise.open_breached) == (5, 30, 10)
    assert [one.kept for one in promise.objective_periods] == [Share(80, 100)]
    assert promise.objective_periods[0].allowed == 5
    assert promise.objective_periods[0].remaining == -15


def test_the_evidence_of_a_share_has_its_tickets(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    page = report.evidence[report.promises[0].evidence - 1]
    assert (page.about, page.detail) == ("promise", "gold / resolution")
    assert page.kept == tuple(f"T-{number:03}" for number in range(80))
    assert page.missed == tuple(f"T-{number:03}" for number in range(80, 100))


def test_the_rows_of_a_view_add_up_to_the_promise(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    for attribute in ("priority", "group", "service", "type", "customer"):
        rows = [one.kept for one in report.views if one.attribute == attribute]
        assert sum(rows, Share(0, 0)) == report.promises[0].kept


def test_breaches_are_those_of_the_period_the_longest_over_first(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    assert len(report.breaches) == 20
    assert [one.over_us for one in report.breaches] == sorted(
        (one.over_us or 0 for one in report.breaches), reverse=True
    )
    assert {one.ticket_id for one in report.breaches if one.stopped_at is None} == {f"T-{n:03}" for n in range(90, 100)}
    assert sum(one.breaches for one in report.breach_counts if one.attribute == "priority") == 20


def test_open_tickets_are_counted_by_their_age_at_the_end(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    assert report.as_of == parse_instant("2026-05-31T22:00:00Z")
    assert sum(one.in_time for one in report.ageing) == 20
    assert sum(one.breached for one in report.ageing) == 10
    assert [one.in_time for one in report.ageing if one.before_days == 1] == [20]


def test_availability_outages_and_budget_are_those_of_the_month_in_the_zone(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example())
    [mail] = [one for one in report.services if one.service == "mail"]
    known_us = (31 * 24 - 2) * HOUR  # the first news comes two hours after the midnight of Berlin
    assert (mail.counts.bad_us, mail.counts.good_us) == (30 * MINUTE, known_us - 30 * MINUTE)
    assert mail.counts.ratio == Fraction(known_us - 30 * MINUTE, known_us)
    assert (mail.outages, mail.downtime_us) == (1, 30 * MINUTE)
    assert mail.mttr_us == 30 * MINUTE
    assert mail.windows == Share(1, 1)
    assert report.reliable.availability == mail.counts.ratio


def test_a_log_that_ends_within_the_period_makes_a_running_report(tmp_path: Path) -> None:
    report = report_of(tmp_path, [ticket(1, "2026-05-03T08:00:00Z", "new"), ticket(2, "2026-05-03T09:00:00Z", "new")])
    assert report.is_running
    assert report.as_of == parse_instant("2026-05-03T09:00:00Z")
    assert report.promises[0].kept == Share(0, 0)


def test_what_happens_after_the_period_counts_only_with_a_later_until(tmp_path: Path) -> None:
    events = [
        ticket(1, "2026-05-31T19:00:00Z", "new"),
        ticket(1, "2026-06-01T06:00:00Z", "open", group="late"),
        ticket(1, "2026-06-02T06:00:00Z", "cancelled"),
    ]
    at_its_end = report_of(tmp_path, events, policy=POLICY_1H)
    assert (at_its_end.promises[0].kept, at_its_end.exclusions.cancelled) == (Share(0, 1), ())
    assert at_its_end.breaches[0].group is None
    later = report_of(tmp_path, events, until="2026-06-03T00:00:00Z", policy=POLICY_1H)
    assert later.breaches[0].group == "late"


POLICY_1H = "version: 1\nagreements: {a: {kind: sla, promises: {r: {metric: resolution, within: 1h}}}}\n"


def test_an_objective_of_weeks_is_reached_when_each_week_of_the_month_reaches_it(tmp_path: Path) -> None:
    policy = POLICY.replace("target: 95%, period: month", "target: 80%, period: week")
    [promise] = report_of(tmp_path, worked_example(), policy=policy).promises
    weeks = [one.kept for one in promise.objective_periods]
    assert promise.kept == Share(80, 100)
    assert promise.reached == Share(sum(one.met >= 0.8 * one.total for one in weeks), len(weeks))
    assert 0 < promise.reached.met < promise.reached.total
    [missed] = [
        one
        for one in PageParts(report_of(tmp_path, worked_example(), policy=policy)).missed()
        if "resolution" in one.name
    ]
    assert missed.reached == promise.reached


def test_a_period_of_which_nothing_is_known_has_no_sample(tmp_path: Path) -> None:
    report = report_of(tmp_path, worked_example(), period="2025-01", until="2026-06-02T00:00:00Z")
    assert report.promises[0].kept.ratio is None
    assert report.breaches == ()
    assert b"no sample" in report_html(report, "en", NAMES)


def test_a_report_of_one_customer_has_nothing_of_the_others(tmp_path: Path) -> None:
    events = [
        *worked_example(),
        ticket(900, "2026-05-05T08:00:00Z", "new", service="shop"),
        ticket(901, "2026-06-05T08:00:00Z", "new"),
    ]
    acme, zenith = (report_of(tmp_path, events, customer=name) for name in ("acme", "zenith"))
    assert {one.service for one in acme.services} == {"mail"}
    assert acme.promises[0].kept == Share(80, 100)
    assert (zenith.promises, zenith.exclusions.tickets_without_promise) == ((), 1)
    assert b"T-900" not in report_html(acme, "en", NAMES)
    assert b"T-001" not in report_html(zenith, "en", NAMES)


def test_a_reopened_ticket_of_an_earlier_month_is_told_as_a_correction(tmp_path: Path) -> None:
    events = [
        ticket(1, "2026-05-29T08:00:00Z", "new"),
        ticket(1, "2026-05-29T09:00:00Z", "resolved"),
        ticket(2, "2026-06-01T08:00:00Z", "new"),
        ticket(1, "2026-06-02T08:00:00Z", "open"),
        ticket(3, "2026-07-01T08:00:00Z", "new"),
    ]
    stored = tmp_path / "may.json"
    stored.write_bytes(report_json(report_of(tmp_path, events, "2026-05")))
    june = report_of(tmp_path, events, "2026-06", since=str(stored))
    told = [(one.period, one.measure, one.was, one.now) for one in june.corrections.changes]
    assert ("2026-05", "completed", Share(1, 1), Share(0, 0)) in told
    assert all(period == "2026-05" for period, *_ in told)
    assert b"May 2026" in report_html(june, "en", NAMES)


# ---- one set of numbers in every form --------------------------------------------------------------------------------


class Data(HTMLParser):
    """The numbers of a page: (path, exact value)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "data":
            given = dict(attributes)
            self.found.append((given["data-figure"] or "", given["value"] or ""))


def at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document[int(name)] if name.isdigit() else document[name]
    return document


@pytest.fixture(scope="module")
def everything_report(tmp_path_factory: pytest.TempPathFactory) -> ServiceLevelReport:
    folder = tmp_path_factory.mktemp("everything")
    return report_of(folder, everything.events(), "2026-03", "acme", policy=everything.POLICY)


def test_the_page_and_the_csv_carry_the_numbers_of_the_json(everything_report: ServiceLevelReport) -> None:
    document = json.loads(report_json(everything_report))
    page = Data()
    page.feed(report_html(everything_report, "de", NAMES).decode())
    assert len(page.found) > 400
    for path, value in page.found:
        known = at(document, path)
        assert value == ("" if known is None else str(known)), path
    rows = list(csv.DictReader(io.StringIO(report_csv(everything_report).decode("utf-8-sig"))))
    for row in rows:
        assert row["value"] == str(at(document, row["figure"])), row
    assert {path for path, value in page.found if value} <= {row["figure"] for row in rows}


def test_every_number_of_the_json_but_lists_and_instants_is_a_line_of_the_csv(
    everything_report: ServiceLevelReport,
) -> None:
    document = json.loads(report_json(everything_report))
    document.pop("evidence")
    numbers = sum(not name.endswith("evidence") for name, _ in numbers_of("", document))
    assert len(report_csv(everything_report).decode("utf-8-sig").splitlines()) - 1 == numbers > 1000


def numbers_of(name: str, value: Any) -> Iterator[tuple[str, float]]:
    match value:
        case dict():
            for key, one in value.items():
                yield from numbers_of(key, one)
        case list():
            for one in value:
                yield from numbers_of(name, one)
        case bool() | None | str():
            return
        case _:
            yield name, value


# ---- contracts, suppliers, users -------------------------------------------------------------------------------------


def test_who_had_the_tickets_adds_up(everything_report: ServiceLevelReport) -> None:
    found = everything_report.efficient
    assert {one.party for one in found.parties} == {"group", "provider", "requester", "idle"}
    assert all(one.held_us > 0 for one in found.parties)
    assert sum(one.held_us for one in found.parties) == found.total_us
    assert sum(one.held_us for one in everything_report.group_times) == found.total_us
    suppliers = everything_report.outsourcing
    assert {one.provider for one in suppliers.providers} == {"hosting-co", "cloud-inc"}
    assert sum(one.held_us for one in suppliers.providers) == suppliers.held_us
    assert suppliers.kept == next(one.kept for one in everything_report.promises if one.agreement == "hosting")


def test_the_causes_of_breaches_add_up_to_the_breaches_of_promises_to_customers(
    everything_report: ServiceLevelReport,
) -> None:
    broken = [one for one in everything_report.breaches if one.agreement == "gold"]
    assert sum(one.breaches for one in everything_report.breach_causes) == len(broken) > 0


def test_a_statement_of_credits_adds_up_and_names_what_it_leaves_out(everything_report: ServiceLevelReport) -> None:
    [statement] = everything_report.credits
    assert statement.is_final
    assert sum(one.credit for one in statement.items) == statement.sum
    assert statement.credit == statement.payable + statement.earned_back
    for item in statement.items:
        fee_share = Decimal(0) if item.below is None else BANDS[item.below]
        assert item.credit == fee_share * item.weight * 10000
        assert (
            len(everything_report.evidence[item.evidence - 1].missed) <= item.total - item.met
            or item.promise == "uptime"
        )
    assert {one.reason for one in statement.excluded} == {"Moving house, agreed on 3 March"}
    march = [one.credit for one in everything_report.credit_months if one.period == "2026-03"]
    assert march == [statement.credit]
    assert len(everything_report.credit_months) == 13


BANDS = {Decimal("0.95"): Decimal("0.05"), Decimal("0.90"): Decimal("0.10")}


def test_volumes_and_tickets_out_of_scope_are_counted(everything_report: ServiceLevelReport) -> None:
    [scope] = everything_report.scopes
    page = everything_report.evidence[scope.evidence - 1]
    assert (page.kept, len(page.missed)) == ((), scope.out_of_scope)
    assert scope.out_of_scope > 0
    assert sum(one.tickets for one in scope.volumes) == scope.in_scope
    assert {one.name: one.level for one in scope.volumes} == {"incidents": "within", "requests": "within"}


def test_what_users_say_adds_up(everything_report: ServiceLevelReport) -> None:
    found = everything_report.satisfaction
    assert sum(one.ratings for one in found.by_verdict) == found.ratings == found.months[-1].ratings > 0
    assert found.met_but_unhappy.total == next(one.ratings for one in found.by_verdict if one.verdict == "met")
    [promise] = found.promises
    assert promise.happy == found.happy
    page = everything_report.evidence[found.met_but_unhappy_evidence - 1]
    assert (len(page.missed), len(page.kept) + len(page.missed)) == (
        found.met_but_unhappy.met,
        found.met_but_unhappy.total,
    )


def test_the_statement_of_another_customer_is_in_no_report(tmp_path: Path) -> None:
    events = [*everything.events(), ticket(1, "2026-03-05T08:00:00Z", "new", service="till", customer="zenith")]
    policy = everything.POLICY + OF_ZENITH
    everybody = report_of(tmp_path, events, "2026-03", None, policy=policy)
    assert {one.agreement for one in everybody.credits} == {"gold", "silver"}
    ours = report_of(tmp_path, events, "2026-03", "acme", policy=policy)
    assert {one.agreement for one in ours.credits} == {"gold"}
    assert b"silver" not in report_html(ours, "en", NAMES)


OF_ZENITH = """
  silver:
    kind: sla
    customer: zenith
    rank: 2
    objective: {target: 95%, period: month, basis: due}
    promises: {resolution: {metric: resolution, within: 8h}}
    credits: {fee: 5000 EUR, bands: [{below: 95%, credit: 5%}]}
"""


# ---- the command -----------------------------------------------------------------------------------------------------


def run(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, str]:
    status = main(["report", *arguments])
    done = capsysbinary.readouterr()
    return status, done.out, done.err.decode()


def test_the_command_writes_each_form(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    policy, events = write(tmp_path, worked_example())
    begins = {"html": b"<!DOCTYPE html>", "csv": b"\xef\xbb\xbffigure,section", "json": b"{\n", "pdf": b"%PDF"}
    for form in ("html", "csv", "json"):
        status, out, _ = run(capsysbinary, policy, events, "--period", "2026-05", "--format", form)
        assert (status, out[: len(begins[form])]) == (0, begins[form])
    out_file = tmp_path / "report.html"
    status, out, _ = run(
        capsysbinary, policy, events, "--period", "2026-05", "--language", "ko", "--out", str(out_file)
    )
    assert (status, out) == (0, b"")
    assert '<html lang="ko">' in out_file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--period", "2026-13"), "--period 2026-13: no such period; write a month (2026-03), a quarter (2026-Q1) or a year"),
        (("--period", "March"), "--period March: no such period"),
        (("--period", "2026-Q5"), "--period 2026-Q5: no such period"),
        (("--period", "2026-05", "--customer", "acne"), "names it; did you mean acme?"),
        (("--period", "2026-05", "--until", "2026-04-01T00:00:00Z"), "lies before the period 2026-05; write a later one"),
        (("--period", "2026-05", "--since", "nowhere.json"), "--since nowhere.json: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_reported_is_said(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(capsysbinary, *write(tmp_path, worked_example()), *arguments)
    assert (status, out) == (2, b"")
    assert said in err


def test_a_stored_report_must_be_one(tmp_path: Path) -> None:
    stored = tmp_path / "other.json"
    stored.write_text('{"kind": "verdict"}', encoding="utf-8")
    with pytest.raises(PolicyError, match="is no service level report"):
        report_of(tmp_path, worked_example(), since=str(stored))


def test_without_a_browser_a_pdf_is_refused_with_what_to_do(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, out, err = run(capsysbinary, *write(tmp_path, worked_example()), "--period", "2026-05", "--format", "pdf")
    assert (status, out) == (3, b"")
    assert "needs Chromium or Chrome" in err


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2026-03", "2026-03-01", "2026-04-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026-Q1", "2026-01-01", "2026-04-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("2026", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_period_is_a_month_a_quarter_or_a_year(text: str, first: str, after: str) -> None:
    period = parse_period(text)
    assert (str(period.first_day), str(period.after_day)) == (first, after)
    months = period.months()
    assert len(months) == 13
    assert months[-1].after_day == period.after_day
    assert [one.after_day for one in months[:-1]] == [one.first_day for one in months[1:]]
