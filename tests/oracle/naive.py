"""`evaluate`: verdicts and facts of tickets, one clock and one event at a time.

Written from `semantics.md` 1 to 4 and `contract.md` 1 to 3. Where they are silent it does what an operator would
expect:

- `within` and `calendar` make a target; an attribute that selects the same two changes nothing.
- An agreement that begins to match later takes over the clock that would be open if it had matched all along (its
  start and pauses; for `carry` and `restart` only that it runs or is paused). A clock that would have stopped by then
  starts nothing.
- Lost and matched again while the clock was stopped all the time, and reopened after that: the old cycle goes on.
- A clock reopened under another target: the change counts at the reopening; `restart` then is a new cycle, the old
  one stays as it was.
- A breach that `reassess` puts at another instant of the past stays where it was; only target and due instant are
  new.
- `due_at` of an open breached clock is that of the breach, paused or not; under an override it is shown while paused.
- An override belongs to the cycle that is open at its event (a late match takes over an earlier one, `restart` that
  of a cycle not breached); on a breached cycle it only shows. It decides like a time of day, and its marks are shares
  of the time from the start to it, in the promise's hours, without regard to pauses.
- An ownership cycle starts anew when a ticket leaves `cancelled` as well; a run of customer messages ends there.
- `reassess` cancels a breached clock for `no_match` only.
- A target in days that was not late when a pause began is not late at a stop in that pause.
- Marks of a target in days are shares of the time between start and due instant: open time, for calendar days real
  time.
- An automatic message of a requester starts no `next_response`.
- `pause` with `resume` begins when it becomes true (if it looks at the event: each time).
- A breach or a warning that an event puts exactly at its own instant is not in the past: a later event of that
  instant can avoid it.
- Reasons of a cancellation, if several come with one event: merged or deleted, ticket_cancelled, condition, no_match.
- `reopen_window` is measured in the calendar of the target in force. A cancelled status of a ticket is left without
  starting anything that starts at the opening.
- A clock stopped late says `met_late`; going on after a reopening takes that back, the next stop says it again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from .conditions import Json, holds, looks_at_event
from .hours import MINUTE, Hours, duration, micros, of_wall_clock, rfc3339

FOREVER = 10**18
MAX_CLOCK_SKEW = 5 * MINUTE
SHUT = ("resolved", "closed")
WHOLE_TICKET = ("resolution", "closure", "requester_wait", "agent_work", "first_response", "assignment")
REOPENED = ("resolution", "closure", "requester_wait", "agent_work", "custom")
STOPS: Json = {
    "resolution": {"status": list(SHUT)},
    "requester_wait": {"status": list(SHUT)},
    "agent_work": {"status": list(SHUT)},
    "closure": {"status": "closed"},
    "assignment": {"any": [{"assignee": {"exists": True}}, {"status": list(SHUT)}]},
}
PAUSES: Json = {
    "resolution": {"status": "pending"},
    "requester_wait": {"status": "pending"},
    "agent_work": {"status": ["pending", "hold"]},
}
VERDICT_ATTRIBUTES = ("service", "customer", "provider", "group", "assignee", "priority", "type")


@dataclass
class Target:
    """What is promised, and in which hours."""

    within: str
    calendar: str
    hours: Hours

    def same(self, other: "Target") -> bool:
        return (self.within, self.calendar) == (other.within, other.calendar)

    @property
    def length(self) -> int | None:
        """Microseconds of a duration; `None` for days and times of day."""
        return duration(self.within)

    @property
    def in_real_time(self) -> bool:
        return "calendar_day" in self.within

    def own_time(self, start: int, end: int) -> int:
        """Time between two instants as this target counts it."""
        return max(0, end - start) if self.in_real_time else self.hours.open_time(start, end)


@dataclass
class Cycle:
    """One run of a clock. `base`, `banked`: where and with what measuring began (start and nothing, until `carry`)."""

    number: int
    started: int
    target: Target
    base: int
    banked: int = 0
    banked_paused: int = 0
    pauses: list[list[int]] = field(default_factory=list)
    paused_at: int | None = None
    stopped: int | None = None
    cancelled: str | None = None
    breached: int | None = None
    breach_due: int | None = None
    breach_target: Target | None = None
    override: Json | None = None
    override_shown: Json | None = None
    warned: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    group: Any = None

    @property
    def is_open(self) -> bool:
        return self.stopped is None

    def pauses_until(self, end: int) -> list[list[int]]:
        """The pauses, the one that lasts as if it ended at `end`; one that follows another at once is the same."""
        joined: list[list[int]] = []
        for begin, over in sorted(self.pauses + ([[self.paused_at, end]] if self.paused_at is not None else [])):
            if joined and joined[-1][1] == begin:
                joined[-1] = [joined[-1][0], over]
            else:
                joined.append([begin, over])
        return joined

    def stretches(self, resumed: int) -> Iterator[tuple[int, int]]:
        """When the clock moves, from `base` on: open time (for calendar days all time) outside pauses."""
        pieces = iter([(self.base, FOREVER)]) if self.target.in_real_time else self.target.hours.open_from(self.base)
        pauses = self.pauses_until(resumed)
        for begin, end in pieces:
            at = begin
            for p, q in pauses:
                if p < end and q > at:
                    if p > at:
                        yield at, p
                    at = max(at, q)
            if at < end:
                yield at, end
            if begin >= FOREVER or (pauses and pauses[-1][1] >= FOREVER and begin >= pauses[-1][0]):
                return

    def reach(self, amount: int, resumed: int, *, beyond: bool = False) -> int | None:
        """When the elapsed time reaches `amount` (or is about to go beyond it); `None` if it never does as things are.

        An amount used up before `base` gives the moment before it.
        """
        left = amount - self.banked
        if left < 0:
            return self.base - 1
        if left == 0 and not beyond:
            return self.base
        for begin, end in self.stretches(resumed):
            if end - begin > left or (end - begin == left and not beyond):
                return begin + left
            left -= end - begin
        return None

    def due(self, resumed: int = FOREVER) -> int | None:
        """The due instant, if a pause that lasts ended at `resumed`; `None` if it cannot be said."""
        if self.override:
            return int(self.override["at"])
        if self.target.length is not None:
            at = self.reach(self.target.length, resumed)
            return at if at is None else max(at, self.base)
        at = self.target.hours.due(self.started, self.target.within)
        for p, q in self.pauses_until(resumed):
            if p <= at:
                if q == FOREVER:
                    return None
                lost = self.target.own_time(p, q)
                at = at + lost if self.target.in_real_time else self.target.hours.advance(at, lost)
        return at

    def late_from(self) -> int | None:
        """The instant of the breach, as things are."""
        if self.override or self.target.length is None:
            return self.due()
        return self.reach(self.target.length, FOREVER, beyond=True)

    def is_late_at(self, stop: int) -> bool:
        if self.override or self.target.length is None:
            due = self.due(stop)
            stands_since = self.pauses_until(stop)[-1][0] if self.paused_at is not None and not self.override else stop
            return due is not None and due < min(stop, stands_since)
        return self.elapsed(stop) > self.target.length

    def elapsed(self, end: int) -> int:
        return self.banked + self.open_total(end) - self.open_paused(end)

    def paused(self, end: int) -> int:
        return self.banked_paused + self.open_paused(end)

    def open_total(self, end: int) -> int:
        return self.target.hours.open_time(self.base, end)

    def open_paused(self, end: int) -> int:
        return sum(self.target.hours.open_time(max(p, self.base), min(q, end)) for p, q in self.pauses_until(end))

    def mark(self, threshold: str) -> int | None:
        """When a warning is due; `None` if it does not exist or not yet."""
        if self.override:
            whole = self.target.own_time(self.started, self.override["at"])
        elif self.target.length is not None:
            whole = self.target.length
        else:
            whole = self.target.own_time(self.started, self.target.hours.due(self.started, self.target.within))
        before = duration(threshold[1:])
        amount = int(whole * Decimal(threshold[:-1]) / 100) if before is None else whole - before
        if amount < 0:
            return None
        if self.override:
            return (
                self.started + amount if self.target.in_real_time else self.target.hours.advance(self.started, amount)
            )
        return self.reach(amount, FOREVER)


class Clock:
    """All cycles of one promise on one ticket."""

    def __init__(self, name: str, promise: Json, kind: str) -> None:
        self.name, self.promise, self.metric = name, promise, promise["metric"]
        self.on_change = promise.get("on_change", "retroactive" if kind == "sla" else "restart")
        self.on_reopen = promise.get("on_reopen", "resume")
        self.window = promise.get("reopen_window", "5 business_days")
        self.marks: list[str] = promise.get("warn_at", [])
        self.pause: Json | None = promise.get("pause", PAUSES.get(self.metric))
        self.resume: Json | None = promise.get("resume")
        self.cycles: list[Cycle] = []
        self.facts: list[tuple[str, int, int, str | None]] = []
        self.was_matched = False
        self.is_judged = True

    @property
    def open(self) -> Cycle | None:
        return self.cycles[-1] if self.cycles and self.cycles[-1].is_open else None

    def say(self, fact: str, at: int, threshold: str | None = None) -> None:
        self.facts.append((fact, self.cycles[-1].number, at, threshold))

    # -- deadlines ---------------------------------------------------------------------------------------------------
    def advance(self, end: int) -> None:
        """Declare the deadlines that lie before `end`, nothing having happened."""
        cycle = self.open
        if cycle is None or cycle.breached is not None:
            return
        late = cycle.late_from()
        limit = end if late is None else min(end, late + 1)
        for threshold in self.marks:
            at = cycle.mark(threshold)
            if threshold in cycle.warned | cycle.skipped or at is None or at >= limit:
                continue
            cycle.warned.add(threshold)
            self.say("warned", at, threshold)
        if late is not None and late < end:
            self.breach(cycle, late)

    def settle(self, now: int) -> None:
        """Declare what the events of this instant moved into the past, take back what they moved into the future."""
        cycle = self.open
        if cycle is None:
            return
        self.assess_again(cycle, now)
        late = cycle.late_from()
        if cycle.breached is None and late is not None and late < now:
            self.breach(cycle, now)
            cycle.skipped |= set(self.marks) - cycle.warned
        for threshold in self.marks if cycle.breached is None else []:
            at = cycle.mark(threshold)
            if threshold in cycle.warned and (at is None or at > now):
                cycle.warned.remove(threshold)
                self.say("retracted", now, threshold)
            elif threshold not in cycle.warned and at is not None and at < now:
                cycle.warned.add(threshold)
                self.say("warned", now, threshold)

    def breach(self, cycle: Cycle, at: int) -> None:
        cycle.breached, cycle.breach_due, cycle.breach_target = at, cycle.due(at), cycle.target
        self.say("breached", at)

    def assess_again(self, cycle: Cycle, now: int) -> None:
        """`reassess`: a breach holds only if it does under the new target."""
        if cycle.breached is None or cycle.breach_target is None or cycle.breach_target.same(cycle.target):
            return
        late = cycle.late_from()
        if late is not None and late < now:
            cycle.breach_due, cycle.breach_target = cycle.due(now), cycle.target
        else:
            self.take_back(cycle, now)

    def take_back(self, cycle: Cycle, now: int) -> None:
        cycle.breached = cycle.breach_due = cycle.breach_target = None
        cycle.skipped.clear()
        self.say("retracted", now)

    # -- what events do ----------------------------------------------------------------------------------------------
    def begin(self, now: int, target: Target, scene: "Scene", started: int | None = None) -> Cycle:
        start = now if started is None else started
        cycle = Cycle(len(self.cycles) + 1, start, target, start, group=scene.after.get("group"))
        self.cycles.append(cycle)
        if self.pause and holds(self.pause, scene.after, scene.event):
            cycle.paused_at = now
        if self.resume and holds(self.resume, scene.after, scene.event):
            cycle.paused_at = None
        return cycle

    def end(self, cycle: Cycle, now: int) -> None:
        """Stop: met or breached."""
        self.assess_again(cycle, now)
        if self.is_judged and cycle.breached is None and cycle.is_late_at(now):
            self.breach(cycle, now)
        cycle.stopped = now
        if cycle.breached is not None:
            self.say("met_late", now)

    def cancel(self, cycle: Cycle, now: int, reason: str) -> None:
        self.assess_again(cycle, now)
        if cycle.breached is not None and self.on_change == "reassess" and reason == "no_match":
            self.take_back(cycle, now)
        cycle.stopped, cycle.cancelled = now, reason

    def change(self, cycle: Cycle, now: int, target: Target, scene: "Scene") -> None:
        """Another target while the clock runs."""
        if cycle.breached is not None and self.on_change in ("retroactive", "carry"):
            return
        if self.on_change == "restart":
            was_paused = cycle.paused_at is not None
            self.cancel(cycle, now, "restarted")
            fresh = self.begin(now, target, scene)
            fresh.override = fresh.override_shown = cycle.override if cycle.breached is None else None
            if was_paused and self.resume:
                fresh.paused_at = now
            return
        if self.on_change == "carry" and cycle.target.length is not None and target.length is not None:
            cycle.banked, cycle.banked_paused, cycle.base = cycle.elapsed(now), cycle.paused(now), now
        else:
            cycle.banked, cycle.banked_paused, cycle.base = 0, 0, cycle.started
        cycle.target = target

    def stops(self, scene: "Scene") -> bool:
        if "stop" in self.promise:
            return holds(self.promise["stop"], scene.after, scene.event)
        if self.metric in STOPS:
            return holds(STOPS[self.metric], scene.after, scene.event)
        if self.metric == "ownership":
            return scene.is_shut or bool(self.open and scene.after.get("group") != self.open.group)
        return scene.is_shut or scene.is_response

    def starts(self, scene: "Scene") -> bool:
        if (
            "stop" in self.promise
            and not looks_at_event(self.promise["stop"])
            and (holds(self.promise["stop"], scene.after, {}) and ("start" in self.promise or not scene.is_opening))
        ):
            return False
        if "start" in self.promise:
            start = self.promise["start"]
            now = holds(start, scene.after, scene.event)
            return now and (looks_at_event(start) or scene.is_opening or not holds(start, scene.before, {}))
        if self.metric == "first_response":
            return scene.is_opening and scene.after.get("opened_by") != "agent"
        if self.metric in WHOLE_TICKET:
            return scene.is_opening
        if self.metric == "ownership":
            back = scene.is_reopening or scene.before.get("status") == "cancelled"
            moved = scene.is_opening or back or scene.before.get("group") != scene.after.get("group")
            return bool(moved) and scene.after.get("group") is not None and (scene.is_opening or not scene.is_shut)
        if self.metric == "next_response":
            return scene.is_first_of_run and not scene.is_shut
        return scene.is_response and not scene.is_shut

    def resumes(self, scene: "Scene") -> bool:
        """Does a stopped cycle end its stop in this event, one way or another?"""
        last = self.cycles[-1] if self.cycles else None
        if not scene.is_reopening or last is None or last.cancelled or self.metric not in REOPENED:
            return False
        if "start" in self.promise:
            return self.starts(scene)
        stop = self.promise.get("stop", {})
        return not (stop and not looks_at_event(stop) and holds(stop, scene.after, {}))

    def apply(self, scene: "Scene", target: Target | None) -> None:
        """One event, in the order stop, reset, cancel, (change,) pause, resume, start."""
        now, cycle = scene.now, self.open
        matched_late = target is not None and not self.was_matched and not scene.is_first
        self.was_matched = target is not None
        if cycle and not scene.is_opening and self.stops(scene):
            self.end(cycle, now)
        elif cycle and "reset" in self.promise and holds(self.promise["reset"], scene.after, scene.event):
            self.end(cycle, now)
            if target and not scene.over:
                self.begin(now, target, scene)
        if cycle := self.open:
            by_condition = "cancel" in self.promise and holds(self.promise["cancel"], scene.after, scene.event)
            reason = scene.over or ("condition" if by_condition else "no_match" if target is None else None)
            if reason:
                self.cancel(cycle, now, reason)
        if (cycle := self.open) and target and not cycle.target.same(target):
            self.change(cycle, now, target, scene)
        if cycle := self.open:
            self.set_due(cycle, scene)
            self.pause_or_resume(cycle, scene)
        if self.open is None and target is not None and scene.over is None:
            self.start(scene, target, matched_late)

    def set_due(self, cycle: Cycle, scene: "Scene") -> None:
        override = scene.event.get("override")
        if override and override.get("promise") == self.name:
            self.assess_again(cycle, scene.now)
            due = override.get("due_at")
            cycle.override_shown = {**override, "at": micros(due)} if due else None
            if cycle.breached is None:
                cycle.override = cycle.override_shown

    def pause_or_resume(self, cycle: Cycle, scene: "Scene") -> None:
        if self.pause is None:
            return
        wanted = holds(self.pause, scene.after, scene.event)
        if self.resume:
            edge = looks_at_event(self.pause) or not holds(self.pause, scene.before, {})
            wanted = (cycle.paused_at is not None or (wanted and edge)) and not holds(
                self.resume, scene.after, scene.event
            )
        if wanted and cycle.paused_at is None:
            cycle.paused_at = scene.now
        elif not wanted and cycle.paused_at is not None:
            cycle.pauses.append([cycle.paused_at, scene.now])
            cycle.paused_at = None

    def start(self, scene: "Scene", target: Target, matched_late: bool) -> None:
        now = scene.now
        if matched_late:
            self.start_late(scene, target)
        elif self.resumes(scene):
            last = self.cycles[-1]
            assert last.stopped is not None
            in_time = now <= last.target.hours.due(last.stopped, self.window)
            if self.on_reopen == "ignore":
                return
            restart = not last.target.same(target) and self.on_change == "restart"
            if self.on_reopen == "new_cycle" or not in_time or restart:
                self.begin(now, target, scene)
            else:
                self.resume_cycle(last, scene)
                if not last.target.same(target):
                    self.change(last, now, target, scene)
        elif self.starts(scene):
            self.begin(now, target, scene)

    def resume_cycle(self, last: Cycle, scene: "Scene") -> None:
        assert last.stopped is not None
        if last.paused_at is not None:
            last.pauses.append([last.paused_at, last.stopped])
        last.pauses.append([last.stopped, scene.now])
        last.stopped = last.paused_at = None
        if last.breached is not None:
            self.say("retracted", scene.now)
        if self.pause and holds(self.pause, scene.after, scene.event):
            last.paused_at = scene.now
        if self.resume and holds(self.resume, scene.after, scene.event):
            last.paused_at = None

    def start_late(self, scene: "Scene", target: Target) -> None:
        """The clock that would be open by now if the agreement had matched all along."""
        shadow = Clock(self.name, self.promise, "sla")
        shadow.is_judged = False
        for past in scene.past:
            shadow.apply(past, target)
        would = shadow.open
        if would is None or scene.is_shut:
            return
        if self.on_change in ("retroactive", "reassess"):
            cycle = self.begin(scene.now, target, scene, would.started)
            cycle.pauses, cycle.paused_at, cycle.group = would.pauses, would.paused_at, would.group
            cycle.override = cycle.override_shown = would.override
        else:
            cycle = self.begin(scene.now, target, scene)
            cycle.paused_at = None if would.paused_at is None else scene.now


@dataclass
class Scene:
    """An event of a ticket, with all that conditions may ask."""

    now: int
    before: Json
    after: Json
    event: Json
    past: list["Scene"]
    is_opening: bool = False
    is_first: bool = False
    is_first_of_run: bool = False
    over: str | None = None

    @property
    def is_shut(self) -> bool:
        return self.after.get("status") in SHUT

    @property
    def is_reopening(self) -> bool:
        return self.before.get("status") in SHUT and self.after.get("status") not in (*SHUT, "cancelled")

    @property
    def is_response(self) -> bool:
        return speaks(self.event, "agent")


def speaks(event: Json, author: str) -> bool:
    """Is it a public message, no automatic one, of this author?"""
    message = event.get("message") or {}
    return message.get("author") == author and bool(message["public"]) and not message["automatic"]


def scenes_of(events: list[Json]) -> list[Scene]:
    """The story of a ticket: its opening, then each of its events."""
    first = events[0]
    now = micros(first["occurred_at"])
    ticket: Json = {"opened_by": "requester"}
    answered, in_run, over = False, False, None
    past: list[Scene] = []
    for number, raw in enumerate(events):
        at = micros(raw["occurred_at"])
        given = raw.get("ticket") or {}
        before = ticket
        ticket = {**ticket, **given}
        if ticket.get("opened_by") is None:
            ticket["opened_by"] = "requester"
        message = raw.get("message")
        if message:
            message = {"public": True, "automatic": False, **{k: v for k, v in message.items() if v is not None}}
        changed = [k for k in given if before.get(k) != given[k]]
        event = {"type": raw["type"], "message": message, "changed": changed, "override": raw.get("override")}
        if number == 0:
            opening = min(now, micros(ticket["created_at"])) if ticket.get("created_at") else now
            past.append(Scene(opening, {}, ticket, {}, [], is_opening=True, is_first=True))
            past[-1].past = past[:]
            answered = ticket["opened_by"] == "agent"
            before = ticket
        asks = speaks(event, "requester") and ticket.get("status") not in (*SHUT, "cancelled")
        first_of_run = asks and answered and not in_run
        in_run = in_run or first_of_run
        if over not in ("merged", "deleted"):
            over = "ticket_cancelled" if ticket.get("status") == "cancelled" else None
        if raw["type"] in ("merged", "deleted") and over not in ("merged", "deleted"):
            over = raw["type"]
        scene = Scene(at, before, ticket, event, [], is_first=number == 0, is_first_of_run=first_of_run, over=over)
        past.append(scene)
        scene.past = past[:]
        if ticket.get("status") == "cancelled":
            in_run = False
        if speaks(event, "agent") or ticket.get("status") in SHUT:
            answered, in_run = True, False
    return past


class Policy:
    """Which agreements a ticket has, and which target a promise."""

    def __init__(self, body: Json, files: dict[str, str]) -> None:
        self.body, self.zone = body, body.get("timezone", "UTC")
        calendars = {
            **body.get("calendars", {}),
            "24x7": {"timezone": self.zone, "hours": {"mon-sun": ["00:00-24:00"]}},
        }
        self.hours = {name: Hours(calendar, self.zone, files) for name, calendar in calendars.items()}
        self.agreements: Json = body.get("agreements", {})

    def customer(self, ticket: Json) -> Any:
        service = (self.body.get("services") or {}).get(ticket.get("service")) or {}
        return ticket["customer"] if ticket.get("customer") is not None else service.get("customer")

    def matched(self, scene: Scene, opening: int) -> list[str]:
        """Names of the agreements that apply after an event."""
        found: list[str] = []
        for name, agreement in sorted(self.agreements.items(), key=lambda item: item[1].get("rank", 10**9)):
            kinds = [self.agreements[other]["kind"] for other in found]
            if agreement["kind"] in kinds and self.body.get("match_mode", "first") == "first":
                continue
            if "customer" in agreement and self.customer(scene.after) != agreement["customer"]:
                continue
            ticket = {**scene.after, "customer": self.customer(scene.after)}
            if not holds(agreement.get("match", {}), ticket, {}):
                continue
            if "effective_from" in agreement:
                zone = self.hours[agreement.get("calendar", "24x7")].zone
                day = date.fromisoformat(str(agreement["effective_from"]))
                if opening < of_wall_clock(zone, datetime.combine(day, datetime.min.time())):
                    continue
            found.append(name)
        return found

    def target(self, agreement: Json, promise: Json, ticket: Json) -> Target | None:
        """The target in force, `None` if the promise has none for such a ticket."""
        within, calendar = promise.get("within"), None
        if isinstance(within, dict):
            within = within.get(ticket.get("priority"), within.get("default"))
        for entry in promise.get("targets", []):
            if holds(entry.get("when", {}), ticket, {}):
                within, calendar = entry["within"], entry.get("calendar")
                break
        if within is None:
            return None
        name = calendar or promise.get("calendar") or agreement.get("calendar") or "24x7"
        return Target(within, name, self.hours[name])


def evaluate(policy: Json, events: list[Json], until: str, files: dict[str, str] | None = None) -> list[Json]:
    """Verdicts and facts of a list of events, as `slastream replay` prints them, in no particular order of fields."""
    rules, end = Policy(policy, files or {}), micros(until)
    tickets: dict[str, list[Json]] = {}
    accepted = [event for event in events if micros(event.get("occurred_at") or until) <= end + MAX_CLOCK_SKEW]
    for event in in_order(accepted):
        if micros(event["occurred_at"]) <= end:
            tickets.setdefault(event["ticket_id"], []).append(event)
    return [line for name in sorted(tickets) for line in evaluate_ticket(rules, name, tickets[name], end)]


def in_order(events: list[Json]) -> list[Json]:
    """Ticket events in event-time order, each once."""
    kept: dict[str, tuple[Any, Json]] = {}
    for event in events:
        if event.get("ticket_id") is None:
            continue
        content = json.dumps(event, sort_keys=True)
        identity = event.get("event_id") or content
        key = (micros(event["occurred_at"]), event.get("sequence") or 0, content)
        if identity not in kept or kept[identity][0] < key:
            kept[identity] = (key, event)
    return [event for _, _, event in sorted(((*key[:2], name), name, event) for name, (key, event) in kept.items())]


def evaluate_ticket(rules: Policy, ticket_id: str, events: list[Json], end: int) -> list[Json]:
    """Every clock of one ticket."""
    scenes = scenes_of(events)
    matches = [rules.matched(scene, scenes[0].now) for scene in scenes]
    lines: list[Json] = []
    for name, agreement in rules.agreements.items():
        for promise_name, promise in agreement["promises"].items():
            clock = Clock(promise_name, promise, agreement["kind"])
            for number, scene in enumerate(scenes):
                if number == 0 or scenes[number - 1].now < scene.now:
                    clock.advance(scene.now)
                matched = name in matches[number]
                clock.apply(scene, rules.target(agreement, promise, scene.after) if matched else None)
                if number + 1 == len(scenes) or scenes[number + 1].now > scene.now:
                    clock.settle(scene.now)
            clock.advance(end)
            identity = {
                "ticket_id": ticket_id,
                "service": scenes[-1].after.get("service"),
                "agreement": name,
                "agreement_kind": agreement["kind"],
                "promise": promise_name,
                "metric": clock.metric,
            }
            lines += [verdict(rules, identity, clock, cycle, scenes[-1].after, end) for cycle in clock.cycles]
            lines += [
                {"kind": "fact", **identity, "fact": fact, "cycle": cycle, "at": rfc3339(at), "threshold": threshold}
                for fact, cycle, at, threshold in clock.facts
            ]
    return lines


def verdict(rules: Policy, identity: Json, clock: Clock, cycle: Cycle, ticket: Json, end: int) -> Json:
    """One clock, as of the end."""
    upto = end if cycle.stopped is None else cycle.stopped
    status, due = status_of(cycle), None
    if status == "breached":
        due = cycle.breach_due
    elif status == "met":
        due = cycle.due(upto)
    elif status == "running" or (status == "paused" and cycle.override):
        due = cycle.due()
    length, elapsed = cycle.target.length, cycle.elapsed(upto)
    override = cycle.override_shown
    return {
        "kind": "verdict",
        **identity,
        "cycle": cycle.number,
        "status": status,
        "started_at": rfc3339(cycle.started),
        "due_at": rfc3339(due),
        "stopped_at": rfc3339(cycle.stopped),
        "breached_at": rfc3339(cycle.breached),
        "elapsed_seconds": seconds(elapsed),
        "paused_seconds": seconds(cycle.paused(upto)),
        "target_seconds": None if length is None else seconds(length),
        "remaining_seconds": None if length is None else seconds(length - elapsed),
        "in_hours": cycle.target.hours.is_open(end),
        "due_if_resumed_now": rfc3339(cycle.due(end)) if status == "paused" else None,
        "cancel_reason": cycle.cancelled,
        "override": override
        and {"due_at": override["due_at"], "by": override.get("by"), "reason": override.get("reason")},
        **{name: ticket.get(name) for name in VERDICT_ATTRIBUTES},
        "customer": rules.customer(ticket),
        "group": cycle.group if clock.metric == "ownership" else ticket.get("group"),
    }


def status_of(cycle: Cycle) -> str:
    if cycle.breached is not None:
        return "breached"
    if cycle.cancelled:
        return "cancelled"
    if cycle.stopped is not None:
        return "met"
    return "running" if cycle.paused_at is None else "paused"


def seconds(amount: int) -> Decimal:
    return Decimal(amount) / 10**6
