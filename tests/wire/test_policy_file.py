"""A policy is refused whole, with every problem at its place; what is right is loaded."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slastream.core.policies import Policy
from slastream.errors import PolicyError
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


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_anything_but_a_policy_or_its_problems(text: str) -> None:
    try:
        load(text)
    except PolicyError:
        return


@settings(max_examples=150, deadline=None)
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
    try:
        load("\n".join(lines))
    except PolicyError:
        return
