"""One function for each kind of panel; each says whether there was anything to show.

A box is left, bottom, width and height in pixels of the figure.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import Locator, MaxNLocator

from drawing.style import BORDER, CLASSIC, GAP_PIXELS, GRID, MUTED, PANEL, TEXT, WIDTH_PIXELS, color_of
from drawing.values import shown

Json = dict[str, Any]
Box = tuple[float, float, float, float]
TITLE_PIXELS = 26
SHORT_NAME = 30


class SeriesShape(Protocol):
    """A series."""

    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def times(self) -> list[float]: ...
    @property
    def values(self) -> list[float]: ...


class MarkShape(Protocol):
    """A mark on a chart, in seconds."""

    @property
    def color(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


class SourceShape(Protocol):
    """Who answers queries."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def step(self) -> float: ...
    def now(self, expr: str) -> Sequence[SeriesShape]: ...
    def over_time(self, expr: str) -> Sequence[SeriesShape]: ...


Named = list[tuple[str, SeriesShape]]


def draw_panel(figure: Figure, panel: Json, source: SourceShape, box: Box, marks: Sequence[MarkShape]) -> bool:
    """The panel with its frame and title."""
    if panel["type"] == "row":
        _text(figure, box[0] + 8, box[1] + box[3] / 2, f"▾  {panel['title']}", TEXT, 10, weight="bold")
        return True
    frame, inner = _shrunk(box, GAP_PIXELS), _inner(box)
    _patch(figure, frame, PANEL)
    match panel["type"]:
        case "stat":
            has_data = _stat(figure, panel, source, frame)
        case "timeseries":
            has_data = _lines(figure, panel, source, inner, marks)
        case "bargauge":
            has_data = _bars(figure, panel, source, inner)
        case "table":
            has_data = _table(figure, panel, source, inner)
        case "state-timeline":
            has_data = _timeline(figure, panel, source, inner)
        case "heatmap":
            has_data = _heat(figure, panel, source, inner)
        case kind:
            raise ValueError(f"no picture is made of a panel of type {kind!r}")
    title_color = "white" if panel["type"] == "stat" else TEXT
    _text(figure, frame[0] + 9, frame[1] + frame[3] - 13, panel["title"], title_color, 9, weight="bold")
    if not has_data and panel["type"] != "stat":
        _text(
            figure, inner[0] + inner[2] / 2, inner[1] + inner[3] / 2, _defaults(panel)["noValue"], MUTED, 9, ha="center"
        )
    return has_data


# ---- Kinds -----------------------------------------------------------------------------------------------------------


def _stat(figure: Figure, panel: Json, source: SourceShape, frame: Box) -> bool:
    found = source.now(panel["targets"][0]["expr"])
    value = found[0].values[-1] if found else math.nan
    text = _shown(panel, value) if found else str(_defaults(panel)["noValue"])
    _patch(figure, frame, _threshold_color(panel, value) if found else PANEL)
    size = min(24.0, 1.25 * frame[2] / max(4, len(text)))
    middle = frame[1] + frame[3] / 2 - 6
    _text(figure, frame[0] + frame[2] / 2, middle, text, "white" if found else MUTED, size, ha="center", weight="bold")
    return bool(found)


def _lines(figure: Figure, panel: Json, source: SourceShape, box: Box, marks: Sequence[MarkShape]) -> bool:
    found = _named(panel, source, is_now=False)
    legend_lines = _legend(figure, panel, found, box)
    axes = _axes(figure, (box[0] + 64, box[1] + 20 + 17 * legend_lines, box[2] - 84, box[3] - 26 - 17 * legend_lines))
    is_positive = any(value > 0 for _, series in found for value in series.values)
    if _defaults(panel)["custom"].get("scaleDistribution", {}).get("type") == "log" and is_positive:
        axes.set_yscale("log")
    custom = _defaults(panel)["custom"]
    if custom["stacking"]["mode"] == "normal":
        _stacked(axes, panel, found)
    else:
        for number, (name, series) in enumerate(found):
            style = (0, (6, 4)) if _override(panel, name, "custom.lineStyle") else "solid"
            times, values = _with_gaps(series, source.step)
            axes.plot(times, values, color=_series_color(panel, name, number), linewidth=1.5, linestyle=style)
    for mark in marks:
        _mark(axes, mark)
    _time_axis(axes, source)
    _value_axis(axes, panel)
    return bool(found)


def _stacked(axes: Axes, panel: Json, found: Named) -> None:
    times = sorted({at for _, series in found for at in series.times})
    rows = []
    for _, series in found:
        values = dict(zip(series.times, series.values, strict=True))
        rows.append([values.get(at, 0.0) for at in times])
    if rows:
        colors = [_series_color(panel, name, number) for number, (name, _) in enumerate(found)]
        axes.stackplot(times, rows, colors=colors, alpha=0.75, linewidth=0)


def _bars(figure: Figure, panel: Json, source: SourceShape, box: Box) -> bool:
    found = [(name, each) for name, each in _named(panel, source, is_now=True) if not math.isnan(each.values[-1])]
    found = found[: max(1, int(box[3] // 24))]
    if not found:
        return False
    defaults = _defaults(panel)
    values = [each.values[-1] for _, each in found]
    low, high = defaults.get("min", min(0.0, *values)), defaults.get("max", max(values) or 1)
    names = min(0.62, (max(len(_cut(name)) for name, _ in found) * 6.6 + 20) / box[2])
    numbers = 24 + 7.5 * max(len(_shown(panel, value)) for value in values)
    row = min(44.0, box[3] / len(found))
    for number, (name, each) in enumerate(found):
        value = each.values[-1]
        y = box[1] + box[3] - (number + 1) * row
        color = _threshold_color(panel, value)
        _text(figure, box[0] + 8, y + row / 2, _cut(name), TEXT, 8)
        start, width = box[0] + names * box[2], (1 - names) * box[2] - numbers
        _patch(figure, (start, y + row * 0.2, width, row * 0.6), GRID)
        share = (min(max(value, low), high) - low) / ((high - low) or 1)
        _patch(figure, (start, y + row * 0.2, max(2.0, width * share), row * 0.6), color)
        _text(figure, box[0] + box[2] - 8, y + row / 2, _shown(panel, value), color, 9, ha="right", weight="bold")
    return True


def _table(figure: Figure, panel: Json, source: SourceShape, box: Box) -> bool:
    columns, rows = _merged(panel, source)
    if not rows:
        return False
    height = 24.0
    fitting = int((box[3] - height) // height)
    fitting -= len(rows) > fitting  # a line says how many more there are
    texts = [[_cell(panel, column, row) for column in columns] for row in rows]
    widths = _column_widths(columns, texts, box[2])
    for number, column in enumerate(columns):
        x = box[0] + sum(widths[:number])
        _text(figure, x + 8, box[1] + box[3] - height / 2, column, "#6e9fff", 8, weight="bold")
        for line, row in enumerate(rows[:fitting]):
            y = box[1] + box[3] - (line + 2) * height
            color = _cell_color(panel, column, row)
            if color is not None:
                _patch(figure, (x + 2, y + 1, widths[number] - 4, height - 2), color)
            _text(figure, x + 8, y + height / 2, texts[line][number], "white" if color else TEXT, 8)
    if len(rows) > fitting:
        _text(figure, box[0] + box[2] - 8, box[1] + 10, f"{len(rows) - fitting} more", MUTED, 7, ha="right")
    return True


def _timeline(figure: Figure, panel: Json, source: SourceShape, box: Box) -> bool:
    found = sorted(_named(panel, source, is_now=False), key=lambda each: each[0])
    if not found:
        return False
    words = _defaults(panel)["mappings"][0]["options"]
    axes = _axes(figure, (box[0] + 70, box[1] + 38, box[2] - 90, box[3] - 44))
    for number, (_, series) in enumerate(reversed(found)):
        for start, end, value in _runs(series, source.step):
            color = color_of(words[str(round(value))]["color"])
            axes.add_patch(Rectangle((start, number + 0.08), end - start, 0.84, color=color, alpha=0.85, linewidth=0))
    axes.set_ylim(0, len(found))
    axes.set_yticks([number + 0.5 for number in range(len(found))], [name for name, _ in reversed(found)], fontsize=8)
    _time_axis(axes, source)
    axes.grid(visible=False)
    x = box[0] + 70.0
    for each in words.values():
        x = _legend_entry(figure, x, box[1] + 8, each["text"], color_of(each["color"]))
    return True


def _heat(figure: Figure, panel: Json, source: SourceShape, box: Box) -> bool:
    found = source.over_time(panel["targets"][0]["expr"])
    buckets = sorted(found, key=lambda each: float(each.labels["le"]))
    if not buckets:
        return False
    axes = _axes(figure, (box[0] + 60, box[1] + 20, box[2] - 80, box[3] - 26))
    below: dict[float, float] = {}
    most = 0.0
    cells: list[tuple[float, int, float]] = []
    for number, bucket in enumerate(buckets):
        at_most = dict(zip(bucket.times, bucket.values, strict=True))
        for at, count in at_most.items():
            own = count - below.get(at, 0.0)
            if own > 0.01:
                cells.append((at, number, own))
                most = max(most, own)
        below = at_most
    wide = 4 * source.step
    for at, number, own in cells:
        color = _orange((own / most) ** 0.5)
        axes.add_patch(Rectangle((at - wide / 2, number + 0.06), wide, 0.88, color=color, linewidth=0))
    axes.set_ylim(0, len(buckets))
    names = [_bucket_name(each.labels["le"]) for each in buckets]
    axes.set_yticks([number + 0.5 for number in range(len(buckets))], names, fontsize=7)
    _time_axis(axes, source)
    return bool(cells)


def _bucket_name(le: str) -> str:
    return "more" if le == "+Inf" else shown(float(le), "s", 0).replace(".0", "")


# ---- What the JSON says ----------------------------------------------------------------------------------------------


def _defaults(panel: Json) -> Json:
    found: Json = panel["fieldConfig"]["defaults"]
    return found


def _override(panel: Json, name: str, what: str) -> Any:
    """A property of a series or column that has its own; None otherwise."""
    for each in panel["fieldConfig"]["overrides"]:
        matcher = each["matcher"]
        pattern = matcher["options"].strip("/")
        is_meant = matcher["options"] == name if matcher["id"] == "byName" else re.search(pattern, name) is not None
        for one in each["properties"] if is_meant else ():
            if one["id"] == what:
                return one["value"]
    return None


def _named(panel: Json, source: SourceShape, *, is_now: bool) -> Named:
    found: Named = []
    for target in panel["targets"]:
        for series in source.now(target["expr"]) if is_now else source.over_time(target["expr"]):
            legend = re.sub(
                r"\{\{(\w+)\}\}", lambda part, labels=series.labels: labels.get(part[1], ""), target["legendFormat"]
            )  # type: ignore[misc]
            found.append((" ".join(legend.split()) or "none", series))
    return found


def _shown(panel: Json, value: float, column: str = "") -> str:
    defaults = _defaults(panel)
    unit = _override(panel, column, "unit") or defaults["unit"]
    decimals = _override(panel, column, "decimals")
    return shown(value, unit, defaults["decimals"] if decimals is None else decimals)


def _threshold_color(panel: Json, value: float, column: str = "") -> str:
    steps = (_override(panel, column, "thresholds") or _defaults(panel)["thresholds"])["steps"]
    return color_of([step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1])


def _series_color(panel: Json, name: str, number: int) -> str:
    fixed = _override(panel, name, "color")
    return color_of(fixed["fixedColor"]) if fixed else CLASSIC[number % len(CLASSIC)]


def _merged(panel: Json, source: SourceShape) -> tuple[list[str], list[Json]]:
    """The columns and rows of a table: series with the same labels are one row."""
    options = next(each["options"] for each in panel["transformations"] if each["id"] == "organize")
    order = sorted(options["indexByName"], key=options["indexByName"].__getitem__)
    rows: dict[tuple[str, ...], Json] = {}
    labels = [name for name in order if not name.startswith("Value")]
    values = [options["renameByName"][name] for name in order if name.startswith("Value")]
    for title, target in zip(values, panel["targets"], strict=True):
        for series in source.now(target["expr"]):
            key = tuple(series.labels.get(name, "") for name in labels)
            rows.setdefault(key, dict(zip(labels, key, strict=True)))[title] = series.values[-1]
    sort = panel["options"]["sortBy"][0]
    by, is_descending = sort["displayName"], sort["desc"]
    ordered = sorted(
        rows.values(), key=lambda row: row.get(by, -math.inf if is_descending else math.inf), reverse=is_descending
    )
    return labels + values, ordered


def _cell(panel: Json, column: str, row: Json) -> str:
    value = row.get(column, "")
    return _cut(value) if isinstance(value, str) else _shown(panel, value, column)


def _cell_color(panel: Json, column: str, row: Json) -> str | None:
    value = row.get(column)
    is_colored = _override(panel, column, "custom.cellOptions") is not None
    return _threshold_color(panel, value, column) if is_colored and isinstance(value, float) else None


def _column_widths(columns: list[str], texts: list[list[str]], width: float) -> list[float]:
    needed = [max(len(column), *(len(row[number]) for row in texts)) + 2 for number, column in enumerate(columns)]
    return [width * each / sum(needed) for each in needed]


# ---- Drawing ---------------------------------------------------------------------------------------------------------


def _shrunk(box: Box, by: float) -> Box:
    return box[0] + by, box[1] + by, box[2] - 2 * by, box[3] - 2 * by


def _inner(box: Box) -> Box:
    """Below the title."""
    left, bottom, width, height = _shrunk(box, GAP_PIXELS)
    return left, bottom + 4, width, height - TITLE_PIXELS - 4


def _height(figure: Figure) -> float:
    return float(figure.get_figheight() * figure.dpi)


def _axes(figure: Figure, box: Box) -> Axes:
    height = _height(figure)
    axes = figure.add_axes((box[0] / WIDTH_PIXELS, box[1] / height, box[2] / WIDTH_PIXELS, max(10.0, box[3]) / height))
    axes.set_facecolor(PANEL)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=7, length=0)
    for spine in axes.spines.values():
        spine.set_color(BORDER)
    return axes


def _text(figure: Figure, x: float, y: float, text: str, color: str, size: float, **more: Any) -> None:
    figure.text(x / WIDTH_PIXELS, y / _height(figure), text, color=color, fontsize=size, va="center", **more)


def _patch(figure: Figure, box: Box, color: str) -> None:
    """A filled box, under the axes."""
    height = _height(figure)
    corner = box[0] / WIDTH_PIXELS, box[1] / height
    size = box[2] / WIDTH_PIXELS, box[3] / height
    figure.add_artist(Rectangle(corner, *size, facecolor=color, linewidth=0, transform=figure.transFigure, zorder=-1))


def _time_axis(axes: Axes, source: SourceShape) -> None:
    axes.set_xlim(source.start, source.end)
    ticks = [source.start + hours * 3600 for hours in range(0, 25, 4)]
    axes.set_xticks(ticks, [datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in ticks])


def _value_axis(axes: Axes, panel: Json) -> None:
    defaults = _defaults(panel)
    low, high = axes.get_ylim()
    data = axes.dataLim
    if not math.isfinite(data.height):  # nothing
        low, high = 0.0, 1.0
    elif data.height < 1e-9:  # a flat line
        low, high = min(0.0, data.ymin), max(0.0, data.ymax) * 1.2 or 1.0
    bottom, top = defaults.get("min", low), defaults.get("max", high)
    room = (top - bottom) * 0.06 or 1
    axes.set_ylim(bottom - (room if "min" not in defaults else 0), top + room)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(_ticks(defaults))
    axes.yaxis.set_major_formatter(lambda value, _: _shown(panel, float(value)))


def _ticks(defaults: Json) -> Locator:
    """Round numbers of the unit; whole ones where no decimals are shown."""
    if defaults["unit"] == "s":
        return _RoundSeconds()
    return MaxNLocator(5, integer=defaults["unit"] == "short" and defaults["decimals"] == 0)


class _RoundSeconds(MaxNLocator):
    """Seconds, minutes, hours and days, up to five of them."""

    STEPS = (
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        30,
        60,
        120,
        300,
        600,
        1800,
        3600,
        7200,
        14_400,
        28_800,
        86_400,
        172_800,
    )

    def tick_values(self, vmin: float, vmax: float) -> Any:
        step = next((each for each in self.STEPS if (vmax - vmin) / each <= 5), 604_800)
        first = math.ceil(vmin / step)
        return [number * step for number in range(first, math.floor(vmax / step) + 1)]


def _mark(axes: Axes, mark: MarkShape) -> None:
    if mark.end > mark.start:
        axes.axvspan(mark.start, mark.end, color=mark.color, alpha=0.12, linewidth=0)
    axes.axvline(mark.start, color=mark.color, alpha=0.4, linewidth=0.6, linestyle=(0, (3, 3)))


def _legend(figure: Figure, panel: Json, found: Named, box: Box) -> int:
    """Names below the chart, in up to three lines; returns how many lines."""
    entries = [(_cut(name), _series_color(panel, name, number)) for number, (name, _) in enumerate(found)]
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for name, color in entries:
        width = 26 + 5.6 * len(name)
        if used + width > box[2] - 16 and lines[-1]:
            lines.append([])
            used = 0.0
        lines[-1].append((name, color))
        used += width
    shown_lines = lines[:3]
    for number, line in enumerate(shown_lines):
        x = box[0] + 10
        for name, color in line:
            x = _legend_entry(figure, x, box[1] + 8 + 16 * (len(shown_lines) - 1 - number), name, color)
    if len(lines) > 3:
        rest = sum(map(len, lines[3:]))
        _text(figure, box[0] + box[2] - 8, box[1] + 8, f"and {rest} more", MUTED, 7, ha="right")
    return len(shown_lines)


def _legend_entry(figure: Figure, x: float, y: float, name: str, color: str) -> float:
    _patch(figure, (x, y - 2, 12, 4), color)
    _text(figure, x + 16, y, name, MUTED, 7)
    return x + 26 + 5.6 * len(name)


def _with_gaps(series: SeriesShape, step: float) -> tuple[list[float], list[float]]:
    """A line ends where points are missing."""
    times, values = list[float](), list[float]()
    for at, value in zip(series.times, series.values, strict=True):
        if times and at - times[-1] > 1.5 * step:
            times.append(at - step)
            values.append(math.nan)
        times.append(at)
        values.append(value)
    return times, values


def _runs(series: SeriesShape, step: float) -> list[tuple[float, float, float]]:
    """Stretches of the same value: start, end, value."""
    found: list[tuple[float, float, float]] = []
    for at, value in zip(series.times, series.values, strict=True):
        if found and found[-1][2] == value and at - found[-1][1] <= 1.5 * step:
            found[-1] = found[-1][0], at + step, value
        else:
            found.append((at, at + step, value))
    return found


def _orange(strength: float) -> str:
    low, high = (60, 45, 35), (255, 135, 30)
    mixed = (round(a + (b - a) * strength) for a, b in zip(low, high, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _cut(text: str) -> str:
    return text if len(text) <= SHORT_NAME else text[: SHORT_NAME - 1] + "…"
