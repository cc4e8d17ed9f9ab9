"""The rules of the shell that need no broker: chains of chunks, highest progress, partitions of keys, fail-stop."""

import asyncio
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, NotLeaderForPartitionError

from slastream.app import load_policy_path, make_stages
from slastream.errors import SnapshotError
from slastream.stream.commit import (
    PROGRESS_HEADER,
    Committer,
    Pace,
    PartitionCounts,
    Write,
    partition_of,
    state_messages,
)
from slastream.stream.deadlines import Deadlines, tick_value
from slastream.stream.failure import RepeatedLines
from slastream.stream.lifecycle import Lifecycle, partitions_of_stages
from slastream.stream.restore import _Kept
from slastream.stream.runtime import OwnedPartition, Runtime, Source, State, TopicPartition
from slastream.stream.stage import Cut, Output, Record, Stage
from slastream.stream.ticket_stage import BACKFILL_HEADER, BACKFILL_SILENCE
from slastream.stream.worker import WorkerSettings, check_stages


class Notes:
    """A core that remembers what it was given; a stored value is its own progress."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def restore(self, key: bytes, value: bytes) -> None: ...
    def restored(self) -> None: ...
    def progress(self, value: bytes) -> int:
        return int(value)

    def apply(self, record: Record) -> None:
        self.seen.append(record.offset)

    def cut(self) -> Cut:
        return Cut([(b"meta", b"%d" % len(self.seen))], [Output("out", b"service", b"id", b"fact")])

    def pass_over(self, offset: int) -> bool:
        return True

    def has_changes(self) -> bool:
        return False

    @property
    def wake_at(self) -> int | None:
        return None

    @property
    def ticks_allowed(self) -> bool:
        return True


class Due(Notes):
    """A core for which something has been due since 1970."""

    @property
    def wake_at(self) -> int | None:
        return 0


class Fetched(NamedTuple):
    topic: str
    offset: int
    key: bytes | None = None
    value: bytes | None = b"{}"
    timestamp: int = 5
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Run:
    """A run of records, as the lane hands it over."""

    source: Source
    epoch: int
    previous_end: int
    value: list[Fetched]


class Kept:
    """A writer that keeps what was to be written."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def continue_at(self, offset: int) -> None: ...
    async def write(self, table: TopicPartition, write: Write) -> None:
        self.writes.append(write)


class Known(PartitionCounts):
    """Every topic has four partitions."""

    def __init__(self) -> None:
        super().__init__(None)

    async def _ask(self, topic: str) -> int:
        return 4


STAGE = Stage("tickets", ("in",), "table", "in", lambda _: Notes())


async def _ends(_: Any) -> dict[TopicPartition, int]:
    return {}


async def _send(_: TopicPartition, __: bytes, ___: bytes | None) -> int:
    return 0


async def _running(stage: Stage = STAGE) -> tuple[Lifecycle, OwnedPartition, Source, Kept]:
    counts, writer = Known(), Kept()
    await counts.learn(("in", "out"))
    lifecycle = Lifecycle(
        Runtime([stage]),
        Deadlines(_ends, _send),
        counts,
        lambda *_: writer,
        {},
        commit_interval_seconds=0,
        commits_per_second=1000,
    )
    owned = OwnedPartition(stage, 1, 1, Notes(), State.RUNNING)
    source = Source(TopicPartition("in", 1), owned, epoch=1)
    owned.sources[source.partition] = source
    owned.committer = Committer(owned, writer, counts, 0, Pace(1000), lambda _: None)
    lifecycle.runtime.owned[stage.name, 1] = owned
    return lifecycle, owned, source, writer


def _offsets(owned: OwnedPartition) -> list[int]:
    assert isinstance(owned.processor, Notes)
    return owned.processor.seen


def test_a_chunk_that_follows_is_applied() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, _ = await _running()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0), Fetched("in", 1)]))
        await lifecycle.apply(Run(source, 1, 2, [Fetched("in", 7)]))  # a gap that compaction or a marker left
        assert _offsets(owned) == [0, 1, 7]
        assert (source.applied, owned.unflushed_records) == (8, 3)

    asyncio.run(scenario())


def test_a_chunk_after_a_hole_is_refused_and_everything_is_read_again() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, _ = await _running()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0)]))
        await lifecycle.apply(Run(source, 1, 5, [Fetched("in", 5)]))  # what ended at 5 was lost on the way
        await lifecycle.apply(Run(source, 1, 6, [Fetched("in", 6)]))
        assert _offsets(owned) == [0]
        assert source.is_in_doubt
        assert source.applied == 1
        assert lifecycle.runtime.chain_breaks == 1

    asyncio.run(scenario())


def test_a_chunk_from_before_a_seek_is_dropped() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, _ = await _running()
        lifecycle.rewind_running()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0)]))
        assert _offsets(owned) == []
        assert lifecycle.runtime.stale_chunks == 1

    asyncio.run(scenario())


def test_nothing_is_applied_to_a_partition_that_drains() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, _ = await _running()
        await lifecycle.drain()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0)]))
        assert owned.state is State.DRAINING
        assert _offsets(owned) == []

    asyncio.run(scenario())


def test_draining_makes_all_that_was_applied_durable_in_one_cut() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, writer = await _running()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0), Fetched("in", 1)]))
        await lifecycle.drain()
        [write] = writer.writes
        assert write.state == [(b"meta", b"2", [])]
        assert write.outputs == {("out", partition_of(b"service", 4)): [(b"id", b"fact", [])]}
        assert (source.durable, owned.unflushed_records) == (2, 0)

    asyncio.run(scenario())


def test_reading_again_does_not_make_durable_what_was_not_written_yet() -> None:
    async def scenario() -> None:
        lifecycle, _, source, writer = await _running()
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0), Fetched("in", 1)]))
        source.continue_at(source.applied, is_first=False)
        assert source.durable == 0
        await lifecycle.drain()
        assert [write.state for write in writer.writes] == [[(b"meta", b"2", [])]]
        assert source.durable == 2

    asyncio.run(scenario())


def test_a_misplaced_record_is_forwarded_with_its_headers_and_not_applied() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, writer = await _running()
        right = next(key for key in (b"%d" % n for n in range(99)) if partition_of(key, 4) == 1)
        wrong = next(key for key in (b"%d" % n for n in range(99)) if partition_of(key, 4) == 2)
        records = [
            Fetched("in", 0, right),
            Fetched("in", 1, wrong, b"{}", 5, (("backfill", b"begin"),)),
            Fetched("in", 2),
        ]
        await lifecycle.apply(Run(source, 1, 0, records))
        await lifecycle.drain()
        assert _offsets(owned) == [0, 2]
        assert owned.misplaced_records == 1
        assert writer.writes[0].outputs["in", 2] == [(wrong, b"{}", [("backfill", b"begin")])]  # type: ignore[index]

    asyncio.run(scenario())


def test_recovery_keeps_the_highest_progress_of_a_key_not_the_last_record() -> None:
    kept = _Kept(Notes())
    log = [
        (b"a", b"3"),
        (b"a", b"9"),
        (b"a", b"4"),
        (b"b", b"1"),
        (b"b", None),
        (b"c", b"2"),
        (b"c", None),
        (b"c", b"1"),
    ]
    kept.take([Fetched("table", n, key, value) for n, (key, value) in enumerate(log)])
    assert kept.values == {b"a": b"9", b"c": b"1"}
    assert kept.overwritten() == [(b"a", b"9", [])]


def test_a_value_that_an_earlier_owner_wrote_after_a_deletion_does_not_undo_it() -> None:
    log: list[tuple[bytes, bytes | None, tuple[tuple[str, bytes], ...]]] = [
        (b"gone", b"4", ()),
        (b"gone", None, ((PROGRESS_HEADER, b"7"),)),
        (b"gone", b"5", ()),  # of an owner that slept past its session
        (b"back", None, ((PROGRESS_HEADER, b"7"),)),
        (b"back", b"8", ()),
        (b"kept", b"9", ()),
        (b"kept", None, ((PROGRESS_HEADER, b"6"),)),  # a late deletion, of such an owner too
    ]
    records = [Fetched("table", n, key, value, headers=headers) for n, (key, value, headers) in enumerate(log)]
    kept = _Kept(Notes())
    kept.take(records)
    assert kept.values == {b"back": b"8", b"kept": b"9"}
    assert kept.overwritten() == [(b"gone", None, [(PROGRESS_HEADER, b"7")]), (b"kept", b"9", [])]


def test_what_an_earlier_owner_wrote_over_is_written_again_before_anything_newer() -> None:
    async def scenario() -> None:
        lifecycle, owned, source, writer = await _running()
        owned.overwritten = [(b"meta", b"1", [])]
        await lifecycle.apply(Run(source, 1, 0, [Fetched("in", 0), Fetched("in", 1)]))
        await lifecycle.drain()
        assert [write.state for write in writer.writes] == [[(b"meta", b"1", []), (b"meta", b"2", [])]]

    asyncio.run(scenario())


def test_a_deletion_carries_the_progress_of_its_cut() -> None:
    assert state_messages([(b"a", b"1"), (b"b", None)], 12) == [
        (b"a", b"1", []),
        (b"b", None, [(PROGRESS_HEADER, b"12")]),
    ]


def test_a_tick_is_rfc_3339_with_microseconds() -> None:
    assert tick_value(1_700_000_000_000_250) == b'{"type":"tick","at":"2023-11-14T22:13:20.000250Z"}'


@pytest.mark.parametrize("error", [KafkaTimeoutError, NotLeaderForPartitionError])
def test_a_tick_that_a_broker_that_is_away_did_not_take_is_tried_again(error: type[KafkaError]) -> None:
    async def scenario() -> None:
        _, owned, source, _ = await _running()
        owned.processor = Due()
        source.continue_at(1, is_first=True)
        tried: list[bytes] = []
        is_written = asyncio.Event()

        async def ends(_: Any) -> dict[TopicPartition, int]:
            return {source.partition: 1}

        async def send(partition: TopicPartition, value: bytes, key: bytes | None) -> int:
            tried.append(value)
            if len(tried) == 1:
                raise error
            is_written.set()
            return 0

        deadlines = Deadlines(ends, send)
        deadlines.arm(owned)
        await asyncio.wait_for(is_written.wait(), 10)
        deadlines.disarm(owned)
        assert len(tried) == 2

    asyncio.run(scenario())


def test_repeated_lines_of_one_template_pass_once_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    lines = RepeatedLines(every_seconds=0.0)
    patient = RepeatedLines(every_seconds=3600.0)
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "no connection to %s", ("broker",), None)
    assert [patient.filter(record) for _ in range(3)] == [True, False, False]
    assert all(lines.filter(record) for _ in range(3))


def test_one_topic_belongs_to_one_stage_only() -> None:
    with pytest.raises(ValueError, match="source of one stage only"):
        check_stages([STAGE, STAGE])


def test_ticks_go_into_a_source_of_the_stage() -> None:
    with pytest.raises(ValueError, match="tick topic"):
        check_stages([STAGE._replace(tick_topic="elsewhere")])


def test_partitions_of_all_topics_of_a_stage_come_together() -> None:
    stage = STAGE._replace(sources=("in", "also"))
    assigned = {TopicPartition(topic, number) for topic in stage.sources for number in (0, 3)}
    assert partitions_of_stages([stage], assigned) == {("tickets", 0), ("tickets", 3)}


def test_an_unequal_assignment_ends_the_process() -> None:
    code = (
        "from slastream.stream.lifecycle import *; from slastream.stream.runtime import TopicPartition as T;"
        "partitions_of_stages([Stage('s', ('a', 'b'), 't', 'a', None)], {T('a', 0), T('b', 1)})"
    )
    repository = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=repository)
    assert ended.returncode == 72


def test_an_event_of_a_backfill_behind_its_end_begins_no_other_silence(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nagreements: {a: {kind: sla, promises: {r: {metric: resolution, within: 1h}}}}\n")
    tickets = make_stages(load_policy_path(policy))[0].make(0)
    hour, event = 3_600_000_000, b'{"ticket_id":"%d","occurred_at":"1970-01-01T00:00:00Z","type":"created"}'

    def apply(offset: int, phase: bytes, value: bytes | None = None) -> None:
        tickets.apply(Record("sla.tickets", 0, offset, 2 * hour, None, value, ((BACKFILL_HEADER, phase),)))

    apply(0, b"begin")
    apply(1, b"event", event % 1)
    assert tickets.wake_at == 2 * hour + BACKFILL_SILENCE
    apply(2, b"end")
    apply(3, b"event", event % 2)  # of another partition, forwarded
    assert tickets.wake_at == hour


def test_a_ticket_that_ended_and_left_the_table_in_one_cut_stays_away_after_a_crash(tmp_path: Path) -> None:
    """Its record is deleted one cut later: until then it must say that the ticket has ended."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nagreements: {a: {kind: sla, promises: {r: {metric: resolution, within: 1h}}}}\n")
    stage = make_stages(load_policy_path(policy))[0]
    tickets, table = stage.make(0), dict[bytes, bytes | None]()

    def apply(offset: int, day: int, event: str) -> None:
        now = day * 86_400_000_000
        tickets.apply(Record("sla.tickets", 0, offset, now, None, event.encode(), ()))

    apply(0, 1, '{"ticket_id":"A","occurred_at":"1970-01-02T00:00:00Z","type":"created"}')
    table.update(tickets.cut().state)
    apply(1, 1, '{"ticket_id":"A","occurred_at":"1970-01-02T00:00:00Z","ticket":{"status":"closed"}}')
    apply(2, 900, '{"ticket_id":"B","occurred_at":"1972-06-19T00:00:00Z","type":"created"}')
    table.update(tickets.cut().state)
    next_life = stage.make(0)
    for key, value in table.items():
        if value is not None:
            next_life.restore(key, value)
    next_life.restored()
    assert next_life.cut().outputs == []


@pytest.mark.parametrize("number", [0, 1])
def test_each_stage_refuses_a_newer_state_also_of_a_key_with_one_record(tmp_path: Path, number: int) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nagreements: {a: {kind: sla, promises: {r: {metric: resolution, within: 1h}}}}\n")
    stage = make_stages(load_policy_path(policy))[number]
    with pytest.raises(SnapshotError, match="start the newer program again"):
        stage.make(0).restore(b"key", b"[1000,7,null]")


@pytest.mark.parametrize("session_seconds", [2.0, 6.0, 10.0, 60.0])
def test_a_session_has_three_heartbeats_however_short_it_is(session_seconds: float) -> None:
    options = WorkerSettings(broker="host:9092", session_timeout_seconds=session_seconds).consumer_options()
    assert 3 * options["heartbeat_interval_ms"] <= options["session_timeout_ms"]


def test_a_worker_commits_at_once_after_a_quiet_second_and_no_more_often_than_its_pace_under_load() -> None:
    pace = Pace(10)
    waits = [pace.reserve(100.0) for _ in range(15)]
    assert waits[:10] == [0.0] * 10
    assert waits[10:] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert pace.reserve(105.0) == 0.0
