"""A small month of a service desk: 100 clocks due, of which 80 are met, and one monitored service."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slastream.app import lines_of_files, load_policy_path, service_level_report
from slastream.core.units import parse_instant
from slastream.report.figures import ServiceLevelReport
from slastream.report.report_period import parse_period

POLICY = """
version: 1
timezone: Europe/Berlin
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  shop: {customer: zenith}
agreements:
  gold:
    kind: sla
    customer: acme
    rank: 1
    objective: {target: 95%, period: month, basis: due}
    promises:
      resolution: {metric: resolution, within: 4h, warn_at: [50%]}
      uptime: {metric: availability, target: 99.9%, window: month}
"""
Event = dict[str, Any]


def ticket(number: int, at: str, status: str, sequence: int = 0, **attributes: object) -> Event:
    return {
        "ticket_id": f"T-{number:03}",
        "occurred_at": at,
        "sequence": sequence,
        "type": "created" if status == "new" else "changed",
        "ticket": {"service": "mail", "status": status, "type": "incident", **attributes},
    }


def worked_example() -> list[Event]:
    """Of May 2026 (semantics 6.1): 80 met, 10 breached and closed, 10 breached and open, 20 not due yet, 5 cancelled."""
    events = []
    for number in range(100):
        day = f"2026-05-{1 + number % 28:02}"
        events.append(
            ticket(
                number, f"{day}T08:00:00Z", "new", priority="P1" if number % 4 == 0 else "P2", group=f"G{number % 3}"
            )
        )
        if number < 80:
            events.append(ticket(number, f"{day}T10:00:00Z", "resolved"))
        elif number < 90:
            events.append(ticket(number, f"{day}T15:00:00Z", "resolved"))
    events += [ticket(number, "2026-05-31T21:00:00Z", "new", priority="P3") for number in range(100, 120)]
    for number in range(120, 125):
        events.append(ticket(number, "2026-05-10T08:00:00Z", "new"))
        events.append(ticket(number, "2026-05-10T09:00:00Z", "cancelled"))
    events += [
        {"service": "mail", "occurred_at": "2026-05-01T00:00:00Z", "state": "up"},
        {"service": "mail", "occurred_at": "2026-05-12T10:00:00Z", "state": "down"},
        {"service": "mail", "occurred_at": "2026-05-12T10:30:00Z", "state": "up"},
        {"service": "shop", "occurred_at": "2026-06-02T00:00:00Z", "state": "up"},
    ]
    return events


def write(folder: Path, events: Iterable[Event], policy: str = POLICY) -> tuple[str, str]:
    """The paths of a policy and of an event file."""
    policy_file, event_file = folder / "policy.yaml", folder / "events.jsonl"
    policy_file.write_text(policy, encoding="utf-8")
    event_file.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    return str(policy_file), str(event_file)


def report_of(
    folder: Path,
    events: Iterable[Event],
    period: str = "2026-05",
    customer: str | None = None,
    until: str | None = None,
    since: str | None = None,
    policy: str = POLICY,
) -> ServiceLevelReport:
    policy_file, event_file = write(folder, events, policy)
    return service_level_report(
        load_policy_path(policy_file),
        lines_of_files([event_file]),
        parse_period(period),
        customer,
        None if until is None else parse_instant(until),
        since,
    )
