"""The page of a report: valid, complete in itself, accessible, and made for paper."""

import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Page

from slastream.errors import DeliveryError
from slastream.report.as_html import Names, report_html
from slastream.report.as_pdf import report_pdf
from slastream.report.words import LANGUAGES

from . import everything
from .report_looks import faults_of
from .report_scenario import report_of, worked_example

VOID = {"meta", "br", "link", "img", "hr", "input", "rect", "line", "circle", "path"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A month with everything, in each language."""
    folder = tmp_path_factory.mktemp("report")
    report = report_of(folder, everything.events(), "2026-03", "acme", policy=everything.POLICY)
    names = Names("policy of acme.yaml", ("events.jsonl",))
    return {language: report_html(report, language, names).decode() for language in LANGUAGES}


class Outline(HTMLParser):
    """Checks that elements nest, that ids are unique, and collects references."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: set[str] = set()
        self.addresses: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        for name in ("aria-labelledby", "aria-describedby"):
            self.references |= set((given.get(name) or "").split())
        for name in ("href", "src", "xlink:href", "action", "data", "poster", "srcset"):
            if given.get(name):
                self.addresses.append(given[name] or "")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    assert found.open == []
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_elements_nest_and_every_reference_leads_somewhere(pages: dict[str, str], language: str) -> None:
    found = outline(pages[language])
    assert len(found.ids) == len(set(found.ids))
    assert found.references <= set(found.ids)
    assert {address[1:] for address in found.addresses} <= set(found.ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_fetched(pages: dict[str, str], language: str) -> None:
    page = pages[language]
    assert all(address.startswith("#") for address in outline(page).addresses)
    assert "<script" not in page
    assert not re.findall(r"url\((?!#)|@import|https?://", page)


def test_every_chart_says_what_it_shows_and_every_table_what_its_cells_are_of(pages: dict[str, str]) -> None:
    page = pages["en"]
    charts = re.findall(r'<svg class="chart" role="img".*?</svg>', page, re.DOTALL)
    assert len(charts) >= 20
    for chart in charts:
        assert re.search(r"<title id=\"c\d+t\">[^<]+</title><desc id=\"c\d+d\">[^<]+</desc>", chart)
        assert not re.search(r"nan|inf", re.sub(r">[^<]*<", "><", chart))
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) >= 25
    for table in tables:
        assert re.search(r"<caption>[^<]+</caption>", table)
        assert table.count("<th ") == table.count('<th scope="')
        assert table.count('<th scope="row"') == table.count("<tr>") - 1 > 0


@pytest.mark.parametrize("period", ["2026-03", "2025-03", "2019-01"])
def test_no_chart_is_empty(tmp_path: Path, period: str) -> None:
    """Of a full month, of the first one, and of one without anything."""
    report = report_of(tmp_path, everything.events(), period, "acme", policy=everything.POLICY)
    page = report_html(report, "en", Names("policy.yaml", ("events.jsonl",))).decode()
    for chart in re.findall(r'<svg class="chart" role="img".*?</svg>', page, re.DOTALL):
        assert "<circle" in chart or "<path" in chart or re.search(r'<rect [^>]*width="(?!0\.0")', chart), chart


def test_a_name_cannot_bring_in_markup(tmp_path: Path) -> None:
    events = [
        {**one, "ticket": {**one["ticket"], "group": "<script>alert(1)</script>"}} if "ticket" in one else one
        for one in worked_example()
    ]
    page = report_html(report_of(tmp_path, events), "en", Names("p.yaml", ("<b>.jsonl",))).decode()
    assert "<script" not in page
    assert "<b>" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_accessible_and_nothing_lies_over_another(
    pages: dict[str, str], browser_page: Page, language: str
) -> None:
    assert faults_of(pages[language], browser_page) == []


def test_many_promises_and_long_names_fit_on_the_paper(tmp_path: Path, browser_page: Page) -> None:
    promises = "".join(
        f"      a-promise-with-a-long-name-{n}: {{metric: resolution, within: {n}h}}\n" for n in range(1, 10)
    )
    policy = f"version: 1\nagreements:\n  an-agreement-of-the-house:\n    kind: sla\n    promises:\n{promises}"
    events = [
        {**one, "ticket": {**one["ticket"], "group": "a-group-with-a-name-that-never-ends-" * 3}}
        if "ticket" in one
        else one
        for one in worked_example()
    ]
    report = report_of(tmp_path, events, policy=policy)
    page = report_html(report, "de", Names("policy.yaml", ("events.jsonl",))).decode()
    assert faults_of(page, browser_page) == []


def test_it_prints_as_pdf(pages: dict[str, str]) -> None:
    if which("chromium") is None:
        pytest.skip("no chromium on the PATH")
    printed = report_pdf(pages["de"].encode(), "de")
    assert printed.startswith(b"%PDF-")
    assert 8 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 16


def test_without_a_font_of_the_language_a_pdf_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chromium", "fc-list"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeliveryError, match="no font of this machine has the letters of --language ko; install one"):
        report_pdf(b"<p>", "ko")


def test_the_wheel_has_the_templates_and_the_words(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(root),
    ]
    subprocess.run([sys.executable, *command], check=True, timeout=200)
    [wheel] = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "catalogues"):
        source = root / "slastream" / "report" / folder
        assert {f"slastream/report/{folder}/{one.name}" for one in source.iterdir()} <= inside
