"""Who a request is from: bearer tokens and signatures, compared in constant time, and how often somebody may ask."""

import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256

from slastream.core.units import Instant
from slastream.ingest.signatures import Signature, why_not_genuine
from slastream.web.gateway_file import Source


def bearing(sources: Sequence[Source], authorization: str) -> list[Source]:
    """Those whose bearer token came along, or that ask for none; known before a body is read."""
    scheme, _, token = authorization.partition(" ")
    given = sha256(token.strip().encode("utf-8", "surrogateescape")).digest() if scheme.lower() == "bearer" else b""
    return [one for one in sources if not one.tokens or is_any(given, one.tokens)]


def is_any(digest: bytes, tokens: Sequence[bytes]) -> bool:
    """Is it the SHA-256 of one of the tokens? All are compared, so that the time says neither which nor how long it is."""
    return sum(hmac.compare_digest(digest, sha256(token).digest()) for token in tokens) > 0


def why_none_signed(
    sources: Sequence[Source], signatures: Sequence[Signature], body: bytes, headers: Mapping[str, str], now: Instant
) -> tuple[Source | None, str]:
    """The first source whose signature is right, or that asks for none; else why not, for the log."""
    why = "no source fits"
    for source in sources:
        if not source.secrets:
            return source, ""
        reasons = [why_not_genuine(signatures, secret, body, headers, now) for secret in source.secrets]
        if None in reasons:
            return source, ""
        why = f"{source.name}: {reasons[-1]}"
    return None, why


class Bucket:
    """Holds up to a second's worth of permissions, and gets new ones steadily."""

    __slots__ = ("_at", "_left", "_per_second")

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._at: float | None = None

    def take(self, now_seconds: float) -> bool:
        """Whether there was one left, at a time of a clock that never goes back."""
        if self._at is not None:
            self._left = min(self._per_second, self._left + (now_seconds - self._at) * self._per_second)
        self._at = now_seconds
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Failures:
    """Counts failed attempts of each address; the addresses that were quiet longest are forgotten."""

    def __init__(self, per_second: int, addresses: int = 4096) -> None:
        self._per_second = per_second
        self._addresses = addresses
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def note(self, address: str, now_seconds: float) -> bool:
        """Whether the address may go on failing."""
        bucket = self._buckets.pop(address, None) or Bucket(self._per_second)
        self._buckets[address] = bucket
        if len(self._buckets) > self._addresses:
            self._buckets.popitem(last=False)
        return bucket.take(now_seconds)
