"""What a proposed policy would change, told line by line."""

import json
from pathlib import Path
from typing import Any

from slastream.app import lines_of_files, load_policy_path, what_if
from slastream.cli import main

Json = dict[str, Any]
EVENTS = [
    {"ticket_id": "A", "occurred_at": "2026-03-02T10:00:00Z", "ticket": {"service": "mail", "status": "new"}},
    {"ticket_id": "A", "occurred_at": "2026-03-02T12:00:00Z", "ticket": {"status": "resolved"}},
    {
        "ticket_id": "B",
        "occurred_at": "2026-03-02T12:00:00Z",
        "ticket": {"service": "mail", "status": "new", "type": "x"},
    },
    {"service": "mail", "occurred_at": "2026-03-02T00:00:00Z", "state": "up"},
    {"service": "mail", "occurred_at": "2026-03-02T06:00:00Z", "state": "down"},
]


def policy(within: str = "4h", match: str = "{}", target: str = "99%", more: str = "") -> str:
    return f"""version: 1
agreements:
  a:
    kind: sla
    match: {match}
    objective: {{target: 90%, basis: completed}}
    promises:
      r: {{metric: resolution, within: {within}}}
      up: {{metric: availability, target: {target}, window: day}}
{more}"""


def write(folder: Path, before: str, after: str) -> list[str]:
    (folder / "now.yaml").write_text(before)
    (folder / "proposed.yaml").write_text(after)
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, EVENTS)))
    return [str(folder / name) for name in ("now.yaml", "proposed.yaml", "events.jsonl")]


def changes(folder: Path, before: str, after: str) -> list[Json]:
    now, proposed, events = write(folder, before, after)
    return list(what_if(load_policy_path(now), load_policy_path(proposed), lines_of_files([events])).lines)


def test_a_verdict_that_turns_and_its_compliance_are_told(tmp_path: Path) -> None:
    turned, moved, compliance, summary = changes(tmp_path, policy("4h"), policy("1h"))
    assert (turned["ticket_id"], turned["before"]["status"], turned["after"]["status"]) == ("A", "met", "breached")
    assert (moved["ticket_id"], "status" in moved["before"]) == ("B", False)
    assert compliance["kind"] == "compliance_change"
    assert (compliance["before"]["completed"], compliance["after"]["completed"]) == (
        {"met": 1, "total": 1}, {"met": 0, "total": 1},
    )  # fmt: skip
    assert (compliance["before"]["ratio"], compliance["after"]["ratio"]) == (1, 0)
    assert summary["statuses"] == [{"before": "met", "after": "breached", "clocks": 1}]
    assert summary["policy_version"]["before"] != summary["policy_version"]["after"]


def test_a_clock_that_only_one_policy_has(tmp_path: Path) -> None:
    (gone,) = (one for one in changes(tmp_path, policy(), policy(match="{type: x}")) if one["kind"] == "difference")
    assert (gone["ticket_id"], gone["before"]["status"], gone["after"]) == ("A", "met", None)
    (new,) = (one for one in changes(tmp_path, policy(match="{type: x}"), policy()) if one["kind"] == "difference")
    assert (new["ticket_id"], new["before"], new["after"]["status"]) == ("A", None, "met")


def test_the_windows_of_services_are_compared_too(tmp_path: Path) -> None:
    change, summary = changes(tmp_path, policy(target="99%"), policy(target="50%"))
    assert (change["kind"], change["promise"]) == ("availability_change", "up")
    assert (change["before"]["target"], change["after"]["target"]) == (0.99, 0.5)
    assert summary["differing"] == 0


def test_another_text_that_means_the_same_changes_nothing_but_its_version(tmp_path: Path) -> None:
    (summary,) = changes(tmp_path, policy(), policy(more="# signed\n"))
    assert (summary["clocks"], summary["differing"], summary["statuses"]) == (2, 0, [])


def test_the_command_prints_the_lines_and_ends_well(tmp_path: Path, capfdbinary: Any) -> None:
    names = write(tmp_path, policy("4h"), policy("1h"))
    assert main(["whatif", *names]) == 0
    kinds = [json.loads(line)["kind"] for line in capfdbinary.readouterr().out.splitlines()]
    assert kinds == ["difference", "difference", "compliance_change", "summary"]
    assert main(["whatif", *names, "--format", "table"]) == 0
    assert b"status breached" in capfdbinary.readouterr().out
