"""What stage 2 knows of monitoring and maintenance: histories of services, and what was published of them.

A history is a set of events (`slastream.core.services`), so that the state does not depend on how the records of several topics
interleave. What is to be said of a service follows from its history and the partition's time alone; after each change it is
compared with what was said, and the difference goes out: new facts, retractions, lines. A service that another depends on
has its events handed on under the other's key, because that one may live in another partition
(`docs/decisions/events-of-dependencies.md`). What can make no difference any more is forgotten
(`docs/decisions/what-monitoring-keeps.md`).
"""

import heapq
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from slastream.core.availability import Availability, Declared, Measured, longest_window
from slastream.core.contracts import result_of_measured
from slastream.core.credits import is_credited
from slastream.core.events import MaintenanceEvent, MonitoringEvent, Tick, TicketEvent
from slastream.core.facts import RETRACTED
from slastream.core.periods import ROLLING
from slastream.core.policies import Agreement, Policy, ServicePromise
from slastream.core.states import Levels
from slastream.core.steps import BEGINNING, Steps
from slastream.core.units import DAY, HOUR, SECOND, Instant, format_instant, parse_instant
from slastream.core.windows import Measure, ServiceFact, Window
from slastream.errors import EventError
from slastream.stream.contract_state import part_output
from slastream.stream.counts import Counts
from slastream.stream.kept_events import KeptEvents
from slastream.stream.stage import Output, Record
from slastream.stream.ticket_stage import BACKFILL_HEADER, BACKFILL_SILENCE
from slastream.wire.availability_lines import availability_line, retraction_line, service_fact_line
from slastream.wire.events import canonical, decode_event

MONITORING, MAINTENANCE = "sla.monitoring", "sla.maintenance"
BREACHES, COMPLIANCE = "sla.breaches", "sla.compliance"
KINDS: dict[str, type[MonitoringEvent] | type[MaintenanceEvent]] = {
    MONITORING: MonitoringEvent, MAINTENANCE: MaintenanceEvent,
}  # fmt: skip
VERSION = 1
PREFIX = b"\x01"
"""Keys of this state in the table begin with it; those of clocks are hexadecimal."""
MOMENT = 30 * SECOND
"""Of words of a component that repeat each other the last of so long a time is kept; when they are a day old, of an HOUR."""
BEFORE_ALL, NEVER = -(2**62), 2**62

SAID = "said"
ANNOUNCED_VERSION = 3
"""Of the records of what is announced: a program before it would take them for what they are not, and so refuses them."""
StateChange = tuple[bytes, bytes | None]
FactKey = tuple[str, str, str, str | None, int, int | None]
"""(agreement, promise, fact, threshold, at, predicted_at)."""


class MonitoringCut(NamedTuple):
    """`copies` are events, whatever the cut; `said` depends on it, and is `announced` (see `stage.Cut`)."""

    state: list[StateChange]
    copies: list[Output]
    said: list[Output]
    announced: list[StateChange]


class Said(NamedTuple):
    """A fact that was published: `occurrence` counts how often; one that was taken back is not active."""

    occurrence: int
    is_active: bool
    window: Window | None


class Subject:
    """A service that lives here, and what was said of it."""

    __slots__ = (
        "cause",
        "cause_topic",
        "facts",
        "levels",
        "lines",
        "measures",
        "progress",
        "refreshed_at",
        "since",
        "wake_at",
    )

    def __init__(self) -> None:
        self.facts: dict[FactKey, Said] = {}
        self.lines: dict[bytes, int] = {}
        self.measures: tuple[tuple[Agreement, ServicePromise, Measure], ...] = ()
        self.levels: Steps[Levels | None] | None = None
        self.since = BEFORE_ALL
        self.refreshed_at = BEFORE_ALL
        self.cause = ""
        self.cause_topic = MONITORING
        self.progress = -1
        self.wake_at: Instant | None = None


class MonitoringState:
    """The part of a `ServicePartition` that monitoring makes."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.availability = Availability(policy, canonical, MOMENT)
        self.time = BEFORE_ALL
        self._longest = longest_window(policy)
        self._retention = max(policy.retention, self._longest)
        self._settled_until = BEFORE_ALL
        self.subjects: dict[str, Subject] = {}
        self.counts = Counts()
        """Of the whole partition, verdicts included; taken by the cut."""
        self.backfill_at: int | None = None
        self._kept: dict[tuple[str, str], KeptEvents] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._owners: dict[tuple[str, str], set[str]] = {}
        self._offsets = dict.fromkeys(KINDS, -1)
        self._due: set[str] = set()
        self._heap: list[tuple[Instant, str]] = []
        self._outputs: list[Output] = []
        self._announced: dict[str, list[Any]] = {}
        self._unwritten: set[str] = set()

    @property
    def unlisted(self) -> int:
        """Services that the policy does not list: they have its defaults."""
        return sum(name not in self.policy.services for name in self.subjects)

    # ---- restore -------------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """Takes back a key that begins with PREFIX."""
        head, _, rest = value.partition(b"\n")
        stored = orjson.loads(head)
        name = orjson.loads(key[len(PREFIX) :])
        if len(name) == 1:
            self._restore_subject(name[0], stored)
        elif name[0] == SAID:
            self._announced[name[1]] = stored
        elif len(name) == 2:
            self._restore_past(name[1], stored[3], stored[4])
        else:
            topic, owner, number = name
            self._restore_events(topic, owner, number, stored[1], rest.splitlines())

    def _restore_past(self, service: str, first_heard: int | None, kept_from: int) -> None:
        history = self.availability.history(service)
        history.first_heard = None if first_heard is None else Instant(first_heard)
        self.availability.kept_from = max(self.availability.kept_from, kept_from)

    def _restore_events(self, topic: str, owner: str, number: int, offset: int, lines: list[bytes]) -> None:
        subject = self._subject(owner)
        subject.progress = max(subject.progress, offset)
        self._offsets[topic] = max(self._offsets[topic], offset)
        events = [(event, line) for line in lines if not isinstance(event := decode_event(line), TicketEvent | Tick)]
        for event, _ in events:
            self.availability.feed(event, is_stored=True)
            self._owners.setdefault((topic, event.service), set()).add(owner)
        kept = self._kept.setdefault((topic, owner), KeptEvents())
        kept.restore(number, [((event.service, _id_of(event)), line) for event, line in events])

    def _restore_subject(self, name: str, stored: list[object]) -> None:
        _, _, version, facts, lines = stored
        subject = self._subject(name)
        if version == self.policy.version:
            subject.since = NEVER
        assert isinstance(facts, list)
        for (*key, window), (occurrence, is_active) in facts:
            said = Said(occurrence, is_active, None if window is None else Window(*window))
            subject.facts[key[0], key[1], key[2], key[3], key[4], key[5]] = said
        assert isinstance(lines, dict)
        subject.lines = {line.encode(): digest for line, digest in lines.items()}

    def take_announced(self, cuts: int) -> int:
        """Takes what was announced in a cut that did not come to its end (`cuts` did); returns the time that it was of."""
        time = BEFORE_ALL
        for name, (_, _, number, at, record, outputs) in self._announced.items():
            if number > cuts:
                time = max(time, at)
                self._subject(name).facts.clear()
                self._restore_subject(name, orjson.loads(record))
                self._outputs += (
                    Output(topic, *(None if one is None else one.encode() for one in rest)) for topic, *rest in outputs
                )
                self._unwritten.add(name)
        self._announced.clear()
        return time

    def restored(self, time: Instant) -> None:
        """All keys were given: what is next is planned, and what another policy says otherwise is said, in the first cut."""
        self.time = time
        self._due.update(self.subjects)
        if time > BEFORE_ALL:
            for name in self.subjects:
                self._measure(name, time)

    def _subject(self, name: str) -> Subject:
        subject = self.subjects.get(name)
        if subject is None:
            subject = self.subjects[name] = Subject()
        return subject

    # ---- records -------------------------------------------------------------------------------------------------

    def is_marker(self, record: Record) -> bool:
        """Notes the begin and the end of a backfill, and whether it still comes; a marker says nothing else."""
        phase = next((value for name, value in record.headers if name == BACKFILL_HEADER), None)
        if phase is not None:
            self.backfill_at = None if phase == b"end" else record.timestamp_us
        return phase is not None and record.key is None

    @property
    def silent_until(self) -> int:
        """No tick is wanted before: a backfill that brought nothing for so long has ended by itself."""
        return BEFORE_ALL if self.backfill_at is None else self.backfill_at + BACKFILL_SILENCE

    def apply(self, record: Record) -> Instant:
        """Takes a record of one of KINDS; gives the instant to which it moves the partition's time. Raises EventError."""
        assert record.value is not None
        event = decode_event(record.value)
        skew = self.policy.max_clock_skew
        if isinstance(event, Tick):
            return Instant(min(event.at, record.timestamp_us + skew))
        if not isinstance(event, KINDS[record.topic]) or not isinstance(event, MonitoringEvent | MaintenanceEvent):
            raise EventError("unknown_kind", "$", f"{record.topic} holds other events; send this one to its own topic")
        if event.occurred_at > record.timestamp_us + skew:
            at = format_instant(event.occurred_at)
            raise EventError("future", "occurred_at", f"{at} lies beyond the broker's clock and its skew")
        if (event.occurred_at if isinstance(event, MonitoringEvent) else event.end) < self.time - self._retention:
            raise EventError("too_late", "occurred_at", "older than the retention, and what it concerns is settled")
        self._offsets[record.topic] = max(self._offsets[record.topic], record.offset)
        source = event.source if isinstance(event, MonitoringEvent) else None
        self.counts.events[record.topic, source or ""] += 1
        self.counts.occurred_at[record.topic].append(event.occurred_at)
        self._take(event, record)
        return Instant(min(event.occurred_at, record.timestamp_us) - self.policy.lateness_of(source))

    def _take(self, event: MonitoringEvent | MaintenanceEvent, record: Record) -> None:
        users = self.availability.states.users_of(event.service)
        key = None if record.key is None else record.key.decode("utf-8", "replace")
        owner = key if key is not None and key in users else event.service
        if owner not in self.subjects:
            self._due.add(owner)
        subject = self._subject(owner)
        change = self.availability.feed(event)
        if not change.is_kept:
            return
        if owner == event.service:
            for user in sorted(users - {owner}):
                self._outputs.append(Output(record.topic, user.encode(), user.encode(), record.value))
        self._keep(event, record, owner)
        subject.progress = max(subject.progress, record.offset)
        if change.since is None:
            return
        concerned = [self.subjects[name] for name in users & self.subjects.keys()]
        self.counts.late[record.topic] += any(change.since < one.refreshed_at for one in concerned)
        for name in users & self.subjects.keys():
            one = self.subjects[name]
            if one.wake_at is not None and max(one.wake_at, one.refreshed_at) <= change.since:
                continue  # a heartbeat puts off what is to come: it will be looked at in time
            one.cause_topic = record.topic
            one.since = min(one.since, change.since)
            one.cause = event.event_id
            self._due.add(name)

    def _keep(self, event: MonitoringEvent | MaintenanceEvent, record: Record, owner: str) -> None:
        assert record.value is not None
        line = record.value if b"\n" not in record.value else canonical(record.value)
        self._changed[record.topic, owner] = None
        self._kept.setdefault((record.topic, owner), KeptEvents()).add((event.service, _id_of(event)), line)
        self._owners.setdefault((record.topic, event.service), set()).add(owner)
        self._forget_gone(event.service)

    def _forget_gone(self, service: str) -> None:
        history = self.availability.history(service)
        for name in history.gone:
            for topic in KINDS:
                for owner in self._owners.get((topic, service), ()):
                    self._kept[topic, owner].forget((service, name))
                    self._changed[topic, owner] = None
        history.gone.clear()

    def _settle(self, time: Instant) -> list[StateChange]:
        """Once a day of the partition's time: forgets what repeats itself, and what no window that may change needs.

        Gives what the records of single events no longer tell.
        """
        until = time // DAY * DAY - DAY
        if until <= self._settled_until:
            return []
        self._settled_until = until
        before = until - self._retention - self._longest
        self.availability.forget_before(before)
        changes: list[StateChange] = []
        for name, history in self.availability.histories.items():
            history.settle(until, HOUR)
            if history.first_heard is not None or history.gone:
                past = [VERSION, max(self._offsets.values()), "p", history.first_heard, before]
                changes.append((_key("past", name), orjson.dumps(past)))
            self._forget_gone(name)
        for subject in self.subjects.values():
            _forget_published(subject, before)
        return changes

    # ---- time ----------------------------------------------------------------------------------------------------

    def advance(self, time: Instant) -> None:
        """Notes which services are to be looked at because time has come so far."""
        self.time = time
        heap = self._heap
        while heap and heap[0][0] <= time:
            at, name = heapq.heappop(heap)
            if self.subjects[name].wake_at == at:
                self._due.add(name)

    @property
    def wake_at(self) -> Instant | None:
        heap = self._heap
        while heap and self.subjects[heap[0][1]].wake_at != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    # ---- output --------------------------------------------------------------------------------------------------

    def cut(self, time: Instant, number: int) -> MonitoringCut:
        """What became of the state, and what is to be published, as of `time`, in the cut of this number."""
        due, self._due = (self._due, set()) if time > BEFORE_ALL else (set(), self._due)
        copies, self._outputs = self._outputs, []
        state: list[StateChange] = []
        announced: list[StateChange] = []
        said: list[Output] = []
        for name in sorted(due):
            if self._refresh(name, time) or name in self._unwritten:
                state.append(self._subject_record(name))
                if self._outputs:
                    announced.append(self._announcement(name, number, time, state[-1], self._outputs))
                said += self._outputs
                self._outputs.clear()
        self._unwritten -= due
        if time > BEFORE_ALL:
            state += self._settle(time)
        changed, self._changed = self._changed, {}
        events: list[StateChange] = []
        for topic, owner in changed:
            head = orjson.dumps([VERSION, self._offsets[topic], "e"])
            records = self._kept[topic, owner].changed()
            events += [(_key(topic, owner, place), b"\n".join((head, *lines))) for place, lines in records]
        return MonitoringCut([*state, *events], copies, said, [*events, *announced] if announced else [])

    def _announcement(
        self, name: str, number: int, time: Instant, record: StateChange, outputs: list[Output]
    ) -> StateChange:
        """What was said of a service and what is now said, in one record. Events are written before it."""
        assert record[1] is not None
        texts = [[topic, *(None if one is None else one.decode() for one in rest)] for topic, *rest in outputs]
        stored = [ANNOUNCED_VERSION, self.subjects[name].progress, number, time, record[1].decode(), texts]
        return _key(SAID, name), orjson.dumps(stored)

    def _subject_record(self, name: str) -> StateChange:
        subject = self.subjects[name]
        facts = [
            [[*key, None if said.window is None else list(said.window)], [said.occurrence, said.is_active]]
            for key, said in subject.facts.items()
        ]
        lines = {line.decode(): digest for line, digest in subject.lines.items()}
        return _key(name), orjson.dumps([VERSION, subject.progress, self.policy.version, facts, lines])

    def _measure(self, name: str, time: Instant) -> None:
        subject = self.subjects[name]
        subject.measures = tuple(self.availability.measures(name, time))
        subject.levels = self.availability.states.of(name).levels

    def _refresh(self, name: str, time: Instant) -> bool:
        """Compares what is to be said of a service with what was; True where something went out."""
        subject = self.subjects[name]
        self._measure(name, time)
        # A change decides whether the outage around it is long enough to count, from that outage's beginning on.
        since = min(subject.since, subject.refreshed_at, time) - max(
            (p.min_outage for _, p, _ in subject.measures), default=0
        )
        if self.availability.kept_from > BEGINNING:  # a window that began before is settled
            since = max(since, self.availability.kept_from + self._longest)
        fresh: dict[FactKey, Said] = {}
        begins = (agreement.effective_from for agreement, _ in self.availability.book.promises_of(name))
        wake = [at + 1 for at in begins if at is not None and at >= time]
        for agreement, promise, measure in subject.measures:
            step = measure.next_step(time)
            from_there = since if since > BEFORE_ALL else None
            before = sorted(
                (_fact(key, said) for key, said in subject.facts.items()
                 if said.is_active and key[:2] == (agreement.name, promise.name) and key[4] < since and said.window is None),
                key=lambda fact: fact.at,
            )  # fmt: skip
            ahead = measure.facts(step, from_there, before)
            wake += [step, *(fact.at + 1 for fact in ahead if fact.at >= time)]
            for fact in ahead if promise.min_outage == 0 else measure.facts(time, from_there, before):
                if fact.at < time:
                    key = (agreement.name, promise.name, fact.fact, fact.threshold, fact.at, fact.predicted_at)
                    fresh[key] = Said(1, True, fact.window)
        has_said = self._say(name, subject, fresh, since, time)
        for agreement, promise, measure in subject.measures:
            if (
                measure.begins_at is None
            ):  # a service that is listed and was never heard of: its windows are not fixed yet
                continue
            for window in measure.windows(time, since):
                measured = Measured(name, agreement, promise, measure.read(window, time))
                has_said = self._publish(name, subject, measured) or has_said
        subject.since, subject.refreshed_at, subject.cause = NEVER, time, ""
        planned, subject.wake_at = subject.wake_at, Instant(min(wake)) if wake else None
        if subject.wake_at is not None and subject.wake_at != planned:
            heapq.heappush(self._heap, (subject.wake_at, name))
        return has_said

    def _say(self, name: str, subject: Subject, fresh: dict[FactKey, Said], since: int, time: Instant) -> bool:
        """Facts that are new, and those that no longer hold; what the time before `since` decided stays."""
        book = self.availability.book
        promised = {
            (agreement.name, promise.name): (agreement, promise) for agreement, promise in book.promises_of(name)
        }
        has_said = False
        for key, said in list(subject.facts.items()):
            is_past = (key[4] < since) if said.window is None else (said.window.end <= since)
            if not said.is_active or is_past or key in fresh:
                continue
            subject.facts[key] = said._replace(is_active=False)
            has_said = True
            self.counts.corrections[subject.cause_topic, RETRACTED] += 1
            if key[:2] in promised:
                declared = Declared(name, *promised[key[0], key[1]], _fact(key, said))
                self._emit(name, retraction_line(declared, said.occurrence, time, book, subject.cause))
        for key, said in sorted(fresh.items(), key=lambda one: (one[0][4], one[0][:3], one[0][3] or "")):
            old = subject.facts.get(key)
            if old is not None and old.is_active:
                continue
            occurrence = 1 if old is None else old.occurrence + 1
            subject.facts[key] = said._replace(occurrence=occurrence)
            has_said = True
            declared = Declared(name, *promised[key[0], key[1]], _fact(key, said))
            self._emit(name, service_fact_line(declared, time, book, occurrence))
        return has_said

    def _emit(self, name: str, line: dict[str, object]) -> None:
        self._outputs.append(Output(BREACHES, name.encode(), str(line["id"]).encode(), orjson.dumps(line)))

    def _publish(self, name: str, subject: Subject, measured: Measured) -> bool:
        """A line that is another than the last of its window; a rolling window has one line, the newest."""
        window = measured.reading.window
        start = None if window.kind in ROLLING else format_instant(window.start)
        key = orjson.dumps([name, measured.agreement.name, measured.promise.name, window.kind, start])
        value = orjson.dumps(availability_line(measured))
        digest = _digest(value)
        if subject.lines.get(key) == digest:
            return False
        subject.lines[key] = digest
        self._outputs.append(Output(COMPLIANCE, name.encode(), key, value))
        if is_credited(measured.agreement, measured.promise.name):
            period = None if start is None else (window.start, window.end)
            result = result_of_measured(measured)
            self._outputs.append(
                part_output(measured.agreement, name, measured.promise.name, period, result, measured.reading.until)
            )
        return True


def _forget_published(subject: Subject, before: int) -> None:
    """What was said of windows that began before; of what has no window, the last word of each kind stays."""
    newest = {
        (*key[:2], key[3]): key for key in sorted(subject.facts, key=lambda one: one[4]) if subject.facts[key].is_active
    }
    keep = set(newest.values())
    for key, said in list(subject.facts.items()):
        if key[4] < before and (said.window is not None or key not in keep):
            del subject.facts[key]
    for line in list(subject.lines):
        start = orjson.loads(line)[4]
        if start is not None and parse_instant(start) < before:
            del subject.lines[line]


def _id_of(event: MonitoringEvent | MaintenanceEvent) -> str:
    return event.event_id if isinstance(event, MonitoringEvent) else event.maintenance_id


def _fact(key: FactKey, said: Said) -> ServiceFact:
    return ServiceFact(key[2], key[4], key[3], said.window, key[5])


def _key(*parts: object) -> bytes:
    return PREFIX + orjson.dumps(parts)


def _digest(value: bytes) -> int:
    """48 bits: exact in JSON."""
    return int.from_bytes(blake2b(value, digest_size=6).digest())
