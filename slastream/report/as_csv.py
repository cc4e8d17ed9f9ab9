"""A report as CSV: one number a line, with its path in the JSON form (`figure`), and what it is of (`item`)."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from slastream.report.as_json import report_object
from slastream.report.figures import ServiceLevelReport
from slastream.wire.lines import Json

COLUMNS = ("figure", "section", "item", "measure", "value")
NAMES = ("ticket_id", "service", "agreement", "promise", "attribute", "value", "period", "measure", "reason")
"""The fields that say what the numbers beside them are of."""
LEFT_OUT = ("evidence",)
"""Lists of tickets, which the JSON form has."""


def report_csv(report: ServiceLevelReport) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets look for."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for section, value in report_object(report).items():
        if section not in LEFT_OUT:
            writer.writerows(_rows(section, section, "", "", value))
    return text.getvalue().encode("utf-8-sig")


def _rows(path: str, section: str, item: str, measure: str, value: Any) -> Iterator[tuple[str, str, str, str, Any]]:
    match value:
        case dict():
            item = " / ".join([*([item] if item else []), *_names_of(value)])
            for name, one in value.items():
                yield from _rows(f"{path}.{name}", section, item, f"{measure}.{name}" if measure else name, one)
        case list():
            for index, one in enumerate(value):
                yield from _rows(f"{path}.{index}", section, item, measure, one)
        case bool() | None | str():
            return
        case _:
            if not path.endswith("evidence"):
                yield path, section, item, measure or section, value


def _names_of(value: Json) -> list[str]:
    return [str(value[name]) for name in NAMES if isinstance(value.get(name), str)]
