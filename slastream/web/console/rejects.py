"""The records of `sla.rejected`: what could not be used, and why; the last of them."""

import base64
from collections import OrderedDict
from typing import Any, NamedTuple

from slastream.core.units import Instant
from slastream.web.console.tickets import Place

Json = dict[str, Any]

MOST = 2_000
MOST_BYTES = 4_096
"""Of the original; the rest is read again from the topic when it is needed."""


class Rejected(NamedTuple):
    """`origin` is the contract's; `original` the first bytes of the record (None: it had none), `size` of how many."""

    place: Place
    at: Instant
    reason: str
    path: str
    message: str
    origin: Json
    original: bytes | None
    size: int

    @property
    def came_from(self) -> str:
        origin = self.origin
        if "gateway" in origin:
            return f"gateway, source {origin['gateway']} ({origin['adapter']})"
        return f"{origin['topic']}, partition {origin['partition']}, offset {origin['offset']}"

    @property
    def shown(self) -> str:
        """The original as text."""
        if self.original is None:
            return ""
        rest = f"\n… {self.size - len(self.original)} bytes more" if self.size > len(self.original) else ""
        return self.original.decode(errors="replace") + rest


class Rejects:
    """The newest, by their place in the topic."""

    def __init__(self) -> None:
        self._rejected: OrderedDict[Place, Rejected] = OrderedDict()
        self.counts: dict[str, int] = {}

    def tell(self, place: Place, at: Instant, line: Json) -> None:
        """`at` is the broker's. Raises KeyError and ValueError for what is no rejected record."""
        original = original_of(line)
        reason = line["reason"]
        self._rejected[place] = Rejected(
            place, at, reason, line["path"], line.get("message") or "", line["origin"],
            None if original is None else original[:MOST_BYTES], 0 if original is None else len(original),
        )  # fmt: skip
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self._rejected) > MOST:
            del self._rejected[min(self._rejected, key=lambda one: self._rejected[one].at)]

    def get(self, place: Place) -> Rejected | None:
        return self._rejected.get(place)

    def newest(self, most: int, reason: str | None = None) -> list[Rejected]:
        found = [one for one in self._rejected.values() if reason in (None, one.reason)]
        return sorted(found, key=lambda one: (-one.at, one.place))[:most]


def original_of(line: Json) -> bytes | None:
    """The bytes of the record as it came."""
    text = line["original"]
    return None if text is None else base64.b64decode(text)
