"""The command line. Results go to stdout, everything else to stderr.

Exit status: 0 done, 1 the answer is "no", 2 wrong usage or input file, 3 a service is not reachable. Imports of what is slow to
load are inside the commands, so that `--help` is quick.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from slastream.errors import DeliveryError, PolicyError, SlastreamError

if TYPE_CHECKING:
    from slastream.app import Replayed
    from slastream.core.calendars import Calendar
    from slastream.core.units import Instant
    from slastream.wire.settings import Kafka

GC_THRESHOLDS = (200_000, 50, 50)
"""A replay makes many objects that live to its end: looking through them again and again took a third of its time."""

GATEWAY_SETTINGS = ("config", "listen", "metrics")
DONE, NO, WRONG, UNREACHABLE = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = build_parser()
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except BrokenPipeError:
        sys.stderr.close()
        return DONE
    except PolicyError as error:
        print(error, file=sys.stderr)
        return WRONG
    except DeliveryError as error:
        print(error, file=sys.stderr)
        return UNREACHABLE
    except SlastreamError as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slastream", description="Event-driven monitoring of service levels.")
    parser.add_argument("--version", action="version", version=f"slastream {version('slastream')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="load and lint a policy")
    check.add_argument("policy", metavar="POLICY", help="a policy file, or a folder of them")
    check.set_defaults(run=run_check)

    due = commands.add_parser("due", help="print the due instant of a target on a calendar")
    _add_calendar(due)
    due.add_argument("--within", required=True, help='a target: 4h, "2 business_days", "end of business_day + 1"')
    due.set_defaults(run=run_due)

    elapsed = commands.add_parser("elapsed", help="print the open seconds between two instants")
    _add_calendar(elapsed)
    elapsed.add_argument("--to", required=True, metavar="T", help="RFC 3339 with an offset")
    elapsed.set_defaults(run=run_elapsed)

    replay = commands.add_parser("replay", help="run event files through the engine, without a broker")
    replay.add_argument("policy", metavar="POLICY")
    replay.add_argument("files", metavar="FILE", nargs="+", help=".jsonl, also .gz and .xz; - is standard input")
    replay.add_argument("--until", metavar="T", help="the end of time; left out: the newest event")
    replay.add_argument(
        "--show",
        default="verdicts",
        choices=(
            "verdicts",
            "facts",
            "compliance",
            "availability",
            "incidents",
            "control",
            "maturity",
            "prediction",
            "ledger",
            "chains",
            "credits",
            "scope",
            "experience",
            "rejected",
            "all",
        ),
    )
    replay.add_argument("--format", default="jsonl", choices=("jsonl", "csv", "table"))
    replay.add_argument("--out", metavar="FILE", help="write there instead of stdout")
    replay.set_defaults(run=run_replay)

    what_if = commands.add_parser("whatif", help="what a proposed policy would change of the verdicts on a log")
    what_if.add_argument("policy", metavar="POLICY")
    what_if.add_argument("proposed", metavar="PROPOSED", help="the policy that is proposed")
    what_if.add_argument("files", metavar="FILE", nargs="+")
    what_if.add_argument("--until", metavar="T", help="the end of time; left out: the newest event")
    what_if.add_argument("--format", default="jsonl", choices=("jsonl", "csv", "table"))
    what_if.add_argument("--out", metavar="FILE", help="write there instead of stdout")
    what_if.set_defaults(run=run_what_if)

    importing = commands.add_parser("import", help="turn CSV, JSON or JSONL of any system into events")
    importing.add_argument(
        "mapping", metavar="MAPPING", help="a YAML mapping, or native: the input has the events' shape"
    )
    importing.add_argument("files", metavar="FILE", nargs="+")
    importing.add_argument("--out", metavar="FILE", help="write the events there instead of stdout")
    importing.add_argument("--broker", metavar="HOST:PORT", help="write them into Kafka as a backfill")
    _add_kafka(importing)
    importing.add_argument("--dry-run", action="store_true", help="show the first events and counts, write nothing")
    importing.set_defaults(run=run_import)

    explain = commands.add_parser("explain", help="the whole story of a ticket, or of a service")
    explain.add_argument("policy", metavar="POLICY")
    explain.add_argument("files", metavar="FILE", nargs="+")
    subject = explain.add_mutually_exclusive_group(required=True)
    subject.add_argument("--ticket", metavar="ID")
    subject.add_argument("--service", metavar="NAME", help="the window that holds the end of time, stretch by stretch")
    explain.add_argument("--promise", metavar="P")
    explain.add_argument("--until", metavar="T")
    explain.add_argument("--format", default="text", choices=("text", "jsonl", "html"), help="html: of a ticket")
    explain.set_defaults(run=run_explain)

    report = commands.add_parser("report", help="the service level report that a customer gets")
    report.add_argument("policy", metavar="POLICY")
    report.add_argument("files", metavar="FILE", nargs="+")
    report.add_argument("--period", required=True, metavar="P", help="a month (2026-03), a quarter (2026-Q1) or a year")
    report.add_argument("--customer", metavar="C", help="left out: all customers")
    report.add_argument("--out", metavar="FILE", help="write there instead of stdout")
    report.add_argument("--format", default="html", choices=("html", "csv", "json", "pdf"))
    report.add_argument("--language", default="en", choices=("en", "de", "ko"))
    report.add_argument("--since", metavar="FILE", help="an earlier report in JSON: what it had otherwise is told")
    report.add_argument("--until", metavar="T", help="as known then; left out: as known at the end of the period")
    report.set_defaults(run=run_report)

    audit = commands.add_parser(
        "audit", help="is a stored report what the log says, and what is behind a figure of it?"
    )
    audit.add_argument("policy", metavar="POLICY")
    audit.add_argument("files", metavar="FILE", nargs="+")
    audit.add_argument("--report", required=True, metavar="REPORT", help="a report that --format json wrote")
    audit.add_argument("--figure", metavar="PATH", help="print what is behind it: promises.0.kept")
    audit.add_argument("--ticket", metavar="ID", help="of the figure's tickets only this one")
    audit.add_argument("--format", default="text", choices=("text", "jsonl"))
    audit.set_defaults(run=run_audit)

    connect = commands.add_parser("connect", help="what an adapter makes of a payload that you saved")
    connect.add_argument("adapter", metavar="ADAPTER", help="jira, zendesk, alertmanager, …")
    connect.add_argument(
        "--check", required=True, metavar="FILE", help="the payload as it was sent; - is standard input"
    )
    connect.add_argument("--policy", metavar="P", help="says what its promises lack")
    connect.add_argument("--options", metavar="YAML", help="the options of the source")
    connect.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="a header of the request")
    connect.set_defaults(run=run_connect)

    schema = commands.add_parser("schema", help="print a JSON Schema")
    schema.add_argument("name", metavar="NAME", help="policy, ticket-event, monitoring-event, verdict, fact, …")
    schema.set_defaults(run=run_schema)

    rules = commands.add_parser("rules", help="print recording and alerting rules for Prometheus")
    rules.add_argument("policy", metavar="POLICY", nargs="?", help="left out: the general set, for any policy")
    rules.add_argument("--runbook", metavar="URL", help="where your people read docs/runbook.md")
    rules.set_defaults(run=run_rules)

    topics = commands.add_parser("topics", help="broker topics as declared in topics/")
    topics.add_argument("action", choices=("create", "check", "list"))
    topics.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(topics)
    topics.add_argument("--partitions", type=int, metavar="N")
    topics.add_argument("--replication", type=int, default=1, metavar="N")
    topics.set_defaults(run=run_topics)

    worker = commands.add_parser("worker", help="the stream processor; SIGTERM ends it cleanly")
    worker.add_argument("--policy", metavar="P")
    worker.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(worker)
    worker.add_argument("--metrics", metavar="HOST:PORT", help="where /metrics, /healthz and /readyz are served")
    worker.add_argument("--delivery", choices=("exactly_once", "at_least_once"))
    worker.add_argument("--app-id", metavar="NAME", help="consumer group, and prefix of transactional ids")
    worker.add_argument("--instance", metavar="NAME", help="a stable name of this worker: static membership")
    worker.add_argument("--session-timeout-seconds", type=float, metavar="S")
    worker.add_argument("--settings", metavar="FILE", help="a TOML file of settings")
    worker.add_argument("--show-settings", action="store_true", help="print the effective settings and end")
    worker.set_defaults(run=run_worker)

    gateway = commands.add_parser("gateway", help="takes events and webhooks over HTTP; SIGTERM ends it cleanly")
    gateway.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(gateway)
    gateway.add_argument("--config", metavar="FILE", help="sources, credentials, limits and TLS, in YAML")
    gateway.add_argument("--listen", metavar="HOST:PORT", help="where events are taken; without --config loopback only")
    gateway.add_argument("--metrics", metavar="HOST:PORT", help="where /metrics, /healthz and /readyz are served")
    gateway.set_defaults(run=run_gateway)

    notify = commands.add_parser("notify", help="tells Alertmanager and webhooks of breaches; SIGTERM ends it cleanly")
    notify.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(notify)
    notify.add_argument("--alertmanager", action="append", metavar="URL", help="as often as there are Alertmanagers")
    notify.add_argument(
        "--authorization-file", metavar="FILE", help="the Authorization header for Alertmanager, in a file"
    )
    notify.add_argument("--webhook", action="append", metavar="FILE", help="a receiver of signed facts, in YAML")
    notify.add_argument("--metrics", metavar="HOST:PORT", help="where /metrics, /healthz and /readyz are served")
    notify.add_argument("--runbook", metavar="URL", help="where your people read docs/runbook.md")
    notify.add_argument("--resend-seconds", type=float, metavar="S", help="how often alerts that are on are told again")
    notify.set_defaults(run=run_notify)

    console = commands.add_parser("console", help="the state of everything, for people; SIGTERM ends it cleanly")
    console.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(console)
    console.add_argument("--listen", metavar="HOST:PORT", help="where pages are served (127.0.0.1:8090)")
    console.add_argument("--policy", metavar="P", help="tells why each minute of a ticket counted or not")
    console.add_argument("--token-file", metavar="FILE", help="tokens to log in with, one a line")
    console.add_argument("--user-header", metavar="NAME", help="the header in which a reverse proxy names the user")
    console.add_argument(
        "--trusted-proxies", metavar="NETWORKS", help="from whom that header is believed: 10.0.0.0/8,…"
    )
    console.add_argument("--public", action="store_true", default=None, help="everybody may read, also without login")
    console.add_argument("--app-id", metavar="NAME", help="the workers' consumer group, whose lag is shown")
    console.set_defaults(run=run_console)

    poll = commands.add_parser(
        "poll", help="asks a REST source again and again for what is new; SIGTERM ends it cleanly"
    )
    poll.add_argument("config", metavar="CONFIG", help="the source, in YAML")
    poll.add_argument("--broker", metavar="HOST:PORT")
    _add_kafka(poll)
    poll.add_argument("--once", action="store_true", help="one round")
    poll.add_argument(
        "--dry-run", action="store_true", help="one round from the start, printed; nothing is written or kept"
    )
    poll.set_defaults(run=run_poll)

    up = commands.add_parser("up", help="everything on one machine")
    up.add_argument("--policy", metavar="P")
    up.add_argument("--broker", default="auto", metavar="auto|HOST:PORT")
    up.add_argument("--alertmanager", action="append", default=[], metavar="URL", help="tell it of breaches, by notify")
    up.add_argument("--webhook", action="append", default=[], metavar="FILE", help="tell it of breaches, by notify")
    up.set_defaults(run=run_up)

    demo = commands.add_parser("demo", help="up, with a simulated service desk")
    demo.add_argument("--fast", action="store_true", help="a fixed set of tickets, without a person watching")
    demo.add_argument("--broker", default="auto", metavar="auto|HOST:PORT")
    demo.add_argument("--no-worker", action="store_true", help="the desk only: a worker runs at the broker already")
    demo.set_defaults(run=run_demo)
    return parser


def _add_calendar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", metavar="POLICY")
    parser.add_argument("--calendar", required=True, metavar="C")
    parser.add_argument("--from", dest="start", required=True, metavar="T", help="RFC 3339 with an offset")


def _add_kafka(parser: argparse.ArgumentParser) -> None:
    kafka = parser.add_argument_group(
        "TLS and login of Kafka", "the password is in a file or in SLASTREAM_KAFKA_PASSWORD"
    )
    kafka.add_argument("--kafka-protocol", metavar="P", help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka.add_argument("--kafka-ca-file", metavar="PEM", help="the authority of the brokers; left out: the system's")
    kafka.add_argument("--kafka-certificate-file", metavar="PEM", help="our own certificate, where brokers ask for one")
    kafka.add_argument("--kafka-key-file", metavar="PEM", help="its key; left out: in the same file")
    kafka.add_argument("--kafka-mechanism", metavar="M", help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, the default")
    kafka.add_argument("--kafka-user", metavar="NAME")
    kafka.add_argument("--kafka-password-file", metavar="FILE")


def run_check(options: argparse.Namespace) -> int:
    from slastream.app import load_policy_path

    policy = load_policy_path(options.policy)
    promises = sum(
        len(a.clock_promises) + len(a.service_promises) + len(a.experience_promises) for a in policy.agreements
    )
    for warning in policy.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"{options.policy}: fine: {len(policy.agreements)} agreements, {promises} promises, version {policy.version}",
        file=sys.stderr,
    )
    return DONE


def run_due(options: argparse.Namespace) -> int:
    from slastream.core.targets import due, parse_target
    from slastream.core.units import format_instant

    calendar = _calendar(options)
    try:
        target = parse_target(options.within)
    except ValueError as error:
        raise PolicyError(f"--within: {error}") from None
    print(format_instant(due(calendar, _instant("--from", options.start), target)))
    return DONE


def run_elapsed(options: argparse.Namespace) -> int:
    from slastream.core.units import seconds_text

    calendar, start, end = _calendar(options), _instant("--from", options.start), _instant("--to", options.to)
    if end < start:
        raise PolicyError(f"--to {options.to} lies before --from {options.start}; swap them")
    print(seconds_text(calendar.open_between(start, end)))
    return DONE


def _calendar(options: argparse.Namespace) -> "Calendar":
    from slastream.app import load_policy_path

    calendars = load_policy_path(options.policy).calendars
    if options.calendar not in calendars:
        raise PolicyError(f"--calendar {options.calendar}: no such calendar; there are {', '.join(sorted(calendars))}")
    return calendars[options.calendar]


def _instant(option: str, text: str) -> "Instant":
    from slastream.core.units import parse_instant

    try:
        return parse_instant(text)
    except ValueError as error:
        raise PolicyError(f"{option}: {error}") from None


def run_replay(options: argparse.Namespace) -> int:
    from slastream.app import lines_counted, lines_of_files, load_policy_path, replay
    from slastream.local.output import open_output, write_lines
    from slastream.local.progress import counted

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    policy = load_policy_path(options.policy)
    until = None if options.until is None else _instant("--until", options.until)
    lines = lines_of_files(options.files)
    with counted("events") as progress:
        result = replay(policy, lines_counted(lines, progress), until, options.show)
    if options.show != "rejected":
        _tell_rejected(result)
    with open_output(options.out) as out:
        write_lines(result.lines, options.format, out)
    return DONE


def _tell_rejected(result: "Replayed") -> None:
    for one in result.rejected:
        print(f"{one.file}:{one.line}: {one.path}: {one.reason}: {one.message}", file=sys.stderr)


def run_what_if(options: argparse.Namespace) -> int:
    from slastream.app import lines_counted, lines_of_files, load_policy_path, what_if
    from slastream.local.output import open_output, write_lines
    from slastream.local.progress import counted

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    policy, proposed = load_policy_path(options.policy), load_policy_path(options.proposed)
    until = None if options.until is None else _instant("--until", options.until)
    lines = lines_of_files(options.files)
    with counted("events") as progress:
        result = what_if(policy, proposed, lines_counted(lines, progress), until)
    _tell_rejected(result)
    with open_output(options.out) as out:
        write_lines(result.lines, options.format, out)
    return DONE


def run_import(options: argparse.Namespace) -> int:
    from slastream.ingest.mapping import load_mapping
    from slastream.ingest.preview import Preview
    from slastream.local.output import open_output, write_events
    from slastream.local.progress import counted

    refused: list[str] = []

    def refuse(refusal: object) -> None:
        refused.append(str(refusal))
        print(refusal, file=sys.stderr)

    events = load_mapping(options.mapping).run(options.files, refuse)
    if options.dry_run:
        preview = Preview()
        with counted("events") as progress:
            preview.read(events, progress)
        for line in preview.first:
            print(line.decode())
        print("\n".join(preview.summary(len(refused))), file=sys.stderr)
        return NO if refused else DONE
    with counted("events") as progress:
        if options.broker is not None:
            from slastream.stream.backfill import write_backfill

            backfilled = write_backfill(_kafka(options), events, progress)
            count, found = backfilled.written, f"{backfilled.found} were there already, " if backfilled.found else ""
        else:
            with open_output(options.out) as out:
                count, found = write_events(events, out, progress), ""
    print(f"{count} events written, {found}{len(refused)} refused", file=sys.stderr)
    return NO if refused else DONE


def run_explain(options: argparse.Namespace) -> int:
    from slastream.app import lines_of_files, load_policy_path
    from slastream.report.explain import explain_ticket
    from slastream.report.explain_service import explain_service

    until = None if options.until is None else _instant("--until", options.until)
    policy, lines = load_policy_path(options.policy), lines_of_files(options.files)
    told = (
        explain_ticket(policy, lines, options.ticket, options.promise, until, options.format)
        if options.service is None
        else explain_service(policy, lines, options.service, options.promise, until, options.format)
    )
    for line in told:
        print(line)
    return DONE


def run_report(options: argparse.Namespace) -> int:
    from slastream.app import lines_counted, lines_of_files, load_policy_path, service_level_report
    from slastream.local.output import open_output
    from slastream.local.progress import counted
    from slastream.report.forms import Names, report_bytes
    from slastream.report.report_period import parse_period

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    policy, period = load_policy_path(options.policy), parse_period(options.period)
    until = None if options.until is None else _instant("--until", options.until)
    lines = lines_of_files(options.files)
    with counted("events") as progress:
        report = service_level_report(
            policy, lines_counted(lines, progress), period, options.customer, until, options.since
        )
    written = report_bytes(report, options.format, options.language, Names(options.policy, tuple(options.files)))
    with open_output(options.out) as out:
        out.write(written)
    return DONE


def run_audit(options: argparse.Namespace) -> int:
    from slastream.app import audit, lines_counted, lines_of_files, load_policy_path
    from slastream.local.output import write_lines
    from slastream.local.progress import counted
    from slastream.report.audit import text_of

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    policy, lines = load_policy_path(options.policy), lines_of_files(options.files)
    with counted("events") as progress:
        found = audit(policy, lines_counted(lines, progress), options.report, options.figure, options.ticket)
    if options.format == "jsonl":
        write_lines(found.lines, "jsonl", sys.stdout.buffer)
    else:
        print("\n".join(text_of(found.lines)))
    verdict = "the report is what this log and this policy say" if found.is_verified else "the report is NOT confirmed"
    print(verdict, file=sys.stderr)
    return DONE if found.is_verified else NO


def run_connect(options: argparse.Namespace) -> int:
    from slastream.app import load_policy_path
    from slastream.ingest.adapter_options import load_options
    from slastream.ingest.adapters import adapter
    from slastream.ingest.files import naming, opened
    from slastream.report.connect import check_payload

    vendor = adapter(options.adapter)
    own = load_options(options.options, vendor)
    policy = None if options.policy is None else load_policy_path(options.policy)
    headers = dict(one.split(":", 1) if ":" in one else (one, "") for one in options.header)
    with naming(options.check), opened(options.check) as file:
        payload = file.read()
    check = check_payload(vendor, payload, {name: value.strip() for name, value in headers.items()}, own, policy)
    print("\n".join(check.lines))
    return DONE if check.is_fine else NO


def run_schema(options: argparse.Namespace) -> int:
    import json

    from slastream.stream.topics import load_schema
    from slastream.wire.policy_schema import policy_schema

    document = policy_schema() if options.name == "policy" else load_schema(options.name)
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return DONE


def run_rules(options: argparse.Namespace) -> int:
    from slastream.app import load_policy_path
    from slastream.export.alert_rules import RUNBOOK, rules_text

    policy = None if options.policy is None else load_policy_path(options.policy)
    sys.stdout.write(rules_text(policy, options.runbook or RUNBOOK))
    return DONE


def run_topics(options: argparse.Namespace) -> int:
    import asyncio

    from slastream.stream.topics import check_topics, create_topics, list_topics

    kafka = _kafka(options)
    if options.action == "create":
        created = asyncio.run(create_topics(kafka, options.partitions, options.replication))
        for name in created:
            print(name)
        print(f"{len(created)} topics created" if created else "all topics were there already", file=sys.stderr)
        return DONE
    if options.action == "check":
        found = asyncio.run(check_topics(kafka, options.partitions))
        for difference in found:
            print(f"{difference.topic}: {difference.problem}; {difference.remedy}")
        print(f"{len(found)} differences" if found else "all topics are as declared", file=sys.stderr)
        return NO if found else DONE
    for topic in asyncio.run(list_topics(kafka)):
        print(topic)
    return DONE


def run_worker(options: argparse.Namespace) -> int:
    import logging
    import os
    from pathlib import Path

    from slastream.app import work
    from slastream.stream.failure import leave
    from slastream.wire.settings import worker_options

    toml = None
    if options.settings is not None:
        try:
            toml = Path(options.settings).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"--settings {options.settings}: cannot be read: {error}") from None
    settings = worker_options(vars(options), os.environ, toml, options.settings or "")
    if options.show_settings:
        print(settings.shown())
        return DONE
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    work(settings)
    return leave()


def run_gateway(options: argparse.Namespace) -> int:
    import logging
    import os

    from slastream.web.gateway_run import GatewaySettings
    from slastream.web.gateway_run import run_gateway as run
    from slastream.wire.settings import PREFIX

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    given = {
        name: getattr(options, name) or os.environ.get(f"{PREFIX}GATEWAY_{name.upper()}") for name in GATEWAY_SETTINGS
    }
    run(GatewaySettings(_kafka(options), **given))
    return DONE


def run_notify(options: argparse.Namespace) -> int:
    import logging
    import os

    from slastream.web.notify import run_notify as run
    from slastream.wire.settings import notify_options

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(notify_options(vars(options), os.environ))
    return DONE


def run_console(options: argparse.Namespace) -> int:
    import logging
    import os

    from slastream.app import console
    from slastream.wire.settings import console_options

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    console(console_options(vars(options), os.environ))
    return DONE


def run_poll(options: argparse.Namespace) -> int:
    import logging

    from slastream.web.poll import run_poll as run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    broker = None if options.dry_run else _kafka(options)
    events, refused = run(options.config, broker, is_once=options.once)
    if options.dry_run:
        for event in events:
            print(event.content.decode())
    if options.dry_run or options.once:
        print(f"{len(events)} events, {refused} records refused", file=sys.stderr)
    return NO if refused else DONE


def _kafka(options: argparse.Namespace) -> "Kafka":
    import os

    from slastream.wire.settings import kafka_settings

    return kafka_settings(vars(options), os.environ)


def run_up(options: argparse.Namespace) -> int:
    from slastream.local import up

    return up.run_up(options.policy, options.broker, options.alertmanager, options.webhook)


def run_demo(options: argparse.Namespace) -> int:
    from slastream.local import demo

    if options.no_worker and options.broker == "auto":
        raise PolicyError("--no-worker needs a broker where a worker runs; name it with --broker HOST:PORT")
    return demo.run_demo(options.fast, options.broker, not options.no_worker)


if __name__ == "__main__":
    sys.exit(main())
