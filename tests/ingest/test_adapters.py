"""Adapters on payloads written from the vendors' documentation, with the events expected beside them; and on anything else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.app import replay_events
from slastream.errors import PolicyError
from slastream.ingest.adapter_options import read_options
from slastream.ingest.adapters import ADAPTERS, AdapterOptions, Translation, adapter
from slastream.ingest.adapting import Place
from slastream.wire.events import REASONS, decode_event

PAYLOADS = Path(__file__).parent / "payloads"
CASES = sorted(PAYLOADS.glob("*/*.json"))
FEWEST_CASES = 8


def _case(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _payload(case: dict[str, Any]) -> bytes:
    text = case["text"] if "text" in case else json.dumps(case["payload"], ensure_ascii=False)
    return str(text).encode()


def _translated(path: Path) -> Translation:
    case, vendor = _case(path), adapter(path.parent.name)
    options = read_options("\n".join(case["options"]), vendor) if "options" in case else None
    return vendor.events(_payload(case), case.get("headers", {}), options)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_payload_becomes_the_events_beside_it(path: Path) -> None:
    expected, found = _case(path)["expected"], _translated(path)
    assert list(found.events) == expected["events"]
    assert [refused._asdict() for refused in found.refused] == expected.get("refused", [])
    assert found.ignored == expected.get("ignored", {})
    assert found.lost == expected.get("lost", 0)
    assert len(found.records) == len(found.origins) == len(found.events)


@pytest.mark.parametrize("path", [p for p in CASES if "same_as" in _case(p)], ids=lambda path: path.parent.name)
def test_second_delivery_of_one_change_has_the_same_events(path: Path) -> None:
    assert _translated(path).events == _translated(path.with_name(_case(path)["same_as"] + ".json")).events != ()


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_no_event_says_why_with_a_word_of_the_contract(path: Path) -> None:
    case, found = _case(path), _translated(path)
    assert found.events or found.refused or found.ignored, "swallowed"
    for refused in found.refused:
        assert refused.reason in REASONS
        assert refused.path and refused.message
    for event in found.events:
        assert decode_event(json.dumps(event).encode())
    if "override" in path.stem:
        assert found.events != adapter(path.parent.name).events(_payload(case), case.get("headers", {})).events


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_has_its_cases(name: str) -> None:
    cases = [(path.stem, _case(path)) for path in CASES if path.parent.name == name]
    assert len(cases) >= FEWEST_CASES
    stems = {stem for stem, _ in cases}
    assert {"unicode", "odd-time", "override"} <= stems
    assert any("same_as" in case for _, case in cases), "a second delivery"
    reasons = {one["reason"] for _, case in cases for one in case["expected"].get("refused", [])}
    assert {"missing", "not_json"} <= reasons or {"missing", "wrong_type"} <= reasons


def test_unknown_adapter_is_named_with_what_there_is() -> None:
    with pytest.raises(PolicyError, match="did you mean 'jira'"):
        adapter("jiira")


# ---- anything else

KEYS = sorted({key for path in CASES for key in re.findall(r'"(\w+)":', path.read_text(encoding="utf-8"))})
WORDS = st.sampled_from(
    ["firing", "open", "1", "--5", "2026-03-02T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", ""]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | WORDS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(JSON, st.sampled_from(sorted(ADAPTERS)), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
@settings(max_examples=500, deadline=None)
def test_any_json_is_events_refusals_or_ignored(document: Any, name: str, headers: dict[str, str]) -> None:
    _check(adapter(name).events(json.dumps(document).encode(), headers))


@given(st.sampled_from([p for p in CASES if "payload" in _case(p)]), JSON, st.data())
@settings(max_examples=1000, deadline=None)
def test_a_real_payload_with_one_odd_value_is_events_refusals_or_ignored(
    path: Path, odd: Any, data: st.DataObject
) -> None:
    case = _case(path)
    holder, key = data.draw(st.sampled_from(list(_places(case))))
    holder[key] = odd
    _check(adapter(path.parent.name).events(_payload(case), case.get("headers", {})))


def _places(case: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    stack: list[tuple[Any, Any]] = [(case, "payload")]
    while stack:
        holder, key = stack.pop()
        yield holder, key
        value = holder[key]
        if isinstance(value, dict | list):
            stack += [(value, inner) for inner in (value if isinstance(value, dict) else range(len(value)))]


def _check(found: Translation) -> None:
    for event in found.events:
        decode_event(json.dumps(event).encode())
    assert all(refused.reason in REASONS and refused.path for refused in found.refused)


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("nothing", b""),
        ("no UTF-8", b'{"ticket":"\xff"}'),
        ("a lone surrogate", b'{"issue":{"key":"\\ud800"}}'),
        ("NaN", b'{"timestamp":NaN}'),
        ("lists within lists", b"[" * 100_000),
        ("objects within objects", b'{"event":' * 2000 + b"1" + b"}" * 2000),
        ("10 MB of text", b'{"type":"' + b"x" * 10_000_000 + b'"}'),
        ("a million bytes of lines", b"x\n" * 500_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_bytes_are_refused_or_ignored(name: str, what: str, payload: bytes) -> None:
    found = adapter(name).events(payload, {})
    assert found.events == ()
    assert found.refused or found.ignored, what


@pytest.mark.parametrize("path", [p for p in CASES if p.stem == "unicode"], ids=lambda path: path.parent.name)
def test_of_a_repeated_key_the_last_counts(path: Path) -> None:
    case = _case(path)
    key = next(iter(case["payload"]))
    text = _payload(case).replace(b"{", b'{"%s": 7, ' % key.encode(), 1)
    options = read_options("\n".join(case["options"]), adapter(path.parent.name)) if "options" in case else None
    found = adapter(path.parent.name).events(text, case.get("headers", {}), options)
    assert list(found.events) == case["expected"]["events"]


# ---- what the engine makes of whole states

POLICY = """
version: 1
agreements:
  a:
    kind: sla
    promises:
      response: {metric: first_response, within: 4h}
      resolution: {metric: resolution, within: 4h}
"""


@pytest.mark.parametrize("name", [name for name, one in ADAPTERS.items() if one.kind == "ticket"])
def test_whole_states_that_come_twice_and_in_any_order_change_no_verdict(name: str) -> None:
    """Payloads without a delta carry their whole state: an equal value changes nothing in stage 1."""
    stories = [_translated(path) for path in CASES if path.parent.name == name]
    lines = [json.dumps(event).encode() for story in stories for event in story.events]
    once, again = _verdicts(list(dict.fromkeys(lines))), _verdicts([*reversed(lines), *lines])
    assert once == again
    assert once


def _verdicts(lines: list[bytes]) -> list[Any]:
    return replay_events(POLICY, lines, show="verdicts")


def test_recovery_of_a_streamed_problem_finds_its_place_in_what_earlier_payloads_gave() -> None:
    zabbix = adapter("zabbix")
    problem = zabbix.events(_payload(_case(PAYLOADS / "zabbix" / "problem.json")), {})
    assert problem.places == {"81234": Place("checkout", "web01")}
    end = _payload(_case(PAYLOADS / "zabbix" / "recovery-alone.json"))
    found = zabbix.events(end, {}, AdapterOptions(places=problem.places))
    assert [(e["service"], e["component"], e["state"]) for e in found.events] == [("checkout", "web01", "up")]


def test_origins_name_the_path_of_each_field() -> None:
    found = _translated(PAYLOADS / "jira" / "changed.json")
    assert found.origins[0]["ticket.service"] == "issue.fields.components.0.name"
    assert found.origins[0]["ticket.status"] == "issue.fields.status.statusCategory.key"


def test_two_systems_of_one_vendor_have_different_event_ids() -> None:
    payload = _payload(_case(PAYLOADS / "jira" / "changed.json"))
    eu, us = (adapter("jira").events(payload, {}, AdapterOptions(source=name)).events[0] for name in ("eu", "us"))
    assert eu["event_id"] != us["event_id"]
