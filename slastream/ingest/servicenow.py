"""ServiceNow: the JSON of a business rule (docs/adapters/servicenow.md has it); the platform has no webhooks of its own.

event_id: `sys_id` and `sys_mod_count`, which counts the changes of a record; of a comment the id of its journal entry.
occurred_at: `sys_updated_on`, UTC without saying so (the values, not the display values, which are of the user's zone and
format). A field may be text, or `{value, display_value}`; both are read: `state` is its value, `display.state` what people see.

**Source:** https://www.servicenow.com/docs/ (Table API, journal fields)
"""

from collections.abc import Iterator
from typing import Any

from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, View, take
from slastream.ingest.field_text import ABSENT

STATES = {"1": "new", "2": "open", "3": "hold", "6": "resolved", "7": "closed", "8": "cancelled"}
STATE_NAMES = {
    "New": "new", "In Progress": "open", "On Hold": "hold", "Resolved": "resolved", "Closed": "closed", "Canceled": "cancelled",
}  # fmt: skip
AWAITING_CALLER = {"3 1": "pending", "On Hold Awaiting Caller": "pending"}
PRIORITIES = {"1": "P1", "2": "P2", "3": "P3", "4": "P4", "5": "P5"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    record = _flat(payload.at("record") if payload.at("record").exists else payload)
    number = record.at("sys_id").text()
    if payload.at("comment").exists:
        yield _message(payload.at("comment").object(), record, number, context)
        return
    changes = record.at("sys_mod_count")
    if payload.at("operation").value == "delete":
        yield context.ticket(
            record, context.event_id(number, "deleted"), context.instant(record.at("sys_updated_on")), "deleted"
        )
        return
    yield context.ticket(
        record,
        context.event_id(number, changes.text()),
        context.instant(record.at("sys_updated_on")),
        "created" if changes.integer() == 0 else "changed",
        sequence=changes.integer(),
    )


def _message(comment: View, record: View, number: str, context: Context) -> dict[str, Any]:
    element = comment.at("element").text()
    if element not in ("comments", "work_notes"):
        raise EventError("bad_value", comment.at("element").path, f"is {element[:40]!r}; write comments or work_notes")
    author = comment.at("sys_created_by")
    is_caller = author.exists and author.value in (record.at("caller_user_name").value, record.at("caller_id").value)
    role = "requester" if is_caller else "automation" if author.value == "system" else "agent"
    return context.ticket(
        record,
        context.event_id(number, "journal", comment.at("sys_id").text()),
        context.instant(comment.at("sys_created_on")),
        "message",
        has_state=False,
        message={
            "author": context.author(role, author),
            "public": element == "comments",
            "automatic": role == "automation",
        },
    )


def _flat(record: View) -> View:
    """Each field as its value, and what people see of it under `display`; `hold` is the state with its reason."""
    values: dict[str, Any] = {}
    display: dict[str, Any] = {}
    for name, field in record.object().value.items():
        is_pair = isinstance(field, dict) and ("value" in field or "display_value" in field)
        values[name] = field.get("value", field.get("display_value")) if is_pair else field
        display[name] = field.get("display_value", field.get("value")) if is_pair else field
    for name in ("state", "incident_state"):
        if isinstance(values.get(name), int):
            values[name] = str(values[name])
    reason = values.get("hold_reason")
    hold = f"{values.get('state')} {reason}" if reason else ABSENT
    return View({**values, "display": display, "hold": hold}, record.path)


SERVICENOW = Adapter(
    name="servicenow",
    title="ServiceNow",
    kind="ticket",
    is_utc=True,
    read=read,
    messages=True,
    fields={
        "ticket_id": (take("number", "sys_id"),),
        "ticket.service": (take("display.business_service", "display.cmdb_ci"),),
        "ticket.status": (take("hold", map=AWAITING_CALLER), take("state", map=STATES), take("state", map=STATE_NAMES)),
        "ticket.status_name": (take("display.state"),),
        "ticket.priority": (take("priority", map=PRIORITIES), take("priority")),
        "ticket.type": (take("sys_class_name"),),
        "ticket.customer": (take("display.company"),),
        "ticket.group": (take("display.assignment_group"),),
        "ticket.assignee": (take("display.assigned_to"),),
        "ticket.requester": (take("display.caller_id"),),
        "ticket.title": (take("short_description"),),
        "ticket.created_at": (take("opened_at", "sys_created_on"),),
    },
)
