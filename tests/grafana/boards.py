"""The dashboards as committed, and their queries as Grafana would send them."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana.prometheus_harness import Prometheus

REPOSITORY = Path(__file__).parents[2]
Json = dict[str, Any]
RATE_INTERVAL = "1m"


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard; `name` names both."""

    board: str
    content: Json

    @property
    def title(self) -> str:
        return str(self.content["title"])

    @property
    def name(self) -> str:
        return f"{self.board}: {self.title}"

    @property
    def expressions(self) -> list[str]:
        return [target["expr"] for target in self.content["targets"]]


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    content: Json

    @property
    def title(self) -> str:
        return str(self.content["title"])

    @property
    def panels(self) -> list[Panel]:
        return [Panel(self.title, each) for each in self.content["panels"] if each["type"] != "row"]

    @property
    def variables(self) -> dict[str, Json]:
        return {each["name"]: each for each in self.content["templating"]["list"]}

    @property
    def annotations(self) -> list[Json]:
        found: list[Json] = self.content["annotations"]["list"]
        return found

    def values(self, server: Prometheus, name: str) -> list[str]:
        """What there is to choose from, with everything chosen before it."""
        query = self.expanded(server, self.variables[name]["query"]["query"])
        parts = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert parts is not None, query
        found: list[str] = server.get(f"label/{parts[2]}/values", **{"match[]": parts[1]})
        return found

    def expanded(self, server: Prometheus, expr: str) -> str:
        """As Grafana sends it when everything is chosen: the custom value of "All", or all values there are, as a pattern."""
        for name, one in self.variables.items():
            if f"${name}" in expr:
                text = one.get("allValue") or "|".join(map(re.escape, self.values(server, name)))
                expr = expr.replace(f"${name}", text.replace("\\", "\\\\"))
        return expr.replace("$__rate_interval", RATE_INTERVAL).replace("$__range", "1h")


BOARDS = [
    Board(json.loads(path.read_text())) for path in sorted((REPOSITORY / "grafana" / "dashboards").glob("*.json"))
]
PANELS = [panel for board in BOARDS for panel in board.panels]
EXPRESSIONS = sorted(
    {
        *itertools.chain.from_iterable(panel.expressions for panel in PANELS),
        *(mark["expr"] for board in BOARDS for mark in board.annotations),
    }
)


def board_of(title: str) -> Board:
    (found,) = (board for board in BOARDS if board.title == title)
    return found


def panel_of(board: str, title: str) -> Panel:
    (found,) = (panel for panel in board_of(board).panels if panel.title == title)
    return found


Answer = dict[frozenset[tuple[str, str]], float]
"""The value of each series."""


def answers(server: Prometheus) -> Iterator[tuple[Panel, int, Answer]]:
    """Every query of every panel, now: panel, number of the query, what it gave. A chart is asked for a minute, too."""
    for board in BOARDS:
        for panel in board.panels:
            for number, target in enumerate(panel.content["targets"]):
                expr = board.expanded(server, target["expr"])
                found = server.query(expr)
                if target.get("range"):
                    server.query_range(expr)
                answer = {frozenset(each["metric"].items()): float(each["value"][1]) for each in found}
                assert len(answer) == len(found), f"{panel.name}: a key more than once"
                yield panel, number, answer
