"""Options of an adapter: what an operator may say, and how a mistake is told."""

from zoneinfo import ZoneInfo

import pytest

from slastream.errors import PolicyError
from slastream.ingest.adapter_options import read_options
from slastream.ingest.adapters import AdapterOptions, adapter
from slastream.ingest.adapting import Constant, take
from slastream.ingest.field_text import ABSENT


def test_options_are_sources_by_the_path_of_their_field() -> None:
    text = """
source: jira-eu
timezone: Europe/Berlin
authors: {"*@example.com": agent, "bot-*": automation}
ticket_id: {column: issue.id}
ticket:
  service: {column: [issue.fields.customfield_1.value, issue.key], map: {Mail: mail}, default: other}
  assignee: null
  type: incident
  tags: [a, b]
  status:
    - {column: issue.fields.a, map: {x: hold}}
    - {column: issue.fields.b, map: {y: pending}}
  fields: {region: {column: issue.fields.region}, weight: 3}
"""
    assert read_options(text, adapter("jira")) == AdapterOptions(
        source="jira-eu",
        zone=ZoneInfo("Europe/Berlin"),
        authors={"*@example.com": "agent", "bot-*": "automation"},
        fields={
            "ticket_id": (take("issue.id"),),
            "ticket.service": (
                take("issue.fields.customfield_1.value", "issue.key", map={"Mail": "mail"}, default="other"),
            ),
            "ticket.assignee": (Constant(ABSENT),),
            "ticket.type": (Constant("incident"),),
            "ticket.tags": (Constant(["a", "b"]),),
            "ticket.status": (
                take("issue.fields.a", map={"x": "hold"}),
                take("issue.fields.b", map={"y": "pending"}),
            ),
            "ticket.fields.region": (take("issue.fields.region"),),
            "ticket.fields.weight": (Constant(3),),
        },
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("surce: a\n", "options.yaml:1: surce: unknown key; did you mean 'source'?"),
        ("timezone: Mars\n", "options.yaml:1: timezone: no time zone is named 'Mars'"),
        ("ticket:\n  status: stuck\n", "options.yaml:2: ticket.status: is 'stuck'; write one of new"),
        ("ticket:\n  status: {column: a, map: {x: stuck}}\n", "ticket.status.map.x: is 'stuck'"),
        ("ticket: {service: {map: {a: b}}}\n", "ticket.service: lacks `column`"),
        ("ticket: {created_at: {column: a, parse: soon}}\n", "ticket.created_at.parse: is 'soon'"),
        ("authors: {ann: boss}\n", "authors.ann: 'boss' is unknown"),
        ("event_id: {column: a}\n", "event_id: unknown key"),
        ("state: down\n", "state: unknown key"),
        ("- a\n", "write keys such as source: and ticket:"),
        ("a: [\n", "is no YAML"),
    ],
)
def test_mistake_is_told_with_its_place_and_what_to_write(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as error:
        read_options(text, adapter("jira"))
    assert said in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as error:
        read_options("timezone: Mars\nticket:\n  status: stuck\n  sevrice: a\n", adapter("jira"))
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["1", "3", "4"]
