"""What the files about one address (of `poll`, of a webhook of `notify`) have in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from slastream.core.units import SECOND, parse_duration
from slastream.errors import PolicyError
from slastream.wire.yaml_nodes import Entry, Problem, Reader, line_of, parse

T = TypeVar("T")
ReadFile = Callable[[str], bytes]
"""The bytes of a file that the configuration names, beside it; raises OSError."""


class ConnectionReader(Reader, Generic[T]):
    """Reads a file to a T. Keys may be left out; what is left out is as good as empty."""

    def __init__(self, read_file: ReadFile) -> None:
        super().__init__()
        self._read_file = read_file

    def read(self, file: str, text: str) -> T:
        """Raises PolicyError with every problem: `FILE:LINE: PATH: what is wrong; what to write instead`."""
        problems: list[Problem] = []
        root = parse(file, text, problems)
        self.problems = problems
        found = self.file(Entry(root, "$", line_of(root), file)) if root is not None else None
        if found is None or problems:
            raise PolicyError("\n".join(str(one) for one in sorted(problems, key=lambda p: (p.line, p.path))))
        return found

    @abstractmethod
    def file(self, root: Entry) -> T | None:
        """None with a problem where it cannot be made."""

    def required(self, root: Entry, top: Mapping[str, Entry], *names: str) -> None:
        """Note a version that is not 1, and every name that is lacking."""
        if (version := top.get("version")) is None or self.text(version, "version: 1") != "1":
            self.bad(version or root._replace(path="version"), "is missing or unknown; write version: 1")
        for name in names:
            if name not in top:
                self.bad(root._replace(path=name), f"is missing; write {name}: …")

    def text_of(self, entry: Entry | None, what: str) -> str:
        return "" if entry is None else self.text(entry, what) or ""

    def address(self, entry: Entry | None, where_else: str, placeholder: str = "") -> str:
        """An address of HTTP. Credentials have no place in it; `where_else` says what to do with them."""
        url = self.text_of(entry, "an address that begins with https:// or http://")
        if entry is not None and url:
            try:
                parts = urlsplit(url.replace(placeholder, ""))
                is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
                has_secret = bool(parts.username or parts.password)
            except ValueError:
                is_good, has_secret = False, False
            if not is_good:
                self.bad(entry, "is no address; write one that begins with https:// or http://")
            if has_secret:
                self.bad(entry, f"has credentials in it; {where_else}")
        return url

    def seconds(self, entry: Entry | None, default: float) -> float:
        """A duration of a second or more."""
        found = None if entry is None else self.parsed(entry, parse_duration, "a duration, such as 30s")
        if entry is not None and found is not None and found < SECOND:
            self.bad(entry, "is less than a second; write 1s or more")
        return default if found is None else found / SECOND
