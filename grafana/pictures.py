"""Draws the dashboards from a Prometheus, in Grafana's grid: what an operator would see, where no Grafana can be installed.

    python grafana/pictures.py http://127.0.0.1:9090 FOLDER [UNIX_SECONDS]

Asks the committed queries over the dashboard's own time range up to an instant (now), with everything chosen, and says which
panels have nothing to show. Not Grafana: it draws what our panels use of it. The pictures of `docs/pictures` are of a simulated
day: `make pictures`.
"""

import io
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from drawing.panels import draw_panel
from drawing.style import (
    BACKGROUND,
    COLUMN_PIXELS,
    DPI,
    MUTED,
    PALETTE_COLORS,
    ROW_PIXELS,
    TEXT,
    WIDTH_PIXELS,
    color_of,
)
from matplotlib.figure import Figure
from PIL import Image

mpl.use("agg")

Json = dict[str, Any]
HERE = Path(__file__).parent
DAY_SECONDS = 86_400
POINTS = 480
"""Of a chart: a point every three minutes of a day."""


class Series(NamedTuple):
    """A series: its labels, instants in seconds, values; an instant query has one of each."""

    labels: dict[str, str]
    times: list[float]
    values: list[float]


class Mark(NamedTuple):
    """What is marked on every chart: a colour, and from when to when in seconds."""

    color: str
    start: float
    end: float


@dataclass(frozen=True)
class Source:
    """A Prometheus at an instant, and the choices of a dashboard."""

    url: str
    end: float
    choices: dict[str, str]

    @property
    def start(self) -> float:
        return self.end - DAY_SECONDS

    @property
    def step(self) -> float:
        return DAY_SECONDS / POINTS

    def now(self, expr: str) -> list[Series]:
        found = self._get("query", query=self._expanded(expr), time=str(self.end))["result"]
        return [Series(each["metric"], [each["value"][0]], [float(each["value"][1])]) for each in found]

    def over_time(self, expr: str) -> list[Series]:
        bounds = {"start": str(self.start), "end": str(self.end), "step": str(self.step)}
        found = self._get("query_range", query=self._expanded(expr), **bounds)["result"]
        return [
            Series(each["metric"], [at for at, _ in each["values"]], [float(value) for _, value in each["values"]])
            for each in found
        ]

    def values(self, query: str) -> list[str]:
        """Of a variable."""
        parts = re.fullmatch(r"label_values\((.+), (\w+)\)", self._expanded(query))
        assert parts is not None, query
        bounds = {"start": str(self.start), "end": str(self.end)}
        found: list[str] = self._get(f"label/{parts[2]}/values", **{"match[]": parts[1]}, **bounds)
        return found

    def chosen(self, **choices: str) -> "Source":
        return Source(self.url, self.end, {**self.choices, **choices})

    def _expanded(self, expr: str) -> str:
        for name, pattern in self.choices.items():
            expr = expr.replace(f"${name}", pattern)
        return expr.replace("$__rate_interval", "6m").replace("$__range", f"{DAY_SECONDS}s")

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 an address that the caller names
            return json.load(answer)["data"]


def draw(url: str, end: float, folder: Path) -> list[str]:
    """Write a picture of each dashboard; returns the panels that have nothing to show."""
    folder.mkdir(parents=True, exist_ok=True)
    empty = []
    for path in sorted((HERE / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        source = chosen(board, Source(url, end, {}))
        image, without = picture(board, source)
        (folder / f"{path.stem}.png").write_bytes(image)
        empty += [f"{board['title']}: {title}" for title in without]
        print(f"{folder / path.stem}.png: {len(image) / 1000:.0f} kB", *(f"\n  nothing in: {each}" for each in without))
    return empty


def chosen(board: Json, source: Source) -> Source:
    """With everything chosen, as Grafana expands it."""
    for each in board["templating"]["list"]:
        if each["type"] == "query":
            every = each.get("allValue") or "|".join(map(re.escape, source.values(each["query"]["query"])))
            source = source.chosen(**{each["name"]: every.replace("\\", "\\\\")})
    return source


def picture(board: Json, source: Source) -> tuple[bytes, list[str]]:
    """A PNG, and the titles of panels without data."""
    panels = laid_out(board, source)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
    height = (bottom + HEAD_ROWS) * ROW_PIXELS
    figure = Figure(figsize=(WIDTH_PIXELS / DPI, height / DPI), dpi=DPI, facecolor=BACKGROUND)
    found = marks(board, source)
    head(figure, board, height)
    empty = []
    for panel, of_panel in panels:
        grid = panel["gridPos"]
        left, top = grid["x"] * COLUMN_PIXELS, (grid["y"] + HEAD_ROWS) * ROW_PIXELS
        box = left, height - top - grid["h"] * ROW_PIXELS, grid["w"] * COLUMN_PIXELS, grid["h"] * ROW_PIXELS
        if not draw_panel(figure, panel, of_panel, box, found):
            empty.append(panel["title"])
    raw = io.BytesIO()
    figure.savefig(raw, format="png", facecolor=BACKGROUND)
    return small(raw.getvalue()), empty


HEAD_ROWS = 2


def head(figure: Figure, board: Json, height: float) -> None:
    """The title, what is chosen, and the links."""
    y = 1 - 0.9 * ROW_PIXELS / height
    figure.text(0.008, y, board["title"], color=TEXT, fontsize=13, weight="bold", va="center")
    choices = "     ".join(f"{each.get('label') or each['name']}: All" for each in board["templating"]["list"][1:])
    figure.text(0.2, y, choices, color=MUTED, fontsize=8, va="center")
    links = "   ↗ ".join(each["title"] for each in board["links"])
    figure.text(0.992, y, f"↗ {links}", color=PALETTE_COLORS["blue"], fontsize=8, va="center", ha="right")


def laid_out(board: Json, source: Source) -> list[tuple[Json, Source]]:
    """The panels, a repeated one once for each value, side by side."""
    found: list[tuple[Json, Source]] = []
    for panel in board["panels"]:
        if not panel.get("repeat"):
            found.append((panel, source))
            continue
        variable = next(each for each in board["templating"]["list"] if each["name"] == panel["repeat"])
        values = source.values(variable["query"]["query"])[: round(panel["maxPerRow"])]
        width = panel["gridPos"]["w"] // len(values)
        for number, value in enumerate(values):
            title = panel["title"].replace(f"${panel['repeat']}", value)
            grid = {**panel["gridPos"], "x": number * width, "w": width}
            found.append(({**panel, "title": title, "gridPos": grid}, source.chosen(**{panel["repeat"]: value})))
    return found


def marks(board: Json, source: Source) -> list[Mark]:
    """Instants that follow each other within two minutes are one mark."""
    found: list[Mark] = []
    for each in board["annotations"]["list"]:
        times = sorted({at for series in source.over_time(each["expr"]) for at in series.times})
        for at in times:
            last = found[-1] if found else None
            if last is not None and last.color == color_of(each["iconColor"]) and 0 <= at - last.end <= source.step:
                found[-1] = last._replace(end=at)
            else:
                found.append(Mark(color_of(each["iconColor"]), at, at))
    return found


def small(png: bytes) -> bytes:
    """The same picture in fewer colours."""
    out = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(255, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    draw(sys.argv[1], float(sys.argv[3]) if len(sys.argv) == 4 else time.time(), Path(sys.argv[2]))
