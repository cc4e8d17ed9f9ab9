"""GLPI 11: its webhooks on `Ticket` and `ITILFollowup`, with the standard payload.

event_id: ticket, event, `date_mod` (seconds) and the state's digest; GLPI has no id of a delivery. Of a followup its id.
occurred_at: `item.date_mod`; of a new ticket `date_creation`, of a followup `date`. Two changes within a second have no order.
Times have an offset in the standard payload; a template of one's own may lose it: then `timezone` of the options counts.

**Source:** `src/Webhook.php` and `src/Glpi/Api/HL/Controller/ITILController.php` of glpi-project/glpi
"""

from collections.abc import Iterator
from typing import Any

from slastream.core.units import Duration
from slastream.ingest.adapting import Adapter, Context, IgnoredError, View, take
from slastream.ingest.signatures import Signature

STATUSES = {
    "1": "new", "2": "open", "3": "open", "4": "pending", "5": "resolved", "6": "closed", "10": "open",
}  # fmt: skip
PRIORITIES = {"6": "P1", "5": "P2", "4": "P3", "3": "P4", "2": "P5", "1": "P6"}
TYPES = {"1": "incident", "2": "request"}
EVENTS = {"new": "created", "update": "changed", "delete": "deleted"}
QUEUE = Duration(86_400_000_000)
"""GLPI signs when it queues; its cron sends, and repeats, later."""


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    kind = payload.at("event").text()
    item = payload.at("item").object()
    if kind not in EVENTS:
        raise IgnoredError("other_type")
    if payload.at("parent_item").exists:
        yield _followup(payload, item, kind, context)
        return
    time = item.at("date_creation") if kind == "new" and item.at("date_creation").exists else item.at("date_mod")
    at = context.instant(time)
    event = context.ticket(_with_team(payload, item), "", at, EVENTS[kind])
    event["event_id"] = context.event_id(item.at("id").text(), kind, at, context.digest(event.get("ticket")))
    yield event


def _followup(payload: View, item: View, kind: str, context: Context) -> dict[str, Any]:
    if kind != "new":
        raise IgnoredError("edited_message")
    parent, user = payload.at("parent_item").object(), item.at("user")
    requesters = _members(parent, "User", "requester")
    is_requester = any(one.get("id") == user.at("id").value for one in requesters)
    time = item.at("date") if item.at("date").exists else item.at("date_creation")
    return context.ticket(
        View({**payload.value, "item": parent.value}, payload.path),
        context.event_id("followup", item.at("id").text()),
        context.instant(time),
        "message",
        has_state=False,
        message={
            "author": context.author("requester" if is_requester else "agent", user.at("name"), user.at("id")),
            "public": not item.at("is_private").boolean(False),
        },
    )


def _members(item: View, kind: str, role: str) -> list[dict[str, Any]]:
    team = item.value.get("team")
    members = [one for one in team if isinstance(one, dict)] if isinstance(team, list) else []
    return [one for one in members if one.get("type") == kind and one.get("role") == role]


def _with_team(payload: View, item: View) -> View:
    """The payload with `team`: the first of each part, so that each has a name of its own. A part that nobody has is null."""
    if not isinstance(item.value.get("team"), list):
        return payload
    parts = {"group": ("Group", "assigned"), "assignee": ("User", "assigned"), "requester": ("User", "requester")}
    first = {part: next(iter(_members(item, *which)), {}).get("name") for part, which in parts.items()}
    return View({**payload.value, "team": first}, payload.path)


GLPI = Adapter(
    name="glpi",
    title="GLPI",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(
        Signature(
            header="x-glpi-signature", signed="{body}{timestamp}", timestamp_header="x-glpi-timestamp", tolerance=QUEUE
        ),
    ),
    fields={
        "ticket_id": (take("item.id"),),
        "ticket.service": (take("item.category.name", "item.entity.name"),),
        "ticket.status": (take("item.status.id", "item.status", map=STATUSES),),
        "ticket.status_name": (take("item.status.name"),),
        "ticket.priority": (take("item.priority", map=PRIORITIES), take("item.priority")),
        "ticket.type": (take("item.type", map=TYPES), take("item.type")),
        "ticket.customer": (take("item.entity.name"),),
        "ticket.group": (take("team.group"),),
        "ticket.assignee": (take("team.assignee"),),
        "ticket.requester": (take("team.requester"),),
        "ticket.title": (take("item.name"),),
        "ticket.created_at": (take("item.date", "item.date_creation"),),
    },
)
