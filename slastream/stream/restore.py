"""A partition's state comes back from its changelog: completely, or the process ends.

Our own reader instead of Faust's recovery (`docs/decisions/stream-own-restore.md`): it reads committed records from the
beginning to the last stable offset, and keeps of each key the record with the highest progress, because an owner that
slept past its session may have written after its successor (when producers are not fenced by transactions).
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka

from slastream.stream.commit import PROGRESS_HEADER
from slastream.stream.records import record_consumer
from slastream.stream.runtime import Message, OwnedPartition
from slastream.stream.stage import Processor

STALL_SECONDS = 60.0
"""A restore that does not move for so long has failed."""


class RestoreError(Exception):
    """A changelog partition could not be read up to its last stable offset."""


async def restore(owned: OwnedPartition, processor: Processor, client_options: Mapping[str, Any]) -> None:
    """Give `processor` the content of its table's partition. Raises RestoreError, or SnapshotError of the processor."""
    started = time.monotonic()
    reader = record_consumer(
        **client_options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=16 << 20,
    )
    try:
        await reader.start()
        kept = await _read(reader, owned, processor)
    finally:
        await reader.stop()
    for key, value in kept.values.items():
        processor.restore(key, value)
    processor.restored()
    owned.overwritten = kept.overwritten()
    owned.restored_keys = len(kept.values)
    owned.restore_seconds = time.monotonic() - started


async def _read(reader: Any, owned: OwnedPartition, processor: Processor) -> "_Kept":
    partition = aiokafka.TopicPartition(owned.stage.table, owned.partition)
    reader.assign([partition])
    end = (await reader.end_offsets([partition]))[partition]  # the last stable offset: the reader is read_committed
    await reader.seek_to_beginning(partition)
    kept = _Kept(processor)
    moved_at, position = time.monotonic(), -1
    while (here := await reader.position(partition)) < end:
        if here != position:
            moved_at, position = time.monotonic(), here
        elif time.monotonic() - moved_at > STALL_SECONDS:
            raise RestoreError(f"{partition.topic}[{partition.partition}] stays at {here} of {end}")
        for records in (await reader.getmany(partition, timeout_ms=200)).values():
            owned.restored_records += len(records)
            kept.take(records)
    owned.restored_to = here
    return kept


class _Kept:
    """Of each key the record with the highest progress; progress is asked for only when two meet.

    A deletion has its progress in a header and counts like a value; without one it counts where it stands.
    """

    def __init__(self, processor: Processor) -> None:
        self.values: dict[bytes, bytes] = {}
        self._processor = processor
        self._progress: dict[bytes, int] = {}
        self._overwritten: dict[bytes, None] = {}

    def take(self, records: Iterable[Any]) -> None:
        """The next records of the changelog."""
        values, progress = self.values, self._progress
        for record in records:
            key, value = record.key, record.value
            if value is not None and key not in values and key not in progress:
                values[key] = value
            else:
                self._take_one(key, value, record)

    def _take_one(self, key: bytes, value: bytes | None, record: Any) -> None:
        known = self._progress.get(key)
        if known is None and (held := self.values.get(key)) is not None:
            known = self._processor.progress(held)
        offered = _progress_of_deletion(record) if value is None else self._processor.progress(value)
        if known is not None and offered is not None and offered < known:
            self._overwritten[key] = None
            return
        self._overwritten.pop(key, None)
        if offered is None:
            self._progress.pop(key, None)
        else:
            self._progress[key] = offered
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def overwritten(self) -> list[Message]:
        """What an earlier owner has written over since: without being written again compaction would take it away."""
        return [self._message(key, self.values.get(key)) for key in self._overwritten]

    def _message(self, key: bytes, value: bytes | None) -> Message:
        return key, value, [] if value is not None else [(PROGRESS_HEADER, b"%d" % self._progress[key])]


def _progress_of_deletion(record: Any) -> int | None:
    return next((int(value) for name, value in record.headers if name == PROGRESS_HEADER), None)
