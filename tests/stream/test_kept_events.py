"""Events in the records of the table: what is forgotten makes room, and a restart goes on from there."""

from slastream.stream.kept_events import CHUNK_EVENTS, EventId, KeptEvents


def event(n: int) -> EventId:
    return "mail", str(n)


def filled(count: int) -> KeptEvents:
    kept = KeptEvents()
    for n in range(count):
        kept.add(event(n), b"%d" % n)
    return kept


def test_an_event_is_written_with_those_of_its_record_only() -> None:
    kept = filled(CHUNK_EVENTS + 1)
    assert [(number, len(lines)) for number, lines in kept.changed()] == [(0, CHUNK_EVENTS), (1, 1)]
    kept.add(event(-1), b"new")
    assert list(kept.changed()) == [(1, [b"%d" % CHUNK_EVENTS, b"new"])]
    assert not list(kept.changed())


def test_room_that_was_made_is_used_before_a_new_record_is_begun() -> None:
    kept = filled(2 * CHUNK_EVENTS)
    for n in range(10):
        kept.forget(event(n))
    table = dict(kept.changed())
    assert [len(lines) for lines in table.values()] == [CHUNK_EVENTS - 10, CHUNK_EVENTS]
    again = KeptEvents()
    for number, lines in table.items():
        again.restore(number, [(("mail", line.decode()), line) for line in lines])
    for store in (kept, again):
        for n in range(10):
            store.add(event(100 + n), b"x")
        assert {number for number, _ in store.changed()} == {0}


def test_all_contents_of_an_event_are_forgotten_with_it() -> None:
    kept = filled(CHUNK_EVENTS)
    kept.add(event(0), b"another content")
    kept.forget(event(0))
    kept.forget(event(0))
    assert [len(lines) for _, lines in kept.changed()] == [CHUNK_EVENTS - 1, 0]
