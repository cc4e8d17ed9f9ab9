"""What a partition did since its last cut.

It is handed over with the cut and becomes a metric when that is durable: what was applied and lost in a crash is counted by the
next owner, who applies it again, and by nobody else.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class Counts:
    """Counters by topic, or by topic and source or reason; instants in microseconds since the epoch."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    """Events of a time of which something was said already."""
    corrections: Counter[tuple[str, str]] = field(default_factory=Counter)
    occurred_at: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """When the events happened."""
    due_at: list[int] = field(default_factory=list)
    """When that fell due of which facts were declared."""
    breach: tuple[str, int] | None = None
    """The last breach among them: the id of its fact, and when it fell due."""


class Done(NamedTuple):
    """A cut of a table's partition that became durable, within `seconds`."""

    table: str
    counts: Counts | None
    durable_at: int
    seconds: float
