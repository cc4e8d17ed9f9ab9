"""Control charts, signs and forecasts of the tickets' clocks as metrics, with the numbers that a replay shows.

`read` copies what changed, in one go; `samples` may run in any thread. What was computed of a service and promise is kept
until a clock finishes there: a chart costs 1 ms, a forecast 2 µs for each open clock.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from slastream.core.compliance import Counts
from slastream.core.control import RULES, ControlChart, Point, chart_of
from slastream.core.newest import Newest
from slastream.core.policies import Agreement, Policy
from slastream.core.prediction import History, OpenClock, forecast_of, history_of, remaining_of
from slastream.core.units import SECOND, Duration, Instant
from slastream.export import catalogue
from slastream.export.owned import CountedClock, ServiceState
from slastream.export.samples import Sample

Key = tuple[str, str, str]
"""(service, agreement, promise)."""


class _Computed(NamedTuple):
    finished: Newest
    version: int
    chart: ControlChart
    history: History


class _Read(NamedTuple):
    """Of a key; `points` is None where nothing has finished since the last time."""

    key: Key
    agreement: Agreement
    counts: Counts
    finished: Newest
    version: int
    points: list[tuple[str, CountedClock]] | None


class ControlGauges:
    """Lives as long as its worker; `read` the partitions, then take `samples`, once for each snapshot."""

    def __init__(self, policy: Policy) -> None:
        self._calendars = policy.calendars
        self._computed: dict[Key, _Computed] = {}
        self._read: list[_Read] = []
        self._clocks: list[tuple[Instant, list[CountedClock]]] = []

    def read(self, state: ServiceState) -> None:
        """Take what a partition has now."""
        self._clocks.append((state.time, list(state.clocks.values())))
        for key, tally in state.tallies.items():
            known, finished = self._computed.get(key), tally.finished
            is_known = known is not None and known.finished is finished and known.version == finished.version
            points = None if is_known else [(clock, state.clocks[clock]) for clock in tally.newest_finished()]
            counts = tally.running_counts(max(tally.now, state.time))
            self._read.append(_Read(key, tally.agreement, counts, finished, finished.version, points))

    def samples(self) -> dict[str, Sequence[Sample]]:
        """Of what was read since the last time."""
        read, self._read = self._read, []
        clocks, self._clocks = self._clocks, []
        for one in read:
            if one.points is not None:
                self._computed[one.key] = _compute(one, one.points)
        shown = {one.key: self._computed[one.key] for one in read}
        self._computed = shown
        return {
            **_of_charts({key: one.chart for key, one in shown.items()}),
            catalogue.MATURITY.name: list(_signs(read)),
            catalogue.PAUSES.name: list(_pauses(read)),
            **self._forecasts({key: one.history for key, one in shown.items()}, clocks),
        }

    def _forecasts(
        self, histories: dict[Key, History], clocks: list[tuple[Instant, list[CountedClock]]]
    ) -> dict[str, list[Sample]]:
        waiting: dict[Key, list[OpenClock]] = {key: [] for key in histories}
        for now, counted in clocks:
            for one in counted:
                if one.contribution.status in ("running", "paused"):
                    found = waiting.get((one.service, one.agreement, one.promise))
                    if found is not None:
                        found.append(self._open_clock(one, now))
        expected: list[Sample] = []
        numbers: list[Sample] = []
        for key, open_clocks in waiting.items():
            forecast = forecast_of(histories[key], open_clocks)
            if forecast.predicted:
                expected.append((key, float(forecast.expected)))
            counts = forecast.predicted, forecast.open - forecast.predicted
            numbers += [((*key, word), number) for word, number in zip(catalogue.CHANCES, counts, strict=True)]
        return {catalogue.EXPECTED_BREACHES.name: expected, catalogue.FORECAST_CLOCKS.name: numbers}

    def _open_clock(self, one: CountedClock, now: Instant) -> OpenClock:
        """As of `now`; a clock whose calendar the policy no longer has is not predicted until it is judged anew."""
        contribution, calendar = one.contribution, self._calendars.get(one.calendar or "")
        if calendar is None or contribution.status == "paused":
            return OpenClock(contribution.priority, Duration(one.elapsed_us), None)
        elapsed = Duration(one.elapsed_us + (calendar.open_between(one.as_of, now) if now > one.as_of else 0))
        is_by_due = one.target_us is None or contribution.signs.overridden
        target = None if is_by_due or one.target_us is None else Duration(one.target_us)
        return OpenClock(
            contribution.priority, elapsed, remaining_of(calendar, now, elapsed, target, contribution.due_at)
        )


def _compute(read: _Read, clocks: list[tuple[str, CountedClock]]) -> _Computed:
    points = [_point(clock, one) for clock, one in clocks]
    chart = chart_of(points, read.agreement.objective.target)
    return _Computed(read.finished, read.version, chart, history_of(points))


def _point(clock: str, one: CountedClock) -> Point:
    contribution, target = one.contribution, one.target_us
    stopped_at = contribution.stopped_at
    assert stopped_at is not None, "only finished clocks are asked for"
    return Point(
        stopped_at, clock, Duration(one.elapsed_us), None if target is None else Duration(target), contribution.is_met,
        contribution.priority,
    )  # fmt: skip


def _of_charts(charts: dict[Key, ControlChart]) -> dict[str, list[Sample]]:
    limits: list[Sample] = []
    places: list[Sample] = []
    signals: list[Sample] = []
    trends: list[Sample] = []
    capability: list[Sample] = []
    for key, chart in charts.items():
        if chart.capability.index is not None:
            capability.append((key, float(chart.capability.index)))
        if chart.limits is None or chart.inside is None:
            continue
        found = chart.limits.lower_us, chart.limits.centre_us, chart.limits.upper_us
        counts = chart.inside, len(chart.points) - chart.inside
        limits += [((*key, word), float(us / SECOND)) for word, us in zip(catalogue.LIMITS, found, strict=True)]
        places += [((*key, word), number) for word, number in zip(catalogue.PLACES, counts, strict=True)]
        signals += [((*key, str(rule)), chart.count(rule)) for rule in RULES]
        trends.append((key, {"rising": 1, "falling": -1, None: 0}[chart.trend.direction]))
    return {
        catalogue.CONTROL_LIMIT.name: limits,
        catalogue.CONTROL_POINTS.name: places,
        catalogue.CONTROL_SIGNALS.name: signals,
        catalogue.CONTROL_TREND.name: trends,
        catalogue.CAPABILITY.name: capability,
    }


def _signs(read: list[_Read]) -> Iterator[Sample]:
    for one in read:
        for sign in catalogue.SIGNS:
            yield (*one.key, one.agreement.objective.period, sign), getattr(one.counts, sign)


def _pauses(read: list[_Read]) -> Iterator[Sample]:
    for one in read:
        given = one.counts.pauses_with_reason
        for word, number in zip(catalogue.REASONS_GIVEN, (given, one.counts.pauses - given), strict=True):
            yield (*one.key, one.agreement.objective.period, word), number
