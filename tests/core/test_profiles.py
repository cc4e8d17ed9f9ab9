"""Numbers of other tools, from the same events by their profile."""

import json
from typing import Any

import pytest

from slastream.app import replay_events


def ratio(
    profile: str, *states: tuple[str, str], until: str = "2026-03-02T10:00:00Z", planned: tuple[str, str] | None = None
) -> Any:
    """Of the hour before `until`."""
    uptime = {"metric": "availability", "target": "99.9%", "window": "1h", "profile": profile}
    policy = {"version": 1, "agreements": {"a": {"kind": "sla", "promises": {"uptime": uptime}}}}
    events: list[dict[str, Any]] = [
        {"service": "mail", "occurred_at": f"2026-03-02T{clock}:00Z", "state": state} for clock, state in states
    ]
    if planned is not None:
        start, end = (f"2026-03-02T{clock}:00Z" for clock in planned)
        events.append({"maintenance_id": "M", "service": "mail", "occurred_at": start, "start": start, "end": end})
    (line,) = replay_events(json.dumps(policy), [json.dumps(one).encode() for one in events], until, "availability")
    return line["ratio"]


PARTIAL = (("08:00", "up"), ("09:10", "degraded"), ("09:40", "down"))  # 10 up, 30 degraded, 20 down


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("statuspage", 2 / 3), ("icinga", 2 / 3), ("generic", 2 / 3), ("zabbix", 1 / 6), ("uptime-kuma", 1 / 6)],
)
def test_a_partial_outage(profile: str, expected: float) -> None:
    assert ratio(profile, *PARTIAL) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("profile", "expected"),
    # down 09:20-09:40, planned 09:30-09:50
    [("icinga", 50 / 60), ("statuspage", 50 / 60), ("zabbix", 30 / 40), ("uptime-kuma", 30 / 40), ("generic", 30 / 40)],
)
def test_a_problem_in_planned_maintenance(profile: str, expected: float) -> None:
    states = (("08:00", "up"), ("09:20", "down"), ("09:40", "up"))
    assert ratio(profile, *states, planned=("09:30", "09:50")) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("profile", "expected"),
    # unknown 09:00-09:30, down 09:30-09:42
    [("icinga", 0.6), ("uptime-kuma", 0.6), ("generic", None), ("zabbix", 0.8), ("statuspage", 0.8)],
)
def test_time_of_which_nothing_is_known(profile: str, expected: float | None) -> None:
    found = ratio(profile, ("08:54", "unknown"), ("09:30", "down"), ("09:42", "up"))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_what_the_promise_says_itself_wins() -> None:
    policy = {
        "version": 1,
        "agreements": {"a": {"kind": "sla", "promises": {"uptime": {
            "metric": "availability", "target": "99%", "window": "1h", "profile": "zabbix", "count": {"degraded": "good"},
        }}}},
    }  # fmt: skip
    events = [{"service": "mail", "occurred_at": "2026-03-02T08:00:00Z", "state": "degraded"}]
    (line,) = replay_events(
        json.dumps(policy), [json.dumps(one).encode() for one in events], "2026-03-02T10:00:00Z", "availability"
    )
    assert line["ratio"] == 1
