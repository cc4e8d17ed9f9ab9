"""`poll` against a source on the loopback interface: pages, cursor, credentials, and what it does not do."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from slastream.errors import DeliveryError, PolicyError, SnapshotError
from slastream.web.poll import Poller, State, load_poller

START = State(None, frozenset())
MAPPING = """\
format: jsonl
event: {ticket_id: {column: id}, occurred_at: {column: at}, ticket: {priority: {column: level, map: {high: P1, low: P3}}}}
"""


class Source:
    """A REST source of tickets, two a page. Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        self.rows = [row(number) for number in range(5)]
        self.status = 200
        self.next = ""
        self.address = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        query = parse_qs(urlsplit(path).query)
        rows = [each for each in self.rows if each["at"] > query.get("since", [""])[0]]
        number = int(query.get("page", ["1"])[0])
        body = {"data": {"items": rows[2 * number - 2 : 2 * number]}}
        headers = {"Retry-After": "77"} if self.status == 429 else {}
        if 2 * number < len(rows):
            following = f"/tickets?page={number + 1}"
            body["paging"] = {"next": self.next or following}  # type: ignore[dict-item]  # JSON
            headers["Link"] = f'<{self.next or following}>; rel="next"'
        return self.status, headers, orjson.dumps(body)


def row(number: int, **fields: object) -> dict[str, str]:
    return {"id": f"T{number}", "at": f"2026-03-02T10:0{number}:00Z", "level": "high", **fields}  # type: ignore[dict-item]  # JSON


@contextmanager
def served(source: Source) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.authorizations.append(self.headers["Authorization"])
            status, headers, body = source.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    source.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def source() -> Iterator[Source]:
    found = Source()
    with served(found):
        yield found


def poller(folder: Path, source: Source, query: str = "", rest: str = "") -> Poller:
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "token").write_text("a-token-of-the-source\n")
    config = folder / "poll.yaml"
    config.write_text(
        f"version: 1\nname: desk\nurl: '{source.address}/tickets{query}'\nrecords: data.items\nmapping: mapping.yaml\n"
        f"state: state.json\nbearer_file: token\n{rest}"
    )
    return load_poller(str(config))


@pytest.mark.parametrize("rest", ["next: link\n", "next: paging.next\n", "page: page\n"])
def test_every_page_is_read(tmp_path: Path, source: Source, rest: str) -> None:
    found = asyncio.run(poller(tmp_path, source, rest=rest).round(START))
    assert [orjson.loads(each.content)["ticket_id"] for each in found.events] == ["T0", "T1", "T2", "T3", "T4"]
    assert set(source.authorizations) == {"Bearer a-token-of-the-source"}


def test_only_what_is_new_is_sent_again(tmp_path: Path, source: Source) -> None:
    one = poller(tmp_path, source, rest="next: link\n")
    first = asyncio.run(one.round(START))
    source.rows[1] = row(1, level="low")
    second = asyncio.run(one.round(first.state))
    assert [orjson.loads(each.content)["ticket"]["priority"] for each in second.events] == ["P3"]
    again = asyncio.run(one.round(START))
    assert {each.event_id for each in again.events} == set(again.state.seen) == set(second.state.seen)


def test_the_cursor_is_the_newest_value_and_goes_into_the_address(tmp_path: Path, source: Source) -> None:
    one = poller(
        tmp_path, source, "?since={cursor}&page=1", "cursor: {column: at, start: '2026-03-02T10:02:00+00:00'}\n"
    )
    states = [START]
    for _ in range(3):
        states.append(asyncio.run(one.round(states[-1])).state)
    assert [each.cursor for each in states[1:]] == [
        "2026-03-02T10:03:00Z",
        "2026-03-02T10:04:00Z",
        "2026-03-02T10:04:00Z",
    ]
    since = [parse_qs(urlsplit(each).query)["since"] for each in source.asked]
    assert since == [["2026-03-02T10:02:00+00:00"], ["2026-03-02T10:03:00Z"], ["2026-03-02T10:04:00Z"]]


def test_the_state_is_there_after_a_restart_and_a_foreign_file_is_refused(tmp_path: Path, source: Source) -> None:
    one = poller(tmp_path, source)
    assert one.load_state() == START
    one.keep_state(State("17", frozenset({"a", "b"})))
    assert poller(tmp_path, source).load_state() == State("17", frozenset({"a", "b"}))
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(SnapshotError, match=r"state\.json"):
        one.load_state()


def test_a_record_that_is_no_event_is_told_and_the_others_are_taken(tmp_path: Path, source: Source) -> None:
    source.rows[0] = row(0, at="yesterday")
    source.rows[1] = row(1, level="unheard of")
    found = asyncio.run(poller(tmp_path, source, rest="next: link\n").round(START))
    assert len(found.events) == 3
    assert len(found.refused) == 2
    assert found.refused[0].startswith("desk.jsonl:1: at: ")


def test_credentials_do_not_go_to_another_host(tmp_path: Path, source: Source) -> None:
    stranger = Source()
    with served(stranger):
        source.next = f"{stranger.address}/tickets"
        with pytest.raises(DeliveryError, match="another host"):
            asyncio.run(poller(tmp_path, source, rest="next: link\n").round(START))
    assert stranger.asked == []


def test_a_source_that_fails_is_told_with_when_to_come_again(tmp_path: Path, source: Source) -> None:
    source.status = 429
    with pytest.raises(DeliveryError, match="desk: the source answers 429") as caught:
        asyncio.run(poller(tmp_path, source).round(START))
    assert getattr(caught.value, "retry_after_seconds", None) == 77


def test_everything_that_is_wrong_is_told_at_once_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "poll.yaml").write_text(
        "version: 2\nurl: https://user:hush@example.com/{cursor}\nnext: link\npage: p\ninterval: 1d\n"
        "headers: {Authorization: Bearer hush}\nbearer_file: nowhere\nunknown: 1\n"
    )
    with pytest.raises(PolicyError) as caught:
        load_poller(str(tmp_path / "poll.yaml"))
    lines = str(caught.value).splitlines()
    places = {line.removeprefix(f"{tmp_path}/").partition(": ")[2].partition(":")[0] for line in lines}
    assert places >= {
        "version", "name", "state", "url", "page", "mapping", "interval", "headers.Authorization", "bearer_file", "unknown",
    }  # fmt: skip
    assert "hush" not in str(caught.value)
