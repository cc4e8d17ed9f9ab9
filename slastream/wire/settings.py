"""Settings of the services: command line, then environment (`SLASTREAM_…`), then a TOML file, then defaults (contract 4)."""

import ipaddress
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from slastream.errors import PolicyError

PREFIX = "SLASTREAM_"
MOST_OFTEN_SECONDS, LEAST_OFTEN_SECONDS = 1.0, 240.0
DELIVERIES = ("exactly_once", "at_least_once")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class Kafka:
    """Where Kafka is and how to prove who we are; as text its address. Settings are `broker` and `kafka_` with a field's name.

    `address` is `host:port`, several separated by commas. `protocol` is what Kafka calls `security.protocol`. Files are PEM;
    without `ca_file` the system's authorities count, without `key_file` the key is in the file of the certificate. `password`
    comes from the environment only; `password_file` is read whenever a client is made.
    """

    address: str
    protocol: str = "PLAINTEXT"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    mechanism: str = "SCRAM-SHA-512"
    user: str | None = None
    password_file: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.address

    @property
    def has_tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def has_login(self) -> bool:
        return self.protocol.startswith("SASL_")

    def settings(self) -> dict[str, str]:
        """What is in use, by the name of its setting; without the password, which is never shown."""
        names = ["address", "protocol"]
        names += ["ca_file", "certificate_file", "key_file"] if self.has_tls else []
        names += ["mechanism", "user", "password_file"] if self.has_login else []
        return {SETTING_OF[name]: value for name in names if (value := getattr(self, name)) is not None}

    def arguments(self) -> list[str]:
        """The command line of another slastream that is to use the same; the password is in the environment that it inherits."""
        return [part for name, value in self.settings().items() for part in (f"--{name.replace('_', '-')}", value)]


SETTING_OF = {one.name: "broker" if one.name == "address" else f"kafka_{one.name}" for one in fields(Kafka)}
_KAFKA_SETTINGS = {name for name in SETTING_OF.values() if name != "kafka_password"}


def kafka_settings(
    given: Mapping[str, Any], environment: Mapping[str, str], document: Mapping[str, Any] | None = None
) -> Kafka:
    """From the command line, the environment and a TOML document. Raises PolicyError for what is missing or does not fit."""
    values = _layered(_KAFKA_SETTINGS, given, environment, document or {})
    if not values.get("broker"):
        raise PolicyError("broker is missing; give --broker, or SLASTREAM_BROKER in the environment")
    values["kafka_password"] = environment.get("SLASTREAM_KAFKA_PASSWORD") or None
    found = {name: values[setting] for name, setting in SETTING_OF.items() if values.get(setting) is not None}
    if "protocol" not in found and (
        others := [SETTING_OF[name] for name in found if name not in ("address", "password")]
    ):
        raise PolicyError(
            f"{', '.join(others)}: of no use without kafka_protocol; write SSL (TLS), SASL_SSL (TLS and a login), "
            "SASL_PLAINTEXT (a login without TLS) or PLAINTEXT (neither)"
        )
    kafka = Kafka(**{name: str(value) for name, value in found.items()})
    _refuse_unfit(kafka)
    return kafka


def _refuse_unfit(kafka: Kafka) -> None:
    if kafka.protocol not in PROTOCOLS:
        raise PolicyError(f"kafka_protocol: {kafka.protocol!r} is unknown; write one of: {', '.join(PROTOCOLS)}")
    if kafka.mechanism not in MECHANISMS:
        raise PolicyError(f"kafka_mechanism: {kafka.mechanism!r} is unknown; write one of: {', '.join(MECHANISMS)}")
    if kafka.has_tls and kafka.key_file and not kafka.certificate_file:
        raise PolicyError("kafka_key_file: is of no use without its certificate; give kafka_certificate_file too")
    if kafka.has_login and not kafka.user:
        raise PolicyError(f"kafka_user is missing, and {kafka.protocol} asks for a login; give --kafka-user")
    if kafka.has_login and not (kafka.password_file or kafka.password):
        raise PolicyError(
            "the password of kafka_user is missing; give --kafka-password-file, or SLASTREAM_KAFKA_PASSWORD in the environment"
        )
    if kafka.protocol == "SASL_PLAINTEXT" and kafka.mechanism == "PLAIN" and not _is_loopback(kafka.address):
        raise PolicyError(
            "kafka_mechanism: PLAIN without TLS shows the password to the network; write kafka_protocol SASL_SSL, or a "
            "mechanism of SCRAM"
        )


def _is_loopback(addresses: str) -> bool:
    hosts = [one.rpartition(":")[0].strip("[] ") for one in addresses.split(",")]
    return all(host == "localhost" or _is_loopback_number(host) for host in hosts)


def _is_loopback_number(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _layered(
    names: set[str], given: Mapping[str, Any], environment: Mapping[str, str], document: Mapping[str, Any]
) -> dict[str, Any]:
    values = {name: value for name, value in document.items() if name in names}
    values |= {name: environment[PREFIX + name.upper()] for name in names if environment.get(PREFIX + name.upper())}
    return values | {name: given[name] for name in names if given.get(name) is not None}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is told. `instance` makes its group membership static."""

    policy: str
    broker: Kafka
    metrics: str = "127.0.0.1:9108"
    delivery: str = "exactly_once"
    app_id: str = "slastream"
    instance: str | None = None
    session_timeout_seconds: float = 10.0

    def shown(self) -> str:
        """The effective settings as TOML, without secrets."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "broker"}
        shown = {**own, **self.broker.settings()}
        return "\n".join(f"{name} = {_as_toml(value)}" for name, value in shown.items() if value is not None)


def _as_toml(value: str | float) -> str:
    """A basic string is written as JSON's, which TOML reads too."""
    return str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def worker_options(
    given: Mapping[str, Any], environment: Mapping[str, str], toml: str | None, file: str
) -> WorkerOptions:
    """Raises PolicyError for what is missing or unknown."""
    names = {one.name for one in fields(WorkerOptions)} - {"broker"}
    document = {} if toml is None else _document(toml, file, names | _KAFKA_SETTINGS)
    values = _layered(names, given, environment, document)
    if not values.get("policy"):
        raise PolicyError(f"policy is missing; give --policy, or {PREFIX}POLICY in the environment")
    kafka = kafka_settings(given, environment, document)
    if values.get("delivery", "exactly_once") not in DELIVERIES:
        raise PolicyError(f"delivery: {values['delivery']!r} is unknown; write one of: {', '.join(DELIVERIES)}")
    try:
        values["session_timeout_seconds"] = float(values.get("session_timeout_seconds", 10.0))
    except (TypeError, ValueError):
        raise PolicyError(
            f"session_timeout_seconds: {values['session_timeout_seconds']!r} is no number of seconds"
        ) from None
    texts: dict[str, Any] = {name: value if isinstance(value, float) else str(value) for name, value in values.items()}
    return WorkerOptions(broker=kafka, **texts)


def _document(toml: str, file: str, names: set[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f'{file}: is no TOML: {error}; write lines like broker = "127.0.0.1:9092"') from None
    for name in document:
        if name == "kafka_password":
            raise PolicyError(
                f"{file}: {name}: secrets have no place among settings, which are shown; write kafka_password_file, or "
                "give SLASTREAM_KAFKA_PASSWORD in the environment"
            )
        if name not in names:
            raise PolicyError(f"{file}: {name}: unknown setting; it may be one of: {', '.join(sorted(names))}")
    return document


@dataclass(frozen=True, slots=True)
class NotifyOptions:
    """What `notify` is told. Each `alertmanager` is told everything; each `webhook` is the file of a receiver."""

    broker: Kafka
    alertmanager: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()
    authorization_file: str | None = None
    metrics: str = "127.0.0.1:9110"
    runbook: str = "docs/runbook.md"
    resend_seconds: float = 60.0


def notify_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> NotifyOptions:
    """Variables have NOTIFY_ before their name, except for those of Kafka; spaces or commas separate several values.

    Raises PolicyError for what is missing or cannot be used.
    """
    values: dict[str, Any] = {}
    for one in fields(NotifyOptions):
        if one.name == "broker":
            continue
        if text := environment.get(f"{PREFIX}NOTIFY_{one.name.upper()}"):
            values[one.name] = (
                tuple(text.replace(",", " ").split()) if one.name in ("alertmanager", "webhook") else text
            )
        if given.get(one.name) is not None:
            values[one.name] = tuple(given[one.name]) if isinstance(given[one.name], list) else given[one.name]
    values["broker"] = kafka_settings(given, environment)
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

    broker: Kafka
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
        if one.name == "broker":
            continue
        prefix = PREFIX if one.name in ("policy", "app_id") else f"{PREFIX}CONSOLE_"
        if text := environment.get(prefix + one.name.upper()):
            values[one.name] = text
        if given.get(one.name) is not None:
            values[one.name] = given[one.name]
    values["broker"] = kafka_settings(given, environment)
    values["trusted_proxies"] = tuple(str(values.get("trusted_proxies", "")).replace(",", " ").split())
    public = str(values.get("public", False)).lower()
    if public not in ("true", "false"):
        raise PolicyError(f"public: {public!r} is neither true nor false")
    return ConsoleOptions(**{**values, "public": public == "true"})
