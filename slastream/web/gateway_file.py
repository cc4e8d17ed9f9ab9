"""The gateway's configuration: a YAML file to sources, or every problem of it at once with its line.

Secrets stand in files of their own, one a line, of which each is valid: so a new one is added before the old one goes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from slastream.errors import PolicyError
from slastream.wire.yaml_nodes import Entry, Problem, Reader, line_of, parse, values

NATIVE = "events"
"""The adapter of `/v1/events`: the contract's own events."""

MIN_SECRET_BYTES = 16
_SIZES = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
_SIZE = re.compile(r"(\d{1,9}) *(KiB|MiB|)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

ReadFile = Callable[[str], bytes]
"""The bytes of a file that the configuration names, beside it; raises OSError."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends. `secrets` of the adapter's signature, `tokens` for `Authorization: Bearer`; of each, one must be right."""

    name: str
    adapter: str
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    zone: tzinfo = UTC
    options: str | None = None
    requests_per_second: int = 200

    @property
    def is_authenticated(self) -> bool:
        return bool(self.secrets or self.tokens)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request and all connections may take."""

    body_bytes: int = 10 * 1024 * 1024
    all_bodies_bytes: int = 256 * 1024 * 1024
    header_bytes: int = 8190
    batch_events: int = 10_000
    connections: int = 1000
    body_seconds: int = 30
    answer_seconds: int = 8
    drain_seconds: int = 30
    failures_per_second: int = 10


@dataclass(frozen=True, slots=True)
class Tls:
    """File names. With `client_ca` only clients with a certificate of it get in."""

    certificate: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """What the file says; `sources` empty: one without authentication for each adapter."""

    listen: str | None = None
    metrics: str | None = None
    tls: Tls | None = None
    limits: Limits = field(default_factory=Limits)
    sources: tuple[Source, ...] = ()


def read_gateway_file(file: str, text: str, signed: Mapping[str, bool], read_file: ReadFile) -> GatewayFile:
    """`signed` says of each adapter whether its vendor signs. Raises PolicyError with every problem, a line each."""
    problems: list[Problem] = []
    root = parse(file, text, problems)
    reader = _Reader(signed, read_file)
    reader.problems = problems
    found = reader.file(Entry(root, "$", line_of(root), file)) if root is not None else None
    if found is None or reader.problems:
        raise PolicyError("\n".join(str(one) for one in sorted(reader.problems, key=lambda p: (p.line, p.path))))
    return found


class _Reader(Reader):
    def __init__(self, signed: Mapping[str, bool], read_file: ReadFile) -> None:
        super().__init__()
        self._signed = signed
        self._read_file = read_file

    def file(self, root: Entry) -> GatewayFile | None:
        top = self.mapping(root, ("version", "listen", "metrics", "tls", "limits", "sources"), "version, sources, …")
        if top is None:
            return None
        if (version := top.get("version")) is None or self.text(version, "version: 1") != "1":
            self.bad(version or root._replace(path="version"), "is missing or unknown; write version: 1")
        named = self.mapping(top["sources"], None, "sources by name") if "sources" in top else {}
        sources = [one for name, entry in values(named) if (one := self._source(name, entry)) is not None]
        return GatewayFile(
            listen=self.text(top["listen"], "HOST:PORT") if "listen" in top else None,
            metrics=self.text(top["metrics"], "HOST:PORT") if "metrics" in top else None,
            tls=self._tls(top["tls"]) if "tls" in top else None,
            limits=self._limits(top["limits"]) if "limits" in top else Limits(),
            sources=tuple(sources),
        )

    def _source(self, name: str, entry: Entry) -> Source | None:
        keys = ("adapter", "secret_file", "bearer_file", "timezone", "options", "requests_per_second")
        found = self.mapping(entry, keys, "adapter, secret_file, bearer_file, …")
        if found is None:
            return None
        if not _NAME.fullmatch(name):
            self.bad(entry, f"{name!r} is no name; write letters, digits, dots, - and _, 64 at most")
        if "adapter" not in found:
            self.bad(entry, f"has no adapter; write adapter: and one of: {', '.join(self._signed)}")
            return None
        adapter = self.word(found["adapter"], tuple(self._signed))
        if (secret := found.get("secret_file")) is not None and adapter is not None and not self._signed[adapter]:
            self.bad(secret, f"{adapter} signs nothing; write bearer_file, and let it send Authorization: Bearer")
        return Source(
            name=name,
            adapter=adapter or NATIVE,
            secrets=self._secrets(secret),
            tokens=self._secrets(found.get("bearer_file")),
            zone=self._zone(found["timezone"]) if "timezone" in found else UTC,
            options=self.text(found["options"], "a file name") if "options" in found else None,
            requests_per_second=self._number(found, "requests_per_second", 200),
        )

    def _secrets(self, entry: Entry | None) -> tuple[bytes, ...]:
        if entry is None or (name := self.text(entry, "a file name")) is None:
            return ()
        try:
            found = tuple(line.strip() for line in self._read_file(name).splitlines() if line.strip())
        except OSError as error:
            self.bad(entry, f"{name} cannot be read ({error.strerror}); write a file with the secret in a line")
            return ()
        if not found:
            self.bad(entry, f"{name} is empty; write a secret into it, one a line")
        if any(len(one) < MIN_SECRET_BYTES for one in found):
            self.bad(
                entry, f"{name} has a secret of less than {MIN_SECRET_BYTES} bytes; make one with openssl rand -hex 32"
            )
        return found

    def _zone(self, entry: Entry) -> tzinfo:
        name = self.text(entry, "a zone, such as Europe/Berlin")
        if name in (None, "UTC"):
            return UTC
        try:
            return ZoneInfo(str(name))
        except (ValueError, OSError, KeyError):
            self.bad(entry, f"{name!r} is no time zone; write one such as Europe/Berlin")
            return UTC

    def _tls(self, entry: Entry) -> Tls | None:
        found = self.mapping(entry, ("certificate", "key", "client_ca"), "certificate, key and client_ca")
        if found is None:
            return None
        texts = {name: self.text(one, "a file name") for name, one in found.items()}
        for name in ("certificate", "key"):
            if name not in found:
                self.bad(entry, f"has no {name}; write {name}: and a PEM file")
        return Tls(texts.get("certificate") or "", texts.get("key") or "", texts.get("client_ca"))

    def _limits(self, entry: Entry) -> Limits:
        names = tuple(Limits.__dataclass_fields__)
        found = self.mapping(entry, names, "limits by name") or {}
        default = Limits()
        return Limits(**{name: self._number(found, name, getattr(default, name)) for name in names})

    def _number(self, found: Mapping[str, Entry], name: str, default: int) -> int:
        if name not in found:
            return default
        number = self.parsed(found[name], _size if name.endswith("_bytes") else _whole, "a whole number above 0")
        return default if number is None else number


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) <= 10**9):
        raise ValueError(f"{text!r} is no whole number from 1 to 1000000000; write one")
    return int(text)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no size; write bytes, or 512 KiB or 10 MiB")
    return int(found[1]) * _SIZES[found[2]]
