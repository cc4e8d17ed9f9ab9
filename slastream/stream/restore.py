"""A partition's state comes back from its changelog: completely, or the process ends.

Our own reader instead of Faust's recovery (`docs/decisions/stream-own-restore.md`): it reads committed records from the
beginning to the last stable offset, and keeps of each key the record with the highest progress, because an owner that
slept past its session may have written after its successor (when producers are not fenced by transactions).
"""

import time
from collections.abc import Mapping
from typing import Any

import aiokafka

from slastream.stream.commit import PROGRESS_HEADER
from slastream.stream.runtime import OwnedPartition
from slastream.stream.stage import Processor

STALL_SECONDS = 60.0
"""A restore that does not move for so long has failed."""


class RestoreError(Exception):
    """A changelog partition could not be read up to its last stable offset."""


async def restore(owned: OwnedPartition, processor: Processor, client_options: Mapping[str, Any]) -> None:
    """Give `processor` the content of its table's partition. Raises RestoreError, or SnapshotError of the processor."""
    started = time.monotonic()
    reader = aiokafka.AIOKafkaConsumer(
        **client_options,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=16 << 20,
    )
    try:
        await reader.start()
        values = await _read(reader, owned, processor)
    finally:
        await reader.stop()
    for key, value in values.items():
        processor.restore(key, value)
    processor.restored()
    owned.restored_keys = len(values)
    owned.restore_seconds = time.monotonic() - started


async def _read(reader: Any, owned: OwnedPartition, processor: Processor) -> dict[bytes, bytes]:
    partition = aiokafka.TopicPartition(owned.stage.table, owned.partition)
    reader.assign([partition])
    end = (await reader.end_offsets([partition]))[partition]  # the last stable offset: the reader is read_committed
    await reader.seek_to_beginning(partition)
    values: dict[bytes, bytes] = {}
    progress: dict[bytes, int] = {}
    moved_at, position = time.monotonic(), -1
    while (here := await reader.position(partition)) < end:
        if here != position:
            moved_at, position = time.monotonic(), here
        elif time.monotonic() - moved_at > STALL_SECONDS:
            raise RestoreError(f"{partition.topic}[{partition.partition}] stays at {here} of {end}")
        for records in (await reader.getmany(partition, timeout_ms=200, max_records=8192)).values():
            owned.restored_records += len(records)
            _keep_highest(values, progress, records, processor)
    return values


def _keep_highest(values: dict[bytes, bytes], progress: dict[bytes, int], records: Any, processor: Processor) -> None:
    """Of two records of a key the one with the higher progress stays; progress is asked for only when two meet.

    A deletion has its progress in a header and counts like a value; without one it counts where it stands.
    """
    for record in records:
        key, value = record.key, record.value
        if value is None:
            deleted_at = _progress_of_deletion(record)
            held = values.get(key)
            if deleted_at is not None:
                if held is not None and processor.progress(held) >= deleted_at:
                    continue
                progress[key] = deleted_at
            else:
                progress.pop(key, None)
            values.pop(key, None)
            continue
        known = progress.get(key)
        if known is None and (held := values.get(key)) is not None:
            known = processor.progress(held)
        if known is None:
            values[key] = value
            continue
        offered = processor.progress(value)
        progress[key] = max(known, offered)
        if offered >= known:
            values[key] = value


def _progress_of_deletion(record: Any) -> int | None:
    return next((int(value) for name, value in record.headers if name == PROGRESS_HEADER), None)
