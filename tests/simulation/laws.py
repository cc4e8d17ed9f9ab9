"""What must hold at the end of every run: each law yields what breaks it, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import orjson

from slastream.app import replay_events
from slastream.core.units import Instant, format_instant
from slastream.stream.commit import partition_of
from slastream.stream.runtime import TopicPartition
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Output, Processor, Record, Stage
from slastream.stream.ticket_stage import TicketPartition
from slastream.wire.lines import compliance_line

from .log import Appended
from .monitoring import BAD
from .service_laws import SERVICE_LAWS, is_of_tickets
from .world import Run

Json = dict[str, Any]
VERDICT = (
    "ticket_id", "agreement", "promise", "cycle", "status", "started_at", "due_at", "stopped_at", "breached_at",
    "cancel_reason", "override", "service", "group", "assignee", "priority", "target_seconds",
)  # fmt: skip
STOPPED = ("elapsed_seconds", "paused_seconds", "remaining_seconds", "in_hours")
FACT = ("ticket_id", "agreement", "promise", "cycle", "fact", "threshold", "at")
CLOCK = ("ticket_id", "agreement", "promise", "cycle")
COUNTS = ("completed", "due", "started", "cancelled", "ratio", "budget_remaining")


class Undisturbed:
    """A partition that reads the whole final log of its source once, and was never disturbed."""

    def __init__(self, run: Run, stage: Stage, partition: int) -> None:
        self.processor = stage.make(partition)
        self.left: set[bytes] = set()
        self.unknown: set[bytes] = set()
        """Tickets that were spoken of after they had left the table."""
        count = run.broker.counts[stage.tick_topic] if stage.name == "tickets" else 0
        sources = [TopicPartition(topic, partition) for topic in stage.sources]
        records = [(r.number, source, r) for source in sources for r in run.broker[source].committed()]
        for _, source, r in sorted(records, key=lambda one: one[0]):
            if count and r.key is not None and partition_of(r.key, count) != partition:
                self.processor.pass_over(r.offset)
                continue
            if r.key in self.left:
                self.unknown.add(r.key)
            before = self._tickets()
            self.processor.apply(Record(*source, r.offset, r.timestamp_us, r.key, r.value, r.headers))
            self.left |= before - self._tickets()
        self.cut = self.processor.cut()

    def _tickets(self) -> set[bytes]:
        return (
            {each.encode() for each in self.processor.entries} if isinstance(self.processor, TicketPartition) else set()
        )

    @property
    def outputs(self) -> list[Output]:
        return self.cut.outputs


class Evidence:
    """A run beside the runs that were never disturbed, and the replay of what was accepted."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.undisturbed = {
            (stage.name, number): Undisturbed(run, stage, number)
            for stage in run.stages
            for number in range(run.broker.counts[stage.tick_topic])
        }
        tickets = [one for (name, _), one in self.undisturbed.items() if name == "tickets"]
        self.left = {each.decode() for one in tickets for each in one.left}
        self.expected = [output for one in tickets for output in one.outputs]

    def written(self, topic: str) -> list[Appended]:
        """All that a reader could have seen, in the order in which it was written; without ticks."""
        found = [r for partition in self.run.broker.of_topic(topic) for r in partition.committed() if r.key != b"tick"]
        return sorted(found, key=lambda r: r.number)

    def written_of_tickets(self, topic: str) -> list[Appended]:
        """By the first stage."""
        found = self.written(topic)
        if topic == "sla.rejected":
            return [r for r in found if is_of_tickets(r.value)]
        return [r for r in found if "ticket_id" in orjson.loads(r.value or b"")]

    def wanted(self, topic: str) -> list[Output]:
        return [output for output in self.expected if output.topic == topic]

    @cached_property
    def replayed(self) -> list[Json]:
        """The accepted events by `replay`, which knows neither records nor workers."""
        refused = {
            (line["origin"]["partition"], line["origin"]["offset"])
            for line in (orjson.loads(o.value or b"") for o in self.wanted("sla.rejected"))
        }
        count = self.run.broker.counts["sla.tickets"]
        lines = [
            r.value
            for partition in self.run.broker.of_topic("sla.tickets")
            for r in partition.committed()
            if r.value is not None
            and (partition.name.partition, r.offset) not in refused
            and (r.key is None or partition_of(r.key, count) == partition.name.partition)
        ]
        lines += [
            one.value
            for one in self.run.story.sent
            if one.topic != "sla.tickets" and one.value is not None and one.value not in BAD
        ]
        return replay_events(self.run.story.policy, lines, format_instant(Instant(self.run.end_us)))


def broken(run: Run) -> Iterator[str]:
    """Everything that is not as it must be."""
    evidence = Evidence(run)
    for law in LAWS:
        for text in law(evidence):
            yield f"{law.__name__}: {text}"


# ---- against the undisturbed run -------------------------------------------------------------------------------------


def the_same_is_written(evidence: Evidence) -> Iterator[str]:
    """As by a run without faults over the same log; exactly once: as often, too."""
    for topic in ("sla.verdicts", "sla.breaches", "sla.rejected"):
        written = Counter((r.key, r.value or b"") for r in evidence.written_of_tickets(topic))
        wanted = Counter((o.key, o.value or b"") for o in evidence.wanted(topic))
        if not evidence.run.story.is_exactly_once:
            written, wanted = Counter(set(written)), Counter(set(wanted))
        for one in wanted - written:
            yield f"{topic} lacks {one[1]!r}"
        for one in written - wanted:
            yield f"{topic} has too much: {one[1]!r}"


def strays_are_forwarded_once(evidence: Evidence) -> Iterator[str]:
    """A record in the wrong partition comes to the right one; exactly once: one time. Only workers write transactions there."""
    run = evidence.run
    count = run.broker.counts["sla.tickets"]
    strays, forwarded = Counter[tuple[Any, Any]](), Counter[tuple[Any, Any]]()
    for partition in run.broker.of_topic("sla.tickets"):
        for r in partition.committed():
            if r.key is not None and partition_of(r.key, count) != partition.name.partition:
                strays[r.key, r.value] += 1
            elif r.transaction is not None:
                forwarded[r.key, r.value] += 1
    if run.story.is_exactly_once and strays != forwarded:
        yield f"forwarded {forwarded} of {strays}"


def clocks_are_written_in_order(evidence: Evidence) -> Iterator[str]:
    """Exactly once: each clock's verdicts are written in the order of the undisturbed run."""
    if not evidence.run.story.is_exactly_once:
        return
    written, wanted = defaultdict[Any, list[Any]](list), defaultdict[Any, list[Any]](list)
    counts = evidence.run.broker.counts["sla.verdicts"]
    for partition in evidence.run.broker.of_topic("sla.verdicts"):
        for r in partition.committed():
            if r.key != b"tick":
                written[partition.name.partition, r.key].append(r.value or b"")
    for o in evidence.wanted("sla.verdicts"):
        wanted[partition_of(o.partition_key or b"", counts), o.key].append(o.value or b"")
    for key in wanted:
        if written[key] != wanted[key]:
            yield f"{key}: {written[key]} instead of {wanted[key]}"


def an_id_has_one_content(evidence: Evidence) -> Iterator[str]:
    """But for a ticket that left the table and came back: nobody knows any more what was said of it."""
    contents = defaultdict[str, set[bytes]](set)
    for topic in ("sla.breaches", "sla.verdicts"):
        for r in evidence.written_of_tickets(topic):
            line = orjson.loads(r.value or b"")
            if line["ticket_id"] in evidence.left:
                continue
            contents[f"{topic} {line['id']} {line.get('is_withdrawn', False)}"].add(r.value or b"")
    for name, found in contents.items():
        if len(found) > 1:
            yield f"{name}: {found}"


def nothing_is_taken_back_that_was_not_declared(evidence: Evidence) -> Iterator[str]:
    """Before it in its partition; a ticket that has changed its service has its facts in two, which have no order."""
    partitions = evidence.run.broker.of_topic("sla.breaches")
    lines = [[orjson.loads(r.value or b"") for r in partition.committed()] for partition in partitions]
    places = {line["id"]: number for number, found in enumerate(lines) for line in found}
    for number, found in enumerate(lines):
        standing: set[str] = set()
        for line in found:
            is_early = line["fact"] == "retracted" and line["retracts"] not in standing
            if is_early and places.get(line["retracts"], number) == number:
                yield f"{line['retracts']} was not declared before {line}"
            standing.add(line["id"])


def revisions_rise(evidence: Evidence) -> Iterator[str]:
    """Of each clock within a service; a repetition (at least once) is none. A ticket that came back is another one."""
    newest: dict[tuple[Any, ...], int] = {}
    seen: set[bytes] = set()
    for r in evidence.written("sla.verdicts"):
        line = orjson.loads(r.value or b"")
        key = (r.key, line["service"])
        if r.value or b"" in seen or line["ticket_id"] in evidence.left:
            continue
        seen.add(r.value or b"")
        if line["revision"] <= newest.get(key, 0):
            yield f"revision {line['revision']} after {newest[key]}: {line}"
        newest[key] = line["revision"]


def the_state_is_that_of_a_worker_that_never_crashed(evidence: Evidence) -> Iterator[str]:
    for (name, number), undisturbed in evidence.undisturbed.items():
        owner = evidence.run.owners[name, number]
        taken_over = owner.restored()
        fresh = owner.stage.make(number)
        for key, value in undisturbed.cut.state:
            if value is not None:
                fresh.restore(key, value)
        fresh.restored()
        for processor in (fresh, taken_over, undisturbed.processor):
            if isinstance(processor, TicketPartition):
                for ticket_id in processor.entries:
                    processor.entry(ticket_id)
        yield from differing(f"{name}-{number}", plain(fresh), plain(taken_over))
        for part in ("entries", "clocks", "time", "offset"):
            if hasattr(fresh, part):
                with_it, crashed = getattr(undisturbed.processor, part), getattr(taken_over, part)
                yield from differing(
                    f"{name}-{number}.{part} in memory", plain(with_it, hides=True), plain(crashed, hides=True)
                )


UNSEEN = {
    "book",
    "rulebook",
    "_heap",
    "_planned",
    "_due",
    "calendar_periods",
    "_periods",
    "touched",
    "_step",
    "marks",
    "monitoring",
    "other_offsets",
    "cuts",
} | {
    "planned_at",
    "_awake",
    "_labels",
    "matched",
    "seen",
    "spent",
}
"""Shared, or a plan that is made again from the rest."""
SHARED = {"slastream.core.rules", "slastream.core.policies", "slastream.core.calendars", "slastream.core.targets"}
"""Of the policy, which both have."""


def plain(value: Any, hides: bool = False) -> Any:
    """The state inside an object, as values that can be compared; `hides` private names, which hold what is known already."""
    if isinstance(value, dict):
        return {key: plain(one, hides) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, hides) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if type(value).__module__ in SHARED:
        return value
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names += list(getattr(value, "__dict__", ()))
    if not names or callable(value):
        return value
    seen = [name for name in names if name not in UNSEEN and not (hides and name.startswith("_"))]
    return {name: plain(getattr(value, name), hides) for name in seen if hasattr(value, name)}


def differing(path: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys(), key=repr):
            yield from differing(f"{path}.{key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(f"{path}[{number}]", left, right)
    elif one != other:
        yield f"{path} is {other!r} instead of {one!r}"


# ---- against the replay ----------------------------------------------------------------------------------------------


def verdicts_are_those_of_the_replay(evidence: Evidence) -> Iterator[str]:
    wanted = {_names(line): _verdict(line) for line in evidence.replayed if line["kind"] == "verdict"}
    newest: dict[tuple[Any, ...], Json] = {}
    for partition in evidence.run.broker.of_topic("sla.verdicts"):
        for r in partition.committed():
            line = {} if r.key == b"tick" else orjson.loads(r.value or b"")
            if line:
                key = (partition.name.partition, r.key)
                if key not in newest or line["revision"] >= newest[key]["revision"] or not evidence.run.had_zombies:
                    newest[key] = line
    found = {_names(line): _verdict(line) for line in newest.values() if not line.get("is_withdrawn")}
    for clock in sorted(wanted.keys() | found.keys()):
        if clock[0] not in evidence.left and wanted.get(clock) != found.get(clock):
            yield f"{clock} is {found.get(clock)} instead of {wanted.get(clock)}"


def _names(line: Json) -> tuple[Any, ...]:
    return tuple(line[name] for name in CLOCK)


def _verdict(line: Json) -> Json:
    return {name: line[name] for name in VERDICT + (STOPPED if line["stopped_at"] is not None else ())}


def facts_that_stand_are_those_of_the_replay(evidence: Evidence) -> Iterator[str]:
    written = {r.key: orjson.loads(r.value or b"") for r in evidence.written_of_tickets("sla.breaches")}
    found = _standing(written.values())
    wanted = _standing(line for line in evidence.replayed if line["kind"] == "fact" and "ticket_id" in line)
    for side, names in (("lacks", wanted - found), ("has too much:", found - wanted)):
        for name in names:
            if name[0] not in evidence.left:
                yield f"{side} {name}"


def _standing(lines: Any) -> Counter[tuple[Any, ...]]:
    lines = list(lines)
    gone = {line["retracts"] for line in lines if line["fact"] == "retracted"}
    return Counter(
        tuple(line[n] for n in FACT) for line in lines if line["fact"] != "retracted" and line["id"] not in gone
    )


# ---- compliance ------------------------------------------------------------------------------------------------------


def compliance_is_that_of_the_replay(evidence: Evidence) -> Iterator[str]:
    """Of the state that a new owner takes over; with tickets that left their table, that of the undisturbed run."""
    run = evidence.run
    found = [
        line
        for (name, _), owner in run.owners.items()
        if name == "services"
        for line in _counted(owner.restored(), run)
    ]
    if evidence.left:
        wanted = [
            line
            for (name, _), one in evidence.undisturbed.items()
            if name == "services"
            for line in _counted(one.processor, run)
        ]
    else:
        wanted = [line for line in evidence.replayed if line["kind"] == "compliance"]
    expected, real = {_window(line): line for line in wanted}, {_window(line): line for line in found if _is_any(line)}
    for window in sorted(expected.keys() | real.keys(), key=repr):
        one = expected.get(window)
        if (one is not None and _is_any(one) and one != real.get(window)) or one is None:
            yield f"{window} is {real.get(window)} instead of {one}"


def compliance_that_is_written_is_that_of_the_state(evidence: Evidence) -> Iterator[str]:
    """The newest of each calendar period; a zombie's may be older, for which there is no remedy without transactions."""
    run = evidence.run
    if run.had_zombies and not run.story.is_exactly_once:
        return
    written = {r.key: r.value for r in evidence.written("sla.compliance")}
    lines = [orjson.loads(value or b"") for value in written.values()]
    newest = {_window(line): line for line in lines if line["kind"] == "compliance"}
    for (name, _), owner in run.owners.items():
        for line in _counted(owner.restored(), run) if name == "services" else ():
            if line["window"]["kind"].endswith(("d", "h")):
                continue
            last = newest.get(_window(line))
            if last is None and _is_any(line):
                yield f"{_window(line)} was never written: {line}"
            elif last is not None and [last[n] for n in COUNTS] != [line[n] for n in COUNTS]:
                yield f"{_window(line)} was written as {last} instead of {line}"


def _counted(processor: Processor, run: Run) -> Iterator[Json]:
    assert isinstance(processor, ServicePartition)
    for (service, _, promise), tally in processor.tallies.items():
        tally.advance(Instant(run.end_us))
        for line in tally.lines():
            yield compliance_line(service or None, tally.agreement, promise, line)


def _window(line: Json) -> tuple[Any, ...]:
    return line["service"], line["agreement"], line["promise"], line["window"]["kind"], line["window"]["start"]


def _is_any(line: Json) -> bool:
    """A period in which nothing is counted need not be there."""
    return any(line[name]["total"] for name in ("completed", "due", "started")) or bool(line["cancelled"])


LAWS = (
    the_same_is_written,
    strays_are_forwarded_once,
    clocks_are_written_in_order,
    an_id_has_one_content,
    nothing_is_taken_back_that_was_not_declared,
    revisions_rise,
    the_state_is_that_of_a_worker_that_never_crashed,
    verdicts_are_those_of_the_replay,
    facts_that_stand_are_those_of_the_replay,
    compliance_is_that_of_the_replay,
    compliance_that_is_written_is_that_of_the_state,
    *SERVICE_LAWS,
)
