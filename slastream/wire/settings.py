"""Settings of the services: command line, then environment (`SLASTREAM_…`), then a TOML file, then defaults (contract 4)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from slastream.errors import PolicyError

PREFIX = "SLASTREAM_"
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
