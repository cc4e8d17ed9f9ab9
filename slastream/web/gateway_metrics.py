"""What the gateway counted since it started, as `/metrics` shows it."""

from bisect import bisect_left
from collections import Counter

from slastream.core.units import SECOND
from slastream.export import catalogue
from slastream.export.exposition import Exposition
from slastream.export.samples import Samples
from slastream.web.event_log import EventLog


class GatewayMetrics:
    """Counters of one gateway. Names of sources come from the operator, so they are few."""

    def __init__(self, log: EventLog) -> None:
        self._exposition = Exposition(catalogue.GATEWAY_METRICS)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.ignored: Counter[tuple[str, str]] = Counter()
        self._log = log
        self._buckets = [0] * (len(catalogue.GATEWAY_SECONDS.buckets_us) + 1)
        self._seconds = 0.0

    def observe(self, seconds: float) -> None:
        """How long a request took that was answered with 202."""
        self._buckets[bisect_left(catalogue.GATEWAY_SECONDS.buckets_us, seconds * SECOND)] += 1
        self._seconds += seconds

    async def refresh(self) -> None:
        """Nothing: there is no snapshot."""

    def drain(self) -> None:
        """Nothing grows."""

    def text(self, is_openmetrics: bool) -> bytes:
        """The metrics, now."""
        return self._exposition.text(self._samples(), is_openmetrics)

    def _samples(self) -> Samples:
        cumulative, count = [], 0
        for each in self._buckets:
            count += each
            cumulative.append(count)
        bounds = catalogue.GATEWAY_SECONDS.buckets_us
        return {
            catalogue.GATEWAY_REQUESTS.name: list(self.requests.items()),
            catalogue.GATEWAY_EVENTS.name: list(self.accepted.items()),
            catalogue.GATEWAY_REJECTED.name: list(self.rejected.items()),
            catalogue.GATEWAY_IGNORED.name: list(self.ignored.items()),
            catalogue.GATEWAY_SECONDS.name: [((), bounds, cumulative, self._seconds)],
            catalogue.GATEWAY_PENDING.name: [((), self._log.pending_records)],
            catalogue.GATEWAY_READY.name: [((), float(self._log.why_unavailable is None))],
        }
