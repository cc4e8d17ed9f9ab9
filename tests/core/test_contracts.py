"""Whose time it was, what stands under a promise, what it costs, what a contract covers, and what users say."""

import json
from decimal import Decimal
from typing import Any

import pytest

from slastream.app import replay_events

Json = dict[str, Any]
OFFICE = {"hours": {"mon-fri": ["08:00-16:00"]}}


def gold(**rest: Any) -> Json:
    return {
        "kind": "sla", "customer": "acme", "objective": {"target": "98%", "period": "month", "basis": "due"},
        "promises": {"resolution": {"metric": "resolution", "within": "4h"}}, **rest,
    }  # fmt: skip


def policy(**agreements: Json) -> Json:
    services = {"mail": {"customer": "acme", "provider": "hosting-co"}, "shop": {"customer": "acme"}}
    return {"version": 1, "calendars": {"office": OFFICE}, "services": services, "agreements": agreements}


def at(clock: str, ticket_id: str = "OPS-1", day: str = "2026-03-02", **ticket: Any) -> Json:
    """A change of a ticket on a Monday in March."""
    return {"ticket_id": ticket_id, "occurred_at": f"{day}T{clock}:00Z", "type": "changed", "ticket": ticket}


def shown(show: str, rules: Json, *events: Json, until: str = "2026-03-02T20:00:00Z") -> list[Json]:
    return replay_events(json.dumps(rules), [json.dumps(event).encode() for event in events], until, show)


# ---- the ledger ------------------------------------------------------------------------------------------------------


def parts(line: Json) -> dict[tuple[str | None, ...], Any]:
    return {(one["party"], one["group"], one["provider"]): one["seconds"] for one in line["parts"]}


def test_every_second_of_a_ticket_belongs_to_one_party() -> None:
    # 10:00 nobody · 10:10 L1 · 11:00 waits for the requester · 11:30 L1 · 12:00 waits for the supplier · 13:00 L2 · 14:00 resolved
    (line,) = shown(
        "ledger",
        policy(gold=gold()),
        at("10:00", service="mail", status="new"), at("10:10", group="L1", status="open"), at("11:00", status="pending"),
        at("11:30", status="open"), at("12:00", status="hold"), at("13:00", status="open", group="L2"),
        at("14:00", status="resolved"),
    )  # fmt: skip
    assert parts(line) == {
        ("group", "L1", None): 80 * 60,
        ("group", "L2", None): 3600,
        ("provider", None, "hosting-co"): 3600,
        ("requester", None, None): 30 * 60,
        ("idle", None, None): 10 * 60,
    }
    assert (line["group_seconds"], line["provider_seconds"], line["requester_seconds"], line["idle_seconds"]) == (
        140 * 60, 3600, 1800, 600,
    )  # fmt: skip
    assert (line["total_seconds"], line["handoffs"], line["ended_at"]) == (4 * 3600, 5, "2026-03-02T14:00:00Z")


def test_only_open_hours_of_the_agreement_that_leads_count() -> None:
    # 15:00 L1 · closed from 16:00 · the next day 09:00 resolved
    rules = policy(gold=gold(calendar="office"), desk={**gold(), "kind": "ola", "supports": ["gold"]})
    (line,) = shown(
        "ledger", rules, at("15:00", service="mail", status="open", group="L1"), at("09:00", day="2026-03-03", status="closed"),
        until="2026-03-04T00:00:00Z",
    )  # fmt: skip
    assert (line["agreement"], line["calendar"], line["total_seconds"]) == ("gold", "office", 2 * 3600)


def test_the_time_between_a_closing_and_a_reopening_belongs_to_nobody_and_is_told() -> None:
    (line,) = shown(
        "ledger", policy(gold=gold()), at("10:00", service="mail", status="open", group="L1"), at("11:00", status="resolved"),
        at("13:00", status="open"), at("14:00", status="closed"),
    )  # fmt: skip
    assert (line["total_seconds"], line["closed_seconds"], line["handoffs"]) == (2 * 3600, 2 * 3600, 0)


def test_a_ticket_heard_of_when_it_is_resolved_was_open_until_then() -> None:
    first = at("12:00", service="mail", status="resolved", group="L1", created_at="2026-03-02T10:00:00Z")
    (line,) = shown("ledger", policy(gold=gold()), first)
    assert parts(line) == {("group", "L1", None): 2 * 3600}
    assert line["ended_at"] == "2026-03-02T12:00:00Z"


def test_a_policy_may_say_otherwise_whose_time_it_is() -> None:
    rules = policy(gold=gold()) | {
        "ledger": {
            "holders": [
                {"when": {"group": {"glob": "vendor-*"}}, "party": "provider", "provider": "vendor"},
                {"when": {"status": "hold", "fields.waits_for": "change"}, "party": "idle"},
            ]
        }
    }
    (line,) = shown(
        "ledger", rules, at("10:00", service="shop", status="open", group="vendor-1"), at("11:00", group="L1", status="hold"),
        at("12:00", fields={"waits_for": "change"}), at("14:00", status="resolved"),
    )  # fmt: skip
    assert parts(line) == {
        ("provider", None, "vendor"): 3600,
        ("provider", None, None): 3600,
        ("idle", None, None): 2 * 3600,
    }


def test_people_are_named_only_where_the_policy_asks_for_it() -> None:
    events = [at("10:00", service="mail", status="open", group="L1", assignee="ann"), at("11:00", assignee="bob")]
    (without,) = shown("ledger", policy(gold=gold()), *events)
    (named,) = shown("ledger", policy(gold=gold()) | {"ledger": {"assignees": True}}, *events)
    assert "ann" not in json.dumps(without)
    assert {one["assignee"]: one["seconds"] for one in named["parts"]} == {"ann": 3600, "bob": 9 * 3600}


# ---- chains ----------------------------------------------------------------------------------------------------------


def supporting(kind: str, within: str, **rest: Any) -> Json:
    return {
        "kind": kind,
        "promises": {"resolution": {"metric": "resolution", "within": within}},
        "supports": ["gold"],
        **rest,
    }


def test_a_supplier_who_is_called_too_late_is_flagged_before_the_customer_s_clock_breaks() -> None:
    # sla 4h from 10:00: due 14:00 · the supplier gets it at 13:00 with 2h: due 15:00, and does not fit from then on
    rules = policy(gold=gold(), hosting=supporting("uc", "2h", match={"group": "vendor"}, ))  # fmt: skip
    (chain,) = shown(
        "chains", rules, at("10:00", service="mail", status="open", group="L1"), at("13:00", group="vendor"),
        until="2026-03-02T13:30:00Z",
    )  # fmt: skip
    assert (chain["agreement"], chain["status"], chain["fits"]) == ("gold", "running", False)
    (support,) = chain["supports"]
    assert (support["agreement"], support["misfits_at"], support["fits"]) == ("hosting", "2026-03-02T13:00:00Z", False)
    assert support["due_at"] == "2026-03-02T15:00:00Z"
    assert (support["used_seconds"], chain["elapsed_seconds"]) == (1800, 3.5 * 3600)


def test_a_supporting_clock_that_stands_still_stops_fitting_at_an_instant_of_its_own() -> None:
    # sla due 14:00 · ola 2h, used 30m by 10:30, paused then: it fits as long as it resumes by 12:30
    rules = policy(
        gold=gold(promises={"resolution": {"metric": "resolution", "within": "4h", "pause": {"tags": "never"}}}),
        desk=supporting("ola", "2h"),
    )
    events = [at("10:00", service="mail", status="open", group="L1"), at("10:30", status="pending")]
    (before,) = shown("chains", rules, *events, until="2026-03-02T12:30:00Z")
    (after,) = shown("chains", rules, *events, until="2026-03-02T12:31:00Z")
    assert (before["fits"], after["fits"]) == (True, False)
    assert before["supports"][0]["misfits_at"] == "2026-03-02T12:30:00.000001Z"


def test_a_breach_says_who_used_the_target() -> None:
    # L1 1h · supplier 2h · L2 1h: 4h used at 14:00, breached; a pause of the requester counts for nobody
    rules = policy(gold=gold(), hosting=supporting("uc", "1h", match={"status": "hold"}))
    (chain,) = shown(
        "chains", rules, at("10:00", service="mail", status="open", group="L1"), at("11:00", status="hold"),
        at("13:00", status="open", group="L2"), at("13:30", status="pending"), at("15:30", status="open"),
        at("18:00", status="resolved"),
    )  # fmt: skip
    assert (chain["status"], chain["breached_at"], chain["elapsed_seconds"]) == (
        "breached",
        "2026-03-02T16:00:00Z",
        4 * 3600,
    )
    assert {one["group"] or one["provider"]: one["seconds"] for one in chain["consumed"]} == {
        "L1": 3600, "hosting-co": 2 * 3600, "L2": 3600,
    }  # fmt: skip
    (support,) = chain["supports"]
    assert (support["status"], support["used_before_breach_seconds"]) == ("breached", 2 * 3600)


# ---- money -----------------------------------------------------------------------------------------------------------

BANDS = [{"below": "98%", "credit": "5%"}, {"below": "96%", "credit": "10%"}, {"below": "92%", "credit": "25%"}]


def month(met: int, total: int, month: str = "2026-03", service: str = "mail") -> list[Json]:
    """So many tickets of a month, of which so many are resolved in time."""
    events = []
    for number in range(total):
        ticket_id = f"{service}-{month}-{number:03}"
        events.append(at("10:00", ticket_id, f"{month}-04", service=service, status="open"))
        events.append(at("11:00" if number < met else "15:00", ticket_id, f"{month}-04", status="resolved"))
    return events


@pytest.mark.parametrize(
    ("met", "credit"), [(100, "0"), (98, "0"), (97, "500"), (96, "500"), (95, "1000"), (92, "1000"), (91, "2500")]
)
def test_bands_from_96_to_98_and_from_92_to_96_of_a_target_of_98_percent(met: int, credit: str) -> None:
    rules = policy(gold=gold(credits={"fee": "10000 EUR", "bands": BANDS}))
    (found,) = shown("credits", rules, *month(met, 100), until="2026-04-01T00:00:00Z")[:1]
    (item,) = found["items"]
    assert (found["credit"], found["is_final"], item["met"], item["total"]) == (credit, True, met, 100)
    assert len(item["missed"]) == 100 - met


def test_the_cap_bounds_the_agreement_and_not_each_of_its_services() -> None:
    rules = policy(gold=gold(credits={"fee": "10000 EUR", "cap": "30%", "bands": BANDS}))
    events = [*month(0, 4), *month(0, 2, service="shop")]
    (found,) = shown("credits", rules, *events, until="2026-03-31T00:00:00Z")
    assert [one["credit"] for one in found["items"]] == ["2500", "2500"]
    assert (found["sum"], found["cap"], found["credit"], found["is_final"]) == ("5000", "3000", "3000", False)


def test_services_can_be_judged_together() -> None:
    rules = policy(gold=gold(credits={"fee": "10000 EUR", "bands": BANDS, "per": "promise"}))
    events = [*month(95, 95), *month(0, 5, service="shop")]
    (found,) = shown("credits", rules, *events, until="2026-03-31T00:00:00Z")
    (item,) = found["items"]
    assert (item["service"], item["met"], item["total"], item["credit"]) == (None, 95, 100, "1000")
    assert all("credit" not in line for line in shown("compliance", rules, *events))


def test_weights_and_bands_of_single_promises() -> None:
    promises = {
        "resolution": {"metric": "resolution", "within": "4h"},
        "closure": {"metric": "closure", "within": "4h"},
        "uptime": {"metric": "availability", "target": "99.9%", "window": "month"},
    }
    credits = {"fee": "0.10 EUR", "bands": BANDS, "promises": {
        "resolution": {"weight": "60%"}, "closure": {"weight": "0%"},
        "uptime": {"weight": "40%", "bands": [{"below": "99%", "credit": "0.07 EUR"}]},
    }}  # fmt: skip
    down = [
        {"service": "mail", "occurred_at": f"2026-03-{day:02}T00:00:00Z", "state": word}
        for day, word in ((1, "up"), (10, "down"), (12, "up"))
    ]
    rules = policy(gold=gold(promises=promises, credits=credits))
    (found,) = shown("credits", rules, *month(0, 1), *down, until="2026-03-31T00:00:00Z")
    assert {(one["promise"], one["service"]): one["credit"] for one in found["items"]} == {
        ("resolution", "mail"): "0.015", ("closure", "mail"): "0", ("uptime", "mail"): "0.028", ("uptime", "shop"): "0",
    }  # fmt: skip
    assert found["sum"] == "0.043"


def test_an_exclusion_changes_the_money_and_is_listed_with_its_reason() -> None:
    exclusion = {"reason": "strike, CR-17", "tickets": ["mail-2026-03-000"]}
    rules = policy(gold=gold(credits={"fee": "100 EUR", "bands": BANDS}, exclusions=[exclusion]))
    (found,) = shown("credits", rules, *month(0, 2), until="2026-03-31T00:00:00Z")
    (item,) = found["items"]
    assert (item["met"], item["total"]) == (0, 1)
    assert [(one["ticket_id"], one["reason"]) for one in item["excluded"]] == [("mail-2026-03-000", "strike, CR-17")]
    (measured,) = shown("compliance", rules, *month(0, 2), until="2026-03-31T00:00:00Z")
    assert measured["due"] == {"met": 0, "total": 2}


def test_a_credit_is_earned_back_by_the_next_periods() -> None:
    credits = {"fee": "100 EUR", "bands": BANDS, "earn_back": {"periods": 2, "at_least": "99%"}}
    rules = policy(gold=gold(credits=credits))

    def march(*events: Json, until: str) -> tuple[Any, ...]:
        found = shown("credits", rules, *month(0, 1), *events, until=until)[0]
        assert Decimal(found["payable"]) + Decimal(found["earned_back"]) == Decimal(found["credit"]) == 25
        return found["items"][0]["is_earned_back"], found["earned_back"]

    april, may = month(9, 9, "2026-04"), month(4, 4, "2026-05")
    assert march(*april, until="2026-05-31T00:00:00Z") == (None, "0")
    assert march(*april, *may, until="2026-06-01T00:00:00Z") == (True, "25")
    assert march(*april, until="2026-06-01T00:00:00Z") == (False, "0"), "a month without a ticket earns nothing"
    assert march(*month(8, 9, "2026-04"), *may, until="2026-06-01T00:00:00Z") == (False, "0")


# ---- scope -----------------------------------------------------------------------------------------------------------


def test_what_is_out_of_scope_is_counted_and_listed() -> None:
    scope = {
        "services": ["mail"], "types": ["incident", "request"],
        "volumes": {"incidents": {"match": {"type": "incident"}, "low": 2, "high": 3}, "all": {"high": 1}},
    }  # fmt: skip
    rules = policy(gold=gold(scope=scope))
    events = [
        at("10:00", "T1", service="mail", type="incident"), at("10:00", "T2", service="mail", type="request"),
        at("10:00", "T3", service="mail", type="change"), at("10:00", "T4", service="shop", type="incident"),
        at("10:00", "T5", service="other", type="incident"), at("10:00", "T6", service="mail", type="incident"),
        {**at("10:30", "T6"), "type": "merged", "merged_into": "T1"},
    ]  # fmt: skip
    running, _ = shown(
        "scope", rules, *events, at("00:00", "T9", day="2026-04-01", customer="x"), until="2026-04-01T01:00:00Z"
    )
    assert (running["tickets"], running["in_scope"], running["out_of_scope"], running["is_final"]) == (4, 2, 2, True)
    assert [(one["ticket_id"], one["outside"]) for one in running["out_of_scope_tickets"]] == [
        ("T3", "type"),
        ("T4", "service"),
    ]
    assert [(one["volume"], one["tickets"], one["level"]) for one in running["volumes"]] == [
        ("incidents", 1, "below"), ("all", 2, "above"),
    ]  # fmt: skip
    (now,) = shown("scope", rules, *events)
    assert [one["level"] for one in now["volumes"]] == [None, "above"], "there may be more until the end"


# ---- experience ------------------------------------------------------------------------------------------------------


def rate(ticket_id: str, score: float, scale: float = 5, clock: str = "18:00") -> Json:
    return {**at(clock, ticket_id), "type": "rated", "rating": {"score": score, "scale": scale}}


def test_ratings_are_joined_with_verdicts() -> None:
    promises = {
        "resolution": {"metric": "resolution", "within": "4h"},
        "happy-users": {"metric": "satisfaction", "target": "85%", "window": "month"},
    }
    rules = policy(gold=gold(promises=promises))
    opened = [at("10:00", one, service="mail", status="open") for one in ("MET-1", "MET-2", "LATE", "OPEN")]
    ended = [at("11:00", one, status="resolved") for one in ("MET-1", "MET-2")] + [at("17:00", "LATE", status="closed")]
    ratings = [rate("MET-1", 5), rate("MET-1", 1, clock="19:00"), rate("MET-2", 4), rate("LATE", 9, 10)]
    (line,) = shown("experience", rules, *opened, *ended, *ratings, rate("OPEN", 0.1, 0.3, "13:00"))
    assert (line["service"], line["agreement"], line["promise"], line["target"]) == (
        "mail",
        "gold",
        "happy-users",
        0.85,
    )
    assert (line["ratings"], line["happy"], line["unhappy"], line["ratio"]) == (4, 2, 2, 0.5)
    assert line["met_but_unhappy"] == {"unhappy": 1, "ratings": 2}
    assert line["breached_but_happy"] == {"happy": 1, "ratings": 2}, "OPEN was due at 14:00"
    assert line["by_verdict"]["met"] == {"ratings": 2, "score_sum": 1, "happy": 1, "unhappy": 1}
