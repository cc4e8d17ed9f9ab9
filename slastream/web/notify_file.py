"""The file of one webhook of `slastream notify`: YAML to where facts go and how they are signed, or every problem with its line."""

import base64
import contextlib
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from slastream.ingest.signatures import STANDARD_WEBHOOKS
from slastream.web.addresses import Network, why_refused
from slastream.web.connection_file import ConnectionReader, ReadFile
from slastream.wire.yaml_nodes import Entry

KEYS = (
    "version", "name", "url", "secret_file", "facts", "begin", "timeout", "give_up_after", "allow_networks", "ca_file",
)  # fmt: skip
FACTS = (
    "warned", "breached", "met_late", "retracted", "availability_breached", "recovered", "burn_started", "burn_stopped",
    "at_risk",
)  # fmt: skip
BEGINS = ("now", "oldest")
LEAST_SECRET_BYTES = 24
"""**Source:** Standard Webhooks, "signature scheme": between 24 and 64 bytes."""


@dataclass(frozen=True, slots=True)
class WebhookFile:
    """What the file says. Each of `secrets` (`whsec_…`) signs, so that one can follow the other; durations in seconds.

    `begin` says where a webhook that nothing was ever delivered to starts: with the next fact, or with the oldest that is kept.
    """

    name: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    facts: frozenset[str] = frozenset(FACTS)
    begin: str = "now"
    timeout_seconds: float = 15.0
    give_up_seconds: float = 86_400.0
    allow_networks: tuple[Network, ...] = ()
    ca_file: str | None = None


def read_webhook_file(file: str, text: str, read_file: ReadFile) -> WebhookFile:
    """Raises PolicyError with every problem: `FILE:LINE: PATH: what is wrong; what to write instead`."""
    return _Reader(read_file).read(file, text)


class _Reader(ConnectionReader[WebhookFile]):
    def file(self, root: Entry) -> WebhookFile | None:
        top = self.mapping(root, KEYS, "version, name, url, secret_file, …")
        if top is None:
            return None
        self.required(root, top, "name", "url", "secret_file")
        networks = self._networks(top.get("allow_networks"))
        url = self.address(top.get("url"), "the signature says who sends, so leave them out")
        with contextlib.suppress(ValueError):  # a name is looked at when it is resolved
            if url and (why := why_refused(urlsplit(url).hostname or "", networks)) is not None:
                self.bad(top["url"], why)
        begin = None if "begin" not in top else self.word(top["begin"], BEGINS)
        return WebhookFile(
            name=self.text_of(top.get("name"), "a name; it is part of the consumer group"),
            url=url,
            secrets=self._secrets(top.get("secret_file")),
            facts=self._facts(top.get("facts")),
            begin=begin or "now",
            timeout_seconds=self.seconds(top.get("timeout"), 15.0),
            give_up_seconds=self.seconds(top.get("give_up_after"), 86_400.0),
            allow_networks=networks,
            ca_file=self.text_of(top.get("ca_file"), "a file name") or None,
        )

    def _secrets(self, entry: Entry | None) -> tuple[bytes, ...]:
        name = None if entry is None else self.text(entry, "a file name")
        if entry is None or name is None:
            return ()
        if name.startswith(STANDARD_WEBHOOKS.key_prefix):
            self.bad(entry, "is a secret itself; write it into a file and name that")
            return ()
        try:
            lines = [line.strip() for line in self._read_file(name).decode().splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            self.bad(entry, f"{name} cannot be read ({error}); write a file with one secret a line, such as whsec_…")
            return ()
        if not lines:
            self.bad(entry, f"{name} is empty; write one secret a line, such as whsec_…")
        for line in lines:
            self._check_secret(entry, name, line)
        return tuple(line.encode() for line in lines)

    def _check_secret(self, entry: Entry, name: str, line: str) -> None:
        prefix = STANDARD_WEBHOOKS.key_prefix
        try:
            secret = base64.b64decode(line.removeprefix(prefix), validate=True) if line.startswith(prefix) else b""
        except ValueError:
            secret = b""
        if len(secret) < LEAST_SECRET_BYTES:
            self.bad(
                entry,
                f"{name} has a line that is no secret; write {prefix} and {LEAST_SECRET_BYTES} or more bytes in base64",
            )

    def _facts(self, entry: Entry | None) -> frozenset[str]:
        if entry is None:
            return frozenset(FACTS)
        return frozenset(
            filter(None, (self.word(one, FACTS) for one in self.texts(entry, "facts, such as breached") or ()))
        )

    def _networks(self, entry: Entry | None) -> tuple[Network, ...]:
        found = [] if entry is None else self.texts(entry, "networks, such as 10.0.0.0/8") or []
        networks = [self.parsed(one, ipaddress.ip_network, "a network, such as 10.0.0.0/8") for one in found]
        return tuple(one for one in networks if one is not None)
