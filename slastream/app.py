"""The composition root: files, policies and the engine put together for the command line, tests and other programs."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from slastream.core.availability import Availability
from slastream.core.contracts import (
    chains_of,
    experiences_of,
    ledgers_of,
    scope_reports_of,
    statements_of,
    tickets_of,
)
from slastream.core.engine import TicketReplay
from slastream.core.events import Tick, TicketEvent
from slastream.core.incidents import incidents_of
from slastream.core.policies import Policy
from slastream.core.units import Instant, format_instant, parse_instant
from slastream.errors import EventError, PolicyError
from slastream.ingest.files import open_lines
from slastream.report.as_json import report_json
from slastream.report.audit import Event, chain_lines, chain_of, checks, concerns, is_verified
from slastream.report.building import build_report
from slastream.report.comparison import load_report
from slastream.report.explain import nearest_of
from slastream.report.figures import ServiceLevelReport
from slastream.report.report_period import ReportPeriod, parse_period
from slastream.report.report_source import Source, customers_of, source_of
from slastream.report.what_if import Judged, differences
from slastream.wire.availability_lines import availability_line, incident_line, service_fact_line
from slastream.wire.contract_lines import chain_line, experience_line, ledger_line, scope_line, statement_line
from slastream.wire.control_lines import control_lines, maturity_lines, prediction_lines
from slastream.wire.events import canonical, decode_event
from slastream.wire.lines import Json, compliance_line, fact_line, verdict_line
from slastream.wire.policy_file import load_policy
from slastream.wire.settings import ConsoleOptions, WorkerOptions

if TYPE_CHECKING:
    from slastream.stream.runtime import Runtime
    from slastream.stream.stage import Stage

SHOWN = (
    "verdicts", "facts", "compliance", "availability", "incidents", "control", "maturity", "prediction", "ledger", "chains",
    "credits", "scope", "experience", "rejected", "all",
)  # fmt: skip

Lines = Callable[[], Iterator[tuple[str, int, bytes]]]
"""Reads the input from its beginning: (file, line number from 1, bytes)."""


PROGRESS_EVERY = 10_000


class Rejected(NamedTuple):
    file: str
    line: int
    reason: str
    path: str
    message: str


class Replayed(NamedTuple):
    """The result of a replay; `lines` are made while they are read."""

    lines: Iterator[Json]
    rejected: list[Rejected]
    end: Instant | None


def load_policy_path(path: str | Path) -> Policy:
    """The policy in a file, or in the `.yaml`, `.yml` and `.json` files of a folder. Raises PolicyError."""
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json"))
        if not files:
            raise PolicyError(f"{path}: the folder has no .yaml, .yml or .json file; name one that has a policy")
    else:
        files = [path]
    folder = files[0].parent

    def read_beside(name: str) -> bytes:
        return (folder / name).read_bytes()

    return load_policy([(str(file), _read_text(file)) for file in files], read_beside)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}; name a file that exists") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def lines_of_files(paths: Iterable[str]) -> Lines:
    """Reads files one after the other. Standard input (`-`) is kept in memory, because it can be read only once."""
    names = list(paths)
    kept: dict[str, list[tuple[int, bytes]]] = {name: list(open_lines(name)) for name in names if name == "-"}

    def read() -> Iterator[tuple[str, int, bytes]]:
        for name in names:
            for number, line in kept[name] if name in kept else open_lines(name):
                yield name, number, line

    return read


def lines_counted(lines: Lines, progress: Callable[[int], None] | None) -> Lines:
    """The same lines; tells how many were read, now and then. None: nobody wants to know."""
    if progress is None:
        return lines

    def read() -> Iterator[tuple[str, int, bytes]]:
        for count, one in enumerate(lines(), 1):
            if count % PROGRESS_EVERY == 0:
                progress(count)
            yield one

    return read


class Read(NamedTuple):
    """What was read of a log: everything that happened up to `end`; `goes_on`: the log has more behind it."""

    engine: TicketReplay
    services: Availability
    rejected: list[Rejected]
    goes_on: bool


def read_log(
    policy: Policy,
    lines: Lines,
    until: Instant | None,
    keeps_facts: bool = False,
    keeps_services: bool = True,
    last: Instant | None = None,
) -> Read:
    """Feeds the events up to `until` (the clock: what lies beyond it by more than the skew is rejected), or up to `last`."""
    engine = TicketReplay(policy, until, canonical, keeps_facts)
    services = Availability(policy, canonical)
    keeps_services = keeps_services and services.book.has_promises
    rejected: list[Rejected] = []
    latest = None if until is None else until + policy.max_clock_skew
    last = until if last is None else last
    goes_on = False
    for file, number, line in lines():
        try:
            event = decode_event(line)
            if isinstance(event, Tick):
                continue
            at = event.occurred_at
            if latest is not None and at > latest:
                raise EventError("future", "occurred_at", _future(at, until))
        except EventError as error:
            rejected.append(Rejected(file, number, error.reason, error.path, str(error)))
            continue
        if last is not None and at > last:
            goes_on = True
            continue
        engine.see(at)
        if isinstance(event, TicketEvent):
            engine.feed(event)
        elif keeps_services:
            services.feed(event)
    if engine.unordered:
        _refold(engine, lines, last)
    return Read(engine, services, rejected, goes_on)


def replay(policy: Policy, lines: Lines, until: Instant | None = None, show: str = "verdicts") -> Replayed:
    """Runs events through the engine; the same set of events gives the same lines whatever their order."""
    engine, services, rejected, _ = read_log(
        policy, lines, until, show in ("facts", "all"), show in ("availability", "facts", "incidents", "credits", "all")
    )
    engine.close()
    return Replayed(_shown(engine, services, show, rejected), rejected, engine.end)


def what_if(policy: Policy, proposed: Policy, lines: Lines, until: Instant | None = None) -> Replayed:
    """What a proposed policy would have made of a log: `what_if.differences`. Both see the same events and end."""
    reads = [read_log(one, lines, until) for one in (policy, proposed)]
    for read in reads:
        read.engine.close()
    before, after = (Judged(read.engine, read.services) for read in reads)
    end = before.tickets.end
    told = iter(()) if end is None else differences(before, after, end)
    return Replayed(told, reads[0].rejected, end)


def service_level_report(
    policy: Policy,
    lines: Lines,
    period: ReportPeriod,
    customer: str | None = None,
    until: Instant | None = None,
    since: str | None = None,
) -> ServiceLevelReport:
    """The report of a period, as known at its end, or at `until`. A log that ends earlier makes it that of a running period.

    `since` is the file of an earlier report in JSON. Raises PolicyError for a customer that nothing names, for an `until`
    before the period begins, and for a file that is no report.
    """
    before = None if since is None else load_report("--since", since)
    return build_report(report_source(policy, lines, period, customer, until), before, since)


def report_source(
    policy: Policy,
    lines: Lines,
    period: ReportPeriod,
    customer: str | None = None,
    until: Instant | None = None,
    known_at: Instant | None = None,
) -> Source:
    """What the report is made of. `known_at`: the end of an earlier report, to be made again; what came later is passed over."""
    calendars = [policy.calendars["24x7"], *(one.calendar for one in policy.agreements)]
    start = min(period.bounds(one)[0] for one in calendars)
    end = max(period.bounds(one)[1] for one in calendars)
    if until is not None and until <= start:
        raise PolicyError(f"--until {format_instant(until)}: lies before the period {period.text}; write a later one")
    last = Instant(end - 1) if known_at is None else min(known_at, Instant(end - 1))
    read = read_log(policy, lines, until, last=last if until is None else until)
    engine, newest = read.engine, read.engine.newest
    told = known_at if until is None else until
    as_of = told if told is not None else end if read.goes_on or newest is None else newest
    engine.see(as_of)
    engine.close()
    known = customers_of(engine, read.services)
    if customer is not None and customer not in known:
        raise PolicyError(
            f"--customer {customer}: no agreement, service or ticket names it; {nearest_of(customer, known)}"
        )
    return source_of(engine, read.services, period, customer, as_of, len(read.rejected), newest)


class Audited(NamedTuple):
    lines: list[Json]
    is_verified: bool


def audit(policy: Policy, lines: Lines, report: str, figure: str | None = None, ticket: str | None = None) -> Audited:
    """Makes a stored report (a file in JSON) again from the log and compares; with `figure`, what stands behind it.

    Raises PolicyError for a file that is no report, and for a figure or ticket that it does not have.
    """
    stored = load_report("--report", report)
    chain = None if figure is None else chain_of(stored, figure)
    if ticket is not None and (chain is None or ticket not in chain.tickets):
        raise PolicyError(f"--ticket {ticket}: is not behind {figure or 'a figure; name one with --figure'}")
    known_at = parse_instant(stored["as_of"])
    source = report_source(policy, lines, parse_period(stored["period"]), stored["customer"], known_at=known_at)
    found = list(checks(stored, orjson.loads(report_json(build_report(source)))))
    if chain is not None:
        behind = events_where(lines, concerns(chain, ticket, source.as_of))
        found += chain_lines(chain, source, ticket, behind)
    return Audited(found, is_verified(found))


def events_where(lines: Lines, is_wanted: Callable[[Event], bool]) -> Iterator[tuple[str, int, Event]]:
    """The events of a log that are wanted, with their places."""
    for file, number, line in lines():
        try:
            event = decode_event(line)
        except EventError:
            continue
        if not isinstance(event, Tick) and is_wanted(event):
            yield file, number, event


def _future(at: Instant, until: Instant | None) -> str:
    return f"{format_instant(at)} lies beyond the clock ({until and format_instant(until)}) and its skew"


def _refold(engine: TicketReplay, lines: Lines, until: Instant | None) -> None:
    """Second reading: only the tickets whose events came out of order."""
    events: dict[str, list[TicketEvent]] = {ticket_id: [] for ticket_id in engine.unordered}
    for _, _, line in lines():
        try:
            event = decode_event(line)
        except EventError:
            continue
        if (
            isinstance(event, TicketEvent)
            and event.ticket_id in events
            and (until is None or event.occurred_at <= until)
        ):
            events[event.ticket_id].append(event)
    for ticket_id, found in events.items():
        engine.refold(ticket_id, found)


def _shown(engine: TicketReplay, services: Availability, show: str, rejected: list[Rejected]) -> Iterator[Json]:
    book, end = engine.book, engine.end
    if show in ("verdicts", "all") and end is not None:
        for ticket, cycle in engine.cycles():
            yield verdict_line(ticket.ticket_id, cycle, ticket.labels_of(cycle), end, book.policy)
    if show in ("facts", "all"):
        ordered = sorted(
            engine.facts,
            key=lambda one: (
                one.ticket_id, one.fact.agreement, one.fact.promise, one.fact.cycle, one.fact.at, one.fact.fact,
                one.fact.threshold or "", one.fact.occurrence,
            ),
        )  # fmt: skip
        for one in ordered:
            yield fact_line(one.ticket_id, one.fact, one.labels, None, book)
        if end is not None:
            for declared in services.facts(end):
                yield service_fact_line(declared, None, services.book)
    if show in ("compliance", "all"):
        agreements = {agreement.name: agreement for agreement in book.policy.agreements}
        for service, agreement, promise, line in engine.compliance():
            yield compliance_line(service, agreements[agreement], promise, line)
    if show in ("availability", "all") and end is not None:
        for measured in services.readings(end):
            yield availability_line(measured)
    if show in ("incidents", "all") and end is not None:
        for incident in incidents_of(services, engine.tickets.values(), end):
            yield incident_line(incident)
    if show in ("control", "all"):
        yield from control_lines(engine)
    if show in ("maturity", "all"):
        yield from maturity_lines(engine)
    if show in ("prediction", "all") and end is not None:
        yield from prediction_lines(engine, end)
    if end is not None:
        yield from _contracts_shown(engine, services, show, end)
    if show in ("rejected", "all"):
        for bad in rejected:
            yield {"kind": "rejected", "line": bad.line, "reason": bad.reason, "path": bad.path}


def _contracts_shown(engine: TicketReplay, services: Availability, show: str, end: Instant) -> Iterator[Json]:
    if show in ("ledger", "all"):
        yield from map(ledger_line, ledgers_of(tickets_of(engine), end))
    if show in ("chains", "all"):
        yield from (chain_line(chain, end) for chain in chains_of(engine, end))
    if show in ("credits", "all"):
        yield from map(statement_line, statements_of(engine, services.readings(end), end))
    if show in ("scope", "all"):
        yield from map(scope_line, scope_reports_of(engine, end))
    if show in ("experience", "all"):
        yield from map(experience_line, experiences_of(engine, end))


def replay_events(
    policy_text: str, lines: list[bytes], until: str | None = None, show: str = "all"
) -> list[dict[str, Any]]:
    """`replay` for a policy and events in memory."""

    def no_file(name: str) -> bytes:
        raise FileNotFoundError(name)

    policy = load_policy([("policy.yaml", policy_text)], no_file)

    def read() -> Iterator[tuple[str, int, bytes]]:
        for number, line in enumerate(lines, 1):
            yield "events.jsonl", number, line

    return list(replay(policy, read, None if until is None else parse_instant(until), show).lines)


def make_stages(policy: Policy) -> tuple["Stage", "Stage"]:
    """The two stages of the stream, for a worker."""
    from slastream.core.rules import Rulebook
    from slastream.stream.service_stage import ServicePartition
    from slastream.stream.stage import Stage
    from slastream.stream.ticket_stage import TicketPartition

    book = Rulebook(policy)
    return (
        Stage(
            "tickets", ("sla.tickets",), "slastream-tickets-changelog", "sla.tickets",
            lambda partition: TicketPartition(book, partition),
        ),
        Stage(
            "services", ("sla.verdicts", "sla.monitoring", "sla.maintenance", "sla.ledger"), "slastream-services-changelog",
            "sla.verdicts",
            lambda partition: ServicePartition(book, partition), b"tick",
        ),
    )  # fmt: skip


def work(options: WorkerOptions) -> None:
    """Runs a worker until SIGTERM. Raises PolicyError and DeliveryError."""
    from slastream.export.collector import Collector
    from slastream.export.server import parse_listen, start_metrics_server
    from slastream.stream.worker import WorkerSettings, run_worker

    parse_listen(options.metrics)
    policy = load_policy_path(options.policy)
    delivery: Any = options.delivery
    settings = WorkerSettings(
        broker=options.broker,
        app_id=options.app_id,
        delivery=delivery,
        group_instance_id=options.instance,
        metrics_listen=options.metrics,
        session_timeout_seconds=options.session_timeout_seconds,
    )

    async def serve(runtime: "Runtime") -> None:
        await start_metrics_server(Collector(policy, runtime), options.metrics, runtime)

    run_worker(settings, make_stages(policy), on_start=serve)


def console(options: ConsoleOptions) -> None:
    """Runs the console until SIGTERM. Raises PolicyError and DeliveryError."""
    from slastream.web.console.run import run_console

    nothing = load_policy([("", "version: 1\n")], lambda _: b"")
    run_console(options, nothing if options.policy is None else load_policy_path(options.policy))
