"""The story of a ticket as a page: complete, on its own, accessible, and the same as the text."""

import json
import re
from itertools import groupby
from pathlib import Path

import pytest
from playwright.sync_api import Page

from slastream.cli import main

from .report_looks import faults_of

POLICY = """
version: 1
calendars: {office: {hours: {mon-fri: ["08:00-18:00"]}}}
agreements:
  gold:
    kind: sla
    calendar: office
    promises:
      resolution: {metric: resolution, within: 4h, warn_at: [50%]}
      closure: {metric: closure, within: {P1: 8h}}
"""
EVENTS = [
    ("2026-03-02T07:00:00Z", {"status": "new", "service": "mail", "title": "<b>no & markup</b>"}),
    ("2026-03-02T09:00:00Z", {"status": "pending"}),
    ("2026-03-02T12:00:00Z", {"status": "open"}),
    ("2026-03-03T09:00:00Z", {"status": "resolved"}),
]


@pytest.fixture
def page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    policy, log = tmp_path / "policy.yaml", tmp_path / "log.jsonl"
    policy.write_text(POLICY)
    events = [{"ticket_id": "A<1>", "occurred_at": at, "ticket": ticket} for at, ticket in EVENTS]
    log.write_text("\n".join(map(json.dumps, events)))
    assert main(["explain", str(policy), str(log), "--ticket", "A<1>", "--format", "html"]) == 0
    return capsys.readouterr().out


def test_every_stretch_is_drawn_and_told(page: str) -> None:
    drawn = re.findall(
        r'<rect x="[\d.]+" y="36" width="[\d.]+" height="36" (?:class="(\w+)"|fill="url\(#(\w+)\)")', page
    )
    kinds = ["".join(kind).replace("stripes", "paused") for kind in drawn]
    assert [kind for kind, _ in groupby(kinds)] == ["closed", "counts", "paused", "counts", "closed", "counts"]
    rows = re.findall(r'<th scope="row">([^<]+)</th><td>([\w ]+)</td><td class="number">([^<]*)</td>', page)
    assert [what for _, what, _ in rows if what in ("counts", "paused", "closed")] == kinds
    assert ("paused", "3 h") in [(what, added) for _, what, added in rows]
    assert {what for _, what, _ in rows} >= {"started", "target", "warned", "breached", "stopped"}
    assert "gold / closure: no target" in page


def test_it_stands_alone_and_escapes_what_the_ticket_says(page: str) -> None:
    assert "A&lt;1&gt;" in page
    assert "A<1>" not in page
    assert not re.search(r'(?:src|href)="|@import|https?://', page.replace('xmlns="http://www.w3.org', ""))


def test_it_is_accessible_and_nothing_lies_over_another(page: str, browser_page: Page) -> None:
    assert not faults_of(page, browser_page)
