"""What all tests share: a real broker, and the folder of the specification when it is there."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from slastream.local.kafka import KafkaBroker, missing_requirement

REPOSITORY = Path(__file__).parent.parent


@functools.cache
def _why_no_broker() -> str | None:
    return missing_requirement()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a broker where none can run; on a build machine that is an error."""
    if item.get_closest_marker("broker") is None or (reason := _why_no_broker()) is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker for the whole run: use names of your own for topics and groups."""
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository with the specification and its conformance scenarios."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs ../shared (the specification and its scenarios), which is not at {folder}")
    return folder
