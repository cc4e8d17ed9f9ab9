"""A report as JSON: the names of its fields, instants as RFC 3339, durations in `_seconds`, shares with their ratio.

The types of the fields decide, so that a field that is added needs nothing here.
"""

import json
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, get_args, get_type_hints

from slastream.core.units import SECOND, Instant, format_instant
from slastream.report.figures import ServiceLevelReport, Share
from slastream.wire.availability_lines import fraction
from slastream.wire.lines import Json, number


def report_object(report: ServiceLevelReport) -> Json:
    return {"kind": "service_level_report", **_object(report)}


def report_json(report: ServiceLevelReport) -> bytes:
    return json.dumps(report_object(report), indent=1, ensure_ascii=False).encode() + b"\n"


def plain(name: str, value: Any) -> tuple[str, Any]:
    """A field's name and value in JSON, by the unit at the end of its name."""
    if name.endswith("_us"):
        return f"{name.removesuffix('_us')}_seconds", None if value is None else fraction(Fraction(value, SECOND))
    return name, _value(value)


def _object(value: Any) -> Json:
    if isinstance(value, Share):
        ratio = value.ratio
        return {"met": value.met, "total": value.total, "ratio": None if ratio is None else fraction(ratio)}
    kind: type = type(value)
    hints = _types_of(kind)
    return dict(_item(one.name, getattr(value, one.name), hints[one.name]) for one in fields(value))


@cache
def _types_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _item(name: str, value: Any, hint: Any) -> tuple[str, Any]:
    if value is not None and Instant in (get_args(hint) or (hint,)):
        return name, format_instant(value)
    return plain(name, value)


def _value(value: Any) -> Any:
    match value:
        case Decimal():
            return number(value)
        case Fraction():
            return fraction(value)
        case tuple():
            return [_value(one) for one in value]
        case _ if is_dataclass(value):
            return _object(value)
        case _:
            return value
