"""The configuration of `slastream poll`: a YAML file to one REST source, or every problem of it at once with its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slastream.web.connection_file import ConnectionReader, ReadFile
from slastream.wire.yaml_nodes import Entry

CURSOR = "{cursor}"
KEYS = (
    "version", "name", "url", "headers", "bearer_file", "basic_file", "ca_file", "records", "next", "page", "cursor",
    "mapping", "adapter", "options", "interval", "timeout", "state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """`column` of a record (a dotted path), whose highest value goes into the URL next time; `start` the first time."""

    column: str
    start: str


@dataclass(frozen=True, slots=True)
class PollFile:
    """What the file says. Durations in seconds; paths are dotted, and empty for the whole answer.

    `next` is `link` (the header of RFC 8288), the path of an address in the answer, or empty; `page` a query parameter that
    counts from 1 until an answer has no records. One of `mapping` and `adapter` is set.
    """

    name: str
    url: str
    state: str
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: str = field(default="", repr=False)
    basic: str = field(default="", repr=False)
    ca_file: str | None = None
    records: str = ""
    next: str = ""
    page: str = ""
    cursor: Cursor | None = None
    mapping: str | None = None
    adapter: str | None = None
    options: str | None = None
    interval_seconds: float = 60.0
    timeout_seconds: float = 30.0


def read_poll_file(file: str, text: str, read_file: ReadFile) -> PollFile:
    """Raises PolicyError with every problem: `FILE:LINE: PATH: what is wrong; what to write instead`."""
    return _Reader(read_file).read(file, text)


class _Reader(ConnectionReader[PollFile]):
    def file(self, root: Entry) -> PollFile | None:
        top = self.mapping(root, KEYS, "version, url, records, …")
        if top is None:
            return None
        self.required(root, top, "name", "url", "state")
        if ("mapping" in top) == ("adapter" in top):
            self.bad(root._replace(path="mapping"), "one of mapping and adapter is needed; write one of them")
        if "next" in top and "page" in top:
            self.bad(top["page"], "stands beside next; write one of them")
        url = self.address(top.get("url"), "write them into a file and name it as basic_file", CURSOR)
        cursor = self._cursor(top.get("cursor"))
        if "url" in top and (CURSOR in url) != ("cursor" in top):
            self.bad(top["url"], f"{CURSOR} in the url and cursor: belong together; write both or none")
        return PollFile(
            name=self.text_of(top.get("name"), "a name, which is the beginning of event ids"),
            url=url,
            state=self.text_of(top.get("state"), "a file name; the cursor is kept there"),
            headers=self._headers(top.get("headers")),
            bearer=self._secret(top.get("bearer_file")),
            basic=self._secret(top.get("basic_file")),
            ca_file=self.text_of(top.get("ca_file"), "a file name") or None,
            records=self.text_of(top.get("records"), "a dotted path, such as data.items"),
            next=self.text_of(top.get("next"), "link, or a dotted path"),
            page=self.text_of(top.get("page"), "the name of a query parameter"),
            cursor=cursor,
            mapping=self.text_of(top.get("mapping"), "a mapping file") or None,
            adapter=self.text_of(top.get("adapter"), "the name of an adapter") or None,
            options=self.text_of(top.get("options"), "a file name") or None,
            interval_seconds=self.seconds(top.get("interval"), 60.0),
            timeout_seconds=self.seconds(top.get("timeout"), 30.0),
        )

    def _cursor(self, entry: Entry | None) -> Cursor | None:
        if entry is None:
            return None
        found = self.mapping(entry, ("column", "start"), "column and start")
        if found is None:
            return None
        for name in ("column", "start"):
            if name not in found:
                self.bad(entry, f"has no {name}; write {name}: …")
        return Cursor(
            self.text_of(found.get("column"), "a dotted path"), self.text_of(found.get("start"), "the first value")
        )

    def _headers(self, entry: Entry | None) -> dict[str, str]:
        found = self.mapping(entry, None, "headers by name") if entry is not None else None
        headers = {}
        for name, one in (found or {}).items():
            if name.lower() == "authorization":
                self.bad(one, "is a secret; write it into a file and name it as bearer_file or basic_file")
            headers[name] = self.text(one, "a text") or ""
        return headers

    def _secret(self, entry: Entry | None) -> str:
        name = None if entry is None else self.text(entry, "a file name")
        if entry is None or name is None:
            return ""
        try:
            secret = self._read_file(name).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            self.bad(entry, f"{name} cannot be read ({error}); write a file with the credentials in one line")
            return ""
        if not secret or "\n" in secret:
            self.bad(entry, f"{name} must have one line; write the token, or user:password")
        return secret
