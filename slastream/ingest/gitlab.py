"""GitLab: the webhook events of issues and of their comments.

event_id: project, issue, action, `updated_at` and the state's digest; of a comment its id. (`Idempotency-Key` is of one
webhook, so two would count twice.)
occurred_at: `object_attributes.updated_at`, `created_at` or `closed_at`. GitLab writes times in two forms, `2026-03-02
10:00:12 UTC` and ISO 8601.

**Source:** https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.field_text import ABSENT
from slastream.ingest.signatures import STANDARD_WEBHOOKS, Signature

STATES = {"opened": "open", "reopened": "open", "closed": "closed"}
SEVERITIES = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"}
PRIORITIES = {
    "priority::1": "P1", "priority::2": "P2", "priority::3": "P3", "priority::4": "P4", "P1": "P1", "P2": "P2",
    "P3": "P3", "P4": "P4",
}  # fmt: skip
ISSUES = ("issue", "work_item")


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = payload.at("object_kind").text()
    project = payload.at("project").object()
    attributes = payload.at("object_attributes").object()
    if kind == "note":
        yield _note(payload, project, attributes, context)
        return
    if kind not in ISSUES:
        raise IgnoredError("other_type")
    action = attributes.at("action").words() or "update"
    updated, closed = attributes.at("updated_at"), attributes.at("closed_at")
    time = (
        attributes.at("created_at") if action == "open" else closed if action == "close" and closed.exists else updated
    )
    view = _view(payload, project, attributes)
    at = context.instant(_iso(time))
    issue = f"{project.at('id').words()}:{attributes.at('iid').text()}"
    event = context.ticket(view, "", at, "created" if action == "open" else "changed")
    event["event_id"] = context.event_id(issue, action, at, context.digest(event.get("ticket")))
    yield event


def _note(payload: View, project: View, note: View, context: Context) -> dict[str, Any]:
    if note.at("noteable_type").value not in ("Issue", "WorkItem"):
        raise IgnoredError("other_type")
    if note.at("system").boolean(False):
        raise IgnoredError("system_note")
    if note.at("action").words() == "update":
        raise IgnoredError("edited_message")
    issue, user = payload.at("issue").object(), payload.at("user")
    author, opener = note.at("author_id"), issue.at("author_id")
    is_requester = author.exists and author.value == opener.value
    role = "requester" if is_requester else "agent"
    internal = note.at("internal").boolean(False) or note.at("confidential").boolean(False)
    return context.ticket(
        _view(payload, project, issue),
        context.event_id("note", note.at("id").text()),
        context.instant(_iso(note.at("created_at"))),
        "message",
        has_state=False,
        message={"author": context.author(role, user.at("username"), user.at("email"), author), "public": not internal},
    )


def _view(payload: View, project: View, issue: View) -> View:
    """The payload with the key of the issue, and its times in one form."""
    number, home = issue.at("iid").words(), project.at("path_with_namespace").words()
    ticket_id = f"{home}#{number}" if home and number else ABSENT
    return View(
        {**payload.value, "ticket_id": ticket_id, "created_at": _iso(issue.at("created_at")).value}, payload.path
    )


def _iso(time: View) -> View:
    """`2026-03-02 10:00:12 UTC` without its end: what has no offset is UTC here."""
    return View(time.value.removesuffix(" UTC"), time.path) if isinstance(time.value, str) else time


GITLAB = Adapter(
    name="gitlab",
    title="GitLab issues",
    kind="ticket",
    is_utc=True,
    read=read,
    messages=True,
    signatures=(
        STANDARD_WEBHOOKS,
        Signature(header="x-gitlab-token", algorithm="token"),
    ),
    fields={
        "ticket_id": (take("ticket_id"),),
        "ticket.service": (take("project.name"),),
        "ticket.status": (take("object_attributes.state", map=STATES),),
        "ticket.status_name": (take("object_attributes.state"),),
        "ticket.priority": (
            take("labels.*.title", map=PRIORITIES),
            take("object_attributes.severity", map=SEVERITIES),
        ),
        "ticket.type": (take("object_attributes.type"),),
        "ticket.assignee": (take("assignees.0.username", "assignees"),),
        "ticket.requester": (take("object_attributes.author_id"),),
        "ticket.title": (take("object_attributes.title"),),
        "ticket.tags": (take("labels.*.title"),),
        "ticket.created_at": (take("created_at"),),
    },
)
