"""An owner of one partition: the real processor, driven as the shell drives it, one step at a time.

A commit is a list of steps; whatever the world does (a crash, another owner) may come between two of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from slastream.stream.commit import partition_of
from slastream.stream.deadlines import is_tick_due, offsets_behind, tick_value
from slastream.stream.restore import _Kept
from slastream.stream.runtime import OwnedPartition, Source, TopicPartition
from slastream.stream.stage import Cut, Output, Processor, Record, Stage

from .log import Appended, Broker, Headers

UNHEARD_TICK_US = 1_000_000
Step = Callable[[], None]
Offsets = dict[TopicPartition, int]
Forward = tuple[str, bytes, bytes | None, Headers]


class Owner:
    """One life of one partition in one process. A crash is that nobody calls it any more."""

    def __init__(self, broker: Broker, stage: Stage, partition: int, is_exactly_once: bool, random: Random) -> None:
        self.broker = broker
        self.stage = stage
        self.partition = partition
        self.is_exactly_once = is_exactly_once
        self.random = random
        self.producer = f"{stage.name}-{partition}"
        self.table = TopicPartition(stage.table, partition)
        self.sources: dict[TopicPartition, Source] = {}
        self.is_zombie = False
        self.clock_error_us = 0
        self.queue: list[tuple[TopicPartition, int, Sequence[Appended]]] = []
        self.forwards: list[Forward] = []
        self.steps: list[Step] = []
        self.epoch = 0
        self._tick_ends: Mapping[TopicPartition, int] | None = None
        self._tick_offset: int | None = None
        self._ticked: tuple[int | None, int] = (None, 0)
        self.open()

    # Opening, in the order of stream.lifecycle

    def open(self) -> None:
        if self.is_exactly_once:
            self.fence()
        self.processor = self.restored()
        owned = OwnedPartition(self.stage, self.partition, 1, self.processor)
        for name in (TopicPartition(topic, self.partition) for topic in self.stage.sources):
            self.sources[name] = Source(name, owned)
            self.sources[name].continue_at(self.broker.group.get(name, 0), is_first=True)

    def fence(self) -> None:
        self.epoch = self.broker.start_producer(self.producer)

    def restored(self) -> Processor:
        processor = self.stage.make(self.partition)
        values: dict[bytes, bytes] = {}
        self.keep(values, self.changelog(), processor)
        keys = list(values)
        self.random.shuffle(keys)
        for key in keys:
            processor.restore(key, values[key])
        processor.restored()
        return processor

    def changelog(self) -> Sequence[Appended]:
        return self.broker[self.table].read(0, 1 << 30)[0]

    def keep(self, values: dict[bytes, bytes], records: Sequence[Appended], processor: Processor) -> None:
        kept = _Kept(processor)
        kept.take(records)
        values.update(kept.values)

    # Reading

    def fetch(self, most: int) -> None:
        """Hands one chunk of a source over; it waits in the queue."""
        name = self.random.choice(list(self.sources))
        source = self.sources[name]
        records, source.position = self.broker[name].read(source.position, most)
        if records:
            self.queue.append((name, source.handed, records))
            source.handed = records[-1].offset + 1

    def take(self) -> None:
        """Applies the next chunk if it follows what was applied before; else its source is read again from there."""
        name, previous_end, records = self.queue.pop(0)
        if self.follows(name, previous_end):
            self.apply(name, records)
            self.sources[name].applied = records[-1].offset + 1
        else:
            self._read_source_again(name)

    def follows(self, name: TopicPartition, previous_end: int) -> bool:
        return previous_end == self.sources[name].applied

    def lose_a_chunk(self) -> None:
        """As Faust does when a rebalance clears its queues."""
        if self.queue:
            self.queue.pop(self.random.randrange(len(self.queue)))

    def read_again(self) -> None:
        for name in self.sources:
            self._read_source_again(name)

    def _read_source_again(self, name: TopicPartition) -> None:
        self.queue = [each for each in self.queue if each[0] != name]
        self.sources[name].continue_at(self.sources[name].applied, is_first=False)

    def apply(self, name: TopicPartition, records: Sequence[Appended]) -> None:
        topic, number = name
        count = self.broker.counts[topic] if self.stage.name == "tickets" else 0
        for r in records:
            if count and r.key is not None and partition_of(r.key, count) != number:
                if self.is_new_stray(r.offset):
                    self.forwards.append((topic, r.key, r.value, r.headers))
                continue
            self.processor.apply(Record(topic, number, r.offset, r.timestamp_us, r.key, r.value, r.headers))

    def is_new_stray(self, offset: int) -> bool:
        return self.processor.pass_over(offset)

    @property
    def is_behind(self) -> bool:
        return bool(self.queue) or any(
            source.position < self.broker[name].last_stable_offset for name, source in self.sources.items()
        )

    # Committing, in the order of stream.commit

    @property
    def has_work(self) -> bool:
        is_durable = all(source.applied == source.durable for source in self.sources.values())
        return not is_durable or bool(self.forwards) or self.processor.has_changes()

    @property
    def is_busy(self) -> bool:
        return self.is_behind or self.has_work or bool(self.steps)

    def begin_commit(self) -> None:
        """Cuts; what is to be written waits in `steps`."""
        cut, offsets = self.cut()
        forwards, self.forwards = self.forwards, []
        if self.is_exactly_once:
            outputs = self._by_partition(cut.outputs, forwards)
            self.steps = list(self.transaction(cut, outputs, offsets))
        else:
            until = cut.announced_from if cut.announced else len(cut.outputs)
            outputs = self._by_partition(cut.outputs[:until], forwards)
            outputs += self.announced(cut, self._by_partition(cut.outputs[until:], []))
            self.steps = list(self.acknowledged(cut, outputs, offsets))

    def cut(self) -> tuple[Cut, Offsets]:
        """State, outputs and offsets of one moment."""
        return self.processor.cut(), self.applied_offsets()

    def applied_offsets(self) -> Offsets:
        return {name: source.applied for name, source in self.sources.items()}

    def step(self) -> None:
        """One step of the commit under way. Raises FencedError."""
        self.steps.pop(0)()

    def transaction(self, cut: Cut, outputs: Sequence[Step], offsets: Offsets) -> Iterator[Step]:
        yield from outputs
        yield lambda: self._write_state(cut.state)
        yield lambda: self._commit(offsets)
        yield lambda: self._commit_offsets(offsets)

    def announced(self, cut: Cut, said: Sequence[Step]) -> Sequence[Step]:
        """In batches, and then what it is about."""
        return [*self._in_batches(cut.announced), *said]

    def _in_batches(self, state: Sequence[tuple[bytes, bytes | None]]) -> Iterator[Step]:
        while state:
            size = self.random.randrange(1, len(state) + 1)
            batch, state = state[:size], state[size:]
            yield lambda batch=batch: self._write_state(batch)  # type: ignore[misc]  # bound now

    def acknowledged(self, cut: Cut, outputs: Sequence[Step], offsets: Offsets) -> Iterator[Step]:
        yield from outputs
        yield from self._in_batches(cut.state[:-1])
        yield lambda: self._write_state(cut.state[-1:])
        yield lambda: self._commit_offsets(offsets)

    def _by_partition(self, outputs: Sequence[Output], forwards: Sequence[Forward]) -> list[Step]:
        """A step for each partition that is written to, in any order."""
        counts = self.broker.counts
        grouped: dict[TopicPartition, list[tuple[bytes | None, bytes | None, Headers]]] = {}
        for topic, partition_key, key, value in outputs:
            decider = key if partition_key is None else partition_key
            number = self.partition % counts[topic] if decider is None else partition_of(decider, counts[topic])
            grouped.setdefault(TopicPartition(topic, number), []).append((key, value, ()))
        for topic, key, value, headers in forwards:
            number = partition_of(key, counts[topic])
            grouped.setdefault(TopicPartition(topic, number), []).append((key, value, headers))
        names = list(grouped)
        self.random.shuffle(names)
        return [lambda name=name: self._write(name, grouped[name]) for name in names]  # type: ignore[misc]  # bound now

    def _write(self, name: TopicPartition, messages: Sequence[tuple[bytes | None, bytes | None, Headers]]) -> None:
        transaction = self.broker.transaction(self.producer, self.epoch) if self.is_exactly_once else None
        partition = self.broker[name]
        if self.is_zombie and partition.foreign_from is None:
            partition.foreign_from = partition.end
        for key, value, headers in messages:
            self.broker.append(name, key, value, headers, transaction)

    def _write_state(self, state: Sequence[tuple[bytes, bytes | None]]) -> None:
        self._write(self.table, [(key, value, ()) for key, value in state])

    def _commit(self, offsets: Offsets) -> None:
        self.broker.commit(self.producer, self.epoch)
        self._are_durable(offsets)

    def _commit_offsets(self, offsets: Offsets) -> None:
        """The group's offsets follow each second, not each commit; the broker refuses those of a member that it has no more."""
        if not self.is_zombie and self.random.random() < 0.4:
            self.broker.group.update(offsets)
        self._are_durable(offsets)

    def _are_durable(self, offsets: Offsets) -> None:
        for name, offset in offsets.items():
            self.sources[name].durable = offset

    # Ticks, in the order of stream.deadlines

    @property
    def now_us(self) -> int:
        """What the clock of its machine shows."""
        return self.broker.now_us + self.clock_error_us

    def tick(self) -> None:
        """One step: ask for the end, or write the tick when it was reached."""
        target = TopicPartition(self.stage.tick_topic, self.partition)
        if self._tick_offset is not None:
            if self.sources[target].applied <= self._tick_offset:
                return
            self._tick_offset = None
        if self._tick_ends is None:
            heard_at, wait_until = self._ticked
            is_unheard = heard_at is not None and heard_at == self.processor.wake_at
            if is_tick_due(self.processor, self.now_us) and not (is_unheard and self.broker.now_us < wait_until):
                self._tick_ends = {name: self.broker[name].end for name in self.sources}
        elif offsets_behind(self.sources, self._tick_ends) <= 0:
            self._tick_ends = None
            if is_tick_due(self.processor, self.now_us):
                self._ticked = self.processor.wake_at, self.broker.now_us + UNHEARD_TICK_US
                self._tick_offset = self.broker.append(target, self.stage.tick_key, tick_value(self.now_us))
