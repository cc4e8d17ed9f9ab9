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
    from slastream.core.calendars import Calendar
    from slastream.core.units import Instant

GC_THRESHOLDS = (200_000, 50, 50)
"""A replay makes many objects that live to its end: looking through them again and again took a third of its time."""

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
        "--show", default="verdicts", choices=("verdicts", "facts", "compliance", "availability", "rejected", "all")
    )
    replay.add_argument("--format", default="jsonl", choices=("jsonl", "csv", "table"))
    replay.add_argument("--out", metavar="FILE", help="write there instead of stdout")
    replay.set_defaults(run=run_replay)
    return parser


def _add_calendar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", metavar="POLICY")
    parser.add_argument("--calendar", required=True, metavar="C")
    parser.add_argument("--from", dest="start", required=True, metavar="T", help="RFC 3339 with an offset")


def run_check(options: argparse.Namespace) -> int:
    from slastream.app import load_policy_path

    policy = load_policy_path(options.policy)
    promises = sum(len(a.clock_promises) + len(a.service_promises) for a in policy.agreements)
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
    from slastream.app import lines_of_files, load_policy_path, replay
    from slastream.local.output import open_output, write_lines

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    policy = load_policy_path(options.policy)
    until = None if options.until is None else _instant("--until", options.until)
    lines = lines_of_files(options.files)
    result = replay(policy, lines, until, options.show)
    if options.show != "rejected":
        for one in result.rejected:
            print(f"{one.file}:{one.line}: {one.path}: {one.reason}: {one.message}", file=sys.stderr)
    with open_output(options.out) as out:
        write_lines(result.lines, options.format, out)
    return DONE
