"""Freshservice (and Freshdesk): the JSON of a workflow's webhook, see docs/adapters/freshservice.md, in the names of its API.

event_id: ticket, `updated_at` and the state's digest; nothing in a webhook identifies the change. Of a conversation its id.
occurred_at: `ticket.updated_at`; of a conversation its `created_at`.

**Source:** https://api.freshservice.com/ (tickets, conversations)
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, View, take

STATUSES = {
    "2": "open", "3": "pending", "4": "resolved", "5": "closed",
    "Open": "open", "Pending": "pending", "Resolved": "resolved", "Closed": "closed",
}  # fmt: skip
PRIORITIES = {"4": "P1", "3": "P2", "2": "P3", "1": "P4", "Urgent": "P1", "High": "P2", "Medium": "P3", "Low": "P4"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    ticket = payload.at("ticket").object()
    number = ticket.at("id").text()
    conversation = payload.at("conversation")
    if conversation.exists:
        yield _message(payload, conversation.object(), context)
        return
    deleted = ticket.at("deleted").boolean(False) or ticket.at("spam").boolean(False)
    created, updated = ticket.at("created_at"), ticket.at("updated_at")
    at = context.instant(updated)
    kind = "deleted" if deleted else "created" if created.exists and context.instant(created) == at else "changed"
    event = context.ticket(payload, "", at, kind)
    event["event_id"] = context.event_id(number, at, context.digest([kind, event.get("ticket")]))
    yield event


def _message(payload: View, conversation: View, context: Context) -> dict[str, Any]:
    user = conversation.at("user_id")
    is_requester = conversation.at("incoming").boolean(False) or (
        user.exists and user.value == payload.at("ticket", "requester_id").value
    )
    return context.ticket(
        payload,
        context.event_id("conversation", conversation.at("id").text()),
        context.instant(conversation.at("created_at")),
        "message",
        has_state=False,
        message={
            "author": context.author("requester" if is_requester else "agent", user, conversation.at("from_email")),
            "public": not conversation.at("private").boolean(False),
        },
    )


FRESHSERVICE = Adapter(
    name="freshservice",
    title="Freshservice",
    kind="ticket",
    read=read,
    messages=True,
    fields={
        "ticket_id": (take("ticket.id"),),
        "ticket.service": (take("ticket.category", "ticket.department_name"),),
        "ticket.status": (take("ticket.status", map=STATUSES),),
        "ticket.status_name": (take("ticket.status_name", "ticket.status"),),
        "ticket.priority": (take("ticket.priority", map=PRIORITIES), take("ticket.priority")),
        "ticket.type": (take("ticket.type"),),
        "ticket.customer": (take("ticket.department_name", "ticket.department_id"),),
        "ticket.group": (take("ticket.group_name", "ticket.group_id"),),
        "ticket.assignee": (take("ticket.responder_email", "ticket.responder_id"),),
        "ticket.requester": (take("ticket.requester_email", "ticket.requester_id"),),
        "ticket.title": (take("ticket.subject"),),
        "ticket.tags": (take("ticket.tags"),),
        "ticket.created_at": (take("ticket.created_at"),),
    },
)
