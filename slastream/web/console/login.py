"""Who may read and who may act: everybody, the holders of a token, or whom a reverse proxy names.

A session is a signed cookie, valid as long as the process lives, SESSION_SECONDS at most. What a browser sends by itself (a
cookie, what the proxy adds) counts for a change only together with the token of the form (`User.form_token`).
"""

import hmac
import ipaddress
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web

from slastream.web.credentials import Failures, is_any

SESSION_COOKIE = "slastream_session"
SESSION_SECONDS = 12 * 3600
FAILURES_PER_SECOND = 2
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """Neither tokens nor a header: nobody can log in, and everybody reads. `is_public`: everybody reads all the same."""

    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    user_header: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    is_public: bool = False

    @property
    def is_on(self) -> bool:
        return bool(self.tokens) or self.user_header is not None


class User(NamedTuple):
    """`form_token` None: it is no browser, and nothing comes along by itself."""

    name: str
    form_token: str | None


class Login:
    def __init__(self, settings: LoginSettings) -> None:
        self.settings = settings
        self._key = secrets.token_bytes(32)
        self._failures = Failures(FAILURES_PER_SECOND)

    def user_of(self, request: web.BaseRequest) -> User | None:
        """Whom the request is from: by bearer token, by session, by the proxy's header."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(token.strip()):
            return User("token", None)
        session = request.cookies.get(SESSION_COOKIE, "")
        if self._is_session(session):
            return User("token", self._signed(f"form:{session}"))
        name = self._proxied(request)
        return None if name is None else User(name, self._signed(f"form:proxy:{name}"))

    def may_read(self, request: web.BaseRequest) -> bool:
        return not self.settings.is_on or self.settings.is_public or self.user_of(request) is not None

    def may_try(self, request: web.BaseRequest) -> bool:
        """Notes a failure: whether the address may go on failing."""
        return self._failures.note(request.remote or "", time.monotonic())

    def session(self, token: str) -> str | None:
        """The value of a new session's cookie; None: that is no token of ours."""
        if not self._is_token(token):
            return None
        body = f"{int(time.time()) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{body}.{self._signed(body)}"

    def _is_token(self, token: str) -> bool:
        return is_any(sha256(token.encode("utf-8", "surrogateescape")).digest(), self.settings.tokens)

    def _is_session(self, value: str) -> bool:
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(body).encode()):
            return False
        return int(body.partition(".")[0]) > time.time()

    def _proxied(self, request: web.BaseRequest) -> str | None:
        header, remote = self.settings.user_header, request.remote
        if header is None or remote is None or not (name := request.headers.get(header, "").strip()):
            return None
        address = ipaddress.ip_address(remote.partition("%")[0])
        return name[:200] if any(address in network for network in self.settings.trusted_proxies) else None

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), sha256).hexdigest()


def is_from_form(request: web.BaseRequest, user: User, given: str) -> bool:
    """Was this sent by a page of ours? Always so of one that is no browser."""
    if user.form_token is None:
        return True
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), user.form_token.encode())
