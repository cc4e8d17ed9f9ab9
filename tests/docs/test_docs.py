"""The pages say everything that there is to say, and lead where they say they do."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from slastream import errors
from slastream.cli import build_parser
from slastream.wire.events import REASONS
from slastream.wire.settings import PREFIX, SETTING_OF, NotifyOptions, WorkerOptions

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.name == "README.md" or page.is_relative_to(ROOT / "docs")]
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN)
COMMANDS_PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
KAFKA_SECTION = COMMANDS_PAGE[COMMANDS_PAGE.index("## TLS and login of Kafka") :]


def commands() -> dict[str, argparse.ArgumentParser]:
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")


def section_of(command: str) -> str:
    """The text below `## command` up to the next heading of that rank."""
    found = re.search(rf"^## `{re.escape(command)}`.*?(?=^## |\Z)", COMMANDS_PAGE, re.MULTILINE | re.DOTALL)
    return found.group() if found else ""


def arguments() -> Iterator[tuple[str, str]]:
    """(command, what a person types for one of its arguments, or for one of its choices)."""
    for command, parser in commands().items():
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            yield from ((command, option) for option in action.option_strings)
            if not action.option_strings and isinstance(action.metavar, str):
                yield command, action.metavar
            yield from ((command, str(choice)) for choice in action.choices or ())


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_has_a_section(command: str) -> None:
    assert section_of(command), f"docs/commands.md has no heading ## `{command}`"


@pytest.mark.parametrize(("command", "argument"), list(arguments()))
def test_every_argument_is_told_in_the_section_of_its_command(command: str, argument: str) -> None:
    section = KAFKA_SECTION if argument.startswith("--kafka-") else section_of(command)
    assert re.search(rf"(?<![\w-]){re.escape(argument)}(?![\w-])", section)


def test_no_section_is_about_a_command_that_is_not_there() -> None:
    assert set(re.findall(r"^## `(\w+)`", COMMANDS_PAGE, re.MULTILINE)) == set(commands())


@pytest.mark.parametrize("setting", [one.name for one in fields(WorkerOptions)])
def test_every_setting_is_told_with_its_variable(setting: str) -> None:
    assert f"`{setting}`" in COMMANDS_PAGE
    assert f"`{PREFIX}{setting.upper()}`" in COMMANDS_PAGE


@pytest.mark.parametrize("setting", [name for name in SETTING_OF.values() if name.startswith("kafka_")])
def test_every_setting_of_kafka_is_told_with_its_variable(setting: str) -> None:
    assert setting == "kafka_password" or f"`{setting}`" in KAFKA_SECTION
    assert f"`{PREFIX}{setting.upper()}`" in KAFKA_SECTION


@pytest.mark.parametrize("setting", [one.name for one in fields(NotifyOptions) if one.name != "broker"])
def test_every_setting_of_notify_is_told_with_its_variable(setting: str) -> None:
    assert f"`{PREFIX}NOTIFY_{setting.upper()}`" in section_of("notify")


def test_every_variable_that_the_program_reads_is_told() -> None:
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "slastream").rglob("*.py"))
    assert [name for name in set(re.findall(r"SLASTREAM_[A-Z_]+", sources)) if f"`{name}`" not in COMMANDS_PAGE] == []


@pytest.mark.parametrize(
    "topic", [one["name"] for one in yaml.safe_load((ROOT / "topics/topics.yaml").read_text("utf-8"))["topics"]]
)
def test_every_topic_is_told(topic: str) -> None:
    assert f"`{topic}`" in EVERYTHING


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_for_a_rejection_is_told(reason: str) -> None:
    assert f"`{reason}`" in EVERYTHING


@pytest.mark.parametrize(
    "error",
    [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SlastreamError)
    ],
)
def test_every_class_of_error_is_told(error: str) -> None:
    assert f"`{error}`" in EVERYTHING


def links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield str(page.relative_to(ROOT)), target


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_every_link_between_pages_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    assert file.exists()
    if anchor and file.suffix == ".md":
        assert anchor in anchors_of(file)
