"""The newest items of a set, against the whole set."""

from hypothesis import given
from hypothesis import strategies as st

from slastream.core.newest import Item, Newest
from slastream.core.units import Instant

SIZE = 3
ITEMS = st.tuples(st.integers(0, 20).map(Instant), st.sampled_from("abc"))


@given(st.lists(st.tuples(st.booleans(), ITEMS, st.booleans()), max_size=60))
def test_whatever_comes_and_goes_the_newest_are_those_of_the_whole_set(steps: list[tuple[bool, Item, bool]]) -> None:
    newest, whole = Newest(SIZE), set[Item]()
    for is_put, item, asks in steps:
        if is_put and item not in whole:
            whole.add(item)
            newest.put(item)
        elif not is_put and item in whole:
            whole.remove(item)
            newest.take_out(item)
        assert len(newest) <= 2 * SIZE
        if asks:
            assert newest.newest(lambda: whole) == sorted(whole)[-SIZE:]
    assert newest.newest(lambda: whole) == sorted(whole)[-SIZE:]


def test_every_change_is_another_version() -> None:
    newest = Newest(SIZE)
    versions = [newest.version]
    for number in range(10):
        newest.put((Instant(number), "a"))
        versions.append(newest.version)
    newest.take_out((Instant(3), "a"))
    assert len({*versions, newest.version}) == 12
