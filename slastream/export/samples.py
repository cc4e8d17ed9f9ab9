"""Samples as plain tuples."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
