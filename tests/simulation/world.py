"""The run: a seed chooses what happens next, until everything was sent, read and made durable."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from slastream.app import make_stages
from slastream.stream.commit import partition_of
from slastream.stream.deadlines import tick_value
from slastream.stream.runtime import TopicPartition
from slastream.stream.stage import Stage

from .log import Broker, FencedError, Partition
from .story import HOUR, MINUTE, SECOND, Sent, Story, draw_story
from .worker import Owner

LAG_US = 6 * HOUR
"""`min.compaction.lag.ms` of the changelogs (topics.yaml)."""
ZOMBIE_US = HOUR
"""Longer does no owner go on that has lost its partition."""
LIMIT = 20_000


@dataclass
class Run:
    """What a run leaves: the broker with everything that was ever appended, and the last owners."""

    seed: int
    story: Story
    stages: Sequence[Stage]
    broker: Broker
    owners: dict[tuple[str, int], Owner]
    end_us: int
    crashes: int
    had_zombies: bool


class World:
    """One seed's run."""

    def __init__(self, seed: int, owner: type[Owner] = Owner) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.story = draw_story(self.random, Random(f"services {seed}"))
        self.stages = make_stages(self.story.book.policy)
        self.broker = Broker(self.story.partitions)
        self.waiting = list(reversed(self.story.sent))
        self.broker.now_us = self.waiting[-1].at_us - MINUTE
        self.make = owner
        self.owners: dict[tuple[str, int], Owner | None] = {
            (stage.name, number): None
            for stage in self.stages
            for number in range(self.story.partitions[stage.tick_topic])
        }
        self.zombies: list[tuple[int, Owner]] = []
        self.crashes = 0
        self.had_zombies = False

    def run(self) -> Run:
        """Raises AssertionError when it does not come to an end."""
        actions = [self._produce] * 4 + [self._pass_time] + [self._work] * 24 + self._faults()
        for _ in range(LIMIT):
            if not self.waiting:
                break
            self.random.choice(actions)()
        self.zombies.clear()
        end_us = self._close()
        owners = {key: self._owner(key) for key in self.owners}
        return Run(self.seed, self.story, self.stages, self.broker, owners, end_us, self.crashes, self.had_zombies)

    def _faults(self) -> list[Any]:
        known = {
            "crash": self._crash,
            "rebalance": self._rebalance,
            "zombie": self._leave_a_zombie,
            "compact": self._compact,
            "clock": self._set_a_clock,
            "lost chunk": self._lose_a_chunk,
        }
        return [known[name] for name in sorted(self.story.faults) if name in known]

    # Owners

    def _owner(self, key: tuple[str, int]) -> Owner:
        found = self.owners[key]
        if found is None:
            name, number = key
            stage = next(stage for stage in self.stages if stage.name == name)
            found = self.owners[key] = self.make(self.broker, stage, number, self.story.is_exactly_once, self.random)
        return found

    def _any(self) -> tuple[str, int]:
        return self.random.choice(list(self.owners))

    def _work(self) -> None:
        if self.zombies and self.random.random() < 0.3:
            since, zombie = self.random.choice(self.zombies)
            try:
                self._work_of(zombie)
            except FencedError:
                self.zombies.remove((since, zombie))
            return
        self._work_of(self._owner(self._any()))

    def _work_of(self, owner: Owner) -> None:
        chance = self.random.random()
        if chance < 0.25:
            owner.fetch(self.random.choice([1, 1, 2, 3, 50]))
        elif chance < 0.5:
            if owner.queue:
                owner.take()
        elif chance < 0.85:
            if owner.steps:
                owner.step()
            elif owner.has_work:
                owner.begin_commit()
        elif not owner.is_zombie:
            owner.tick()

    # What else happens

    def _produce(self) -> None:
        sent = self.waiting.pop()
        self.broker.now_us = max(self.broker.now_us, sent.at_us)
        self._send(sent)

    def _send(self, sent: Sent) -> None:
        number = sent.partition
        if number is None:
            number = partition_of(sent.key or b"", self.broker.counts[sent.topic])
        self.broker.append(TopicPartition(sent.topic, number), sent.key, sent.value, sent.headers)

    def _pass_time(self) -> None:
        """Until something is due, or some way to the next thing that is sent."""
        now, after = self.broker.now_us, self.waiting[-1].at_us
        wakes = [o.processor.wake_at for o in self.owners.values() if o is not None]
        due = [at + self.random.choice([0, 1, SECOND]) for at in wakes if at is not None and now < at < after]
        if due and self.random.random() < 0.7:
            self._let(min(due))
        elif after > now:
            self._let(self.random.randrange(now, after))

    def _let(self, now_us: int) -> None:
        self.broker.now_us = now_us
        self.zombies = [each for each in self.zombies if now_us - each[0] < ZOMBIE_US]

    def _crash(self) -> None:
        key = self._any()
        if self.owners[key] is not None:
            self.owners[key] = None
            self.crashes += 1

    def _rebalance(self) -> None:
        """The owner drains and another one takes over."""
        key = self._any()
        owner = self._owner(key)
        while owner.steps or owner.has_work:
            if not owner.steps:
                owner.begin_commit()
            owner.step()
        self.owners[key] = None

    def _leave_a_zombie(self) -> None:
        key = self._any()
        owner = self.owners[key]
        if owner is not None:
            owner.is_zombie = True
            self.zombies.append((self.broker.now_us, owner))
            self.had_zombies = True
            self.owners[key] = None
            self._owner(key)

    def _compact(self) -> None:
        name = self.random.choice(["slastream-tickets-changelog", "slastream-services-changelog", "sla.verdicts"])
        partition = self.random.choice(self.broker.of_topic(name))
        partition.compact(self._compactable(partition))

    def _compactable(self, partition: Partition) -> int:
        """Below the lag; anything at all in a run without zombies, for which the lag is there."""
        if partition.name.topic != "sla.verdicts" and "zombie" not in self.story.faults:
            return self.random.randrange(partition.end + 1)
        old = [r.offset for r in partition.stored if r.timestamp_us < self.broker.now_us - LAG_US]
        limit = old[-1] + 1 if old else 0
        return limit if partition.foreign_from is None else min(limit, partition.foreign_from)

    def _set_a_clock(self) -> None:
        step = self.random.choice([-HOUR, -MINUTE, -SECOND, SECOND, MINUTE, HOUR])
        owner = self.owners[self._any()]
        if owner is not None and self.random.random() < 0.8:
            owner.clock_error_us += step
        else:
            self._let(self.broker.now_us + self.random.choice([-MINUTE, -SECOND, SECOND, MINUTE]))

    def _lose_a_chunk(self) -> None:
        owner = self.owners[self._any()]
        if owner is not None:
            owner.lose_a_chunk()

    # The end

    def _close(self) -> int:
        """Time comes to an end after all that was sent: both stages are told so, the second after the first was read."""
        self._settle()
        newest = max(r.timestamp_us for p in self.broker.of_topic("sla.tickets") for r in p.history)
        self.broker.now_us = max(self.broker.now_us, newest, *(one.at_us for one in self.story.sent))
        end_us = self.broker.now_us = -(-self.broker.now_us // MINUTE) * MINUTE + 2 * HOUR + 1
        for stage in self.stages:
            for number in range(self.broker.counts[stage.tick_topic]):
                name = TopicPartition(stage.tick_topic, number)
                self.broker.append(name, stage.tick_key, tick_value(end_us))
            self._settle()
        return end_us

    def _settle(self) -> None:
        """Everything is read and made durable."""
        for owner in map(self._owner, self.owners):
            owner.read_again()  # Faust threw away what was not applied yet: the shell knows when that may be
        for _ in range(LIMIT):
            busy = [key for key in self.owners if self._owner(key).is_busy]
            if not busy:
                return
            owner = self._owner(self.random.choice(busy))
            if owner.queue:
                owner.take()
            elif owner.is_behind:
                owner.fetch(50)
            elif owner.steps:
                owner.step()
            else:
                owner.begin_commit()
        raise AssertionError("the workers do not come to rest")
