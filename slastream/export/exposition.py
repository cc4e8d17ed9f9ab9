"""Samples as the text that Prometheus reads: its own format, or OpenMetrics, which alone has exemplars.

**Source:** https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md and
https://prometheus.io/docs/specs/om/open_metrics_spec/. Why not prometheus_client: docs/decisions/own-exposition.md.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from slastream.core.units import SECOND
from slastream.export.catalogue import Metric
from slastream.export.samples import Exemplar, Exemplars, HistogramSample, Labels, Sample, Samples

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NO_EXEMPLARS: Exemplars = {}


def content_type(accept: str) -> str:
    """What an `Accept` header asks for: OpenMetrics when it names it, unless it is as good as refused (`q=0`)."""
    for each in accept.split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind == "application/openmetrics-text" and "q=0" not in parameters:
            return OPENMETRICS
    return TEXT


class Exposition:
    """Writes the families of some metrics, in their order. 1 µs a series, once its labels are known."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self._texts: dict[tuple[str, Labels], str] = {}

    def text(self, samples: Samples, is_openmetrics: bool = False, exemplars: Exemplars = NO_EXEMPLARS) -> bytes:
        """The whole answer. Not for two threads at once."""
        known, self._texts = self._texts, {}
        lines: list[str] = []
        for metric in self._metrics:
            family = metric.name.removesuffix("_total") if is_openmetrics and metric.type == "counter" else metric.name
            lines.append(f"# HELP {family} {_escaped(metric.help, is_openmetrics)}\n# TYPE {family} {metric.type}\n")
            found = samples.get(metric.name, ())
            shown = exemplars if is_openmetrics else NO_EXEMPLARS
            if metric.type in ("histogram", "summary"):
                lines += self._histograms(metric, cast(Sequence[HistogramSample], found), known, shown)
            else:
                lines += self._values(metric, cast(Sequence[Sample], found), known, shown)
        if is_openmetrics:
            lines.append("# EOF\n")
        return "".join(lines).encode()

    def _values(
        self, metric: Metric, found: Sequence[Sample], known: dict[tuple[str, Labels], str], exemplars: Exemplars
    ) -> Iterator[str]:
        for labels, value in found:
            mark = exemplars.get((metric.name, labels, None)) if exemplars else None
            yield f"{self._series(metric, labels, known)} {_number(value)}{_mark(mark)}\n"

    def _histograms(
        self,
        metric: Metric,
        found: Sequence[HistogramSample],
        known: dict[tuple[str, Labels], str],
        exemplars: Exemplars,
    ) -> Iterator[str]:
        for labels, bounds_us, counts, total in found:
            series = self._series(metric, labels, known)
            inside = series[len(metric.name) + 1 : -1] + "," if metric.labels else ""
            names = [*(_number(bound / SECOND) for bound in bounds_us), "+Inf"]
            buckets = zip(names, counts, strict=True) if metric.type == "histogram" else ()
            for number, (name, count) in enumerate(buckets):
                mark = exemplars.get((metric.name, labels, number)) if exemplars else None
                yield f'{metric.name}_bucket{{{inside}le="{name}"}} {_number(count)}{_mark(mark)}\n'
            ending = series[len(metric.name) :]
            yield f"{metric.name}_sum{ending} {_number(total)}\n{metric.name}_count{ending} {_number(counts[-1])}\n"

    def _series(self, metric: Metric, labels: Labels, known: dict[tuple[str, Labels], str]) -> str:
        """Name and labels, escaped once and remembered as long as they are shown."""
        key = metric.name, labels
        text = known.get(key)
        if text is None:
            pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(metric.labels, labels, strict=True))
            text = f"{metric.name}{{{pairs}}}" if pairs else metric.name
        self._texts[key] = text
        return text


def _number(value: float) -> str:
    """Whole numbers as floats, as Prometheus itself writes the bounds of buckets."""
    return repr(float(value))


def _mark(exemplar: Exemplar | None) -> str:
    if exemplar is None:
        return ""
    return f' # {{breach_id="{exemplar.breach_id}"}} {_number(exemplar.value)} {exemplar.at_seconds:.6f}'


def _escaped(text: str, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
