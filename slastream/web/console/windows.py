"""The windows of `sla.compliance`: compliance of agreements, availability of services; of each the newest line."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from slastream.core.units import Instant, parse_instant

Json = dict[str, Any]


class PromiseWindow(NamedTuple):
    """A line of the contract (section 3) with its window's bounds; `kind` is `compliance` or `availability`."""

    kind: str
    service: str
    agreement: str
    promise: str
    window: str
    start: Instant
    end: Instant
    line: Json

    @property
    def ratio(self) -> float | None:
        found: float | None = self.line["ratio"]
        return found

    @property
    def target(self) -> float | None:
        """The share that was promised; None: there is none."""
        found: float | None = self.line["target"] if self.kind == "availability" else self.line["objective"]
        return found

    @property
    def is_kept(self) -> bool | None:
        """None where there is nothing to say."""
        return None if self.ratio is None or self.target is None else self.ratio >= self.target

    @property
    def budget_left(self) -> float | None:
        """Of what may go wrong, the share that is left, below zero when more went wrong; None where nothing may."""
        line = self.line
        if self.kind == "compliance":
            met, total = self.counted
            allowed = None if self.target is None else (1 - self.target) * total
            return None if not allowed else 1 - (total - met) / allowed
        unit = "seconds" if "budget_seconds" in line else "events"
        budget, left = line[f"budget_{unit}"], line[f"budget_remaining_{unit}"]
        return left / budget if budget else None

    @property
    def counted(self) -> tuple[float, float]:
        """What was good, and out of what: clocks, events, or seconds."""
        line = self.line
        if self.kind == "compliance":
            counts = line[line["basis"]]
            return counts["met"], counts["total"]
        if "good_seconds" in line:
            return line["good_seconds"], line["good_seconds"] + line["bad_seconds"]
        return line["good_events"], line["total_events"]


class Windows:
    """A few thousand lines, by their key in the topic."""

    def __init__(self) -> None:
        self._lines: dict[bytes, PromiseWindow] = {}

    def tell(self, key: bytes, line: Json | None) -> None:
        """None takes a line out. Raises KeyError, TypeError and ValueError for what is no line."""
        if line is None:
            self._lines.pop(key, None)
            return
        if line["kind"] not in ("compliance", "availability"):
            raise ValueError(f"{line['kind']!r} is neither compliance nor availability")
        window = line["window"]
        self._lines[key] = PromiseWindow(
            line["kind"], line["service"] or "", line["agreement"], line["promise"], window["kind"],
            parse_instant(window["start"]), parse_instant(window["end"]), line,
        )  # fmt: skip

    def of_service(self, service: str) -> list[PromiseWindow]:
        """By promise, the newest window first."""
        return self._sorted(lambda one: one.service == service)

    def of_agreement(self, agreement: str) -> list[PromiseWindow]:
        return self._sorted(lambda one: one.agreement == agreement)

    def newest(self) -> list[PromiseWindow]:
        """Of each promise of each service the window that began last."""
        found: dict[tuple[str, str, str, str], PromiseWindow] = {}
        for one in self._sorted(lambda _: True):
            found.setdefault((one.kind, one.service, one.agreement, one.promise), one)
        return list(found.values())

    def services(self) -> set[str]:
        return {one.service for one in self._lines.values()}

    def __iter__(self) -> Iterator[PromiseWindow]:
        return iter(self._lines.values())

    def _sorted(self, is_wanted: Callable[[PromiseWindow], bool]) -> list[PromiseWindow]:
        found = [one for one in self._lines.values() if is_wanted(one)]
        return sorted(found, key=lambda one: (one.agreement, one.promise, one.service, one.kind, -one.start))
