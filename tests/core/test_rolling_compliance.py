"""A rolling period counts what lies in the last so many hours or days, whatever came before."""

import json
from typing import Any

import pytest

from slastream.app import replay_events
from slastream.core.rules import Rulebook
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Record
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.policy_file import load_policy

POLICY = """
version: 1
agreements:
  a:
    kind: sla
    objective: {target: 90%, period: 7d, basis: completed}
    promises: {r: {metric: resolution, within: 2h}}
"""


def ticket(name: str, day: int, hours: int) -> list[bytes]:
    """Opened on a day of March at 08:00, resolved so many hours later."""
    events = [("08", "new"), (f"{8 + hours:02}", "resolved")]
    return [
        json.dumps(
            {
                "ticket_id": name,
                "occurred_at": f"2026-03-{day:02}T{hour}:00:00Z",
                "ticket": {"service": "mail", "status": status},
            }
        ).encode()
        for hour, status in events
    ]


LINES = [*ticket("OLD", 1, 3), *ticket("MET", 10, 1), *ticket("LATE", 11, 4), *ticket("NEW", 12, 1)]


def shares(until: str) -> dict[str, Any]:
    (line,) = replay_events(POLICY, LINES, until, "compliance")
    return line


def test_only_the_last_seven_days_count() -> None:
    line = shares("2026-03-12T12:00:00Z")
    assert line["window"] == {"kind": "7d", "start": "2026-03-05T12:00:00Z", "end": "2026-03-12T12:00:00Z"}
    assert line["completed"] == {"met": 2, "total": 3}
    assert line["started"] == {"met": 2, "total": 3}
    assert line["due"] == {"met": 2, "total": 3}
    assert line["ratio"] == 2 / 3


@pytest.mark.parametrize(("until", "total"), [("2026-03-08T11:00:00Z", 0), ("2026-03-08T10:59:59Z", 1)])
def test_what_stopped_exactly_seven_days_ago_has_left(until: str, total: int) -> None:
    assert shares(until)["completed"]["total"] == total


def test_the_stream_publishes_the_same_under_one_key_and_only_when_it_has_moved() -> None:
    book = Rulebook(load_policy([("policy.yaml", POLICY)], lambda _name: b""))
    tickets, services = TicketPartition(book, 0), ServicePartition(book, 0)
    now = 1_773_316_800_000_000  # 2026-03-12T12:00:00Z
    for offset, line in enumerate([*LINES, b'{"type":"tick","at":"2026-03-12T12:00:00Z"}']):
        tickets.apply(Record("sla.tickets", 0, offset, now, None, line, ()))
    verdicts = [output for output in tickets.cut().outputs if output.topic == "sla.verdicts"]
    for offset, output in enumerate(verdicts):
        services.apply(Record("sla.verdicts", 0, offset, now, output.key, output.value, ()))
    services.apply(
        Record("sla.verdicts", 0, len(verdicts), now, b"tick", b'{"type":"tick","at":"2026-03-12T12:00:00Z"}', ())
    )
    (output,) = services.cut().outputs
    assert output.value is not None
    assert json.loads(output.value) == shares("2026-03-12T12:00:00Z")
    services.apply(Record("sla.verdicts", 0, len(verdicts) + 1, now, verdicts[-1].key, verdicts[-1].value, ()))
    assert not services.cut().outputs
