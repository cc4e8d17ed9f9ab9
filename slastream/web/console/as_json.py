"""Values of the pages as JSON: tuples with names are objects, instants RFC 3339 in UTC, ratios 0 to 1."""

from typing import Any

from slastream.core.units import Instant, format_instant

INSTANTS = frozenset({"at", "as_of", "start", "end", "since", "due_if_resumed_now"})
"""Names of fields that are instants, besides those that end in `_at`."""


def plain(value: Any, name: str = "") -> Any:
    """What `orjson` writes."""
    if isinstance(value, int) and not isinstance(value, bool) and (name.endswith("_at") or name in INSTANTS):
        return format_instant(Instant(value))
    if isinstance(value, tuple) and (fields := getattr(value, "_fields", None)) is not None:
        return {field: plain(part, field) for field, part in zip(fields, value, strict=True)}
    if isinstance(value, dict):
        return {key: plain(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
