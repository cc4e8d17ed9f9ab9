"""Kafka, as far as exactness needs it: partitions with offsets, transactions with fencing, compaction, committed offsets."""

from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from slastream.stream.runtime import TopicPartition

Headers = tuple[tuple[str, bytes], ...]


class FencedError(Exception):
    """A later owner has started the same transactional producer."""


class Outcome(Enum):
    OPEN, COMMITTED, ABORTED = range(3)


class Transaction:
    """One transaction of one epoch of a transactional producer."""

    def __init__(self) -> None:
        self.outcome = Outcome.OPEN
        self.partitions: dict[Partition, None] = {}


class Appended(NamedTuple):
    """A record in a partition; `number` counts the records of the whole broker. A marker of a transaction has neither."""

    offset: int
    timestamp_us: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transaction: Transaction | None
    number: int

    @property
    def timestamp(self) -> int:
        """In milliseconds, as aiokafka gives it."""
        return self.timestamp_us // 1000


class Partition:
    """A partition: what is stored of it, and what was ever appended to it."""

    def __init__(self, name: TopicPartition) -> None:
        self.name = name
        self.stored: list[Appended] = []
        self.history: list[Appended] = []
        self.end = 0
        self.foreign_from: int | None = None
        self._open: list[tuple[int, Transaction]] = []

    @property
    def last_stable_offset(self) -> int:
        """The end, or the beginning of the first transaction that is open."""
        self._open = [each for each in self._open if each[1].outcome is Outcome.OPEN]
        return self._open[0][0] if self._open else self.end

    def append(self, record: Appended) -> None:
        transaction = record.transaction
        if transaction is not None and self not in transaction.partitions:
            transaction.partitions[self] = None
            self._open.append((record.offset, transaction))
        self.stored.append(record)
        self.history.append(record)
        self.end = record.offset + 1

    def read(self, offset: int, most: int, *, committed: bool = True) -> tuple[list[Appended], int]:
        """Records from `offset` on, and where to read on; `committed` as of a reader with read_committed."""
        end = self.last_stable_offset if committed else self.end
        found: list[Appended] = []
        for record in self.stored:
            if record.offset < offset:
                continue
            if record.offset >= end:
                break
            if len(found) == most:
                return found, found[-1].offset + 1
            if not committed or record.transaction is None or record.transaction.outcome is Outcome.COMMITTED:
                found.append(record)
        return found, max(offset, end)

    def committed(self) -> list[Appended]:
        """Everything that a reader with read_committed could ever have seen."""
        return [r for r in self.history if r.transaction is None or r.transaction.outcome is Outcome.COMMITTED]

    def compact(self, limit: int) -> None:
        """Keeps below `limit` the last record of each key; what was aborted goes too."""
        limit = min(limit, self.last_stable_offset)
        aborted = [r for r in self.stored if r.transaction is not None and r.transaction.outcome is Outcome.ABORTED]
        gone = {r.offset for r in aborted if r.offset < limit}
        newest = {r.key: r.offset for r in self.stored if r.offset < limit and r.offset not in gone}
        self.stored = [
            r
            for r in self.stored
            if r.offset >= limit or (r.offset not in gone and (r.key is None or newest[r.key] == r.offset))
        ]


class Broker:
    """All partitions, the offsets of the group and the epochs of transactional producers."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        self.now_us = 0
        self.group: dict[TopicPartition, int] = {}
        self.partitions = {
            TopicPartition(topic, number): Partition(TopicPartition(topic, number))
            for topic, count in counts.items()
            for number in range(count)
        }
        self._appended = 0
        self._epochs: dict[str, int] = defaultdict(int)
        self._transactions: dict[str, Transaction | None] = {}

    def __getitem__(self, name: tuple[str, int]) -> Partition:
        return self.partitions[TopicPartition(*name)]

    def of_topic(self, topic: str) -> list[Partition]:
        return [self[topic, number] for number in range(self.counts[topic])]

    def append(
        self,
        name: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        transaction: Transaction | None = None,
    ) -> int:
        """The offset of the new record, whose time is the broker's."""
        partition = self.partitions[name]
        self._appended += 1
        record = Appended(partition.end, self.now_us, key, value, headers, transaction, self._appended)
        partition.append(record)
        return record.offset

    # Transactions

    def start_producer(self, transactional_id: str) -> int:
        """A new epoch: what the last one left open is aborted, and it may write no more."""
        self._epochs[transactional_id] += 1
        self._end(transactional_id, Outcome.ABORTED)
        return self._epochs[transactional_id]

    def epoch_of(self, transactional_id: str) -> int:
        """The newest one; 0 before any."""
        return self._epochs[transactional_id]

    def transaction(self, transactional_id: str, epoch: int) -> Transaction:
        """The open transaction of a producer, or a new one. Raises FencedError for an old epoch."""
        if self._epochs[transactional_id] != epoch:
            raise FencedError(transactional_id)
        found = self._transactions.get(transactional_id)
        if found is None:
            found = self._transactions[transactional_id] = Transaction()
        return found

    def commit(self, transactional_id: str, epoch: int) -> None:
        """Raises FencedError for an old epoch."""
        self.transaction(transactional_id, epoch)
        self._end(transactional_id, Outcome.COMMITTED)

    def _end(self, transactional_id: str, outcome: Outcome) -> None:
        transaction = self._transactions.pop(transactional_id, None)
        if transaction is not None:
            transaction.outcome = outcome
            for partition in transaction.partitions:
                partition.end += 1  # the marker occupies an offset


def newest_by_key(records: Iterable[Appended]) -> dict[bytes | None, bytes | None]:
    """What a reader of a compacted topic holds at its end."""
    return {record.key: record.value for record in records}
