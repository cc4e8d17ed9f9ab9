"""Settings of the services: command line, then environment (`SLASTREAM_…`), then a TOML file, then defaults (contract 4)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from slastream.errors import PolicyError

PREFIX = "SLASTREAM_"
MOST_OFTEN_SECONDS, LEAST_OFTEN_SECONDS = 1.0, 240.0
DELIVERIES = ("exactly_once", "at_least_once")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is told. `instance` makes its group membership static."""

    policy: str
    broker: str
    metrics: str = "127.0.0.1:9108"
    delivery: str = "exactly_once"
    app_id: str = "slastream"
    instance: str | None = None
    session_timeout_seconds: float = 10.0

    def shown(self) -> str:
        """The effective settings as TOML, without secrets (there are none among them)."""
        lines = []
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                lines.append(
                    f"{one.name} = {value if isinstance(value, float) else repr(value).replace(chr(39), chr(34))}"
                )
        return "\n".join(lines)


def worker_options(
    given: Mapping[str, Any], environment: Mapping[str, str], toml: str | None, file: str
) -> WorkerOptions:
    """Raises PolicyError for what is missing or unknown."""
    names = {one.name for one in fields(WorkerOptions)}
    values: dict[str, Any] = {}
    if toml is not None:
        try:
            document = tomllib.loads(toml)
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f'{file}: is no TOML: {error}; write lines like broker = "127.0.0.1:9092"') from None
        for name, value in document.items():
            if name not in names:
                raise PolicyError(f"{file}: {name}: unknown setting; it may be one of: {', '.join(sorted(names))}")
            values[name] = value
    values |= {name: environment[PREFIX + name.upper()] for name in names if environment.get(PREFIX + name.upper())}
    values |= {name: value for name, value in given.items() if name in names and value is not None}
    for name in ("policy", "broker"):
        if not values.get(name):
            raise PolicyError(f"{name} is missing; give --{name}, or {PREFIX}{name.upper()} in the environment")
    if values.get("delivery", "exactly_once") not in DELIVERIES:
        raise PolicyError(f"delivery: {values['delivery']!r} is unknown; write one of: {', '.join(DELIVERIES)}")
    try:
        values["session_timeout_seconds"] = float(values.get("session_timeout_seconds", 10.0))
    except (TypeError, ValueError):
        raise PolicyError(
            f"session_timeout_seconds: {values['session_timeout_seconds']!r} is no number of seconds"
        ) from None
    texts: dict[str, Any] = {name: value if isinstance(value, float) else str(value) for name, value in values.items()}
    return WorkerOptions(**texts)


@dataclass(frozen=True, slots=True)
class NotifyOptions:
    """What `notify` is told. Each `alertmanager` is told everything; each `webhook` is the file of a receiver."""

    broker: str
    alertmanager: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()
    authorization_file: str | None = None
    metrics: str = "127.0.0.1:9110"
    runbook: str = "docs/runbook.md"
    resend_seconds: float = 60.0


def notify_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> NotifyOptions:
    """Variables have NOTIFY_ before their name, but for the broker; several addresses or files are separated by spaces or commas.

    Raises PolicyError for what is missing or cannot be used.
    """
    values: dict[str, Any] = {}
    for one in fields(NotifyOptions):
        prefix = PREFIX if one.name == "broker" else f"{PREFIX}NOTIFY_"
        if text := environment.get(prefix + one.name.upper()):
            values[one.name] = (
                tuple(text.replace(",", " ").split()) if one.name in ("alertmanager", "webhook") else text
            )
        if given.get(one.name) is not None:
            values[one.name] = tuple(given[one.name]) if isinstance(given[one.name], list) else given[one.name]
    if not values.get("broker"):
        raise PolicyError("broker is missing; give --broker, or SLASTREAM_BROKER in the environment")
    try:
        values["resend_seconds"] = float(values.get("resend_seconds", 60.0))
    except ValueError:
        raise PolicyError(f"resend_seconds: {values['resend_seconds']!r} is no number of seconds") from None
    if not MOST_OFTEN_SECONDS <= values["resend_seconds"] <= LEAST_OFTEN_SECONDS:
        raise PolicyError(
            f"resend_seconds: {values['resend_seconds']:g} is not from {MOST_OFTEN_SECONDS:g} to {LEAST_OFTEN_SECONDS:g}; an "
            "alert that is not told again expires"
        )
    return NotifyOptions(**values)


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """What `console` is told. `app_id` is that of the workers whose lag is shown."""

    broker: str
    listen: str = "127.0.0.1:8090"
    policy: str | None = None
    token_file: str | None = None
    user_header: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    public: bool = False
    app_id: str = "slastream"


def console_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> ConsoleOptions:
    """Variables have CONSOLE_ before their name, but for those that it shares with the worker; lists as in `notify_options`.

    Raises PolicyError for what is missing or cannot be used.
    """
    values: dict[str, Any] = {}
    for one in fields(ConsoleOptions):
        prefix = PREFIX if one.name in ("broker", "policy", "app_id") else f"{PREFIX}CONSOLE_"
        if text := environment.get(prefix + one.name.upper()):
            values[one.name] = text
        if given.get(one.name) is not None:
            values[one.name] = given[one.name]
    if not values.get("broker"):
        raise PolicyError("broker is missing; give --broker, or SLASTREAM_BROKER in the environment")
    values["trusted_proxies"] = tuple(str(values.get("trusted_proxies", "")).replace(",", " ").split())
    public = str(values.get("public", False)).lower()
    if public not in ("true", "false"):
        raise PolicyError(f"public: {public!r} is neither true nor false")
    return ConsoleOptions(**{**values, "public": public == "true"})
