"""States, windows and burn rates of services: the `sla_…` metrics that monitoring makes.

`ServiceGauges.read` only takes references, to values that are replaced and never changed; `samples` may run in any thread.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import cast

from slastream.core.accounts import Account
from slastream.core.burns import rules_of
from slastream.core.events import STATES
from slastream.core.policies import Policy, ServicePromise
from slastream.core.states import main_state
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Instant
from slastream.core.windows import Measure, ratio_of
from slastream.export import catalogue
from slastream.export.owned import Measured, MonitoredService
from slastream.export.samples import Labels, Sample, Samples

METRICS = (
    catalogue.AVAILABILITY_SECONDS, catalogue.AVAILABILITY_RATIO, catalogue.COVERAGE_RATIO, catalogue.BURN_RATE,
    catalogue.SERVICE_STATE, catalogue.OBJECTIVE_RATIO, catalogue.BUDGET_RATIO, catalogue.INFO,
)  # fmt: skip


class ServiceGauges:
    """One snapshot of the monitored services of the restored partitions."""

    def __init__(self) -> None:
        self._services: list[tuple[str, MonitoredService, tuple[Measured, ...], Instant]] = []

    def read(self, services: Iterable[tuple[str, MonitoredService]], time: Instant) -> None:
        """Take what a partition has now."""
        self._services += [(name, service, tuple(service.measures), time) for name, service in services]

    def samples(self, policy: Policy) -> Samples:
        """Of the window that holds the time of each partition."""
        found: dict[str, dict[Labels, float]] = {metric.name: {} for metric in METRICS}
        for name, service, measures, time in self._services:
            if service.levels is not None and (levels := service.levels.at(time)) is not None:
                state = main_state(levels)
                for word in STATES:
                    found[catalogue.SERVICE_STATE.name][name, word] = int(word == state)
            for _, promise, measure in measures:
                self._window(found, name, promise, measure, time)
                self._info(found, policy, name, measure)
        return {name: list[Sample](samples.items()) for name, samples in found.items()}

    def _window(
        self, found: dict[str, dict[Labels, float]], name: str, promise: ServicePromise, measure: Measure, time: Instant
    ) -> None:
        window = next(measure.windows(time, time - 1), None)
        if window is None:  # nothing has elapsed yet
            return
        labels: Labels = (name, measure.agreement.name, promise.name, promise.window)
        found[catalogue.OBJECTIVE_RATIO.name][labels] = float(promise.target)
        reading = measure.read(window, time)
        ratio = reading.ratio(promise.min_coverage)
        if ratio is not None:
            found[catalogue.AVAILABILITY_RATIO.name][labels] = float(ratio)
        if reading.budget > 0:
            found[catalogue.BUDGET_RATIO.name][labels] = float(reading.budget_remaining / reading.budget)
        if not measure.is_of_events:
            unit = reading.whole * SECOND
            sums = reading.sums
            parts = {"good": sums.good, "bad": sums.bad, "excluded": reading.excluded, "unknown": sums.unknown}
            for part, value in parts.items():
                found[catalogue.AVAILABILITY_SECONDS.name][(*labels, part)] = value / unit
            if reading.coverage is not None:
                found[catalogue.COVERAGE_RATIO.name][labels] = float(reading.coverage)
        if promise.burn_alerts:
            for length in sorted({length for rule in rules_of(promise.window) for length in rule[1:]}):
                burn = burn_rate(measure.alert_account, promise, time, int(length))
                if burn is not None:
                    found[catalogue.BURN_RATE.name][(*labels[:3], length_text(int(length)))] = float(burn)

    def _info(self, found: dict[str, dict[Labels, float]], policy: Policy, name: str, measure: Measure) -> None:
        service, agreement = policy.services.get(name), measure.agreement
        customer = agreement.customer or (service.customer if service else None) or ""
        provider, team = (service.provider or "", service.team or "") if service else ("", "")
        found[catalogue.INFO.name][name, agreement.name, agreement.kind, customer, provider, team] = 1


def burn_rate(account: Account, promise: ServicePromise, time: Instant, length: int) -> Fraction | None:
    """The bad ratio of the last `length` over the one that the target allows; None with too little coverage."""
    ratio = ratio_of(account.between(time - length, time), Fraction(promise.min_coverage))
    return None if ratio is None else (1 - ratio) / (1 - Fraction(promise.target))


def length_text(us: int) -> str:
    """`5m`, `1h`, `3d`: in the largest unit that divides it."""
    for unit, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if us % unit == 0:
            return f"{us // unit}{word}"
    return f"{us / SECOND:g}s"


def merged(one: Samples, other: Samples) -> Samples:
    """The samples of both; of the metrics that both have, each label set once."""
    found = dict(one)
    for name, samples in other.items():
        found[name] = list(
            {**dict(cast(Sequence[Sample], one.get(name, ()))), **dict(cast(Sequence[Sample], samples))}.items()
        )
    return found
