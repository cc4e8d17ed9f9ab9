"""What the files about one address (of `poll`, of a webhook of `notify`) have in common."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from slastream.core.units import SECOND, parse_duration
from slastream.wire.yaml_nodes import Entry, Reader


class ConnectionReader(Reader):
    """Reads keys that may be left out; what is left out is as good as empty."""

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
