"""What the shell and the pure core say to each other: records in, cuts out.

The core gives one `Processor` for each partition of a stage; the shell moves bytes and keeps the promises of delivery.
Nothing here imports Faust, Kafka or a clock.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from slastream.stream.counts import Counts


class Record(NamedTuple):
    """One source record; `timestamp_us` is the broker's time of it in microseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_us: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Output(NamedTuple):
    """One record to publish. murmur2 of `partition_key` decides the partition; when it is None, that of `key`."""

    topic: str
    partition_key: bytes | None
    key: bytes | None
    value: bytes | None


class Cut(NamedTuple):
    """Everything since the last cut: what the state became, and what is to be published.

    `state` holds table keys and their new values (None deletes); the partition's own meta record is the last of it. `counts`
    become metrics once the cut is durable.

    What the outputs from `announced_from` on say depends on where the cut falls. Without a transaction around both,
    `announced` (table keys, too) is written before them: the next owner says them again as they were, if this one does
    not come to its end.
    """

    state: list[tuple[bytes, bytes | None]]
    outputs: list[Output]
    counts: Counts | None = None
    announced: Sequence[tuple[bytes, bytes | None]] = ()
    announced_from: int = 0


class Processor(Protocol):
    """The pure core of one partition of one stage. Every method is synchronous and does no I/O."""

    def restore(self, key: bytes, value: bytes) -> None:
        """Take one table key back: called once per key, with the record of the highest progress."""

    def restored(self) -> None:
        """All keys were given."""

    def progress(self, value: bytes) -> int:
        """How far a stored value has come: of two values of a key the higher wins in recovery.

        Static: depends on `value` alone. Raises SnapshotError for a value of a newer version.
        """

    def apply(self, record: Record) -> None:
        """Take one source record. Never raises for bad input; ignores what it has already applied."""

    def pass_over(self, offset: int) -> bool:
        """Note a source record that stands in the wrong partition; False when it was noted or applied before."""

    def cut(self) -> Cut:
        """Everything since the last cut, as bytes; the caller hands it over without an await between."""

    def has_changes(self) -> bool:
        """Whether `cut` would hold anything."""

    @property
    def wake_at(self) -> int | None:
        """The earliest instant (epoch, microseconds) for which a tick is wanted; None when nothing is due."""

    @property
    def ticks_allowed(self) -> bool:
        """False inside a backfill."""


class Stage(NamedTuple):
    """A step of the stream: which topics it reads, where its state lives, who computes.

    `sources` have equal partition counts, and the changelog `table` the same; `tick_topic` is one of the sources.
    `tick_key` is the key of ticks there: a compacted topic takes no record without one.
    """

    name: str
    sources: tuple[str, ...]
    table: str
    tick_topic: str
    make: Callable[[int], Processor]
    tick_key: bytes | None = None
