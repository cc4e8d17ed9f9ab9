"""Event files: the lines of a `.jsonl`, plain or compressed, without ever holding a line that is too long.

`.gz` and `.xz` are opened by their ending, `-` is the standard input. A file that is missing, unreadable or cut off is
the operator's mistake: PolicyError with its name.
"""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from slastream.errors import PolicyError
from slastream.wire.events import MAX_LINE_BYTES

STANDARD_INPUT = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BUFFER_BYTES = 256 * 1024
_LINE_END_BYTES = 2


def open_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, each with its number from 1 and without its end (`\\n` or `\\r\\n`).

    Of a line of more than 1 MiB only the first 1 MiB + 1 byte are given: `decode_event` refuses it as `too_large`.
    Raises PolicyError, at once or in between (an archive that is cut off).
    """
    limit = MAX_LINE_BYTES + _LINE_END_BYTES
    with naming(path), opened(path) as file:
        number = 0
        while line := file.readline(limit):
            number += 1
            if line[-1:] == b"\n":
                line = line[:-2] if line[-2:-1] == b"\r" else line[:-1]
            elif len(line) == limit:
                _skip_rest_of_line(file)
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line and not line.isspace():
                yield number, line[: MAX_LINE_BYTES + 1]


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed by its ending. The standard input is left open."""
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with _unpacked(Path(path)) as file, io.BufferedReader(cast(io.RawIOBase, file), _BUFFER_BYTES) as buffered:
        yield buffered


def _unpacked(path: Path) -> BinaryIO:
    match path.suffix:
        case ".gz":
            return cast(BinaryIO, gzip.open(path))
        case ".xz":
            return cast(BinaryIO, lzma.open(path))
        case _:
            return path.open("rb")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Turns the failures of reading `path` into a PolicyError that names it."""
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise PolicyError(f"{path}: is no whole archive ({error}); copy the file again") from error
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror or error}); name a file that can") from error


def _skip_rest_of_line(file: BinaryIO) -> None:
    while (part := file.readline(_BUFFER_BYTES)) and part[-1:] != b"\n":
        pass
