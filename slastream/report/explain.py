"""The story of a ticket as text for people, or as JSON lines.

Instants in text are those of the wall clock where the promise's calendar lies, with their offset from UTC; the lines
are at most 100 columns wide.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches

import orjson

from slastream.core.calendars import Calendar
from slastream.core.events import Tick, TicketEvent
from slastream.core.explanations import Absence, Point, Story, Stretch, explain
from slastream.core.histories import in_order
from slastream.core.policies import Policy
from slastream.core.rules import Rulebook
from slastream.core.units import Instant, format_instant, seconds
from slastream.core.wording import duration_text, wall_clock
from slastream.errors import EventError, PolicyError
from slastream.report.explain_page import explain_page
from slastream.wire.events import canonical, decode_event

Lines = Callable[[], Iterator[tuple[str, int, bytes]]]
"""Reads the input from its beginning: (file, line number from 1, bytes)."""

FORMATS = ("text", "jsonl", "html")
WIDTH = 100
_TEXT_AT = 46


def explain_ticket(
    policy: Policy,
    lines: Lines,
    ticket_id: str,
    promise: str | None = None,
    until: Instant | None = None,
    format: str = "text",
) -> Iterator[str]:
    """The lines of the story, without line ends. Raises PolicyError for a ticket or a promise that is not there.

    Without `until` the end is the newest `occurred_at` of the input. Events that cannot be used are passed over.
    """
    if format not in FORMATS:
        raise PolicyError(f"--format {format}: no such format; write {' or '.join(FORMATS)}")
    book = Rulebook(policy)
    _check_promise(book, promise)
    events, newest = _events_of(lines, ticket_id, until)
    if not events or newest is None:
        raise PolicyError(_unknown_ticket(lines, ticket_id, until))
    end = newest if until is None else until
    stories, absences = explain(ticket_id, book, in_order(events, canonical), end, promise)
    match format:
        case "html":
            return iter([explain_page(ticket_id, stories, absences, end)])
        case "jsonl":
            return _jsonl(ticket_id, stories, absences)
        case _:
            return _text(ticket_id, stories, absences, end)


def _events_of(lines: Lines, ticket_id: str, until: Instant | None) -> tuple[list[TicketEvent], Instant | None]:
    """The ticket's events that count, and the newest instant of all events."""
    found: list[TicketEvent] = []
    newest: Instant | None = None
    for _, _, line in lines():
        try:
            event = decode_event(line)
        except EventError:
            continue
        if isinstance(event, Tick) or (until is not None and event.occurred_at > until):
            continue
        newest = event.occurred_at if newest is None else max(newest, event.occurred_at)
        if isinstance(event, TicketEvent) and event.ticket_id == ticket_id:
            found.append(event)
    return found, newest


def _check_promise(book: Rulebook, promise: str | None) -> None:
    names = sorted({rule.promise.name for rule in book.rules})
    if promise is not None and promise not in names:
        raise PolicyError(f"--promise {promise}: no clock promise has this name; {nearest_of(promise, names)}")


def _unknown_ticket(lines: Lines, ticket_id: str, until: Instant | None) -> str:
    known: set[str] = set()
    for _, _, line in lines():
        try:
            event = decode_event(line)
        except EventError:
            continue
        if isinstance(event, TicketEvent):
            known.add(event.ticket_id)
    if ticket_id in known and until is not None:
        return f"--ticket {ticket_id}: has no event up to {format_instant(until)}; write a later --until"
    return f"--ticket {ticket_id}: no event is of this ticket; {nearest_of(ticket_id, sorted(known))}"


def nearest_of(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not names:
        return "there is none"
    return f"there are {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# ---- JSON lines ------------------------------------------------------------------------------------------------------


def _jsonl(ticket_id: str, stories: Iterable[Story], absences: Iterable[Absence]) -> Iterator[str]:
    for story in stories:
        for part in story.parts:
            yield orjson.dumps(_object(ticket_id, story, part)).decode()
    for absence in absences:
        rule = absence.rule
        yield orjson.dumps(
            {
                "kind": "point", "ticket_id": ticket_id, "agreement": rule.agreement.name, "promise": rule.promise.name,
                "cycle": None, "start": None, "end": None, "counts": None, "reason": "no_clock", "seconds": None,
                "total_seconds": None, "rule": absence.why, "caused_by": None,
            }
        ).decode()  # fmt: skip


def _object(ticket_id: str, story: Story, part: Stretch | Point) -> dict[str, object]:
    is_stretch = isinstance(part, Stretch)
    return {
        "kind": "stretch" if is_stretch else "point",
        "ticket_id": ticket_id,
        "agreement": story.rule.agreement.name,
        "promise": story.rule.promise.name,
        "cycle": story.cycle,
        "start": format_instant(part.start if isinstance(part, Stretch) else part.at),
        "end": format_instant(part.end if isinstance(part, Stretch) else part.at),
        "counts": part.counts if isinstance(part, Stretch) else None,
        "reason": part.reason,
        "seconds": seconds(part.open_us) if isinstance(part, Stretch) else None,
        "total_seconds": seconds(part.total_us),
        "rule": part.rule,
        "caused_by": part.caused_by,
    }


# ---- text ------------------------------------------------------------------------------------------------------------


def _text(ticket_id: str, stories: list[Story], absences: list[Absence], end: Instant) -> Iterator[str]:
    for number, story in enumerate(stories):
        if number:
            yield ""
        yield from _story_text(ticket_id, story, end)
    if stories and absences:
        yield ""
    for absence in absences:
        name = f"{ticket_id}  {absence.rule.agreement.name} / {absence.rule.promise.name}"
        yield from textwrap.wrap(f"{name}: no clock: {absence.why}", WIDTH, subsequent_indent="  ")


def _story_text(ticket_id: str, story: Story, end: Instant) -> Iterator[str]:
    rule, reading = story.rule, story.reading
    zone = rule.promise.calendar
    yield f"{ticket_id}  {rule.agreement.name} / {rule.promise.name}, cycle {story.cycle}: {reading.status}"
    summary = f"  {rule.promise.metric} of {rule.agreement.kind} {rule.agreement.name}, times of {zone.zone_name}"
    yield from textwrap.wrap(summary, WIDTH, subsequent_indent="  ")
    yield ""
    for part in story.parts:
        yield from _stretch_text(part, zone) if isinstance(part, Stretch) else _point_text(part, zone)
    if story.stopped_at is None:
        yield from _row(wall_clock(zone, end), "now", _now_text(story, zone))
    yield ""
    yield f"  {_sum_text(story)}"


def _stretch_text(part: Stretch, zone: Calendar) -> Iterator[str]:
    word = "counts" if part.counts else "paused" if part.is_paused else "closed"
    added = duration_text(part.open_us)
    if part.counts:
        text = f"+ {added} = {duration_text(part.total_us)}; {part.rule}"
    elif part.is_paused:
        text = f"{added} not counted; {part.rule}" + _caused(part.caused_by if part.reason == "paused" else None)
    else:
        text = part.rule
    yield from _row(wall_clock(zone, part.start), word, text)


def _point_text(part: Point, zone: Calendar) -> Iterator[str]:
    word = f"* {part.reason.replace('_', ' ')}"
    yield from _row(wall_clock(zone, part.at), word, part.rule + _caused(part.caused_by))


def _caused(event_id: str | None) -> str:
    if event_id is None:
        return ""
    return " [deadline]" if event_id == "deadline" else f" [event {event_id}]"


def _row(at: str, word: str, text: str) -> Iterator[str]:
    head = f"  {at:<30} {word:<12} "
    return iter(textwrap.wrap(head + text, WIDTH, subsequent_indent=" " * _TEXT_AT, break_on_hyphens=False))


def _now_text(story: Story, zone: Calendar) -> str:
    reading = story.reading
    if reading.due_at is not None:
        return f"{reading.status}, due {wall_clock(zone, reading.due_at)}"
    if reading.due_if_resumed_now is not None:
        return f"{reading.status}, due {wall_clock(zone, reading.due_if_resumed_now)} if resumed now"
    return reading.status


def _sum_text(story: Story) -> str:
    reading = story.reading
    text = f"counted {duration_text(reading.elapsed_us)}, paused {duration_text(reading.paused_us)}"
    if reading.target_us is None:
        return text
    left = reading.target_us - reading.elapsed_us
    rest = f"{duration_text(abs(left))} {'left' if left >= 0 else 'too much'}"
    return f"{text}, allowed {duration_text(reading.target_us)}: {rest}"
