"""What stage 2 knows of contracts: whose time tickets were, their ratings, what contracts cover, and what they cost.

It comes from `sla.ledger`: records of tickets, written by stage 1 (`telling`), and *parts*, written by stage 2 itself. A part is
what one promise of one service reached in one period; it goes to the partition of its agreement, because a cap and a
statement are of the agreement, whose services live in many partitions. The newest record of a key counts, so that a
repetition changes nothing; one that is replaced is taken out as it was put in.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import orjson

from slastream.core.calendars import Calendar
from slastream.core.contracts import Felt, PeriodsOf, statements_by_period, windows_of
from slastream.core.credits import NOTHING, ItemKey, Result, Statement, is_credited, item_key
from slastream.core.experience import TICKET_VERDICTS, Experience, Rated, Scores, TicketVerdict, experience_of
from slastream.core.periods import ROLLING, Periods
from slastream.core.policies import Agreement, Policy
from slastream.core.rules import Rulebook
from slastream.core.scopes import Covered, ScopeCounts, ScopeReport
from slastream.core.units import Duration, Instant, format_instant, parse_instant
from slastream.stream.stage import Output, Record
from slastream.stream.telling import LEDGER
from slastream.wire.contract_lines import experience_line, scope_line, statement_line
from slastream.wire.lines import Json

COMPLIANCE = "sla.compliance"
PREFIX = b"\x02"
"""Keys of this state in the table begin with it."""
VERSION = 2
LISTED = 1000
"""Tickets out of scope that a line of the stream lists at most."""
NEVER = Instant(2**62)

Hand = tuple[str, str, str]
"""(service, group, party), as the metric has them."""
Pair = tuple[str, str]
"""(service, agreement)."""
Period = tuple[Instant, Instant]
FeltKey = tuple[str, str, str | None, str, Period | None]
"""(service, agreement, promise, window, period); None: a rolling window."""


class Ledgered(NamedTuple):
    """A ticket with one service: time that is over by hand, and who has it now (None: nobody there)."""

    parts: tuple[tuple[Hand, int], ...]
    now: tuple[Hand, str, Instant] | None  # hand, calendar, since


class Chained(NamedTuple):
    """A supporting clock that no longer fits from `misfits_at` on."""

    service: str
    agreement: str
    support: str
    misfits_at: Instant


class Part(NamedTuple):
    agreement: str
    service: str
    promise: str
    window: Period | None  # None: a rolling one, as of then
    met: Fraction
    total: Fraction


Said = Ledgered | Rated | Covered | tuple[Chained, ...] | Part
"""What a record says."""


@dataclass(slots=True)
class OpenTime:
    """Time of a hand: what is over, and of each calendar how many have it now and the sum of their beginnings."""

    closed_us: int = 0
    holding: dict[str, list[int]] = field(default_factory=dict)

    def at(self, time: Instant, measure: Callable[[str, Instant], int]) -> Duration:
        """All of it at `time`. `measure` is the open time of a calendar from its zero on."""
        running = sum(count * measure(name, time) - begun for name, (count, begun) in self.holding.items() if count)
        return Duration(max(0, self.closed_us + running))


class ContractState:
    """Of one partition of stage 2."""

    def __init__(self, book: Rulebook) -> None:
        self.policy: Policy = book.policy
        self.hands: dict[Hand, OpenTime] = {}
        self.scores: dict[tuple[str, TicketVerdict], Scores] = {}
        self.chained: dict[tuple[str, str, str], list[Instant]] = {}
        """(service, agreement, supporting agreement) to the instants from which on its clocks do not fit."""
        self.scopes: dict[str, dict[Period, ScopeCounts]] = {}
        self.parts: dict[str, dict[Period | None, dict[tuple[str, str], Part]]] = {}
        self._agreements = {one.name: one for one in book.policy.agreements}
        self._said: dict[bytes, Said] = {}
        self._offsets: dict[bytes, int] = {}
        self._progress: dict[bytes, int] = {}
        self._felt: dict[FeltKey, Experience] = {}
        self._rolling: dict[Pair, dict[bytes, Rated]] = {}
        self._periods: dict[tuple[str, str], Periods] = {}
        self._written: dict[bytes, bytes] = {}
        self._touched_agreements: dict[str, set[Period | None]] = {}
        self._touched_felt: dict[FeltKey, None] = {}
        self._touched_scopes: dict[tuple[str, Period], None] = {}
        self._published: dict[bytes, int] = {}
        self._ends: dict[str, Instant] = {}
        """When the running period of an agreement ends of which a statement or a scope is published."""

    # ---- records -------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> Instant | None:
        """Takes a record of `sla.ledger`; returns the time that it is of.

        Raises KeyError, TypeError, ValueError or AttributeError for one that is none of ours.
        """
        key, value = record.key, record.value
        if key is None or value is None:
            return None
        line = orjson.loads(value)
        as_of = parse_instant(line["as_of"])
        if record.offset <= self._offsets.get(key, -1) or line["progress"] < self._progress.get(key, -1):
            return as_of
        self._take(key, line, record.offset)
        self._written[PREFIX + key] = b"[%d,%d,%b]" % (VERSION, record.offset, value)
        return as_of

    def _take(self, key: bytes, line: Json, offset: int) -> None:
        said = None if line.get("is_withdrawn") is True else self._read(line)
        self._offsets[key], self._progress[key] = offset, line["progress"]
        old = self._said.pop(key, None)
        if old is not None:
            self._count(key, old, -1)
        if said is not None:
            self._said[key] = said
            self._count(key, said, 1)

    def restore(self, key: bytes, value: bytes) -> None:
        _, offset, line = orjson.loads(value)
        self._take(key[len(PREFIX) :], line, offset)

    def restored(self, time: Instant) -> None:
        self._touched_felt.clear()
        self._touched_scopes.clear()
        self._touched_agreements.clear()
        for name in {*self.scopes, *self.parts}:
            self._plan(name, time)

    def _read(self, line: Json) -> Said | None:
        match line["kind"]:
            case "ledger":
                return _ledgered(line)
            case "rating":
                return _rated(line)
            case "scope":
                return _covered(line)
            case "chains":
                return tuple(_chained(line))
            case "part":
                return _part(line)
            case _:
                return None

    def _count(self, key: bytes, said: Said, sign: int) -> None:
        match said:
            case Ledgered():
                self._count_time(said, sign)
            case Rated():
                self._count_rating(key, said, sign)
            case Covered():
                self._count_covered(said, sign)
            case Part():
                self._count_part(said, sign)
            case _:
                for one in said:
                    found = self.chained.setdefault((one.service, one.agreement, one.support), [])
                    if sign > 0:
                        found.append(one.misfits_at)
                    else:
                        found.remove(one.misfits_at)

    def _count_time(self, said: Ledgered, sign: int) -> None:
        for hand, us in said.parts:
            self.hands.setdefault(hand, OpenTime()).closed_us += sign * us
        if said.now is not None:
            hand, calendar, since = said.now
            holding = self.hands.setdefault(hand, OpenTime()).holding.setdefault(calendar, [0, 0])
            holding[0] += sign
            holding[1] += sign * self.open_since_zero(calendar, since)

    def open_since_zero(self, calendar: str, at: Instant) -> int:
        """Open time of a calendar from 1970 on; one that the policy no longer has counts as 24x7."""
        calendars = self.policy.calendars
        found: Calendar = calendars[calendar] if calendar in calendars else calendars["24x7"]
        return found.open_between(Instant(0), at)

    # ---- experience ----------------------------------------------------------------------------------------------

    def _count_rating(self, key: bytes, one: Rated, sign: int) -> None:
        pair, moods = (one.service or "", one.agreement or ""), self.policy.moods
        self.scores.setdefault((pair[0], one.verdict), Scores()).put(one.score, moods, sign)
        agreement = self._agreements.get(pair[1])
        for promise, window in windows_of(agreement):
            if window in ROLLING:
                ratings = self._rolling.setdefault(pair, {})
                if sign > 0:
                    ratings[key] = one
                else:
                    del ratings[key]
                self._touched_felt[*pair, promise, window, None] = None
            else:
                period = self._periods_of(agreement, window).of(one.at)
                name = (*pair, promise, window, period)
                self._felt.setdefault(name, Experience()).by_verdict[one.verdict].put(one.score, moods, sign)
                self._touched_felt[name] = None

    def felt(self, name: FeltKey, time: Instant) -> Felt:
        """What a service and agreement have of ratings in a window; of a rolling one that which ends at `time`."""
        service, agreement, promise, window, period = name
        if period is not None:
            found = self._felt.get(name, Experience())
        else:
            period = Instant(time - ROLLING[window]), time
            ratings = self._rolling.get((service, agreement), {}).values()
            found = experience_of((one for one in ratings if period[0] < one.at <= time), self.policy.moods)
        return Felt(service or None, self._agreements.get(agreement), promise, window, *period, found)

    # ---- scope ---------------------------------------------------------------------------------------------------

    def _count_covered(self, one: Covered, sign: int) -> None:
        agreement = self._agreements.get(one.agreement)
        if agreement is None or agreement.scope is None:
            return
        period = self._periods_of(agreement, agreement.scope.period).of(one.opened_at)
        self.scopes.setdefault(agreement.name, {}).setdefault(period, ScopeCounts()).put(one, sign)
        self._touched_scopes[agreement.name, period] = None

    def scope_report(self, name: str, period: Period, time: Instant) -> ScopeReport | None:
        agreement = self._agreements.get(name)
        if agreement is None or agreement.scope is None:
            return None
        counts = self.scopes.get(name, {}).get(period, ScopeCounts())
        return counts.report(agreement, agreement.scope, *period, time)

    def running_scope(self, name: str, time: Instant) -> ScopeReport | None:
        agreement = self._agreements.get(name)
        if agreement is None or agreement.scope is None:
            return None
        return self.scope_report(name, self._periods_of(agreement, agreement.scope.period).of(time), time)

    # ---- money ---------------------------------------------------------------------------------------------------

    def _count_part(self, one: Part, sign: int) -> None:
        period = self.parts.setdefault(one.agreement, {}).setdefault(one.window, {})
        if sign > 0:
            period[one.service, one.promise] = one
        else:
            period.pop((one.service, one.promise), None)
        self._touched_agreements.setdefault(one.agreement, set()).add(one.window)

    def statements(self, name: str, time: Instant, touched: set[Period | None]) -> list[Statement]:
        """Of an agreement, of these periods (None: the rolling one) and those that they may earn back."""
        agreement = self._agreements.get(name)
        if agreement is None or agreement.credits is None:
            return []
        periods = PeriodsOf(agreement.objective.period, agreement.calendar, time)
        running = periods.of(time)
        results: dict[Period, dict[ItemKey, Result]] = {}
        for period, parts in self.parts.get(name, {}).items():
            at = running if period is None else period
            if at is not None:
                results[at] = _results(agreement, parts.values())
        only = {at for period in touched if (at := running if period is None else period) is not None}
        return list(statements_by_period(agreement, results, periods, time, only))

    def exposures(self, time: Instant) -> Iterator[Statement]:
        """The statement of the running period of each agreement that is added up here."""
        for name in self.parts:
            agreement = self._agreements.get(name)
            if agreement is not None:
                running = self._running(agreement, time)
                yield from (one for one in self.statements(name, time, {running}) if not one.is_final)

    def _running(self, agreement: Agreement, time: Instant) -> Period | None:
        kind = agreement.objective.period
        return None if kind in ROLLING else self._periods_of(agreement, kind).of(time)

    # ---- time ----------------------------------------------------------------------------------------------------

    def _periods_of(self, agreement: Agreement | None, period: str) -> Periods:
        """In the agreement's zone; without one in the policy's."""
        name = "" if agreement is None else agreement.name
        found = self._periods.get((name, period))
        if found is None:
            calendar = self.policy.calendars["24x7"] if agreement is None else agreement.calendar
            found = self._periods[name, period] = Periods(period, calendar)
        return found

    def _plan(self, name: str, time: Instant) -> None:
        """Looks at an agreement again when one of its running periods ends."""
        agreement = self._agreements.get(name)
        if agreement is None:
            return
        kinds = [
            *([agreement.scope.period] if agreement.scope is not None else []),
            *([agreement.objective.period] if agreement.credits and agreement.objective.period not in ROLLING else []),
        ]
        ends = [self._periods_of(agreement, kind).of(time)[1] for kind in kinds]
        if ends:
            self._ends[name] = min(ends)

    def advance(self, before: Instant, time: Instant) -> None:
        """Periods that have ended by `time` get their last statement."""
        if not self._ends or min(self._ends.values()) > time:
            return
        for name, end in list(self._ends.items()):
            if end <= time:
                agreement = self._agreements[name]
                touched = self._touched_agreements.setdefault(name, set())
                touched |= {self._running(agreement, before), self._running(agreement, time)}
                if agreement.scope is not None:
                    ended = self._periods_of(agreement, agreement.scope.period).of(before)
                    self._touched_scopes[name, ended] = None
                self._plan(name, time)

    @property
    def wake_at(self) -> Instant | None:
        return min(self._ends.values(), default=None)

    # ---- output --------------------------------------------------------------------------------------------------

    def cut(self, time: Instant) -> tuple[list[tuple[bytes, bytes | None]], list[Output]]:
        state: list[tuple[bytes, bytes | None]] = list(self._written.items())
        self._written.clear()
        outputs: list[Output] = []
        for felt in self._touched_felt:
            outputs += self._experience(felt, time)
        for name, period in self._touched_scopes:
            report = self.scope_report(name, period, time)
            if report is not None and period[0] <= time:
                outputs += self._publish(name, ("scope", name, report.period, period[0]), scope_line(report, LISTED))
                self._plan(name, time)
        for name, touched in self._touched_agreements.items():
            for one in self.statements(name, time, touched):
                is_rolling = one.period in ROLLING
                key = ("statement", name, one.period, None if is_rolling else one.start)
                outputs += self._publish(name, key, statement_line(one, has_evidence=False))
            self._plan(name, time)
        self._touched_felt.clear()
        self._touched_scopes.clear()
        self._touched_agreements.clear()
        return state, outputs

    def _experience(self, name: FeltKey, time: Instant) -> Iterator[Output]:
        service, _, promise, _, period = name
        felt = self.felt(name, time)
        start = None if period is None else period[0]
        yield from self._publish(service, ("experience", *name[:4], start), experience_line(felt))
        agreement = felt.agreement
        if agreement is not None and promise is not None and is_credited(agreement, promise):
            every = felt.experience.all
            yield part_output(
                agreement, service, promise, period, Result(Fraction(every.happy), Fraction(every.ratings)), time
            )

    def _publish(self, partition_key: str, names: tuple[object, ...], line: Json) -> Iterator[Output]:
        """A line that is another than the last of its name."""
        key, value = orjson.dumps(names), orjson.dumps(line)
        if self._published.get(key) != hash(value):
            self._published[key] = hash(value)
            yield Output(COMPLIANCE, partition_key.encode(), key, value)


# ---- parts -----------------------------------------------------------------------------------------------------------


def part_output(
    agreement: Agreement, service: str, promise: str, window: Period | None, result: Result, time: Instant
) -> Output:
    """What a promise reached in a window (None: a rolling one), for the partition of the agreement."""
    line = {
        "kind": "part",
        "agreement": agreement.name,
        "service": service or None,
        "promise": promise,
        "window": None if window is None else {"start": format_instant(window[0]), "end": format_instant(window[1])},
        "met": str(result.met),
        "total": str(result.total),
        "as_of": format_instant(time),
        "progress": time,
    }
    key = orjson.dumps(["part", agreement.name, service, promise, None if window is None else window[0]])
    return Output(LEDGER, agreement.name.encode(), key, orjson.dumps(line))


def _results(agreement: Agreement, parts: Iterable[Part]) -> dict[ItemKey, Result]:
    found: dict[ItemKey, Result] = {}
    for one in parts:
        if agreement.credits is None or not is_credited(agreement, one.promise) or not one.total:
            continue
        key = item_key(agreement.credits, one.service or None, one.promise)
        before = found.get(key, NOTHING)
        found[key] = before._replace(met=before.met + one.met, total=before.total + one.total)
    return found


def _part(line: Json) -> Part:
    window = line["window"]
    period = None if window is None else (parse_instant(window["start"]), parse_instant(window["end"]))
    met, total = Fraction(line["met"]), Fraction(line["total"])
    return Part(line["agreement"], line["service"] or "", line["promise"], period, met, total)


# ---- records of tickets ----------------------------------------------------------------------------------------------


def _ledgered(line: Json) -> Ledgered:
    service, now = line["service"] or "", line["held_by"]
    parts: dict[Hand, int] = {}
    for one in line["parts"]:
        hand = _hand(service, one)
        parts[hand] = parts.get(hand, 0) + round(one["seconds"] * 1_000_000)
    held = None if now is None else (_hand(service, now), line["calendar"], parse_instant(now["since"]))
    return Ledgered(tuple(parts.items()), held)


def _hand(service: str, holder: dict[str, Any]) -> Hand:
    return service, holder["group"] or "", holder["party"]


def _rated(line: Json) -> Rated:
    verdict = line["verdict"]
    if verdict not in TICKET_VERDICTS:
        raise ValueError(f"{verdict!r} is no verdict of a ticket")
    score = Fraction(line["score"], line["scale"])
    return Rated(line["ticket_id"], line["service"], line["agreement"], parse_instant(line["rated_at"]), score, verdict)


def _covered(line: Json) -> Covered:
    opened_at, volumes = parse_instant(line["opened_at"]), tuple(line["volumes"])
    return Covered(
        line["agreement"], line["ticket_id"], opened_at, line["service"], line["type"], line["outside"], volumes
    )


def _chained(line: Json) -> Iterator[Chained]:
    for chain in line["chains"]:
        for one in chain["supports"]:
            if one["misfits_at"] is not None:
                yield Chained(
                    line["service"] or "", chain["agreement"], one["agreement"], parse_instant(one["misfits_at"])
                )
