"""Laws that hold for every ticket, whatever its policy and its events: order, conservation, restores, corrections."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slastream.app import replay_events
from slastream.core.events import TicketEvent
from slastream.core.explanations import explain
from slastream.core.histories import in_order
from slastream.core.policies import Policy
from slastream.core.rules import Rulebook
from slastream.core.tickets import HistoryNeededError, Ticket, fold
from slastream.core.units import DAY, HOUR, MICROSECOND, MINUTE, Duration, Instant, format_instant, parse_instant
from slastream.stream.stage import Cut, Output, Record
from slastream.stream.telling import LEDGER
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.events import canonical, decode_event
from slastream.wire.lines import fact_line, verdict_line
from slastream.wire.policy_file import load_policy
from slastream.wire.snapshots import Stored, decode_ticket, encode_ticket

Json = dict[str, Any]

FRIDAY_NOON = parse_instant("2026-03-27T11:00:00Z")
"""In the week that ends with the change to summer time in Berlin."""

BROKER_TIME_US = FRIDAY_NOON + 60 * DAY
LAWFUL = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


class Case(NamedTuple):
    policy: str
    lines: list[bytes]
    end: Instant

    @property
    def book(self) -> Rulebook:
        return Rulebook(loaded(self.policy))

    @property
    def events(self) -> list[TicketEvent]:
        found = map(decode_event, self.lines)
        return in_order((event for event in found if isinstance(event, TicketEvent)), canonical)


def loaded(policy: str) -> Policy:
    def no_file(name: str) -> bytes:
        raise FileNotFoundError(name)

    return load_policy([("policy.yaml", policy)], no_file)


# ---- policies and events ---------------------------------------------------------------------------------------------

OPEN_TIMES = ["0m", "30m", "2h", "8h"]
DAYS = ["1 business_days", "2 calendar_days", "end of business_day", "next business_day 16:00"]
OFFICE = {"hours": {"mon-thu": ["08:00-12:00", "13:00-18:00"], "fri": ["08:00-15:00"]}}
METRICS = [
    "resolution", "first_response", "next_response", "periodic_update", "assignment", "closure", "agent_work",
    "ownership",
]  # fmt: skip
CUSTOM: list[Json] = [
    {"start": {"status": "open"}, "stop": {"status": "resolved"}, "pause": {"status": "hold"}},
    {
        "start": {"status": "open"},
        "stop": {"status": ["resolved", "closed"]},
        "pause": {"tags": "wait"},
        "resume": {"message.author": "requester"},
    },
    {"start": {"event.type": "created"}, "stop": {"status": "closed"}, "reset": {"message.author": "agent"}},
    {"start": {"tags": "wait"}, "stop": {"status": "closed"}, "cancel": {"not": {"tags": "wait"}}},
]
STATUSES = ["new", "open", "pending", "hold", "resolved", "closed", "cancelled"]


@st.composite
def promises(draw: st.DrawFn, calendars: Sequence[str] = ("office", "24x7")) -> Json:
    promise: Json = {"metric": "resolution"}
    metric = draw(st.sampled_from([*METRICS, "custom"]))
    if metric == "custom":
        promise = {"metric": "custom", **draw(st.sampled_from(CUSTOM))}
    else:
        promise["metric"] = metric
    promise["calendar"] = draw(st.sampled_from(calendars))
    targets = st.sampled_from(draw(st.sampled_from([OPEN_TIMES, OPEN_TIMES, OPEN_TIMES + DAYS])))
    match draw(st.integers(0, 2)):
        case 0:
            promise["within"] = draw(targets)
        case 1:
            promise["within"] = {"P1": draw(targets), "P2": draw(targets)}
        case _:
            other = draw(st.sampled_from(calendars))
            promise["targets"] = [
                {"when": {"priority": "P1"}, "within": draw(targets), "calendar": other},
                {"within": draw(targets)},
            ]
    promise["on_change"] = draw(st.sampled_from(["retroactive", "carry", "restart", "reassess"]))
    if metric in ("resolution", "closure", "agent_work", "custom"):
        promise["on_reopen"] = draw(st.sampled_from(["resume", "new_cycle", "ignore"]))
        promise["reopen_window"] = draw(st.sampled_from(["4h", "2 calendar_days"]))
    if draw(st.booleans()):
        promise["warn_at"] = draw(st.sampled_from([["50%"], ["50%", "90%"]]))
    return promise


@st.composite
def policies(draw: st.DrawFn, calendars: Sequence[str] = ("office", "24x7")) -> str:
    agreement: Json = {"kind": "sla", "rank": 1, "promises": {"p": draw(promises(calendars))}}
    if draw(st.booleans()):
        agreement["match"] = draw(st.sampled_from([{"priority": "P1"}, {"tags": "wait"}, {"service": "mail"}]))
    agreements: Json = {"a": agreement}
    if "match" in agreement and draw(st.booleans()):
        agreements["b"] = {"kind": "sla", "rank": 2, "promises": {"p": draw(promises(calendars))}}
    document: Json = {
        "version": 1,
        "timezone": "Europe/Berlin",
        "calendars": {"office": OFFICE},
        "agreements": agreements,
    }
    if draw(st.booleans()):
        document["lateness"] = {"default": draw(st.sampled_from(["1m", "3h"]))}
    return json.dumps(document)


attributes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATUSES),
        "priority": st.sampled_from(["P1", "P2", None]),
        "group": st.sampled_from(["L1", "L2", None]),
        "assignee": st.sampled_from(["ann", None]),
        "tags": st.sampled_from([["wait"], []]),
        "service": st.sampled_from(["mail", "web"]),
    },
)
messages = st.fixed_dictionaries(
    {"author": st.sampled_from(["agent", "requester"])}, optional={"public": st.booleans(), "automatic": st.booleans()}
)
gaps = st.sampled_from([0, 0, 30, 60, 119, 120, 121, 480, 1440, 4320])


@st.composite
def bodies(draw: st.DrawFn) -> Json:
    match draw(st.sampled_from(["changed", "changed", "changed", "message", "override", "told", "merged"])):
        case "changed":
            return {"type": "changed", "ticket": draw(attributes)}
        case "message":
            return {"type": "message", "message": draw(messages), "ticket": draw(attributes)}
        case "override":
            due = draw(st.sampled_from([None, -60, 0, 60, 600, 3000]))
            due_at = None if due is None else format_instant(Instant(FRIDAY_NOON + due * MINUTE))
            return {"type": "override", "override": {"promise": "p", "due_at": due_at, "by": "kim", "reason": "agreed"}}
        case "told":
            before = draw(st.sampled_from([0, 60, 3000]))
            return {"type": "changed", "ticket": {"created_at": format_instant(Instant(FRIDAY_NOON - before * MINUTE))}}
        case _:
            return {"type": "merged", "merged_into": "T9"}


@st.composite
def cases(draw: st.DrawFn, calendars: Sequence[str] = ("office", "24x7")) -> Case:
    ticket = {"status": draw(st.sampled_from(STATUSES[:5])), "service": "mail", **draw(attributes)}
    first = {"type": "created", "ticket": ticket}
    at = FRIDAY_NOON
    lines: list[bytes] = []
    for number, (gap, body) in enumerate([(0, first), *draw(st.lists(st.tuples(gaps, bodies()), max_size=8))]):
        at = Instant(at + gap * MINUTE)
        head = {"event_id": f"e{number}", "ticket_id": "T", "occurred_at": format_instant(at), "sequence": number}
        lines.append(json.dumps({**head, **body}).encode())
    end = Instant(at + draw(gaps) * MINUTE)
    return Case(draw(policies(calendars)), lines, end)


# ---- what can be seen of a ticket ------------------------------------------------------------------------------------


def finished(ticket: Ticket, end: Instant) -> list[Json]:
    """Its verdicts and facts once time has reached the end."""
    if ticket.wake_at is not None and ticket.wake_at <= end:
        ticket.advance(end, is_end=True)
    book = ticket.rulebook
    verdicts = [verdict_line("T", c, ticket.labels_of(c), end, book.policy) for c in ticket.cycles()]
    return verdicts + [fact_line("T", fact, labels, None, book) for fact, labels in ticket.facts]


def folded(book: Rulebook, events: Sequence[TicketEvent], between: Callable[[Ticket, int], Ticket]) -> Ticket:
    """Folds event by event; `between` may exchange the ticket after each."""
    ticket = Ticket("T", book)
    for number, event in enumerate(events):
        try:
            ticket.apply(event, lambda number=number: events[:number])  # type: ignore[misc]
        except HistoryNeededError:
            ticket = fold("T", book, events[: number + 1])
        ticket = between(ticket, number)
    return ticket


# ---- order, repetition, folding --------------------------------------------------------------------------------------


@LAWFUL
@given(cases(), st.data())
def test_any_order_and_repetition_gives_the_same_lines(case: Case, data: st.DataObject) -> None:
    repeated = case.lines + data.draw(st.lists(st.sampled_from(case.lines), max_size=3))
    until = format_instant(case.end)
    expected = replay_events(case.policy, case.lines, until)
    assert replay_events(case.policy, data.draw(st.permutations(repeated)), until) == expected


@LAWFUL
@given(cases())
def test_folding_in_place_equals_folding_from_scratch(case: Case) -> None:
    book, events = case.book, case.events
    in_place = folded(book, events, lambda ticket, _: ticket)
    assert finished(in_place, case.end) == finished(fold("T", book, events), case.end)


@LAWFUL
@given(cases())
def test_advancing_time_before_an_event_changes_nothing(case: Case) -> None:
    book, events = case.book, case.events

    def advance(ticket: Ticket, number: int) -> Ticket:
        if number + 1 < len(events) and ticket.wake_at is not None and ticket.wake_at < events[number + 1].occurred_at:
            middle = (events[number].occurred_at + events[number + 1].occurred_at) // 2
            ticket.advance(Instant(max(middle, events[number].occurred_at)))
        return ticket

    assert finished(folded(book, events, advance), case.end) == finished(fold("T", book, events), case.end)


@LAWFUL
@given(cases())
def test_a_ticket_stored_and_restored_after_every_event_goes_on_as_if_nothing_was(case: Case) -> None:
    book, events = case.book, case.events

    def restore(ticket: Ticket, _number: int) -> Ticket:
        stored = decode_ticket(encode_ticket(Stored(ticket, 7, ticket.wake_at, "", 0, [], {}, {})), book)
        stored.ticket.facts = ticket.facts
        return stored.ticket

    assert finished(folded(book, events, restore), case.end) == finished(fold("T", book, events), case.end)


# ---- conservation ----------------------------------------------------------------------------------------------------


@LAWFUL
@given(cases(calendars=("24x7",)))
def test_running_and_paused_time_add_up_to_the_time_on_the_wall(case: Case) -> None:
    ticket = fold("T", case.book, case.events)
    for cycle in ticket.cycles():
        reading = cycle.read(case.end)
        until = case.end if cycle.stopped_at is None else cycle.stopped_at
        assert reading.elapsed_us + reading.paused_us == until - cycle.started_at


@LAWFUL
@given(cases())
def test_elapsed_and_paused_time_grow_by_the_open_time(case: Case) -> None:
    """[end, later) in which nothing happens adds its open time to one of the two, and nothing to the other."""
    later = Instant(case.end + 2 * DAY + HOUR)
    for cycle in fold("T", case.book, case.events).cycles():
        before, after = cycle.read(case.end), cycle.read(later)
        grown = (after.elapsed_us - before.elapsed_us, after.paused_us - before.paused_us)
        added = cycle.selection.calendar.open_between(case.end, later) if cycle.is_open else Duration(0)
        assert grown == ((0, added) if cycle.is_paused else (added, 0))


@LAWFUL
@given(cases())
def test_the_stretches_of_a_story_add_up_to_its_verdict(case: Case) -> None:
    stories, _ = explain("T", case.book, case.events, case.end)
    ticket = fold("T", case.book, case.events)
    finished(ticket, case.end)
    assert {(s.rule.index, s.cycle): s.reading for s in stories} == {
        (c.rule.index, c.number): c.read(case.end) for c in ticket.cycles()
    }
    for story in stories:
        stretches = story.stretches
        assert sum(s.open_us for s in stretches if s.counts) == story.reading.elapsed_us
        assert sum(s.open_us for s in stretches if s.is_paused) == story.reading.paused_us
        assert sum(s.open_us for s in stretches if not s.counts and not s.is_paused) == 0
        bounds = [at for s in stretches for at in (s.start, s.end)]
        until = case.end if story.stopped_at is None else story.stopped_at
        if story.started_at < until:
            assert (bounds[0], bounds[-1]) == (story.started_at, until)
            assert bounds[1:-1:2] == bounds[2:-1:2]
        assert all(story.started_at <= point.at <= until for point in story.points)


# ---- corrections in the stream ---------------------------------------------------------------------------------------


def tick_of(at: Instant) -> bytes:
    return json.dumps({"type": "tick", "at": format_instant(at)}).encode()


def records_of(values: Sequence[bytes]) -> list[Record]:
    """As they come from the broker."""
    return [Record("sla.tickets", 0, offset, BROKER_TIME_US, None, value, ()) for offset, value in enumerate(values)]


@st.composite
def arrivals(draw: st.DrawFn, case: Case) -> list[Record]:
    """Its events in some order, some of them twice, with ticks between and one at the end."""
    values = case.lines + draw(st.lists(st.sampled_from(case.lines), max_size=2))
    ticks = [tick_of(Instant(case.end - gap * MINUTE)) for gap in draw(st.lists(gaps, max_size=2))]
    return records_of([*draw(st.permutations([*values, *ticks])), tick_of(case.end)])


def restarted(book: Rulebook, cut: Cut, state: dict[bytes, bytes]) -> TicketPartition:
    """A worker that takes over from what is stored."""
    for key, value in cut.state:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    partition = TicketPartition(book, 0)
    for key, value in state.items():
        partition.restore(key, value)
    partition.restored()
    return partition


VERDICT_FIELDS = (
    "agreement", "promise", "cycle", "status", "started_at", "due_at", "stopped_at", "breached_at", "cancel_reason",
    "override", "service", "group", "assignee", "priority", "target_seconds",
)  # fmt: skip
STOPPED_FIELDS = ("elapsed_seconds", "paused_seconds", "remaining_seconds", "in_hours")


def verdict_of(line: Json) -> Json:
    fields = VERDICT_FIELDS + (STOPPED_FIELDS if line["stopped_at"] is not None else ())
    return {name: line[name] for name in fields}


def fact_of(line: Json) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("agreement", "promise", "cycle", "fact", "threshold", "at"))


def standing_facts(lines: Sequence[Json]) -> list[tuple[Any, ...]]:
    standing: dict[str, tuple[Any, ...]] = {}
    for line in lines:
        if line["fact"] == "retracted":
            del standing[line["retracts"]]
        else:
            standing[line["id"]] = fact_of(line)
    return sorted(standing.values(), key=repr)


def in_order_of_declaration(expected: Sequence[Json]) -> list[Json]:
    """The facts of a replay, which come by identity; a retraction after what it takes back."""
    return sorted((line for line in expected if line["kind"] == "fact"), key=lambda line: line["fact"] == "retracted")


def newest_verdicts(outputs: Sequence[Output]) -> list[Json]:
    """What a reader of the compacted topic holds; a withdrawn clock is none."""
    newest = {(o.partition_key, o.key): orjson.loads(o.value or b"") for o in outputs if o.topic == "sla.verdicts"}
    return [line for line in newest.values() if not line.get("is_withdrawn")]


def published(outputs: Sequence[Output]) -> list[Json]:
    return [orjson.loads(o.value or b"") for o in outputs if o.topic == "sla.breaches"]


@LAWFUL
@given(cases(), st.data())
def test_corrections_of_any_order_end_at_the_verdicts_of_the_replay(case: Case, data: st.DataObject) -> None:
    """A replay ends at an instant whose events are all there; a partition knows that a microsecond later."""
    case = case._replace(end=Instant(case.end + MICROSECOND))
    partition = TicketPartition(case.book, 0)
    for record in data.draw(arrivals(case)):
        partition.apply(record)
    outputs = partition.cut().outputs
    expected = replay_events(case.policy, case.lines, format_instant(case.end))
    verdicts = [verdict_of(line) for line in expected if line["kind"] == "verdict"]
    assert sorted(map(verdict_of, newest_verdicts(outputs)), key=repr) == sorted(verdicts, key=repr)
    facts = published(outputs)
    assert standing_facts(facts) == standing_facts(in_order_of_declaration(expected))
    assert len({line["id"] for line in facts}) == len(facts)


@LAWFUL
@given(cases(), st.data())
def test_a_worker_restarted_at_any_record_publishes_the_same(case: Case, data: st.DataObject) -> None:
    records = data.draw(arrivals(case))
    undisturbed, worker = TicketPartition(case.book, 0), TicketPartition(case.book, 0)
    outputs: list[Output] = []
    state: dict[bytes, bytes] = {}
    for record in records:
        undisturbed.apply(record)
        worker.apply(record)
        if data.draw(st.booleans()):
            cut = worker.cut()
            outputs += cut.outputs
            worker = restarted(worker.book, cut, state)
    found, expected = outputs + worker.cut().outputs, undisturbed.cut().outputs
    assert [one for one in found if one.topic != LEDGER] == [one for one in expected if one.topic != LEDGER]
    assert newest_of_ledger(found) == newest_of_ledger(expected)


def newest_of_ledger(outputs: Sequence[Output]) -> dict[tuple[bytes | None, bytes | None], Json]:
    """What a reader of the compacted topic holds. It is written once for each cut, so that its instants are those of cuts."""
    newest = {(one.partition_key, one.key): orjson.loads(one.value or b"") for one in outputs if one.topic == LEDGER}
    for line in newest.values():
        del line["as_of"], line["progress"]
    return {key: line for key, line in newest.items() if not line.get("is_withdrawn")}


# ---- what these laws have found --------------------------------------------------------------------------------------


def scenario(
    promise: Json, *said: tuple[str, Json], lateness: str = "0s", **agreement: Any
) -> tuple[Rulebook, list[bytes]]:
    """A policy of one promise, and the values of records in the order in which they arrive."""
    agreements = {"a": {"kind": "sla", "promises": {"p": promise}, **agreement}}
    document = {"version": 1, "lateness": {"default": lateness}, "agreements": agreements}
    values = []
    for number, (at, body) in enumerate(said):
        head = {"event_id": f"e{number}", "ticket_id": "T", "occurred_at": f"2026-03-{at}Z", "type": "changed"}
        is_tick = body.get("type") == "tick"
        values.append(json.dumps({**body, "at": f"2026-03-{at}Z"} if is_tick else {**head, **body}).encode())
    return Rulebook(loaded(json.dumps(document))), values


TICK: Json = {"type": "tick"}


def publish(partition: TicketPartition, values: Sequence[bytes], first: int = 0) -> list[Output]:
    for number, record in enumerate(records_of(values)):
        partition.apply(record._replace(offset=first + number))
    return partition.cut().outputs


def test_a_cycle_withdrawn_and_brought_back_by_a_late_event_counts_its_facts_on() -> None:
    book, values = scenario(
        {"metric": "resolution", "within": "0m"},
        ("03T10:00:00", {"ticket": {"status": "open"}}),
        ("03T11:00:00", TICK),
        ("03T08:00:00", {"ticket": {"type": "request"}}),
        ("03T07:00:00", {"ticket": {"type": "incident"}}),
        ("03T09:00:00", {"ticket": {"type": "incident"}}),
        match={"type": {"not": "request"}},
    )
    facts = published(publish(TicketPartition(book, 0), values))
    assert len({fact["id"] for fact in facts}) == len(facts)
    assert sum(fact["fact"] == "breached" for fact in facts) >= 2


def test_a_cycle_withdrawn_and_brought_back_by_an_event_in_order_counts_its_facts_on() -> None:
    #  the question of 10:00 was asked on a closed ticket; the one of 12:00 is the first that counts
    ask: Json = {"message": {"author": "requester"}}
    book, values = scenario(
        {"metric": "next_response", "within": "1h"},
        ("03T08:00:00", {"ticket": {"opened_by": "agent", "status": "open"}}),
        ("03T10:00:00", ask),
        ("03T11:30:00", TICK),
        ("03T09:00:00", {"ticket": {"status": "closed"}}),
        ("03T12:00:00", {**ask, "ticket": {"status": "open"}}),
        ("03T14:00:00", TICK),
    )
    outputs = publish(TicketPartition(book, 0), values)
    facts = published(outputs)
    assert [fact["fact"] for fact in facts] == ["breached", "retracted", "breached"]
    assert facts[0]["id"] != facts[2]["id"]
    assert newest_verdicts(outputs)[0]["revision"] > 1


def test_paused_time_outlives_a_carry_and_a_target_in_days_after_it() -> None:
    targets = [
        {"when": {"priority": "P1"}, "within": "8h"},
        {"when": {"priority": "P2"}, "within": "9h"},
        {"within": "2 calendar_days"},
    ]
    book, values = scenario(
        {"metric": "resolution", "on_change": "carry", "targets": targets},
        ("23T08:00:00", {"ticket": {"priority": "P1", "status": "open"}}),
        ("23T09:00:00", {"ticket": {"status": "pending"}}),
        ("23T10:00:00", {"ticket": {"status": "open"}}),
        ("23T10:30:00", {"ticket": {"priority": "P2"}}),
        ("23T10:40:00", {"ticket": {"priority": None}}),
    )
    events = [event for event in map(decode_event, values) if isinstance(event, TicketEvent)]
    (cycle,) = fold("T", book, events).cycles()
    reading = cycle.read(parse_instant("2026-03-23T11:00:00Z"))
    assert (reading.elapsed_us, reading.paused_us) == (2 * HOUR, HOUR)


LATE = {"metric": "resolution", "within": "30m"}


def test_a_held_fact_is_restored() -> None:
    book, values = scenario(
        LATE,
        ("03T10:00:00", {"ticket": {"status": "open"}}),
        ("03T11:00:00", {"message": {"author": "agent"}}),
        lateness="3h",
    )
    worker = restarted(book, cut_after(book, values), {})
    tick = tick_of(parse_instant("2026-03-03T12:00:00Z"))
    assert [fact["fact"] for fact in published(publish(worker, [tick], first=9))] == ["breached"]


def cut_after(book: Rulebook, values: Sequence[bytes]) -> Cut:
    partition = TicketPartition(book, 0)
    for record in records_of(values):
        partition.apply(record)
    return partition.cut()


def test_a_verdict_that_waits_for_a_held_fact_survives_a_restart() -> None:
    book, values = scenario(
        LATE,
        ("03T10:00:00", {"ticket": {"status": "open"}}),
        ("03T11:00:00", {"message": {"author": "agent"}}),
        lateness="3h",
    )
    worker = restarted(book, cut_after(book, values), {})
    tick = tick_of(parse_instant("2026-03-03T12:00:00Z"))
    assert [line["status"] for line in newest_verdicts(publish(worker, [tick], first=9))] == ["breached"]


def test_a_verdict_that_waits_survives_a_late_event_that_changes_nothing() -> None:
    book, values = scenario(
        LATE,
        ("03T10:00:00", {"ticket": {"status": "open"}}),
        ("03T11:00:00", {"message": {"author": "agent"}}),
        ("03T10:05:00", {"message": {"author": "agent"}}),
        ("03T12:00:00", TICK),
        lateness="3h",
    )
    assert [line["status"] for line in newest_verdicts(publish(TicketPartition(book, 0), values))] == ["breached"]


def test_what_nobody_has_seen_is_not_retracted() -> None:
    book, values = scenario(
        LATE,
        ("03T10:00:00", {"ticket": {"status": "open"}}),
        ("03T11:00:00", {"message": {"author": "agent"}}),
        ("03T09:00:00", {"ticket": {"status": "closed", "type": "request"}}),
        ("03T14:00:00", TICK),
        lateness="3h",
        match={"type": {"not": "request"}},
    )
    assert published(publish(TicketPartition(book, 0), values)) == []
