"""What the services are told: three layers, secrets from files or the environment only, and nothing that shows one."""

from dataclasses import asdict

import pytest

from slastream.errors import PolicyError
from slastream.wire.settings import Kafka, kafka_settings, worker_options

LOGIN = {"SLASTREAM_BROKER": "kafka:9093", "SLASTREAM_KAFKA_PROTOCOL": "SASL_SSL", "SLASTREAM_KAFKA_USER": "worker"}
SECRET = "correct horse"


def test_the_command_line_comes_before_the_environment_and_that_before_the_file() -> None:
    document = {"broker": "file:1", "kafka_protocol": "SSL", "kafka_ca_file": "file.pem", "kafka_key_file": "file.key"}
    environment = {"SLASTREAM_KAFKA_CA_FILE": "variable.pem", "SLASTREAM_KAFKA_CERTIFICATE_FILE": "variable.crt"}
    kafka = kafka_settings({"kafka_certificate_file": "given.crt"}, environment, document)
    assert kafka == Kafka("file:1", "SSL", ca_file="variable.pem", certificate_file="given.crt", key_file="file.key")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"SLASTREAM_BROKER": ""}, "broker is missing; give --broker, or SLASTREAM_BROKER"),
        ({"SLASTREAM_KAFKA_PROTOCOL": "TLS"}, "kafka_protocol: 'TLS' is unknown; write one of: PLAINTEXT, SSL, "),
        ({"SLASTREAM_KAFKA_PROTOCOL": ""}, "kafka_user: of no use without kafka_protocol; write SSL"),
        ({"SLASTREAM_KAFKA_MECHANISM": "GSSAPI"}, "kafka_mechanism: 'GSSAPI' is unknown; write one of: PLAIN, SCRAM-"),
        ({"SLASTREAM_KAFKA_USER": ""}, "kafka_user is missing, and SASL_SSL asks for a login"),
        ({"SLASTREAM_KAFKA_PASSWORD": ""}, "the password of kafka_user is missing; give --kafka-password-file, or"),
        ({"SLASTREAM_KAFKA_KEY_FILE": "key.pem"}, "kafka_key_file: is of no use without its certificate"),
        (
            {"SLASTREAM_KAFKA_PROTOCOL": "SASL_PLAINTEXT", "SLASTREAM_KAFKA_MECHANISM": "PLAIN"},
            "kafka_mechanism: PLAIN without TLS shows the password to the network",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_what_to_write(environment: dict[str, str], says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        kafka_settings({}, LOGIN | {"SLASTREAM_KAFKA_PASSWORD": SECRET} | environment)
    assert str(caught.value).startswith(says)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:9092", "localhost:9092,[::1]:9093"])
def test_plain_without_tls_may_stay_on_this_machine(address: str) -> None:
    environment = {"SLASTREAM_KAFKA_PROTOCOL": "SASL_PLAINTEXT", "SLASTREAM_KAFKA_MECHANISM": "PLAIN"}
    environment |= {"SLASTREAM_BROKER": address, "SLASTREAM_KAFKA_PASSWORD": SECRET}
    assert kafka_settings({}, LOGIN | environment).has_login


def test_a_protocol_that_is_given_decides_what_of_the_rest_counts() -> None:
    """So `up` can start its own Kafka although the environment has the login of another."""
    kafka = kafka_settings({"kafka_protocol": "PLAINTEXT"}, LOGIN | {"SLASTREAM_KAFKA_CA_FILE": "ca.pem"})
    assert kafka.arguments() == ["--broker", "kafka:9093", "--kafka-protocol", "PLAINTEXT"]


def test_a_password_is_never_shown() -> None:
    options = worker_options({"policy": "p"}, LOGIN | {"SLASTREAM_KAFKA_PASSWORD": SECRET}, None, "")
    assert options.broker.password == SECRET
    shown = [options.shown(), repr(options), str(options.broker), str(options.broker.arguments())]
    assert [text for text in shown if SECRET in text] == []
    assert 'kafka_user = "worker"' in options.shown()


def test_a_password_has_no_place_in_a_file_of_settings() -> None:
    with pytest.raises(
        PolicyError, match=r"^s\.toml: kafka_password: secrets have no place .* write kafka_password_file"
    ):
        worker_options({}, {}, f'kafka_password = "{SECRET}"', "s.toml")


def test_what_is_shown_is_read_again_as_the_same() -> None:
    given = {"policy": 'a "b" \\ c', "broker": "kafka:9093", "kafka_protocol": "SASL_SSL", "kafka_user": "ü"}
    options = worker_options(given | {"kafka_password_file": "secret"}, {}, None, "")
    assert asdict(worker_options({}, {}, options.shown(), "s.toml")) == asdict(options)
