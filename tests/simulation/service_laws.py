"""What must hold of services at the end of every run.

The second stage reads several topics, whose records have no order among each other: what it says on the way depends on that, what
stands at the end does not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from slastream.core.units import Instant, format_instant

from .log import Appended

if TYPE_CHECKING:
    from .laws import Evidence

Json = dict[str, Any]
FACT = ("service", "agreement", "promise", "fact", "threshold", "at", "window")


def service_facts_that_stand_are_those_of_the_replay(evidence: "Evidence") -> Iterator[str]:
    if _may_be_late(evidence):
        return
    found = _standing({r.key: line for r, line in _service_facts(evidence)}.values())
    end = format_instant(Instant(evidence.run.end_us))
    wanted = _standing(line for line in evidence.replayed if _is_of_service(line) and line["at"] < end)
    for side, names in (("lacks", wanted - found), ("has too much:", found - wanted)):
        for name in names:
            yield f"{side} {name}"


def service_facts_are_repeated_only_as_they_were(evidence: "Evidence") -> Iterator[str]:
    """Exactly once: never."""
    if _may_be_late(evidence):
        return
    contents, times = defaultdict[Any, set[bytes]](set), Counter[Any]()
    for r, _ in _service_facts(evidence):
        contents[r.key].add(r.value or b"")
        times[r.key] += 1
    for key, found in contents.items():
        if len(found) > 1 or (evidence.run.story.is_exactly_once and times[key] > 1):
            yield f"{times[key]} times: {found}"


def service_facts_are_declared_before_they_are_taken_back(evidence: "Evidence") -> Iterator[str]:
    declared: set[str] = set()
    for _, line in _service_facts(evidence):
        if line["fact"] == "retracted" and line["retracts"] not in declared:
            yield f"{line['retracts']} was not declared before {line}"
        declared.add(line["id"])


def windows_that_have_ended_are_those_of_the_replay(evidence: "Evidence") -> Iterator[str]:
    """The newest line of each; that of a zombie may be an older one, for which there is no remedy without transactions."""
    if _may_be_late(evidence):
        return
    written = {r.key: orjson.loads(r.value or b"") for r in evidence.written("sla.compliance")}
    found, wanted = _ended(evidence, written.values()), _ended(evidence, evidence.replayed)
    for window in sorted(found.keys() | wanted.keys()):
        if found.get(window) != wanted.get(window):
            yield f"{window} is {found.get(window)} instead of {wanted.get(window)}"


def _may_be_late(evidence: "Evidence") -> bool:
    """What an owner says of services after it was cut off, without transactions: nobody can tell that it no longer holds."""
    return evidence.run.had_zombies and not evidence.run.story.is_exactly_once


def what_stage_2_cannot_use_is_rejected(evidence: "Evidence") -> Iterator[str]:
    """Exactly once: one time."""
    written = Counter(r.value for r in evidence.written("sla.rejected") if not is_of_tickets(r.value))
    outputs = [o for (name, _), one in evidence.undisturbed.items() if name == "services" for o in one.outputs]
    wanted = Counter(o.value for o in outputs if o.topic == "sla.rejected")
    if not evidence.run.story.is_exactly_once:
        written, wanted = Counter(set(written)), Counter(set(wanted))
    for side, values in (("lacks", wanted - written), ("has too much:", written - wanted)):
        for value in values:
            yield f"{side} {value!r}"


def is_of_tickets(rejected: bytes | None) -> bool:
    origin: Json = orjson.loads(rejected or b"")["origin"]
    return bool(origin["topic"] == "sla.tickets")


def _service_facts(evidence: "Evidence") -> Iterator[tuple[Appended, Json]]:
    for r in evidence.written("sla.breaches"):
        line = orjson.loads(r.value or b"")
        if _is_of_service(line):
            yield r, line


def _is_of_service(line: Json) -> bool:
    return line["kind"] == "fact" and "ticket_id" not in line


def _standing(lines: Any) -> Counter[str]:
    lines = list(lines)
    gone = {line["retracts"] for line in lines if line["fact"] == "retracted"}
    standing = [line for line in lines if line["fact"] != "retracted" and line["id"] not in gone]
    return Counter(str([line.get(name) for name in FACT]) for line in standing)


def _ended(evidence: "Evidence", lines: Any) -> dict[str, Json]:
    end = format_instant(Instant(evidence.run.end_us))
    return {
        str([line[name] for name in ("service", "agreement", "promise")] + [line["window"]]): line
        for line in lines
        if line["kind"] == "availability" and line["window"]["end"] < end
    }


SERVICE_LAWS = (
    service_facts_that_stand_are_those_of_the_replay,
    service_facts_are_repeated_only_as_they_were,
    service_facts_are_declared_before_they_are_taken_back,
    windows_that_have_ended_are_those_of_the_replay,
    what_stage_2_cannot_use_is_rejected,
)
