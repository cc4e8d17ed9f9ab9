"""`slastream connect`: the fields of a saved payload, and what the promises of a policy lack."""

import json
from pathlib import Path

import pytest

from slastream.cli import main

PAYLOADS = Path(__file__).parents[1] / "ingest" / "payloads"
POLICY = """
version: 1
agreements:
  gold:
    kind: sla
    match: {service: [checkout], type: incident, fields.region: emea}
    promises:
      response: {metric: first_response, within: {P1: 15m}}
      resolution: {metric: resolution, within: {P1: 4h, P2: 8h}}
      own: {metric: custom, start: {status: open}, stop: {message.public: true}, within: 1h}
      uptime: {metric: availability, target: 99.9%, window: month}
      fast: {metric: latency, threshold: 300ms, target: 99%, window: 28d}
"""


@pytest.fixture
def connect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Connect":
    return Connect(tmp_path, capsys)


class Connect:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(
        self, adapter: str, case: str, *more: str, policy: str | None = None, options: str = ""
    ) -> tuple[int, str]:
        saved = json.loads((PAYLOADS / adapter / f"{case}.json").read_text(encoding="utf-8"))
        payload = self._file("payload.json", saved["text"] if "text" in saved else json.dumps(saved["payload"]))
        arguments = ["connect", adapter, "--check", payload, *more]
        for name, value in saved.get("headers", {}).items():
            arguments += ["--header", f"{name}: {value}"]
        if policy is not None:
            arguments += ["--policy", self._file("policy.yaml", policy)]
        if options:
            arguments += ["--options", self._file("options.yaml", options)]
        status = main(arguments)
        out, err = self.capsys.readouterr()
        return status, out + err

    def _file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)


def test_each_field_is_shown_with_the_place_that_it_comes_from(connect: Connect) -> None:
    status, text = connect("jira", "changed")
    rows = [line.split() for line in text.splitlines()]
    assert status == 0
    assert rows[0][:3] == ["record", "0:", "ticket"]
    assert ["ticket.service", "checkout", "issue.fields.components.0.name"] in rows
    assert ["ticket.status", "open", "issue.fields.status.statusCategory.key"] in rows
    assert ["event_id", "jira:10042:20031"] in rows


def test_refused_record_is_shown_with_its_reason_and_the_answer_is_no(connect: Connect) -> None:
    status, text = connect("alertmanager", "group")
    assert status == 1
    assert "record 0: service checkout, down" in text
    assert "record 2: refused, missing: alerts[2].labels.service names no service" in text


def test_what_is_ignored_and_lost_is_counted(connect: Connect) -> None:
    assert connect("github", "ping") == (0, "ignored: 1 other_type\n")
    assert "lost: 3" in connect("alertmanager", "truncated")[1]


def test_promise_says_what_is_elsewhere_what_is_never_sent_and_which_words_differ(connect: Connect) -> None:
    _, text = connect("jira", "changed", policy=POLICY)
    promises = dict(part.split(":", 1) for part in text.replace("\n  ", ";").splitlines() if part.startswith("gold/"))
    response = promises["gold/response (first_response)"]
    assert "message: not in this payload; jira tells it in others" in response
    assert "fields.region: never sent by jira; name its column in the options" in response
    assert "type: here Incident; the policy asks for incident" in response
    assert "message" not in promises["gold/resolution (resolution)"]
    assert "message: not in this payload" in promises["gold/own (custom)"]
    assert promises["gold/uptime (availability)"] == " lacks;everything: jira tells of tickets only"


def test_options_give_what_was_lacking(connect: Connect) -> None:
    options = """
ticket:
  type: {column: issue.fields.issuetype.name, map: {Incident: incident}}
  fields: {region: {column: issue.fields.customfield_10050.value, map: {EMEA: emea}}}
"""
    _, text = connect("jira", "changed", policy=POLICY, options=options)
    assert "gold/resolution (resolution): has its data" in text


def test_metric_without_data_is_told_with_the_reason(connect: Connect) -> None:
    _, text = connect("alertmanager", "firing", policy=POLICY)
    assert "gold/uptime (availability): has its data" in text
    assert "latency: never sent by alertmanager: an alert has no histogram" in text
    assert "everything: alertmanager tells of services only" in text


def test_envelope_may_hold_any_event(connect: Connect) -> None:
    _, text = connect("cloudevents", "binary", policy=POLICY)
    assert (
        "gold/response (first_response): lacks\n  fields.region: not in this payload; cloudevents tells it in others"
        in text
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["connect", "jra", "--check", "x"], "did you mean 'jira'"),
        (["connect", "jira", "--check", "nowhere.json"], "nowhere.json: cannot be read"),
        (["connect", "jira", "--check", "x", "--options", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_wrong_usage_says_what_and_is_status_two(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
