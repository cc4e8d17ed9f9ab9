"""`slastream import --dry-run` shows and counts, and writes nothing."""

import json
from pathlib import Path

import pytest

from slastream.cli import main

MAPPING = """
events:
  - ticket_id: {column: id}
    occurred_at: {column: opened}
    type: created
    ticket: {status: new}
  - when: {closed: {exists: true}}
    ticket_id: {column: id}
    occurred_at: {column: closed}
    ticket: {status: closed}
"""
ROWS = """id,opened,closed
1,2026-03-02T09:00:00Z,2026-03-02T11:00:00Z
2,2026-03-01T09:00:00Z,
3,yesterday,
4,2026-03-03T09:00:00Z,2026-03-04T09:00:00Z
5,2026-03-03T10:00:00Z,2026-03-03T12:00:00Z
"""


def test_first_events_counts_and_refused_rows_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping, rows, out = tmp_path / "mapping.yaml", tmp_path / "rows.csv", tmp_path / "events.jsonl"
    mapping.write_text(MAPPING, encoding="utf-8")
    rows.write_text(ROWS, encoding="utf-8")
    assert main(["import", str(mapping), str(rows), "--dry-run", "--out", str(out)]) == 1
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert [event["ticket_id"] for event in events] == ["1", "1", "2", "4", "4"]
    assert f"{rows}:4: opened: " in printed.err
    assert printed.err.splitlines()[-5:] == [
        "nothing is written: 5 of 7 events shown, 1 refused",
        "  ticket changed: 3",
        "  ticket created: 4",
        "  tickets: 4",
        "  from 2026-03-01T09:00:00Z to 2026-03-04T09:00:00Z",
    ]
    assert not out.exists()


def test_services_are_counted_by_their_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = [
        {"service": "mail", "occurred_at": "2026-03-02T09:00:00Z", "state": "down"},
        {"service": "mail", "occurred_at": "2026-03-02T09:05:00Z", "state": "up"},
        {"service": "web", "occurred_at": "2026-03-02T09:05:00Z", "counts": {"good": 1, "total": 2}},
    ]
    rows.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert main(["import", "native", str(rows), "--dry-run"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "nothing is written: 3 of 3 events shown, 0 refused",
        "  service counts: 1",
        "  service down: 1",
        "  service up: 1",
        "  services: 2",
        "  from 2026-03-02T09:00:00Z to 2026-03-02T09:05:00Z",
    ]


def test_file_without_events_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.jsonl").write_text("", encoding="utf-8")
    assert main(["import", "native", str(tmp_path / "rows.jsonl"), "--dry-run"]) == 0
    assert capsys.readouterr().err == "nothing is written: 0 of 0 events shown, 0 refused\n"
