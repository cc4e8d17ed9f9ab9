"""CloudEvents 1.0 over HTTP: binary (headers `ce-…`), structured (one JSON object) and batched (a list of them).

`data` is an event of the contract (section 1), of any kind, or what the options make one. Left out there, `occurred_at` is the
envelope's `time`, `event_id` its `source` and `id` (together unique by the specification), and `service` its `subject`.

**Source:** https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from slastream.errors import EventError
from slastream.ingest.adapting import Adapter, Context, View, take

REQUIRED = ("id", "source", "type")


def split(payload: View, context: Context) -> Sequence[View]:
    if isinstance(payload.value, list):
        return payload.items()
    if isinstance(payload.value, dict) and "specversion" in payload.value and "data" in payload.value:
        return [payload]
    headers = {name[3:]: unquote(value) for name, value in context.headers.items() if name.startswith(("ce-", "ce_"))}
    if not headers:
        return [payload]
    return [View({**headers, "data": payload.value}, payload.path)]


def read(record: View, context: Context) -> Iterator[dict[str, Any]]:
    envelope = record.object()
    version = envelope.at("specversion").text()
    if not version.startswith("1."):
        raise EventError("bad_value", envelope.at("specversion").path, f"is {version[:20]!r}; send 1.0")
    for name in REQUIRED:
        envelope.at(name).text()
    data = envelope.at("data").object()
    subject = envelope.at("subject").words()
    event = {name: value for name, value in data.value.items() if value is not None}
    event.setdefault("event_id", context.event_id(envelope.at("source").text(), envelope.at("id").text()))
    if "occurred_at" not in event:
        event["occurred_at"] = context.instant(envelope.at("time"))
    event.setdefault("source", context.source)
    if not event.keys() & {"ticket_id", "maintenance_id"}:
        event.update(context.fill(envelope))
        if subject:
            event.setdefault("service", subject)
    yield event


CLOUDEVENTS = Adapter(
    name="cloudevents",
    title="CloudEvents",
    kind="monitoring",
    split=split,
    read=read,
    messages=True,
    passes_events=True,
    fields={"state": (take("data.state", "data.status"),), "component": (take("data.component"),)},
)
