"""Samples as plain tuples, and the families of prometheus_client made from them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from slastream.core.units import SECOND
from slastream.export.catalogue import METRICS, Metric

Labels = tuple[str, ...]
Sample = tuple[Labels, float]
HistogramSample = tuple[Labels, Sequence[int], Sequence[float], float]
"""Labels, upper bounds in microseconds, cumulative counts (one more: all), sum in the metric's unit."""


class Exemplar(NamedTuple):
    """A breach that a series counts: the id of its fact, the value that it added, and when, in seconds since the epoch."""

    breach_id: str
    value: float
    at_seconds: float


Exemplars = Mapping[tuple[str, Labels, int | None], Exemplar]
"""By the name of the metric, the labels of the series, and the number of the bucket (None: a counter)."""
Samples = Mapping[str, Sequence[Sample] | Sequence[HistogramSample]]
"""By the name of the metric."""


def families(samples: Samples, metrics: Sequence[Metric] = METRICS) -> Iterator[Family]:
    """The families in the order of the catalogue. 1.5 µs a sample."""
    for metric in metrics:
        yield _family(metric, samples.get(metric.name, ()))


def _family(metric: Metric, found: Sequence[Sample] | Sequence[HistogramSample]) -> Family:
    match metric.type:
        case "histogram":
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, bounds, counts, total in cast(Sequence[HistogramSample], found):
                histogram.add_metric(labels, _buckets(bounds, counts), total)
            return histogram
        case "counter" | "gauge":
            kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in cast(Sequence[Sample], found):
                family.add_metric(labels, value)
            return family


def _buckets(bounds: Sequence[int], counts: Sequence[float]) -> list[tuple[str, float]]:
    # prometheus_client is annotated for lists of exactly two
    names = [*(str(float(bound / SECOND)) for bound in bounds), "+Inf"]
    return list(zip(names, counts, strict=True))
