"""Which alerts are on, from the facts on `sla.breaches` and the verdicts on `sla.verdicts`. Pure: no clock, no I/O.

An alert begins with one fact (`breached`, `availability_breached`, `burn_started`), whose content gives its labels: they never
change, so Alertmanager knows it again after any restart. It is over at the first of: a fact that ends it (`met_late`, `recovered`,
`burn_stopped`), the stop that a verdict tells (cancelled clocks declare nothing), the end of its calendar window; or when its fact
is taken back (`retracted`). An end that is taken back (a ticket that is reopened) makes it begin again.

Partitions are read in no order, so nothing here depends on the order: what was told is kept, and judged when somebody asks.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from orjson import dumps, loads

from slastream.core.facts import BREACHED, MET_LATE, RETRACTED
from slastream.core.units import DAY, MINUTE, Duration, Instant, format_instant, parse_instant
from slastream.core.windows import BREACHED as WINDOW_BREACHED
from slastream.core.windows import BURN_STARTED, BURN_STOPPED, RECOVERED
from slastream.export.alert_rules import PAGING_FACTORS

Json = dict[str, Any]
Labels = tuple[tuple[str, str], ...]
Subject = tuple[Any, ...]

TICKET_BREACHED, SERVICE_BREACHED, BURNS = "SlaTicketBreached", "SlaServiceBreached", "SlaBurnStarted"
BEGINNINGS = {BREACHED: TICKET_BREACHED, WINDOW_BREACHED: SERVICE_BREACHED, BURN_STARTED: BURNS}
ENDINGS = (MET_LATE, RECOVERED, BURN_STOPPED)
OWNERS = ("customer", "provider", "team", "group", "priority", "type")
MORE = (*OWNERS, "ticket_id", "cycle", "window", "assignee")

RESOLVED_FOR = Duration(30 * MINUTE)
"""An alert that is over is told again for so long: an Alertmanager that was killed forgets what it has not passed on."""
REMEMBERED_FOR = Duration(30 * DAY)
"""After so long an alert that is over does not come back, though its end may be taken back."""


class Alert(NamedTuple):
    """An alert as it stands. `ends_at` may lie ahead: it is on until then; None: nobody knows."""

    labels: Labels
    annotations: Labels
    starts_at: Instant
    ends_at: Instant | None

    def is_on(self, now: Instant) -> bool:
        return self.ends_at is None or self.ends_at > now


class _Beginning(NamedTuple):
    """`fact` is its JSON, of which words are made when somebody asks. (A str: the bytes of orjson keep 8 KB allocated.)"""

    fact_id: str
    at: Instant
    name: str
    window_end: Instant | None
    fact: str


class _Story:
    """What was told of one clock, of one window of a promise, or of one burn alert."""

    __slots__ = ("beginnings", "endings", "heard_at", "is_known", "revision", "stopped_at", "taken_back")

    def __init__(self) -> None:
        self.beginnings: dict[str, _Beginning] = {}
        self.endings: dict[str, Instant] = {}
        self.taken_back: dict[str, Instant] = {}
        self.revision = 0
        self.stopped_at: Instant | None = None
        self.heard_at = Instant(0)
        """Time of the last record about it."""
        self.is_known = False
        """May somebody have been told that it is on?"""

    def ends(self) -> Iterator[tuple[_Beginning, Instant | None]]:
        """Each beginning with its end, those that were taken back first, then by time."""
        for one in sorted(self.beginnings.values(), key=lambda b: (b.fact_id not in self.taken_back, b.at)):
            yield one, self._end_of(one)

    def _end_of(self, one: _Beginning) -> Instant | None:
        if one.fact_id in self.taken_back:
            return max(one.at, self.taken_back[one.fact_id])
        ends = [at for fact_id, at in self.endings.items() if fact_id not in self.taken_back]
        ends += [at for at in (self.stopped_at, one.window_end) if at is not None]
        return min((at for at in ends if at >= one.at), default=None)

    def is_past(self, limit: int) -> bool:
        """Is everything over, and was that known, before `limit`?"""
        return all(end is not None and max(end, self.heard_at) < limit for _, end in self.ends())


class Board:
    """All alerts. `runbook` is the address of the runbook, before the `#`; `started_at` when this process began to read."""

    def __init__(self, runbook: str, started_at: Instant) -> None:
        self._runbook = runbook
        self._started_at = started_at
        self._stories: dict[Subject, _Story] = {}
        self._shown: dict[Subject, None] = {}
        """What may be on, or over lately."""
        self._changed: dict[Subject, None] = {}

    # ---- what is told

    def tell_fact(self, fact: Json, heard_at: Instant) -> None:
        """Raises KeyError and ValueError for what is no fact."""
        word, fact_id, at = fact["fact"], fact["id"], parse_instant(fact["at"])
        subject = _subject(fact)
        if subject is None or word not in (*BEGINNINGS, *ENDINGS, RETRACTED):
            return
        story = self._story(subject)
        if word in BEGINNINGS:
            story.beginnings[fact_id] = _beginning(fact, at)
        elif word in ENDINGS:
            story.endings[fact_id] = at
        else:
            story.taken_back[fact["retracts"]] = at
        self._note(subject, story, heard_at)

    def tell_verdict(self, verdict: Json, heard_at: Instant) -> None:
        """Only the stops of breached clocks count: of those whose fact is known, or is so new that it may be read later.

        Raises KeyError and ValueError for what is no verdict.
        """
        if verdict["status"] != BREACHED or verdict.get("is_withdrawn"):
            return
        subject = _clock(verdict)
        if subject not in self._stories and heard_at < self._started_at - MINUTE:
            return
        story = self._story(subject)
        if verdict["revision"] < story.revision:
            return
        story.revision = verdict["revision"]
        stopped_at = verdict["stopped_at"]
        story.stopped_at = None if stopped_at is None else parse_instant(stopped_at)
        self._note(subject, story, heard_at)

    def _story(self, subject: Subject) -> _Story:
        story = self._stories.get(subject)
        if story is None:
            story = self._stories[subject] = _Story()
        return story

    def _note(self, subject: Subject, story: _Story, heard_at: Instant) -> None:
        story.heard_at = max(story.heard_at, heard_at)
        story.is_known |= heard_at < self._started_at
        self._shown[subject] = self._changed[subject] = None

    # ---- what is asked

    def changes(self, now: Instant) -> list[Alert]:
        """The alerts that were told of since the last call, but those that are over before anybody knew of them."""
        changed, self._changed = self._changed, {}
        return [alert for subject in changed for alert in self._worth_telling(self._stories[subject], now)]

    def current(self, now: Instant) -> list[Alert]:
        """The alerts that are on, and those that were until lately."""
        for subject in list(self._shown):
            if self._stories[subject].is_past(now - RESOLVED_FOR):
                del self._shown[subject]
        self._changed = {}
        return [alert for subject in self._shown for alert in self._worth_telling(self._stories[subject], now)]

    def _worth_telling(self, story: _Story, now: Instant) -> list[Alert]:
        """One for each set of labels: of facts with the same labels the newest that holds."""
        story.is_known |= any(end is None or end > now for _, end in story.ends())
        if not story.is_known:
            return []
        newest = {alert.labels: alert for alert in (self._alert(one, end) for one, end in story.ends())}
        return list(newest.values())

    def firing(self, now: Instant) -> dict[str, int]:
        """How many alerts of each name are on."""
        counts = dict.fromkeys(BEGINNINGS.values(), 0)
        for subject in self._shown:
            for one, end in self._stories[subject].ends():
                counts[one.name] += end is None or end > now
        return counts

    def forget(self, now: Instant) -> None:
        """Drop what was over long ago."""
        limit = now - REMEMBERED_FOR
        for subject, story in list(self._stories.items()):
            if subject not in self._shown and subject not in self._changed and story.heard_at < limit:
                del self._stories[subject]

    # ---- facts in words

    def _alert(self, one: _Beginning, ends_at: Instant | None) -> Alert:
        fact, name = loads(one.fact), one.name
        window = fact.get("window")
        labels = {
            "alertname": name,
            "severity": "critical" if _pages(name, fact) else "warning",
            "ticket_id": fact.get("ticket_id"),
            "cycle": fact.get("cycle"),
            "service": fact["service"],
            "agreement": fact["agreement"],
            "kind": fact["agreement_kind"],
            "promise": fact["promise"],
            "window": None if window is None else window["kind"],
            "factor": fact["threshold"],
            **{owner: fact.get(owner) for owner in OWNERS},
        }
        annotations = {**_words(name, fact), "runbook_url": f"{self._runbook}#{name.lower()}"}
        return Alert(_pairs(labels), _pairs(annotations), one.at, ends_at)


def _beginning(fact: Json, at: Instant) -> _Beginning:
    """Raises KeyError when something is lacking that an alert needs."""
    window = fact.get("window")
    end = None if window is None else parse_instant(window["end"])
    needed = {name: fact[name] for name in ("service", "agreement", "agreement_kind", "promise", "threshold", "at")}
    more = {name: fact[name] for name in MORE if fact.get(name) is not None}
    return _Beginning(fact["id"], at, BEGINNINGS[fact["fact"]], end, dumps(needed | more).decode())


def _subject(fact: Json) -> Subject | None:
    """What a fact is about; None for a warning, which is no alert."""
    if fact.get("ticket_id") is not None:
        return _clock(fact) if fact["threshold"] is None else None
    return fact["service"], fact["agreement"], fact["promise"], fact["threshold"]


def _clock(line: Json) -> Subject:
    return line["ticket_id"], line["agreement"], line["promise"], line["cycle"], "clock"


def _pages(name: str, fact: Json) -> bool:
    return Decimal(fact["threshold"]) in PAGING_FACTORS if name == BURNS else fact["agreement_kind"] == "sla"


def _pairs(values: Mapping[str, Any]) -> Labels:
    """Without what is empty, which is as good as absent for Alertmanager."""
    return tuple(sorted((name, str(value)) for name, value in values.items() if value not in (None, "")))


def _words(name: str, fact: Json) -> dict[str, str]:
    promise = f"{fact['agreement']} {fact['promise']}"
    since = f"since {fact['at']}"
    if name == TICKET_BREACHED:
        of_service = f" ({fact['service']})" if fact["service"] else ""
        holder = " / ".join(one for one in (fact.get("group"), fact.get("assignee")) if one)
        return {
            "summary": f"{fact['ticket_id']}{of_service} has breached {promise}",
            "description": f"Past its target {since}" + (f", with {holder}." if holder else "."),
        }
    if name == SERVICE_BREACHED:
        window = fact.get("window")
        of_window = f"of {window['kind']} to {window['end']}" if window else "of the window that ends now"
        return {
            "summary": f"{fact['service']} has breached {promise}",
            "description": f"The target {of_window} is missed {since}.",
        }
    return {
        "summary": f"{fact['service']} burns the budget of {promise} more than {fact['threshold']} times too fast",
        "description": f"In the long window and in the short one still, {since}.",
    }


# ---- Alertmanager


def as_posted(alert: Alert, now: Instant, hold: Duration) -> Json:
    """An element of `POST /api/v2/alerts`. One without a known end is on for `hold` from now, unless it is told again."""
    ends_at = alert.ends_at if alert.ends_at is not None and not alert.is_on(now) else Instant(now + hold)
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": format_instant(alert.starts_at),
        "endsAt": format_instant(max(ends_at, alert.starts_at)),
    }


def batches(alerts: Mapping[Labels, Alert], most: int) -> Iterator[list[Alert]]:
    """All of them, `most` at a time."""
    found = list(alerts.values())
    for start in range(0, len(found), most):
        yield found[start : start + most]
