"""Templates, and how pages write instants, durations and shares. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slastream.core.units import SECOND, Instant, format_instant
from slastream.core.wording import duration_text, event_text
from slastream.web.console.stories import bars, kind_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATE_WORDS = {
    "breached": "Breached",
    "at_risk": "At risk",
    "running": "Running",
    "paused": "Paused",
    "met": "Met",
    "late": "Met too late",
    "cancelled": "Cancelled",
    "up": "Up",
    "degraded": "Degraded",
    "down": "Down",
    "unknown": "Unknown",
    "maintenance": "Maintenance",
}


class Times:
    """Instants in one zone, seen from `now`."""

    def __init__(self, zone: str, now: Instant) -> None:
        self.zone = zone
        self.now = now
        self._zone = ZoneInfo(zone)

    def local(self, at: Instant) -> datetime:
        return (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone)

    def text(self, at: Instant) -> str:
        """`13:05:07 CET` of today, else `Fri 6 Mar 13:05 CET`, with the year where it is another."""
        local, today = self.local(at), self.local(self.now)
        if local.date() == today.date():
            return f"{local:%H:%M:%S %Z}"
        year = "" if local.year == today.year else f" {local.year}"
        return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M %Z}"

    def when(self, at: Instant | None, says_distance: bool = True) -> Markup:
        """With its distance from now, which the page keeps up to date."""
        if at is None:
            return Markup('<span class="none">–</span>')
        exact = f"{self.local(at):%a %Y-%m-%d %H:%M:%S %z} ({self.zone})"
        told = Markup('<time datetime="{}" title="{}">{}</time>').format(format_instant(at), exact, self.text(at))
        if not says_distance:
            return told
        return told + Markup(' <span class="distance" data-distance="{}">{}</span>').format(
            format_instant(at), self.distance(at)
        )

    def example(self) -> str:
        """Now, for an example to copy."""
        return format_instant(Instant(self.now // SECOND * SECOND))

    def distance(self, at: Instant) -> str:
        return f"in {span_text(at - self.now)}" if at >= self.now else f"{span_text(self.now - at)} ago"

    def left(self, due_at: Instant | None) -> Markup:
        """A countdown: how much is left of a promise, or how far it is over."""
        if due_at is None:
            return Markup('<span class="none">–</span>')
        text = f"{span_text(due_at - self.now)} left" if due_at > self.now else f"{span_text(self.now - due_at)} over"
        return Markup('<time class="countdown" datetime="{0}" data-countdown="{0}">{1}</time>').format(
            format_instant(due_at), text
        )


def span_text(us: int) -> str:
    """Two units at most: `3 d 4 h`, `2 h 05 min`, `14 min`, `4 min 09 s`, `42 s`. console.js does the same."""
    seconds = us // SECOND
    minutes, hours = seconds // 60, seconds // 3600
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {seconds % 60:02} s" if minutes else f"{seconds} s"


def seconds_span(seconds: float | None) -> str:
    """Of a number of seconds, which may be below zero."""
    if seconds is None:
        return "–"
    return ("−" if seconds < 0 else "") + span_text(int(abs(seconds) * SECOND))


def percent(ratio: float | None, digits: int = 1) -> str:
    """Cut off, not rounded: 99.96 % is not 100.0 %."""
    if ratio is None:
        return "–"
    scale = 10**digits
    cut = int(abs(ratio) * 100 * scale + 1e-9) / scale
    return f"{'−' if ratio < 0 and cut else ''}{cut:,.{digits}f} %"


def percent_exactly(ratio: object) -> str:
    """A ratio of the policy with its own digits."""
    return f"{float(str(ratio)) * 100:.6f}".rstrip("0").rstrip(".") + " %"


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def link(path: str, *parts: str, **query: Any) -> str:
    """An address of ours, with everything quoted: `link("/tickets", "A/1", page=2)`."""
    address = "/".join([path, *(quote(part, safe="") for part in parts)])
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{address}?{urlencode(kept)}" if kept else address


def query_with(chosen: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """The filters with some changed; None takes one away."""
    return {name: value for name, value in {**chosen, **changes}.items() if value is not None}


def make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("slastream.web.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"link": link, "query_with": query_with, "state_words": STATE_WORDS}
    environment.globals |= {"bars": bars, "kind_of": kind_of, "event_text": event_text}
    environment.filters |= {
        "percent": percent,
        "percent_exactly": percent_exactly,
        "number": number,
        "span": span_text,
        "seconds_span": seconds_span,
        "duration": duration_text,
    }
    return environment
