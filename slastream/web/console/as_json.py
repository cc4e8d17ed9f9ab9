"""Values of the pages as JSON: tuples with names are objects, instants RFC 3339 in UTC, ratios 0 to 1."""

from decimal import Decimal
from typing import Any

from slastream.core.events import MaintenanceEvent
from slastream.core.policies import Agreement, Service
from slastream.core.units import Instant, format_instant
from slastream.web.console.windows import PromiseWindow
from slastream.wire.lines import number

INSTANTS = frozenset({"at", "as_of", "start", "end", "since", "due_if_resumed_now"})
"""Names of fields that are instants, besides those that end in `_at`."""


def plain(value: Any, name: str = "") -> Any:
    """What `orjson` writes."""
    match value:
        case bool() | str() | float() | None:
            return value
        case int():
            is_instant = name.endswith("_at") or name in INSTANTS
            return format_instant(Instant(value)) if is_instant else value
        case Decimal():
            return number(value)
        case bytes():
            return value.decode(errors="replace")
        case dict():
            return {key: plain(part, str(key)) for key, part in value.items()}
        case PromiseWindow():
            return value.line | {"budget_left": value.budget_left, "is_kept": value.is_kept}
        case Service():
            return {part: getattr(value, part) for part in ("name", "customer", "provider", "team", "depends_on")}
        case Agreement():
            return _agreement(value)
        case MaintenanceEvent():
            return {
                part: plain(getattr(value, part), part)
                for part in ("maintenance_id", "component", "start", "end", "revision")
            }
        case tuple() if hasattr(value, "_fields"):
            return {field: plain(part, field) for field, part in zip(value._fields, value, strict=True)}
        case _:
            return [plain(part) for part in value]


def _agreement(agreement: Agreement) -> dict[str, Any]:
    objective = agreement.objective
    return {
        "name": agreement.name,
        "kind": agreement.kind,
        "customer": agreement.customer,
        "calendar": agreement.calendar.name,
        "objective": {"target": plain(objective.target), "period": objective.period, "basis": objective.basis},
    }
