"""The languages of a report: complete, and each with its own way to write numbers."""

import json
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest

import slastream.report
from slastream.core.calendars import Calendar
from slastream.core.experience import TICKET_VERDICTS
from slastream.core.policies import CLOCK_METRICS, PARTIES, SERVICE_METRICS
from slastream.core.units import HOUR, MINUTE, parse_instant
from slastream.errors import PolicyError
from slastream.report.figures import About
from slastream.report.words import LANGUAGES, Words, words_of

FOLDER = Path(slastream.report.__file__).parent
CATALOGUES = {
    language: json.loads((FOLDER / "catalogues" / f"{language}.json").read_text("utf-8")) for language in LANGUAGES
}
SOURCES = "\n".join(
    [one.read_text(encoding="utf-8") for one in [*FOLDER.glob("*.py"), *(FOLDER / "templates").glob("*.j2")]]
)


def fillings(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_file_of_words_is_a_language_that_can_be_chosen() -> None:
    assert {one.stem for one in (FOLDER / "catalogues").glob("*.json")} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_text_with_the_same_fillings(language: str) -> None:
    assert list(CATALOGUES[language]) == list(CATALOGUES["en"])
    for name, text in CATALOGUES["en"].items():
        if not name.startswith("format."):
            assert fillings(CATALOGUES[language][name]) == fillings(text), name
        assert CATALOGUES[language][name].strip() or name == "format.group", name


def test_no_text_is_left_in_english() -> None:
    """The same words in two languages are names, abbreviations or borrowed terms."""
    for name, text in CATALOGUES["en"].items():
        if re.fullmatch(r"[\W\d]*", re.sub(r"\{\w+\}", "", text)) or name.startswith("format."):
            continue
        assert re.search("[가-힣]", CATALOGUES["ko"][name]), name
        if len(text.split()) > 3:
            assert CATALOGUES["de"][name] != text, name


def test_every_name_that_the_templates_use_is_in_the_catalogue() -> None:
    used = set(re.findall(r"""words\(["']([\w.]+)["'][,)]""", SOURCES))
    assert used - set(CATALOGUES["en"]) == set()


@pytest.mark.parametrize("name", list(CATALOGUES["en"]))
def test_every_text_is_used(name: str) -> None:
    group = name.split(".")[0]
    groups = {
        *re.findall(r"""word\(["'](\w+)["']""", SOURCES),
        "define",
        "month",
        "priority",
        "type",
        "service",
        "picture",
    }
    assert group in groups or f'"{name}"' in SOURCES or re.search(rf'"{re.escape(group)}\." ~', SOURCES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_metric_and_kind_has_a_word(language: str) -> None:
    for metric in (*CLOCK_METRICS, *SERVICE_METRICS):
        assert f"metric.{metric}" in CATALOGUES[language]
    for kind in ("sla", "ola", "uc"):
        assert f"kind.{kind}" in CATALOGUES[language]
    for about in get_args(About):
        assert f"about.{about}" in CATALOGUES[language]
    for party in (*PARTIES, "none"):
        assert f"party.{party}" in CATALOGUES[language]
    for verdict in TICKET_VERDICTS:
        assert f"verdict.{verdict}" in CATALOGUES[language]


@pytest.mark.parametrize(
    ("language", "number", "percent", "day", "month", "span"),
    [
        ("en", "1,234,567.5", "98.8%", "2 March 2026", "March 2026", "1 March 2026 to 31 March 2026"),
        ("de", "1.234.567,5", "98,8\u00a0%", "2. März 2026", "März 2026", "1. März 2026 bis 31. März 2026"),
        ("ko", "1,234,567.5", "98.8%", "2026년 3월 2일", "2026년 3월", "2026년 3월 1일 ~ 2026년 3월 31일"),
    ],
)
def test_numbers_and_dates_are_written_as_the_language_does(
    language: str, number: str, percent: str, day: str, month: str, span: str
) -> None:
    words, zone = words_of(language), Calendar.always("Europe/Berlin")
    assert words.number(Fraction(2469135, 2), 1) == number
    assert words.percent(Fraction(988, 1000)) == percent
    assert words.day(date(2026, 3, 2)) == day
    assert words.period("2026-03") == month
    assert words.span(parse_instant("2026-02-28T23:00:00Z"), parse_instant("2026-03-31T22:00:00Z"), zone) == span


def test_a_share_that_is_not_whole_is_never_shown_as_whole(english: Words) -> None:
    assert english.percent(Fraction(99_999, 100_000)) == "99.9%"
    assert english.percent(Fraction(1, 100_000)) == "0.1%"
    assert (english.percent(Fraction(1)), english.percent(Fraction(0))) == ("100.0%", "0.0%")
    assert english.percent(None) == "no sample"


def test_goals_keep_all_of_their_digits(english: Words) -> None:
    assert [english.exactly(Decimal(one)) for one in ("0.95", "0.9995", "1", "0.99999")] == [
        "95%",
        "99.95%",
        "100%",
        "99.999%",
    ]


def test_durations_are_minutes_below_two_hours_and_hours_from_there(english: Words) -> None:
    assert [english.duration(one).replace("\u00a0", " ") for one in (0, 90 * MINUTE, 2 * HOUR, 60 * HOUR, None)] == [
        "0 min",
        "90 min",
        "2.0 h",
        "60.0 h",
        "–",
    ]
    assert english.duration(-30 * MINUTE) == "−30\u00a0min"


@pytest.fixture
def english() -> Words:
    return words_of("en")


def test_another_language_is_refused() -> None:
    with pytest.raises(PolicyError, match="--language fr: there is none; write one of en, de, ko"):
        words_of("fr")
