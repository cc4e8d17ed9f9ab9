"""The vendors' signatures: each computed here by hand from its description, then received in every wrong way."""

import base64
import hashlib
import hmac

import pytest

from slastream.core.units import Instant, parse_instant
from slastream.ingest.adapters import ADAPTERS, adapter, why_not_genuine

SECRET, BODY = b"It's a Secret to Everybody", b"Hello, World!"
KNOWN = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
"""**Source:** the example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""

NOW = parse_instant("2026-03-02T10:05:00Z")
SECONDS = str(NOW // 1_000_000)


def _hex(message: bytes, algorithm: str = "sha256", key: bytes = SECRET) -> str:
    return hmac.new(key, message, algorithm).hexdigest()


def _base64(message: bytes, key: bytes = SECRET) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


SIGNED = {
    "jira": {"X-Hub-Signature": "sha256=" + KNOWN},
    "github": {"X-Hub-Signature-256": "sha256=" + KNOWN},
    "redmine": {"X-Redmine-Signature-256": "sha256=" + KNOWN},
    "zammad": {"X-Hub-Signature": "sha1=" + _hex(BODY, "sha1")},
    "pagerduty": {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={KNOWN}"},
    "zendesk": {
        "X-Zendesk-Webhook-Signature": _base64(b"2026-03-02T10:05:00Z" + BODY),
        "X-Zendesk-Webhook-Signature-Timestamp": "2026-03-02T10:05:00Z",
    },
    "glpi": {"X-GLPI-signature": _hex(BODY + SECONDS.encode()), "X-GLPI-timestamp": SECONDS},
    "grafana": {
        "X-Grafana-Alerting-Signature": _hex(SECONDS.encode() + b":" + BODY),
        "X-Grafana-Alerting-Signature-Timestamp": SECONDS,
    },
    "gitlab": {
        "webhook-id": "f5e5",
        "webhook-timestamp": SECONDS,
        "webhook-signature": "v1," + _base64(b"f5e5." + SECONDS.encode() + b"." + BODY),
    },
}
WITH_TIMESTAMP = ("zendesk", "glpi", "grafana", "gitlab")


def _why(
    name: str, headers: dict[str, str], body: bytes = BODY, secret: bytes = SECRET, now: Instant = NOW
) -> str | None:
    return why_not_genuine(adapter(name).signatures, secret, body, headers, now)


def test_every_scheme_of_an_adapter_is_tried_here() -> None:
    assert set(SIGNED) == {name for name, one in ADAPTERS.items() if one.signatures}


@pytest.mark.parametrize("name", SIGNED)
def test_signed_payload_is_genuine(name: str) -> None:
    assert _why(name, SIGNED[name]) is None
    assert _why(name, {key.upper(): value for key, value in SIGNED[name].items()}) is None


@pytest.mark.parametrize("name", SIGNED)
def test_changed_body_other_secret_or_cut_signature_is_not(name: str) -> None:
    headers = SIGNED[name]
    assert _why(name, headers, body=BODY + b" ")
    assert _why(name, headers, secret=b"other")
    assert _why(name, headers, secret=b"")
    signature = next(key for key in headers if "ignature" in key and "imestamp" not in key)
    for wrong in ("", headers[signature][:-2], "sha256=", "zz", "é", headers[signature] + "é"):
        assert _why(name, {**headers, signature: wrong})


@pytest.mark.parametrize("name", SIGNED)
def test_missing_header_is_named(name: str) -> None:
    assert "is missing" in str(_why(name, {}))


@pytest.mark.parametrize("name", WITH_TIMESTAMP)
def test_signature_of_long_ago_or_of_the_future_is_not_lately(name: str) -> None:
    two_days = 2 * 86_400 * 1_000_000
    for now in (Instant(NOW - two_days), Instant(NOW + two_days)):
        assert "from the receiver's clock" in str(_why(name, SIGNED[name], now=now))
    timestamp = next(key for key in SIGNED[name] if "imestamp" in key)
    assert _why(name, {**SIGNED[name], timestamp: "99999999999999999999"})


def test_grafana_without_a_timestamp_signs_the_body_alone_and_cannot_be_reached_by_leaving_it_out() -> None:
    assert _why("grafana", {"X-Grafana-Alerting-Signature": KNOWN}) is None
    with_timestamp = SIGNED["grafana"]["X-Grafana-Alerting-Signature"]
    assert _why("grafana", {"X-Grafana-Alerting-Signature": with_timestamp})


def test_gitlab_takes_its_secret_token_or_a_signing_token() -> None:
    assert _why("gitlab", {"X-Gitlab-Token": SECRET.decode()}) is None
    assert _why("gitlab", {"X-Gitlab-Token": "other"})
    key = b"k" * 32
    signed = b"f5e5." + SECONDS.encode() + b"." + BODY
    headers = {**SIGNED["gitlab"], "webhook-signature": "v1,AAAA v1," + _base64(signed, key)}
    assert _why("gitlab", headers, secret=b"whsec_" + base64.b64encode(key)) is None


def test_adapter_without_a_scheme_says_so() -> None:
    assert _why("alertmanager", {}) == "this adapter has no signature"
