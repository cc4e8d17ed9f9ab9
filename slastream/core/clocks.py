"""One cycle of a clock: how much it has used, when it is due, and what it has declared (semantics 4).

A cycle is a sequence of stretches, running or paused in turn. `used_us` and `paused_us` are open time of its calendar up to
`since`, the start of the present stretch; what lies after is added when asked. `switches` keeps the instants between the
stretches, so that another calendar can measure them again. `next_at` is the earliest instant whose passing declares something.

A cycle is changed in place by its ticket, in the order of time; times given never go back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slastream.core.events import Override
from slastream.core.facts import BREACHED, DEADLINE, MET_LATE, RETRACTED, WARNED, Fact
from slastream.core.policies import Warning
from slastream.core.rules import Rule, Selection
from slastream.core.signs import NEAR_DUE_SHARE, NO_SIGNS, Signs
from slastream.core.targets import due as due_of
from slastream.core.units import Duration, Instant


@dataclass(slots=True, eq=False)
class Declared:
    """A fact that was declared of a cycle; retracted ones stay, for their number."""

    fact: str
    threshold: str | None
    at: Instant
    occurrence: int
    is_active: bool = True


class Labels(NamedTuple):
    """The ticket's attributes that a verdict shows."""

    service: str | None
    customer: str | None
    provider: str | None
    team: str | None
    group: str | None
    assignee: str | None
    priority: str | None
    type: str | None


class Reading(NamedTuple):
    """What a cycle shows at an instant. Durations in µs of open time of the promise's calendar."""

    status: str
    due_at: Instant | None
    elapsed_us: int
    paused_us: int
    target_us: int | None
    in_hours: bool
    due_if_resumed_now: Instant | None


@dataclass(slots=True, eq=False)
class Cycle:
    rule: Rule
    number: int
    started_at: Instant
    selection: Selection
    is_paused: bool
    since: Instant
    used_us: int = 0
    paused_us: int = 0
    paused_real_us: int = 0
    switches: list[int] = field(default_factory=list)
    starts_paused: bool = False
    carried_at: Instant | None = None
    carried_used_us: int = 0
    carried_paused_us: int = 0
    stopped_at: Instant | None = None
    breached_at: Instant | None = None
    cancel_reason: str | None = None
    is_cancelled: bool = False
    override: Override | None = None
    group: str | None = None
    labels: Labels | None = None
    declared: list[Declared] | None = None
    marks: list[tuple[int, str]] | None = None
    next_at: Instant | None = None
    moved_at: Instant | None = None
    moved_by: str = DEADLINE
    is_moved_late: bool = False
    rearmed: list[str] | None = None
    revision: int = 1
    published_in: str | None = None
    signs: Signs = NO_SIGNS
    is_touched: bool = True
    fixed_due_at: Instant | None = None
    _due_at: Instant | None = None
    _due_is_known: bool = False

    @classmethod
    def begin(
        cls, rule: Rule, number: int, at: Instant, selection: Selection, is_paused: bool, group: str | None
    ) -> "Cycle":
        return cls(
            rule=rule, number=number, started_at=at, selection=selection, is_paused=is_paused, since=at,
            switches=[at], starts_paused=is_paused, group=group,
        )  # fmt: skip

    # ---- what it shows -------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self.stopped_at is None

    def status(self) -> str:
        if self.is_cancelled:
            return "cancelled"
        if self.breached_at is not None:
            return "breached"
        if self.stopped_at is not None:
            return "met"
        return "paused" if self.is_paused else "running"

    @property
    def is_at_risk(self) -> bool:
        """Open, not late yet, and past its last warning."""
        return (
            self.stopped_at is None
            and self.breached_at is None
            and bool(self.rule.promise.warn_at)
            and not self._pending()
        )

    def read(self, at: Instant) -> Reading:
        """Its values at `at`, an instant not before the last event; of a stopped cycle those of its end."""
        calendar, used, paused = self.selection.calendar, self.used_us, self.paused_us
        if self.stopped_at is not None:
            at = self.stopped_at
        elif self.is_paused:
            paused += calendar.open_between(self.since, at)
        else:
            used += calendar.open_between(self.since, at)
        waits = self.is_open and self.is_paused and self.breached_at is None
        return Reading(
            self.status(),
            self.due_at,
            used,
            paused,
            self.selection.open_time_us,
            calendar.is_open(at),
            self._due_resumed(at) if waits else None,
        )

    @property
    def due_at(self) -> Instant | None:
        """None while paused (unless set by hand) and once cancelled; kept from the breach or the stop on."""
        if self.is_cancelled:
            return None
        if self.fixed_due_at is not None:
            return self.fixed_due_at
        if not self._due_is_known:
            self._due_at = self._due()
            self._due_is_known = True
        return self._due_at

    def _due(self) -> Instant | None:
        if self.override is not None:
            return self.override.due_at
        return None if self.is_paused else self._due_from(self.since)

    def _due_resumed(self, at: Instant) -> Instant | None:
        return self.override.due_at if self.override is not None else self._due_from(at)

    def _due_from(self, since: Instant) -> Instant:
        """When the promise is due if the clock runs from `since` on; a pause before that is over then."""
        calendar, target = self.selection.calendar, self.selection.open_time_us
        if target is not None:
            left = target - self.used_us
            return calendar.add(since, Duration(left)) if left > 0 else self._reached(target)
        due_at = self._due_after_pauses()
        began_at = Instant(self.switches[-1])
        return self._moved(due_at, began_at, since) if self.is_paused and began_at <= due_at else due_at

    def _due_after_pauses(self) -> Instant:
        """A target in days or a time of day, moved by the pauses that are over; one that began behind it moves it no more."""
        due_at = due_of(self.selection.calendar, self.started_at, self.selection.within)
        for start, end, is_pause in self._stretches():
            is_over = not self.is_paused or start != self.switches[-1]
            if is_pause and is_over and start <= due_at:
                due_at = self._moved(due_at, start, end)
        return due_at

    def _moved(self, due_at: Instant, start: Instant, end: Instant) -> Instant:
        if self.selection.is_real_time:
            return Instant(due_at + end - start)
        calendar = self.selection.calendar
        return calendar.add(due_at, calendar.open_between(start, end))

    def _reached(self, target_us: int) -> Instant:
        """The first instant at which `target_us` were used: it lies in a stretch before `since`."""
        calendar, used = self.selection.calendar, self.carried_used_us
        if used >= target_us:
            return self.started_at if self.carried_at is None else self.carried_at
        for start, end, is_paused in self._stretches():
            if not is_paused:
                length = calendar.open_between(start, end)
                if used + length >= target_us:
                    return calendar.add(start, Duration(target_us - used))
                used += length
        return self.since

    def _stretches(self) -> Iterator[tuple[Instant, Instant, bool]]:
        """(start, end, is it a pause) up to `since`, from the start or from the instant of a carry."""
        is_paused = self.starts_paused
        for start, end in zip(self.switches, [*self.switches[1:], self.since], strict=True):
            if self.carried_at is None or end > self.carried_at:
                yield (
                    Instant(start if self.carried_at is None else max(start, self.carried_at)),
                    Instant(end),
                    is_paused,
                )
            is_paused = not is_paused

    def due_or_resumed(self, at: Instant) -> Instant | None:
        """When it is due; of one that is paused, if it were resumed at `at`."""
        return self._due_resumed(at) if self.is_paused and self.fixed_due_at is None else self.due_at

    def running_stretches(self, at: Instant) -> Iterator[tuple[Instant, Instant]]:
        """The stretches whose open time is its elapsed time at `at`, less `carried_used_us`."""
        for start, end, is_paused in self._stretches():
            if not is_paused and start < end:
                yield start, end
        if self.is_open and not self.is_paused and self.since < at:
            yield self.since, at

    # ---- what happens to it --------------------------------------------------------------------------------------

    def _close_stretch(self, at: Instant) -> None:
        length = self.selection.calendar.open_between(self.since, at)
        if self.is_paused:
            self.paused_us += length
            self.paused_real_us += at - self.since
        else:
            self.used_us += length
        self.since = at

    def pause(self, at: Instant) -> None:
        self._close_stretch(at)
        self.is_paused = True
        self._switch(at)

    def note_pause(self, has_reason: bool, is_near_due: bool = False) -> None:
        signs = self.signs
        self.signs = signs._replace(
            pauses=signs.pauses + 1,
            pauses_with_reason=signs.pauses_with_reason + has_reason,
            paused_before_due=signs.paused_before_due + is_near_due,
        )

    @property
    def breach_occurrence(self) -> int | None:
        """Which of the cycle's breaches stands (with the cycle it names the fact); None without one."""
        for one in self.declared or ():
            if one.is_active and one.fact == BREACHED:
                return one.occurrence
        return None

    def note_reopening(self) -> None:
        self.signs = self.signs._replace(reopened=self.signs.reopened + 1)
        self.is_touched = True

    def note_priority(self) -> None:
        """The ticket's priority changed: a sign once the clock has warned or is late."""
        if any(d.is_active and d.fact in (WARNED, BREACHED) for d in self.declared or ()):
            self.signs = self.signs._replace(
                priority_changed_after_warning=self.signs.priority_changed_after_warning + 1
            )
            self.is_touched = True

    def is_near_due(self, at: Instant) -> bool:
        """Does it run, not late yet, in the last tenth of its own time?"""
        if self.breached_at is not None or self.is_paused:
            return False
        own = self._own_time_us()
        return own > 0 and NEAR_DUE_SHARE * (own - self._progress(at)) <= own

    def resume(self, at: Instant) -> None:
        self._close_stretch(at)
        self.is_paused = False
        self._switch(at)

    def _switch(self, at: Instant) -> None:
        if self.switches[-1] == at:
            self.switches.pop()
            if not self.switches:
                self.starts_paused = self.is_paused
                self.switches.append(at)
        else:
            self.switches.append(at)
        self._due_is_known = False
        self.is_touched = True

    def stop(self, at: Instant, caused_by: str, out: list[Fact]) -> None:
        if self.is_moved_late and self.breached_at is None:
            self._breach(at, self.moved_by, out)
        self._end(at)
        if self.breached_at is not None:
            self._declare(MET_LATE, None, at, caused_by, out)

    def _end(self, at: Instant) -> None:
        if self.fixed_due_at is None:
            self.fixed_due_at = self._due_resumed(at) if self.is_paused else self.due_at
        self._close_stretch(at)
        self.stopped_at = at
        self.next_at = self.rearmed = None
        self.is_touched = True

    def cancel(self, at: Instant, reason: str, caused_by: str, out: list[Fact]) -> None:
        """Ends it without a verdict; a breach that was there stays, unless a lost match is to be reassessed."""
        self._end(at)
        self.cancel_reason = reason
        if self.breached_at is None:
            self.is_cancelled = True
        elif reason == "no_match" and self.rule.on_change == "reassess":
            self.is_cancelled = True
            self.breached_at = None
            self._retract(BREACHED, None, at, caused_by, out)

    def reopen(self, at: Instant, is_paused: bool, caused_by: str, out: list[Fact]) -> None:
        """Goes on after a stop; the time between was a pause."""
        stopped_at = self.stopped_at
        if stopped_at is None:
            raise AssertionError("only a stopped cycle is reopened")
        if self.breached_at is not None:
            self._retract(MET_LATE, None, at, caused_by, out)
        self.stopped_at, self.labels = None, None
        if not self.is_paused:
            self.is_paused = True
            self._switch(stopped_at)
        self._close_stretch(at)
        if self.breached_at is None:
            self.fixed_due_at = None
        if not is_paused:
            self.is_paused = False
            self._switch(at)
        self._due_is_known = False
        self.is_touched = True

    def retarget(self, selection: Selection, at: Instant, carries: bool) -> None:
        """Measures against another target, from the original start or (`carries`) with the time used so far."""
        old, self.selection = self.selection, selection
        self.is_touched = True
        self._due_is_known = False
        if carries and old.open_time_us is not None and selection.open_time_us is not None:
            self.selection = old
            self._close_stretch(at)
            self.selection = selection
            self.carried_at, self.carried_used_us, self.carried_paused_us = at, self.used_us, self.paused_us
        elif old.calendar is not selection.calendar or self.carried_at is not None:
            self.carried_at, self.carried_used_us, self.carried_paused_us = None, 0, 0
            self._measure_again()

    def _measure_again(self) -> None:
        calendar, used, paused = self.selection.calendar, 0, 0
        for start, end, is_paused in self._stretches():
            length = calendar.open_between(start, end)
            if is_paused:
                paused += length
            else:
                used += length
        self.used_us, self.paused_us = used, paused

    def set_override(self, override: Override | None) -> None:
        if self.breached_at is not None:
            return
        self.override = override
        self.signs = self.signs._replace(overridden=int(override is not None))
        self._due_is_known = False
        self.is_touched = True

    # ---- what it declares ----------------------------------------------------------------------------------------

    def plan(self, at: Instant, caused_by: str, has_moved: bool = False) -> None:
        """Sets `next_at` after an event at `at`.

        `has_moved`: the event gave another target, an override or a late start, so that marks may lie elsewhere. What it
        moved into the past is declared when the instant is over, because all events of an instant come before its deadlines.
        """
        if self.stopped_at is not None or self.breached_at is not None:
            self.next_at = None
            return
        if has_moved:
            self.moved_at, self.moved_by = at, caused_by
            self.is_moved_late = self._is_late(at)
            self._rearm(at)
        self.next_at = self._next()

    def advance(self, time: Instant, out: list[Fact], is_end: bool = False) -> None:
        """Declares everything whose instant lies before `time`; at the end of all events also what one made at `time`."""
        while self.next_at is not None and (
            self.next_at < time or (is_end and self.next_at == time and self._is_moved())
        ):
            if self.rearmed:
                for threshold in self.rearmed:
                    self._retract(WARNED, threshold, self.next_at, self.moved_by, out)
                self.rearmed = self.marks = None
            elif self.is_moved_late:
                self._breach(self.next_at, self.moved_by, out)
                return
            elif (mark_at := self._next_mark_at()) is not None:
                is_moved = self.moved_at is not None and mark_at < self.moved_at
                self._declare(
                    WARNED, self._pending().pop(0)[1], self.next_at, self.moved_by if is_moved else DEADLINE, out
                )
            else:
                self._breach(self.next_at, DEADLINE, out)
                return
            self.next_at = self._next()

    def _is_moved(self) -> bool:
        """Is the next thing to declare something that an event moved into the past?"""
        if self.rearmed or self.is_moved_late:
            return True
        mark_at = self._next_mark_at()
        return mark_at is not None and self.moved_at is not None and mark_at < self.moved_at

    def _next(self) -> Instant | None:
        if self.rearmed or self.is_moved_late:
            return self.moved_at
        mark_at = self._next_mark_at()
        at = mark_at if mark_at is not None else self._breach_at()
        return at if at is None or self.moved_at is None or at > self.moved_at else self.moved_at

    def _is_late(self, at: Instant) -> bool:
        """Is it late at `at` against its present target, whether the clock stands still or not?"""
        if self.override is not None:
            return self.override.due_at is not None and self.override.due_at < at
        target = self.selection.open_time_us
        if target is not None:
            return self._progress(at) > target
        due_at = self._due_after_pauses()
        return self.switches[-1] > due_at if self.is_paused else due_at < at

    def _breach_at(self) -> Instant | None:
        """The first instant beyond which it is late, as things stand; None while it stands still."""
        due_at = self.due_at
        if due_at is None or self.override is not None:
            return due_at
        late_at = due_at if due_at > self.since else self.since
        return self.selection.calendar.next_open(late_at) if self.selection.open_time_us is not None else late_at

    def _breach(self, at: Instant, caused_by: str, out: list[Fact]) -> None:
        self.fixed_due_at = self._due_of_breach()
        self.breached_at = at
        self.next_at = self.rearmed = None
        self.is_moved_late = False
        self.is_touched = True
        self._declare(BREACHED, None, at, caused_by, out)

    def _due_of_breach(self) -> Instant | None:
        if not self.is_paused or self.override is not None:
            return self.due_at
        target = self.selection.open_time_us
        return self._due_after_pauses() if target is None else self._reached(target)

    def reassess(self, at: Instant, caused_by: str, out: list[Fact]) -> None:
        """Judges a breach anew after a change of target; takes it back where it no longer holds."""
        self.fixed_due_at, self._due_is_known = None, False
        if self._is_late(at):
            self.fixed_due_at = self._due_of_breach()
            return
        self.breached_at = None
        self._retract(BREACHED, None, at, caused_by, out)
        self.plan(at, caused_by, has_moved=True)

    def _rearm(self, at: Instant) -> None:
        """Counts the marks again; a warning whose mark lies ahead once more, or is no more, is to be taken back."""
        self.marks = self.rearmed = None
        if not self.declared or self.is_moved_late:
            return
        progress = self._progress(at)
        behind = {text for mark, text in self._all_marks() if mark <= progress}
        found = [d.threshold for d in self.declared if d.is_active and d.fact == WARNED and d.threshold not in behind]
        self.rearmed = [threshold for threshold in found if threshold is not None] or None

    def _pending(self) -> list[tuple[int, str]]:
        """(µs of its own time, word) of the warnings still to come, the next one first."""
        if self.marks is None:
            self.marks = self._all_marks()
            if self.declared:
                given = {d.threshold for d in self.declared if d.is_active and d.fact == WARNED}
                self.marks = [mark for mark in self.marks if mark[1] not in given]
        return self.marks

    def _all_marks(self) -> list[tuple[int, str]]:
        warnings = self.rule.promise.warn_at
        if not warnings:
            return []
        own = self._own_time_us()
        known = self.rule.marks.get(own)
        if known is None:
            known = _marks(warnings, own)
            if self.selection.open_time_us is not None and self.override is None:
                self.rule.marks[own] = known
        return known.copy()

    def _own_time_us(self) -> int:
        """The promise's own time, of which warnings are shares."""
        calendar = self.selection.calendar
        if self.override is not None and self.override.due_at is not None:
            end = max(self.started_at, self.override.due_at)
            return end - self.started_at if self.selection.is_real_time else calendar.open_between(self.started_at, end)
        target = self.selection.open_time_us
        if target is not None:
            return target
        base = due_of(calendar, self.started_at, self.selection.within)
        return base - self.started_at if self.selection.is_real_time else calendar.open_between(self.started_at, base)

    def _progress(self, at: Instant) -> int:
        """How much of its own time has gone by at `at`, in µs."""
        calendar = self.selection.calendar
        if self.override is not None:
            return at - self.started_at if self.selection.is_real_time else calendar.open_between(self.started_at, at)
        if self.selection.open_time_us is None and self.selection.is_real_time:
            return (self.since if self.is_paused else at) - self.started_at - self.paused_real_us
        return self.used_us + (0 if self.is_paused else calendar.open_between(self.since, at))

    def _next_mark_at(self) -> Instant | None:
        """When the next warning comes, as things stand; None: there is none, or the clock stands still short of it."""
        if not self.rule.promise.warn_at:
            return None
        pending = self._pending()
        if not pending:
            return None
        if self.is_paused and self.override is None:
            return self.since if pending[0][0] <= self._progress(self.since) else None
        mark, calendar = pending[0][0], self.selection.calendar
        if self.override is not None:
            is_real = self.selection.is_real_time
            return Instant(self.started_at + mark) if is_real else calendar.add(self.started_at, Duration(mark))
        if self.selection.open_time_us is None and self.selection.is_real_time:
            return Instant(max(self.since, self.started_at + self.paused_real_us + mark))
        left = mark - self.used_us
        return calendar.add(self.since, Duration(left)) if left > 0 else self.since

    def _declare(self, fact: str, threshold: str | None, at: Instant, caused_by: str, out: list[Fact]) -> None:
        if self.declared is None:
            self.declared = []
        occurrence = 1 + sum(d.fact == fact and d.threshold == threshold for d in self.declared)
        self.is_touched = True
        self.declared.append(Declared(fact, threshold, at, occurrence))
        out.append(self._fact(fact, threshold, at, occurrence, caused_by))

    def _retract(self, fact: str, threshold: str | None, at: Instant, caused_by: str, out: list[Fact]) -> None:
        for one in self.declared or ():
            if one.is_active and one.fact == fact and one.threshold == threshold:
                one.is_active = False
                self.is_touched = True
                out.append(self._fact(RETRACTED, threshold, at, one.occurrence, caused_by, retracted=fact))

    def _fact(
        self,
        fact: str,
        threshold: str | None,
        at: Instant,
        occurrence: int,
        caused_by: str,
        retracted: str | None = None,
    ) -> Fact:
        rule = self.rule
        return Fact(
            rule.agreement.name,
            rule.promise.name,
            self.number,
            fact,
            threshold,
            at,
            occurrence,
            caused_by,
            retracted,
            rule.index,
        )


def _marks(warnings: Sequence[Warning], own_us: int) -> list[tuple[int, str]]:
    """The warnings that exist within `own_us`, the first one first."""
    return sorted((mark, w.text) for w in warnings if (mark := _mark_us(w, own_us)) is not None)


def _mark_us(warning: Warning, own_us: int) -> int | None:
    """Where a warning lies in `own_us` of own time; None before the start. A share is rounded up to whole µs."""
    if warning.before is not None:
        return own_us - warning.before if warning.before <= own_us else None
    if warning.share is None:
        raise AssertionError("a warning is a share or a time before")
    numerator, denominator = warning.share.as_integer_ratio()
    return -(-own_us * numerator // denominator)
