"""The story of a service as text for people, or as JSON lines: the window that holds the end of time, stretch by stretch."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import orjson

from slastream.core.availability import Availability, Measured
from slastream.core.events import Tick, TicketEvent
from slastream.core.policies import Policy
from slastream.core.service_stories import ServiceStory, ServiceStretch, stories_of
from slastream.core.units import SECOND, Instant, format_instant
from slastream.core.wording import wall_clock
from slastream.errors import EventError, PolicyError
from slastream.report.explain import Lines, nearest_of
from slastream.wire.availability_lines import availability_line, fraction
from slastream.wire.events import canonical, decode_event

_REASONS = {
    "closed": "outside of the calendar's hours",
    "maintenance": "planned maintenance",
    "before_effective_from": "before the agreement takes effect",
    "before_first_news": "before the first news",
}

FORMATS = ("text", "jsonl")


def explain_service(
    policy: Policy,
    lines: Lines,
    service: str,
    promise: str | None = None,
    until: Instant | None = None,
    format: str = "text",
) -> Iterator[str]:
    """The lines of the story, without line ends. Raises PolicyError for a service or a promise that is not there."""
    if format not in FORMATS:
        raise PolicyError(f"--format {format}: not of a service; write {' or '.join(FORMATS)}")
    services, newest = _heard(policy, lines, until)
    known = services.services()
    if service not in known or newest is None:
        raise PolicyError(f"--service {service}: nothing was heard of it; {nearest_of(service, known)}")
    names = sorted({one.name for _, one in services.book.promises_of(service)})
    if promise is not None and promise not in names:
        raise PolicyError(f"--promise {promise}: {service} has no promise of this name; {nearest_of(promise, names)}")
    stories = stories_of(services, service, promise, newest if until is None else until)
    return _text(stories) if format == "text" else _jsonl(stories)


def _heard(policy: Policy, lines: Lines, until: Instant | None) -> tuple[Availability, Instant | None]:
    services, newest = Availability(policy, canonical), until
    for _, _, line in lines():
        try:
            event = decode_event(line)
        except EventError:
            continue
        if isinstance(event, Tick) or (until is not None and event.occurred_at > until):
            continue
        newest = event.occurred_at if newest is None else max(newest, event.occurred_at)
        if not isinstance(event, TicketEvent):
            services.feed(event)
    return services, newest


def _jsonl(stories: Iterator[ServiceStory]) -> Iterator[str]:
    for story in stories:
        for stretch in story.stretches:
            yield orjson.dumps(_object(story, stretch)).decode()
        yield orjson.dumps(_line(story)).decode()


def _line(story: ServiceStory) -> dict[str, Any]:
    return availability_line(Measured(story.service, story.agreement, story.promise, story.reading))


def _parts(story: ServiceStory, stretch: ServiceStretch) -> dict[str, int | float]:
    """What a stretch added: seconds by what they counted as, or events."""
    sums, whole = stretch.sums, story.reading.whole
    if story.promise.metric != "availability":
        return {
            "good_events": fraction(Fraction(sums.good, whole)),
            "bad_events": fraction(Fraction(sums.bad, whole)),
        }
    unit = whole * SECOND
    excluded = (stretch.end - stretch.start) * whole - sums.counted
    found = {"good": sums.good, "bad": sums.bad, "excluded": excluded, "unknown": sums.unknown}
    return {f"{name}_seconds": fraction(Fraction(value, unit)) for name, value in found.items() if value}


def _object(story: ServiceStory, stretch: ServiceStretch) -> dict[str, Any]:
    return {
        "kind": "stretch",
        "service": story.service,
        "agreement": story.agreement.name,
        "promise": story.promise.name,
        "start": format_instant(stretch.start),
        "end": format_instant(stretch.end),
        **_parts(story, stretch),
        "reason": stretch.reason,
        "state": stretch.state,
        "members": [member._asdict() for member in stretch.members],
        "maintenance": list(stretch.maintenance),
    }


def _text(stories: Iterator[ServiceStory]) -> Iterator[str]:
    for number, story in enumerate(stories):
        if number:
            yield ""
        calendar, line = story.promise.calendar, _line(story)
        window = story.reading.window
        yield f"{story.service}  {story.agreement.name} / {story.promise.name}: {_outcome(line)}"
        yield (
            f"  {story.promise.metric} of {story.agreement.kind} {story.agreement.name}, {window.kind} from "
            f"{wall_clock(calendar, window.start)} to {wall_clock(calendar, window.end)}"
        )
        yield ""
        for stretch in story.stretches:
            parts = ", ".join(f"{name.partition('_')[0]} {value:,}" for name, value in _parts(story, stretch).items())
            yield f"  {wall_clock(calendar, stretch.start):31}{parts:24} {_why(stretch)}".rstrip()
        yield ""
        yield f"  {_summary(line)}"


def _outcome(line: dict[str, Any]) -> str:
    if line["ratio"] is None:
        return "no ratio"
    verdict = "kept so far" if line["ratio"] >= line["target"] else "missed"
    return f"{line['ratio'] * 100:.4f} % of {line['target'] * 100:g} %, {verdict}"


def _why(stretch: ServiceStretch) -> str:
    planned = f" ({', '.join(stretch.maintenance)})" if stretch.maintenance else ""
    if stretch.reason != "state":
        return _REASONS[stretch.reason] + planned
    members = ", ".join(
        f"{member.name} {member.state}" + (f" [event {member.event_id}]" if member.event_id else "")
        for member in stretch.members
    )
    return f"{stretch.state}: {members}{planned}" if stretch.state is not None else ""


def _summary(line: dict[str, Any]) -> str:
    unit = "seconds" if "good_seconds" in line else "events"
    names = ("good", "bad", "excluded", "unknown") if unit == "seconds" else ("good", "total")
    told = ", ".join(f"{name} {line[f'{name}_{unit}']:,}" for name in names)
    return f"{told} {unit}; budget {line[f'budget_{unit}']:,}, left {line[f'budget_remaining_{unit}']:,}"
