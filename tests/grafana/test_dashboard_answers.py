"""Every query of every dashboard, answered by a real Prometheus that has scraped a real server: once all is well, once not.

No query fails or gives a key twice; each gives something, within bounds; and what an operator should see differs.
"""

import asyncio
import math
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from drawing.style import ROW_PIXELS, WIDTH_PIXELS
from pictures import draw
from PIL import Image

from grafana.boards import BOARDS, PANELS, Answer, Board, Panel, answers, board_of, panel_of
from grafana.conftest import away_from_the_first, config_for, served
from grafana.prometheus_harness import Prometheus, program, prometheus, wait_until
from grafana.scenes import Change, Scene, in_trouble, well
from slastream.core.units import Instant

NOTHING_WHEN_WELL = {
    ("Pipeline: Partitions", 2),  # two owners
    ("Pipeline: Rejects by reason", 0),
    ("Providers and teams: Support that no longer fits", 0),
    ("Tickets: Next to breach, within 4 h", 0),
    ("Tickets: Next to breach, within 4 h", 1),
}
MAY_BE_NEGATIVE = ("budget", "due in", "next breach")
SCRAPES = "min(count_over_time(slastream_series[1m]))"


@dataclass(frozen=True)
class Scraped:
    """A server, what it gave to each query of each panel, and the scene."""

    server: Prometheus
    given: dict[tuple[str, int], Answer]
    scene: Scene


@contextmanager
def scraped_scene(scene: Scene, change: Change, workers: Sequence[str], folder: Path) -> Iterator[Scraped]:
    """Scraped, changed, and scraped again."""
    with ExitStack() as stack:
        address, loop = stack.enter_context(served(scene.desk, scene.series_limit))
        server = stack.enter_context(prometheus(config_for(address, workers), folder))
        wait_until(lambda: (server.value(SCRAPES) or 0) >= 2, 30, "two scrapes")

        async def changed() -> None:
            change()

        done: Future[None] = asyncio.run_coroutine_threadsafe(changed(), loop)
        done.result(10)
        scrapes = server.value(SCRAPES) or 0
        wait_until(lambda: (server.value(SCRAPES) or 0) >= scrapes + 3, 30, "scrapes after the change")
        given = {(panel.name, number): answer for panel, number, answer in answers(server)}
        yield Scraped(server, given, scene)


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    program("prometheus")
    now = away_from_the_first(Instant(time.time_ns() // 1000))
    with scraped_scene(*well(now), ("w1",), tmp_path_factory.mktemp("well")) as found:
        yield found


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    program("prometheus")
    now = away_from_the_first(Instant(time.time_ns() // 1000))
    with scraped_scene(*in_trouble(now), ("w1", "w2"), tmp_path_factory.mktemp("trouble")) as found:
        yield found


EACH_QUERY = pytest.mark.parametrize(
    ("panel", "number"),
    [(panel, number) for panel in PANELS for number in range(len(panel.expressions))],
    ids=lambda value: value.name if isinstance(value, Panel) else str(value),
)
EACH_BOARD = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.title)


@EACH_QUERY
def test_a_query_gives_something_within_bounds(fine: Scraped, bad: Scraped, panel: Panel, number: int) -> None:
    key = panel.name, number
    assert bad.given[key], panel.expressions[number]
    assert fine.given[key] or key in NOTHING_WHEN_WELL, panel.expressions[number]
    for answer in (fine.given[key], bad.given[key]):
        values = [value for value in answer.values() if not math.isnan(value)]
        assert len(values) >= min(1, len(answer)), panel.expressions[number]
        unit, title = unit_of(panel, number)
        for value in values:
            assert value >= 0 or any(word in title.lower() for word in MAY_BE_NEGATIVE), (title, value)
            assert value <= 1 or unit != "percentunit", (title, value)


def unit_of(panel: Panel, number: int) -> tuple[str, str]:
    """The unit and title of a query: in a table those of its column."""
    defaults = panel.content["fieldConfig"]["defaults"]
    if panel.content["type"] != "table":
        return defaults["unit"], panel.title
    (organize,) = (each for each in panel.content["transformations"] if each["id"] == "organize")
    title = list(organize["options"]["renameByName"].values())[number]
    (override,) = (each for each in panel.content["fieldConfig"]["overrides"] if each["matcher"]["options"] == title)
    (unit,) = (each["value"] for each in override["properties"] if each["id"] == "unit")
    return unit, title


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_what_an_operator_sees_of_trouble_differs(fine: Scraped, bad: Scraped, panel: Panel) -> None:
    keys = [(panel.name, number) for number in range(len(panel.expressions))]
    assert [fine.given[key] for key in keys] != [bad.given[key] for key in keys]


@EACH_BOARD
def test_every_variable_has_values(bad: Scraped, board: Board) -> None:
    for name, one in board.variables.items():
        if one["type"] == "query":
            assert board.values(bad.server, name), name
    assert "mail" in board.values(bad.server, "service") if "service" in board.variables else True


@EACH_BOARD
def test_marks_are_there_when_something_happened_and_only_then(fine: Scraped, bad: Scraped, board: Board) -> None:
    found = {}
    for scraped in (fine, bad):
        for mark in board.annotations:
            found[scraped is bad, mark["name"]] = scraped.server.query_range(
                board.expanded(scraped.server, mark["expr"])
            )
            for series in found[scraped is bad, mark["name"]]:
                assert set(re.findall(r"\{\{(\w+)\}\}", mark["titleFormat"])) <= set(series["metric"])
    assert {name for (is_bad, name), series in found.items() if series and not is_bad} == {"Policy"}
    assert {name for (is_bad, name), series in found.items() if series and is_bad} == {
        mark["name"] for mark in board.annotations
    }


@pytest.mark.parametrize(
    ("board", "title"), [("Tickets", "Verdicts within an hour"), ("Pipeline", "Delay of deadlines, 99 of 100")]
)
def test_dots_on_a_chart_are_breaches_that_were_declared(bad: Scraped, board: str, title: str) -> None:
    """Grafana asks for exemplars by the query of the panel."""
    panel = panel_of(board, title)
    assert panel.content["targets"][0]["exemplar"] is True
    query = board_of(board).expanded(bad.server, panel.expressions[0])
    now = time.time()
    found = bad.server.get("query_exemplars", query=query, start=str(now - 8 * 3600), end=str(now + 60))
    dots = {each["labels"]["breach_id"] for series in found for each in series["exemplars"]}
    lines = [
        orjson.loads(each.value) for each in bad.scene.desk.published if each.topic == "sla.breaches" and each.value
    ]
    assert dots
    assert dots <= {line["id"] for line in lines if line["fact"] == "breached"}


def test_a_picture_of_every_dashboard_is_drawn_and_each_panel_shows_something(
    fine: Scraped, bad: Scraped, tmp_path: Path
) -> None:
    empty = [set(draw(f"http://{each.server.address}", time.time(), tmp_path)) for each in (fine, bad)]
    assert not empty[0] & empty[1]
    for board in BOARDS:
        path = tmp_path / f"{board.content['uid'].removeprefix('slastream-')}.png"
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board.content["panels"])
        with Image.open(path) as image:
            assert image.width == WIDTH_PIXELS
            assert image.height > bottom * ROW_PIXELS


# ---- Numbers ---------------------------------------------------------------------------------------------------------


def one(scraped: Scraped, board: str, title: str, number: int = 0) -> float:
    (value,) = scraped.given[panel_of(board, title).name, number].values()
    return value


def by(scraped: Scraped, label: str, board: str, title: str, number: int = 0) -> dict[str, float]:
    answer = scraped.given[panel_of(board, title).name, number]
    return {dict(labels).get(label, ""): value for labels, value in answer.items()}


def test_the_first_line_of_the_overview_says_what_is_the_matter_though_two_workers_show_it(
    fine: Scraped, bad: Scraped
) -> None:
    titles = [panel.title for panel in board_of("Overview").panels if panel.content["type"] == "stat"]
    seen = {title: (one(fine, "Overview", title), one(bad, "Overview", title)) for title in titles}
    assert seen == {
        "Breached now": (0, 6),  # OPS-2 thrice, the response of OPS-7, the handling of OPS-1 and OPS-8
        "At risk now": (0, 2),  # OPS-4 and OPS-8
        "Time to next breach": (
            pytest.approx(7 * 3600, abs=300),
            pytest.approx(900, abs=300),
        ),  # OPS-2; OPS-4's handling
        "Services down": (0, 1),  # web
        "No data": (0, 1),  # dns
        "Objectives missed": (0, 5),  # all of mail's
        "Highest burn rate": (0, pytest.approx(1000)),  # the last 5 min of web
        "Pipeline troubles": (0, 1 + 1 + 6),  # restored, lagging, owned twice
    }


def test_the_states_of_services_are_those_of_their_members(bad: Scraped) -> None:
    state = by(bad, "service", "Service", "States of the services")
    assert state == {"mail": 0, "web": 4, "dns": 3, "shop": 0, "store": 2}, "zeta is left out"


def test_credits_count_once_though_two_workers_show_them(bad: Scraped) -> None:
    assert one(bad, "Agreement", "Credits so far") == 500 + 1000
