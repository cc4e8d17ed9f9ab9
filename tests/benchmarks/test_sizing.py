"""The sizing model: what it computes from units that are easy to reckon with."""

from dataclasses import replace

import pytest

from benchmarks.sizing import COMMITS_PER_SECOND, Model, need

MODEL = Model(
    ticket_event_us=100.0,
    verdict_us=50.0,
    verdicts_per_event=2.0,
    commit_us=500.0,
    idle_share=0.076,
    worker_bytes=100 * 2**20,
    awake_ticket_bytes=2**12,
    asleep_ticket_bytes=2**10,
    awake_tickets=1_000,
    changelog_event_bytes=1_000.0,
    changelog_ticket_bytes=2**10,
    restored_per_second=1_000.0,
    records_per_ticket=2.0,
)
"""A worker has 0.6 - 0.076 - 48 * 500 µs = 0.5 of a core free for events, each of 200 µs: 2,500 a second."""


@pytest.mark.parametrize(("rate", "workers"), [(1, 1), (2_500, 1), (2_501, 2), (25_000, 10), (250_000, 100)])
def test_workers_are_as_many_as_the_cpu_of_the_events_asks_for(rate: float, workers: int) -> None:
    assert need(MODEL, rate, 0).workers == workers


def test_a_small_load_is_one_worker_with_eight_partitions_whose_tickets_are_all_awake() -> None:
    found = need(MODEL, 1_000, 8_000)
    assert (found.workers, found.partitions) == (1, 8)
    assert found.cores == pytest.approx(0.2 + 0.076 + COMMITS_PER_SECOND * 500e-6)
    assert found.worker_memory_mib == pytest.approx(100 + 8_000 * 2**12 / 2**20)
    assert found.commit_cycle_seconds == pytest.approx(0.25)
    assert found.worker_restore_seconds == pytest.approx(16.0)
    assert found.changelog_mb_per_second == pytest.approx(1.0)


def test_tickets_beyond_those_that_stay_awake_take_what_sleeping_ones_take() -> None:
    found = need(MODEL, 1_000, 8_000 + 2**20)
    assert found.worker_memory_mib == pytest.approx(100 + 8_000 * 2**12 / 2**20 + 2**10)


def test_a_transaction_ends_in_no_more_partitions_than_it_has_verdicts() -> None:
    small, large = need(MODEL, 100, 0), need(MODEL, 250_000, 0)
    assert small.markers_per_second < small.commits_per_second / 2 * (4 + 200 / 24)
    assert large.markers_per_second < 250_000 * 2 + large.commits_per_second / 2 * 4


def test_fixed_costs_that_fill_the_core_are_refused() -> None:
    with pytest.raises(ValueError, match="fixed costs"):
        need(replace(MODEL, idle_share=0.7), 1, 1)
