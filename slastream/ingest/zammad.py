"""Zammad: the webhook of a trigger, with its standard payload.

event_id: ticket, `updated_at` (ms) and the state's digest: `X-Zammad-Delivery` is of one delivery, not of the change. Of
an article its id.
occurred_at: `ticket.updated_at`; of an article its `created_at`.
The payload has no delta, and the newest article also when the article is old: both are harmless, since an equal value
changes nothing and an article has one id.

**Source:** https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html
"""

from collections.abc import Iterator
from typing import Any

from slastream.ingest.adapting import Adapter, Context, View, take
from slastream.ingest.signatures import Signature

STATES = {
    "new": "new", "open": "open", "pending reminder": "pending", "pending close": "pending", "closed": "closed",
    "merged": "cancelled",
    "removed": "cancelled",
}  # fmt: skip
PRIORITIES = {"3 high": "P1", "2 normal": "P2", "1 low": "P3"}
SENDERS = {"Customer": "requester", "Agent": "agent", "System": "automation"}


def read(payload: View, context: Context) -> Iterator[dict[str, Any]]:
    ticket = payload.at("ticket").object()
    number = ticket.at("id").text()
    event = context.ticket(payload, "", context.instant(ticket.at("updated_at")))
    event["event_id"] = context.event_id(number, event["occurred_at"], context.digest(event.get("ticket")))
    yield event
    article = payload.at("article")
    if article.exists and article.object().at("id").exists:
        yield _message(payload, article, context)


def _message(payload: View, article: View, context: Context) -> dict[str, Any]:
    role = SENDERS.get(article.at("sender").words(), "third_party")
    return context.ticket(
        payload,
        context.event_id("article", article.at("id").text()),
        context.instant(article.at("created_at")),
        "message",
        has_state=False,
        message={
            "author": context.author(role, article.at("created_by", "login"), article.at("from")),
            "public": not article.at("internal").boolean(False),
            "automatic": role == "automation",
        },
    )


ZAMMAD = Adapter(
    name="zammad",
    title="Zammad",
    kind="ticket",
    read=read,
    messages=True,
    signatures=(Signature(header="x-hub-signature", algorithm="sha1", prefix="sha1="),),
    fields={
        "ticket_id": (take("ticket.number"),),
        "ticket.service": (take("ticket.group.name", "ticket.group"),),
        "ticket.status": (take("ticket.state.name", "ticket.state", map=STATES),),
        "ticket.status_name": (take("ticket.state.name", "ticket.state"),),
        "ticket.priority": (
            take("ticket.priority.name", "ticket.priority", map=PRIORITIES),
            take("ticket.priority.name", "ticket.priority"),
        ),
        "ticket.customer": (take("ticket.organization.name", "ticket.organization"),),
        "ticket.group": (take("ticket.group.name", "ticket.group"),),
        "ticket.assignee": (take("ticket.owner.login", map={"-": None}), take("ticket.owner.login", "ticket.owner")),
        "ticket.requester": (take("ticket.customer.login", "ticket.customer"),),
        "ticket.opened_by": (take("ticket.create_article_sender", map=SENDERS),),
        "ticket.title": (take("ticket.title"),),
        "ticket.tags": (take("ticket.tags"),),
        "ticket.created_at": (take("ticket.created_at"),),
    },
)
