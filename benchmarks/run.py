"""What a measure is given, and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Subject

Result = dict[str, Any]
"""`rows` (a line per program), `values` (name to number), `tables` (title, head, rows) or `notes`, as `report` shows them."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a run is made: rounds, whether it is a quick one, whether the peers run too."""

    runs: int
    is_quick: bool
    with_peers: bool
    say: Callable[[str], None]
    seed: int = 1

    def size(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full

    def choose(self, subjects: Sequence[Subject]) -> list[Subject]:
        return [each for each in subjects if self.with_peers or not each.is_peer]
