"""Conditions: what holds, and what each looks at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.events import Message, TicketEvent
from slastream.core.predicates import (
    ALWAYS,
    NEVER,
    All,
    AnyOf,
    Changed,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
    attributes_of,
    compile_predicate,
    looks_at_event,
)
from slastream.core.units import Instant


def event(type: str = "changed", message: Message | None = None, source: str | None = None) -> TicketEvent:
    return TicketEvent("T", Instant(0), 0, "e", type, source, {}, None, message, None, None, None, b"{}")


def holds(predicate: Predicate, attributes: dict[str, Any], one: TicketEvent | None = None, *changed: str) -> bool:
    return compile_predicate(predicate)(attributes, one, changed)


def equals(name: str, *values: str | int | float | bool) -> Equals:
    return Equals(name, frozenset(values))


@pytest.mark.parametrize(
    ("predicate", "attributes", "expected"),
    [
        (equals("priority", "P1", "P2"), {"priority": "P2"}, True),
        (equals("priority", "P1", "P2"), {"priority": "P3"}, False),
        (equals("priority", "p1"), {"priority": "P1"}, False),
        (equals("priority", "P1"), {}, False),
        (equals("priority", "P1"), {"priority": None}, False),
        (equals("tags", "vip"), {"tags": ["new", "vip"]}, True),
        (equals("tags", "vip"), {"tags": []}, False),
        (equals("fields.floor", 3), {"fields.floor": 3}, True),
        (equals("fields.floor", 3), {"fields.floor": 3.0}, True),
        (equals("fields.floor", 3), {"fields.floor": "3"}, False),
        (Glob("service", "db-*"), {"service": "db-7"}, True),
        (Glob("service", "db-*"), {"service": "DB-7"}, False),
        (Glob("service", "db-?"), {"service": "db-77"}, False),
        (Glob("tags", "v*"), {"tags": ["a", "vip"]}, True),
        (Glob("fields.floor", "*"), {"fields.floor": 3}, False),
        (Compare("fields.floor", "gte", 3), {"fields.floor": 3}, True),
        (Compare("fields.floor", "gt", 3), {"fields.floor": 3}, False),
        (Compare("fields.floor", "lte", 3), {"fields.floor": 3}, True),
        (Compare("fields.floor", "lt", 3), {"fields.floor": 2.5}, True),
        (Compare("fields.floor", "gte", 3), {"fields.floor": "3"}, False),
        (Compare("fields.floor", "gte", 0), {"fields.floor": True}, False),
        (Compare("fields.floor", "gte", 0), {}, False),
        (Exists("assignee", expected=True), {"assignee": "ann"}, True),
        (Exists("assignee", expected=True), {"assignee": None}, False),
        (Exists("assignee", expected=False), {}, True),
        (Not(equals("priority", "P1")), {}, True),
        (All((equals("a", "x"), equals("b", "y"))), {"a": "x", "b": "y"}, True),
        (All((equals("a", "x"), equals("b", "y"))), {"a": "x"}, False),
        (AnyOf((equals("a", "x"), equals("b", "y"))), {"b": "y"}, True),
        (AnyOf((equals("a", "x"), equals("b", "y"))), {}, False),
        (ALWAYS, {}, True),
        (NEVER, {"a": "x"}, False),
    ],
)
def test_a_condition_over_the_ticket(predicate: Predicate, attributes: dict[str, Any], expected: bool) -> None:
    assert holds(predicate, attributes) is expected


@pytest.mark.parametrize("wanted", [True, 1])
@pytest.mark.parametrize("value", [True, 1])
def test_true_is_not_one(wanted: int, value: int) -> None:
    assert holds(equals("fields.vip", wanted), {"fields.vip": value}) is (type(wanted) is type(value))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (equals("event.type", "message"), True),
        (equals("event.type", "created"), False),
        (equals("event.source", "jira"), True),
        (equals("message.author", "agent"), True),
        (equals("message.public", True), True),
        (equals("message.public", False), False),
        (equals("message.automatic", False), True),
        (Exists("message.author", expected=True), True),
    ],
)
def test_a_condition_over_the_event(predicate: Predicate, expected: bool) -> None:
    message = Message("agent", is_public=True, is_automatic=False)
    assert holds(predicate, {}, event("message", message, "jira")) is expected
    assert holds(predicate, {}, None) is False


def test_an_event_without_a_message_has_no_author() -> None:
    assert not holds(equals("message.author", "agent"), {}, event())
    assert not holds(equals("message.public", False), {}, event())
    assert holds(Exists("message.author", expected=False), {}, event())


def test_changed_looks_at_what_the_event_changed_not_at_what_is() -> None:
    predicate = Changed(frozenset({"priority", "group"}))
    assert holds(predicate, {}, event(), "group", "status")
    assert not holds(predicate, {"priority": "P1"}, event(), "status")


@pytest.mark.parametrize(
    ("predicate", "names", "is_dynamic"),
    [
        (equals("status", "open"), {"status"}, False),
        (All((equals("status", "open"), Not(Glob("fields.x", "*")))), {"status", "fields.x"}, False),
        (AnyOf((equals("status", "open"), equals("event.type", "merged"))), {"status"}, True),
        (Not(Changed(frozenset({"group"}))), set(), True),
        (Exists("message.author", expected=True), set(), True),
        (ALWAYS, set(), False),
    ],
)
def test_a_condition_knows_what_it_looks_at(predicate: Predicate, names: set[str], is_dynamic: bool) -> None:
    assert attributes_of(predicate) == names
    assert looks_at_event(predicate) is is_dynamic


leaves = st.sampled_from([equals("a", "x"), equals("b", "x", "y"), Exists("a", expected=False), Glob("b", "[xz]")])
predicates = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda parts: All(tuple(parts)), st.lists(inner, max_size=3))
        | st.builds(lambda parts: AnyOf(tuple(parts)), st.lists(inner, max_size=3))
    ),
    max_leaves=8,
)
tickets = st.fixed_dictionaries({}, optional={name: st.sampled_from(["x", "y", "z", None]) for name in "ab"})


@given(predicates, tickets)
def test_the_laws_of_de_morgan_hold(predicate: Predicate, ticket: dict[str, Any]) -> None:
    if isinstance(predicate, All):
        assert holds(Not(predicate), ticket) is holds(AnyOf(tuple(map(Not, predicate.parts))), ticket)
    if isinstance(predicate, AnyOf):
        assert holds(Not(predicate), ticket) is holds(All(tuple(map(Not, predicate.parts))), ticket)
    assert holds(Not(Not(predicate)), ticket) is holds(predicate, ticket)


@given(predicates, tickets)
def test_only_the_attributes_that_are_named_decide(predicate: Predicate, ticket: dict[str, Any]) -> None:
    read = {name: value for name, value in ticket.items() if name in attributes_of(predicate)}
    assert holds(predicate, {**read, "other": "x"}) is holds(predicate, ticket)
