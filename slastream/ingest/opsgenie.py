"""Opsgenie: the actions of its outgoing webhook, one payload an action on an alert.

event_id: alert, action and `updatedAt`, in nanoseconds, which is exact only as a whole number. occurred_at: `updatedAt`,
else `createdAt` (ms).

**Source:** https://support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data/
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.field_text import ABSENT

STATUSES = {"Create": "new", "Acknowledge": "open", "UnAcknowledge": "new", "Close": "resolved"}
OTHERS = (
    "AddTags", "RemoveTags", "AddTeam", "AssignOwnership", "TakeOwnership", "UpdatePriority", "UpdateMessage",
    "Escalate", "Snooze",
    "SnoozeEnded",
)  # fmt: skip
"""Actions that change the alert, but not its status."""


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    action = payload.at("action").text()
    alert = payload.at("alert").object()
    updated, created = alert.at("updatedAt"), alert.at("createdAt")
    at = context.epoch(updated, 1_000_000_000) if updated.exists else context.epoch(created, 1000)
    identity = context.event_id(alert.at("alertId").text(), action, updated.words() or created.text())
    created_at = context.epoch(created, 1000) if created.exists else ABSENT
    status = action if action in STATUSES else ABSENT
    view = View({**payload.value, "created": created_at, "status": status}, payload.path)
    if action == "AddNote":
        message = {"author": context.author("agent", alert.at("username")), "public": False}
        yield context.ticket(view, identity, at, "message", has_state=False, message=message)
    elif action in STATUSES or action in OTHERS:
        yield context.ticket(view, identity, at, "created" if action == "Create" else "changed")
    elif action == "Delete":
        yield context.ticket(view, identity, at, "deleted", has_state=False)
    else:
        raise IgnoredError("other_type")


OPSGENIE = Adapter(
    name="opsgenie",
    title="Opsgenie",
    kind="ticket",
    read=read,
    messages=True,
    fields={
        "ticket_id": (take("alert.alertId"),),
        "ticket.service": (take("alert.entity", "alert.alias"),),
        "ticket.status": (take("status", map=STATUSES),),
        "ticket.priority": (take("alert.priority"),),
        "ticket.group": (take("alert.teams.0"),),
        "ticket.assignee": (take("alert.owner"),),
        "ticket.title": (take("alert.message"),),
        "ticket.tags": (take("alert.tags"),),
        "ticket.created_at": (take("created"),),
    },
    lacks={
        "next_response": "an alert has no messages of a requester",
        "first_response": "an alert has no messages to a requester; promise the acknowledgement with a custom clock",
        "periodic_update": "an alert has no messages to a requester",
        "requester_wait": "an alert never waits for a requester",
    },
)
