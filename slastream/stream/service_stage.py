"""Stage 2: the services of one partition, from verdicts to compliance.

`monitoring_state` is what it knows of monitoring, `contract_state` what it knows of contracts.

The table holds one small record per clock: what it counts for. The tallies of a service are made from them, so a correction, a
repetition and a restart give the same counts, and the order in which stage 1's partitions are read does not matter.
"""

import heapq
from collections.abc import Sequence
from fractions import Fraction
from sys import intern
from typing import Any, NamedTuple

import orjson

from slastream.core.compliance import Contribution, Line, Tally
from slastream.core.credits import Result, is_credited
from slastream.core.periods import Periods
from slastream.core.rules import Rule, Rulebook
from slastream.core.signs import NO_SIGNS, Signs
from slastream.core.units import Instant, parse_instant
from slastream.errors import EventError, SnapshotError
from slastream.stream import contract_state
from slastream.stream.contract_state import ContractState, part_output
from slastream.stream.counts import Counts
from slastream.stream.monitoring_state import ANNOUNCED_VERSION, KINDS, PREFIX, MonitoringState
from slastream.stream.stage import Cut, Output, Record
from slastream.stream.telling import LEDGER
from slastream.stream.ticket_stage import META_KEY, rejected_output
from slastream.wire.lines import compliance_line

COMPLIANCE = "sla.compliance"
VERSION = 1
NEWEST_VERSION = max(contract_state.VERSION, ANNOUNCED_VERSION)

TallyKey = tuple[str, str, str]
"""(service, agreement, promise); the service "" is that of tickets without one."""


BreachKey = tuple[str, str, str, str | None]
"""The key of a tally, and a priority."""


class Counted(NamedTuple):
    """A clock as stage 2 keeps it, as its newest verdict had it at `as_of`."""

    service: str
    agreement: str
    promise: str
    contribution: Contribution
    as_of: Instant
    elapsed_us: int
    is_at_risk: bool
    target_us: int | None = None
    calendar: str | None = None
    is_excluded: bool = False

    @property
    def tally_key(self) -> TallyKey:
        return self.service, self.agreement, self.promise

    @property
    def status(self) -> str:
        """As the metric `sla_clocks` shows it."""
        return "at_risk" if self.is_at_risk else self.contribution.status


class Age(NamedTuple):
    """The order of the verdicts of a clock. The instant comes first: a ticket that has left the table may come anew."""

    as_of: int
    revision: int


OLDEST = Age(-(2**62), 0)


class ServicePartition:
    """A `Processor` (see `stage`) of one partition of `sla.verdicts`."""

    def __init__(self, book: Rulebook, partition: int) -> None:
        self.book = book
        self.partition = partition
        self.clocks: dict[str, Counted] = {}
        self.tallies: dict[TallyKey, Tally] = {}
        self.time = Instant(-(2**62))
        self.offset = -1
        self.other_offsets: dict[str, int] = {}
        """The last record that was applied of each topic but that of the verdicts, whose is `offset`."""
        self.cuts = 0
        """How many came to their end in all lives."""
        self.newest_breaches: dict[BreachKey, tuple[str, Instant]] = {}
        """The last breach that a verdict told of, and its instant, since the partition is here: for people who look at a chart."""
        self.monitoring = MonitoringState(book.policy)
        self.contracts = ContractState(book)
        self._counted_for_money: dict[TallyKey, Tally] = {}
        """The tallies of agreements with exclusions, without what those leave out."""
        self._periods: dict[str, Periods] = {}
        self._heap: list[tuple[Instant, TallyKey]] = []
        self._planned: dict[TallyKey, Instant] = {}
        self._dirty: dict[str, int] = {}
        self._progress: dict[str, int] = {}
        self._newest: dict[str, Age] = {}
        self._touched: dict[TallyKey, None] = {}
        self._outputs: list[Output] = []
        self._has_changes = False

    # ---- restore -------------------------------------------------------------------------------------------------

    def progress(self, value: bytes) -> int:
        version, progress, _ = value[1:60].split(b",", 2)
        if int(version) > NEWEST_VERSION:
            raise SnapshotError(
                f"the stored state has version {int(version)}, this program reads up to {NEWEST_VERSION}; "
                "start the newer program again"
            )
        return int(progress)

    def restore(self, key: bytes, value: bytes) -> None:
        self.progress(value)  # refuses a newer version
        if key.startswith(PREFIX):
            self.monitoring.restore(key, value)
            return
        if key.startswith(contract_state.PREFIX):
            self.contracts.restore(key, value)
            return
        stored = orjson.loads(value)
        if key == META_KEY:
            self.offset, self.time = stored[1], stored[2]
            self.monitoring.backfill_at = stored[3] if len(stored) > 3 else None
            self.other_offsets, self.cuts = stored[4:6] if len(stored) > 5 else ({}, 0)
            return
        clock = key.decode()
        self._progress[clock] = stored[1]
        self._newest[clock] = Age(*stored[3]) if len(stored) > 3 else OLDEST
        if stored[2] is not None:
            service, agreement, promise, contribution, *rest = stored[2]
            self.clocks[clock] = Counted(service, agreement, promise, _contribution(contribution), *rest)

    def restored(self) -> None:
        for clock, counted in self.clocks.items():
            self._put(clock, counted, counted.contribution)
        for tally in self.tallies.values():
            tally.touched.clear()
        self._touched.clear()
        self.time = Instant(max(self.time, self.monitoring.take_announced(self.cuts)))
        self.monitoring.restored(self.time)
        self.contracts.restored(self.time)
        self._has_changes = bool(self.monitoring.subjects)

    # ---- records -------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        if record.topic in KINDS or record.topic == LEDGER:
            if record.offset > self.other_offsets.get(record.topic, -1):
                self.other_offsets[record.topic] = record.offset
                self._has_changes = True
                if record.topic == LEDGER:
                    self._take_ledger(record)
                else:
                    self._take_monitoring(record)
            return
        if record.offset <= self.offset:
            return
        self.offset = record.offset
        self._has_changes = True
        if record.value is None:
            return
        try:
            line = orjson.loads(record.value)
            if line.get("type") == "tick":
                self._advance(min(parse_instant(line["at"]), record.timestamp_us + self.book.policy.max_clock_skew))
                return
            if record.key is None:
                raise EventError("missing", "$", "a verdict has a key")
            self._take(record.key.decode(), line, record.offset)
        except EventError as error:
            self._reject(record, error)
        except (orjson.JSONDecodeError, UnicodeDecodeError):
            self._reject(record, EventError("not_json", "$", "a verdict is one JSON object"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._reject(record, EventError("wrong_type", "$", f"no verdict of ours: {error}"))

    def _take_monitoring(self, record: Record) -> None:
        if record.value is None or self.monitoring.is_marker(record):
            return
        try:
            self._advance(self.monitoring.apply(record))
        except EventError as error:
            self._reject(record, error)

    def _take_ledger(self, record: Record) -> None:
        try:
            as_of = self.contracts.apply(record)
        except orjson.JSONDecodeError:
            self._reject(record, EventError("not_json", "$", "a record of the ledger is one JSON object"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._reject(record, EventError("wrong_type", "$", f"no record of ours: {error}"))
        else:
            if as_of is not None:
                self._advance(as_of)

    def _take(self, clock: str, line: dict[str, object], offset: int) -> None:
        counted = counted_from_verdict(line)
        age = Age(counted.as_of, int(str(line.get("revision") or 0)))
        # Without transactions a worker that slept past its session may repeat a verdict after a newer one.
        if self._progress.get(clock, -1) < offset and self._newest.get(clock, OLDEST) <= age:
            old = self.clocks.get(clock)
            is_withdrawn = line.get("is_withdrawn") is True
            moved_on = is_withdrawn and old is not None and old.service != counted.service
            if not moved_on:
                self._dirty[clock] = offset
                self._newest[clock] = age
                if old is not None and (is_withdrawn or old.tally_key != counted.tally_key):
                    self._put(clock, old, None)
                if is_withdrawn:
                    self.clocks.pop(clock, None)
                else:
                    self.clocks[clock] = counted
                    self._note_breach(line, counted)
                    self._put(clock, counted, counted.contribution)
        self._advance(counted.as_of)

    def _note_breach(self, line: dict[str, object], counted: Counted) -> None:
        breach_id, at = line.get("breach_id"), _instant(line.get("breached_at"))
        if isinstance(breach_id, str) and at is not None:
            key = (*counted.tally_key, counted.contribution.priority)
            known = self.newest_breaches.get(key)
            if known is None or known[1] < at:
                self.newest_breaches[key] = breach_id, at

    def _put(self, clock: str, counted: Counted, contribution: Contribution | None) -> None:
        key = counted.tally_key
        tally = self.tallies.get(key)
        if tally is None:
            rule = self._rule(key)
            if rule is None:
                return
            agreement = rule.agreement
            periods = self._periods.setdefault(agreement.name, Periods(agreement.objective.period, agreement.calendar))
            tally = self.tallies[key] = Tally(agreement, periods, self.time)
        tally.advance(self.time)
        tally.put(clock, contribution)
        if counted.contribution.stopped_at is not None:
            tally.finished.version += 1  # its open time may be another one, though it stopped then
        if tally.agreement.exclusions:
            self._put_for_money(clock, tally, key, None if counted.is_excluded else contribution)
        self._touched[key] = None
        self._plan(key, tally)

    def _put_for_money(self, clock: str, tally: Tally, key: TallyKey, contribution: Contribution | None) -> None:
        money = self._counted_for_money.get(key)
        if money is None:
            money = self._counted_for_money[key] = Tally(tally.agreement, tally.calendar_periods, self.time)
        money.advance(self.time)
        money.put(clock, contribution)

    def _plan(self, key: TallyKey, tally: Tally) -> None:
        """Keeps one wake for each tally, its earliest: an entry for each clock would make every wake cost them all."""
        wake_at, planned = tally.wake_at, self._planned.get(key)
        if wake_at is not None and (planned is None or wake_at < planned):
            self._planned[key] = wake_at
            heapq.heappush(self._heap, (wake_at, key))

    def _rule(self, key: TallyKey) -> Rule | None:
        """None for a promise that the policy no longer has: its clocks are kept and not counted."""
        return self.book.by_name.get((key[1], key[2]))

    def _advance(self, time: int) -> None:
        if time <= self.time:
            return
        before, self.time = self.time, Instant(time)
        self.monitoring.advance(self.time)
        self.contracts.advance(before, self.time)
        heap = self._heap
        while heap and heap[0][0] <= self.time:
            at, key = heapq.heappop(heap)
            if self._planned.get(key) != at:
                continue
            del self._planned[key]
            tally = self.tallies[key]
            tally.advance(self.time)
            self._touched[key] = None
            self._plan(key, tally)

    @property
    def wake_at(self) -> int | None:
        wakes = (self._heap[0][0] if self._heap else None, self.monitoring.wake_at, self.contracts.wake_at)
        planned = [at for at in wakes if at is not None]
        return max(min(planned), self.monitoring.silent_until) if planned else None

    @property
    def ticks_allowed(self) -> bool:
        return True

    # ---- output --------------------------------------------------------------------------------------------------

    def pass_over(self, offset: int) -> bool:  # noqa: ARG002  # the protocol's
        """A verdict stands in the partition of its service, whatever its key: none is in the wrong one."""
        return False

    def has_changes(self) -> bool:
        return self._has_changes

    def cut(self) -> Cut:
        state: list[tuple[bytes, bytes | None]] = []
        for clock, offset in self._dirty.items():
            counted = self.clocks.get(clock)
            self._progress[clock] = offset
            plain = None if counted is None else [*counted[:3], _plain(counted.contribution), *counted[4:]]
            state.append((clock.encode(), orjson.dumps([VERSION, offset, plain, list(self._newest[clock])])))
        self.cuts += 1
        monitored = self.monitoring.cut(self.time, self.cuts)
        state.extend(monitored.state)
        changes, lines = self.contracts.cut(self.time)
        state.extend(changes)
        meta = [VERSION, self.offset, self.time, self.monitoring.backfill_at, self.other_offsets, self.cuts]
        state.append((META_KEY, orjson.dumps(meta)))
        for key in self._touched:
            self._publish(key)
        outputs, self._outputs = [*self._outputs, *monitored.copies, *lines], []
        counts, self.monitoring.counts = self.monitoring.counts, Counts()
        self._dirty.clear()
        self._touched.clear()
        self._has_changes = False
        return Cut(state, [*outputs, *monitored.said], counts, monitored.announced, len(outputs))

    def _publish(self, key: TallyKey) -> None:
        service, agreement_name, promise = key
        tally = self.tallies[key]
        tally.advance(self.time)
        lines = list(tally.lines(every=False))
        for line in lines:
            message = compliance_line(service or None, tally.agreement, promise, line)
            window = message["window"]
            start = (
                None if tally.rolling is not None else window["start"]
            )  # the newest of a rolling period replaces the last
            name = orjson.dumps([service, agreement_name, promise, window["kind"], start])
            self._outputs.append(Output(COMPLIANCE, service.encode(), name, orjson.dumps(message)))
        if is_credited(tally.agreement, promise):
            money = self._counted_for_money.get(key)
            if money is not None:
                money.advance(self.time)
                lines = list(money.lines(every=False))
            self._outputs += (self._part(key, tally, line) for line in lines)

    def _part(self, key: TallyKey, tally: Tally, line: Line) -> Output:
        """What the statement of the agreement is made of."""
        service, _, promise = key
        met, total = line.counts.of(tally.agreement.objective.basis)
        window = None if tally.rolling is not None else (line.start, line.end)
        return part_output(tally.agreement, service, promise, window, Result(Fraction(met), Fraction(total)), self.time)

    def _reject(self, record: Record, error: EventError) -> None:
        self.monitoring.counts.rejected[record.topic, error.reason] += 1
        self._outputs.append(rejected_output(record, error))


def counted_from_verdict(line: dict[str, object]) -> Counted:
    """What a verdict counts for. Raises KeyError, TypeError or ValueError for what is no verdict of ours."""
    get = line.get
    status, target, calendar = str(line["status"]), get("target_seconds"), get("calendar")
    return Counted(
        service=str(get("service") or ""),
        agreement=str(line["agreement"]),
        promise=str(line["promise"]),
        contribution=Contribution(
            status,
            parse_instant(str(line["started_at"])),
            _instant(get("due_at")),
            _instant(get("stopped_at")),
            None if get("priority") is None else str(get("priority")),
            _signs(get("signs")),
        ),
        as_of=parse_instant(str(line["as_of"])),
        elapsed_us=_us(line["elapsed_seconds"]),
        is_at_risk=get("is_at_risk") is True,
        target_us=None if target is None else _us(target),
        calendar=intern(calendar) if isinstance(calendar, str) else None,
        is_excluded=get("excluded") is not None,
    )


def _us(seconds: object) -> int:
    if isinstance(seconds, int):
        return seconds * 1_000_000
    return round(float(str(seconds)) * 1_000_000)


def _signs(found: object) -> Signs:
    return Signs(*(int(found.get(name, 0)) for name in Signs._fields)) if isinstance(found, dict) else NO_SIGNS


def _plain(contribution: Contribution) -> list[object]:
    """orjson refuses named tuples."""
    *values, signs = contribution
    return values if signs is NO_SIGNS else [*values, list(signs)]


def _contribution(plain: Sequence[Any]) -> Contribution:
    status, started_at, due_at, stopped_at, priority, *signs = plain
    return Contribution(status, started_at, due_at, stopped_at, priority, Signs(*signs[0]) if signs else NO_SIGNS)


def _instant(text: object) -> Instant | None:
    return None if text is None else parse_instant(str(text))
