"""Jira and Jira Service Management: the webhooks of a site, Cloud and Data Center.

event_id: of a change its `changelog.id`, so that two webhooks on one site tell of it once; of a comment its own id.
occurred_at: `timestamp` of the payload; of a creation and of a comment their `created`.
Each payload carries the whole issue; what is unchanged changes nothing.

**Source:** https://developer.atlassian.com/cloud/jira/platform/webhooks/
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.signatures import Signature

STATUSES = {
    "Waiting for customer": "pending",
    "Waiting for vendor": "hold",
    "Pending": "hold",
    "On hold": "hold",
    "Resolved": "resolved",
    "Closed": "closed",
    "Canceled": "cancelled",
    "Cancelled": "cancelled",
    "Declined": "cancelled",
}
"""Statuses that Jira Service Management brings and whose category does not say enough; all others go by their category."""

CATEGORIES = {"new": "new", "undefined": "open", "indeterminate": "open", "done": "resolved"}
PRIORITIES = {"Highest": "P1", "High": "P2", "Medium": "P3", "Low": "P4", "Lowest": "P5"}
ISSUE = {"jira:issue_created": "created", "jira:issue_updated": "changed", "jira:issue_deleted": "deleted"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = payload.at("webhookEvent").text()
    if kind == "comment_created":
        yield _comment(payload, context)
    elif kind in ISSUE:
        yield _issue(payload, ISSUE[kind], context)
        if payload.at("comment").exists and kind != "jira:issue_deleted":
            yield _comment(payload, context)
    else:
        raise IgnoredError("other_type")


def _issue(payload: View, kind: str, context: Context) -> dict[str, Any]:
    issue = payload.at("issue").object()
    at = context.epoch(payload.at("timestamp"), 1000)
    number, fields = issue.at("id").text(), issue.at("fields")
    if kind == "created":
        created = fields.at("created")
        opened_by = _opened_by(fields)
        at = context.instant(created) if created.exists else at
        event = context.ticket(payload, context.event_id(number, "created"), at, kind)
        if opened_by is not None and "ticket" in event:
            event["ticket"].setdefault("opened_by", opened_by)
        return event
    change = payload.at("changelog", "id").words() or at
    return context.ticket(payload, context.event_id(number, change if kind == "changed" else kind), at, kind)


def _opened_by(fields: View) -> str | None:
    """Agent, where an account of the team opened it in the name of somebody else."""
    creator, reporter = fields.at("creator"), fields.at("reporter")
    if creator.at("accountType").value == "app":
        return "automation"
    is_for_another = _identity(creator) != _identity(reporter) and reporter.exists
    return "agent" if creator.at("accountType").value == "atlassian" and is_for_another else None


def _comment(payload: View, context: Context) -> dict[str, Any]:
    comment = payload.at("comment").object()
    author = comment.at("author")
    role = {"customer": "requester", "app": "automation"}.get(str(author.at("accountType").value), "agent")
    if author.exists and _identity(author) == _identity(payload.at("issue", "fields", "reporter")):
        role = "requester"
    names = [author.at(name) for name in ("emailAddress", "accountId", "name", "displayName")]
    return context.ticket(
        payload,
        context.event_id("comment", comment.at("id").text()),
        context.instant(comment.at("created")),
        "message",
        has_state=False,
        message={
            "author": context.author(role, *names),
            "public": comment.at("jsdPublic").boolean(True) and not comment.at("visibility").exists,
            "automatic": role == "automation",
        },
    )


def _identity(user: View) -> Any:
    return user.at("accountId").value if user.at("accountId").exists else user.at("name").value


JIRA = Adapter(
    name="jira",
    title="Jira and Jira Service Management",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(Signature(header="x-hub-signature", prefix="sha256="),),
    fields={
        "ticket_id": (take("issue.key"),),
        "ticket.service": (take("issue.fields.components.0.name", "issue.fields.project.key"),),
        "ticket.status": (
            take("issue.fields.status.name", map=STATUSES),
            take("issue.fields.status.statusCategory.key", map=CATEGORIES),
        ),
        "ticket.status_name": (take("issue.fields.status.name"),),
        "ticket.priority": (take("issue.fields.priority.name", map=PRIORITIES), take("issue.fields.priority.name")),
        "ticket.type": (take("issue.fields.issuetype.name"),),
        "ticket.assignee": (
            take("issue.fields.assignee.accountId", "issue.fields.assignee.name", "issue.fields.assignee"),
        ),
        "ticket.requester": (take("issue.fields.reporter.accountId", "issue.fields.reporter.name"),),
        "ticket.title": (take("issue.fields.summary"),),
        "ticket.tags": (take("issue.fields.labels"),),
        "ticket.created_at": (take("issue.fields.created"),),
    },
)
