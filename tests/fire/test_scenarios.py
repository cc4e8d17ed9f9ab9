"""Every fire once, most in both modes of delivery; many seeds: `python -m tests.fire`."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Ground, ground
from .scenarios import DELIVERIES, run_scenario

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]
BOTH = pytest.mark.parametrize("delivery", DELIVERIES)
MANY, MANY_SECONDS = 10_000, 15.0
FEW, FEW_SECONDS = 6_000, 9.0
"""200,000 events a run, and both modes of all scenarios: `python -m tests.fire`."""
_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One broker for all runs: each makes the topics anew and has a group of its own."""
    with ground(tmp_path_factory.mktemp("fire") / "kafka") as made:
        yield made


def run(
    shared: Ground, folder: Path, name: str, delivery: str, events: int = FEW, seconds: float = FEW_SECONDS
) -> None:
    counts = run_scenario(shared, folder / str(next(_numbers)), name, delivery, seed=1, events=events, seconds=seconds)
    print(f"\n{name} {delivery}: {dict(counts)}")


@BOTH
def test_twenty_kills_change_nothing(shared: Ground, tmp_path: Path, delivery: str) -> None:
    run(shared, tmp_path, "kill", delivery, MANY, MANY_SECONDS)


@BOTH
def test_twenty_rebalances_change_nothing(shared: Ground, tmp_path: Path, delivery: str) -> None:
    run(shared, tmp_path, "rebalance", delivery, MANY, MANY_SECONDS)


def test_a_broker_that_ends_and_comes_back_changes_nothing(shared: Ground, tmp_path: Path) -> None:
    run(shared, tmp_path, "broker", "exactly_once")


@BOTH
def test_late_writes_of_a_worker_that_slept_past_its_session_change_nothing(
    shared: Ground, tmp_path: Path, delivery: str
) -> None:
    run(shared, tmp_path, "sleep", delivery)


@BOTH
def test_a_slow_network_that_breaks_and_a_producer_that_is_full_change_nothing(
    shared: Ground, tmp_path: Path, delivery: str
) -> None:
    run(shared, tmp_path, "slow", delivery)


def test_a_newer_state_is_refused_and_an_older_one_read(shared: Ground, tmp_path: Path) -> None:
    run(shared, tmp_path, "upgrade", "exactly_once")


def test_two_rebalances_within_a_second_change_nothing(shared: Ground, tmp_path: Path) -> None:
    run(shared, tmp_path, "twice", "exactly_once")


def test_fetches_around_seeks_change_nothing(shared: Ground, tmp_path: Path) -> None:
    run(shared, tmp_path, "seek", "at_least_once")


def test_kills_while_acknowledgements_are_held_back_change_nothing(shared: Ground, tmp_path: Path) -> None:
    run(shared, tmp_path, "acknowledge", "at_least_once")
