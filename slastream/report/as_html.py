"""A report as one HTML page: no scripts, no external resources, made for A4.

Each number is a `data` element whose `value` is the exact one and whose `data-figure` is its path in the JSON form.
"""

import shlex
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from slastream.core.calendars import Calendar
from slastream.report.as_json import plain
from slastream.report.charts import Charts
from slastream.report.figures import ServiceLevelReport, Share
from slastream.report.page_parts import PageParts
from slastream.report.pictures import Pictures, control_name
from slastream.report.words import Words, words_of

CHARTS_SHOWN = 4
"""Control charts; the table has the others."""
LISTED_ON_FIRST_PAGE = 4
LISTED = 12
"""Rows of a long table; the JSON and CSV forms have all of them."""


class Names(NamedTuple):
    """The policy and the event files as the operator named them, for the commands that show more."""

    policy: str
    files: tuple[str, ...]

    def command(self, *words: str) -> str:
        """A command line over them: `command("explain", "--ticket", "OPS-1")`."""
        return shlex.join(["slastream", words[0], self.policy, *self.files, *words[1:]])


def report_html(report: ServiceLevelReport, language: str, names: Names) -> bytes:
    words, zone = words_of(language), Calendar.always(report.timezone)
    environment = Environment(
        loader=PackageLoader("slastream.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        words=words,
        figure=Figures(report, words),
        picture=Pictures(report, words, Charts(), zone),
        zone=zone,
        names=names,
        repeat=names.command("report", *_choice(report), "--format", "json", "--out", "report.json"),
        parts=PageParts(report),
        control_name=control_name,
        listed=LISTED,
        listed_on_first_page=LISTED_ON_FIRST_PAGE,
        charts_shown=CHARTS_SHOWN,
        definitions=[
            name.split(".")[1] for name in words.texts if name.startswith("define.") and name.endswith(".text")
        ],
    )
    return page.encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of the report by their path (`promises.0.kept`), as people read them and with their exact value."""

    report: ServiceLevelReport
    words: Words

    def value(self, path: str) -> Any:
        found: Any = self.report
        for name in path.split("."):
            found = found[int(name)] if name.isdigit() else getattr(found, name)
        return found

    def count(self, path: str, digits: int = 0) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.word("", None) if value is None else self.words.number(value, digits))

    def percent(self, path: str, digits: int = 1) -> Markup:
        """Of a ratio; of a share its ratio."""
        value = self.value(path)
        if isinstance(value, Share):
            return self._data(f"{path}.ratio", value.ratio, self.words.percent(value.ratio, digits))
        return self._data(path, value, self.words.percent(value, digits))

    def exactly(self, path: str) -> Markup:
        """A ratio of the policy, with all of its digits."""
        value = self.value(path)
        return self._data(path, value, self.words.word("", None) if value is None else self.words.exactly(value))

    def share(self, path: str) -> Markup:
        """`met` of `total`."""
        met, total = self.count(f"{path}.met"), self.count(f"{path}.total")
        return escape(self.words.texts["format.share"]).format(met=met, total=total)

    def money(self, path: str, currency: str) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.money(value, currency))

    def duration(self, path: str) -> Markup:
        value = self.value(path)
        return self._data(path, value, self.words.duration(value))

    def _data(self, path: str, value: Any, text: str) -> Markup:
        name, exact = plain(path.rpartition(".")[2], value)
        head = path.rpartition(".")[0]
        return Markup('<data data-figure="{}" value="{}">{}</data>').format(
            f"{head}.{name}" if head else name, "" if exact is None else exact, text
        )


def _choice(report: ServiceLevelReport) -> list[str]:
    return ["--period", report.period, *([] if report.customer is None else ["--customer", report.customer])]
