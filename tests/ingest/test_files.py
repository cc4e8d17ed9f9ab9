import gzip
import io
import lzma
import tracemalloc
from pathlib import Path

import pytest

from slastream.errors import EventError, PolicyError
from slastream.ingest.files import open_lines
from slastream.wire.events import MAX_LINE_BYTES, decode_event

TEXT = b'{"a":1}\r\n\n   \r\n{"b":2}\n{"c":3}'
LINES = [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b'{"c":3}')]


def test_blank_lines_count_but_are_not_given(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(TEXT)
    assert list(open_lines(tmp_path / "events.jsonl")) == LINES


@pytest.mark.parametrize(("ending", "packer"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_an_archive_is_read_by_its_ending(tmp_path: Path, ending: str, packer: type) -> None:
    file = tmp_path / f"events.jsonl{ending}"
    file.write_bytes(packer(TEXT))
    assert list(open_lines(str(file))) == LINES


def test_a_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert list(open_lines("-")) == LINES


def test_a_byte_order_mark_is_not_part_of_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n")
    assert [line for _, line in open_lines(tmp_path / "events.jsonl")] == [b"{}", b"\xef\xbb\xbf{}"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_longest_line_is_given_whole_and_a_longer_one_is_refused_as_too_large(tmp_path: Path, end: bytes) -> None:
    longest = b"x" * MAX_LINE_BYTES
    file = tmp_path / "events.jsonl"
    file.write_bytes(longest + b"\n" + longest + b"y" + b"\r\nshort\n" + longest + end)
    first, second, third, fourth = open_lines(file)
    assert first == (1, longest)
    assert third == (3, b"short")
    assert fourth == (4, longest)
    assert second[0] == 2
    with pytest.raises(EventError) as caught:
        decode_event(second[1])
    assert caught.value.reason == "too_large"


def test_a_huge_line_is_never_held_whole(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as packed:
        for _ in range(64):
            packed.write(b"x" * MAX_LINE_BYTES)
        packed.write(b"\n{}\n")
    tracemalloc.start()
    try:
        numbers = [number for number, _ in open_lines(file)]
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert numbers == [1, 2]
    assert peak_bytes < 8 * MAX_LINE_BYTES


@pytest.mark.parametrize("name", ["absent.jsonl", "absent.jsonl.gz", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match=str(tmp_path)):
        list(open_lines(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.gz", gzip.compress(TEXT * 1000)[:-20]),
        ("cut.xz", lzma.compress(TEXT * 1000)[:-20]),
        ("wrong.gz", TEXT),
        ("wrong.xz", TEXT),
        ("damaged.gz", gzip.compress(TEXT)[:12] + b"\xff\xff\xff" + gzip.compress(TEXT)[15:]),
    ],
)
def test_an_archive_that_is_not_whole_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PolicyError, match=name):
        list(open_lines(tmp_path / name))
