"""What one worker process owns and what it is doing: plain attributes, read by the metrics and the tests."""

import enum
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from slastream.core.units import SECOND
from slastream.stream.counts import Counts, Done
from slastream.stream.stage import Processor, Stage

if TYPE_CHECKING:
    from slastream.stream.commit import Committer

log = logging.getLogger(__name__)

Headers = list[tuple[str, bytes]]
Message = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers."""


class State(enum.StrEnum):
    """The life of an owned partition. Source records are applied in RUNNING only."""

    FENCING = "fencing"
    RESTORING = "restoring"
    SEEKING = "seeking"
    RUNNING = "running"
    DRAINING = "draining"


class TopicPartition(NamedTuple):
    """A partition of a topic; equal to aiokafka's and Faust's tuples of that kind."""

    topic: str
    partition: int


@dataclass(slots=True, eq=False)
class Source:
    """How far one source partition was read. Offsets name the next record, as Kafka's committed offsets do.

    `durable <= applied <= handed <= position`; `epoch` counts the seeks: what was fetched before one is known by it.
    """

    partition: TopicPartition
    owner: "OwnedPartition"
    position: int = 0
    handed: int = 0
    applied: int = 0
    durable: int = 0
    end: int = 0
    epoch: int = 0
    queued_records: int = 0
    is_in_doubt: bool = False

    def continue_at(self, offset: int, *, is_first: bool) -> None:
        """The chain begins anew at `offset`. What is durable is known by the group's offset the first time only."""
        self.position = self.handed = self.applied = offset
        self.queued_records = 0
        if is_first:
            self.durable = offset

    @property
    def lag_records(self) -> int:
        """Records of the partition that were not applied yet, as of the last fetch (markers of transactions count)."""
        caught_up = self.applied == self.handed
        return max(0, self.end - (self.position if caught_up else self.applied))


@dataclass(slots=True, eq=False)
class OwnedPartition:
    """One partition of one stage that this process owns."""

    stage: Stage
    partition: int
    generation: int
    processor: Processor | None = None
    state: State = State.FENCING
    sources: dict[TopicPartition, Source] = field(default_factory=dict)
    committer: "Committer | None" = None
    unflushed_records: int = 0
    unflushed_seconds: float = 0.0
    applied_records: int = 0
    misplaced_records: int = 0
    forwards: list[tuple[str, bytes, bytes | None, tuple[tuple[str, bytes], ...]]] = field(default_factory=list)
    overwritten: list[Message] = field(default_factory=list)
    """What restoring found behind an older record of its key, and the first commit writes again."""
    restored_keys: int = 0
    restored_to: int = 0
    restored_records: int = 0
    restore_seconds: float = 0.0
    committed_at: float = 0.0
    commits: int = 0
    commit_seconds: float = 0.0
    last_commit_seconds: float = 0.0
    ticks: int = 0
    ticked_at: float = 0.0
    entered_at: float = field(default_factory=time.monotonic)
    done: list[Done] = field(default_factory=list)
    """The worker's list of what became durable."""

    def note_commit(self, counts: Counts | None, seconds: float, now: float) -> None:
        """A cut became durable at wall time `now`, within `seconds`."""
        self.commits += 1
        self.committed_at, self.last_commit_seconds = now, seconds
        self.commit_seconds += seconds
        self.done.append(Done(self.stage.table, counts, round(now * SECOND), seconds))

    @property
    def name(self) -> str:
        """Stage and partition, as in `tickets-3`."""
        return f"{self.stage.name}-{self.partition}"

    @property
    def is_running(self) -> bool:
        """Whether source records are applied now."""
        return self.state is State.RUNNING


@dataclass(slots=True, eq=False)
class Runtime:
    """The registry of one worker process."""

    stages: Sequence[Stage]
    owned: dict[tuple[str, int], OwnedPartition] = field(default_factory=dict)
    transitions: Counter[tuple[str, State]] = field(default_factory=Counter)
    generation: int = -1
    rebalances: int = 0
    chunks: int = 0
    records: int = 0
    stale_chunks: int = 0
    chain_breaks: int = 0
    rewinds: int = 0
    kept_partitions: int = 0
    started_at: float = field(default_factory=time.time)
    done: list[Done] = field(default_factory=list)
    """What became durable, and was not taken yet."""

    def enter(self, owned: OwnedPartition, state: State, detail: str = "") -> None:
        """Move a partition to its next state: logged and counted."""
        now = time.monotonic()
        log.info(
            "%s: %s -> %s after %.0f ms%s",
            owned.name, owned.state, state, (now - owned.entered_at) * 1000, f" ({detail})" if detail else "",
        )  # fmt: skip
        owned.state = state
        owned.entered_at = now
        self.transitions[owned.stage.name, state] += 1

    def take_done(self) -> list[Done]:
        """What became durable since it was last asked for: the metrics do once a second."""
        done = self.done.copy()
        self.done.clear()
        return done

    @property
    def is_ready(self) -> bool:
        """Whether everything that was assigned is running."""
        return self.generation >= 0 and all(each.is_running for each in self.owned.values())

    def running_sources(self) -> list[Source]:
        """The source partitions from which records may be applied now."""
        return [source for owned in self.owned.values() if owned.is_running for source in owned.sources.values()]

    def outstanding_records(self) -> int:
        """Records that were handed over and are not durable yet."""
        return sum(
            owned.unflushed_records + sum(source.queued_records for source in owned.sources.values())
            for owned in self.owned.values()
        )
