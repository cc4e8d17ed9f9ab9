"""The collector: a snapshot of what a worker owns, made when it is asked for and at most once a second.

A worker of a million open clocks needs seconds for one. So a snapshot rests ten times as long as it took, and who asks waits
for a new one for a moment only: then the last one is the answer, and `slastream_snapshot_timestamp_seconds` says how old it is.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from slastream.core.policies import Policy
from slastream.core.units import SECOND, Instant
from slastream.export import catalogue
from slastream.export.bounds import Words, count_series, within
from slastream.export.contract_gauges import ContractGauges
from slastream.export.control_gauges import ControlGauges
from slastream.export.exposition import Exposition
from slastream.export.gauges import Floors, TicketGauges
from slastream.export.owned import ContractsPartition, MonitoringPartition, ServiceState, WorkerShape
from slastream.export.pipeline import RESTORED_STATES, Pipeline, partition_samples
from slastream.export.samples import Exemplars, HistogramSample, Sample, Samples
from slastream.export.service_gauges import ServiceGauges, merged

SNAPSHOT_SECONDS = 1.0
REST = 10
"""So many times as long as making it took, a snapshot is kept."""
PATIENCE_SECONDS = 0.2


class Collector:
    """All metrics of a worker.

    `drain` and `refresh` belong to the loop that applies records, so that they see
    partitions between two records; `text` may run in any other thread.
    """

    def __init__(
        self,
        policy: Policy,
        worker: WorkerShape,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
        series_limit: int = catalogue.SERIES_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`snapshot_seconds` 0: every call of `refresh` makes a new one."""
        self._exposition = Exposition(catalogue.METRICS)
        self._policy = policy
        self._clock = clock
        self._policy_loaded_at = clock()
        self._worker = worker
        self.series_limit = series_limit
        self._priorities = Words(catalogue.MAX_PRIORITIES)
        self._pipeline = Pipeline()
        self._floors = Floors()
        self._control = ControlGauges(policy)
        self._samples: Samples = {}
        self._exemplars: Exemplars = {}
        self._snapshot_seconds = snapshot_seconds
        self._kept_until = -float("inf")
        self._making: asyncio.Task[None] | None = None

    def drain(self) -> None:
        """Take over what the partitions have counted. Once a second also when nobody scrapes: their lists grow."""
        for owned in self._worker.owned.values():
            self._pipeline.begin(owned.stage.sources)
        self._pipeline.take(self._worker.take_done())

    async def refresh(self) -> None:
        """Begin a new snapshot when the last one has been kept for long enough, and wait for it for a moment."""
        if self._making is None and time.monotonic() >= self._kept_until:
            self._making = asyncio.create_task(self._make(), name="snapshot of metrics")
        if self._making is not None:
            done, _ = await asyncio.wait({self._making}, timeout=PATIENCE_SECONDS if self._samples else None)
            for task in done:
                task.result()

    async def _make(self) -> None:
        began = time.monotonic()
        try:
            self._samples, self._exemplars = await self._snapshot()
        finally:
            if self._snapshot_seconds:
                self._kept_until = began + max(self._snapshot_seconds, REST * (time.monotonic() - began))
            self._making = None

    async def _snapshot(self) -> tuple[Samples, Exemplars]:
        gauges, services = TicketGauges(Instant(round(self._clock() * SECOND))), ServiceGauges()
        contracts = ContractGauges(self._policy)
        # One instant: nothing is awaited until `end of the instant`.
        partitions = list(self._worker.owned.values())
        self.drain()
        samples = {**self._of_process(), **self._pipeline.samples(), **partition_samples(partitions)}
        for owned in partitions:
            processor = owned.processor
            if owned.state in RESTORED_STATES and isinstance(processor, ServiceState):
                gauges.read(processor)
                self._control.read(processor)
            if owned.state in RESTORED_STATES and isinstance(processor, MonitoringPartition):
                services.read(list(processor.monitoring.subjects.items()), processor.time)
            if owned.state in RESTORED_STATES and isinstance(processor, ContractsPartition):
                contracts.read(processor)
        # end of the instant
        await gauges.add_up(self._priorities)
        return await asyncio.to_thread(self._shown, samples, gauges, services, contracts), {
            **self._pipeline.exemplars(),
            **gauges.exemplars(self._priorities),
        }

    def _shown(
        self, of_process: Samples, gauges: TicketGauges, services: ServiceGauges, contracts: ContractGauges
    ) -> Samples:
        """All samples, as far as the limit lets; two of them say how many there are."""
        of_keys = merged(gauges.samples(self._policy, self._floors), services.samples(self._policy))
        of_keys = {**of_keys, **self._control.samples(), **contracts.samples(self._floors)}
        samples = {**of_process, **of_keys}
        shown = within(samples, self.series_limit - 2, self._policy.services)
        series = count_series(shown)
        left_out = count_series(samples) - series
        return {**shown, catalogue.SERIES.name: [((), series + 2)], catalogue.SERIES_LEFT_OUT.name: [((), left_out)]}

    def _of_process(self) -> dict[str, Sequence[Sample] | Sequence[HistogramSample]]:
        return {
            catalogue.REBALANCES.name: [((), self._worker.rebalances)],
            catalogue.POLICY_LOADED.name: [((self._policy.version,), self._policy_loaded_at)],
            catalogue.SNAPSHOT.name: [((), self._clock())],
        }

    def text(self, is_openmetrics: bool) -> bytes:
        """The last snapshot, as Prometheus reads it."""
        return self._exposition.text(self._samples, is_openmetrics, self._exemplars)
