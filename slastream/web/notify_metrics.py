"""What `notify` has told and what waits, as `/metrics` shows it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector as PrometheusCollector

from slastream.export import catalogue
from slastream.export.samples import Samples, families


class NotifyMetrics(PrometheusCollector):
    """Counters of one process, with a registry of their own. `firing` gives alerts by name, `lag` records by topic."""

    def __init__(self, firing: Callable[[], dict[str, int]], lag: Callable[[], dict[str, int]]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._firing = firing
        self._lag = lag
        self._deliveries: Counter[tuple[str, str]] = Counter()
        self._waiting_since: dict[str, float | None] = {}
        self.registry.register(self)

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

    def describe(self) -> list[Family]:
        """Nothing: registering must not collect."""
        return []

    async def refresh(self) -> None:
        """Nothing: there is no snapshot."""

    def drain(self) -> None:
        """Nothing grows."""

    def collect(self) -> Iterator[Family]:
        """The families, now."""
        yield from families(self._samples(), catalogue.NOTIFY_METRICS)

    def _samples(self) -> Samples:
        now = time.monotonic()
        waiting = {(name,): 0.0 if since is None else now - since for name, since in self._waiting_since.items()}
        return {
            catalogue.NOTIFY_DELIVERIES.name: list(self._deliveries.items()),
            catalogue.NOTIFY_WAITING.name: list(waiting.items()),
            catalogue.NOTIFY_ALERTS.name: [((name,), count) for name, count in self._firing().items()],
            catalogue.NOTIFY_LAG.name: [((topic,), records) for topic, records in self._lag().items()],
        }
