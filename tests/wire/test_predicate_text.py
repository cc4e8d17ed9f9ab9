"""Conditions: what their text means, what is refused, and what two of them say about each other."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.predicates import (
    ALWAYS,
    All,
    AnyOf,
    Changed,
    Compare,
    Equals,
    Exists,
    Glob,
    Not,
    Predicate,
    compile_predicate,
)
from slastream.wire.policy_file import PolicyFileError, load_policy
from slastream.wire.predicate_text import PredicateReader, excludes, implies, is_never
from slastream.wire.yaml_nodes import Entry, Reader, parse


def read(text: str) -> tuple[Predicate | None, list[str]]:
    reader = Reader()
    root = parse("policy.yaml", text, reader.problems)
    assert root is not None
    found = PredicateReader(reader).read(Entry(root, "match", 1, "policy.yaml"))
    return found, [f"{one.path}: {one.message}" for one in reader.problems]


def condition(text: str) -> Predicate:
    found, problems = read(text)
    assert found is not None and problems == []
    return found


def refusal(text: str) -> str:
    found, (problem,) = read(text)
    assert found is None
    return problem


def equals(name: str, *values: str | int | float | bool) -> Equals:
    return Equals(name, frozenset(values))


def holds(predicate: Predicate, attributes: Mapping[str, Any]) -> bool:
    return compile_predicate(predicate)(attributes, None, ())


# ---- text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{priority: P1}", equals("priority", "P1")),
        ("{priority: [P1, P2]}", equals("priority", "P1", "P2")),
        ("{priority: P1, type: incident}", All((equals("priority", "P1"), equals("type", "incident")))),
        ("{}", ALWAYS),
        ("{priority: {not: P4}}", Not(equals("priority", "P4"))),
        ("{priority: {not: [P3, P4]}}", Not(equals("priority", "P3", "P4"))),
        ("{service: {glob: 'db-*'}}", Glob("service", "db-*")),
        ("{fields.amount: {gte: 3, lt: 7.5}}", All((Compare("fields.amount", "gte", 3), Compare("fields.amount", "lt", 7.5)))),
        ("{assignee: {exists: false}}", Exists("assignee", False)),
        ("{any: [{priority: P1}, {tags: vip}]}", AnyOf((equals("priority", "P1"), equals("tags", "vip")))),
        ("{not: {status: hold}}", Not(equals("status", "hold"))),
        ("{changed: [priority, service]}", Changed(frozenset({"priority", "service"}))),
        ("{changed: priority}", Changed(frozenset({"priority"}))),
        ("{event: {type: merged}}", All((equals("event.type", "merged"),))),
        ("{event.type: merged}", equals("event.type", "merged")),
        ("{message: {author: requester, public: true}}",
         All((equals("message.author", "requester"), equals("message.public", True)))),
        ("{fields: {tier: 3}}", All((equals("fields.tier", 3),))),
    ],
)  # fmt: skip
def test_a_condition_is_read(text: str, expected: Predicate) -> None:
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{customer: NO}", "NO"),
        ("{customer: 12:30}", "12:30"),
        ("{customer: 2026-12-24}", "2026-12-24"),
        ("{customer: 007}", "007"),
        ("{customer: true}", "true"),
        ("{fields.x: NO}", "NO"),
        ("{fields.x: '3'}", "3"),
        ("{fields.x: 3}", 3),
        ("{fields.x: 3.5}", 3.5),
        ("{fields.x: 1_000}", "1_000"),
        ("{fields.x: ²}", "²"),
        ("{fields.x: 1:30}", "1:30"),
    ],
)
def test_a_value_is_text_unless_a_field_is_plainly_a_number(text: str, value: str | int | float) -> None:
    found = condition(text)
    assert isinstance(found, Equals) and found.values == {value}
    assert type(next(iter(found.values))) is type(value)


def test_true_is_no_one() -> None:
    assert holds(condition("{fields.x: true}"), {"fields.x": True})
    assert not holds(condition("{fields.x: true}"), {"fields.x": 1})
    assert not holds(condition("{fields.x: 1}"), {"fields.x": True})


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("{prioritty: P1}", "match.prioritty", "did you mean 'priority'?"),
        ("{status: opne}", "match.status", "did you mean 'open'?"),
        ("{event.type: closed_down}", "match.event.type", "can never hold"),
        ("{message: {author: robot}}", "match.message.author", "write one of: requester"),
        ("{message: {public: yes}}", "match.message.public", "write true or false"),
        ("{message: {colour: red}}", "match.message.colour", "unknown attribute 'message.colour'"),
        ("{fields.: 1}", "match.fields.", "unknown attribute"),
        ("{priority: []}", "match.priority", "nothing equals"),
        ("{priority: {}}", "match.priority", "is empty"),
        ("{priority: null}", "match.priority", "{exists: false}"),
        ("{priority: [P1, ~]}", "match.priority[1]", "{exists: false}"),
        ("{priority: [[P1]]}", "match.priority[0]", "is a list"),
        ("{priority: {nott: P4}}", "match.priority.nott", "did you mean 'not'?"),
        ("{fields.x: {gte: many}}", "match.fields.x.gte", "write a number"),
        ("{fields.x: {gte: true}}", "match.fields.x.gte", "write a number"),
        ("{fields.x: {gte: [1]}}", "match.fields.x.gte", "write a number"),
        ("{priority: {exists: maybe}}", "match.priority.exists", "write true or false"),
        ("{any: []}", "match.any", "at least one condition"),
        ("{any: {priority: P1}}", "match.any", "a list of conditions"),
        ("{not: P1}", "match.not", "is 'P1'"),
        ("{changed: [colour]}", "match.changed[0]", "unknown attribute 'colour'"),
        ("[P1]", "match", "is a list"),
        ("{~: P1}", "match", "a key that is nothing"),
        ("{[a]: P1}", "match", "a key that is no text"),
        ("{<<: {priority: P1}}", "match", "write the keys out"),
        ("{service: {glob: " + "x" * 201 + "}}", "match.service.glob", "at most 200"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, place: str, words: str) -> None:
    problem = refusal(text)
    assert problem.startswith(f"{place}: ") and words in problem


def test_every_part_that_is_wrong_is_said() -> None:
    found, problems = read("{prioritty: P1, any: [{status: opne}, {not: {tpye: x}}]}")
    assert found is None
    assert [one.split(": ")[0] for one in problems] == [
        "match.prioritty",
        "match.any[0].status",
        "match.any[1].not.tpye",
    ]


# ---- what two conditions say about each other


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("{priority: P1}", "{priority: [P1, P2]}", True),
        ("{priority: [P1, P2]}", "{priority: P1}", False),
        ("{priority: P1, type: incident}", "{priority: P1}", True),
        ("{priority: P1}", "{priority: P1, type: incident}", False),
        ("{priority: P1}", "{}", True),
        ("{}", "{priority: P1}", False),
        ("{priority: P1}", "{any: [{type: incident}, {priority: P1}]}", True),
        ("{any: [{priority: P1}, {priority: P2}]}", "{priority: [P1, P2, P3]}", True),
        ("{any: [{priority: P1}, {type: incident}]}", "{priority: P1}", False),
        ("{assignee: ann}", "{assignee: {exists: true}}", True),
        ("{assignee: ann}", "{assignee: {exists: false}}", False),
    ],
)
def test_one_condition_implies_another(one: str, other: str, expected: bool) -> None:
    assert implies(condition(one), condition(other)) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("{customer: acme}", "{customer: globex}", True),
        ("{customer: [acme, globex]}", "{customer: [globex]}", False),
        ("{customer: acme}", "{priority: P1}", False),
        ("{customer: acme, priority: P1}", "{all: [{customer: globex}, {type: incident}]}", True),
        ("{tags: vip}", "{tags: internal}", False),
    ],
)
def test_two_conditions_exclude_each_other_by_one_attribute(one: str, other: str, expected: bool) -> None:
    assert excludes(condition(one), condition(other)) is expected
    assert excludes(condition(other), condition(one)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{all: [{priority: P1}, {priority: P2}]}", True),
        ("{all: [{priority: [P1, P2]}, {priority: [P2, P3]}]}", False),
        ("{all: [{priority: [P1, P2]}, {priority: [P2, P3]}, {priority: [P1, P3]}]}", True),
        ("{any: [{all: [{priority: P1}, {priority: P2}]}, {priority: P3}]}", False),
        ("{all: [{tags: a}, {tags: b}]}", False),
        ("{all: [{fields.x: a}, {fields.x: b}]}", False),
        ("{not: {}}", True),
        ("{}", False),
    ],
)
def test_a_condition_that_asks_for_two_values_at_once_never_holds(text: str, expected: bool) -> None:
    assert is_never(condition(text)) is expected


NAMES = ("priority", "type", "tags", "fields.x")
VALUES = ("a", "b", "c")
leaves = st.one_of(
    st.builds(Equals, st.sampled_from(NAMES), st.frozensets(st.sampled_from(VALUES), min_size=1)),
    st.builds(Exists, st.sampled_from(NAMES), st.booleans()),
    st.builds(Glob, st.sampled_from(NAMES), st.sampled_from(("a*", "*"))),
)


def grown(parts: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(several.map(All), several.map(AnyOf), parts.map(Not))


predicates: st.SearchStrategy[Predicate] = st.recursive(leaves, grown, max_leaves=8)
lists = st.lists(st.sampled_from(VALUES), max_size=3)
tickets = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from(VALUES),
        "type": st.sampled_from(VALUES),
        "tags": lists,
        "fields.x": st.one_of(st.sampled_from(VALUES), lists),
    },
)


@settings(deadline=None)
@given(predicates, predicates, tickets)
def test_where_a_condition_holds_what_it_implies_holds(
    one: Predicate, other: Predicate, ticket: dict[str, Any]
) -> None:
    if implies(one, other) and holds(one, ticket):
        assert holds(other, ticket)


@settings(deadline=None)
@given(predicates, tickets)
def test_what_never_holds_never_does(predicate: Predicate, ticket: dict[str, Any]) -> None:
    if is_never(predicate):
        assert not holds(predicate, ticket)


@settings(deadline=None)
@given(predicates, predicates, tickets)
def test_no_ticket_has_both_of_what_excludes_each_other(
    one: Predicate, other: Predicate, ticket: dict[str, Any]
) -> None:
    if excludes(one, other) and not isinstance(ticket.get("fields.x"), list):  # a field is taken for one value
        assert not (holds(one, ticket) and holds(other, ticket))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{priority: P1}", "{priority: {not: [P1, P2]}}"),
        ("{service: {glob: 'db-*'}}", "{service: web}"),
        ("{assignee: {exists: false}}", "{assignee: ann}"),
        ("{any: [{type: a}, {type: b}]}", "{type: c, priority: P1}"),
    ],
)
def test_operators_exclude_each_other_too(one: str, other: str) -> None:
    assert excludes(condition(one), condition(other))
    assert excludes(condition(other), condition(one))


@pytest.mark.parametrize("text", ["~", "{not: ~}", "{any: [~]}"])
def test_a_condition_left_empty_is_refused_and_does_not_hold_always(text: str) -> None:
    assert "is nothing" in refusal(text)


def test_a_text_is_not_compared_with_a_number() -> None:
    assert "never holds" in refusal("{priority: {gte: 3}}")


# ---- in a policy


def messages(promise: str, match: str = "{}") -> list[str]:
    text = f"version: 1\nagreements:\n  a:\n    kind: sla\n    match: {match}\n    promises:\n      x: {promise}\n"
    try:
        load_policy([("policy.yaml", text)], lambda name: name.encode())
    except PolicyFileError as error:
        return [f"{one.path}: {one.message}" for one in error.problems]
    return []


CUSTOM = "{metric: custom, start: {status: open}, stop: {status: closed}, within: 8h}"


@pytest.mark.parametrize("looks", ["{event.type: created}", "{not: {changed: priority}}", "{message: {author: agent}}"])
def test_match_and_when_are_asked_of_the_ticket_alone(looks: str) -> None:
    (found,) = messages(CUSTOM, match=looks)
    assert found.startswith("agreements.a.match: looks at an event")
    (found,) = messages(f"{{metric: closure, targets: [{{when: {looks}, within: 4h}}]}}")
    assert found.startswith("agreements.a.promises.x.targets[0].when: looks at an event")


@pytest.mark.parametrize("key", ["reset", "cancel"])
def test_a_clock_that_always_ends_is_refused(key: str) -> None:
    (found,) = messages(CUSTOM.replace("within", f"{key}: {{}}, within"))
    assert found.startswith(f"agreements.a.promises.x.{key}: {key} holds always")


def test_a_clock_from_one_message_to_the_next_is_fine_but_not_one_that_starts_inside_its_stop() -> None:
    assert messages("{metric: custom, start: {message.author: agent}, stop: {message.author: agent}, within: 8h}") == []
    (found,) = messages("{metric: custom, start: {status: closed}, stop: {status: [resolved, closed]}, within: 8h}")
    assert "it can never start" in found


def test_an_agreement_hides_only_those_that_do_not_begin_before_it() -> None:
    text = (
        "version: 1\nagreements:\n  new: {kind: sla, rank: 1, effective_from: 2026-07-01, promises: {}}\n"
        "  old: {kind: sla, rank: 2, effective_from: 2026-01-01, promises: {}}\n"
    )
    assert len(load_policy([("policy.yaml", text)], lambda name: name.encode()).agreements) == 2
    with pytest.raises(PolicyFileError, match="old: never applies: 'new'"):
        load_policy([("policy.yaml", text.replace("2026-01-01", "2026-08-01"))], lambda name: name.encode())
