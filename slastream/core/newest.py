"""The newest of a set that grows for ever and from which items may be taken out: bounded memory, exact answers."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from heapq import nlargest

from slastream.core.units import Instant

Item = tuple[Instant, str]
"""When something stopped, and its id; the order is that of the tuples."""


class Newest:
    """Keeps between `size` and twice as many of the newest items; older ones are dropped.

    When so many are taken out that fewer than `size` are left, the dropped ones are asked for again: the whole set is given to
    `newest` as a function. `version` changes with every change.
    """

    __slots__ = ("_dropped", "_items", "size", "version")

    def __init__(self, size: int) -> None:
        self.size = size
        self.version = 0
        self._items: list[Item] = []
        self._dropped: Item | None = None
        """The newest of those that were dropped: what is older is not kept."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        self.version += 1
        if self._dropped is not None and item <= self._dropped:
            return
        if self._items and item < self._items[-1]:
            insort(self._items, item)
        else:
            self._items.append(item)
        if len(self._items) > 2 * self.size:
            self._keep()

    def take_out(self, item: Item) -> None:
        self.version += 1
        index = bisect_left(self._items, item)
        if index < len(self._items) and self._items[index] == item:
            del self._items[index]

    def newest(self, everything: Callable[[], Iterable[Item]]) -> list[Item]:
        """At most `size`, ascending."""
        if self._dropped is not None and len(self._items) < self.size:
            self._items = nlargest(2 * self.size + 1, everything())[::-1]
            self._dropped = None
            if len(self._items) > 2 * self.size:
                self._keep()
        return self._items[-self.size :]

    def _keep(self) -> None:
        self._dropped = self._items[-self.size - 1]
        del self._items[: -self.size]
