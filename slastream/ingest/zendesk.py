"""Zendesk: webhooks that subscribe to ticket events (`zen:event-type:ticket.…`).

event_id: `id`. occurred_at: `time`. sequence: `event.meta.sequence.position` among the events of one action, which may
arrive in any order. Each payload carries the ticket in `detail`, with its words in capitals.

**Source:** https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.signatures import Signature

PREFIX = "zen:event-type:ticket."
STATUSES = {
    "NEW": "new", "OPEN": "open", "PENDING": "pending", "HOLD": "hold", "SOLVED": "resolved", "CLOSED": "closed",
    "DELETED": "cancelled",
}  # fmt: skip
PRIORITIES = {"URGENT": "P1", "HIGH": "P2", "NORMAL": "P3", "LOW": "P4"}
DELETIONS = ("soft_deleted", "permanently_deleted", "marked_as_spam")
CHANGES = (
    "agent_assignment_changed", "brand_changed", "custom_field_changed", "custom_status_changed",
    "external_id_changed", "form_changed",
    "group_assignment_changed", "organization_changed", "priority_changed", "requester_changed", "status_changed",
    "subject_changed", "submitter_changed", "tags_changed", "type_changed",
)  # fmt: skip


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = payload.at("type").text()
    if not kind.startswith(PREFIX):
        raise IgnoredError("other_type")
    kind = kind.removeprefix(PREFIX)
    event = payload.at("event")
    position = event.at("meta", "sequence", "position")
    sequence = position.integer() if position.exists else None
    identity, at = context.event_id(payload.at("id").text()), context.instant(payload.at("time"))
    if kind == "created":
        yield context.ticket(payload, identity, at, "created", sequence=sequence)
    elif kind in CHANGES:
        yield context.ticket(payload, identity, at, sequence=sequence)
    elif kind == "comment_added":
        yield context.ticket(payload, identity, at, "message", sequence=sequence, message=_message(payload, context))
    elif kind == "merged":
        target = event.at("target_ticket_id").text()
        yield context.ticket(payload, identity, at, "merged", sequence=sequence, merged_into=target)
    elif kind in DELETIONS:
        yield context.ticket(payload, identity, at, "deleted", sequence=sequence)
    else:
        raise IgnoredError("other_type")


def _message(payload: View, context: Context) -> dict[str, Any]:
    comment = payload.at("event", "comment").object()
    author = comment.at("author")
    role = "agent" if author.at("is_staff").boolean(False) else "requester"
    return {
        "author": context.author(role, author.at("id"), author.at("name")),
        "public": comment.at("is_public").boolean(True),
    }


ZENDESK = Adapter(
    name="zendesk",
    title="Zendesk",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(
        Signature(
            header="x-zendesk-webhook-signature",
            encoding="base64",
            signed="{timestamp}{body}",
            timestamp_header="x-zendesk-webhook-signature-timestamp",
            timestamp_format="rfc3339",
        ),
    ),
    fields={
        "ticket_id": (take("detail.id"),),
        "ticket.service": (take("detail.brand_id"),),
        "ticket.status": (take("detail.status", map=STATUSES),),
        "ticket.status_name": (take("detail.status"),),
        "ticket.priority": (take("detail.priority", map=PRIORITIES), take("detail.priority")),
        "ticket.type": (take("detail.type"),),
        "ticket.customer": (take("detail.organization_id"),),
        "ticket.group": (take("detail.group_id"),),
        "ticket.assignee": (take("detail.assignee_id"),),
        "ticket.requester": (take("detail.requester_id"),),
        "ticket.title": (take("detail.subject"),),
        "ticket.tags": (take("detail.tags"),),
        "ticket.created_at": (take("detail.created_at"),),
    },
)
