"""Makes the report of a period from a log that was read up to its end."""

from fractions import Fraction
from importlib.metadata import version

from slastream.core.units import Duration
from slastream.report.comparison import corrections
from slastream.report.contract_figures import (
    credit_months,
    credit_statements,
    satisfaction,
    scope_results,
    statements,
)
from slastream.report.control_figures import consistent, control_results
from slastream.report.figures import PromiseResult, Reliable, ServiceLevelReport, ServiceResult, Share
from slastream.report.ledger_figures import (
    Spent,
    breach_causes,
    chains_of,
    efficient,
    group_times,
    outsourcing,
    support_results,
)
from slastream.report.report_source import Source, bounds_of
from slastream.report.service_figures import service_results, services_once
from slastream.report.ticket_figures import (
    ageing,
    breach_counts,
    breaches,
    exclusions,
    maturity,
    promise_results,
    views,
)
from slastream.wire.lines import Json


def build_report(source: Source, since: Json | None = None, since_name: str | None = None) -> ServiceLevelReport:
    """`since` is an earlier report as JSON: what it had otherwise is a correction."""
    start, end = bounds_of(source, None)
    promises, services, control = promise_results(source), service_results(source), control_results(source)
    spent, chains, credits = Spent(source), chains_of(source), statements(source)
    return ServiceLevelReport(
        customer=source.customer,
        period=source.period.text,
        start=start,
        end=end,
        as_of=source.as_of,
        is_running=source.as_of < end,
        policy_version=source.policy.version,
        digest=source.digest,
        tzdata_version=version("tzdata"),
        timezone=source.policy.timezone,
        events_until=source.newest,
        consistent=consistent(control),
        reliable=_reliable(promises, services),
        efficient=efficient(source, spent),
        outsourcing=outsourcing(source, spent),
        promises=promises,
        views=views(source),
        breach_counts=breach_counts(source),
        breaches=breaches(source),
        breach_causes=breach_causes(source, chains),
        group_times=group_times(spent),
        supports=support_results(source, chains),
        ageing=ageing(source),
        control=control,
        maturity=maturity(source),
        services=services,
        credits=credit_statements(source, credits),
        credit_months=credit_months(source, credits),
        scopes=scope_results(source),
        satisfaction=satisfaction(source),
        exclusions=exclusions(source),
        corrections=corrections(promises, since, since_name),
        evidence=tuple(source.evidence.pages),
    )


def _reliable(promises: tuple[PromiseResult, ...], services: tuple[ServiceResult, ...]) -> Reliable:
    once = services_once(services)
    good, bad = sum(one.counts.good_us for one in once), sum(one.counts.bad_us for one in once)
    return Reliable(
        kept=sum((one.kept for one in promises if one.agreement_kind == "sla"), Share(0, 0)),
        good_us=Duration(good),
        known_us=Duration(good + bad),
        availability=Fraction(good, good + bad) if good + bad else None,
        outages=sum(one.outages for one in once),
        downtime_us=Duration(sum(one.downtime_us for one in once)),
    )
