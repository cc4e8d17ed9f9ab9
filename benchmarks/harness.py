"""What the measures share: a broker with data, programs that are measured from outside, and medians.

A program is measured by what its group has committed and by the CPU time of its process (user and system, all threads, from
`/proc`), both read every 50 ms. Counted is from the first to the last commit, so that starting up is not in it.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError as AIOKafkaError
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from benchmarks.peers import java_command, peers_python
from slastream.local.kafka import KafkaBroker

REPOSITORY = Path(__file__).parents[1]
PARTITIONS = 8
POLL_SECONDS = 0.05
START_LIMIT_SECONDS = 90.0
TABLE = {"cleanup.policy": "compact", "max.message.bytes": "16777216"}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """At `seconds`: events done (durable, for all but raw readers) and CPU used so far."""

    seconds: float
    events: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `warm_*` is its second half, which matters to a JVM."""

    events: int
    rate: float
    cpu_us: float
    warm_rate: float
    warm_cpu_us: float
    rss_mib: float
    outputs: Mapping[str, int] = field(default_factory=dict)
    """Records that it published, by topic, of the topics that were asked for."""


@dataclass(slots=True)
class Subject:
    """A program to measure: how it is started, and up to how many events (None: all there are)."""

    name: str
    command: Callable[["Bench", str], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    is_peer: bool = False
    has_progress_file: bool = False
    prepare: Callable[["Bench", str], None] | None = None


class Bench:
    """A broker of this run's own, its topics and what is in them."""

    def __init__(self, folder: Path, broker: KafkaBroker, *, is_quick: bool) -> None:
        self.is_quick = is_quick
        self.folder = folder
        self.broker = broker
        self.address = broker.address
        self.policy = folder / "policy.yaml"
        self._number = 0

    def new_name(self, base: str) -> str:
        """A name that nothing in this broker has yet."""
        self._number += 1
        return f"bench-{base}-{self._number}"

    def create(self, *topics: str, config: Mapping[str, str] | None = None) -> None:
        """Topics with the usual number of partitions, ready to be used."""

        async def create() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(each, PARTITIONS, 1, topic_configs=config) for each in topics])
                while not await _are_usable(admin, topics):
                    await asyncio.sleep(0.02)
            finally:
                await admin.close()

        asyncio.run(create())

    def load(self, topic: str, events: Iterable[tuple[bytes, bytes]], headers: Any = None) -> int:
        """Write events with keys hashed as Java does; returns how many."""
        producer = Producer(
            {
                "bootstrap.servers": self.address, "partitioner": "murmur2", "linger.ms": 20, "enable.idempotence": True,
                "log_level": 0,
                "queue.buffering.max.messages": 500_000, "batch.size": 262_144,
            }
        )  # fmt: skip
        count = 0
        for key, value in events:
            while True:
                try:
                    producer.produce(topic, value, key, headers=headers)
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
            if count % 10_000 == 0:
                producer.poll(0)
        if left := producer.flush(120):
            raise RuntimeError(f"{left} events were not written to {topic}")
        return count

    def ends(self, topic: str) -> dict[int, int]:
        """The end offset of each partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "bench-ends"})
        try:
            partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
            found = {
                each: consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=20) for each in partitions
            }
            return {number: int(end) for number, (_, end) in found.items()}
        finally:
            consumer.close()

    def count(self, topic: str, starts: Mapping[int, int]) -> int:
        """Records of a topic from these offsets on, those of open transactions too."""
        options = {"group.id": "bench-count", "enable.partition.eof": True, "isolation.level": "read_uncommitted"}
        consumer = Consumer({"bootstrap.servers": self.address, "enable.auto.commit": False, **options})
        try:
            consumer.assign([TopicPartition(topic, number, start) for number, start in starts.items()])
            found, ended = 0, 0
            while ended < len(starts):
                for message in consumer.consume(10_000, 1.0):
                    error = message.error()
                    if error is None:
                        found += 1
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended += 1
            return found
        finally:
            consumer.close()

    def bytes_of(self, topic: str) -> int:
        """What the topic takes on the broker's disk."""
        return sum(file.stat().st_size for file in self.broker.data_folder.glob(f"log/{topic}-*/*.log"))


@contextmanager
def bench(policy: str | None = None, *, is_quick: bool = False, heap: str = "1g") -> Iterator[Bench]:
    """A broker that lives as long as the block."""
    with (
        tempfile.TemporaryDirectory(prefix="slastream-benchmark-") as folder,
        KafkaBroker.start(Path(folder, "kafka"), heap=heap) as broker,
    ):
        made = Bench(Path(folder), broker, is_quick=is_quick)
        if policy is not None:
            made.policy.write_text(policy, encoding="utf-8")
        yield made


class Watched(Protocol):
    """What runs and uses CPU: a process, or several."""

    @property
    def log(self) -> str: ...

    def cpu_seconds(self) -> float: ...

    def must_run(self) -> None: ...


class Process:
    """A measured program; killed at the end of its block."""

    def __init__(self, bench: Bench, subject: Subject, group: str) -> None:
        self.group = group
        self.log_path = bench.folder / f"{group}.log"
        self.progress_path = bench.folder / f"{group}.progress"
        self.state_folder = bench.folder / f"{group}.state"
        self.state_folder.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "BENCHMARK_BROKER": bench.address,
            "BENCHMARK_GROUP": group,
            "BENCHMARK_PROGRESS": str(self.progress_path),
            "BENCHMARK_POLICY": str(bench.policy),
            "BENCHMARK_PARTITIONS": str(PARTITIONS),
            "BENCHMARK_FOLDER": str(self.state_folder),
            **subject.environment,
        }
        if subject.prepare is not None:
            subject.prepare(bench, group)
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                subject.command(bench, group), stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=bench.folder
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def cpu_seconds(self) -> float:
        """User and system time of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def must_run(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode}:\n{self.log[-3000:]}")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def measure(
    bench: Bench,
    subject: Subject,
    topic: str,
    ends: Mapping[int, int],
    outputs: Sequence[str] = (),
    limit_seconds: float = 240,
) -> Measured:
    """Run a program from the beginning of a topic to these ends (or its limit), kill it, and count what it published."""
    starts = {each: bench.ends(each) for each in outputs}
    group = bench.new_name(subject.name.split()[0].lower())
    wanted = min(subject.limit or sum(ends.values()), sum(ends.values()))
    with Process(bench, subject, group) as process:
        started = Sample(time.monotonic(), 0, 0.0)
        if subject.has_progress_file:
            samples = asyncio.run(_watch(process, wanted, _file_progress(process), limit_seconds))
        else:
            samples = asyncio.run(watch_group(bench, process, group, topic, ends, wanted, limit_seconds))
        rss = process.rss_bytes() / 2**20
    published = {each: bench.count(each, starts[each]) for each in outputs}
    return replace(measured([started, *samples] if bench.is_quick else samples, rss), outputs=published)


def measured(samples: Sequence[Sample], rss_mib: float) -> Measured:
    first, last = samples[0], samples[-1]
    half = next(each for each in samples if each.events >= (first.events + last.events) // 2)
    if half is last:
        half = first
    rate, cpu = _between(first, last)
    warm_rate, warm_cpu = _between(half, last)
    return Measured(last.events, rate, cpu, warm_rate, warm_cpu, rss_mib)


def _between(first: Sample, last: Sample) -> tuple[float, float]:
    events = last.events - first.events
    if events <= 0:
        raise RuntimeError("all events were committed at once: feed more of them")
    return events / (last.seconds - first.seconds), (last.cpu_seconds - first.cpu_seconds) * 1e6 / events


async def until_committed(bench: Bench, process: Process, group: str, topic: str, limit_seconds: float) -> None:
    """Return when a group has committed what is in a topic now; the markers of the last transactions never are.

    Each partition may end with one of each partition that writes there.
    """
    ends = bench.ends(topic)
    await watch_group(bench, process, group, topic, ends, sum(ends.values()) - len(ends) ** 2, limit_seconds)


async def _are_usable(admin: Any, topics: Sequence[str]) -> bool:
    """Whether each partition has its leader: Kafka answers before its brokers know of new topics."""
    found = await admin.describe_topics(list(topics))
    return all(each["partitions"] and all(part["leader"] >= 0 for part in each["partitions"]) for each in found)


async def watch_group(
    bench: Bench, process: Watched, group: str, topic: str, ends: Mapping[int, int], wanted: int, limit_seconds: float
) -> list[Sample]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.address)
    await admin.start()

    async def committed() -> int:
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except AIOKafkaError:
            return 0
        return sum(
            min(max(each.offset, 0), ends[part.partition]) for part, each in offsets.items() if part.topic == topic
        )

    try:
        return await _watch(process, wanted, committed, limit_seconds)
    finally:
        await admin.close()


def _file_progress(process: Process) -> Callable[[], Any]:
    async def read() -> int:
        try:
            return int(process.progress_path.read_text() or 0)
        except FileNotFoundError:
            return 0

    return read


async def _watch(process: Watched, wanted: int, done: Callable[[], Any], limit_seconds: float) -> list[Sample]:
    """A sample whenever more is done; ends when less than a thousandth of what is wanted is missing."""
    samples: list[Sample] = []
    deadline = time.monotonic() + START_LIMIT_SECONDS + limit_seconds
    while True:
        process.must_run()
        events = await done()
        if events > (samples[-1].events if samples else 0):
            samples.append(Sample(time.monotonic(), events, process.cpu_seconds()))
            if events >= wanted * 0.999:
                return samples
        if time.monotonic() > deadline:
            raise RuntimeError(f"{events} of {wanted} events within {limit_seconds} s:\n{process.log[-3000:]}")
        await asyncio.sleep(POLL_SECONDS)


def interleaved(
    bench: Bench,
    subjects: Sequence[Subject],
    topic: str,
    runs: int,
    say: Callable[[str], None],
    outputs: Sequence[str] = (),
) -> dict[str, list[Measured]]:
    """Each program once per round, the rounds one after the other, so that what the machine does meets all alike."""
    ends = bench.ends(topic)
    found: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
    for number in range(runs):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            try:
                one = measure(bench, subject, topic, ends, outputs)
            except RuntimeError as error:
                say(f"{subject.name}: FAILED: {error}")
                continue
            found[subject.name].append(one)
            say(
                f"{subject.name}: {one.rate:,.0f} ev/s, {one.cpu_us:.1f} µs (warm {one.warm_cpu_us:.1f}), {one.rss_mib:.0f} MiB"
            )
    return {name: each for name, each in found.items() if each}


def median(runs: Sequence[Measured], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in runs))


# ---- the programs ------------------------------------------------------------------------------------------------


def ours(name: str, job: str, delivery: str = "exactly_once", settings: Mapping[str, float] = {}) -> Subject:
    """A worker of ours; `settings` are `WorkerSettings`."""

    def prepare(bench: Bench, group: str) -> None:
        bench.create(f"{group}-table", config=TABLE)

    def command(bench: Bench, group: str) -> list[str]:
        options = ["--broker", bench.address, "--group", group, "--job", job, "--delivery", delivery]
        options += ["--table", f"{group}-table", "--policy", str(bench.policy)]
        for setting, value in settings.items():
            options += ["--set", setting, str(value)]
        return [sys.executable, "-m", "benchmarks.jobs.lane", *options]

    return Subject(name, command, prepare=prepare)


def compiled(subject: Subject, wheel: Path) -> Subject:
    """The same program with the package of a wheel in place of the sources."""

    def prepare(bench: Bench, group: str) -> None:
        folder = bench.folder / "wheel"
        if not folder.exists():
            zipfile.ZipFile(wheel).extractall(folder)
        if subject.prepare is not None:
            subject.prepare(bench, group)

    def command(bench: Bench, group: str) -> list[str]:
        return ["env", f"PYTHONPATH={bench.folder / 'wheel'}:{REPOSITORY}", *subject.command(bench, group)]

    return replace(subject, name=f"{subject.name}, compiled", command=command, prepare=prepare)


def newest_wheel() -> Path | None:
    """What `make wheel` has made, if it was run."""
    return max((REPOSITORY / "dist").glob("slastream-*.whl"), default=None)


def as_built(subject: Subject) -> Subject:
    """The program with the compiled package when there is one, else from its sources; its name says which."""
    wheel = newest_wheel()
    return subject if wheel is None else compiled(subject, wheel)


def raw_aiokafka(topic: str) -> Subject:
    def command(bench: Bench, group: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "benchmarks.jobs.raw_aiokafka",
            "--broker",
            bench.address,
            "--group",
            group,
            "--topic",
            topic,
        ]

    return Subject("aiokafka getmany, nothing done", command)


def confluent_loop(job: str) -> Subject:
    def prepare(bench: Bench, group: str) -> None:
        bench.create(f"{group}-table", config=TABLE)

    def command(bench: Bench, group: str) -> list[str]:
        options = ["--broker", bench.address, "--group", group, "--job", job, "--table", f"{group}-table"]
        return [str(peers_python()), "-m", "benchmarks.jobs.confluent_loop", *options, "--policy", str(bench.policy)]

    return Subject("confluent-kafka loop by hand", command, is_peer=True, prepare=prepare)


def quix(job: str, limit: int) -> Subject:
    def command(bench: Bench, group: str) -> list[str]:
        options = [
            "--broker",
            bench.address,
            "--group",
            group,
            "--job",
            job,
            "--folder",
            str(bench.folder / f"{group}.state"),
        ]
        return [str(peers_python()), "-m", "benchmarks.jobs.quix", *options, "--policy", str(bench.policy)]

    return Subject("Quix Streams", command, limit=limit, is_peer=True)


def bytewax(job: str, limit: int) -> Subject:
    def prepare(bench: Bench, group: str) -> None:
        recovery = bench.folder / f"{group}.state"
        subprocess.run([str(peers_python()), "-m", "bytewax.recovery", str(recovery), "1"], check=True, timeout=60)

    def command(bench: Bench, group: str) -> list[str]:
        recovery = ["-r", str(bench.folder / f"{group}.state"), "-s", "1", "-b", "0"]
        return [str(peers_python()), "-m", "bytewax.run", "benchmarks.jobs.bytewax_flow", *recovery]

    environment = {"BENCHMARK_JOB": job}
    return Subject("Bytewax", command, environment, limit, is_peer=True, has_progress_file=True, prepare=prepare)


def stock_faust(job: str, limit: int) -> Subject:
    def command(_: Bench, __: str) -> list[str]:
        return [str(peers_python()), "-m", "benchmarks.jobs.stock_faust", "worker", "-l", "warn"]

    return Subject("Faust as it comes", command, {"BENCHMARK_JOB": job}, limit, is_peer=True)


def kafka_streams(topic: str, facts: str, guarantee: str) -> Subject:
    def command(bench: Bench, group: str) -> list[str]:
        return [*java_command(), bench.address, group, topic, facts, guarantee, str(bench.folder / f"{group}.state")]

    return Subject(f"Kafka Streams in memory, {guarantee}", command, is_peer=True)
