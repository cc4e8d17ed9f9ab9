"""Stage 1: the tickets of one partition, from their events to verdicts and facts.

Partition time is computed from records alone (semantics 1.4): after each record, every ticket whose next instant lies before
it is advanced. An event that comes in order is folded in place. A late one folds its ticket again from the ticket's own log;
what differs from what was published goes out as corrections and retractions (semantics 1.5).
"""

import base64
import heapq
from itertools import islice
from typing import NamedTuple
from zlib import crc32

import orjson

from slastream.core.clocks import Cycle, Declared, Labels
from slastream.core.engine import contribution_of
from slastream.core.events import Tick, TicketEvent
from slastream.core.facts import BREACHED, DEADLINE, RETRACTED, Fact
from slastream.core.histories import in_order, is_later
from slastream.core.periods import ROLLING, period_of
from slastream.core.rules import ENDED, Rulebook
from slastream.core.tickets import HistoryNeededError, Ticket, fold, order_of
from slastream.core.units import MINUTE, Instant, format_instant
from slastream.errors import EventError
from slastream.stream.counts import Counts
from slastream.stream.stage import Cut, Output, Record
from slastream.stream.telling import Teller, Telling, Told
from slastream.wire.events import canonical, decode_event
from slastream.wire.line_text import LineWriter
from slastream.wire.lines import instant_text
from slastream.wire.snapshots import (
    Correction,
    Head,
    LogHead,
    Stored,
    decode_ticket,
    encode_logged,
    encode_ticket,
    head_of,
    is_log_key,
    log_head_of,
    log_key,
    logged_event,
    progress_of,
)

TICKETS, VERDICTS, BREACHES, REJECTED = "sla.tickets", "sla.verdicts", "sla.breaches", "sla.rejected"
META_KEY = b"\xfepartition"
"""No ticket can have this name: it is no UTF-8."""
BACKFILL_HEADER = "backfill"
BACKFILL_SILENCE = 5 * MINUTE
"""A backfill without news for so long (broker time) has ended by itself."""

MAX_AWAKE = 5_000
"""Tickets of a partition that are kept as objects (4 KB each); the others sleep as bytes."""

ClockKey = tuple[str, str, int]
_NO_LABELS = Labels(None, None, None, None, None, None, None, None)
_NO_HOLDS: frozenset[tuple[int, int]] = frozenset()


class Entry:
    """One ticket of the table, awake: with its clocks as objects."""

    __slots__ = (
        "born_at",
        "corrects",
        "held",
        "ids",
        "is_unsettled",
        "log",
        "planned_at",
        "progress",
        "telling",
        "ticket",
        "wake_at",
        "withdrawn",
    )

    def __init__(self, ticket: Ticket, log: list[bytes], born_at: int) -> None:
        self.ticket = ticket
        self.born_at = born_at
        """Offset of its first event: a ticket of that name that left the table before is another one."""
        self.log = log
        self.ids = {log_head_of(one).digest for one in log}
        self.progress = -1
        self.held: list[tuple[Fact, Labels]] = []
        self.withdrawn: dict[ClockKey, tuple[int, list[Declared]]] = {}
        self.corrects: dict[ClockKey, Correction] = {}
        self.wake_at: Instant | None = None
        self.planned_at: Instant | None = None
        self.telling = Telling()
        self.is_unsettled = False
        """May a cycle before the last two have something to publish?"""

    def events(self) -> list[TicketEvent]:
        found = (decode_event(logged_event(one)) for one in self.log)
        return in_order((event for event in found if isinstance(event, TicketEvent)), canonical)


class Asleep(NamedTuple):
    """One ticket of the table as bytes: its state and its log as they stand in the changelog."""

    state: bytes
    log: list[bytes]
    wake_at: Instant | None
    planned_at: Instant | None


class TicketPartition:
    """A `Processor` (see `stage`) of one partition of `sla.tickets`."""

    def __init__(self, book: Rulebook, partition: int) -> None:
        self.book = book
        self.partition = partition
        self.entries: dict[str, Entry | Asleep] = {}
        self.time = Instant(-(2**62))
        self.offset = -1
        self._counts = Counts()
        self._lines = LineWriter(book)
        self._teller = Teller(book)
        self._untold: dict[str, None] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._awake: dict[str, None] = {}
        self._states: dict[str, tuple[bytes, Head]] = {}
        self._logs: dict[str, list[bytes]] = {}
        self._written: dict[bytes, bytes] = {}
        self._dirty: dict[str, None] = {}
        self._leaving: dict[bytes, None] = {}
        self._removable: dict[bytes, None] = {}
        self._outputs: list[Output] = []
        self._backfill_at: int | None = None
        self._has_changes = False
        self._broker_time = Instant(0)

    # ---- Processor: restore --------------------------------------------------------------------------------------

    def progress(self, value: bytes) -> int:
        return progress_of(value)

    def restore(self, key: bytes, value: bytes) -> None:
        if key == META_KEY:
            progress_of(value)  # refuses a newer version
            meta = orjson.loads(value)
            self.offset, self.time, self._backfill_at = meta[1], meta[2], meta[3]
            return
        if is_log_key(key):
            self._logs.setdefault(log_head_of(value).ticket_id, []).append(value)
        else:
            self._states[key.decode()] = value, head_of(value)

    def restored(self) -> None:
        """Puts tickets and logs together. A log without a ticket was written by a cut that came to nothing, and comes again."""
        self._broker_time = self.time
        logs, self._logs = self._logs, {}
        version = self.book.policy.version
        for ticket_id, (state, head) in self._states.items():
            asleep = Asleep(state, logs.pop(ticket_id, []), head.wake_at, head.wake_at)
            self.entries[ticket_id] = asleep
            if head.policy_version != version:
                self._judge_anew(self._wake_up(ticket_id, asleep))
        self._states = {}
        self._heap = [(e.planned_at, ticket_id) for ticket_id, e in self.entries.items() if e.planned_at is not None]
        heapq.heapify(self._heap)
        self._wake_due()

    def _judge_anew(self, entry: Entry) -> None:
        """After a change of the policy: an open ticket is folded again by the one that is in force, unless a period that is
        over would read otherwise."""
        is_open = entry.ticket.attributes.get("status") not in ENDED and not entry.ticket.is_gone
        if is_open and not self._rewrites_a_closed_period(entry):
            self._refold(entry, entry.events()[-1])
            self._publish(entry)
            self._has_changes = True
        entry.wake_at = entry.planned_at = self._wake_of(entry)

    def _rewrites_a_closed_period(self, entry: Entry) -> bool:
        """Would the policy in force change what counted in a period of an objective that is over? `reassess` wants that."""
        before = {_clock_key(cycle): cycle for cycle in entry.ticket.cycles()}
        after = {_clock_key(cycle): cycle for cycle in self._judged(entry).cycles()}
        for key in before.keys() | after.keys():
            was, now = before.get(key), after.get(key)
            rule = self.book.by_name[key[0], key[1]]
            if rule.on_change != "reassess" and _closed_part(was, self.time) != _closed_part(now, self.time):
                return True
        return False

    def _judged(self, entry: Entry) -> Ticket:
        """The ticket as its events make it by the policy in force, up to partition time."""
        ticket = fold(entry.ticket.ticket_id, self.book, entry.events())
        if ticket.wake_at is not None and ticket.wake_at < self.time:
            ticket.advance(self.time)
        return ticket

    def _wake_up(self, ticket_id: str, asleep: Asleep) -> Entry:
        stored = decode_ticket(asleep.state, self.book)
        log = sorted((log_head_of(one).offset, one) for one in asleep.log)
        self._leaving.update((log_key(offset), None) for offset, _ in log if offset < stored.born_at)
        own = [one for offset, one in log if stored.born_at <= offset <= stored.progress]
        entry = self.entries[ticket_id] = Entry(stored.ticket, own, stored.born_at)
        entry.progress, entry.held = stored.progress, stored.held
        entry.withdrawn, entry.corrects = stored.withdrawn, stored.corrects
        entry.wake_at, entry.planned_at = asleep.wake_at, asleep.planned_at
        entry.is_unsettled = bool(stored.held)
        entry.telling = Telling({place: Told(*told) for place, told in stored.told.items()})
        if not entry.ticket.trail and own:
            _take_trail(entry)
        self._awake[ticket_id] = None
        return entry

    def entry(self, ticket_id: str) -> Entry | None:
        """A ticket of the table, awake."""
        entry = self.entries.get(ticket_id)
        return self._wake_up(ticket_id, entry) if isinstance(entry, Asleep) else entry

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
        self._wake_due()

    def _wake_due(self) -> None:
        heap = self._heap
        while heap and heap[0][0] < self.time:
            ticket_id = heap[0][1]
            if self._replan(ticket_id):
                self._wake(ticket_id)

    def _check_clock(self, at: Instant, path: str) -> None:
        if at > self._broker_time + self.book.policy.max_clock_skew:
            raise EventError("future", path, f"{format_instant(at)} lies beyond the broker's clock and its skew")

    def _note_backfill(self, record: Record) -> None:
        """An event keeps a backfill on and begins none: one that is forwarded to its partition comes behind the end."""
        for name, value in record.headers:
            if name == BACKFILL_HEADER:
                if value == b"begin" or (value == b"event" and self._backfill_at is not None):
                    self._backfill_at = record.timestamp_us
                elif value == b"end":
                    self._backfill_at = None

    def _take(self, event: TicketEvent, record: Record) -> None:
        policy = self.book.policy
        seen = min(event.occurred_at, self._broker_time) - policy.lateness_of(event.source)
        entry = self.entry(event.ticket_id)
        if entry is None:
            if event.occurred_at < self.time - policy.retention:
                raise EventError(
                    "too_late", "occurred_at", "older than the retention, and its ticket has left the table"
                )
            entry = self.entries[event.ticket_id] = Entry(Ticket(event.ticket_id, self.book), [], record.offset)
            self._awake[event.ticket_id] = None
        elif record.offset <= entry.progress:
            self.time = Instant(max(self.time, seen))
            return
        self._counts.events[TICKETS, event.source or ""] += 1
        self._counts.occurred_at[TICKETS].append(event.occurred_at)
        if self._leaving or self._removable:
            for leaving in (self._leaving, self._removable):
                leaving.pop(event.ticket_id.encode(), None)
        entry.progress = record.offset
        self._fold(entry, event)
        self.time = Instant(max(self.time, seen))
        self._publish(entry)

    def _fold(self, entry: Entry, event: TicketEvent) -> None:
        ticket, digest = entry.ticket, crc32(event.event_id.encode())
        known = digest in entry.ids
        entry.ids.add(digest)
        if known:
            same = next((e for e in entry.events() if e.event_id == event.event_id), None)
            if same is not None:
                if is_later(event, same, canonical):
                    self._log(entry, event, digest)
                    self._refold(entry, event)
                return
        self._log(entry, event, digest)
        is_late = ticket.last is not None and (
            bool(entry.withdrawn)
            or (event.occurred_at <= ticket.last[0] and order_of(event) < ticket.last)
            or (ticket.fired_at is not None and ticket.fired_at >= event.occurred_at)
        )
        if is_late:
            self._refold(entry, event)
            return
        try:
            ticket.apply(event, lambda: [e for e in entry.events() if order_of(e) < order_of(event)])
        except HistoryNeededError:
            self._refold(entry, event)

    def _log(self, entry: Entry, event: TicketEvent, digest: int) -> None:
        line = event.content if b"\n" not in event.content else canonical(event.content)
        value = encode_logged(LogHead(self.offset, digest, event.ticket_id), line)
        entry.log.append(value)
        self._written[log_key(self.offset)] = value

    # ---- late events ---------------------------------------------------------------------------------------------

    def _refold(self, entry: Entry, cause: TicketEvent) -> None:
        """Folds the ticket again from its log; puts into its facts what differs from what was published."""
        self._counts.late[TICKETS] += 1
        entry.is_unsettled = True
        old = entry.ticket
        new = self._judged(entry)
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
                self._compare(entry, was, old.labels_of(was), cycle, labels, cause)
            self._settle(new, cycle, published, fresh, labels, cause)
        for key, was in before.items():
            if key not in after:
                self._withdraw(entry, was, old.labels_of(was), cause)
        entry.held = []
        entry.ticket = new

    def _compare(self, entry: Entry, was: Cycle, old: Labels, now: Cycle, new: Labels, cause: TicketEvent) -> None:
        now.revision, now.published_in = was.revision, was.published_in
        now.is_touched = was.is_touched
        if _signature(was, old) != _signature(now, new):
            now.is_touched = True
            if was.published_in is not None:
                self._counts.corrections[TICKETS, "verdict"] += 1
                entry.corrects[_clock_key(now)] = {
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
                self._counts.corrections[TICKETS, "retracted"] += 1
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
            self._counts.corrections[TICKETS, "withdrawn"] += 1
            self._emit_verdict(entry, was, labels, was.published_in, is_withdrawn=True)

    # ---- time ----------------------------------------------------------------------------------------------------

    def _wake_of(self, entry: Entry) -> Instant | None:
        """The earliest of: its next deadline, a held fact, its leaving the table."""
        ticket = entry.ticket
        wake_at = ticket.wake_at
        for fact, _ in entry.held:
            if wake_at is None or fact.at < wake_at:
                wake_at = fact.at
        if (ticket.is_gone or ticket.attributes.get("status") in ENDED) and ticket.last is not None:
            leaves_at = ticket.last[0] + self.book.policy.retention
            if wake_at is None or leaves_at < wake_at:
                wake_at = Instant(leaves_at)
        return wake_at

    def _plan(self, ticket_id: str, entry: Entry) -> None:
        """Keeps one entry of the heap that is not behind the ticket's wake; one before it finds the ticket asleep."""
        wake_at = entry.wake_at = self._wake_of(entry)
        if wake_at is not None and (entry.planned_at is None or wake_at < entry.planned_at):
            entry.planned_at = wake_at
            heapq.heappush(self._heap, (wake_at, ticket_id))

    def _replan(self, ticket_id: str) -> bool:
        """The first of the heap is taken off: whether its ticket is to be woken; if it is later, it is planned anew."""
        at, _ = heapq.heappop(self._heap)
        known = self.entries.get(ticket_id)
        if known is None or known.planned_at != at:
            return False
        is_due = known.wake_at == at
        planned_at = None if is_due else known.wake_at
        if isinstance(known, Asleep):
            self.entries[ticket_id] = known._replace(planned_at=planned_at)
        else:
            known.planned_at = planned_at
        if planned_at is not None:
            heapq.heappush(self._heap, (planned_at, ticket_id))
        return is_due

    def _wake(self, ticket_id: str) -> None:
        entry = self.entry(ticket_id)
        if entry is None:
            return
        ticket = entry.ticket
        entry.progress = max(entry.progress, self.offset)
        if ticket.wake_at is not None and ticket.wake_at < self.time:
            ticket.advance(self.time)
        last = ticket.last
        is_ended = ticket.is_gone or ticket.attributes.get("status") in ENDED
        if is_ended and last is not None and last[0] + self.book.policy.retention < self.time:
            self._forget(ticket_id, entry)
            return
        self._publish(entry)

    def _forget(self, ticket_id: str, entry: Entry) -> None:
        """Its records are deleted one cut later, when the partition's own record says that it is gone: the events behind
        that are not taken for its first ones after a crash. Its log goes before its state, which alone tells of it."""
        self._leaving.update((log_key(log_head_of(one).offset), None) for one in entry.log)
        self._leaving[ticket_id.encode()] = None
        del self.entries[ticket_id]
        self._awake.pop(ticket_id, None)
        if ticket_id in self._dirty:  # until then its record says that it has ended, so that a crash finds it ended
            del self._dirty[ticket_id]
            self._written[ticket_id.encode()] = self._encode(entry)

    @property
    def wake_at(self) -> int | None:
        heap = self._heap
        while heap:
            at, ticket_id = heap[0]
            known = self.entries.get(ticket_id)
            if known is not None and known.planned_at == at and known.wake_at == at:
                break
            self._replan(ticket_id)
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
        holds = {(fact.rule_index, fact.cycle) for fact, _ in entry.held} if entry.held else _NO_HOLDS
        for clock in ticket.clocks.values():
            cycles = clock.cycles
            for cycle in cycles if entry.is_unsettled or len(cycles) < 3 else cycles[-2:]:
                if cycle.is_touched and (not holds or (cycle.rule.index, cycle.number) not in holds):
                    cycle.is_touched = False
                    labels = ticket.labels_of(cycle)
                    if cycle.published_in is not None:
                        cycle.revision += 1
                    self._emit_moved(entry, cycle, labels)
                    cycle.published_in = labels.service or ""
                    self._emit_verdict(entry, cycle, labels, cycle.published_in)
        entry.is_unsettled = bool(holds)
        if self._teller.has_news(ticket, entry.telling):
            self._untold[ticket.ticket_id] = None
        self._dirty[ticket.ticket_id] = None
        self._plan(ticket.ticket_id, entry)

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
        key, line = self._lines.fact(ticket_id, fact, labels, self._broker_time)
        if fact.caused_by == DEADLINE:
            self._counts.due_at.append(fact.at)
            if fact.fact == BREACHED:
                self._counts.breach = key.decode(), fact.at
        self._outputs.append(Output(BREACHES, (labels.service or "").encode(), key, line))

    def _emit_verdict(
        self, entry: Entry, cycle: Cycle, labels: Labels, service: str, is_withdrawn: bool = False
    ) -> None:
        ticket = entry.ticket
        as_of = self._as_of(ticket)
        corrects = entry.corrects.pop(_clock_key(cycle), None) if entry.corrects else None
        key, line = self._lines.verdict(ticket.ticket_id, cycle, labels, as_of, corrects, is_withdrawn)
        self._outputs.append(Output(VERDICTS, service.encode(), key, line))

    def _emit_moved(self, entry: Entry, cycle: Cycle, labels: Labels) -> None:
        """Takes a clock out of the service that its ticket has left."""
        old = cycle.published_in
        if old is not None and old != (labels.service or ""):
            self._emit_verdict(entry, cycle, labels._replace(service=old or None), old, is_withdrawn=True)

    def _tell(self) -> None:
        """What changed of tickets beside their clocks, once for each cut."""
        for ticket_id in self._untold:
            entry = self.entry(ticket_id)
            if entry is not None:
                self._outputs += self._teller.tell(
                    entry.ticket, entry.telling, self._as_of(entry.ticket), entry.progress
                )
        self._untold.clear()

    def _as_of(self, ticket: Ticket) -> Instant:
        return Instant(max(self.time, ticket.last[0] if ticket.last is not None else self.time))

    def _reject(self, record: Record, error: EventError) -> None:
        self._counts.rejected[TICKETS, error.reason] += 1
        self._outputs.append(rejected_output(record, error))

    def pass_over(self, offset: int) -> bool:
        if offset <= self.offset:
            return False
        self.offset = offset
        self._has_changes = True
        return True

    def has_changes(self) -> bool:
        return self._has_changes

    def cut(self) -> Cut:
        if self._untold:
            self._tell()
        state: list[tuple[bytes, bytes | None]] = [(key, None) for key in self._removable]
        self._removable, self._leaving = self._leaving, {}
        state += self._written.items()
        self._written.clear()
        for ticket_id in self._dirty:
            entry = self.entry(ticket_id)
            if entry is not None:
                state.append((ticket_id.encode(), self._encode(entry)))
        state.append((META_KEY, orjson.dumps([1, self.offset, self.time, self._backfill_at])))
        outputs, self._outputs = self._outputs, []
        counts, self._counts = self._counts, Counts()
        self._dirty.clear()
        self._has_changes = bool(self._removable)
        if len(self._awake) > MAX_AWAKE:
            self._send_to_sleep(len(self._awake) - MAX_AWAKE)
        return Cut(state, outputs, counts)

    def _encode(self, entry: Entry) -> bytes:
        version = self.book.policy.version
        return encode_ticket(
            Stored(
                entry.ticket,
                entry.progress,
                entry.wake_at,
                version,
                entry.born_at,
                entry.held,
                entry.withdrawn,
                entry.corrects,
                entry.telling.told,
            )
        )

    def _send_to_sleep(self, number: int) -> None:
        """Those that have been awake for longest."""
        for ticket_id in list(islice(self._awake, number)):
            del self._awake[ticket_id]
            entry = self.entries[ticket_id]
            if isinstance(entry, Entry):
                self.entries[ticket_id] = Asleep(
                    _without_slack(self._encode(entry)), entry.log, entry.wake_at, entry.planned_at
                )


def _take_trail(entry: Entry) -> None:
    """A state of version 1 has none: its events tell it."""
    known = fold(entry.ticket.ticket_id, entry.ticket.rulebook, entry.events())
    entry.ticket.trail, entry.ticket.rating, entry.ticket.rated_at = known.trail, known.rating, known.rated_at


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
    return Output(REJECTED, origin.encode(), origin.encode(), orjson.dumps(line))


def _is_marker(record: Record) -> bool:
    """A begin or end of a backfill: it says something to the worker only."""
    return record.key is None and any(name == BACKFILL_HEADER for name, _ in record.headers)


def _closed_part(cycle: Cycle | None, now: Instant) -> tuple[Instant, bool] | None:
    """What a cycle counts for in a calendar period that was over at `now`, by the basis of its objective."""
    if cycle is None:
        return None
    agreement = cycle.rule.agreement
    objective = agreement.objective
    if objective.period in ROLLING:
        return None
    one = contribution_of(cycle, _NO_LABELS)
    at = one.counted_at(objective.basis, now)
    if at is None or at >= period_of(now, objective.period, agreement.calendar)[0]:
        return None
    return at, one.is_met


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
        cycle.override, cycle.is_paused, cycle.used_us, cycle.since, cycle.paused_us, cycle.signs, labels,
    )  # fmt: skip


def _without_slack(value: bytes) -> bytes:
    """A copy: the bytes that orjson gives keep the buffer in which they were written, 8 KiB for 900 bytes."""
    return bytes(bytearray(value))
