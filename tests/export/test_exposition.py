"""The text of the metrics, read back by the parsers of Prometheus' own Python client, which shares no code with ours."""

import asyncio
import time
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from export.scenario import desk_at
from slastream.core.units import SECOND, parse_instant
from slastream.export import catalogue
from slastream.export.collector import Collector
from slastream.export.exposition import OPENMETRICS, TEXT, Exposition, content_type
from slastream.export.samples import Exemplar, Samples

NOW = parse_instant("2026-05-20T12:00:00Z")
CLOCKS = catalogue.CLOCKS.name


def of_desk(is_openmetrics: bool) -> str:
    desk = desk_at(NOW)
    collector = Collector(desk.policy, desk.runtime, clock=lambda: NOW / SECOND)
    asyncio.run(collector.refresh())
    return collector.text(is_openmetrics).decode()


def test_both_formats_hold_the_same_series() -> None:
    assert series_of(parse_openmetrics(of_desk(True))) == series_of(parse_text(of_desk(False)))  # type: ignore[no-untyped-call]


def series_of(families: Iterable[Metric]) -> dict[tuple[str, str, frozenset[tuple[str, str]]], float]:
    return {
        (family.type, sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


names = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)


@given(names, names, st.floats(allow_nan=False))
def test_whatever_a_service_is_called_it_is_read_back(service: str, priority: str, value: float) -> None:
    labels = service, "gold", "resolution", priority, "running"
    samples: Samples = {CLOCKS: [(labels, value)]}
    for is_openmetrics, parse in ((False, parse_text), (True, parse_openmetrics)):
        (family,) = parse(Exposition([catalogue.CLOCKS]).text(samples, is_openmetrics).decode())
        (sample,) = family.samples
        assert (tuple(sample.labels.values()), sample.value) == (labels, value)


def test_labels_are_written_anew_when_a_series_comes_back() -> None:
    exposition = Exposition([catalogue.SERVICE_STATE])
    first = exposition.text({catalogue.SERVICE_STATE.name: [(("mail", "up"), 1)]})
    assert b"mail" not in exposition.text({})
    assert exposition.text({catalogue.SERVICE_STATE.name: [(("mail", "up"), 1)]}) == first


def test_a_breach_is_named_beside_what_counts_it_in_openmetrics_alone() -> None:
    labels = "mail", "gold", "resolution", "P1", "breached"
    samples: Samples = {
        catalogue.VERDICTS.name: [(labels, 3)],
        catalogue.DEADLINE_DELAY.name: [((), (SECOND, 5 * SECOND), (1, 2, 2), 3.5)],
    }
    exemplars = {
        (catalogue.VERDICTS.name, labels, None): Exemplar("5d8e", 1, 1_700_000_000.25),
        (catalogue.DEADLINE_DELAY.name, (), 1): Exemplar("0c4a", 2.5, 1_700_000_001.0),
    }
    exposition = Exposition([catalogue.VERDICTS, catalogue.DEADLINE_DELAY])
    assert b"5d8e" not in exposition.text(samples, False, exemplars)
    verdicts, delays = parse_openmetrics(exposition.text(samples, True, exemplars).decode())  # type: ignore[no-untyped-call]
    (verdict,) = verdicts.samples
    assert (verdict.exemplar.labels, verdict.exemplar.value) == ({"breach_id": "5d8e"}, 1)
    marked = {sample.labels["le"]: sample.exemplar.labels for sample in delays.samples if sample.exemplar}
    assert marked == {"5.0": {"breach_id": "0c4a"}}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text; q=0, text/plain", TEXT),
    ],
)
def test_openmetrics_is_given_to_whoever_asks_for_it(accept: str, expected: str) -> None:
    assert content_type(accept) == expected


def test_twenty_thousand_series_cost_a_third_of_what_the_client_library_takes() -> None:
    found = [
        ((f"service-{n // 4}", "gold", "resolution", "P1", catalogue.OPEN_STATUSES[n % 4]), n) for n in range(20_000)
    ]

    class Library:
        def collect(self) -> list[Metric]:
            family = GaugeMetricFamily(CLOCKS, catalogue.CLOCKS.help, labels=catalogue.CLOCKS.labels)
            for labels, value in found:
                family.add_metric(labels, value)
            return [family]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Library())
    exposition = Exposition([catalogue.CLOCKS])
    samples: Samples = {CLOCKS: found}
    ours, theirs = least_cpu(lambda: exposition.text(samples)), least_cpu(lambda: generate_latest(registry))
    assert ours * 3 < theirs, (ours, theirs)


def least_cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU of the best of five: what others do on the machine does not count."""

    def once() -> float:
        started = time.thread_time()
        work()
        return time.thread_time() - started

    return min(once() for _ in range(5))
