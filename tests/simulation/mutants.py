"""Workers with one mistake each. A simulation that cannot find them proves nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

from slastream.stream.runtime import TopicPartition
from slastream.stream.service_stage import Age, ServicePartition
from slastream.stream.stage import Cut, Processor

from .log import Appended
from .worker import Offsets, Owner, Step


class StateBeforeOutputs(Owner):
    """At least once: a crash between the two loses facts."""

    def acknowledged(self, cut: Cut, outputs: Sequence[Step], offsets: Offsets) -> Iterator[Step]:
        steps = list(super().acknowledged(cut, outputs, offsets))
        count = len(outputs)
        yield from [*steps[count:-1], *steps[:count], steps[-1]]


class OffsetFirst(Owner):
    """At least once: the group's offset is ahead of what is durable."""

    def acknowledged(self, cut: Cut, outputs: Sequence[Step], offsets: Offsets) -> Iterator[Step]:
        *steps, last = super().acknowledged(cut, outputs, offsets)
        yield from [last, *steps]


class MetaFirst(Owner):
    """At least once: the partition's own record before those that it speaks for."""

    def acknowledged(self, cut: Cut, outputs: Sequence[Step], offsets: Offsets) -> Iterator[Step]:
        yield from super().acknowledged(cut._replace(state=[cut.state[-1], *cut.state[:-1]]), outputs, offsets)


class LastRecordWins(Owner):
    """At least once: what a zombie wrote after its successor is taken for the newest state."""

    def keep(self, values: dict[bytes, bytes], records: Sequence[Appended], processor: Processor) -> None:
        for record in records:
            assert record.key is not None
            if record.value is None:
                values.pop(record.key, None)
            else:
                values[record.key] = record.value


class NoChain(Owner):
    """A chunk after a hole is applied."""

    def follows(self, name: TopicPartition, previous_end: int) -> bool:
        return True


class NotOneCut(Owner):
    """Exactly once: the offset is taken when the transaction ends, and what was applied since has no state."""

    def _commit_offsets(self, offsets: Offsets) -> None:
        super()._commit_offsets(self.applied_offsets())


class NoFence(Owner):
    """Exactly once: an owner joins the epoch of the one before it."""

    def fence(self) -> None:
        self.epoch = self.broker.epoch_of(self.producer) or self.broker.start_producer(self.producer)


class ForwardsAgain(Owner):
    """Exactly once: a record in the wrong partition is forwarded whenever it is read."""

    def is_new_stray(self, offset: int) -> bool:
        return super().is_new_stray(offset) or True


class GoesByThePlace(Owner):
    """At least once: of two verdicts of a clock the second stage takes the later record, which a zombie may have repeated."""

    def restored(self) -> Processor:
        processor = super().restored()
        if isinstance(processor, ServicePartition):
            processor._newest = _Forgetful(processor._newest)
        return processor


class _Forgetful(dict[str, Age]):
    def get(self, key: str, default: Any = None) -> Any:
        return default


class ReadsServicesAgain(Owner):
    """Exactly once: the second stage does not know how far it has read its other topics, and rejects once more."""

    def restored(self) -> Processor:
        processor = super().restored()
        if isinstance(processor, ServicePartition):
            processor.other_offsets.clear()
        return processor


class LosesFactsOfServices(Owner):
    """Now and then a cut's facts of services are not written."""

    def cut(self) -> tuple[Cut, Offsets]:
        cut, offsets = super().cut()
        if isinstance(self.processor, ServicePartition) and cut.outputs and self.random.random() < 0.1:
            cut = cut._replace(outputs=[one for one in cut.outputs if one.topic != "sla.breaches"])
        return cut, offsets


class SaysUnannounced(Owner):
    """At least once: what is said of services depends on the cut, and the next owner does not know that it was said."""

    def announced(self, cut: Cut, said: Sequence[Step]) -> Sequence[Step]:  # the mistake
        return said


class RestoresUncommitted(Owner):
    """Exactly once: the state of a transaction that was aborted is restored."""

    def changelog(self) -> Sequence[Appended]:
        return self.broker[self.table].read(0, 1 << 30, committed=False)[0]


MUTANTS: dict[str, type[Owner]] = {
    each.__name__: each
    for each in (
        StateBeforeOutputs, OffsetFirst, MetaFirst, LastRecordWins, NoChain, NotOneCut, NoFence, RestoresUncommitted,
        ForwardsAgain, GoesByThePlace, SaysUnannounced, ReadsServicesAgain, LosesFactsOfServices,
    )
}  # fmt: skip
