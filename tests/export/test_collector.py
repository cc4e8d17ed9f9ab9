"""What the collector says of partitions into which real records were fed (the picture is in `scenario`)."""

import asyncio
import itertools
from collections.abc import Iterable

import orjson
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from export.scenario import POLICY, Desk, desk_at, own, policy_of
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Instant, format_instant, parse_instant
from slastream.export import catalogue
from slastream.export.collector import Collector
from slastream.stream.runtime import State
from slastream.stream.stage import Record

NOW = parse_instant("2026-05-20T12:00:00Z")
RESOLUTION = {"service": "mail", "agreement": "gold", "promise": "resolution"}
RESPONSE = RESOLUTION | {"promise": "response"}
WINDOW = {"window": "month"}
OF_A_SERVICE = """
version: 1
agreements: {gold: {kind: sla, promises: {day: {metric: availability, target: 99%, window: day}}}}
"""
TICKETS = {"topic": "sla.tickets"}


class Shown:
    """The samples of one snapshot."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = list(families)
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The value of exactly this series; None without it."""
        return self.values.get((name, frozenset(labels.items())))

    def names(self) -> set[str]:
        return {family.name for family in self.families if family.samples}


def collector_of(desk: Desk) -> Collector:
    """One that makes every snapshot anew."""
    return Collector(desk.policy, desk.runtime, snapshot_seconds=0.0, clock=lambda: NOW / SECOND)


def shown(desk: Desk) -> Shown:
    return asyncio.run(snapshot(collector_of(desk)))


async def snapshot(collector: Collector) -> Shown:
    await collector.refresh()
    return Shown(text_string_to_metric_families(collector.text(is_openmetrics=False).decode()))


def test_open_clocks_are_counted_by_what_they_do() -> None:
    found = shown(desk_at(NOW))
    web = {"service": "web", "agreement": "gold", "promise": "resolution"}
    assert found.value("sla_clocks", **RESOLUTION, priority="P1", status="breached") == 1
    assert found.value("sla_clocks", **RESOLUTION, priority="P1", status="at_risk") == 1
    assert found.value("sla_clocks", **RESOLUTION, priority="P1", status="running") == 0
    assert found.value("sla_clocks", **web, priority="P2", status="paused") == 1
    assert found.value("sla_clocks", **web, priority="", status="running") == 1


def test_verdicts_are_counted_once_each() -> None:
    found = shown(desk_at(NOW))
    assert found.value("sla_verdicts_total", **RESPONSE, priority="P1", verdict="met") == 2
    assert found.value("sla_verdicts_total", **RESPONSE, priority="P1", verdict="breached") == 1
    assert found.value("sla_verdicts_total", **RESPONSE, priority="P3", verdict="cancelled") == 1


def test_what_is_next_and_what_is_oldest() -> None:
    found = shown(desk_at(NOW))
    next_due = found.value("sla_next_due_timestamp_seconds", **RESOLUTION)
    oldest = found.value("sla_oldest_open_timestamp_seconds", **RESOLUTION)
    assert next_due == (NOW + 1.5 * HOUR) / SECOND, "of OPS-4: breached ones are late already"
    assert oldest == (NOW - 6 * HOUR) / SECOND
    assert found.value("sla_next_due_timestamp_seconds", **RESPONSE) is None, "nothing is due there any more"


def test_open_clocks_are_counted_by_their_age_pauses_included() -> None:
    desk = desk_at(NOW)
    collector = Collector(desk.policy, desk.runtime, clock=lambda: NOW / SECOND + DAY / SECOND - 2 * 3600)
    found = asyncio.run(snapshot(collector))
    ages = {age: found.value("sla_open_clocks", **RESOLUTION, age=age) for age in catalogue.AGES}
    assert ages == {"4 h": 0, "1 d": 0, "3 d": 2, "7 d": 0, "30 d": 0, "older": 0}, "OPS-4 22 + 2.5 h, OPS-2 22 + 6 h"
    web = {"service": "web", "agreement": "gold", "promise": "resolution"}
    assert found.value("sla_open_clocks", **web, age="1 d") == 2, "OPS-3 waits"


def test_what_an_agreement_supports_is_told_with_the_service() -> None:
    found = shown(desk_at(NOW))
    assert found.value("sla_support_info", service="mail", agreement="desk", supports="gold") == 1


def test_shares_of_the_running_period_have_their_counts_by_every_basis() -> None:
    found = shown(desk_at(NOW))
    counts = {
        basis: (
            found.value("sla_compliance_met", **RESPONSE, **WINDOW, basis=basis),
            found.value("sla_compliance_total", **RESPONSE, **WINDOW, basis=basis),
        )
        for basis in catalogue.BASES
    }
    assert counts == {"completed": (2, 2), "due": (2, 3), "started": (2, 3)}
    assert found.value("sla_compliance_ratio", **RESPONSE, **WINDOW) == pytest.approx(2 / 3)
    assert found.value("sla_objective_ratio", **RESPONSE, **WINDOW) == 0.75


def test_the_budget_is_a_share_of_what_the_objective_allows() -> None:
    found = shown(desk_at(NOW))  # of 3, a quarter may fail, one has: 1 - 1 / 0.75
    assert found.value("sla_budget_remaining_ratio", **RESPONSE, **WINDOW) == pytest.approx(-1 / 3)


def test_nothing_that_counts_gives_no_ratio_and_no_objective_no_budget() -> None:
    found = shown(desk_at(NOW))
    web = {"service": "web", "agreement": "gold", "promise": "response"}
    assert found.value("sla_compliance_total", **web, **WINDOW, basis="due") == 0
    assert found.value("sla_compliance_ratio", **web, **WINDOW) is None
    assert found.value("sla_budget_remaining_ratio", **web, **WINDOW) is None
    assert found.value("sla_objective_ratio", service="mail", agreement="desk", promise="handling", **WINDOW) is None


def test_a_period_that_has_just_begun_shows_no_counts_of_the_last_one() -> None:
    desk = desk_at(NOW)
    desk.feed([], parse_instant("2026-06-01T00:00:00Z"))
    found = shown(desk)
    assert found.value("sla_compliance_total", **RESPONSE, **WINDOW, basis="due") == 0
    assert found.value("sla_compliance_ratio", **RESPONSE, **WINDOW) is None


def test_durations_fall_into_buckets_that_hold_their_upper_bound() -> None:
    found = shown(desk_at(NOW))
    labels = {"service": "mail", "promise": "response", "priority": "P1"}
    counts = [found.value("sla_duration_seconds_bucket", **labels, le=le) for le in ("300.0", "900.0", "+Inf")]
    assert counts == [1, 2, 2], "one took exactly 5 minutes, one 10"
    assert found.value("sla_duration_seconds_sum", **labels) == 900
    assert found.value("sla_duration_seconds_count", **labels) == 2


def test_credits_of_all_promises_and_services_add_up() -> None:
    found = shown(desk_at(NOW))  # 2/3 is in the band below 75 %, 0/1 in that below 40 %
    assert found.value("sla_credit_exposure", customer="acme", agreement="gold", currency="EUR") == 500 + 1000


def test_who_stands_behind_an_agreement() -> None:
    labels = {"service": "mail", "customer": "acme", "provider": "hosting-co", "team": "messaging"}
    found = shown(desk_at(NOW))
    assert found.value("sla_info", **labels, agreement="gold", kind="sla") == 1
    assert found.value("sla_info", **labels, agreement="desk", kind="ola") == 1


def test_events_rejects_and_late_ones_are_counted_by_topic() -> None:
    found = shown(desk_at(NOW))
    assert found.value("slastream_events_total", **TICKETS, source="jira") == 11
    assert found.value("slastream_events_total", **TICKETS, source="mail-robot") == 1
    assert found.value("slastream_rejected_total", **TICKETS, reason="not_json") == 1
    assert found.value("slastream_rejected_total", **TICKETS, reason="future") == 0, "there before the first"
    assert found.value("slastream_late_events_total", **TICKETS) == 1


def test_what_became_durable_is_taken_over_once() -> None:
    desk = desk_at(NOW)
    found = shown(desk)
    assert found.value("slastream_event_age_seconds_count", **TICKETS) == 12
    assert found.value("slastream_event_age_seconds_bucket", **TICKETS, le="300.0") == 1
    assert found.value("slastream_deadline_delay_seconds_count") == 5
    assert not desk.runtime.take_done()


def test_what_is_not_durable_is_not_counted() -> None:
    desk = Desk(policy_of())
    desk.tickets.apply(Record("sla.tickets", 0, 0, NOW, b"OPS-9", orjson.dumps(created("OPS-9")), ()))
    assert shown(desk).value("slastream_events_total", **TICKETS, source="jira") is None
    desk.commit(desk.owned[0], NOW)
    assert shown(desk).value("slastream_events_total", **TICKETS, source="jira") == 1


def test_an_event_is_as_old_as_it_was_when_its_result_was_durable() -> None:
    desk = Desk(policy_of())
    desk.tickets.apply(Record("sla.tickets", 0, 0, NOW, b"OPS-9", orjson.dumps(created("OPS-9")), ()))
    desk.commit(desk.owned[0], Instant(NOW + SECOND))
    assert shown(desk).value("slastream_event_age_seconds_sum", **TICKETS) == 2, "it was a second old when it came"


def test_an_event_dated_a_little_ahead_has_the_age_nought() -> None:
    desk = Desk(policy_of())
    ahead = format_instant(Instant(NOW + SECOND))
    event = {"ticket_id": "OPS-9", "occurred_at": ahead, "type": "created", "ticket": {"service": "mail"}}
    desk.feed([orjson.dumps(event)], NOW, tick=False)
    found = shown(desk)
    assert found.value("slastream_event_age_seconds_bucket", **TICKETS, le="0.05") == 1
    assert found.value("slastream_event_age_seconds_sum", **TICKETS) == 0


def test_state_of_partitions() -> None:
    desk = desk_at(NOW)
    next(iter(desk.owned[0].sources.values())).end = 25
    found = shown(desk)
    assert found.value("slastream_partition_owned", **TICKETS, partition="0") == 1
    assert found.value("slastream_partition_restoring", **TICKETS, partition="0") == 0
    assert found.value("slastream_lag_records", **TICKETS, partition="0") == 25
    assert found.value("slastream_partition_time_seconds", **TICKETS, partition="0") == NOW / SECOND
    assert found.value("slastream_state_keys", table="slastream-tickets-changelog") == 6
    assert found.value("slastream_state_keys", table="slastream-services-changelog") == 16


@pytest.mark.parametrize("state", [State.FENCING, State.RESTORING, State.SEEKING])
def test_a_partition_that_does_not_run_yet_exports_nothing_of_its_state(state: State) -> None:
    desk = desk_at(NOW)
    for each in desk.owned:
        each.state = state
    found = shown(desk)
    assert {name for name in found.names() if name.startswith("sla_")} == set()
    assert found.value("slastream_partition_owned", **TICKETS, partition="0") == 1
    assert found.value("slastream_partition_restoring", **TICKETS, partition="0") == 1
    assert found.value("slastream_lag_records", **TICKETS, partition="0") is None
    assert found.value("slastream_state_keys", table="slastream-tickets-changelog") is None


def test_a_worker_that_owns_nothing_shows_only_what_it_did() -> None:
    found = shown(Desk(policy_of()))
    assert not any(name.startswith("sla_") for name in found.names())
    desk = Desk(policy_of())
    desk.runtime.owned.clear()
    assert shown(desk).names() == {
        "slastream_deadline_delay_seconds", "slastream_rebalances", "slastream_policy_loaded_timestamp_seconds",
        "slastream_series", "slastream_series_left_out", "slastream_snapshot_timestamp_seconds",
    }  # fmt: skip


def test_who_asks_does_not_wait_for_a_long_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no patience the last one is the answer, and a later call has the new one."""
    now = [NOW]
    desk = desk_at(NOW)
    collector = Collector(desk.policy, desk.runtime, snapshot_seconds=0.0, clock=lambda: now[0] / SECOND)
    name = "slastream_snapshot_timestamp_seconds"

    async def ask() -> None:
        assert (await snapshot(collector)).value(name) == NOW / SECOND
        now[0] = Instant(NOW + MINUTE)
        assert (await snapshot(collector)).value(name) == NOW / SECOND
        while (await snapshot(collector)).value(name) != now[0] / SECOND:
            pass

    monkeypatch.setattr("slastream.export.collector.PATIENCE_SECONDS", 0)
    asyncio.run(asyncio.wait_for(ask(), 30))


def test_counters_of_the_process_go_on_when_a_partition_leaves_and_another_life_of_it_begins() -> None:
    desk = desk_at(NOW)

    async def scrapes() -> list[float | None]:
        collector = collector_of(desk)
        values = [(await snapshot(collector)).value("slastream_events_total", **TICKETS, source="jira")]
        desk.feed([orjson.dumps(created("OPS-7"))], NOW, tick=False)  # not scraped before the partition leaves
        leaving = desk.runtime.owned.pop(("tickets", 0))
        values.append((await snapshot(collector)).value("slastream_events_total", **TICKETS, source="jira"))
        desk.owned[0] = own(desk.runtime, leaving.stage)
        values.append((await snapshot(collector)).value("slastream_events_total", **TICKETS, source="jira"))
        desk.feed([orjson.dumps(created("OPS-8"))], NOW, tick=False)
        values.append((await snapshot(collector)).value("slastream_events_total", **TICKETS, source="jira"))
        return values

    assert asyncio.run(scrapes()) == [11, 12, 12, 13]


def test_a_reopened_ticket_does_not_make_a_counter_fall() -> None:
    desk = desk_at(NOW)

    async def scrapes() -> list[tuple[float | None, ...]]:
        collector = collector_of(desk)
        values: list[tuple[float | None, ...]] = []
        for status in (None, "open", "resolved"):
            if status is not None:
                desk.feed([orjson.dumps(changed("OPS-1", status))], NOW, tick=False)
            found = await snapshot(collector)
            values.append(
                (
                    found.value("sla_verdicts_total", **RESOLUTION, priority="P1", verdict="met"),
                    found.value("sla_duration_seconds_count", service="mail", promise="resolution", priority="P1"),
                    found.value("sla_compliance_met", **RESOLUTION, **WINDOW, basis="completed"),
                )
            )
        return values

    assert asyncio.run(scrapes()) == [(1, 1, 1), (1, 1, 0), (1, 1, 1)]


def test_sources_beyond_a_hundred_are_counted_together() -> None:
    desk = Desk(policy_of())
    desk.feed([orjson.dumps(created(f"OPS-{n}") | {"source": f"s{n:03}"}) for n in range(150)], NOW, tick=False)
    found = shown(desk)
    counts = [value for (name, _), value in found.values.items() if name == "slastream_events_total"]
    assert len(counts) == catalogue.MAX_SOURCES + 1
    assert found.value("slastream_events_total", **TICKETS, source="other") == 50
    assert sum(counts) == 150


def test_priorities_beyond_twenty_are_counted_together() -> None:
    desk = Desk(policy_of())
    tickets = [created(f"OPS-{n}") for n in range(25)]
    for number, each in enumerate(tickets):
        each["ticket"] = {"service": "mail", "status": "new", "priority": f"p{number:02}"}
    desk.feed(map(orjson.dumps, tickets), NOW, tick=False)
    found = shown(desk)
    running = {
        dict(labels)["priority"]: value
        for (name, labels), value in found.values.items()
        if name == "sla_clocks"
        and dict(labels) == RESOLUTION | {"priority": dict(labels)["priority"], "status": "running"}
    }
    assert running == {f"p{number:02}": 1 for number in range(catalogue.MAX_PRIORITIES)} | {"other": 5}
    assert found.value("sla_oldest_open_timestamp_seconds", **RESOLUTION) == (NOW - SECOND) / SECOND


def test_beyond_the_limit_whole_services_are_left_out_and_counted_those_first_that_the_policy_does_not_list() -> None:
    text = POLICY.replace("    match: {service: [mail, web]}\n", "")
    desk = Desk(policy_of(text))
    services = ("aardvark", "mail", "web", "zebra")
    tickets = [created(f"OPS-{n}") | {"ticket": {"service": name}} for n, name in enumerate(services)]
    desk.feed(map(orjson.dumps, tickets), NOW, tick=False)
    collector = collector_of(desk)
    everything = asyncio.run(snapshot(collector))
    assert services_of(everything) == set(services)
    collector.series_limit = len(everything.values) - 1
    for expected in ({"aardvark", "mail", "web"}, {"mail", "web"}, {"mail"}, set()):
        found = asyncio.run(snapshot(collector))
        assert services_of(found) == expected
        assert found.value("slastream_series") == len(found.values) <= collector.series_limit
        assert found.value("slastream_series_left_out") == len(everything.values) - len(found.values)
        collector.series_limit = len(found.values) - 1
    assert found.value("sla_credit_exposure", customer="acme", agreement="gold", currency="EUR") == 0


def services_of(found: Shown) -> set[str]:
    return {dict(labels)["service"] for _, labels in found.values if "service" in dict(labels)}


def test_the_policy_has_the_instant_from_which_it_holds_and_assignments_are_counted() -> None:
    desk = desk_at(NOW)
    desk.runtime.rebalances = 3
    found = shown(desk)
    assert found.value("slastream_policy_loaded_timestamp_seconds", version=desk.policy.version) == NOW / SECOND
    assert found.value("slastream_rebalances_total") == 3


def test_two_partitions_of_a_stage_add_up_where_they_have_no_number() -> None:
    desk = desk_at(NOW)
    second = own(desk.runtime, desk.owned[0].stage, 1)
    desk.runtime.take_done()
    second.restore_seconds, desk.owned[0].restore_seconds = 2.0, 0.5
    for owned, seconds in ((second, 0.25), (desk.owned[0], 0.5)):
        owned.note_commit(None, seconds, NOW / SECOND)
    found = shown(desk)
    table = {"table": "slastream-tickets-changelog"}
    assert found.value("slastream_restore_seconds", **table) == 2.0, "the longest"
    assert found.value("slastream_commit_seconds_count", **table) == 2
    assert found.value("slastream_commit_seconds_sum", **table) == 0.75
    assert found.value("slastream_partition_owned", **TICKETS, partition="1") == 1


def test_clocks_of_a_promise_that_the_policy_no_longer_has_are_not_shown() -> None:
    desk = desk_at(NOW)
    later = Desk(policy_of(POLICY.replace("response:", "first-answer:")))
    state = desk.services
    later.services.clocks.update(state.clocks)
    later.services.restored()
    promises = {dict(labels).get("promise") for _, labels in shown(later).values}
    assert promises - {None} == {"resolution", "handling"}


def test_the_series_are_counted() -> None:
    found = shown(desk_at(NOW))
    assert found.value("slastream_series") == len(found.values)


OF_MONITORING = {
    "sla_availability_seconds", "sla_availability_ratio", "sla_coverage_ratio", "sla_burn_rate", "sla_service_state",
}  # fmt: skip
"""Shown of services with monitoring: `tests/grafana/test_dashboard_answers.py`."""

OF_CONTRACTS = {
    "sla_satisfaction_score", "sla_satisfaction_ratings", "sla_scope_tickets", "sla_volume_tickets", "sla_volume_band_tickets",
    "sla_chain_misfits",
}  # fmt: skip
"""Shown of tickets with ratings and of contracts with a scope: `test_contract_gauges.py`."""

OF_FINISHED = {
    "sla_control_limit_seconds", "sla_control_points", "sla_control_signals", "sla_control_trend", "sla_capability_index",
    "sla_expected_breaches",
}  # fmt: skip
"""Shown once 20 clocks have finished: `test_control_gauges.py`."""


def test_every_metric_of_the_catalogue_is_there_with_its_type_labels_and_help() -> None:
    families = {family.name: family for family in shown(desk_at(NOW)).families}
    for metric in catalogue.METRICS:
        family = families[metric.name.removesuffix("_total") if metric.type == "counter" else metric.name]
        assert (family.type, family.documentation) == (metric.type, metric.help)
        assert set(metric.labels) <= {label.name for label in catalogue.LABELS}
        if metric.name in OF_MONITORING | OF_CONTRACTS | OF_FINISHED:
            continue
        assert family.samples, metric.name
        expected = set(metric.labels) | ({"le"} if metric.type == "histogram" else set())
        assert set().union(*(sample.labels for sample in family.samples)) == expected, metric.name
    assert len(families) == len(catalogue.METRICS)


def test_every_label_is_bound_and_one_with_words_has_no_other() -> None:
    words = {label.name: set(label.words) for label in catalogue.LABELS if label.words}
    for name, labels in shown(desk_at(NOW)).values:
        for label, value in labels:
            assert label == "le" or value in words.get(label, {value}), (name, label, value)
    for each in catalogue.LABELS:
        assert bool(each.words) != bool(each.bound)
        assert any(each.name in metric.labels for metric in catalogue.EVERY_METRIC)


def test_help_fits_the_text_format() -> None:
    assert list(text_string_to_metric_families("\n".join(f"# HELP {m.name} {m.help}" for m in catalogue.METRICS)))


def created(ticket_id: str) -> dict[str, object]:
    at = format_instant(Instant(NOW - SECOND))
    return {
        "ticket_id": ticket_id, "occurred_at": at, "source": "jira", "type": "created", "ticket": {"service": "mail"},
    }  # fmt: skip


_sequence = itertools.count(1)


def changed(ticket_id: str, status: str) -> dict[str, object]:
    at = format_instant(Instant(NOW - SECOND))
    return {
        "ticket_id": ticket_id, "occurred_at": at, "sequence": next(_sequence), "type": "changed",
        "ticket": {"status": status},
    }  # fmt: skip


def test_monitoring_is_counted_by_topic() -> None:
    """An outage of an hour is told, then that it ended within a minute: the breach is taken back."""
    desk = Desk(policy_of(OF_A_SERVICE))
    stage, offsets = desk.services, itertools.count()

    def send(topic: str, value: bytes) -> None:
        stage.apply(Record(topic, 0, next(offsets), NOW, b"mail", value, ()))

    def word(before_us: int, state: str, source: str) -> bytes:
        at = format_instant(Instant(NOW - before_us))
        return orjson.dumps({"service": "mail", "occurred_at": at, "state": state, "source": source})

    send("sla.monitoring", word(3 * HOUR, "up", "icinga"))
    send("sla.monitoring", word(2 * HOUR, "down", "icinga"))
    send("sla.monitoring", word(HOUR, "up", "icinga"))
    desk.commit(desk.owned[1], NOW)
    send("sla.monitoring", word(2 * HOUR - MINUTE, "up", "zabbix"))
    send("sla.monitoring", b"no json")
    send("sla.maintenance", b"{}")
    desk.commit(desk.owned[1], NOW)
    found = shown(desk)
    assert found.value("slastream_events_total", topic="sla.monitoring", source="icinga") == 3
    assert found.value("slastream_events_total", topic="sla.monitoring", source="zabbix") == 1
    assert found.value("slastream_late_events_total", topic="sla.monitoring") == 1
    assert found.value("slastream_late_events_total", topic="sla.maintenance") == 0
    assert (found.value("slastream_corrections_total", topic="sla.monitoring", reason="retracted") or 0) >= 1
    assert found.value("slastream_rejected_total", topic="sla.monitoring", reason="not_json") == 1
    assert found.value("slastream_rejected_total", topic="sla.verdicts", reason="not_json") == 0
    assert found.value("slastream_unlisted_services", topic="sla.verdicts", partition="0") == 1
