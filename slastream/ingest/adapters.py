"""The adapters by name: a vendor's own payload to events (contract section 6).

    translation = adapter("jira").events(payload, headers, options)

`slastream.ingest.adapting` says how they think; there is one module a vendor, and none knows another.
"""

from slastream.errors import PolicyError
from slastream.ingest.adapting import Adapter, AdapterOptions, Refused, Translation
from slastream.ingest.alertmanager import ALERTMANAGER
from slastream.ingest.signatures import Signature, why_not_genuine
from slastream.wire.yaml_nodes import nearest

__all__ = ["ADAPTERS", "Adapter", "AdapterOptions", "Refused", "Signature", "Translation", "adapter", "why_not_genuine"]

ADAPTERS: dict[str, Adapter] = {
    one.name: one
    for one in (
        ALERTMANAGER,
    )
}  # fmt: skip


def adapter(name: str) -> Adapter:
    """Raises PolicyError for a name that none has."""
    if name not in ADAPTERS:
        raise PolicyError(
            f"adapter {name[:60]!r} is unknown; {nearest(name, ADAPTERS)}there are {', '.join(sorted(ADAPTERS))}"
        )
    return ADAPTERS[name]
