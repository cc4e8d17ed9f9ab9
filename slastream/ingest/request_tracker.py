"""Request Tracker: the JSON of a scrip (docs/adapters/request-tracker.md has it), one payload a transaction.

event_id: the transaction's id, which is one of the whole installation. occurred_at: the transaction's `created`, UTC
without saying so.

**Source:** https://docs.bestpractical.com/rt/5.0.5/RT/Transaction.html
"""

import re
from collections.abc import Iterator
from typing import Any

from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, View, take

STATUSES = {
    "new": "new", "open": "open", "stalled": "pending", "resolved": "resolved", "rejected": "cancelled", "deleted": "cancelled",
}  # fmt: skip
MESSAGES = {"Create": True, "Correspond": True, "Comment": False}
"""Transactions that may carry a message, and whether the requester sees it."""
_TICKET = re.compile(r"(\d+)/?\Z")


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    transaction, ticket = payload.at("transaction").object(), payload.at("ticket").object()
    kind = transaction.at("type").text()
    identity = context.event_id(transaction.at("id").text())
    at = context.instant(transaction.at("created"))
    sequence = transaction.at("id").integer()
    if kind == "AddLink" and transaction.at("field").value == "MergedInto":
        target = transaction.at("new_value").text()
        found = _TICKET.search(target)
        if found is None:
            raise EventError(
                "bad_value", transaction.at("new_value").path, f"is {target[:60]!r}; no ticket's number ends it"
            )
        yield context.ticket(payload, identity, at, "merged", sequence=sequence, merged_into=found[1])
        return
    has_message = kind in MESSAGES and (kind != "Create" or transaction.at("has_content").boolean(False))
    what = "created" if kind == "Create" else "deleted" if ticket.at("status").value == "deleted" else "changed"
    yield context.ticket(
        payload,
        identity,
        at,
        "message" if has_message and kind != "Create" else what,
        sequence=sequence,
        message=_message(transaction, ticket, MESSAGES[kind], context) if has_message else None,
    )


def _message(transaction: View, ticket: View, is_public: bool, context: Context) -> dict[str, Any]:
    creator = transaction.at("creator")
    requestors = ticket.value.get("requestors")
    known = requestors if isinstance(requestors, list) else [requestors]
    is_requester = creator.value in known or transaction.at("creator_email").value in known
    role = "automation" if creator.value == "RT_System" else "requester" if is_requester else "agent"
    return {
        "author": context.author(role, creator, transaction.at("creator_email")),
        "public": is_public,
        "automatic": role == "automation",
    }


REQUEST_TRACKER = Adapter(
    name="request-tracker",
    title="Request Tracker",
    kind="ticket",
    is_utc=True,
    read=read,
    messages=True,
    fields={
        "ticket_id": (take("ticket.id"),),
        "ticket.service": (take("ticket.queue"),),
        "ticket.status": (take("ticket.status", map=STATUSES),),
        "ticket.status_name": (take("ticket.status"),),
        "ticket.priority": (take("ticket.priority"),),
        "ticket.assignee": (take("ticket.owner", map={"Nobody": None}), take("ticket.owner")),
        "ticket.requester": (take("ticket.requestors.0"),),
        "ticket.group": (take("ticket.queue"),),
        "ticket.title": (take("ticket.subject"),),
        "ticket.created_at": (take("ticket.created"),),
    },
)
