"""The events of monitoring as the table holds them: so many to a record, and a record with room is filled before a new one.

A new event costs the writing of less than CHUNK_EVENTS others again. What is forgotten makes room; keys are never deleted, so that
their number is that of the most events that were kept at a time.
"""

from collections.abc import Iterator

CHUNK_EVENTS = 32
EventId = tuple[str, str]
"""(service, id)."""


class KeptEvents:
    """Of one topic and one owner."""

    def __init__(self) -> None:
        self._chunks: dict[int, list[tuple[EventId, bytes]]] = {}
        self._places: dict[EventId, list[int]] = {}
        self._with_room: set[int] = set()
        self._open = 0
        self._changed: set[int] = set()

    def restore(self, number: int, lines: list[tuple[EventId, bytes]]) -> None:
        self._chunks[number] = lines
        for event, _ in lines:
            self._places.setdefault(event, []).append(number)
        if len(lines) < CHUNK_EVENTS:
            self._with_room.add(number)

    def add(self, event: EventId, line: bytes) -> None:
        number = self._open
        lines = self._chunks.setdefault(number, [])
        if len(lines) >= CHUNK_EVENTS:
            self._with_room.discard(number)
            number = self._open = self._with_room.pop() if self._with_room else len(self._chunks)
            lines = self._chunks.setdefault(number, [])
        lines.append((event, line))
        self._places.setdefault(event, []).append(number)
        self._changed.add(number)

    def forget(self, event: EventId) -> None:
        """Nothing of an event that is not here. One that came with several contents goes with all of them."""
        for number in set(self._places.pop(event, ())):
            lines = self._chunks[number]
            lines[:] = [one for one in lines if one[0] != event]
            self._with_room.add(number)
            self._changed.add(number)

    def changed(self) -> Iterator[tuple[int, list[bytes]]]:
        """Each record that is another than the last time: its number and its lines."""
        changed, self._changed = self._changed, set()
        for number in sorted(changed):
            yield number, [line for _, line in self._chunks[number]]
