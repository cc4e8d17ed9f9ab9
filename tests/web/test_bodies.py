"""Whatever a body holds, it is taken apart or refused with a word of the contract: it never ends a request otherwise."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from slastream.errors import EventError
from slastream.web.bodies import TooLargeError, events_in
from slastream.wire.events import REASONS

GOOD = b'{"ticket_id":"T","occurred_at":"2026-03-02T10:00:00Z"}'
BODIES = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["ticket_id", "occurred_at", "state", "x"]), inner)
        ),
    ).map(orjson.dumps),
    st.lists(st.sampled_from([GOOD, b"", b"{", b"null", b"[]", b"\xff", b'{"a":"\\ud800"}'])).map(b"\n".join),
)


@given(BODIES, st.sampled_from(["", "application/json", "application/x-ndjson"]))
def test_every_body_is_events_or_refusals(body: bytes, content_type: str) -> None:
    try:
        events, refused = events_in(body, content_type, 20)
    except TooLargeError:
        return
    except EventError as error:
        assert error.reason in REASONS
        return
    assert all(one.reason in REASONS and one.path for one in refused)
    numbers = sorted([number for number, _ in events] + [one.number for one in refused])
    assert numbers == list(range(len(numbers)))


@given(st.lists(st.sampled_from([GOOD, b"{broken"]), min_size=2, max_size=20))
def test_among_lines_exactly_the_good_ones_are_taken(lines: list[bytes]) -> None:
    events, _ = events_in(b"\n".join(lines), "application/x-ndjson", 20)
    assert [number for number, _ in events] == [number for number, line in enumerate(lines) if line == GOOD]
