"""Contracts as metrics: whose time tickets were, what users said, what no longer fits, what is covered, and what it costs.

Each number is of one partition: those of a service are where the service is, those of an agreement where the agreement is.
"""

from collections.abc import Iterable

from slastream.core.credits import Statement
from slastream.core.experience import Scores
from slastream.core.policies import Policy
from slastream.core.scopes import ScopeReport
from slastream.core.units import SECOND
from slastream.export import catalogue
from slastream.export.gauges import Floors
from slastream.export.owned import ContractsPartition
from slastream.export.samples import HistogramSample, Labels, Sample, Samples


class ContractGauges:
    """One snapshot of the restored partitions of stage 2."""

    def __init__(self, policy: Policy) -> None:
        """An agreement without a customer has the one that all services of the policy have."""
        customers = {service.customer or "" for service in policy.services.values()}
        self._only_customer = customers.pop() if len(customers) == 1 else ""
        self._hands: dict[Labels, int] = {}
        self._scores: dict[Labels, Scores] = {}
        self._misfits: dict[Labels, int] = {}
        self._scopes: list[ScopeReport] = []
        self._exposures: list[Statement] = []

    def read(self, partition: ContractsPartition) -> None:
        """Take what a partition has now."""
        contracts, now = partition.contracts, partition.time
        for hand, time in contracts.hands.items():
            self._hands[hand] = time.at(now, contracts.open_since_zero)
        for labels, scores in contracts.scores.items():
            self._scores[labels] = Scores() + scores
        for (service, agreement, support), instants in contracts.chained.items():
            self._misfits[service, support, agreement] = sum(at <= now for at in instants)
        running = (contracts.running_scope(name, now) for name in contracts.scopes)
        self._scopes += [report for report in running if report is not None]
        self._exposures += contracts.exposures(now)

    def samples(self, floors: Floors) -> Samples:
        """The samples of all metrics of contracts."""
        hands: list[Sample] = [
            (hand, floors.raise_to(catalogue.HANDOFF.name, hand, (us / SECOND,))[0]) for hand, us in self._hands.items()
        ]
        return {
            catalogue.HANDOFF.name: hands,
            **_satisfaction(self._scores),
            catalogue.MISFITS.name: list(self._misfits.items()),
            **_scope(self._scopes),
            catalogue.CREDIT_EXPOSURE.name: [
                ((one.customer or self._only_customer, one.agreement, one.currency), float(one.credit))
                for one in self._exposures
            ],
        }


def _satisfaction(scores: dict[Labels, Scores]) -> Samples:
    sums: list[HistogramSample] = []
    moods: list[Sample] = []
    for labels, one in scores.items():
        sums.append((labels, (), (one.ratings,), float(one.score)))
        numbers = one.happy, one.ratings - one.happy - one.unhappy, one.unhappy
        moods += [((*labels, word), number) for word, number in zip(catalogue.MOOD_WORDS, numbers, strict=True)]
    return {catalogue.SATISFACTION.name: sums, catalogue.MOODS.name: moods}


def _scope(reports: Iterable[ScopeReport]) -> Samples:
    tickets: list[Sample] = []
    volumes: list[Sample] = []
    bands: list[Sample] = []
    for report in reports:
        numbers = report.in_scope, len(report.out_of_scope)
        tickets += [((report.agreement, word), n) for word, n in zip(catalogue.SCOPES, numbers, strict=True)]
        for volume, number, _ in report.volumes:
            volumes.append(((report.agreement, volume.name), number))
            sides = ("lower", volume.low), ("upper", volume.high)
            bands += [((report.agreement, volume.name, side), bound) for side, bound in sides if bound is not None]
    return {catalogue.SCOPE.name: tickets, catalogue.VOLUME.name: volumes, catalogue.VOLUME_BAND.name: bands}
