"""What another policy would have made of the same log: the verdicts that differ, and compliance before and after."""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from slastream.core.availability import Availability
from slastream.core.engine import TicketReplay
from slastream.core.units import Instant
from slastream.wire.availability_lines import availability_line
from slastream.wire.lines import Json, compliance_line, verdict_line

Name = tuple[str, ...]
COUNTED = ("completed", "due", "started", "cancelled", "basis", "objective", "ratio", "budget_remaining", "credit")
"""Fields of a compliance line that are shown before and after."""


class Pair(NamedTuple):
    """One thing as each of two policies has it; None where it has none."""

    before: Json | None
    after: Json | None


class Judged(NamedTuple):
    """A log as one policy has it; `tickets` are closed at the end."""

    tickets: TicketReplay
    services: Availability


def differences(before: Judged, after: Judged, at: Instant) -> Iterator[Json]:
    """The verdicts that differ in any field but the policy's version, by identity; the periods of compliance and the windows
    of services that differ; a summary. As of `at`."""
    moves: Counter[tuple[str | None, str | None]] = Counter()
    differing = 0
    for name, pair in paired(_verdicts(before.tickets, at), _verdicts(after.tickets, at)):
        moves[_status(pair.before), _status(pair.after)] += 1
        if pair.before != pair.after:
            differing += 1
            yield _difference(name, pair)
    for name, pair in paired(_periods(before.tickets), _periods(after.tickets)):
        if pair.before != pair.after:
            yield _change("compliance_change", name, pair, COUNTED)
    for name, pair in paired(_windows(before.services, at), _windows(after.services, at)):
        if pair.before != pair.after:
            yield _change("availability_change", name, pair, _differing(pair))
    yield {
        "kind": "summary",
        "policy_version": {
            "before": before.tickets.book.policy.version,
            "after": after.tickets.book.policy.version,
        },
        "clocks": moves.total(),
        "differing": differing,
        "statuses": [
            {"before": was, "after": becomes, "clocks": number}
            for (was, becomes), number in sorted(moves.items(), key=lambda one: (-one[1], str(one[0])))
            if was != becomes
        ],
    }


def paired(before: Iterable[tuple[Name, Json]], after: Iterable[tuple[Name, Json]]) -> Iterator[tuple[Name, Pair]]:
    """Both, which ascend by name, side by side."""
    rows = merge(
        ((name, "before", line) for name, line in before),
        ((name, "after", line) for name, line in after),
        key=lambda row: row[0],
    )
    for name, group in groupby(rows, key=lambda row: row[0]):
        sides = {side: line for _, side, line in group}
        yield name, Pair(sides.get("before"), sides.get("after"))


def _verdicts(engine: TicketReplay, at: Instant) -> Iterator[tuple[Name, Json]]:
    for ticket, cycle in engine.cycles():
        line = verdict_line(ticket.ticket_id, cycle, ticket.labels_of(cycle), at, engine.book.policy)
        del line["policy_version"]
        yield (ticket.ticket_id, line["agreement"], line["promise"], f"{cycle.number:06}"), line


def _periods(engine: TicketReplay) -> Iterator[tuple[Name, Json]]:
    agreements = {agreement.name: agreement for agreement in engine.book.policy.agreements}
    for service, agreement, promise, period in engine.compliance():
        line = compliance_line(service, agreements[agreement], promise, period)
        yield (service or "", agreement, promise, line["window"]["kind"], line["window"]["start"]), line


def _windows(services: Availability, at: Instant) -> Iterator[tuple[Name, Json]]:
    rows = []
    for measured in services.readings(at):
        line = availability_line(measured)
        window = line["window"]
        rows.append(((line["service"], line["agreement"], line["promise"], window["kind"], window["start"]), line))
    yield from sorted(rows, key=lambda row: row[0])


def _difference(name: Name, pair: Pair) -> Json:
    ticket_id, agreement, promise, _ = name
    known = pair.after or pair.before or {}
    fields = _differing(pair)
    return {
        "kind": "difference",
        "ticket_id": ticket_id,
        "service": known["service"],
        "agreement": agreement,
        "promise": promise,
        "cycle": known["cycle"],
        "before": _part(pair.before, fields),
        "after": _part(pair.after, fields),
    }


def _differing(pair: Pair) -> list[str]:
    names = dict.fromkeys([*(pair.before or ()), *(pair.after or ())])
    return [name for name in names if _field(pair.before, name) != _field(pair.after, name)]


def _change(kind: str, name: Name, pair: Pair, fields: Iterable[str]) -> Json:
    service, agreement, promise, *_ = name
    window = (pair.after or pair.before or {})["window"]
    return {
        "kind": kind,
        "service": service or None,
        "agreement": agreement,
        "promise": promise,
        "window": window,
        "before": _part(pair.before, fields),
        "after": _part(pair.after, fields),
    }


def _part(line: Json | None, fields: Iterable[str]) -> Json | None:
    return None if line is None else {field: line[field] for field in fields if field in line}


def _field(line: Json | None, name: str) -> object:
    return None if line is None else line.get(name)


def _status(line: Json | None) -> str | None:
    return None if line is None else str(line["status"])
