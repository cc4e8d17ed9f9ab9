"""A language: the texts of its catalogue, and how it writes numbers, dates and times.

A catalogue is a JSON file of texts by dotted name; `{name}` in a text is filled in. All catalogues have the same names and the
same fillings: a test compares them.
"""

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files

from slastream.core.calendars import Calendar
from slastream.core.units import HOUR, MINUTE, Instant
from slastream.errors import PolicyError

LANGUAGES = ("en", "de", "ko")
WHOLE_CURRENCIES = ("JPY", "KRW", "VND", "CLP", "ISK")
"""Their amounts have no hundredths. **Source:** ISO 4217, minor units."""
Number = int | Fraction | Decimal
_FILLING = re.compile(r"\{(\w+)\}")


@cache
def words_of(language: str) -> "Words":
    """Raises PolicyError for a language that has no catalogue."""
    if language not in LANGUAGES:
        raise PolicyError(f"--language {language}: there is none; write one of {', '.join(LANGUAGES)}")
    text = files("slastream.report").joinpath("catalogues", f"{language}.json").read_text(encoding="utf-8")
    return Words(language, json.loads(text))


@dataclass(frozen=True)
class Words:
    language: str
    texts: dict[str, str]

    def __call__(self, name: str, /, **values: object) -> str:
        """The text of this name, filled in. A name that is not there is our bug: KeyError."""
        return _FILLING.sub(lambda match: str(values[match.group(1)]), self.texts[name])

    def word(self, group: str, value: str | None) -> str:
        """A word of the policy or of an event as people say it; what the catalogue has no word for stays itself."""
        return self.texts["none"] if value is None else self.texts.get(f"{group}.{value}", value)

    # ---- numbers -------------------------------------------------------------------------------------------------

    def number(self, value: Number, digits: int = 0) -> str:
        """Rounded half to even to so many digits behind the point, with the separators of the language."""
        exact = Fraction(value) * 10**digits
        rounded = Decimal(round(exact)).scaleb(-digits)
        sign = "−" if rounded < 0 else ""
        separators = {ord(","): self.texts["format.group"], ord("."): self.texts["format.point"]}
        return sign + f"{abs(rounded):,.{digits}f}".translate(separators)

    def percent(self, ratio: Number | None, digits: int = 1) -> str:
        """A ratio; never rounded to 100 % where it is less, nor to 0 % where it is more."""
        if ratio is None:
            return self.texts["no_sample"]
        exact, unit = Fraction(ratio) * 100, Fraction(1, 10**digits)
        if 0 < exact < 100:
            exact = min(max(exact, unit), 100 - unit)
        return self("format.percent", number=self.number(exact, digits))

    def exactly(self, value: Decimal) -> str:
        """A ratio of the policy with all of its digits: 99.95 %."""
        digits = max(0, -int((value * 100).normalize().as_tuple().exponent))
        return self("format.percent", number=self.number(value * 100, digits))

    def money(self, amount: Decimal, currency: str) -> str:
        return self(
            "format.money", number=self.number(amount, 0 if currency in WHOLE_CURRENCIES else 2), currency=currency
        )

    def share(self, met: int, total: int) -> str:
        return self("format.share", met=self.number(met), total=self.number(total))

    def duration(self, us: Number | None) -> str:
        """Minutes below two hours, else hours; hours are not gathered into days, which would have two meanings."""
        if us is None:
            return self.texts["none"]
        exact = Fraction(us)
        if abs(exact) < 2 * HOUR:
            return self("format.minutes", number=self.number(exact / MINUTE, 0 if exact % MINUTE == 0 else 1))
        return self("format.hours", number=self.number(exact / HOUR, 1))

    # ---- dates ---------------------------------------------------------------------------------------------------

    def day(self, day: date) -> str:
        return self("format.day", day=day.day, month=self.texts[f"month.{day.month}"], year=day.year, number=day.month)

    def short_day(self, at: Instant, zone: Calendar) -> str:
        """In the room of a chart's tick."""
        day, _ = zone.local(at)
        return self("format.short_day", day=day.day, month=self.texts[f"month.{day.month}"][:3], number=day.month)

    def instant(self, at: Instant | None, zone: Calendar) -> str:
        """To the minute of the wall clock in a zone."""
        if at is None:
            return self.texts["none"]
        day, us = zone.local(at)
        return self("format.instant", day=self.day(day), time=f"{us // HOUR:02}:{us % HOUR // MINUTE:02}")

    def stamp(self, at: Instant, zone: Calendar) -> str:
        """An instant in the room of a table's cell."""
        day, us = zone.local(at)
        return self(
            "format.stamp",
            day=f"{day.day:02}",
            month=self.texts[f"month.{day.month}"][:3],
            number=f"{day.month:02}",
            year=f"{day.year:04}",
            time=f"{us // HOUR:02}:{us % HOUR // MINUTE:02}",
        )

    def span(self, start: Instant, end: Instant, zone: Calendar) -> str:
        """A half-open period as its first and last day."""
        first, last = zone.local(start)[0], zone.local(Instant(end - 1))[0]
        return self("format.span", start=self.day(first), end=self.day(last))

    def period(self, text: str) -> str:
        """`2026-03`, `2026-Q1` or `2026` as people say it."""
        year, _, rest = text.partition("-")
        if rest.startswith("Q"):
            return self("format.quarter", quarter=rest[1:], year=year)
        if rest:
            return self("format.month", month=self.texts[f"month.{int(rest)}"], year=year, number=int(rest))
        return self("format.year", year=year)

    def short_month(self, text: str) -> str:
        """`2026-03` in the room of a chart's tick."""
        year, _, month = text.partition("-")
        return self("format.short_month", month=self.texts[f"month.{int(month)}"][:3], year=year[2:], number=month)
