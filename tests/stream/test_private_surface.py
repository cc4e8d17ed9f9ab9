"""Contract: everything of Faust and aiokafka that the lane overrides, calls or relies on is as it was.

A failure here says that an upgrade changed something below the lane. Read the difference, adapt `slastream/stream`, run
the tests with a broker, and only then put the new hash in.
"""

import ast
import hashlib
import inspect
from pathlib import Path
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher as AIOKafkaFetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from faust.app import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.consumer import Fetcher
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage, Message

import slastream.stream
from slastream.stream.lane import LaneConsumer, LaneConsumerThread, LaneSchema

RELIED_ON: dict[str, tuple[Any, str]] = {
    # Overridden: what we replaced.
    "Consumer._drain_messages": (BaseConsumer._drain_messages, "44a2500309e8"),
    "Consumer.resume_partitions": (BaseConsumer.resume_partitions, "afe6b7c02a41"),
    "Consumer.perform_seek": (BaseConsumer.perform_seek, "0e8c130ff4b0"),
    "Consumer.resume_flow": (BaseConsumer.resume_flow, "db59630f25b5"),
    "Consumer.stop_flow": (BaseConsumer.stop_flow, "cf7e875a2b0d"),
    "Consumer.on_partitions_revoked": (BaseConsumer.on_partitions_revoked, "d04b7ae72c6f"),
    "Consumer.on_partitions_assigned": (BaseConsumer.on_partitions_assigned, "29ce96596f05"),
    "Consumer.wait_empty": (BaseConsumer.wait_empty, "e4662fe24f09"),
    "Consumer.commit": (BaseConsumer.commit, "a354437baaa0"),
    "Consumer.verify_all_partitions_active": (BaseConsumer.verify_all_partitions_active, "4e0e46f5c297"),
    "Consumer._new_consumer_thread": (driver.Consumer._new_consumer_thread, "0870ec53dea7"),
    "AIOKafkaConsumerThread._create_worker_consumer": (
        driver.AIOKafkaConsumerThread._create_worker_consumer,
        "c2701bfc3e6f",
    ),
    "AIOKafkaConsumerThread._ensure_consumer": (driver.AIOKafkaConsumerThread._ensure_consumer, "ff4a4c693b7e"),
    "AIOKafkaConsumerThread.__post_init__": (driver.AIOKafkaConsumerThread.__post_init__, "913dc7c0d957"),
    "Producer._settings_auth": (driver.Producer._settings_auth, "6d47a0b8599c"),
    # Who calls them, in which order: the flow stops before `wait_empty`, queues are emptied before `resume_flow`.
    "ConsumerRebalanceListener": (driver.ConsumerRebalanceListener, "f3d04f29dfb3"),
    "App.on_rebalance_start": (App.on_rebalance_start, "5c1e23de3067"),
    "App._on_partitions_revoked": (App._on_partitions_revoked, "d5c895bbe57d"),
    "App._on_partitions_assigned": (App._on_partitions_assigned, "de932b7927db"),
    "App._stop_consumer": (App._stop_consumer, "55854a5de12c"),
    "App._consumer_wait_empty": (App._consumer_wait_empty, "6bc313c48c06"),
    "TableManager.on_rebalance": (TableManager.on_rebalance, "2d2c23a07bf5"),
    "Recovery.on_rebalance": (Recovery.on_rebalance, "aa4d997a1795"),
    "Recovery._restart_recovery": (Recovery._restart_recovery.fun, "6bd8a8558a2d"),
    "Recovery._resume_streams": (Recovery._resume_streams, "d986a6710c1a"),
    "Fetcher": (Fetcher, "c922e4ab78d9"),
    "Message.__init__": (Message.__init__, "afe1f7597559"),
    "ConsumerMessage": (ConsumerMessage, "5edc45d571eb"),
    # aiokafka: fetching pops records and moves the position in one step; a rebalance waits for its listener.
    "Fetcher.fetched_records": (AIOKafkaFetcher.fetched_records, "be4348896b9b"),
    "FetchResult": (FetchResult, "d7db13f06de8"),
    "PartitionRecords": (PartitionRecords, "94aa0da0dbec"),
    "Fetcher._proc_fetch_request": (AIOKafkaFetcher._proc_fetch_request, "59bf948fff47"),
    "GroupCoordinator._on_join_prepare": (GroupCoordinator._on_join_prepare, "4d9524afc0ee"),
    "GroupCoordinator._on_join_complete": (GroupCoordinator._on_join_complete, "0b0b3d204b40"),
    "AIOKafkaConsumer.getmany": (aiokafka.AIOKafkaConsumer.getmany, "bc6d248e42a4"),
    "AIOKafkaConsumer.position": (aiokafka.AIOKafkaConsumer.position, "2512259a90a2"),
    "AIOKafkaProducer.send_batch": (aiokafka.AIOKafkaProducer.send_batch, "bf42b0f0c5c0"),
    "MessageAccumulator.add_batch": (MessageAccumulator.add_batch, "5ed1c5b1367a"),
    "BatchBuilder.append": (BatchBuilder.append, "657d76f55157"),
}


READ_OF_CONSUMERS = (
    "flow_active", "can_resume_flow", "suspend_flow", "callback", "_committed_offset", "_stopped", "_thread",
)  # fmt: skip


def _hash(thing: Any) -> str:
    return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", RELIED_ON)
def test_what_we_rely_on_is_unchanged(name: str) -> None:
    thing, expected = RELIED_ON[name]
    assert _hash(thing) == expected, f"{name} changed: read the difference, adapt the lane, then write {_hash(thing)!r}"


def test_the_pinned_versions_are_installed() -> None:
    assert (faust.__version__, aiokafka.__version__) == ("0.15.3", "0.14.0")


def test_every_private_name_of_theirs_that_we_use_is_in_what_is_checked_here() -> None:
    """Used in `slastream/stream`, and defined nowhere there."""
    used, ours = set[str](), set[str]()
    for file in Path(slastream.stream.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                (used if isinstance(node.ctx, ast.Load) else ours).add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                ours.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                ours.add(node.target.id)
    theirs = used - ours - {"_exit", "_replace", "_fields"}
    checked = "".join(inspect.getsource(thing) for thing, _ in RELIED_ON.values()) + "".join(READ_OF_CONSUMERS)
    assert theirs
    assert [name for name in sorted(theirs) if name not in checked] == []


@pytest.mark.parametrize("ours", [LaneConsumer, LaneConsumerThread, LaneSchema])
def test_every_override_has_something_to_override(ours: type) -> None:
    new = {"seek_source", "_in_thread", "_commit_durable", "_round", "_take", "_generation", "_may_hand_over"}
    new |= {"fetch", "seek_or_start", "commit_offsets"}
    functions = {name for name, value in vars(ours).items() if inspect.isfunction(value)} - new
    above = ours.__mro__[1]
    assert functions
    assert [name for name in sorted(functions) if not hasattr(above, name)] == []
    assert [name for name in sorted(new) if name in vars(ours) and hasattr(above, name)] == []


@pytest.mark.parametrize("name", READ_OF_CONSUMERS)
def test_the_consumer_still_sets_what_we_read(name: str) -> None:
    classes = (*driver.Consumer.__mro__,)
    sources = "".join(inspect.getsource(each) for each in classes if each.__module__.startswith(("faust", "mode")))
    assert f"self.{name} = " in sources or f"{name}: " in sources


def test_streams_skip_chunks_of_another_generation_as_the_lane_expects() -> None:
    source = inspect.getsource(faust.Stream._py_aiter)
    assert "message.generation_id != self.app.consumer_generation_id" in source


def test_murmur2_is_that_of_kafka() -> None:
    """**Source:** values of the tests of `org.apache.kafka.common.utils.Utils` (murmur2)."""
    signed = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    assert {key: (murmur2(key) + 2**31) % 2**32 - 2**31 for key in signed} == signed
