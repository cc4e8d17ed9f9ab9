"""How a vendor proves that a payload is its own: described as data, checked in constant time.

The gateway takes the description from the adapter, the secret from a file and the time from its clock.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slastream.core.units import Duration, Instant, parse_instant

Algorithm = Literal["sha1", "sha256", "sha512", "token"]
Encoding = Literal["hex", "base64"]
TimestampFormat = Literal["epoch_s", "epoch_ms", "rfc3339"]
FIVE_MINUTES = Duration(300_000_000)
_EPOCH_US = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
_LONGEST_EPOCH = 16


@dataclass(frozen=True, slots=True)
class Signature:
    """One scheme.

    header:            of the signature, in lower case
    algorithm:         of the HMAC; `token`: the header holds the secret itself
    encoding:          of the digest
    prefix:            before each digest (`sha256=`, `v1,`)
    separator:         between several signatures, of which one must be right; empty: there is one
    signed:            what is signed: `{body}`, `{timestamp}` and `{id}` are replaced by the bytes received
    timestamp_header:  None: nothing says when it was signed, so that a replay is only found by its event ids
    timestamp_format:  of that header
    tolerance:         µs that the timestamp may lie from the receiver's clock, either way
    id_header:         for `{id}`
    key_prefix:     a secret that begins with it is base64 after it (`whsec_`), otherwise it is its own bytes
    """

    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    separator: str = ""
    signed: str = "{body}"
    timestamp_header: str | None = None
    timestamp_format: TimestampFormat = "epoch_s"
    tolerance: Duration = FIVE_MINUTES
    id_header: str | None = None
    key_prefix: str = ""


STANDARD_WEBHOOKS = Signature(
    header="webhook-signature",
    encoding="base64",
    prefix="v1,",
    separator=" ",
    signed="{id}.{timestamp}.{body}",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    key_prefix="whsec_",
)
"""A scheme that several senders share, with libraries in most languages.

**Source:** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""


def why_not_genuine(
    signatures: Sequence[Signature], secret: bytes, body: bytes, headers: Mapping[str, str], now: Instant
) -> str | None:
    """None for a payload that is signed with the secret, and lately; otherwise why not, in words for a log.

    The first scheme counts whose headers are all there. Header names count in any case; the comparison takes the same time wherever
    the digests differ.
    """
    if not secret:
        return "no secret is configured"
    given = {name.lower(): value for name, value in headers.items()}
    for signature in signatures:
        if all(header in given for header in _headers(signature)):
            return _why_not(signature, secret, body, given, now)
    wanted = " or ".join(" and ".join(_headers(one)) for one in signatures)
    return f"the header {wanted} is missing" if wanted else "this adapter has no signature"


def signed_headers(secrets: Sequence[bytes], message_id: str, body: bytes, now: Instant) -> dict[str, str]:
    """The headers of a payload that we send, by Standard Webhooks: one signature for each secret."""
    scheme, timestamp = STANDARD_WEBHOOKS, str(now // _EPOCH_US["epoch_s"])
    signed = _filled(scheme.signed, {"body": body, "id": _bytes(message_id), "timestamp": _bytes(timestamp)})
    digests = [hmac.digest(_key(scheme, secret), signed, scheme.algorithm) for secret in secrets]
    signatures = scheme.separator.join(scheme.prefix + base64.b64encode(digest).decode() for digest in digests)
    assert scheme.id_header is not None and scheme.timestamp_header is not None
    return {scheme.id_header: message_id, scheme.timestamp_header: timestamp, scheme.header: signatures}


def _headers(signature: Signature) -> tuple[str, ...]:
    all_three = (signature.header, signature.timestamp_header, signature.id_header)
    return tuple(header for header in all_three if header is not None)


def _why_not(signature: Signature, secret: bytes, body: bytes, given: Mapping[str, str], now: Instant) -> str | None:
    received = given[signature.header]
    if signature.algorithm == "token":
        return None if hmac.compare_digest(_bytes(received), secret) else f"{signature.header} is not the secret"
    signed: dict[str, bytes] = {"body": body}
    if signature.timestamp_header is not None:
        signed["timestamp"] = _bytes(given[signature.timestamp_header])
    if signature.id_header is not None:
        signed["id"] = _bytes(given[signature.id_header])
    expected = hmac.digest(_key(signature, secret), _filled(signature.signed, signed), signature.algorithm)
    one_by_one = received.split(signature.separator) if signature.separator else [received]
    matching = sum(hmac.compare_digest(_decoded(signature, one.strip()), expected) for one in one_by_one)
    if matching == 0:
        return f"{signature.header} is not the signature of this payload"
    if signature.timestamp_header is not None:
        return _why_not_lately(signature, given[signature.timestamp_header], now)
    return None


def _why_not_lately(signature: Signature, text: str, now: Instant) -> str | None:
    try:
        at = _timestamp(signature.timestamp_format, text)
    except ValueError:
        return f"{signature.timestamp_header} is {text[:40]!r}, which is no instant"
    if abs(at - now) > signature.tolerance:
        return f"{signature.timestamp_header} lies {abs(at - now) // 1_000_000} s from the receiver's clock"
    return None


def _timestamp(kind: TimestampFormat, text: str) -> int:
    if kind == "rfc3339":
        return parse_instant(text)
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_EPOCH):
        raise ValueError
    return int(text) * _EPOCH_US[kind]


def _filled(template: str, parts: Mapping[str, bytes]) -> bytes:
    """The template with its parts, each once; a part is never looked at for a template."""
    pieces = template.replace("}", "{").split("{")  # text, name, text, name, … text
    return b"".join(parts[one] if index % 2 else one.encode() for index, one in enumerate(pieces))


def _decoded(signature: Signature, text: str) -> bytes:
    """The digest; empty for what is none."""
    if not text.startswith(signature.prefix):
        return b""
    digest = _bytes(text[len(signature.prefix) :])
    try:
        return binascii.unhexlify(digest) if signature.encoding == "hex" else base64.b64decode(digest, validate=True)
    except ValueError:
        return b""


def _key(signature: Signature, secret: bytes) -> bytes:
    prefix = signature.key_prefix.encode()
    if not prefix or not secret.startswith(prefix):
        return secret
    try:
        return base64.b64decode(secret[len(prefix) :], validate=True)
    except ValueError:
        return secret


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
