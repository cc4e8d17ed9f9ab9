"""Is a stored report what the log says, and what stands behind one of its figures?

Everything is a line (`kind` `check`, `differing`, `figure`, `verdict`, `missing`, `event`), or text made of the lines.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from slastream.core.events import MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.core.units import Instant, format_instant
from slastream.errors import PolicyError
from slastream.report.evidence import canonical_line
from slastream.report.report_source import Source
from slastream.wire.lines import Json, verdict_line

CHECKED = ("policy_version", "tzdata_version", "digest")
NOT_COMPARED = (*CHECKED, "corrections", "exclusions.rejected_events", "kind")
"""Told beside the figures, or not of the period: corrections are against another report, and a log that has grown may have more
lines that are no events."""
TOLD = 20
"""Figures that differ, in text."""
Event = TicketEvent | MonitoringEvent | MaintenanceEvent
Numbered = tuple[str, int, Event]
"""(file, line number from 1, event)."""


class Chain(NamedTuple):
    """What a figure is made of: tickets that count for it and against it, or a service's news in its period."""

    path: str
    value: Any
    agreement: str | None
    promise: str | None
    kept: frozenset[str]
    missed: frozenset[str]
    service: str | None

    @property
    def tickets(self) -> frozenset[str]:
        return self.kept | self.missed


def checks(stored: Json, now: Json) -> Iterator[Json]:
    """What was stored against what the log says now; `is_same` of a time zone database that differs is no verdict of its own."""
    for name in CHECKED:
        yield {
            "kind": "check", "what": name, "stored": stored.get(name), "now": now[name],
            "is_same": stored.get(name) == now[name],
        }  # fmt: skip
    before, after = (dict(leaves(one)) for one in (stored, now))
    compared = [path for path in before if not _is_among(path, NOT_COMPARED)]
    differing = [path for path in compared if path not in after or before[path] != after[path]]
    for path in differing:
        yield {"kind": "differing", "path": path, "stored": before[path], "now": after.get(path)}
    yield {
        "kind": "check", "what": "figures", "stored": len(compared), "now": len(compared) - len(differing),
        "is_same": not differing,
    }  # fmt: skip


def is_verified(lines: Iterable[Json]) -> bool:
    """Do figures and evidence agree? Another version of the time zone database may give the same."""
    return all(one["is_same"] for one in lines if one["kind"] == "check" and one["what"] != "tzdata_version")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document by its path (`promises.0.kept.met`); what is empty is a value itself."""
    match value:
        case dict() | list() if value:
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            for name, one in parts:
                yield from leaves(one, f"{path}.{name}" if path else str(name))
        case _:
            yield path, value


def chain_of(stored: Json, path: str) -> Chain:
    """The figure at a path, and what the nearest thing around it names as its evidence. Raises PolicyError without one."""
    around = [stored, *_along(stored, path)]
    agreement, promise = (next((one[name] for one in around if isinstance(one, dict) and name in one), None)
                          for name in ("agreement", "promise"))  # fmt: skip
    for one in reversed(around[:-1] if not isinstance(around[-1], dict) else around):
        if isinstance(one, dict) and isinstance(one.get("evidence"), int):
            page = next(page for page in stored["evidence"] if page["number"] == one["evidence"])
            kept, missed = frozenset(page["kept"]), frozenset(page["missed"])
            return Chain(path, around[-1], agreement, promise, kept, missed, None)
        if isinstance(one, dict) and path.startswith("services.") and "service" in one:
            return Chain(path, around[-1], agreement, promise, frozenset(), frozenset(), one["service"])
    raise PolicyError(
        f"--figure {path}: nothing around it names its evidence; name one of: {', '.join(_with_evidence(stored))}"
    )


def chain_lines(chain: Chain, source: Source, ticket: str | None, events: Iterable[Numbered]) -> Iterator[Json]:
    """The figure, the verdicts of its tickets (of one of them: `ticket`), and each event of theirs, in order."""
    policy, as_of = source.policy, source.as_of
    yield {
        "kind": "figure",
        "path": chain.path,
        "value": chain.value,
        "agreement": chain.agreement,
        "promise": chain.promise,
        "service": chain.service,
        "tickets_for": len(chain.kept),
        "tickets_against": len(chain.missed),
        "policy_version": policy.version,
        "as_of": format_instant(as_of),
    }
    by_ticket: dict[str, list[Numbered]] = {}
    for numbered in sorted(events, key=lambda one: (one[2].occurred_at, one[0], one[1])):
        event = numbered[2]
        by_ticket.setdefault(event.ticket_id if isinstance(event, TicketEvent) else "", []).append(numbered)
    for news in by_ticket.pop("", []):
        yield _event_line(news)
    for ticket_id in sorted(chain.tickets if ticket is None else {ticket}):
        yield from _verdicts(source, chain, ticket_id)
        yield from map(_event_line, by_ticket.get(ticket_id, []))


def _verdicts(source: Source, chain: Chain, ticket_id: str) -> Iterator[Json]:
    found = source.engine.tickets.get(ticket_id)
    if found is None:
        yield {"kind": "missing", "ticket_id": ticket_id}
        return
    for cycle in found.cycles():
        rule = cycle.rule
        if chain.agreement in (None, rule.agreement.name) and chain.promise in (None, rule.promise.name):
            line = verdict_line(ticket_id, cycle, found.labels_of(cycle), source.as_of, source.policy)
            yield {
                **line,
                "timezone": cycle.selection.calendar.zone_name,
                "counts_for": ticket_id in chain.kept,
                "counts_against": ticket_id in chain.missed,
            }


def concerns(chain: Chain, ticket: str | None, as_of: Instant) -> Callable[[Event], bool]:
    """Is an event one of those behind a figure?"""
    tickets = chain.tickets if ticket is None else {ticket}

    def is_behind(event: Event) -> bool:
        if event.occurred_at > as_of:
            return False
        return event.ticket_id in tickets if isinstance(event, TicketEvent) else event.service == chain.service

    return is_behind


def _event_line(numbered: Numbered) -> Json:
    file, number, event = numbered
    named = {"event_id": event.event_id} if not isinstance(event, MaintenanceEvent) else {}
    return {
        "kind": "event",
        "file": file,
        "line": number,
        "occurred_at": format_instant(event.occurred_at),
        **named,
        "content": event.content.decode("utf-8", "replace"),
    }


def _along(stored: Json, path: str) -> Iterator[Any]:
    found: Any = stored
    for name in path.split("."):
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            known = ", ".join(found) if isinstance(found, dict) else f"0 to {len(found) - 1}" if found else "nothing"
            raise PolicyError(f"--figure {path}: the report has no {name!r} there; there is {known}")
        yield found


def _with_evidence(stored: Json) -> list[str]:
    """Some paths that have evidence: the first of each section."""
    sections = [name for name, one in stored.items() if isinstance(one, list) and one and isinstance(one[0], dict)]
    return [f"{name}.0" for name in sections if "evidence" in stored[name][0] or name == "services"]


def _is_among(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def text_of(lines: Iterable[Json]) -> Iterator[str]:
    """The lines for people."""
    differing = 0
    for line in lines:
        match line["kind"]:
            case "check":
                if differing > TOLD:
                    yield f"  and {differing - TOLD} more; --format jsonl has them all"
                yield _check_text(line)
            case "differing":
                differing += 1
                if differing > TOLD:
                    continue
                yield f"  {line['path']}: {_short(line['stored'])} in the report, {_short(line['now'])} by this log"
            case "figure":
                yield ""
                yield f"{line['path']} is {_short(line['value'])}, as of {line['as_of']}"
                yield f"  policy {line['policy_version']}" + _of_promise(line)
                if line["service"] is None:
                    yield f"  {line['tickets_for']} tickets count for it, {line['tickets_against']} against it"
            case "missing":
                yield f"{line['ticket_id']}  is not in this log"
            case "verdict":
                yield from _verdict_text(line)
            case "event":
                yield f"    {line['occurred_at']}  {line['file']}:{line['line']}  {line['content']}"


def _check_text(line: Json) -> str:
    name = {"policy_version": "policy", "tzdata_version": "tzdata", "digest": "evidence"}.get(
        line["what"], line["what"]
    )
    if line["what"] == "figures":
        return f"{name:9} {line['stored']} compared, {line['stored'] - line['now']} differ"
    if line["is_same"]:
        return f"{name:9} {line['stored']}, the same"
    return f"{name:9} {line['stored']} in the report, {line['now']} now"


def _of_promise(line: Json) -> str:
    names = [line[name] for name in ("service", "agreement", "promise") if line[name] is not None]
    return f"; {' / '.join(names)}" if names else ""


def _verdict_text(line: Json) -> Iterator[str]:
    side = " (counts for it)" if line["counts_for"] else " (counts against it)" if line["counts_against"] else ""
    yield f"{line['ticket_id']}  {line['agreement']} / {line['promise']}, cycle {line['cycle']}: {line['status']}{side}"
    target = line["target_seconds"]
    yield (
        f"  {line['started_at']} to {line['stopped_at'] or 'now'}, due {line['due_at'] or 'not yet known'}; "
        f"{line['elapsed_seconds']} s{'' if target is None else f' of {target} s'} open time; "
        f"calendar {line['calendar']} ({line['timezone']})"
    )


def _short(value: Any) -> str:
    return canonical_line({"": value}).decode().rstrip()[4:-1]
