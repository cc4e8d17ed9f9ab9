"""Charts as inline SVG, for paper and for screens: patterns and marks tell apart, not colour alone.

A chart is 680 wide, the width of the text of an A4 page at 96 dpi, or half of that. Everything in it is text, lines and
areas with a class; colours and patterns are in the page's style sheet. Every chart has a title and a description that says
its numbers; it stands beside a table of the same numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import ceil, floor, log10
from unicodedata import east_asian_width

from markupsafe import Markup

WIDTH = 680
HALF = 320
"""The width of a chart in one of two columns."""
ROW = 22
"""The height of a horizontal bar with its gap."""
LINE = 13
"""The height of a line of it."""
CROWD = 40
"""More points than these are drawn small."""
LETTER, WIDE_LETTER = 6.2, 11.5
"""About the width of a letter of the charts' text, which is 11 high; of one of East Asia."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a line; `value` None: nothing to show there. `text` is the value as people read it."""

    label: str
    value: float | None
    text: str
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line across a chart."""

    value: float
    text: str
    style: str = "objective"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar; `style` names its pattern (`solid`, `hatched`, `dotted`, `plain`)."""

    value: float
    style: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    parts: tuple[Part, ...]
    text: str
    mark: float | None = None


class Charts:
    """Makes the charts of one page; their ids are numbered, so that a page has each once."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def lines(
        self,
        title: str,
        description: str,
        points: Sequence[Point],
        levels: Sequence[Level] = (),
        axis: Sequence[Level] = (),
        width: int = WIDTH,
        height: int = 170,
        is_joined: bool = True,
        labels_values: bool = True,
    ) -> Markup:
        """Points from left to right, joined where neighbours have a value; `levels` are lines across, `axis` the faint ones."""
        left, top, bottom = 14 + _widest(one.text for one in axis), 18.0, 36.0
        right = 8 + _widest(one.text for one in levels) if levels else 12.0
        values = [*(one.value for one in points if one.value is not None), *(one.value for one in [*levels, *axis])]
        low, high = min(values), max(values)
        scale = (height - top - bottom) / ((high - low) or 1)
        step = (width - left - right) / max(1, len(points))

        def y(value: float) -> float:
            return height - bottom - (value - low) * scale

        def x(index: int) -> float:
            return left + (index + 0.5) * step

        parts = [_line("grid", left, y(one.value), width - right, y(one.value)) for one in axis]
        parts += [_text(left - 6, y(one.value) + 4, one.text, "end") for one in axis]
        parts += [_line(one.style, left, y(one.value), width - right, y(one.value)) for one in levels]
        for one, at in _apart([(level, y(level.value) + 4) for level in levels]):
            parts.append(_text(width - right + 6, at, one.text, "start", "level"))
        places = [None if one.value is None else (x(index), y(one.value)) for index, one in enumerate(points)]
        if is_joined:
            for start, end in pairwise(places):
                if start is not None and end is not None:
                    parts.append(_line("trend", *start, *end))
        room = _widest(one.label for one in points)
        radius = 3.0 if len(points) <= CROWD else 2.0
        next_label = float("inf")
        for index in reversed(range(len(points))):
            is_first = index == 0 or points[index - 1].label != points[index].label
            if is_first and x(index) + room / 2 <= next_label:
                parts.append(_text(x(index), height - 8, points[index].label, "middle"))
                next_label = x(index) - room / 2
        for index, (point, place) in enumerate(zip(points, places, strict=True)):
            if place is None:
                continue
            parts.append(_mark(*place, radius, point.is_marked))
            if labels_values:
                is_below = _is_valley([one.value for one in points], index)
                parts.append(_text(place[0], place[1] + (16 if is_below else -8), point.text, "middle", "value"))
        return self._svg(title, description, width, height, parts)

    def bars(
        self, title: str, description: str, bars: Sequence[Bar], full: float | None = None, width: int = WIDTH
    ) -> Markup:
        """Horizontal bars of parts; `full` is the value of the whole width, else the largest bar. A `mark` is a goal."""
        label_room = min(0.4 * width, 12 + _widest(one.label for one in bars))
        text_room = 12 + _widest(one.text for one in bars)
        room = width - label_room - text_room
        largest = full or max((sum(part.value for part in one.parts) for one in bars), default=0) or 1
        shapes = []
        for index, bar in enumerate(bars):
            top, at = index * ROW + 3, label_room
            shapes.append(_text(label_room - 8, top + 13, _cut(bar.label, label_room - 8), "end"))
            for part in bar.parts:
                length = part.value / largest * room
                shapes.append(_rect(part.style, at, top, length, ROW - 6))
                at += length
            if bar.mark is not None:
                goal = label_room + bar.mark / largest * room
                shapes += [_line(style, goal, top - 2, goal, top + ROW - 4) for style in ("halo", "goal")]
            shapes.append(_text(width - text_room + 8, top + 13, bar.text, "start", "value"))
        return self._svg(title, description, width, len(bars) * ROW + 4, shapes)

    def columns(
        self, title: str, description: str, bars: Sequence[Bar], width: int = WIDTH, height: int = 180
    ) -> Markup:
        """Vertical bars of parts, the first part at the bottom, with the sum above and the label below."""
        top, bottom = 20.0, 22.0
        largest = max((sum(part.value for part in one.parts) for one in bars), default=0) or 1
        step = width / max(1, len(bars))
        shapes = [_line("axis", 0, height - bottom, width, height - bottom)]
        for index, bar in enumerate(bars):
            at, left, thick = height - bottom, index * step + step * 0.18, step * 0.64
            for part in bar.parts:
                length = part.value / largest * (height - top - bottom)
                at -= length
                shapes.append(_rect(part.style, left, at, thick, length))
            shapes.append(_text(left + thick / 2, at - 5, bar.text, "middle", "value"))
            shapes.append(_text(left + thick / 2, height - 6, bar.label, "middle"))
        return self._svg(title, description, width, height, shapes)

    def _svg(self, title: str, description: str, width: int, height: float, parts: Iterable[Markup]) -> Markup:
        number = next(self._numbers)
        return Markup(
            '<svg class="chart" role="img" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-labelledby="c{n}t c{n}d">'
            '<title id="c{n}t">{t}</title><desc id="c{n}d">{d}</desc>{p}</svg>'
        ).format(w=width, h=round(height), n=number, t=title, d=description, p=Markup("").join(parts))


def _apart(texts: list[tuple[Level, float]]) -> list[tuple[Level, float]]:
    """The same texts from the top, each at least a line's height below the one before."""
    placed: list[tuple[Level, float]] = []
    for level, at in sorted(texts, key=lambda one: one[1]):
        placed.append((level, max(at, placed[-1][1] + LINE) if placed else at))
    return placed


def _is_valley(values: Sequence[float | None], index: int) -> bool:
    """Is the line above this point on both of its sides? Then its text stands below it."""
    here = values[index]
    near = [one for one in (*values[max(0, index - 1) : index], *values[index + 1 : index + 2]) if one is not None]
    return here is not None and bool(near) and all(one > here for one in near)


def ratio_axis(
    values: Iterable[float], steps: Sequence[float] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
) -> list[float]:
    """Levels of a ratio's axis: at most six, round, from below the smallest value up to 1 or a step above the largest."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    for step in steps:
        first, last = floor(low / step - 1e-9), min(ceil(high / step + 1e-9), round(1 / step))
        if last - first <= 5:
            return [max(0, level) * step for level in range(max(0, first), max(last, first + 1) + 1)]
    return [0.0, 0.25, 0.5, 0.75, 1.0]


def value_axis(highest: float) -> list[float]:
    """Levels of an axis from 0: at most six, at 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(highest or 1) - 1)
    for step in (power * one for one in (1, 2, 5, 10, 20, 50)):
        if highest <= 5 * step:
            return [step * index for index in range(ceil(highest / step) + 1)]
    return [0.0, highest]


def _widest(texts: Iterable[str]) -> float:
    return max((width_of(one) for one in texts), default=0.0)


def width_of(text: str) -> float:
    """About how wide a text of a chart is."""
    return sum(WIDE_LETTER if east_asian_width(letter) in "WF" else LETTER for letter in text)


def _cut(text: str, room: float) -> str:
    """What of it fits, at least a letter."""
    if width_of(text) <= room:
        return text
    letters = next((count for count in range(len(text), 1, -1) if width_of(text[:count] + "…") <= room), 1)
    return text[:letters] + "…"


def _text(x: float, y: float, text: str, anchor: str, style: str = "label") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(style, x, y, anchor, text)


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(style, x1, y1, x2, y2)


def _rect(style: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        style, x, y, width, height
    )


def _mark(x: float, y: float, radius: float, is_marked: bool) -> Markup:
    if is_marked:
        return Markup('<path class="signal" d="M{:.1f} {:.1f}l4.5 8h-9z"/>').format(x, y - 5)
    return Markup('<circle class="point" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(x, y, radius)
