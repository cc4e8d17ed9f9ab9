"""Kafka's settings as arguments of aiokafka's clients, and why a broker does not let us in, in words.

aiokafka tells of a wrong password, of a wrong authority and of an absent broker alike: "unable to bootstrap". So
`check_broker` knocks before the clients do.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from slastream.errors import DeliveryError, PolicyError
from slastream.wire.settings import Kafka

ANSWER_LIMIT_SECONDS = 10.0
Broker = Kafka | str
"""An address alone is a broker without TLS and login."""


def as_kafka(broker: Broker) -> Kafka:
    return Kafka(broker) if isinstance(broker, str) else broker


def client_arguments(broker: Broker) -> dict[str, Any]:
    """Where to connect and how, as each of aiokafka's clients takes it. Reads the files: raises PolicyError."""
    kafka = as_kafka(broker)
    return {"bootstrap_servers": kafka.address.split(","), **security_arguments(kafka)}


def security_arguments(kafka: Kafka) -> dict[str, Any]:
    """`client_arguments` without the addresses; nothing for PLAINTEXT. Raises PolicyError for a file that cannot be used."""
    if kafka.protocol == "PLAINTEXT":
        return {}
    arguments: dict[str, Any] = {"security_protocol": kafka.protocol}
    if kafka.has_tls:
        arguments["ssl_context"] = _tls_context(kafka)
    if kafka.has_login:
        arguments |= {
            "sasl_mechanism": kafka.mechanism,
            "sasl_plain_username": kafka.user,
            "sasl_plain_password": _password(kafka),
        }
    return arguments


def _tls_context(kafka: Kafka) -> ssl.SSLContext:
    """Names of brokers are always verified; there is no switch for it."""
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise PolicyError(
            f"kafka_ca_file: {kafka.ca_file} cannot be used: {error}; name a PEM file of the authority"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if kafka.certificate_file is not None:
        try:
            context.load_cert_chain(kafka.certificate_file, kafka.key_file, _no_passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            names = " and ".join(filter(None, (kafka.certificate_file, kafka.key_file)))
            raise PolicyError(
                f"kafka_certificate_file: {names} cannot be used: {error}; name PEM files of a certificate and its key"
            ) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase, which is not supported")


def _password(kafka: Kafka) -> str:
    if kafka.password_file is None:
        return kafka.password or ""
    try:
        password = Path(kafka.password_file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # its text has what could not be read
        raise PolicyError(f"kafka_password_file: {kafka.password_file} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise PolicyError(f"kafka_password_file: {kafka.password_file} cannot be read: {error.strerror}") from None
    if not password or "\n" in password:
        raise PolicyError(f"kafka_password_file: {kafka.password_file} must have one line, the password")
    return password


async def check_broker(broker: Broker) -> None:
    """Return when one of the addresses answers and lets us in.

    Raises PolicyError when an address answers but not to these settings, DeliveryError when none answers within
    ANSWER_LIMIT_SECONDS.
    """
    kafka = as_kafka(broker)
    security = security_arguments(kafka)
    refusal: PolicyError | None = None
    absence = ""
    for host, port in _addresses(kafka):
        try:
            with _quiet_aiokafka():
                await asyncio.wait_for(_enter(kafka, host, port, security), ANSWER_LIMIT_SECONDS)
        except PolicyError as error:
            refusal = error
        except TimeoutError:
            absence = f"no answer within {ANSWER_LIMIT_SECONDS:.0f} s"
        except (KafkaError, OSError) as error:
            absence = getattr(error, "strerror", None) or str(error)
        else:
            return
    raise refusal or DeliveryError(
        f"no Kafka at {kafka} ({absence}): start it, or name another with --broker HOST:PORT"
    )


def _addresses(kafka: Kafka) -> list[tuple[str, int]]:
    try:
        return [(host, port) for host, port, _ in collect_hosts(kafka.address, randomize=False)]
    except ValueError:
        raise PolicyError(
            f"{kafka.address!r} is not the address of a broker; write HOST:PORT, such as 127.0.0.1:9092"
        ) from None


async def _enter(kafka: Kafka, host: str, port: int, security: dict[str, Any]) -> None:
    where = f"Kafka at {host}:{port}"
    try:
        await _ask(host, port, security)
    except SaslAuthenticationFailed:
        raise PolicyError(
            f"{where} refuses the login of {kafka.user} with {kafka.mechanism}: check kafka_user and its password, and that "
            "it has one for this mechanism"
        ) from None
    except UnsupportedSaslMechanismError:
        raise PolicyError(
            f"{where} has no logins with {kafka.mechanism}: write another kafka_mechanism "
            "(sasl.enabled.mechanisms of the broker says which)"
        ) from None
    except IllegalSaslStateError:
        raise PolicyError(
            f"{where} has no logins: write kafka_protocol {'SSL' if kafka.has_tls else 'PLAINTEXT'}, or name a port that has"
        ) from None
    except ValueError as error:
        raise PolicyError(f"{where} does not prove that it knows the password of {kafka.user}: {error}") from None
    except (KafkaConnectionError, ConnectionError, ssl.SSLError) as error:
        if (why := await _why_closed(kafka, host, port, error)) is not None:
            raise PolicyError(f"{where} {why}") from None
        raise


async def _why_closed(kafka: Kafka, host: str, port: int, error: Exception) -> str | None:
    """What is wrong where a broker ends a connection without a word; None: nothing that is known."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted ({cause.verify_message}): give the PEM file of the authority that "
            "signed it as kafka_ca_file, and name the broker as its certificate does"
        )
    if kafka.has_tls and await _speaks(host, port, {}):
        return f"speaks without TLS: write kafka_protocol {kafka.protocol.replace('SSL', 'PLAINTEXT')}, or name its port with TLS"
    if not kafka.has_tls and await _speaks(host, port, {"security_protocol": "SSL", "ssl_context": _trusting()}):
        return f"speaks TLS: write kafka_protocol {kafka.protocol.replace('PLAINTEXT', 'SSL')}"
    if isinstance(cause, ssl.SSLError) and "CERTIFICATE" in (cause.reason or ""):
        return f"does not take our certificate ({cause.reason}): check kafka_certificate_file and kafka_key_file"
    if (
        not kafka.has_login
        and not isinstance(error, ConnectionRefusedError)
        and await _speaks(host, port, security_arguments(kafka))
    ):
        return f"asks for a login: write kafka_protocol SASL_{kafka.protocol}, kafka_user and its password"
    return None


async def _speaks(host: str, port: int, security: dict[str, Any]) -> bool:
    """Whether it answers at all when spoken to like this."""
    try:
        connection = await create_conn(host, port, request_timeout_ms=int(ANSWER_LIMIT_SECONDS * 1000), **security)
    except (KafkaError, OSError, TimeoutError):
        return False
    connection.close()
    return True


def _trusting() -> ssl.SSLContext:
    """For finding out only that TLS is spoken: nothing is sent that is worth anything."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _ask(host: str, port: int, security: dict[str, Any]) -> None:
    """Connect, log in, and ask something that is not answered without a login where one is needed."""
    limit_ms = int(ANSWER_LIMIT_SECONDS * 1000)
    connection = await create_conn(host, port, client_id="slastream", request_timeout_ms=limit_ms, **security)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()


@contextmanager
def _quiet_aiokafka() -> Iterator[None]:
    """It would log each failure in lines of its own."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
