"""A stored report against its log: what is confirmed, what is not, and what stands behind a figure."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from slastream.app import Audited, audit, lines_of_files, load_policy_path
from slastream.cli import main
from slastream.errors import PolicyError

from .report_scenario import POLICY, Event, ticket, worked_example

Json = dict[str, Any]


class Shelf:
    """A policy, a log and a report of May 2026 that was made of them."""

    def __init__(self, folder: Path, events: list[Event], *options: str) -> None:
        self.policy, self.log, self.report = (str(folder / name) for name in ("p.yaml", "log.jsonl", "r.json"))
        Path(self.policy).write_text(POLICY)
        self.write(events)
        made = ["report", self.policy, self.log, "--period", "2026-05", *options, "--format", "json"]
        assert main([*made, "--out", self.report]) == 0

    def write(self, events: list[Event]) -> None:
        Path(self.log).write_text("\n".join(map(json.dumps, events)) + "\n")

    def audit(self, figure: str | None = None, ticket: str | None = None) -> Audited:
        lines = lines_of_files([self.log])
        return audit(load_policy_path(self.policy), lines, self.report, figure, ticket)

    def stored(self) -> Json:
        found: Json = json.loads(Path(self.report).read_text())
        return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path, worked_example())


def differing(found: Audited) -> set[str]:
    return {line["path"] for line in found.lines if line["kind"] == "differing"}


def test_the_same_log_confirms_the_report(shelf: Shelf) -> None:
    found = shelf.audit()
    assert found.is_verified
    assert [line["is_same"] for line in found.lines] == [True] * 4
    assert found.lines[-1]["stored"] > 500, "every figure was compared"


def test_order_repetition_and_what_came_later_change_nothing(shelf: Shelf) -> None:
    later = [ticket(700, "2026-06-03T08:00:00Z", "new"), ticket(83, "2026-06-03T08:00:00Z", "closed")]
    shelf.write([*reversed(worked_example()), *worked_example()[:9], *later])
    assert shelf.audit().is_verified


def test_a_report_of_a_running_month_is_confirmed_when_the_month_has_gone_on(tmp_path: Path) -> None:
    early = [one for one in worked_example() if one["occurred_at"] < "2026-05-20"]
    shelf = Shelf(tmp_path, early)
    shelf.write(worked_example())
    assert shelf.stored()["is_running"]
    assert shelf.audit().is_verified


def test_a_figure_that_somebody_changed_is_found(shelf: Shelf) -> None:
    stored = shelf.stored()
    stored["promises"][0]["kept"]["met"] += 1
    Path(shelf.report).write_text(json.dumps(stored))
    found = shelf.audit()
    assert not found.is_verified
    assert differing(found) == {"promises.0.kept.met"}


def test_an_event_that_came_late_is_found_by_the_evidence_and_by_the_figures(shelf: Shelf) -> None:
    shelf.write([*worked_example(), ticket(83, "2026-05-28T08:00:00Z", "resolved", priority="P3")])
    found = shelf.audit()
    assert not found.is_verified
    (digest,) = (line for line in found.lines if line.get("what") == "digest")
    assert not digest["is_same"]
    assert differing(found)


def test_another_policy_confirms_nothing_even_with_the_same_figures(shelf: Shelf) -> None:
    Path(shelf.policy).write_text(POLICY + "# signed\n")
    found = shelf.audit()
    assert not found.is_verified
    assert not differing(found)
    assert {line["what"] for line in found.lines if not line["is_same"]} == {"policy_version", "digest"}


def test_the_chain_behind_a_figure(shelf: Shelf) -> None:
    found = shelf.audit("promises.0.kept.met")
    (figure,) = (line for line in found.lines if line["kind"] == "figure")
    assert (figure["value"], figure["tickets_for"], figure["tickets_against"]) == (80, 80, 20)
    assert figure["policy_version"] == shelf.stored()["policy_version"]
    verdicts = [line for line in found.lines if line["kind"] == "verdict"]
    assert [line["counts_for"] for line in verdicts].count(True) == 80
    assert {line["calendar"] for line in verdicts} == {"24x7"}
    log = Path(shelf.log).read_text().splitlines()
    events = [line for line in found.lines if line["kind"] == "event"]
    assert len(events) == 190, "80 and 10 tickets were closed, 10 were not"
    assert all(line["content"] == log[line["line"] - 1] for line in events)


def test_one_ticket_of_a_figure(shelf: Shelf) -> None:
    found = shelf.audit("promises.0.kept", "T-085")
    told = [line for line in found.lines if line["kind"] in ("verdict", "event")]
    assert [line["kind"] for line in told] == ["verdict", "event", "event"]
    assert told[0]["counts_against"]


def test_a_ticket_that_the_log_no_longer_has_is_told(shelf: Shelf) -> None:
    shelf.write([one for one in worked_example() if one.get("ticket_id") != "T-085"])
    found = shelf.audit("promises.0.kept", "T-085")
    assert {"kind": "missing", "ticket_id": "T-085"} in found.lines


def test_behind_a_figure_of_a_service_is_its_news(shelf: Shelf) -> None:
    found = shelf.audit("services.0.counts.bad_seconds")
    services = {json.loads(line["content"])["service"] for line in found.lines if line["kind"] == "event"}
    assert services == {shelf.stored()["services"][0]["service"]}


@pytest.mark.parametrize(
    ("figure", "ticket_id", "said"),
    [
        ("promises.9.kept", None, "--figure promises.9.kept: the report has no '9' there; there is 0 to"),
        ("promises.0.kep", None, "there is agreement, agreement_kind"),
        ("as_of", None, "nothing around it names its evidence; name one of: promises.0"),
        ("promises.0.kept", "T-999", "--ticket T-999: is not behind promises.0.kept"),
        (None, "T-001", "name one with --figure"),
    ],
)
def test_what_is_not_there_is_refused(shelf: Shelf, figure: str | None, ticket_id: str | None, said: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(said)):
        shelf.audit(figure, ticket_id)


def test_the_command_says_yes_or_no(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", shelf.policy, shelf.log, "--report", shelf.report]
    assert main([*arguments, "--figure", "promises.0.kept", "--ticket", "T-085"]) == 0
    out, err = capsys.readouterr()
    assert "differ" in out
    assert "T-085  gold / resolution, cycle 1: breached (counts against it)" in out
    assert "the report is what this log and this policy say" in err
    shelf.write(worked_example()[5:])
    assert main(arguments) == 1
    assert "NOT" in capsys.readouterr().err
    assert main([*arguments[:-1], shelf.log]) == 2
    assert "--report" in capsys.readouterr().err
