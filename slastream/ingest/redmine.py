"""Redmine 7: its own webhooks.

event_id: of an update its journal's id; of a creation and a deletion the issue's. occurred_at: `timestamp`, which Redmine
takes from the issue or its journal, in whole seconds (of a deletion it is when it sent).
The journal does not say whether its notes are private: a webhook only tells what its owner may see, so give it to a user
without private notes.

**Source:** `app/models/webhook_payload.rb` of redmine/redmine
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, named, take
from slastream.ingest.signatures import Signature

STATUSES = {
    "New": "new", "In Progress": "open", "Feedback": "pending", "Resolved": "resolved", "Closed": "closed",
    "Rejected": "cancelled",
}  # fmt: skip
CLOSED = {"true": "closed", "false": "open"}
PRIORITIES = {"Immediate": "P1", "Urgent": "P2", "High": "P3", "Normal": "P4", "Low": "P5"}
EVENTS = {"issue.created": "created", "issue.updated": "changed", "issue.deleted": "deleted"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = payload.at("type").text()
    if kind not in EVENTS:
        raise IgnoredError("other_type")
    issue, journal = payload.at("data", "issue").object(), payload.at("data", "journal")
    at = context.instant(payload.at("timestamp"))
    view = View({**payload.value, "custom": named(issue.value.get("custom_fields"), "name", "value")}, payload.path)
    number = journal.at("id").words() or at
    identity = number if kind == "issue.updated" else EVENTS[kind]
    has_notes = journal.at("notes").exists
    yield context.ticket(
        view,
        context.event_id(issue.at("id").text(), identity),
        at,
        "message" if has_notes else EVENTS[kind],
        message=_message(issue, journal, context) if has_notes else None,
    )


def _message(issue: View, journal: View, context: Context) -> dict[str, Any]:
    user = journal.at("user")
    is_requester = user.at("id").exists and user.at("id").value == issue.at("author", "id").value
    role = "requester" if is_requester else "agent"
    return {
        "author": context.author(role, user.at("name"), user.at("id")),
        "public": not journal.at("private_notes").boolean(False),
    }


REDMINE = Adapter(
    name="redmine",
    title="Redmine",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(Signature(header="x-redmine-signature-256", prefix="sha256="),),
    fields={
        "ticket_id": (take("data.issue.id"),),
        "ticket.service": (take("data.issue.category.name", "data.issue.project.name"),),
        "ticket.status": (
            take("data.issue.status.name", map=STATUSES),
            take("data.issue.status.is_closed", map=CLOSED),
        ),
        "ticket.status_name": (take("data.issue.status.name"),),
        "ticket.priority": (take("data.issue.priority.name", map=PRIORITIES), take("data.issue.priority.name")),
        "ticket.type": (take("data.issue.tracker.name"),),
        "ticket.assignee": (take("data.issue.assigned_to.name"),),
        "ticket.requester": (take("data.issue.author.name"),),
        "ticket.title": (take("data.issue.subject"),),
        "ticket.created_at": (take("data.issue.created_on"),),
    },
)
