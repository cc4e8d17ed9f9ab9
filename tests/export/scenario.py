"""A small service desk: real records through both stages, in the partitions of a worker that owns them.

hours before now   -6         -4        -3      -2.5    -2       -1   -.5   0
OPS-1  mail P1                           created·answered         resolved         both met
OPS-2  mail P1     created ------------------------------------------------------- both breached and open
OPS-3  web  P2                                                  created pending -- paused
OPS-4  mail P1                                  created·answered ----------------- past its last warning
OPS-5  mail P3                                                  created cancelled  cancelled
OPS-6  web                                                              created -- running, without a priority
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from prometheus_client.parser import text_string_to_metric_families

from slastream.app import make_stages
from slastream.core.policies import Policy
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Instant, format_instant
from slastream.stream.runtime import OwnedPartition, Runtime, Source, State, TopicPartition
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Cut, Output, Record, Stage
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.policy_file import load_policy

Json = dict[str, Any]

POLICY = """
version: 1
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  web: {customer: acme, provider: hosting-co, team: commerce}
agreements:
  gold:
    kind: sla
    match: {service: [mail, web]}
    objective: {target: 75%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: {P1: 15m, default: 8h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 4h, default: 8h}, warn_at: [50%]}
    credits: {fee: 10000 EUR, cap: 20%, bands: [{below: 75%, credit: 5%}, {below: 40%, credit: 10%}]}
  desk:
    kind: ola
    supports: [gold]
    match: {service: mail}
    promises:
      handling: {metric: closure, within: 24h}
"""


def policy_of(text: str = POLICY) -> Policy:
    return load_policy([("policy.yaml", text)], _no_file)


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(name)


def desk_events(now: Instant) -> list[bytes]:
    """The events of the picture above in their order, one late one and one that is none."""

    def event(ticket_id: str, before_us: float, source: str = "jira", **rest: Any) -> tuple[float, bytes]:
        at = format_instant(Instant(now - round(before_us)))
        return before_us, orjson.dumps({"ticket_id": ticket_id, "occurred_at": at, "source": source, **rest})

    def created(ticket: str, before_us: float, service: str, priority: str | None) -> tuple[float, bytes]:
        attributes = {"service": service, "status": "new", "priority": priority, "type": "incident"}
        return event(ticket, before_us, type="created", ticket=attributes)

    def answer(ticket: str, before_us: float) -> tuple[float, bytes]:
        return event(ticket, before_us, type="message", message={"author": "agent", "public": True})

    def changed(ticket: str, before_us: float, status: str) -> tuple[float, bytes]:
        return event(ticket, before_us, type="changed", ticket={"status": status})

    in_order = sorted(
        [
            created("OPS-1", 3 * HOUR, "mail", "P1"),
            answer("OPS-1", 3 * HOUR - 10 * MINUTE),
            changed("OPS-1", HOUR, "resolved"),
            created("OPS-2", 6 * HOUR, "mail", "P1"),
            created("OPS-3", HOUR, "web", "P2"),
            changed("OPS-3", HOUR / 2, "pending"),
            created("OPS-4", 2.5 * HOUR, "mail", "P1"),
            answer("OPS-4", 2.5 * HOUR - 5 * MINUTE),
            created("OPS-5", HOUR, "mail", "P3"),
            changed("OPS-5", HOUR / 2, "cancelled"),
            created("OPS-6", 5 * MINUTE, "web", None),
        ],
        key=lambda each: -each[0],
    )
    late = event("OPS-1", 2 * HOUR, "mail-robot", type="changed", ticket={"title": "seen late"})
    return [line for _, line in in_order] + [late[1], b"no json"]


class Desk:
    """A worker's partition 0 of both stages. `runtime` is what the worker would show."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.runtime = Runtime(make_stages(policy), generation=0)
        self.published: list[Output] = []
        self._offsets = {"sla.tickets": 0, "sla.verdicts": 0, "sla.ledger": 0}
        self.owned = [own(self.runtime, stage) for stage in self.runtime.stages]

    @property
    def tickets(self) -> TicketPartition:
        processor = self.owned[0].processor
        assert isinstance(processor, TicketPartition)
        return processor

    @property
    def services(self) -> ServicePartition:
        processor = self.owned[1].processor
        assert isinstance(processor, ServicePartition)
        return processor

    def feed(self, lines: Iterable[bytes], now: Instant, tick: bool = True) -> None:
        """Events into stage 1, what it publishes into stage 2, and time into both."""
        ending = orjson.dumps({"type": "tick", "at": format_instant(now)})
        for line in [*lines, ending] if tick else lines:
            self.tickets.apply(self._record("sla.tickets", None, line, now))
        self._pass_on(self.commit(self.owned[0], now).outputs, now)
        if tick:
            self.services.apply(self._record("sla.verdicts", b"tick", ending, now))
        self._pass_on(self.commit(self.owned[1], now).outputs, now)
        self.commit(self.owned[1], now)

    def _pass_on(self, outputs: Iterable[Output], now: Instant) -> None:
        """What stage 2 reads of what the stages publish."""
        for output in outputs:
            if output.topic in ("sla.verdicts", "sla.ledger"):
                self.services.apply(self._record(output.topic, output.key, output.value, now))

    def commit(self, owned: OwnedPartition, now: Instant) -> Cut:
        """Its cut becomes durable in 20 ms."""
        assert owned.processor is not None
        cut = owned.processor.cut()
        owned.note_commit(cut.counts, 0.02, now / SECOND)
        self.published += cut.outputs
        return cut

    def _record(self, topic: str, key: bytes | None, value: bytes | None, now: Instant) -> Record:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return Record(topic, 0, offset, now, key, value, ())


Values = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""By name and labels of the sample."""


def values_of(text: str) -> Values:
    """The samples of an answer."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def by_days(log: list[tuple[Instant, bytes]], now: Instant, seed: int) -> Iterator[tuple[Instant, list[bytes]]]:
    """What has come until when, day by day until `now`; a quarter of it up to a day late."""
    draw = random.Random(seed)  # a story, not a secret
    arriving = sorted((at + draw.choice([0, 0, 0, draw.randrange(int(DAY))]), line) for at, line in log)
    day = Instant(arriving[0][0])
    while arriving:
        day = Instant(min(day + DAY, now)) if arriving[0][0] < now else now
        come = [line for at, line in arriving if at <= day or day == now]
        arriving = arriving[len(come) :]
        yield day, come


def own(runtime: Runtime, stage: Stage, partition: int = 0) -> OwnedPartition:
    """A partition of a worker that was restored from an empty table and runs."""
    owned = OwnedPartition(stage, partition, 0, processor=stage.make(partition), state=State.RUNNING, done=runtime.done)
    owned.sources = {each: Source(each, owned) for each in (TopicPartition(t, partition) for t in stage.sources)}
    runtime.owned[stage.name, partition] = owned
    return owned


def desk_at(now: Instant, text: str = POLICY) -> Desk:
    """The desk of the picture."""
    desk = Desk(policy_of(text))
    desk.feed(desk_events(now), now)
    return desk
