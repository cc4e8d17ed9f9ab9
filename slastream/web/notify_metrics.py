"""What `notify` has told and what waits, as `/metrics` shows it."""

import time
from collections import Counter
from collections.abc import Callable

from slastream.export import catalogue
from slastream.export.exposition import Exposition
from slastream.export.samples import Samples


class NotifyMetrics:
    """Counters of one process. `firing` gives alerts by name, `lag` records by topic."""

    def __init__(self, firing: Callable[[], dict[str, int]], lag: Callable[[], dict[str, int]]) -> None:
        self._exposition = Exposition(catalogue.NOTIFY_METRICS)
        self._firing = firing
        self._lag = lag
        self._deliveries: Counter[tuple[str, str]] = Counter()
        self._waiting_since: dict[str, float | None] = {}

    def add_receiver(self, name: str) -> None:
        """Show it from the beginning, with zeros."""
        self._waiting_since[name] = None
        self._deliveries.update({(name, outcome): 0 for outcome in catalogue.OUTCOMES})

    def count(self, receiver: str, outcome: str) -> None:
        self._deliveries[receiver, outcome] += 1

    def note_waiting(self, receiver: str) -> None:
        """Something waits for the receiver, if nothing did before."""
        if self._waiting_since[receiver] is None:
            self._waiting_since[receiver] = time.monotonic()

    def note_told(self, receiver: str) -> None:
        """Nothing waits for the receiver any more."""
        self._waiting_since[receiver] = None

    async def refresh(self) -> None:
        """Nothing: there is no snapshot."""

    def drain(self) -> None:
        """Nothing grows."""

    def text(self, is_openmetrics: bool) -> bytes:
        """The metrics, now."""
        return self._exposition.text(self._samples(), is_openmetrics)

    def _samples(self) -> Samples:
        now = time.monotonic()
        waiting = {(name,): 0.0 if since is None else now - since for name, since in self._waiting_since.items()}
        return {
            catalogue.NOTIFY_DELIVERIES.name: list(self._deliveries.items()),
            catalogue.NOTIFY_WAITING.name: list(waiting.items()),
            catalogue.NOTIFY_ALERTS.name: [((name,), count) for name, count in self._firing().items()],
            catalogue.NOTIFY_LAG.name: [((topic,), records) for topic, records in self._lag().items()],
        }
