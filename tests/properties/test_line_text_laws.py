"""The lines that are written directly are those of the plain writer."""

import orjson
from hypothesis import given
from hypothesis import strategies as st
from test_ticket_laws import Case, cases

from slastream.core.clocks import Labels
from slastream.core.events import Override
from slastream.core.facts import DEADLINE, Fact
from slastream.core.tickets import fold
from slastream.core.units import Instant
from slastream.wire.line_text import LineWriter
from slastream.wire.lines import clock_id, fact_line, verdict_line

TEXTS = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(['a"b', "a\\b", "tab\there", "\x7f", "zürich", "東京"])
)
LABELS = st.builds(Labels, *[TEXTS] * len(Labels._fields))


@given(cases(), LABELS, st.text(min_size=1, max_size=8), st.booleans(), TEXTS, st.integers(1, 4))
def test_a_verdict(
    case: Case, labels: Labels, ticket_id: str, is_withdrawn: bool, by: str | None, revision: int
) -> None:
    book, ticket = case.book, fold("T", case.book, case.events)
    writer = LineWriter(book)
    at = Instant(max(case.end, case.events[-1].occurred_at))
    for cycle in ticket.cycles():
        cycle.revision = revision
        if by is not None and cycle.stopped_at is None and cycle.breached_at is None:
            cycle.set_override(Override(cycle.rule.promise.name, at, by, by))
        plain = verdict_line(ticket_id, cycle, labels, at, book.policy)
        corrects = {"status": "met", "due_at": None} if by else None
        if corrects is not None:
            plain["corrects"] = corrects
        if is_withdrawn:
            plain["is_withdrawn"] = True
        key, value = writer.verdict(ticket_id, cycle, labels, at, corrects, is_withdrawn)
        assert orjson.loads(value) == plain
        assert key.decode() == clock_id(ticket_id, cycle)


@given(cases(), LABELS, st.text(min_size=1, max_size=8), TEXTS, st.booleans(), st.integers(0, 2**52))
def test_a_fact(
    case: Case, labels: Labels, ticket_id: str, threshold: str | None, is_retraction: bool, at: int
) -> None:
    rule = case.book.rules[0]
    fact = Fact(
        rule.agreement.name, rule.promise.name, 2, "warned", threshold, Instant(at), 1, ticket_id, None, rule.index
    )
    if is_retraction:
        fact = fact._replace(fact="retracted", retracted="warned", caused_by=DEADLINE)
    plain = fact_line(ticket_id, fact, labels, Instant(at + 1), case.book)
    key, value = LineWriter(case.book).fact(ticket_id, fact, labels, Instant(at + 1))
    assert orjson.loads(value) == plain
    assert key.decode() == plain["id"]
