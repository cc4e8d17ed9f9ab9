"""What the panels show of two public logs is what `replay` computes from them, to the last digit."""

import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import orjson
import pytest
from export.scenario import Desk

from grafana.boards import REPOSITORY, Answer, board_of, panel_of
from grafana.conftest import config_for, served
from grafana.prometheus_harness import Prometheus, program, prometheus, wait_until
from slastream.app import load_policy_path, replay
from slastream.core.policies import Policy
from slastream.core.units import SECOND, Instant, parse_instant
from slastream.export import catalogue
from slastream.ingest.mapping import load_mapping
from slastream.stream.stage import Record
from slastream.wire.lines import Json

pytestmark = pytest.mark.timeout(280)


def events_of(example: str, source: Path, folder: Path, rows: int | None = None) -> list[bytes]:
    """The rows of a log (the first ones), as events."""
    part = folder / "part.csv"
    with lzma.open(source, "rt", encoding="utf-8") as file:
        part.write_text("".join(islice(file, None if rows is None else rows + 1)), encoding="utf-8")
    mapping = load_mapping(str(REPOSITORY / "examples" / example / "mapping.yaml"))
    return list(mapping.run([str(part)], lambda refusal: pytest.fail(str(refusal))))


def replayed(policy: Policy, events: list[bytes], until: Instant, show: str) -> list[Json]:
    """What replay says of the running windows."""

    def read() -> Iterator[tuple[str, int, bytes]]:
        return (("log", number, line) for number, line in enumerate(events, 1))

    lines = list(replay(policy, read, until, show).lines)
    return [line for line in lines if parse_instant(line["window"]["end"]) > until]


def shown(server: Prometheus, board: str, title: str, number: int) -> Answer:
    """What a panel shows now."""
    expr = board_of(board).expanded(server, panel_of(board, title).expressions[number])
    return {frozenset(each["metric"].items()): float(each["value"][1]) for each in server.query(expr)}


def by_key(answer: Answer) -> dict[tuple[str, ...], float]:
    names = ("service", "agreement", "promise", "window")
    return {tuple(dict(labels)[name] for name in names): value for labels, value in answer.items()}


@pytest.fixture(scope="module")
def desk_log(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, list[Json]]]:
    """The whole UCI log, as known in the last days of April."""
    program("prometheus")
    source = next((shared / "data" / "uci_incidents").glob("*.csv.xz"))
    until = parse_instant("2016-04-28T20:00:00Z")
    policy = load_policy_path(REPOSITORY / "examples" / "uci" / "policy.yaml")
    found = events_of("uci", source, tmp_path_factory.mktemp("uci"))
    events = [line for line in found if occurred_at(line) <= until]
    desk = Desk(policy)
    desk.feed(events, until)
    with scraped(desk, tmp_path_factory.mktemp("prometheus")) as server:
        yield server, replayed(policy, events, until, "compliance")


@pytest.fixture(scope="module", params=[("dhbern", 1_500), ("dhbern", None), ("foodcoopx", None)])
def status_page(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, list[Json]]]:
    """All checks of a status page, or the first ones, as known right after the last of them."""
    program("prometheus")
    name, rows = request.param
    source = shared / "data" / "upptime" / f"{name}.checks.csv.xz"
    policy = load_policy_path(REPOSITORY / "examples" / "upptime" / "policy.yaml")
    events = events_of("upptime", source, tmp_path_factory.mktemp("page"), rows)
    until = Instant(max(map(occurred_at, events)) + SECOND)
    desk = Desk(policy)
    for offset, line in enumerate(events):
        service = orjson.loads(line)["service"].encode()
        desk.services.apply(Record("sla.monitoring", 0, offset, until, service, line, ()))
    desk.feed([], until)
    with scraped(desk, tmp_path_factory.mktemp("prometheus")) as server:
        lines = replayed(policy, events, until, "availability")
        ends_well = request.param == ("dhbern", None)
        assert ends_well or any(line["ratio"] < 1 for line in lines if line["ratio"] is not None), "all went well"
        yield server, lines


def occurred_at(line: bytes) -> Instant:
    return parse_instant(orjson.loads(line)["occurred_at"])


@contextmanager
def scraped(desk: Desk, folder: Path) -> Iterator[Prometheus]:
    with served(desk) as (address, _), prometheus(config_for(address, ("w1",)), folder) as server:
        wait_until(lambda: server.value("max(slastream_series)") is not None, 60, "a scrape")
        yield server


def test_compliance_of_a_service_desk_is_that_of_replay(desk_log: tuple[Prometheus, list[Json]]) -> None:
    server, lines = desk_log
    kept = {key_of(line): line["completed"]["met"] / line["completed"]["total"] for line in lines}
    assert len(kept) == 2
    assert all(0 < value < 1 for value in kept.values())
    for board, title in (
        ("Overview", "Compliance, target and budget"),
        ("Service", "Promises of the services"),
        ("Agreement", "Compliance against the objective"),
    ):
        assert by_key(shown(server, board, title, 0)) == kept
        assert set(by_key(shown(server, board, title, 1)).values()) == {0.6}


def test_the_bases_of_compliance_are_those_of_replay(desk_log: tuple[Prometheus, list[Json]]) -> None:
    server, lines = desk_log
    for number, basis in enumerate(catalogue.BASES):
        met, total = (sum(line[basis][name] for line in lines) for name in ("met", "total"))
        (value,) = shown(server, "Agreement", "Compliance by basis", number).values()
        assert value == met / total
    (value,) = shown(server, "Agreement", "Kept of what fell due", 0).values()
    assert value == sum(line["due"]["met"] for line in lines) / sum(line["due"]["total"] for line in lines)


def test_open_and_breached_clocks_are_those_of_replay(desk_log: tuple[Prometheus, list[Json]]) -> None:
    server, lines = desk_log
    (breached,) = shown(server, "Overview", "Breached now", 0).values()
    assert breached == sum(line["now"]["breached"] for line in lines)
    (count,) = shown(server, "Tickets", "Open clocks", 0).values()
    assert count == sum(line["now"]["open"] for line in lines)


def test_availability_of_a_status_page_is_that_of_replay(status_page: tuple[Prometheus, list[Json]]) -> None:
    server, lines = status_page
    expected = {key_of(line): float(line["ratio"]) for line in lines if line["ratio"] is not None}
    assert len(expected) > 30
    assert by_key(shown(server, "Service", "Availability against the target", 0)) == expected
    for board, title in (("Overview", "Compliance, target and budget"), ("Service", "Promises of the services")):
        assert by_key(shown(server, board, title, 0)) == expected
    left = {
        key_of(line): float(line["budget_remaining_seconds"]) / float(line["budget_seconds"])
        for line in lines
        if line["budget_seconds"]
    }
    assert by_key(shown(server, "Service", "Budget burn-down", 0)) == pytest.approx(left, abs=1e-12)


def key_of(line: Json) -> tuple[str, str, str, str]:
    return line["service"], line["agreement"], line["promise"], line["window"]["kind"]
