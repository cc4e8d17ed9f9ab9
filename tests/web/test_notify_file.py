"""The file of a webhook, the addresses that it may lead to, and the signature."""

import asyncio
from collections.abc import Callable

import pytest

from slastream.core.units import Instant
from slastream.errors import PolicyError
from slastream.ingest.signatures import STANDARD_WEBHOOKS, signed_headers, why_not_genuine
from slastream.web.addresses import GuardedResolver, RefusedAddressError, why_refused
from slastream.web.backoff import backoff_seconds
from slastream.web.notify_file import FACTS, WebhookFile, read_webhook_file

SECRET = b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
GOOD = "version: 1\nname: desk\nurl: https://hooks.example.com/sla\nsecret_file: secret\n"


def read(text: str, secret: bytes = SECRET) -> WebhookFile:
    def files(name: str) -> bytes:
        if name != "secret":
            raise FileNotFoundError(name)
        return secret

    return read_webhook_file("hook.yaml", text, files)


def test_what_is_left_out_has_its_default() -> None:
    found = read(GOOD)
    assert (found.name, found.url, found.secrets) == ("desk", "https://hooks.example.com/sla", (SECRET,))
    assert (found.facts, found.begin, found.give_up_seconds) == (frozenset(FACTS), "now", 86_400)


def test_a_file_may_have_the_old_secret_beside_the_new_one_and_nobody_sees_either() -> None:
    found = read(GOOD, SECRET + b"\n" + SECRET[:-4] + b"Zmc=\n")
    assert len(found.secrets) == 2
    assert "MDEyMzQ1" not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\n", "hook.yaml:1: name: is missing; write name: …"),
        (GOOD.replace("1", "2", 1), "hook.yaml:1: version: is missing or unknown"),
        (GOOD + "colour: red\n", "hook.yaml:5: colour: unknown key"),
        (GOOD.replace("https:", "ftp:"), "hook.yaml:3: url: is no address"),
        (GOOD.replace("hooks.", "u:p@hooks."), "hook.yaml:3: url: has credentials in it"),
        (GOOD.replace(": secret", ": nothing"), "hook.yaml:4: secret_file: nothing cannot be read"),
        (GOOD.replace(": secret", f": {SECRET.decode()}"), "hook.yaml:4: secret_file: is a secret itself"),
        (
            GOOD.replace("hooks.example.com", "169.254.169.254"),
            "hook.yaml:3: url: 169.254.169.254 is no address of the Internet",
        ),
        (GOOD + "facts: [broken]\n", "hook.yaml:5: facts[0]: 'broken' is unknown"),
        (GOOD + "begin: tomorrow\n", "hook.yaml:5: begin: 'tomorrow' is unknown"),
        (GOOD + "timeout: 5ms\n", "hook.yaml:5: timeout: is less than a second"),
        (GOOD + "allow_networks: [everything]\n", "hook.yaml:5: allow_networks[0]: "),
    ],
)
def test_a_problem_is_told_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as told:
        read(text)
    assert problem in str(told.value)
    assert "MDEyMzQ1" not in str(told.value)


@pytest.mark.parametrize("secret", [b"", b"whsec_c2hvcnQ=", b"plain text that is long enough", b"whsec_!!"])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: bytes) -> None:
    with pytest.raises(PolicyError, match="secret_file") as told:
        read(GOOD, secret)
    assert "long enough" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1:1:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert why_refused(address, ()) is not None


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_an_address_of_the_internet_is_not(address: str) -> None:
    assert why_refused(address, ()) is None


def test_an_allowed_network_is_allowed_and_no_other() -> None:
    allowed = read(GOOD + "allow_networks: [10.1.0.0/16, 'fd00::/8']\n").allow_networks
    assert [why_refused(one, allowed) is None for one in ("10.1.2.3", "fd00::1", "10.2.0.1", "127.0.0.1")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1"])
def test_a_name_that_stands_for_an_inner_address_is_refused_when_it_is_resolved(host: str) -> None:
    async def resolve() -> None:
        await GuardedResolver(()).resolve(host, 80)

    with pytest.raises(RefusedAddressError, match="allow_networks"):
        asyncio.run(resolve())


@pytest.mark.parametrize(
    "change",
    [
        lambda headers, body: (headers | {"webhook-id": "other"}, body),
        lambda headers, body: (headers, body + b" "),
        lambda headers, body: (headers | {"webhook-timestamp": "1"}, body),
    ],
)
def test_a_signature_holds_for_what_was_signed_only(
    change: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]],
) -> None:
    now = Instant(1_772_445_600_000_000)
    body, other = b'{"type":"sla.breached"}', b"whsec_" + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
    headers = signed_headers([SECRET, other], "fact-1", body, now)
    for secret in (SECRET, other):
        assert why_not_genuine((STANDARD_WEBHOOKS,), secret, body, headers, now) is None
        changed, sent = change(headers, body)
        assert why_not_genuine((STANDARD_WEBHOOKS,), secret, sent, changed, now) is not None


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries' own tests."""
    headers = signed_headers(
        [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}',
        Instant(1_614_265_330_000_000),
    )  # fmt: skip
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_failure_is_waited_for_longer_each_time_up_to_a_limit_however_often_it_comes() -> None:
    waits = [backoff_seconds(failures, 0.5, 30.0) for failures in (1, 3, 7, 100_000)]
    for least, wait in zip((0.5, 2.0, 30.0, 30.0), waits, strict=True):
        assert least <= wait <= 1.5 * least
