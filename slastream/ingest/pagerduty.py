"""PagerDuty: webhooks v3 about incidents.

event_id: `event.id`, the same in every delivery of an event. occurred_at: `event.occurred_at`.
An incident has no conversation with a requester: a status update is a public message of the team, a note an internal one.

**Source:** https://developer.pagerduty.com/docs/webhooks-overview
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.signatures import Signature

STATUSES = {"triggered": "new", "acknowledged": "open", "resolved": "resolved"}
CHANGES = (
    "acknowledged", "unacknowledged", "delegated", "escalated", "reassigned", "priority_updated", "service_updated",
    "reopened", "resolved",
    "incident_type.changed",
)  # fmt: skip
MESSAGES = {"status_update_published": True, "annotated": False}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    event = payload.at("event").object()
    kind = event.at("event_type").text()
    if not kind.startswith("incident."):
        raise IgnoredError("test" if kind == "pagey.ping" else "other_type")
    kind = kind.removeprefix("incident.")
    data = event.at("data").object()
    identity, at = context.event_id(event.at("id").text()), context.instant(event.at("occurred_at"))
    if kind == "triggered":
        yield context.ticket(View({**payload.value, "incident": data.value}), identity, at, "created")
    elif kind in CHANGES:
        yield context.ticket(View({**payload.value, "incident": data.value}), identity, at)
    elif kind in MESSAGES:
        incident = data.at("incident").object()
        message = {"author": context.author("agent", event.at("agent", "id")), "public": MESSAGES[kind]}
        view = View({**payload.value, "incident": incident.value})
        yield context.ticket(view, identity, at, "message", has_state=False, message=message)
    else:
        raise IgnoredError("other_type")


PAGERDUTY = Adapter(
    name="pagerduty",
    title="PagerDuty",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(Signature(header="x-pagerduty-signature", prefix="v1=", separator=","),),
    fields={
        "ticket_id": (take("incident.id"),),
        "ticket.service": (take("incident.service.summary", "incident.service.id"),),
        "ticket.status": (take("incident.status", map=STATUSES),),
        "ticket.status_name": (take("incident.status"),),
        "ticket.priority": (
            take("incident.priority.summary"),
            take("incident.urgency", map={"high": "P1", "low": "P3"}),
        ),
        "ticket.type": (take("incident.incident_type.name"),),
        "ticket.group": (take("incident.teams.0.summary", "incident.escalation_policy.summary"),),
        "ticket.assignee": (take("incident.assignees.0.summary", "incident.assignees"),),
        "ticket.title": (take("incident.title"),),
        "ticket.created_at": (take("incident.created_at"),),
    },
    lacks={
        "next_response": "an incident has no messages of a requester",
        "requester_wait": "an incident never waits for a requester",
        "assignment": "an incident is assigned when it is triggered; promise the acknowledgement with a custom clock",
    },
)
