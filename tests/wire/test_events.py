import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.events import MaintenanceEvent, Message, MonitoringEvent, Override, Rating, Tick, TicketEvent
from slastream.errors import EventError
from slastream.wire.events import (
    MAX_DEPTH,
    MAX_LINE_BYTES,
    REASONS,
    canonical,
    decode_event,
    derived_event_id,
    encode_event,
)

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance"

TICKET = {"ticket_id": "T1", "occurred_at": "2026-03-02T10:00:00Z", "type": "changed"}
STATE = {"service": "mail", "occurred_at": "2026-03-02T10:00:00Z", "state": "down"}
COUNTS = {"service": "mail", "occurred_at": "2026-03-02T10:00:00Z", "counts": {"good": 9, "total": 10}}
MAINTENANCE = {
    "maintenance_id": "M1",
    "service": "mail",
    "occurred_at": "2026-03-01T08:00:00Z",
    "start": "2026-03-02T22:00:00Z",
    "end": "2026-03-03T00:00:00Z",
}


def ticket_event(**fields: Any) -> TicketEvent:
    event = decode_event(encode_event({**TICKET, **fields}))
    assert isinstance(event, TicketEvent)
    return event


def monitoring_event(fields: dict[str, Any]) -> MonitoringEvent:
    event = decode_event(encode_event(fields))
    assert isinstance(event, MonitoringEvent)
    return event


def refusal(line: bytes | dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(EventError) as caught:
        decode_event(line if isinstance(line, bytes) else json.dumps(line).encode())
    assert str(caught.value)
    return caught.value.reason, caught.value.path


# ---- tickets


def test_every_part_of_a_ticket_event_is_read() -> None:
    event = decode_event(
        b'{"event_id":"jira:10042:20031","ticket_id":"OPS-42","occurred_at":"1970-01-01T00:00:01Z","sequence":3,'
        b'"source":"jira","type":"changed","ticket":{"service":"mail","status":"open","tags":["vip"],"priority":null,'
        b'"created_at":"1970-01-01T00:00:00.5Z","fields":{"region":"eu","floor":3},"mood":7},'
        b'"message":{"author":"agent","public":false,"automatic":true},"weather":{"sun":[1]}}'
    )
    assert isinstance(event, TicketEvent)
    assert event[:6] == ("OPS-42", 1_000_000, 3, "jira:10042:20031", "changed", "jira")
    assert event.attributes == {
        "service": "mail",
        "status": "open",
        "tags": ["vip"],
        "priority": None,
        "fields.region": "eu",
        "fields.floor": 3,
    }
    assert event.created_at == 500_000
    assert event.message == Message("agent", is_public=False, is_automatic=True)


def test_what_is_left_out_has_its_default() -> None:
    event = ticket_event(message={"author": "requester"})
    assert (event.sequence, event.source, event.attributes, event.created_at) == (0, None, {}, None)
    assert event.message == Message("requester", is_public=True, is_automatic=False)
    assert ticket_event(type=None).type == "changed"


def test_null_is_as_good_as_absent() -> None:
    optional = ("event_id", "sequence", "source", "type", "ticket", "message", "rating", "override", "merged_into")
    event = ticket_event(**dict.fromkeys(optional))
    assert event[:3] + event[4:12] == (*ticket_event()[:3], *ticket_event()[4:12])


def test_null_fields_are_told_as_one_cleared_attribute() -> None:
    assert ticket_event(ticket={"fields": None}).attributes == {"fields": None}


def test_an_override_a_rating_and_a_merge_carry_their_part() -> None:
    override = {"promise": "resolution", "due_at": "1970-01-01T00:00:02Z", "by": "kim", "reason": "agreed"}
    assert ticket_event(type="override", override=override).override == Override(
        "resolution",
        2_000_000,  # type: ignore[arg-type]
        "kim",
        "agreed",
    )
    assert ticket_event(type="override", override={"promise": "p"}).override == Override("p", None, None, None)
    assert ticket_event(type="rated", rating={"score": 2, "scale": 5}).rating == Rating(2, 5)
    assert ticket_event(type="merged", merged_into="OPS-7").merged_into == "OPS-7"


def test_a_part_of_another_type_of_event_is_not_looked_at() -> None:
    event = ticket_event(override=1, rating=1, merged_into=1)
    assert (event.override, event.rating, event.merged_into) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"type": "renamed"}, "bad_value", "type"),
        ({"type": 3}, "wrong_type", "type"),
        ({"type": []}, "wrong_type", "type"),
        ({"type": "message"}, "missing", "message"),
        ({"type": "rated"}, "missing", "rating"),
        ({"type": "rated", "rating": {"score": 2}}, "missing", "rating.scale"),
        ({"type": "rated", "rating": {"score": True, "scale": 5}}, "wrong_type", "rating.score"),
        ({"type": "rated", "rating": {"score": 2, "scale": 0}}, "bad_value", "rating.scale"),
        ({"type": "rated", "rating": {"score": 6, "scale": 5}}, "bad_value", "rating.score"),
        ({"type": "merged"}, "missing", "merged_into"),
        ({"type": "override", "override": []}, "wrong_type", "override"),
        ({"type": "override", "override": {}}, "missing", "override.promise"),
        ({"ticket_id": "x" * 513}, "bad_value", "ticket_id"),
        ({"event_id": ""}, "bad_value", "event_id"),
        ({"event_id": 7}, "wrong_type", "event_id"),
        ({"occurred_at": 1}, "wrong_type", "occurred_at"),
        ({"occurred_at": None}, "missing", "occurred_at"),
        ({"occurred_at": "2026-03-02T10:00:00"}, "bad_instant", "occurred_at"),
        ({"sequence": 1.0}, "wrong_type", "sequence"),
        ({"sequence": 2**63}, "bad_value", "sequence"),
        ({"sequence": -(2**63) - 1}, "bad_value", "sequence"),
        ({"sequence": 2**70}, "bad_value", "sequence"),
        ({"source": 1}, "wrong_type", "source"),
        ({"ticket": []}, "wrong_type", "ticket"),
        ({"ticket": {"status": "Open"}}, "bad_value", "ticket.status"),
        ({"ticket": {"opened_by": "boss"}}, "bad_value", "ticket.opened_by"),
        ({"ticket": {"service": ""}}, "bad_value", "ticket.service"),
        ({"ticket": {"priority": 1}}, "wrong_type", "ticket.priority"),
        ({"ticket": {"tags": "vip"}}, "wrong_type", "ticket.tags"),
        ({"ticket": {"tags": ["vip", 1]}}, "wrong_type", "ticket.tags"),
        ({"ticket": {"fields": []}}, "wrong_type", "ticket.fields"),
        ({"ticket": {"fields": {"a": {}}}}, "wrong_type", "ticket.fields.a"),
        ({"ticket": {"fields": {"a": [[]]}}}, "wrong_type", "ticket.fields.a"),
        ({"ticket": {"created_at": "2026-03-02"}}, "bad_instant", "ticket.created_at"),
        ({"message": "hello"}, "wrong_type", "message"),
        ({"message": {}}, "missing", "message.author"),
        ({"message": {"author": 1}}, "wrong_type", "message.author"),
        ({"message": {"author": "agent", "automatic": 0}}, "wrong_type", "message.automatic"),
    ],
)
def test_a_wrong_part_of_a_ticket_event_is_named(fields: dict[str, Any], reason: str, path: str) -> None:
    assert refusal({**TICKET, **fields}) == (reason, path)


# ---- identity and content


def test_an_exact_repetition_has_the_same_derived_id_in_any_order_of_its_keys() -> None:
    one = decode_event(b'{"ticket_id":"T1","occurred_at":"2026-03-02T10:00:00Z","ticket":{"type":"x","group":"y"}}')
    other = decode_event(b'{"ticket":{"group":"y", "type":"x"},"occurred_at":"2026-03-02T10:00:00Z","ticket_id":"T1"}')
    assert isinstance(one, TicketEvent) and isinstance(other, TicketEvent)
    assert one.event_id == other.event_id
    assert len(one.event_id) == 32
    assert canonical(one.content) == canonical(other.content)
    assert one.event_id != ticket_event().event_id


def test_of_a_repeated_key_the_last_counts() -> None:
    line = b'{"ticket_id":"FIRST","ticket_id":"LAST","occurred_at":"2026-03-02T10:00:00Z"}'
    assert decode_event(line)[0] == "LAST"


# ---- monitoring, maintenance, ticks


def test_a_state_is_read_with_its_defaults() -> None:
    event = monitoring_event(STATE)
    assert (event.component, event.state, event.is_hard, event.episode, event.expires_after) == (
        "mail",
        "down",
        True,
        None,
        None,
    )
    event = monitoring_event({**STATE, "component": "smtp-1", "confidence": "soft", "expires_after": "15m"})
    assert (event.component, event.is_hard, event.expires_after) == ("smtp-1", False, 900_000_000)


def test_counts_and_a_latency_histogram_are_read_in_the_order_of_their_bounds() -> None:
    event = monitoring_event(
        {**COUNTS, "interval": "60s", "latency_ms": {"le": {"inf": 10, "100": 1, "99.5": 0}}},
    )
    assert (event.good, event.total, event.interval, event.state) == (9, 10, 60_000_000, None)
    assert event.latency == ((99.5, 0), (100.0, 1), (float("inf"), 10))


def test_a_maintenance_is_read_and_a_withdrawal_needs_no_interval() -> None:
    event = decode_event(encode_event({**MAINTENANCE, "component": None, "revision": 2}))
    assert isinstance(event, MaintenanceEvent)
    assert (event.component, event.revision, event.is_withdrawn) == (None, 2, False)
    assert event.end - event.start == 2 * 3600 * 1_000_000
    bare = {k: v for k, v in MAINTENANCE.items() if k not in ("start", "end")}
    event = decode_event(encode_event({**bare, "withdrawn": True}))
    assert isinstance(event, MaintenanceEvent) and event.is_withdrawn
    assert refusal(bare) == ("missing", "start")


def test_a_tick_is_time_itself_unless_it_names_a_ticket() -> None:
    assert decode_event(b'{"type":"tick","at":"1970-01-01T00:00:01Z"}') == Tick(1_000_000)  # type: ignore[arg-type]
    assert refusal(b'{"type":"tick"}') == ("missing", "at")
    assert refusal({**TICKET, "type": "tick"}) == ("bad_value", "type")


@pytest.mark.parametrize(
    ("event", "reason", "path"),
    [
        ({**STATE, "state": "DOWN"}, "bad_value", "state"),
        ({**STATE, "state": 0}, "wrong_type", "state"),
        ({**STATE, "state": None}, "missing", "state"),
        ({**STATE, "service": None}, "missing", "service"),
        ({**STATE, "service": "x" * 513}, "bad_value", "service"),
        ({**STATE, "component": ""}, "bad_value", "component"),
        ({**STATE, "confidence": "firm"}, "bad_value", "confidence"),
        ({**STATE, "expires_after": "0s"}, "bad_value", "expires_after"),
        ({**STATE, "expires_after": 15}, "wrong_type", "expires_after"),
        ({**STATE, "expires_after": "9" * 100_000 + "s"}, "bad_value", "expires_after"),
        ({**STATE, "expires_after": "9" * 30 + "h"}, "bad_value", "expires_after"),
        ({**STATE, "expires_after": "soon"}, "bad_value", "expires_after"),
        ({**COUNTS, "counts": {"good": 11, "total": 10}}, "bad_value", "counts.total"),
        ({**COUNTS, "counts": {"good": -1, "total": 10}}, "bad_value", "counts.good"),
        ({**COUNTS, "counts": {"good": 1}}, "missing", "counts.total"),
        ({**COUNTS, "counts": {"good": 1.5, "total": 2}}, "wrong_type", "counts.good"),
        ({**COUNTS, "counts": 3}, "wrong_type", "counts"),
        ({**COUNTS, "latency_ms": {}}, "missing", "latency_ms.le"),
        ({**COUNTS, "latency_ms": {"le": {"fast": 1}}}, "bad_value", "latency_ms.le.fast"),
        ({**COUNTS, "latency_ms": {"le": {"100": 5, "300": 4}}}, "bad_value", "latency_ms.le.300"),
        ({**MAINTENANCE, "end": MAINTENANCE["start"]}, "bad_value", "end"),
        ({**MAINTENANCE, "start": "2026-03-02T22:00:00"}, "bad_instant", "start"),
        ({**MAINTENANCE, "withdrawn": "yes"}, "wrong_type", "withdrawn"),
        ({**MAINTENANCE, "revision": "1"}, "wrong_type", "revision"),
        ({**MAINTENANCE, "maintenance_id": None}, "missing", "maintenance_id"),
        ({"service": "mail", "occurred_at": "2026-03-02T10:00:00Z"}, "unknown_kind", "$"),
        ({}, "unknown_kind", "$"),
    ],
)
def test_a_wrong_part_of_another_event_is_named(event: dict[str, Any], reason: str, path: str) -> None:
    assert refusal(event) == (reason, path)


# ---- what is no event at all


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"ticket_id":NaN}',
        b'{"ticket_id":"\\ud800"}',
        b'{"sequence":1e999}',
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b"{}{}",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_is_not_json_is_refused_whole(line: bytes) -> None:
    assert refusal(line) == ("not_json", "$")


def test_nesting_up_to_the_limit_is_read_and_gets_an_id() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert len(ticket_event(x=deep).event_id) == 32


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert ticket_event(x=[[]] * 500, ticket={"title": "[" * 500}).attributes == {"title": "[" * 500}


def test_an_event_of_more_than_one_mebibyte_is_refused() -> None:
    line = encode_event({**TICKET, "x": ""})
    padded = line.replace(b'"x":""', b'"x":"' + b"y" * (MAX_LINE_BYTES - len(line)) + b'"')
    assert len(padded) == MAX_LINE_BYTES
    assert isinstance(decode_event(padded), TicketEvent)
    assert refusal(padded + b" ") == ("too_large", "$")


def test_a_value_that_json_does_not_have_cannot_be_written() -> None:
    with pytest.raises(EventError):
        encode_event({"ticket_id": b"bytes"})


# ---- whatever comes


def decode_or_refuse(line: bytes) -> None:
    try:
        event = decode_event(line)
    except EventError as error:
        assert error.reason in REASONS
        assert error.path
        assert len(str(error)) < 1000
    else:
        if not isinstance(event, Tick):
            assert canonical(event.content) == canonical(line)


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_an_event_error(line: bytes) -> None:
    decode_or_refuse(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
NAMES = """
ticket_id maintenance_id type occurred_at sequence source ticket message override rating merged_into
service state counts latency_ms component episode expires_after interval start end revision withdrawn at
status tags fields created_at author public automatic promise due_at score scale good total le 100 inf
event_id confidence
"""
names = st.sampled_from(NAMES.split())
plausible = st.recursive(
    json_values
    | st.sampled_from(["tick", "changed", "override", "rated", "merged", "2026-03-02T10:00:00Z", "60s", "open", "up"]),
    lambda inner: st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(names | st.text(max_size=9), plausible, max_size=10))
def test_arbitrary_json_raises_nothing_but_an_event_error(document: dict[str, Any]) -> None:
    decode_or_refuse(json.dumps(document).encode())


@given(plausible)
def test_an_id_derived_from_equal_documents_is_equal(document: Any) -> None:
    text = json.dumps(document)
    try:
        once, again = orjson.loads(text), orjson.loads(text)
    except orjson.JSONDecodeError:
        return  # a lone surrogate
    assert derived_event_id(once) == derived_event_id(again)


# ---- the acceptance scenarios


def scenario_lines() -> list[Any]:
    file = CONFORMANCE / "rejects.json"
    if not file.exists():
        return [pytest.param(b"", 0, None, marks=pytest.mark.skip(reason="shared/conformance is not beside the repo"))]
    return [
        pytest.param(
            line_bytes(line),
            number,
            {w["line"]: w for w in case.get("expect_rejected", [])}.get(number),
            id=f"{case['id']}-{number}",
        )
        for case in json.loads(file.read_text(encoding="utf-8"))
        for number, line in enumerate(case["lines"], 1)
    ]


def line_bytes(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if set(item) == {"parts"}:
        return "".join(text * times for text, times in item["parts"]).encode()
    if set(item) == {"hex"}:
        return bytes.fromhex(item["hex"])
    return json.dumps(item, ensure_ascii=False).encode()


@pytest.mark.parametrize(("line", "number", "want"), scenario_lines())
def test_a_line_of_the_scenarios_is_read_or_refused_as_expected(
    line: bytes, number: int, want: dict[str, Any] | None
) -> None:
    if want is not None and want.get("reason") == "future":
        decode_event(line)  # whether an instant lies in the future is the caller's to say
    elif want is not None:
        reason, path = refusal(line)
        assert want.get("reason") in (None, reason)
        assert want.get("path") in (None, path)
    elif line.strip():
        decode_event(line)
