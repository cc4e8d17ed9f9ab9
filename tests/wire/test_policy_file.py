"""A policy is refused whole, with every problem at its place; what is right is loaded."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.policies import Policy
from slastream.wire.policy_file import PolicyFileError, load_policy
from slastream.wire.policy_schema import policy_schema

ICS = (
    b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20260303\r\n"
    b"DTEND;VALUE=DATE:20260305\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

TWENTY = """\
version: 2
timezone: Europe/Berln
match_mod: all
retention: soon
calendars:
  office: {hours: {mon-fry: ["09:00-17:00"]}}
  night: {hours: {mon: ["22:00-06:00"]}}
  old: {hours: {mon: ["09:00-17:00"]}, holidays: ["2026-02-30"]}
services:
  mail: {depends_on: [mail]}
  web: {combine: average}
agreements:
  gold:
    kind: slo
    rank: 1
    match: {prioritty: P1}
    calendar: ofice
    objective: {target: 95, period: fortnight}
    promises:
      one: {metric: resolutoin, within: 4h}
      two: {metric: resolution, within: 2d}
      three: {metric: resolution, within: 4 hrs, warn_at: [120%]}
      four: {metric: custom, start: {status: open}, within: 4h}
      five: {metric: latency, target: 99%, window: 28d}
"""


def read(name: str) -> bytes:
    if name == "company.ics":
        return ICS
    raise FileNotFoundError(2, "No such file or directory", name)


def load(text: str) -> Policy:
    return load_policy([("policy.yaml", text)], read)


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        load(text)
    return str(caught.value).splitlines()


def test_twenty_mistakes_make_twenty_messages() -> None:
    found = problems(TWENTY)
    assert len(found) == 20, "\n".join(found)
    assert all(re.match(r"policy\.yaml:\d+: \S+: .+", one) for one in found)


def test_a_message_names_the_line_the_path_and_what_to_write_instead() -> None:
    text = "version: 1\nagreements:\n  gold:\n    kind: sla\n    promises:\n      r: {metric: resolution, within: 2d}\n"
    (found,) = problems(text)
    assert found.startswith("policy.yaml:6: agreements.gold.promises.r.within: '2d' has three meanings; write ")
    assert "48h" in found and "2 business_days" in found and "2 calendar_days" in found


def test_two_files_are_one_policy_and_a_name_in_both_is_an_error() -> None:
    one = "version: 1\nagreements: {a: {kind: sla, promises: {r: {metric: resolution, within: 4h}}}}\n"
    other = "version: 1\nservices: {mail: {team: t}}\nagreements: {b: {kind: ola, promises: {r: {metric: closure, within: 8h}}}}\n"
    policy = load_policy([("a.yaml", one), ("b.yaml", other)], read)
    assert [agreement.name for agreement in policy.agreements] == ["a", "b"]
    with pytest.raises(PolicyFileError, match=r"b\.yaml:2: agreements\.a: is defined twice"):
        load_policy([("a.yaml", one), ("b.yaml", one)], read)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n"
        "d: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e]\n",
        "a: &a [*a]\n",
        "[" * 5000,
        "",
        "\0",
        "--- 1\n--- 2\n",
    ],
)
def test_what_is_no_policy_is_refused_and_never_expanded(text: str) -> None:
    assert problems(text)


def test_dates_countries_and_times_are_read_as_what_their_key_asks_for() -> None:
    policy = load(
        "version: 1\ncalendars:\n  c:\n    hours: {mon-fri: [08:00-16:00]}\n"
        "    holidays: [2026-12-24, 05-01, {country: NO}, {ics: company.ics}]\n"
        "    exceptions: {2026-12-31: [08:00-12:00]}\n"
    )
    (version,) = policy.calendars["c"].versions
    assert {str(day) for day in version.holidays} == {"2026-12-24"}
    assert version.yearly == {(5, 1)}
    assert len(version.lists) == 2
    assert len(version.exceptions) == 1


def scenarios(shared: Path) -> list[dict[str, Any]]:
    names = ("tickets", "credits", "rejects", "availability", "policies")
    return [
        case
        for name in names
        for case in json.loads((shared / "conformance" / f"{name}.json").read_text(encoding="utf-8"))
    ]


def test_every_policy_of_the_scenarios_loads_and_fits_the_schema(shared: Path) -> None:
    validator = jsonschema.Draft202012Validator(policy_schema())
    for case in scenarios(shared):
        if "policy" in case:
            load(json.dumps(case["policy"]))
            validator.validate(case["policy"])


def test_the_refused_policies_of_the_scenarios_say_where_and_why(shared: Path) -> None:
    for case in scenarios(shared):
        for wanted in case.get("expect_errors", []):
            paths = wanted["path"] if isinstance(wanted["path"], list) else [wanted["path"]]
            found = [re.sub(r"\[(\d+)\]", r".\1", one) for one in problems(case["policy_yaml"])]
            places = [re.match(r"policy\.yaml:(\d+): (\S+): ", one) for one in found]
            hits = [
                one
                for one, place in zip(found, places, strict=True)
                if place is not None
                and any(place[2] == path or place[2].startswith(path + ".") for path in paths)
                and ("line" not in wanted or int(place[1]) == wanted["line"])
                and all(any(word.lower() in one.lower() for word in words.split("|")) for words in wanted["mentions"])
            ]
            assert hits, (case["id"], found)


# ---- several files


GOLD = "gold: {kind: sla, customer: acme, promises: {r: {metric: resolution, within: 4h}}}"
SILVER = "silver: {kind: sla, customer: globex, promises: {r: {metric: resolution, within: 8h, warn: 1}}}"


def problems_of(*texts: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        load_policy([(f"{name}.yaml", text) for name, text in zip("abc", texts, strict=False)], read)
    return str(caught.value).splitlines()


def test_a_problem_names_the_file_that_it_is_in() -> None:
    one, other = f"version: 1\nagreements:\n  {GOLD}\n", f"version: 1\nagreements:\n\n  {SILVER}\n"
    (found,) = problems_of(one, other)
    assert found.startswith("b.yaml:4: agreements.silver.promises.r.warn: unknown key; did you mean 'warn_at'?")


def test_a_name_in_two_files_names_both_places() -> None:
    text = f"version: 1\nagreements:\n  {GOLD}\n"
    (found,) = problems_of(text, "\n" + text)
    assert found == "b.yaml:4: agreements.gold: is defined twice, first in a.yaml:3; keep one of them"


def test_a_setting_in_two_files_is_an_error() -> None:
    (found,) = problems_of("version: 1\ntimezone: UTC\n", "version: 1\ntimezone: UTC\n")
    assert found == "b.yaml:2: timezone: is defined twice, first in a.yaml:2; keep one of them"


@pytest.mark.parametrize("section", ["[x]", "x"])
def test_a_section_that_is_no_mapping_is_said_in_whichever_file_it_is(section: str) -> None:
    good, bad = "version: 1\nservices: {mail: {}}\n", f"version: 1\nservices: {section}\n"
    assert [one[:17] for one in problems_of(good, bad)] == ["b.yaml:2: service"]
    assert [one[:17] for one in problems_of(bad, good)] == ["a.yaml:2: service"]


def test_keys_that_are_no_text_are_said_in_both_files() -> None:
    found = problems_of("version: 1\nservices: {[a]: {}}\n", "version: 1\nservices: {? {b: c} : {}}\n")
    assert [one.split(": ")[0] for one in found] == ["a.yaml:2", "b.yaml:2"]
    assert all("has a key that is no text" in one for one in found)


def test_an_empty_section_in_one_file_is_filled_by_the_other() -> None:
    texts = ["version: 1\nservices:\n", "version: 1\nservices: {mail: {team: t}}\n"]
    for order in (texts, texts[::-1]):
        policy = load_policy([(f"{n}.yaml", text) for n, text in enumerate(order)], read)
        assert list(policy.services) == ["mail"]


# ---- YAML and JSON


def test_json_indented_with_tabs_is_a_policy() -> None:
    text = json.dumps({"version": 1, "services": {"m\u00fcll 😀": {"team": "a\tb".replace("\t", " ")}}}, indent="\t")
    assert list(load(text).services) == ["müll 😀"]


def test_yaml_indented_with_tabs_is_told_to_use_spaces() -> None:
    (found,) = problems("version: 1\nservices:\n\tmail: {}\n")
    assert found == "policy.yaml:3: $: is no YAML: a line is indented with a tab; write spaces"


def test_a_byte_order_mark_is_no_problem() -> None:
    assert load("\ufeffversion: 1\n").agreements == ()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("hello", 1, "is 'hello'; write a mapping"),
        ("- version: 1", 1, "is a list; write a mapping"),
        ("version: 1\n---\nversion: 1\n", 2, "second document"),
        ("version: 1\nservices: {mail: \0}\n", 2, "control character U+0000"),
        ('version: 1\nservices: {"\\uD800": {}}\n', 2, "half a character"),
        ('version: "\\UFFFFFFFF"\n', 1, "no character"),
        ("version: 1\nservices: {mail: {team: *nobody}}\n", 2, "undefined alias"),
        ("version: 1\nservices: &s {mail: *s}\n", 1, "holds itself by an alias"),
        ("version: 1\nservices: " + "{a: " * 200 + "1" + "}" * 200, 1, "deeper than 100"),
        ("[" * 200_000, 1, "deeper than 100"),
        ("\n".join(" " * n + "a:" for n in range(1000)), 1, "deeper than 100"),
    ],
)
def test_what_is_no_document_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    (found,) = problems(text)
    assert found.startswith(f"policy.yaml:{line}: $: ") and words in found


@pytest.mark.parametrize("section", ["services", "calendars", "agreements", "lateness"])
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("~", "a key that is nothing"),
        ("''", "a key that is nothing"),
        ("null", "in quotes"),
        ("[a]", "a key that is no text"),
        ("<<", "write the keys out"),
        ('"a\\nb"', "a line break"),
        ("x" * 201, "more than 200 characters"),
    ],
)
def test_a_key_that_is_no_name_is_refused(section: str, key: str, words: str) -> None:
    (found,) = problems(f"version: 1\n{section}: {{{key}: 0s}}\n")
    assert found.startswith(f"policy.yaml:2: {section}: has a key ") and words in found


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["version: 1", "x0: &x0 {a: 1}"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 30)]
    started = monotonic()
    (found,) = problems("\n".join(lines))
    assert "its aliases make it too large" in found
    assert monotonic() - started < 1


def test_aliases_that_stay_small_are_fine() -> None:
    policy = load(
        "version: 1\nagreements:\n"
        "  gold: {kind: sla, rank: 1, customer: acme, promises: &p {r: {metric: resolution, within: 4h}}}\n"
        "  silver: {kind: sla, rank: 2, promises: *p}\n"
    )
    assert policy.agreements[0].clock_promises == policy.agreements[1].clock_promises


# ---- sizes


def promise(text: str) -> str:
    return f"version: 1\nagreements:\n  gold:\n    kind: sla\n    promises:\n      p: {{{text}}}\n"


def clock(text: str) -> str:
    return promise(f"metric: resolution, {text}")


def service(text: str) -> str:
    return promise(f"metric: availability, target: 99%, window: month, {text}")


@pytest.mark.parametrize(
    "text",
    [
        clock("within: 999999999999999h"),
        clock("within: 876601h"),
        clock("within: 36526 business_days"),
        clock("within: 999999 calendar_days"),
        clock("within: end of business_day + 99999"),
        clock("within: {P1: 876601h, default: 4h}"),
        clock("targets: [{within: 876601h}]"),
        clock("within: 4h, reopen_window: 36526 business_days"),
        clock("within: 4h, warn_at: [-876601h]"),
        service("min_outage: 876601h"),
        "version: 1\nlateness: {default: 876601h}\n",
        "version: 1\nretention: 36526d\n",
        "version: 1\nmax_clock_skew: 999999999999999h\n",
    ],
)
def test_a_time_beyond_100_years_is_refused(text: str) -> None:
    (found,) = problems(text)
    assert "is longer than 100 years; write a shorter" in found


@pytest.mark.parametrize("target", ["876600h", "36525 business_days", "36525 calendar_days", "end of business_day + 9"])
def test_a_time_of_100_years_is_fine(target: str) -> None:
    load(clock(f"within: {target}"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (clock("within: {}"), "is empty; write targets by priority"),
        (clock("within: ~"), "is nothing; write a target"),
        (clock("within: []"), "is a list; write a target"),
        (clock("within: {~: 4h}"), "a key that is nothing"),
        (clock("targets: []"), "is an empty list"),
        (clock("targets: {}"), "is a mapping"),
        (clock("within: -4h"), "is negative"),
        (clock("within: 4"), "is no duration"),
        (clock("within: next business_day 25:00"), "no such time of day"),
        (clock("within: " + "9" * 1001 + "h"), "more than 1000 characters"),
        (clock("within: 4h, warn_at: [-0m]"), "is the due instant itself"),
        (clock("within: 4h, warn_at: [50%, 50%]"), "is there twice"),
        (service("min_coverage: 9e9999999"), "is no share"),
        (service("min_coverage: 1.5"), "more than the whole"),
        (service("min_coverage: 150%"), "more than the whole"),
        (service("min_coverage: nan"), "is no share"),
        ("version: 1\nservices: {mail: {weight: 1e999999}}\n", "is no weight"),
        ("version: 1\nservices: {mail: {weight: 0}}\n", "is no weight"),
        ("version: 1\nservices: {mail: {weight: １}}\n", "is no weight"),
        ("version: 1\nservices: {mail: {combine: at_least 0}}\n", "at_least 0 is always true"),
        (clock("within: 4h") + "    rank: 99999999999999\n", "at most nine digits"),
        (clock("within: 4h") + "    rank: first\n", "is no rank"),
        (clock("within: 4h") + "    effective_from: 2026-W01-1\n", "is no date"),
        (clock("within: 4h") + "    effective_from: 2026-13-01\n", "is no date"),
        (clock("within: 4h") + "    credits: {fee: 1e9 EUR, bands: []}\n", "is no amount"),
        ("version: 1\ncalendars: {c: {hours: {mon: ['30:00-31:00']}}}\n", "begins after its day"),
        (
            "version: 1\ncalendars: {c: {hours: {mon: ['09:00-10:00'], mon-fri: ['09:00-17:00']}}}\n",
            "name each weekday once",
        ),
        ("version: 1\ncalendars: {24x7: {hours: {mon: ['09:00-10:00']}}}\n", "cannot be redefined"),
    ],
)
def test_a_value_that_cannot_be_is_one_message(text: str, words: str) -> None:
    (found,) = problems(text)
    assert words in found


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_date_are_dates(day: str) -> None:
    load(
        f"version: 1\ntimezone: Pacific/Kiritimati\ncalendars: {{c: {{hours: {{mon-sun: ['00:00-24:00']}}, holidays: [{day}], "
        f"exceptions: {{{day}: closed}}, versions: [{{effective_from: {day}}}]}}}}\n" + clock("within: 4h")[11:]
        + f"    effective_from: {day}\n"
    )  # fmt: skip


# ---- one mistake, one message


def agreements(*texts: str) -> str:
    return "version: 1\nagreements:\n" + "".join(
        f"  a{n}: {{{text}, promises: {{r: {{metric: resolution, within: 4h}}}}}}\n" for n, text in enumerate(texts)
    )


@pytest.mark.parametrize(
    "text",
    [
        agreements("kind: sla, rank: 1, match: {prioritty: P1}", "kind: sla, rank: 2, match: {priority: P2}"),
        agreements("kind: sla, rank: 1, match: {~: P1}", "kind: sla, rank: 2, match: {priority: P2}"),
        agreements("kind: slaa, rank: 1", "kind: sla, rank: 2"),
        agreements("kind: sla, rank: one", "kind: sla"),
        agreements("kind: sla, rank: 1, customer: [acme]", "kind: sla, rank: 2"),
        agreements("kind: sla, calendar: office") + "calendars: [office]\n",
        agreements("kind: sla, calendar: office") + "calendars: {office: {hours: {mon: ['9-5']}}}\n",
    ],
)
def test_a_mistake_does_not_bring_others_with_it(text: str) -> None:
    assert len(problems(text)) == 1


def test_each_agreement_that_ties_is_said_once() -> None:
    found = problems(agreements(*["kind: sla, rank: 1"] * 4))
    assert [one.split(": ")[1] for one in found] == ["agreements.a1.rank", "agreements.a2.rank", "agreements.a3.rank"]


def test_each_agreement_that_never_applies_is_said_once() -> None:
    found = problems(agreements("kind: sla, rank: 4", "kind: sla, rank: 3", "kind: sla, rank: 2", "kind: sla, rank: 1"))
    assert sorted(one.split(": ")[1] for one in found) == ["agreements.a0", "agreements.a1", "agreements.a2"]


def test_no_rank_comes_last_and_other_kinds_do_not_compete() -> None:
    load(agreements("kind: sla, rank: 1, match: {priority: P1}", "kind: sla", "kind: ola", "kind: uc"))


@pytest.mark.parametrize("length", [1, 2, 500])
def test_a_cycle_of_services_is_found_whatever_its_length(length: int) -> None:
    names = ", ".join(f"s{n}: {{depends_on: [s{(n + 1) % length}]}}" for n in range(length))
    (found,) = problems(f"version: 1\nservices: {{{names}}}\n")
    assert "is a cycle: s0 -> " in found and len(found) < 200


def test_services_that_are_shared_are_no_cycle() -> None:
    load("version: 1\nservices: {a: {depends_on: [b, c]}, b: {depends_on: [d]}, c: {depends_on: [d]}, d: {}}\n")


def test_a_chain_of_services_without_end_is_refused() -> None:
    names = ", ".join(f"s{n}: {{depends_on: [s{n + 1}]}}" for n in range(2000))
    (found,) = problems(f"version: 1\nservices: {{{names}}}\n")
    assert "goes on for more than 500 services" in found


# ---- holidays


def calendar_of(event: str) -> str:
    return f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:Party\n{event}\nEND:VEVENT\nEND:VCALENDAR\n"


def closed_days(ics: str, *days: str) -> list[str]:
    text = "version: 1\ncalendars: {c: {hours: {mon-sun: ['00:00-24:00']}, holidays: [{ics: c.ics}]}}\n"
    calendar = load_policy([("policy.yaml", text)], lambda _name: ics.encode()).calendars["c"]
    return [day for day in days if not calendar.day_periods(date.fromisoformat(day))]


@pytest.mark.parametrize(
    ("event", "closed", "is_open"),
    [
        ("DTSTART;VALUE=DATE:20261224", "2026-12-24", "2026-12-25"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261226", "2026-12-25", "2026-12-26"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P2D", "2026-12-25", "2026-12-26"),
        ("DTSTART:20261224T000000\nDTEND:20261225T000000", "2026-12-24", "2026-12-25"),
        ("DTSTART:20261224T200000\nDTEND:20261225T020000", "2026-12-25", "2026-12-26"),
        ("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY", "2031-05-01", "2031-05-02"),
        ("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY;COUNT=3", "2022-05-01", "2023-05-01"),
        ("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY;UNTIL=20220501", "2022-05-01", "2023-05-01"),
        ("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20220501", "2021-05-01", "2022-05-01"),
        ("DTSTART;VALUE=DATE:20200501\nRDATE;VALUE=DATE:20220503,20220504", "2022-05-04", "2022-05-01"),
        ("DTSTART;VALUE=DATE:20200106\nRRULE:FREQ=MONTHLY;BYDAY=1MO", "2026-06-01", "2026-06-08"),
        ("DTSTART;VALUE=DATE:20200106\nRRULE:FREQ=WEEKLY;INTERVAL=2", "2020-01-20", "2020-01-13"),
    ],
)
def test_the_days_of_an_icalendar_event_are_closed(event: str, closed: str, is_open: str) -> None:
    assert closed_days(calendar_of(event), closed, is_open) == [closed]


def test_a_cancelled_event_is_no_holiday() -> None:
    event = "DTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED"
    assert closed_days(calendar_of(event), "2026-12-24") == []


def test_one_day_of_a_repeated_event_can_be_moved() -> None:
    repeated = calendar_of("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY")
    moved = calendar_of("DTSTART;VALUE=DATE:20260504\nRECURRENCE-ID;VALUE=DATE:20260501")
    assert closed_days(repeated + moved, "2026-05-01", "2026-05-04", "2027-05-01") == ["2026-05-04", "2027-05-01"]


@pytest.mark.parametrize(
    ("ics", "words"),
    [
        ("", "is no iCalendar file"),
        ("hello", "is no iCalendar file"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "is no iCalendar file"),
        (calendar_of("DTSTART:yesterday"), "number 1 ('Party')"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nDTSTART;VALUE=DATE:20200102"), "a property twice"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nDURATION:P100000D"), "longer than 3660 days"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=SECONDLY"), "repeats by hours, minutes or seconds"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY;BYHOUR=1,2"), "repeats by hours"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY;INTERVAL=0"), "a step of 0"),
        (calendar_of("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "may never hold"),
        (calendar_of("DTSTART;VALUE=DATE:00010101\nRRULE:FREQ=YEARLY"), "from before 1800"),
        (
            calendar_of("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY"),
            "no opening hours in the 400 days from 2020-01-01",
        ),
    ],
)
def test_an_icalendar_file_that_cannot_be_used_is_refused_quickly(ics: str, words: str) -> None:
    text = "version: 1\ncalendars: {c: {hours: {mon-sun: ['00:00-24:00']}, holidays: [{ics: c.ics}]}}\n"
    started = monotonic()
    with pytest.raises(PolicyFileError) as caught:
        load_policy([("policy.yaml", text)], lambda _name: ics.encode())
    (found,) = str(caught.value).splitlines()
    assert words in found
    assert monotonic() - started < 2


@pytest.mark.parametrize("name", ["nothing.ics", "../secret.ics", "/etc/passwd", '"a\\0b"', "[a]"])
def test_a_file_that_is_not_beside_the_policy_is_refused(name: str) -> None:
    text = f"version: 1\ncalendars: {{c: {{hours: {{mon: ['09:00-17:00']}}, holidays: [{{ics: {name}}}]}}}}\n"
    (found,) = problems(text)
    assert found.startswith("policy.yaml:2: calendars.c.holidays[0].ics: ")


def test_the_holidays_of_countries_and_their_regions_are_closed() -> None:
    holidays = "[{country: DE, subdivision: BE}, {country: NO}]"
    text = f"version: 1\ncalendars: {{c: {{hours: {{mon-sun: ['00:00-24:00']}}, holidays: {holidays}}}}}\n"
    calendar = load(text).calendars["c"]
    closed = [day for day in ("2026-03-08", "2026-05-17", "2026-10-03", "2026-10-31") if
              not calendar.day_periods(date.fromisoformat(day))]  # fmt: skip
    assert closed == ["2026-03-08", "2026-05-17", "2026-10-03"]  # Women's Day is Berlin's, the Reformation is not


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        ("{country: XX}", "country", "is no country"),
        ("{country: DE, subdivision: XX}", "subdivision", "is no subdivision of DE; write one of: "),
        ("{country: DE, region: BE}", "region", "unknown key"),
    ],
)
def test_a_country_that_does_not_exist_is_refused(entry: str, place: str, words: str) -> None:
    found = problems(f"version: 1\ncalendars: {{c: {{hours: {{mon: ['09:00-17:00']}}, holidays: [{entry}]}}}}\n")
    assert len(found) == 1 and words in found[0]
    assert found[0].startswith(f"policy.yaml:2: calendars.c.holidays[0].{place}: ")


def test_twenty_calendars_load_within_a_second() -> None:
    load("version: 1\ncalendars: {c: {hours: {mon: ['09:00-17:00']}, holidays: [{country: DE}]}}\n")  # imports
    codes = re.findall("..", "DEUSFRGBESITPLNLBEATCHSENODKFIIEPTCZJPBR")
    calendars = ", ".join(f"{c}: {{hours: {{mon-fri: ['09:00-17:00']}}, holidays: [{{country: {c}}}]}}" for c in codes)
    started = monotonic()
    assert len(load(f"version: 1\ncalendars: {{{calendars}}}\n").calendars) == 21
    assert monotonic() - started < 1


# ---- the schema


def test_every_key_of_the_schema_says_what_it_means() -> None:
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    bare = [path for path, one in properties_of(schema, "") if not one.get("description")]
    assert [path for path in bare if not path.endswith(("country", "subdivision", "ics", "below", "credit"))] == []


def properties_of(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Properties of the file, but for those whose names are values (the states of `count`)."""
    if isinstance(schema, list):
        for one in schema:
            yield from properties_of(one, path)
    if not isinstance(schema, dict):
        return
    for name, one in schema.get("properties", {}).items():
        yield f"{path}.{name}", one
        if name not in ("count", "components", "when"):
            yield from properties_of(one, f"{path}.{name}")
    for key in ("items", "anyOf", "additionalProperties"):
        yield from properties_of(schema.get(key), path)


def test_the_schema_refuses_what_an_editor_should_mark() -> None:
    validator = jsonschema.Draft202012Validator(policy_schema())
    good = {"kind": "sla", "promises": {"r": {"metric": "resolution", "within": "4h"}}}
    assert validator.is_valid({"version": 1, "agreements": {"gold": good}})
    for wrong in ({"kind": "slo"}, {"rank": "one"}, {"objective": {"period": "fortnight"}}, {"calender": "office"}):
        assert not validator.is_valid({"version": 1, "agreements": {"gold": {**good, **wrong}}})


# ---- the reference


def test_every_example_of_the_reference_loads_and_fits_the_schema() -> None:
    document = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    assert len(examples) >= 8
    for example in examples:
        load(example)
        jsonschema.validate(yaml.load(example, yaml.BaseLoader), policy_schema_of_texts())


def policy_schema_of_texts() -> dict[str, Any]:
    """The schema for a document whose numbers are still text, as nothing but text was constructed."""
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(policy_schema()).replace('"number"', '"string"').replace('"integer"', '"string"')
    )


def test_every_key_is_in_the_reference() -> None:
    document = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    keys = {path.rpartition(".")[2] for path, _ in properties_of(policy_schema(), "")}
    assert [key for key in sorted(keys) if not re.search(rf"[`{{ ]{key}[:`]", document)] == []


def test_the_refusals_in_the_reference_are_what_is_said() -> None:
    document = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    (wrong,) = re.findall(r"```yml\n(.*?)```", document, re.DOTALL)
    (said,) = re.findall(r"```text\n(.*?)```", document, re.DOTALL)
    assert "\n".join(problems(wrong)) == said.strip()


# ---- anything at all


def loads_or_says_why(text: str) -> None:
    started = monotonic()
    try:
        load(text)
    except PolicyFileError as error:
        for one in str(error).splitlines():
            assert re.match(r"policy\.yaml:[1-9]\d*: .+: .+", one), one
    assert monotonic() - started < 1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_anything_but_a_policy_or_its_problems(text: str) -> None:
    loads_or_says_why(text)


@settings(max_examples=300, deadline=None)
@given(st.text("{}[]:,&*!|>-?'\"#%@ \n\tab1~", max_size=80))
def test_no_marks_of_yaml_make_anything_but_problems(text: str) -> None:
    loads_or_says_why("version: 1\nservices:\n  " + text)


WHOLE: dict[str, Any] = {
    "version": 1, "timezone": "Europe/Berlin", "match_mode": "all", "lateness": {"default": "0s"}, "retention": "90d",
    "calendars": {"office": {"hours": {"mon-fri": ["08:00-16:00"]}, "holidays": ["2026-12-24", "05-01", {"country": "NO"},
        {"ics": "company.ics"}], "exceptions": {"2026-12-31": ["08:00-12:00"], "2026-12-28": "closed"},
        "versions": [{"effective_from": "2026-07-01", "hours": {"mon-fri": ["07:00-19:00"]}}]}},
    "services": {"mail": {"customer": "acme", "depends_on": ["dns"], "combine": "worst", "components": {"api": {"weight": 2}}}},
    "agreements": {"gold": {"kind": "sla", "customer": "acme", "rank": 10, "match": {"service": ["mail", "web"]},
        "calendar": "office", "objective": {"target": "95%", "period": "month", "basis": "due"},
        "promises": {
            "resolution": {"metric": "resolution", "targets": [{"when": {"priority": "P1"}, "within": "4h", "calendar": "24x7"},
                {"within": "2 business_days"}], "on_change": "carry", "reopen_window": "5 business_days",
                "pause": {"status": ["pending"]}, "warn_at": ["50%", "-30m"]},
            "custom": {"metric": "custom", "start": {"status": "open"}, "stop": {"any": [{"status": ["closed"]},
                {"event": {"type": "merged"}}]}, "within": {"P1": "1h", "default": "8h"}},
            "uptime": {"metric": "availability", "target": "99.9%", "window": "month", "count": {"degraded": "bad"},
                "min_coverage": 0.9},
            "fast": {"metric": "latency", "threshold": "300ms", "target": "99%", "window": "28d"}},
        "credits": {"fee": "10000 EUR", "cap": "20%", "bands": [{"below": "95%", "credit": "5%"}]},
        "effective_from": "2026-01-01", "supports": []}},
}  # fmt: skip
PIECES: tuple[Any, ...] = (
    None, True, "", {}, [], [[]], [{}], {"": ""}, 0, -1, 10**30, 1e308, "NO", "12:30", "2026-12-24", "2026-W01-1", "~",
    "9" * 400 + "%", "9e9999999", "100%", "0%", "-1h", "999999999999999h", "999999 business_days", "24x7", "gold", "office",
    "\ud800", "\x00", "\u2028", "💥", "²", "１", "x" * 2000, {"not": {"not": {}}}, {"any": []}, {"exists": True}, ["P1", None],
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], piece: Any) -> Any:
    """The value with a piece at a place; where the place is gone, the value as it is."""
    if not path:
        return piece
    first, *rest = path
    if isinstance(value, dict) and first in value:
        return {key: changed(one, tuple(rest), piece) if key == first else one for key, one in value.items()}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [changed(one, tuple(rest), piece) if n == first else one for n, one in enumerate(value)]
    return value


def test_the_policy_that_is_mutated_loads() -> None:
    load(json.dumps(WHOLE))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(places(WHOLE))), st.sampled_from(PIECES)), min_size=1, max_size=4))
def test_no_piece_at_a_wrong_place_makes_anything_but_problems(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    whole: Any = WHOLE
    for path, piece in changes:
        whole = changed(whole, path, piece)
    loads_or_says_why(json.dumps(whole))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_of_a_policy_makes_anything_but_problems(data: st.DataObject) -> None:
    lines = TWENTY.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        place = data.draw(st.integers(0, len(lines[index])))
        piece = data.draw(
            st.sampled_from(
                ["{", "[", "]", "}", ":", "~", "- ", "99999999999999999999", "'", "&a ", "*a", "!!x ", "\t"]
            )
        )
        lines[index] = lines[index][:place] + piece + lines[index][place:]
    loads_or_says_why("\n".join(lines))
