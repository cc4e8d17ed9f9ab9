"""GitHub: the webhook events `issues` and `issue_comment`.

event_id: `X-GitHub-Delivery`, which a redelivery keeps; of a comment its own id, so that an organisation's and a
repository's webhook tell of it once.
occurred_at: `issue.created_at`, `closed_at` or `updated_at`, in whole seconds; of a comment its `created_at`.

**Source:** https://docs.github.com/en/webhooks/webhook-events-and-payloads#issues
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.signatures import Signature

STATES = {
    "open": "open", "closed": "closed", "closed completed": "closed", "closed not_planned": "cancelled",
    "closed duplicate": "cancelled",
}  # fmt: skip
PRIORITIES = {"P0": "P0", "P1": "P1", "P2": "P2", "P3": "P3", "P4": "P4", "P5": "P5"}
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")
TIMES = {"opened": "created_at", "closed": "closed_at"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    issue = payload.at("issue")
    kind = context.headers.get("x-github-event") or ("issue_comment" if payload.at("comment").exists else "issues")
    if kind not in ("issues", "issue_comment"):
        raise IgnoredError("other_type")
    if issue.object().at("pull_request").exists:
        raise IgnoredError("pull_request")
    action = payload.at("action").text()
    state, reason = issue.at("state").words(), issue.at("state_reason").words()
    ticket_id = f"{payload.at('repository', 'full_name').text()}#{issue.at('number').text()}"
    whole = f"{state} {reason}" if state == "closed" and reason else state
    view = View({**payload.value, "state": whole, "ticket_id": ticket_id}, payload.path)
    if kind == "issue_comment":
        yield _comment(view, action, context)
        return
    at = context.instant(issue.at(TIMES.get(action, "updated_at")))
    merged_into = None
    if action == "transferred":
        new, home = payload.at("changes", "new_issue", "number"), payload.at("changes", "new_repository", "full_name")
        merged_into = f"{home.text()}#{new.text()}"
    event = context.ticket(view, "", at, _kind(action), merged_into=merged_into)
    delivery = context.headers.get("x-github-delivery")
    number = issue.at("id").text()
    event["event_id"] = context.event_id(delivery or f"{number}:{action}:{at}:{context.digest(event.get('ticket'))}")
    yield event


def _kind(action: str) -> str:
    return {"opened": "created", "deleted": "deleted", "transferred": "merged"}.get(action, "changed")


def _comment(payload: View, action: str, context: Context) -> dict[str, Any]:
    if action != "created":
        raise IgnoredError("edited_message")
    comment = payload.at("comment").object()
    user = comment.at("user")
    role = "agent" if comment.at("author_association").value in TEAM else "requester"
    if user.at("login").exists and user.at("login").value == payload.at("issue", "user", "login").value:
        role = "requester"
    if user.at("type").value == "Bot":
        role = "automation"
    return context.ticket(
        payload,
        context.event_id("comment", comment.at("id").text()),
        context.instant(comment.at("created_at")),
        "message",
        has_state=False,
        message={"author": context.author(role, user.at("login")), "automatic": role == "automation"},
    )


GITHUB = Adapter(
    name="github",
    title="GitHub issues",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(Signature(header="x-hub-signature-256", prefix="sha256="),),
    fields={
        "ticket_id": (take("ticket_id"),),
        "ticket.service": (take("repository.name"),),
        "ticket.status": (take("state", map=STATES),),
        "ticket.status_name": (take("state"),),
        "ticket.priority": (take("issue.labels.*.name", map=PRIORITIES),),
        "ticket.type": (take("issue.type.name"),),
        "ticket.assignee": (take("issue.assignee.login", "issue.assignee"),),
        "ticket.requester": (take("issue.user.login"),),
        "ticket.title": (take("issue.title"),),
        "ticket.tags": (take("issue.labels.*.name"),),
        "ticket.created_at": (take("issue.created_at"),),
    },
)
