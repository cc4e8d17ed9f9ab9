"""The figures of the UCI log's report, computed from the raw file by other means.

It imports nothing of the program and reads neither its events nor its policy: times are minutes, opening hours are counted
day by day, and each of the two promises of `examples/uci` is walked through by hand. Rules are those of `semantics.md`.
"""

import csv
import hashlib
import itertools
import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

DAY = 24 * 60
OPENS, CLOSES = 14 * 60, 23 * 60
PER_DAY = CLOSES - OPENS
EPOCH_WEEKDAY = 3
STATUS = {
    "New": "new", "Active": "open", "Awaiting User Info": "pending", "Awaiting Problem": "hold", "Awaiting Vendor": "hold",
    "Awaiting Evidence": "hold", "Resolved": "resolved", "Closed": "closed",
}  # fmt: skip
PRIORITY = {"1 - Critical": "P1", "2 - High": "P2", "3 - Moderate": "P3", "4 - Low": "P4"}
CLOSURE = {"P1": 228, "P2": 0, "P3": 62 * 60, "P4": 134 * 60}
RESOLUTION = {"P1": 4 * 60, "P2": 8 * 60, "P3": 27 * 60, "P4": 45 * 60}


def minute(text: str) -> int:
    at = datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
    return round(at.timestamp()) // 60


# ---- opening hours: Monday to Friday 14:00 to 23:00 ------------------------------------------------------------------


def is_working_day(day: int) -> bool:
    return (day + EPOCH_WEEKDAY) % 7 < 5


def worked_before(at: int) -> int:
    """Open minutes from the epoch's day to an instant."""
    day, rest = divmod(at, DAY)
    weeks, days = divmod(day, 7)
    whole = weeks * 5 + sum(is_working_day(one) for one in range(days))
    return whole * PER_DAY + (min(max(rest - OPENS, 0), PER_DAY) if is_working_day(day) else 0)


def worked(start: int, end: int) -> int:
    return max(0, worked_before(end) - worked_before(start))


def is_open(at: int) -> bool:
    return is_working_day(at // DAY) and OPENS <= at % DAY < CLOSES


def next_opening(at: int) -> int:
    """The instant itself while it is open."""
    while not is_open(at):
        day, rest = divmod(at, DAY)
        at = day * DAY + OPENS if is_working_day(day) and rest < OPENS else (day + 1) * DAY
    return at


def after(start: int, minutes: int) -> int:
    """The first instant at which so many open minutes have passed."""
    if minutes <= 0:
        return start
    at = next_opening(start)
    while True:
        left = CLOSES - at % DAY
        if minutes <= left:
            return at + minutes
        minutes -= left
        at = next_opening(at // DAY * DAY + DAY)


def five_days_after(at: int) -> int:
    """Five business days: the same time of the fifth working day, within its hours."""
    at = next_opening(at)
    day = at // DAY
    for _ in range(5):
        day += 1
        while not is_working_day(day):
            day += 1
    return day * DAY + at % DAY


# ---- the clocks ------------------------------------------------------------------------------------------------------


@dataclass
class Update:
    at: int
    status: str
    priority: str
    group: str | None
    assignee: str | None


@dataclass
class Cycle:
    """`since`: the start of the present stretch; `used`: open minutes of the stretches before it that count."""

    start: int
    target: int
    is_paused: bool
    since: int = 0
    used: int = 0
    stopped: int | None = None
    broken: int | None = None
    fixed_due: int | None = None
    labels: Update | None = None
    pauses: int = 0
    near_due: int = 0
    changed_late: int = 0
    reopened: int = 0
    moved: int | None = None
    target_before: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)

    def elapsed(self, at: int) -> int:
        return self.used + (0 if self.is_paused or self.stopped is not None else worked(self.since, at))

    def close_stretch(self, at: int) -> None:
        if not self.is_paused:
            self.used += worked(self.since, at)
            self.spans.append((self.since, at))
        self.since = at

    def due(self) -> int | None:
        """None while it stands still."""
        if self.fixed_due is not None:
            return self.fixed_due
        return None if self.is_paused and self.stopped is None else self.due_from(self.since)

    def due_from(self, since: int) -> int:
        left = self.target - self.used
        if left > 0:
            return after(since, left)
        before = 0
        for start, end in self.spans:
            if before + worked(start, end) >= self.target:
                return after(start, self.target - before)
            before += worked(start, end)
        return self.start

    def has_warned(self, at: int, marks: tuple[int, ...]) -> bool:
        """Had it warned by `at`, or is it late? What an update puts at its own instant has not happened yet at that instant."""
        target = self.target_before if self.moved == at else self.target
        for mark in marks:
            used, needed = 0, Fraction(target * mark, 100)
            now = [] if self.is_paused else [(self.since, at)]
            for start, end in [*self.spans, *now]:
                if used + worked(start, end) >= needed and after(start, -int(-(needed - used) // 1)) < at:
                    return True
                used += worked(start, end)
        return self.broken is not None and self.broken < at

    def pass_time(self, at: int) -> None:
        """A breach that lies before `at` happens: the first open instant at which more than the target is used."""
        if self.broken is None and self.stopped is None and not self.is_paused:
            due = self.due_from(self.since)
            beyond = next_opening(max(due, self.since))
            if beyond < at:
                self.broken, self.fixed_due = beyond, due


def clocks(
    opened: int, updates: list[Update], end: int, targets: dict[str, int], stops: set[str], pauses: set[str],
    may_reopen: bool, reassesses: bool, marks: tuple[int, ...],
) -> list[Cycle]:  # fmt: skip
    """What becomes of one promise of a ticket by `end`."""
    first = updates[0]
    cycle = Cycle(opened, targets[first.priority], first.status in pauses, since=opened)
    cycles, priority, status = [cycle], first.priority, ""
    cycle.pauses = int(cycle.is_paused)
    for update in updates:
        at, was = update.at, status
        status = update.status
        cycle.pass_time(at)
        if cycle.stopped is None and status in stops:
            cycle.fixed_due = cycle.due() if not cycle.is_paused else cycle.fixed_due or cycle.due_from(at)
            cycle.close_stretch(at)
            cycle.stopped, cycle.labels = at, update
        elif cycle.stopped is None:
            if update.priority != priority:
                cycle.changed_late += cycle.has_warned(at, marks)
                retarget(cycle, targets[update.priority], at, reassesses)
            if (status in pauses) != cycle.is_paused:
                cycle.pauses += not cycle.is_paused
                cycle.near_due += (
                    cycle.broken is None and cycle.elapsed(at) * 10 >= cycle.target * 9 > 0 and not cycle.is_paused
                )
                cycle.close_stretch(at)
                cycle.is_paused = status in pauses
        elif was in ("resolved", "closed") and status not in ("resolved", "closed"):
            cycle.reopened += 1
            if not may_reopen:
                pass
            elif at <= five_days_after(cycle.stopped):
                if cycle.broken is None:
                    cycle.fixed_due = None
                cycle.stopped, cycle.labels, cycle.since, cycle.is_paused = None, None, at, status in pauses
                cycle.pauses += cycle.is_paused
                if cycle.broken is None:
                    retarget(cycle, targets[update.priority], at, reassesses)
            else:
                cycle = Cycle(at, targets[update.priority], status in pauses, since=at, pauses=int(status in pauses))
                cycles.append(cycle)
        priority = update.priority
    cycle.pass_time(end)
    for one in cycles:
        one.labels = one.labels or updates[-1]
    return cycles


def retarget(cycle: Cycle, target: int, at: int, reassesses: bool) -> None:
    """Another target from the original start on; a breach stays, unless it is reassessed."""
    if cycle.broken is not None and not reassesses:
        return
    if cycle.moved != at:
        cycle.moved, cycle.target_before = at, cycle.target
    cycle.target, cycle.fixed_due = target, None
    if cycle.elapsed(at) > target:
        cycle.fixed_due = cycle.due_from(cycle.since)
        cycle.broken = at if cycle.broken is None else cycle.broken
    else:
        cycle.broken = None


# ---- the report ------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    ticket: str
    promise: str
    number: int
    cycle: Cycle

    @property
    def is_met(self) -> bool:
        return self.cycle.stopped is not None and self.cycle.broken is None


@dataclass
class Ticket:
    number: str
    opened: int
    updates: list[Update]


def read_tickets(file: Path, end: int) -> list[Ticket]:
    """The tickets with what happened to them before `end`."""
    found: dict[str, list[tuple[int, int, dict[str, str]]]] = defaultdict(list)
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            at = minute(row["sys_updated_at"])
            if at < end:
                found[row["number"]].append((at, int(row["sys_mod_count"]), row))
    tickets = []
    for number, rows in sorted(found.items()):
        rows.sort(key=lambda one: one[:2])
        updates: list[Update] = []
        group: str | None = None
        assignee: str | None = None
        for at, _, row in rows:
            group = group if row["assignment_group"] == "?" else row["assignment_group"]
            assignee = assignee if row["assigned_to"] == "?" else row["assigned_to"]
            status, priority = STATUS.get(row["incident_state"], "open"), PRIORITY[row["priority"]]
            updates.append(Update(at, status, priority, group, assignee))
        tickets.append(Ticket(number, min(minute(rows[0][2]["opened_at"]), rows[0][0]), updates))
    return tickets


def clocks_of(tickets: Iterable[Ticket], end: int) -> Iterator[Clock]:
    for ticket in tickets:
        closure = clocks(ticket.opened, ticket.updates, end, CLOSURE, {"closed"}, set(), False, True, ())
        resolution = clocks(
            ticket.opened,
            ticket.updates,
            end,
            RESOLUTION,
            {"resolved", "closed"},
            {"pending", "hold"},
            True,
            False,
            (50, 75, 90),
        )
        for promise, cycles in (("closure", closure), ("resolution", resolution)):
            for number, cycle in enumerate(cycles, 1):
                yield Clock(ticket.number, promise, number, cycle)


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def month(text: str) -> tuple[int, int]:
    start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    return round(start.timestamp()) // 60, round(end.timestamp()) // 60


Shares = dict[str, tuple[int, int]]


def belongs(clock: Clock, basis: str, start: int, end: int) -> bool:
    at = {"completed": clock.cycle.stopped, "due": clock.cycle.due(), "started": clock.cycle.start}[basis]
    return at is not None and start <= at < end


def shares(clocks: Iterable[Clock], start: int, end: int) -> Shares:
    """(met, total) by basis."""
    known = list(clocks)
    found = {}
    for basis in ("completed", "due", "started"):
        counted = [one.is_met for one in known if belongs(one, basis, start, end)]
        found[basis] = (sum(counted), len(counted))
    return found


@dataclass
class Control:
    """Minutes. `inside` are the tickets within the limits, `broken` counts those that break rules 1 to 4."""

    tickets: int
    middle: Fraction
    ninetieth: int
    lower: Fraction
    upper: Fraction
    inside: int
    broken: list[int]


def middle_of(values: list[int]) -> Fraction:
    ordered, half = sorted(values), len(values) // 2
    return Fraction(ordered[half] + ordered[-half - 1], 2) if len(values) % 2 == 0 else Fraction(ordered[half])


def identity(clock: Clock) -> str:
    """What orders clocks that stopped at one instant; both promises have one cycle or more, numbered from 1."""
    parts = json.dumps([clock.ticket, "desk", clock.promise, clock.number], separators=(",", ":"))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def control(clocks: Iterable[Clock], start: int, end: int) -> Control:
    """The XmR chart with limits by medians of the clocks that stopped in `[start, end)`."""
    ended = [one for one in clocks if one.cycle.stopped is not None and start <= one.cycle.stopped < end]
    ended.sort(key=lambda one: (one.cycle.stopped or 0, identity(one)))
    values = [one.cycle.used for one in ended]
    middle = middle_of(values)
    natural = Fraction(3145, 1000) * middle_of([abs(a - b) for a, b in itertools.pairwise(values)])
    lower, upper = max(Fraction(0), middle - natural), middle + natural
    third = natural / 3
    broken = [0, 0, 0, 0]
    for sign in (1, -1):
        zone = [(value - middle) * sign / third for value in values]
        for index, here in enumerate(zone):
            before = zone[max(0, index - 7) : index + 1]
            broken[0] += here > 3
            broken[1] += here > 2 and sum(one > 2 for one in before[-3:]) >= 2
            broken[2] += here > 1 and sum(one > 1 for one in before[-5:]) >= 4
            broken[3] += here > 0 and sum(one > 0 for one in before) >= 8
    ninetieth = sorted(values)[-(-9 * len(values) // 10) - 1]
    inside = sum(middle - natural <= value <= upper for value in values)
    return Control(len(values), middle, ninetieth, lower, upper, inside, broken)


# ---- who had the tickets ---------------------------------------------------------------------------------------------

Holder = tuple[str, str | None]
"""Party and group."""
Trail = list[tuple[int, Holder | None]]


def holder(update: Update) -> Holder:
    if update.status == "pending":
        return "requester", None
    if update.status == "hold":
        return "provider", None
    return ("group", update.group) if update.group or update.assignee else ("idle", None)


def trail_of(ticket: Ticket) -> Trail:
    """(from when on, who has it), None while it is resolved or closed; of one minute the last update counts."""
    last_of_minute: dict[int, Holder | None] = {}
    if ticket.opened < ticket.updates[0].at:
        last_of_minute[ticket.opened] = holder(ticket.updates[0])
    for update in ticket.updates:
        last_of_minute[update.at] = None if update.status in ("resolved", "closed") else holder(update)
    return sorted(last_of_minute.items())


def time_in(trail: Trail, start: int, end: int) -> Counter[Holder]:
    """Open minutes of each holder in `[start, end)`."""
    spent: Counter[Holder] = Counter()
    for (since, who), until in zip(trail, [*(at for at, _ in trail[1:]), end], strict=True):
        if who is not None:
            spent[who] += worked(max(since, start), min(until, end))
    return +spent


def handoffs(trail: Trail) -> int:
    holders = [who for _, who in trail if who is not None]
    return sum(before != after for before, after in itertools.pairwise(holders))


def is_closed_in(trail: Trail, start: int, end: int) -> bool:
    return first_closing(trail, start, end) is not None


def first_closing(trail: Trail, start: int, end: int) -> int | None:
    """Its place; an update of a ticket that is closed already is none."""
    for index, (at, who) in enumerate(trail):
        if who is None and start <= at < end and (index == 0 or trail[index - 1][1] is not None):
            return index
    return None


def is_reopened(trail: Trail, start: int, end: int) -> bool:
    first = first_closing(trail, start, end)
    return first is not None and any(who is not None for _, who in trail[first:])


def cause(cycle: Cycle, trail: Trail) -> tuple[Holder, int]:
    """Who had the ticket for the most of what a broken clock had used, and for how long."""
    assert cycle.broken is not None
    running = [*cycle.spans, *([] if cycle.is_paused or cycle.stopped is not None else [(cycle.since, cycle.broken)])]
    spent: Counter[Holder] = Counter()
    for start, end in running:
        if start < cycle.broken:
            spent.update(time_in(trail, start, min(end, cycle.broken)))
    if not spent:
        return ("none", None), 0
    return min(spent.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or ""))


def ages(tickets: Iterable[Ticket], clocks: Iterable[Clock], end: int) -> dict[int, tuple[int, int, int]]:
    """Open tickets by the first day of their bucket: (in time, breached, without a running promise)."""
    late: dict[str, bool] = {}
    for clock in clocks:
        if clock.cycle.stopped is None:
            late[clock.ticket] = late.get(clock.ticket, False) or clock.cycle.broken is not None
    counts: Counter[tuple[int, str]] = Counter()
    for ticket in tickets:
        if ticket.updates[-1].status in ("resolved", "closed"):
            continue
        days = Fraction(end - ticket.opened, DAY)
        bucket = max(first for first in (0, 1, 2, 7, 14, 30, 90) if days >= first)
        state = "without" if ticket.number not in late else "late" if late[ticket.number] else "in time"
        counts[bucket, state] += 1
    return {
        first: (counts[first, "in time"], counts[first, "late"], counts[first, "without"])
        for first in (0, 1, 2, 7, 14, 30, 90)
    }
