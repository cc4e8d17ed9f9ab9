"""Makes the report of a period from a log that was read up to its end."""

from fractions import Fraction
from importlib.metadata import version

from slastream.core.units import Duration
from slastream.report.comparison import corrections
from slastream.report.control_figures import consistent, control_results
from slastream.report.figures import PromiseResult, Reliable, ServiceLevelReport, ServiceResult, Share
from slastream.report.report_source import Source
from slastream.report.service_figures import service_results, services_once
from slastream.report.ticket_figures import ageing, breach_counts, breaches, exclusions, promise_results, views
from slastream.wire.lines import Json


def build_report(source: Source, since: Json | None = None, since_name: str | None = None) -> ServiceLevelReport:
    """`since` is an earlier report as JSON: what it had otherwise is a correction."""
    start, end = source.period.bounds(source.policy.calendars["24x7"])
    promises, services, control = promise_results(source), service_results(source), control_results(source)
    return ServiceLevelReport(
        customer=source.customer,
        period=source.period.text,
        start=start,
        end=end,
        as_of=source.as_of,
        is_running=source.as_of < end,
        policy_version=source.policy.version,
        tzdata_version=version("tzdata"),
        timezone=source.policy.timezone,
        events_until=source.newest,
        consistent=consistent(control),
        reliable=_reliable(promises, services),
        promises=promises,
        views=views(source),
        breach_counts=breach_counts(source),
        breaches=breaches(source),
        ageing=ageing(source),
        control=control,
        services=services,
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
