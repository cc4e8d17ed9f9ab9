"""What the collector looks at of a worker: shapes that the stream's classes have (the two packages do not import each other)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from slastream.core.compliance import Contribution, Tally
from slastream.core.credits import Statement
from slastream.core.experience import Scores, TicketVerdict
from slastream.core.policies import Agreement, ServicePromise
from slastream.core.scopes import ScopeReport
from slastream.core.states import Levels
from slastream.core.steps import Steps
from slastream.core.units import Duration, Instant
from slastream.core.windows import Measure


class CountedClock(Protocol):
    """A clock as stage 2 keeps it; immutable."""

    @property
    def service(self) -> str: ...
    @property
    def agreement(self) -> str: ...
    @property
    def promise(self) -> str: ...
    @property
    def contribution(self) -> Contribution: ...
    @property
    def elapsed_us(self) -> int: ...
    @property
    def is_at_risk(self) -> bool: ...
    @property
    def as_of(self) -> Instant: ...
    @property
    def target_us(self) -> int | None: ...
    @property
    def calendar(self) -> str | None: ...


@runtime_checkable
class TicketState(Protocol):
    """A partition of stage 1."""

    @property
    def time(self) -> Instant: ...
    @property
    def entries(self) -> Mapping[str, object]: ...


@runtime_checkable
class ServiceState(Protocol):
    """A partition of stage 2; the key of a tally is (service, agreement, promise)."""

    @property
    def time(self) -> Instant: ...
    @property
    def clocks(self) -> Mapping[str, CountedClock]: ...
    @property
    def tallies(self) -> Mapping[tuple[str, str, str], Tally]: ...
    @property
    def newest_breaches(self) -> Mapping[tuple[str, str, str, str | None], tuple[str, Instant]]: ...


Measured = tuple[Agreement, ServicePromise, Measure]


class MonitoredService(Protocol):
    """A service that lives in a partition; both values are replaced, never changed."""

    @property
    def measures(self) -> Sequence[Measured]: ...
    @property
    def levels(self) -> Steps[Levels | None] | None: ...


class Monitoring(Protocol):
    """What a partition of stage 2 knows of monitoring."""

    @property
    def unlisted(self) -> int: ...
    @property
    def subjects(self) -> Mapping[str, MonitoredService]: ...


@runtime_checkable
class MonitoringPartition(Protocol):
    """A partition of stage 2 that reads monitoring."""

    @property
    def time(self) -> Instant: ...
    @property
    def monitoring(self) -> Monitoring: ...


class HandTime(Protocol):
    """Open time that tickets were in one hand."""

    def at(self, time: Instant, measure: Callable[[str, Instant], int]) -> Duration: ...


class Contracts(Protocol):
    """What a partition of stage 2 knows of contracts."""

    @property
    def hands(self) -> Mapping[tuple[str, str, str], HandTime]: ...
    @property
    def scores(self) -> Mapping[tuple[str, TicketVerdict], Scores]: ...
    @property
    def chained(self) -> Mapping[tuple[str, str, str], Sequence[Instant]]: ...
    @property
    def scopes(self) -> Mapping[str, object]: ...
    def open_since_zero(self, calendar: str, at: Instant, /) -> int: ...
    def running_scope(self, name: str, time: Instant, /) -> ScopeReport | None: ...
    def exposures(self, time: Instant, /) -> Iterable[Statement]: ...


@runtime_checkable
class ContractsPartition(Protocol):
    """A partition of stage 2 that reads what stage 1 tells of tickets."""

    @property
    def time(self) -> Instant: ...
    @property
    def contracts(self) -> Contracts: ...


class StageShape(Protocol):
    """Where a stage reads and where its state lives."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def table(self) -> str: ...
    @property
    def tick_topic(self) -> str: ...


class SourceShape(Protocol):
    """How far one source partition was read; its key is (topic, partition)."""

    @property
    def lag_records(self) -> int: ...


class Owned(Protocol):
    """An owned partition. `processor` is None until it is restored."""

    @property
    def stage(self) -> StageShape: ...
    @property
    def partition(self) -> int: ...
    @property
    def processor(self) -> object | None: ...
    @property
    def state(self) -> str: ...
    @property
    def sources(self) -> Mapping[Any, SourceShape]: ...
    @property
    def restore_seconds(self) -> float: ...


class CountsShape(Protocol):
    """What a partition did, by topic, or topic and source or reason; instants in microseconds since the epoch."""

    @property
    def events(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def rejected(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def late(self) -> Mapping[str, int]: ...
    @property
    def corrections(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def occurred_at(self) -> Mapping[str, Sequence[int]]: ...
    @property
    def due_at(self) -> Sequence[int]: ...
    @property
    def breach(self) -> tuple[str, int] | None: ...


class DoneShape(Protocol):
    """A cut that became durable."""

    @property
    def table(self) -> str: ...
    @property
    def counts(self) -> CountsShape | None: ...
    @property
    def durable_at(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class WorkerShape(Protocol):
    """What a worker owns and did; the stream's `Runtime` has this shape."""

    @property
    def owned(self) -> Mapping[Any, Owned]: ...
    @property
    def rebalances(self) -> int: ...
    def take_done(self) -> Sequence[DoneShape]:
        """What became durable since this was last asked."""
