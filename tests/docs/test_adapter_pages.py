"""Every adapter has a page; what it says is what the code does."""

import re
from pathlib import Path

import pytest

from slastream.ingest.adapter_options import read_options
from slastream.ingest.adapters import ADAPTERS, adapter
from slastream.ingest.adapting import Take

FOLDER = Path(__file__).parents[2] / "docs" / "adapters"
SECTIONS = ["Set it up", "Signature", "What becomes of a payload", "What it never sends", "Say it otherwise"]


def _page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def test_there_is_a_page_for_each_adapter_and_no_other() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == {*ADAPTERS, "README"}
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", _page("README"))) == set(ADAPTERS)


@pytest.mark.parametrize("name", ADAPTERS)
def test_page_has_its_sections_its_title_and_its_address(name: str) -> None:
    page = _page(name)
    assert page.startswith(f"# {adapter(name).title}\n")
    assert re.findall(r"^## (.*)", page, re.MULTILINE) == SECTIONS
    assert f"/v1/hooks/{name}" in page


@pytest.mark.parametrize("name", ADAPTERS)
def test_page_tells_every_field_with_its_columns_and_words(name: str) -> None:
    page = _page(name)
    for path, sources in adapter(name).fields.items():
        row = re.search(rf"^\| `{re.escape(path)}` \|.*", page, re.MULTILINE)
        assert row, path
        for source in sources:
            assert isinstance(source, Take)
            assert all(f"`{column}`" in row.group() for column in source.paths)
            assert all(f"{word} → " in row.group() for word in source.map or {})


@pytest.mark.parametrize("name", ADAPTERS)
def test_page_tells_every_signature_and_every_metric_without_data(name: str) -> None:
    page = _page(name)
    for signature in adapter(name).signatures:
        assert all(f"`{one}`" in page for one in (signature.header, signature.timestamp_header) if one)
    assert all(f"`{metric}`" in page for metric in adapter(name).lacks)


@pytest.mark.parametrize("name", [*ADAPTERS, "README"])
def test_options_of_a_page_can_be_used(name: str) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", _page(name), re.DOTALL)
    assert len(examples) == 1
    vendor = adapter("jira" if name == "README" else name)
    assert read_options(examples[0], vendor).fields
