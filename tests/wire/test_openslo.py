"""OpenSLO v1 documents in place of our own YAML."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.policies import Policy, ServicePromise
from slastream.core.units import MILLISECOND, MINUTE
from slastream.wire.policy_file import PolicyFileError, load_policy

WINDOW = "timeWindow: [{duration: 28d, isRolling: true}]"
RATIO = (
    "indicator: {metadata: {name: ok}, spec: {ratioMetric: {counter: true, "
    "good: {metricSource: {type: Prometheus, spec: {query: up}}}, total: {metricSource: {type: Prometheus, spec: {query: up}}}}}}"
)


def slo(*spec: str, name: str = "checkout") -> str:
    return "\n".join(
        ["apiVersion: openslo/v1", "kind: SLO", f"metadata: {{name: {name}}}", "spec:", *(f"  {line}" for line in spec)]
    )


def load(*documents: str) -> Policy:
    return load_policy([("slo.yaml", "\n---\n".join(documents))], lambda name: b"")


def promise(*documents: str) -> ServicePromise:
    (agreement,) = load(*documents).agreements
    (found,) = agreement.service_promises
    return found


def problems(*documents: str) -> str:
    with pytest.raises(PolicyFileError) as error:
        load(*documents)
    return str(error.value)


PLAIN = ("service: shop", WINDOW, "budgetingMethod: Occurrences", RATIO)


def test_an_slo_of_a_ratio_counts_events() -> None:
    found = promise(slo(*PLAIN, "objectives: [{displayName: ok, target: 0.995}]"))
    assert (found.name, found.metric, found.target, found.window) == ("checkout", "success", Decimal("0.995"), "28d")


def test_an_slo_applies_to_its_service_alone() -> None:
    (agreement,) = load(slo(*PLAIN, "objectives: [{target: 0.9}]")).agreements
    assert (agreement.name, agreement.kind, str(agreement.match)) == (
        "shop", "ola", "Equals(name='service', values=frozenset({'shop'}))",
    )  # fmt: skip


def test_the_slos_of_a_service_are_promises_of_one_agreement() -> None:
    (agreement,) = load(
        slo(*PLAIN, "objectives: [{targetPercent: 99.5}, {target: 0.9}]"),
        slo(*PLAIN, "objectives: [{target: 0.5}]", name="other"),
    ).agreements
    assert [one.name for one in agreement.service_promises] == ["checkout-1", "checkout-2", "other"]
    assert [one.target for one in agreement.service_promises] == [Decimal("0.995"), Decimal("0.9"), Decimal("0.5")]


def test_a_calendar_window_has_its_own_zone() -> None:
    calendar = '{startTime: "2020-01-01 00:00:00", timeZone: America/New_York}'
    window = f"timeWindow: [{{duration: 1M, isRolling: false, calendar: {calendar}}}]"
    (agreement,) = load(
        slo("service: shop", window, "budgetingMethod: Occurrences", RATIO, "objectives: [{target: 0.9}]")
    ).agreements
    assert agreement.service_promises[0].window == "month"
    assert agreement.calendar.zone_name == "America/New_York"


def test_a_threshold_is_a_latency_in_the_unit_of_the_sli() -> None:
    sli = "\n".join([
        "apiVersion: openslo/v1", "kind: SLI", "metadata: {name: fast, annotations: {slastream/unit: ms}}",
        "spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: up}}}}",
    ])  # fmt: skip
    spec = ("service: shop", WINDOW, "budgetingMethod: Occurrences", "indicatorRef: fast")
    found = promise(slo(*spec, "objectives: [{op: lte, value: 300, target: 0.99}]"), sli)
    assert (found.metric, found.threshold) == ("latency", 300 * MILLISECOND)
    assert "write lte" in problems(slo(*spec, "objectives: [{op: gt, value: 300, target: 0.99}]"), sli)
    bare = sli.replace(", annotations: {slastream/unit: ms}", "")
    assert "without a unit" in problems(slo(*spec, "objectives: [{op: lte, value: 300, target: 0.99}]"), bare)


def test_timeslices_are_slices_of_time() -> None:
    spec = ("service: shop", WINDOW, RATIO)
    slices = promise(
        slo(
            *spec,
            "budgetingMethod: Timeslices",
            "objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 1}]",
        )
    )
    assert (slices.slice_us, slices.slice_target) == (MINUTE, Decimal("0.95"))
    ratios = promise(
        slo(*spec, "budgetingMethod: RatioTimeslices", "objectives: [{target: 0.99, timeSliceWindow: 5m}]")
    )
    assert (ratios.slice_us, ratios.slice_target) == (5 * MINUTE, None)


def alert(condition: str) -> tuple[str, str]:
    document = "\n".join([
        "apiVersion: openslo/v1", "kind: AlertPolicy", "metadata: {name: page}",
        f"spec: {{conditions: [{{kind: AlertCondition, spec: {{severity: page, condition: {condition}}}}}]}}",
    ])  # fmt: skip
    return slo(*PLAIN, "objectives: [{target: 0.99}]", "alertPolicies: [page]"), document


def test_a_rule_of_the_workbook_is_a_burn_alert() -> None:
    assert promise(*alert("{kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}")).burn_alerts
    assert "none of the burn alerts" in problems(*alert("{kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1h}"))
    delayed = "{kind: burnrate, op: gt, threshold: 6, lookbackWindow: 6h, alertAfter: 5m}"
    assert "alertAfter" in problems(*alert(delayed))


@pytest.mark.parametrize(
    ("document", "line", "words"),
    [
        (slo(*PLAIN, "objectives: [{target: 1.5}]"), 9, "no target"),
        (slo(*PLAIN), 1, "spec.objectives is missing"),
        (slo("service: shop", "timeWindow: [{duration: 13d}]", *PLAIN[2:], "objectives: [{target: 0.9}]"), 6, "13d"),
        (slo(*PLAIN[:3], "indicatorRef: none", "objectives: [{target: 0.9}]"), 8, "no SLI is named 'none'"),
        (slo(*PLAIN[:3], "objectives: [{target: 0.9, indicatorRef: x}]"), 8, "composite"),
        (slo(*PLAIN, "objectives: [{target: 0.9}]").replace("/v1", "/v2"), 1, "write apiVersion: openslo/v1"),
        (slo(*PLAIN, "objectives: [{target: 0.9}]").replace("kind: SLO", "kind: SLOO"), 2, "write one of: SLO"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_its_line(document: str, line: int, words: str) -> None:
    (message,) = problems(document).splitlines()
    assert message.startswith(f"slo.yaml:{line}: ")
    assert words in message


def test_documents_stand_beside_our_own() -> None:
    own = "version: 1\nagreements:\n  gold: {kind: sla, promises: {r: {metric: resolution, within: 4h}}}"
    policy = load_policy(
        [("own.yaml", own), ("slo.yaml", slo(*PLAIN, "objectives: [{target: 0.9}]"))], lambda name: b""
    )
    assert [one.name for one in policy.agreements] == ["gold", "shop"]


WHOLE: dict[str, Any] = {
    "apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "checkout"},
    "spec": {
        "service": "shop", "timeWindow": [{"duration": "1M", "calendar": {"startTime": "2020-01-01 00:00:00", "timeZone": "UTC"}}],
        "budgetingMethod": "Timeslices",
        "indicator": {"metadata": {"name": "ok", "annotations": {"slastream/unit": "ms"}}, "spec": {"thresholdMetric": {}}},
        "objectives": [{"op": "lte", "value": 300, "target": 0.99, "timeSliceTarget": 0.9, "timeSliceWindow": "1m"}],
        "alertPolicies": [{"kind": "AlertPolicy", "spec": {"conditions": [
            {"spec": {"condition": {"kind": "burnrate", "threshold": 14.4, "lookbackWindow": "1h"}}},
        ]}}],
    },
}  # fmt: skip
PIECES: tuple[Any, ...] = (
    None, True, "", {}, [], [[]], [{}], {"": ""}, 0, -1, 10**30, "9e9999999", "nan", "\ud800", "x" * 2000, {"spec": {}}, "1Q", "²",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], piece: Any) -> Any:
    """The value with a piece at a place."""
    if not path:
        return piece
    first, *rest = path
    if isinstance(value, dict) and first in value:
        return {key: changed(one, tuple(rest), piece) if key == first else one for key, one in value.items()}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [changed(one, tuple(rest), piece) if n == first else one for n, one in enumerate(value)]
    return value


def test_the_document_that_is_mutated_loads() -> None:
    found = promise(json.dumps(WHOLE))
    assert (found.metric, found.window, found.burn_alerts, found.slice_us) == ("latency", "month", True, MINUTE)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(places(WHOLE))), st.sampled_from(PIECES)), min_size=1, max_size=3))
def test_no_piece_at_a_wrong_place_makes_anything_but_problems(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    whole: Any = WHOLE
    for path, piece in changes:
        whole = changed(whole, path, piece)
    try:
        load(json.dumps(whole))
    except PolicyFileError as error:
        for one in str(error).splitlines():
            assert re.match(r"slo\.yaml:[1-9]\d*: .+: .+", one), one
