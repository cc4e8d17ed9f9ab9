"""The gateway's configuration, its credentials and its limits, without a network."""

import gzip
from pathlib import Path

import pytest

from slastream.errors import EventError, PolicyError
from slastream.web.bodies import TooLargeError, events_in, unpacked
from slastream.web.credentials import Bucket, Failures, bearing
from slastream.web.gateway_file import GatewayFile, Source, read_gateway_file

SIGNED = {"events": True, "jira": True, "alertmanager": False}
FILES = {"good": b"0123456789abcdef\n\nfedcba9876543210\n", "short": b"hush\n", "empty": b"\n"}


def read_file(name: str) -> bytes:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def read(text: str) -> GatewayFile:
    return read_gateway_file("gateway.yaml", text, SIGNED, read_file)


def test_sources_have_all_secrets_of_their_files_and_do_not_show_them() -> None:
    source = "{adapter: jira, secret_file: good, timezone: Europe/Berlin}"
    found = read(f"version: 1\nlimits: {{body_bytes: 2 MiB}}\nsources:\n  jira-eu: {source}\n")
    assert found.limits.body_bytes == 2 * 1024 * 1024
    assert found.sources[0].secrets == (b"0123456789abcdef", b"fedcba9876543210")
    assert str(found.sources[0].zone) == "Europe/Berlin"
    assert "0123456789abcdef" not in repr(found)


def test_the_example_lets_nobody_in_without_a_token() -> None:
    example = Path(__file__).parents[2] / "examples/gateway/gateway.yaml"
    found = read_gateway_file(str(example), example.read_text(), SIGNED, lambda _: b"0123456789abcdef")
    assert [(one.adapter, one.is_authenticated) for one in found.sources] == [("events", True), ("alertmanager", True)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("version: 2", "1: version: is missing or unknown"),
        ("version: 1\nlimits: {body_bytes: much}", "2: limits.body_bytes: 'much' is no size"),
        ("version: 1\nlimits: {connections: 0}", "2: limits.connections: '0' is no whole number"),
        ("version: 1\nsources: {a: {adapter: jirra}}", "2: sources.a.adapter: 'jirra' is unknown; did you mean 'jira'"),
        ("version: 1\nsources: {a: {}}", "2: sources.a: has no adapter"),
        ("version: 1\nsources: {'a b': {adapter: jira}}", "2: sources.a b: 'a b' is no name"),
        (
            "version: 1\nsources:\n  a:\n    adapter: jira\n    secret_file: gone",
            "5: sources.a.secret_file: gone cannot be read",
        ),
        ("version: 1\nsources: {a: {adapter: jira, secret_file: short}}", "has a secret of less than 16 bytes"),
        ("version: 1\nsources: {a: {adapter: jira, bearer_file: empty}}", "empty is empty"),
        (
            "version: 1\nsources: {a: {adapter: alertmanager, secret_file: good}}",
            "alertmanager signs nothing; write bearer_file",
        ),
        ("version: 1\nsources: {a: {adapter: jira, timezone: Mars}}", "'Mars' is no time zone"),
        ("version: 1\ntls: {certificate: c}", "2: tls: has no key"),
        ("version: 1\nsecret: x", "2: secret: unknown key"),
        ("[", "is no YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(line: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(line)
    assert f"gateway.yaml:{says}" in str(caught.value) or says in str(caught.value)
    assert "hush" not in str(caught.value)


def test_every_key_and_limit_is_told_in_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/gateway.md").read_text(encoding="utf-8")
    names = [
        *type(read("version: 1").limits).__dataclass_fields__,
        "secret_file",
        "bearer_file",
        "options",
        "timezone",
        "client_ca",
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_a_token_leaves_its_sources_and_those_that_ask_for_none() -> None:
    sources = [
        Source("a", "jira", tokens=(b"one", b"two")),
        Source("b", "jira", tokens=(b"three",)),
        Source("c", "jira"),
    ]
    assert [one.name for one in bearing(sources, "Bearer two")] == ["a", "c"]
    assert [one.name for one in bearing(sources, "bearer  three ")] == ["b", "c"]
    assert [one.name for one in bearing(sources, "Basic two")] == ["c"]


def test_a_bucket_gives_its_rate_and_no_more() -> None:
    bucket = Bucket(10)
    assert sum(bucket.take(100.0) for _ in range(50)) == 10
    assert sum(bucket.take(100.5) for _ in range(50)) == 5
    assert sum(bucket.take(1000.0) for _ in range(50)) == 10


def test_failures_of_one_address_do_not_count_against_another_and_memory_is_bounded() -> None:
    failures = Failures(2, addresses=3)
    assert [failures.note("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [failures.note(name, 1.0) for name in "bcd"] == [True, True, True]
    assert failures.note("a", 1.0), "it was forgotten"


def test_a_body_that_unpacks_to_too_much_is_stopped_early() -> None:
    packed = gzip.compress(b" " * 10_000_000)
    with pytest.raises(TooLargeError):
        unpacked(packed, "gzip", 1000)
    with pytest.raises(EventError):
        unpacked(packed, "br", 1000)
    assert unpacked(gzip.compress(b"[]"), "gzip", 1000) == b"[]"


def test_a_broken_document_of_many_lines_is_one_fault_and_a_broken_first_line_one_of_many() -> None:
    with pytest.raises(EventError):
        events_in(b'{\n  "ticket_id": "T",\n  "occurred_at": \n}', "application/json", 10)
    good = b'{"ticket_id":"T","occurred_at":"2026-03-02T10:00:00Z"}'
    events, refused = events_in(b"{broken\n" + good, "application/json", 10)
    assert ([number for number, _ in events], [one.number for one in refused]) == ([1], [0])
