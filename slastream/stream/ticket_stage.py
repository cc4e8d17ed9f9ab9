"""Stage 1: the tickets of one partition, from their events to verdicts and facts.

Partition time is computed from records alone (semantics 1.4): after each record, every ticket whose next instant lies before
it is advanced. An event that comes in order is folded in place. A late one folds its ticket again from the ticket's own log;
what differs from what was published goes out as corrections and retractions (semantics 1.5).
"""

import base64
import heapq
from collections import Counter
from hashlib import blake2b

import orjson

from slastream.core.clocks import Cycle, Declared, Labels
from slastream.core.events import Tick, TicketEvent
from slastream.core.facts import DEADLINE, RETRACTED, Fact
from slastream.core.histories import in_order, is_later
from slastream.core.rules import ENDED, Rulebook
from slastream.core.tickets import HistoryNeededError, Ticket, fold, order_of
from slastream.core.units import MINUTE, Instant, format_instant
from slastream.errors import EventError
from slastream.stream.stage import Cut, Output, Record
from slastream.wire.events import canonical, decode_event
from slastream.wire.lines import clock_id, fact_line, instant_text, verdict_line
from slastream.wire.snapshots import Stored, decode_ticket, encode_ticket, progress_of

VERDICTS, BREACHES, REJECTED = "sla.verdicts", "sla.breaches", "sla.rejected"
META_KEY = b"\x00partition"
BACKFILL_HEADER = "backfill"
BACKFILL_SILENCE = 5 * MINUTE
"""A backfill without news for so long (broker time) has ended by itself."""

ClockKey = tuple[str, str, int]


class Entry:
    """One ticket of the table, with its log."""

    __slots__ = ("held", "ids", "log", "parts", "progress", "ticket", "withdrawn")

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.progress = -1
        self.held: list[tuple[Fact, Labels]] = []
        self.ids: set[int] = set()
        self.withdrawn: dict[ClockKey, tuple[int, list[Declared]]] = {}
        self.log = b""
        self.parts: list[bytes] = []

    def log_bytes(self) -> bytes:
        if self.parts:
            self.log += b"".join(self.parts)
            self.parts.clear()
        return self.log

    def events(self) -> list[TicketEvent]:
        found = (decode_event(line) for line in self.log_bytes().splitlines())
        return in_order((event for event in found if isinstance(event, TicketEvent)), canonical)


class TicketPartition:
    """A `Processor` (see `stage`) of one partition of `sla.tickets`."""

    def __init__(self, book: Rulebook, partition: int) -> None:
        self.book = book
        self.partition = partition
        self.entries: dict[str, Entry] = {}
        self.time = Instant(-(2**62))
        self.offset = -1
        self.events: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.late = 0
        self.corrections: Counter[str] = Counter()
        self.ages_us: list[int] = []
        self.delays_us: list[int] = []
        self._heap: list[tuple[Instant, str]] = []
        self._dirty: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self._outputs: list[Output] = []
        self._corrects: dict[tuple[int, int], dict[str, str | None]] = {}
        self._backfill_at: int | None = None
        self._stale: list[Entry] = []
        self._has_changes = False
        self._broker_time = Instant(0)

    # ---- Processor: restore --------------------------------------------------------------------------------------

    def progress(self, value: bytes) -> int:
        return progress_of(value)

    def restore(self, key: bytes, value: bytes) -> None:
        if key == META_KEY:
            meta = orjson.loads(value)
            self.offset, self.time, self._backfill_at = meta[1], meta[2], meta[3]
            return
        stored = decode_ticket(value, self.book)
        entry = Entry(stored.ticket)
        entry.progress, entry.held, entry.ids = stored.progress, stored.held, stored.ids
        if stored.policy_version != self.book.policy.version:
            self._stale.append(entry)
        entry.withdrawn, entry.log = stored.withdrawn, stored.log
        self.entries[stored.ticket.ticket_id] = entry

    def restored(self) -> None:
        self._broker_time = self.time
        stale, self._stale = self._stale, []
        for entry in stale:
            if entry.ticket.attributes.get("status") not in ENDED and not entry.ticket.is_gone:
                self._refold(entry, entry.events()[-1])
                self._publish(entry)
                self._has_changes = True
        self._heap = [(at, ticket_id) for ticket_id, e in self.entries.items() if (at := self._wake_of(e)) is not None]
        heapq.heapify(self._heap)

    # ---- Processor: records --------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        if record.offset <= self.offset:
            return
        self.offset = record.offset
        self._has_changes = True
        self._broker_time = Instant(record.timestamp_us)
        if record.headers:
            self._note_backfill(record)
        if record.value is None:
            return
        try:
            event = decode_event(record.value)
            if isinstance(event, Tick):
                self._check_clock(event.at, "at")
                if event.at > self.time:
                    self.time = event.at
            elif isinstance(event, TicketEvent):
                self._check_clock(event.occurred_at, "occurred_at")
                self._take(event, record)
            else:
                raise EventError(
                    "unknown_kind", "$", "this topic holds events of tickets; send others to their own topic"
                )
        except EventError as error:
            if not _is_marker(record):
                self._reject(record, error)
        heap = self._heap
        while heap and heap[0][0] < self.time:
            self._wake(heapq.heappop(heap)[1])

    def _check_clock(self, at: Instant, path: str) -> None:
        if at > self._broker_time + self.book.policy.max_clock_skew:
            raise EventError("future", path, f"{format_instant(at)} lies beyond the broker's clock and its skew")

    def _note_backfill(self, record: Record) -> None:
        for name, value in record.headers:
            if name == BACKFILL_HEADER:
                self._backfill_at = None if value == b"end" else record.timestamp_us

    def _take(self, event: TicketEvent, record: Record) -> None:
        policy = self.book.policy
        seen = min(event.occurred_at, self._broker_time) - policy.lateness_of(event.source)
        entry = self.entries.get(event.ticket_id)
        if entry is None:
            if event.occurred_at < self.time - policy.retention:
                raise EventError(
                    "too_late", "occurred_at", "older than the retention, and its ticket has left the table"
                )
            entry = self.entries[event.ticket_id] = Entry(Ticket(event.ticket_id, self.book))
        elif record.offset <= entry.progress:
            self.time = Instant(max(self.time, seen))
            return
        self.events[event.source or ""] += 1
        self.ages_us.append(self._broker_time - event.occurred_at)
        self._gone.pop(event.ticket_id, None)
        entry.progress = record.offset
        self._fold(entry, event)
        self.time = Instant(max(self.time, seen))
        self._publish(entry)

    def _fold(self, entry: Entry, event: TicketEvent) -> None:
        ticket, digest = entry.ticket, _digest(event.event_id)
        line = event.content if b"\n" not in event.content else canonical(event.content)
        known = digest in entry.ids
        entry.ids.add(digest)
        if known:
            same = next((e for e in entry.events() if e.event_id == event.event_id), None)
            if same is not None:
                if is_later(event, same, canonical):
                    entry.parts.append(line + b"\n")
                    self._refold(entry, event)
                return
        entry.parts.append(line + b"\n")
        is_late = ticket.last is not None and (
            bool(entry.withdrawn) or order_of(event) < ticket.last or self._has_fired_since(ticket, event)
        )
        if is_late:
            self._refold(entry, event)
            return
        try:
            ticket.apply(event, lambda: [e for e in entry.events() if order_of(e) < order_of(event)])
        except HistoryNeededError:
            self._refold(entry, event)

    def _has_fired_since(self, ticket: Ticket, event: TicketEvent) -> bool:
        """Was something declared whose instant the event could still have moved?"""
        for clock in ticket.clocks.values():
            for cycle in clock.cycles[-1:]:
                for one in cycle.declared or ():
                    if one.is_active and one.at >= event.occurred_at:
                        return True
        return False

    # ---- late events ---------------------------------------------------------------------------------------------

    def _refold(self, entry: Entry, cause: TicketEvent) -> None:
        """Folds the ticket again from its log; puts into its facts what differs from what was published."""
        self.late += 1
        old = entry.ticket
        new = fold(old.ticket_id, self.book, entry.events())
        if new.wake_at is not None and new.wake_at < self.time:
            new.advance(self.time)
        fresh = {_fact_key(fact): (fact, labels) for fact, labels in new.facts}
        held = {_fact_key(fact) for fact, _ in entry.held}
        new.facts = []
        before = {_clock_key(cycle): cycle for cycle in old.cycles()}
        after = {_clock_key(cycle): cycle for cycle in new.cycles()}
        for key, cycle in after.items():
            was = before.get(key)
            labels = new.labels_of(cycle)
            if was is None:
                published: list[Declared] = []
                if key in entry.withdrawn:
                    revision, published = entry.withdrawn.pop(key)
                    cycle.revision = revision + 1
            else:
                published = [d for d in was.declared or () if (*key, d.fact, d.threshold, d.at) not in held]
                self._compare(was, old.labels_of(was), cycle, labels, cause)
            self._settle(new, cycle, published, fresh, labels, cause)
        for key, was in before.items():
            if key not in after:
                self._withdraw(entry, was, old.labels_of(was), cause)
        entry.held = []
        entry.ticket = new

    def _compare(self, was: Cycle, old: Labels, now: Cycle, new: Labels, cause: TicketEvent) -> None:
        now.revision, now.published_in = was.revision, was.published_in
        now.is_touched = was.is_touched
        if _signature(was, old) != _signature(now, new):
            now.is_touched = True
            if was.published_in is not None:
                self.corrections["verdict"] += 1
                self._corrects[now.rule.index, now.number] = {
                    "status": was.status(),
                    "due_at": instant_text(was.due_at),
                    "stopped_at": instant_text(was.stopped_at),
                    "breached_at": instant_text(was.breached_at),
                    "caused_by": cause.event_id,
                }

    def _settle(
        self,
        ticket: Ticket,
        cycle: Cycle,
        published: list[Declared],
        fresh: dict[tuple[object, ...], tuple[Fact, Labels]],
        labels: Labels,
        cause: TicketEvent,
    ) -> None:
        """Makes `cycle.declared` and the ticket's facts go on from what was published of it."""
        key = _clock_key(cycle)
        holding = [d for d in cycle.declared or () if d.is_active]
        wanted = {(d.fact, d.threshold, d.at) for d in holding}
        standing = {(d.fact, d.threshold, d.at) for d in published if d.is_active}
        merged = [Declared(d.fact, d.threshold, d.at, d.occurrence, d.is_active) for d in published]
        for one in merged:
            if one.is_active and (one.fact, one.threshold, one.at) not in wanted:
                one.is_active = False
                at = Instant(max(one.at, cause.occurred_at))
                fact = Fact(
                    *key, RETRACTED, one.threshold, at, one.occurrence, cause.event_id, one.fact, cycle.rule.index
                )
                ticket.facts.append((fact, labels))
                self.corrections["retracted"] += 1
        for one in holding:
            if (one.fact, one.threshold, one.at) in standing:
                continue
            occurrence = 1 + sum(d.fact == one.fact and d.threshold == one.threshold for d in merged)
            merged.append(Declared(one.fact, one.threshold, one.at, occurrence))
            made, seen_as = fresh[(*key, one.fact, one.threshold, one.at)]
            ticket.facts.append((made._replace(occurrence=occurrence), seen_as))
        cycle.declared = merged or None

    def _withdraw(self, entry: Entry, was: Cycle, labels: Labels, cause: TicketEvent) -> None:
        """A cycle that, as is known now, never was."""
        key = _clock_key(was)
        waiting = {_fact_key(fact) for fact, _ in entry.held}
        for one in was.declared or ():
            if one.is_active and (*key, one.fact, one.threshold, one.at) not in waiting:
                fact = Fact(
                    *key, RETRACTED, one.threshold, Instant(max(one.at, cause.occurred_at)), one.occurrence, cause.event_id,
                    one.fact, was.rule.index,
                )  # fmt: skip
                self._emit_fact(entry.ticket.ticket_id, fact, labels)
        was.revision += 1
        known = [d for d in was.declared or () if (*key, d.fact, d.threshold, d.at) not in waiting]
        entry.withdrawn[key] = was.revision, [Declared(d.fact, d.threshold, d.at, d.occurrence, False) for d in known]
        if was.published_in is not None:
            self.corrections["withdrawn"] += 1
            self._emit_verdict(entry, was, labels, was.published_in, is_withdrawn=True)

    # ---- time ----------------------------------------------------------------------------------------------------

    def _wake_of(self, entry: Entry) -> Instant | None:
        """The earliest of: its next deadline, a held fact, its leaving the table."""
        candidates = [entry.ticket.wake_at, *(fact.at for fact, _ in entry.held)]
        if entry.ticket.is_gone or entry.ticket.attributes.get("status") in ENDED:
            last = entry.ticket.last
            if last is not None:
                candidates.append(Instant(last[0] + self.book.policy.retention))
        return min((at for at in candidates if at is not None), default=None)

    def _wake(self, ticket_id: str) -> None:
        entry = self.entries.get(ticket_id)
        if entry is None:
            return
        wake_at = self._wake_of(entry)
        if wake_at is None or wake_at >= self.time:
            return
        ticket = entry.ticket
        entry.progress = max(entry.progress, self.offset)
        if ticket.wake_at is not None and ticket.wake_at < self.time:
            ticket.advance(self.time)
        last = ticket.last
        is_ended = ticket.is_gone or ticket.attributes.get("status") in ENDED
        if is_ended and last is not None and last[0] + self.book.policy.retention < self.time:
            del self.entries[ticket_id]
            self._dirty.pop(ticket_id, None)
            self._gone[ticket_id] = None
            return
        self._publish(entry)

    @property
    def wake_at(self) -> int | None:
        heap = self._heap
        while heap:
            at, ticket_id = heap[0]
            entry = self.entries.get(ticket_id)
            real = None if entry is None else self._wake_of(entry)
            if real == at:
                break
            heapq.heappop(heap)
            if real is not None and real > at:
                heapq.heappush(heap, (real, ticket_id))
        if not heap:
            return None
        if self._backfill_at is not None:
            return max(heap[0][0], self._backfill_at + BACKFILL_SILENCE)
        return heap[0][0]

    @property
    def ticks_allowed(self) -> bool:
        """Always: inside a backfill `wake_at` lies behind its silence."""
        return True

    # ---- output --------------------------------------------------------------------------------------------------

    def _publish(self, entry: Entry) -> None:
        """Puts out what changed of a ticket, holds back what late events may still undo, and plans its next wake."""
        ticket = entry.ticket
        if ticket.facts or entry.held:
            self._publish_facts(entry)
        holds = {(fact.rule_index, fact.cycle) for fact, _ in entry.held}
        for clock in ticket.clocks.values():
            for cycle in clock.cycles if len(clock.cycles) < 3 or self.late else clock.cycles[-2:]:
                if cycle.is_touched and (cycle.rule.index, cycle.number) not in holds:
                    cycle.is_touched = False
                    labels = ticket.labels_of(cycle)
                    if cycle.published_in is not None:
                        cycle.revision += 1
                    self._emit_moved(entry, cycle, labels)
                    cycle.published_in = labels.service or ""
                    self._emit_verdict(entry, cycle, labels, cycle.published_in)
        self._dirty[ticket.ticket_id] = None
        wake_at = self._wake_of(entry)
        if wake_at is not None:
            heapq.heappush(self._heap, (wake_at, ticket.ticket_id))

    def _publish_facts(self, entry: Entry) -> None:
        facts = entry.held + entry.ticket.facts
        entry.held, entry.ticket.facts = [], []
        for fact, labels in facts:
            if fact.fact == RETRACTED:
                undone = [h for h in entry.held if _undoes(fact, h[0])]
                if undone:
                    entry.held = [h for h in entry.held if h not in undone]
                    continue
            if fact.caused_by == DEADLINE and fact.at >= self.time:
                entry.held.append((fact, labels))
            else:
                self._emit_fact(entry.ticket.ticket_id, fact, labels)

    def _emit_fact(self, ticket_id: str, fact: Fact, labels: Labels) -> None:
        line = fact_line(ticket_id, fact, labels, self._broker_time, self.book)
        if fact.caused_by == DEADLINE:
            self.delays_us.append(self._broker_time - fact.at)
        self._outputs.append(Output(BREACHES, (labels.service or "").encode(), line["id"].encode(), orjson.dumps(line)))

    def _emit_verdict(
        self, entry: Entry, cycle: Cycle, labels: Labels, service: str, is_withdrawn: bool = False
    ) -> None:
        ticket = entry.ticket
        as_of = Instant(max(self.time, ticket.last[0] if ticket.last is not None else self.time))
        line = verdict_line(ticket.ticket_id, cycle, labels, as_of, self.book.policy)
        corrects = self._corrects.pop((cycle.rule.index, cycle.number), None)
        if corrects is not None:
            line["corrects"] = corrects
        if is_withdrawn:
            line["is_withdrawn"] = True
        self._outputs.append(
            Output(VERDICTS, service.encode(), clock_id(ticket.ticket_id, cycle).encode(), orjson.dumps(line))
        )

    def _emit_moved(self, entry: Entry, cycle: Cycle, labels: Labels) -> None:
        """Takes a clock out of the service that its ticket has left."""
        old = cycle.published_in
        if old is not None and old != (labels.service or ""):
            self._emit_verdict(entry, cycle, labels._replace(service=old or None), old, is_withdrawn=True)

    def _reject(self, record: Record, error: EventError) -> None:
        self.rejected[error.reason] += 1
        self._outputs.append(rejected_output(record, error))

    def has_changes(self) -> bool:
        return self._has_changes

    def cut(self) -> Cut:
        state: list[tuple[bytes, bytes | None]] = [(ticket_id.encode(), None) for ticket_id in self._gone]
        for ticket_id in self._dirty:
            e = self.entries[ticket_id]
            state.append(
                (
                    ticket_id.encode(),
                    encode_ticket(
                        Stored(
                            e.ticket, e.progress, self.book.policy.version, e.held, e.ids, e.withdrawn, e.log_bytes()
                        )
                    ),
                )
            )
        state.append((META_KEY, orjson.dumps([1, self.offset, self.time, self._backfill_at])))
        outputs, self._outputs = self._outputs, []
        self._dirty.clear()
        self._gone.clear()
        self._has_changes = False
        return Cut(state, outputs)


def rejected_output(record: Record, error: EventError) -> Output:
    """The record of `sla.rejected`: reason, path and the original bytes."""
    origin = f"{record.topic}-{record.partition}"
    line = {
        "kind": "rejected",
        "reason": error.reason,
        "path": error.path,
        "message": str(error),
        "original": None if record.value is None else base64.b64encode(record.value).decode(),
        "origin": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
    }
    return Output("sla.rejected", origin.encode(), origin.encode(), orjson.dumps(line))


def _is_marker(record: Record) -> bool:
    """A begin or end of a backfill: it says something to the worker only."""
    return record.key is None and any(name == BACKFILL_HEADER for name, _ in record.headers)


def _digest(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=7).digest())


def _clock_key(cycle: Cycle) -> ClockKey:
    return cycle.rule.agreement.name, cycle.rule.promise.name, cycle.number


def _fact_key(fact: Fact) -> tuple[object, ...]:
    return fact.agreement, fact.promise, fact.cycle, fact.fact, fact.threshold, fact.at


def _undoes(retraction: Fact, held: Fact) -> bool:
    return (retraction.rule_index, retraction.cycle, retraction.retracted, retraction.threshold, retraction.occurrence) == (
        held.rule_index, held.cycle, held.fact, held.threshold, held.occurrence,
    )  # fmt: skip


def _signature(cycle: Cycle, labels: Labels) -> tuple[object, ...]:
    """What a reader of verdicts can see of a cycle, but for the passing of time."""
    return (
        cycle.status(), cycle.started_at, cycle.due_at, cycle.stopped_at, cycle.breached_at, cycle.cancel_reason, cycle.selection,
        cycle.override, cycle.is_paused, cycle.used_us, cycle.since, cycle.paused_us, labels,
    )  # fmt: skip
