"""The story of a ticket as one HTML page: a bar of time for each clock, and a table that says the same in words.

No scripts and no external resources; it follows the reader's light or dark colours and prints in black and white, because a
kind of stretch has a pattern as well as a colour.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from slastream.core.calendars import Calendar
from slastream.core.explanations import Absence, Point, Story, Stretch
from slastream.core.units import DAY, Instant
from slastream.core.wording import duration_text, wall_clock

WIDTH = 1000
"""Of a bar, in its own units."""
LEAST = 2
"""A stretch is at least so wide, so that it is seen."""
ABOVE = ("breached", "warned", "stopped", "cancelled", "reopened", "override")
"""Points that are marked above a bar."""
MARKS = {
    "breached": "✕",
    "warned": "!",
    "stopped": "■",
    "cancelled": "∅",
    "reopened": "↺",
    "override": "✎",
}


class Piece(NamedTuple):
    x: float
    width: float
    kind: str
    title: str


class Mark(NamedTuple):
    x: float
    sign: str
    kind: str
    title: str


class Tick(NamedTuple):
    x: float
    text: str


class Bar(NamedTuple):
    pieces: list[Piece]
    marks: list[Mark]
    ticks: list[Tick]
    due: float | None


class Row(NamedTuple):
    at: str
    kind: str
    word: str
    added: str
    total: str
    rule: str
    caused_by: str | None


class Told(NamedTuple):
    """One story, ready to be shown."""

    name: str
    cycle: int
    metric: str
    kind: str
    zone: str
    calendar: str
    status: str
    numbers: list[tuple[str, str]]
    bar: Bar
    rows: list[Row]


def explain_page(ticket_id: str, stories: Sequence[Story], absences: Sequence[Absence], end: Instant) -> str:
    """A whole page; `end` is the instant up to which the ticket is told."""
    environment = Environment(
        loader=PackageLoader("slastream.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("explain.html.j2").render(
        ticket_id=ticket_id,
        told=[_told(story, end) for story in stories],
        absences=[(f"{one.rule.agreement.name} / {one.rule.promise.name}", one.why) for one in absences],
        width=WIDTH,
        marks=MARKS,
    )


def _told(story: Story, end: Instant) -> Told:
    rule, zone = story.rule, story.rule.promise.calendar
    return Told(
        name=f"{rule.agreement.name} / {rule.promise.name}",
        cycle=story.cycle,
        metric=rule.promise.metric,
        kind=rule.agreement.kind,
        zone=zone.zone_name,
        calendar=story.calendar.name,
        status=story.reading.status,
        numbers=_numbers(story, zone),
        bar=_bar(story, zone, end),
        rows=[_stretch_row(one, zone) if isinstance(one, Stretch) else _point_row(one, zone) for one in story.parts],
    )


def _numbers(story: Story, zone: Calendar) -> list[tuple[str, str]]:
    reading = story.reading
    found = [("counted", duration_text(reading.elapsed_us)), ("paused", duration_text(reading.paused_us))]
    if reading.target_us is not None:
        left = reading.target_us - reading.elapsed_us
        found.append(("allowed", duration_text(reading.target_us)))
        found.append(("left" if left >= 0 else "too much", duration_text(abs(left))))
    due = reading.due_at or reading.due_if_resumed_now
    if due is not None:
        found.append(("due" if reading.due_at is not None else "due if resumed now", wall_clock(zone, due)))
    return found


def _bar(story: Story, zone: Calendar, end: Instant) -> Bar:
    """Real time from the start to the stop, or to the end; a due instant that lies after that makes it longer."""
    start, due = story.started_at, story.reading.due_at
    last = max(story.stopped_at or end, due or start, Instant(start + 1))

    def x(at: Instant) -> float:
        return round((at - start) / (last - start) * WIDTH, 2)

    pieces = [
        Piece(x(one.start), max(LEAST, round(x(one.end) - x(one.start), 2)), _kind(one), _title(one, zone))
        for one in story.stretches
    ]
    marks = [
        Mark(x(one.at), MARKS[one.reason], one.reason, f"{wall_clock(zone, one.at)}: {one.rule}")
        for one in story.points
        if one.reason in ABOVE
    ]
    return Bar(pieces, marks, _ticks(start, last, zone), None if due is None else x(due))


def _ticks(start: Instant, last: Instant, zone: Calendar) -> list[Tick]:
    """The beginning, the end, and some instants between."""
    parts = 4
    instants = [Instant(start + (last - start) * number // parts) for number in range(parts + 1)]
    is_short = last - start < 2 * DAY
    texts = [wall_clock(zone, at) for at in instants]
    shown = [text[4:20] if is_short else text[4:14] for text in texts]
    return [Tick(WIDTH * number / parts, text) for number, text in enumerate(shown)]


def _kind(one: Stretch) -> str:
    return "counts" if one.counts else "paused" if one.is_paused else "closed"


def _title(one: Stretch, zone: Calendar) -> str:
    return f"{_kind(one)}, {wall_clock(zone, one.start)} to {wall_clock(zone, one.end)}: {one.rule}"


def _stretch_row(one: Stretch, zone: Calendar) -> Row:
    kind = _kind(one)
    added = duration_text(one.open_us) if kind != "closed" else ""
    total = duration_text(one.total_us) if one.counts else ""
    return Row(wall_clock(zone, one.start), kind, kind, added, total, one.rule, one.caused_by)


def _point_row(one: Point, zone: Calendar) -> Row:
    return Row(wall_clock(zone, one.at), "point", one.reason.replace("_", " "), "", "", one.rule, one.caused_by)
