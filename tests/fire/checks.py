"""What a run published beside what one thread publishes: nothing lost, nothing invented, nothing contradictory."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from typing import Any

import orjson

from .harness import FireError, Run
from .reference import (
    OUTPUTS,
    Expected,
    Json,
    Origin,
    Published,
    Replayed,
    expected_outputs,
    is_stray,
    replayed,
    write_log,
)
from .service_checks import EVENTS, NEEDED_OF_SERVICES, Services, is_of_service
from .topics import Read, read

CLOCK = ("ticket_id", "agreement", "promise", "cycle")
PASSING = {"revision", "id", "as_of", "is_at_risk", "corrects", "breach_id"}
"""Fields that tell when and how often a verdict was published."""
RUNNING = {"elapsed_seconds", "remaining_seconds", "paused_seconds", "due_if_resumed_now", "in_hours"}
"""Fields of a clock that still runs: they change with `as_of` alone."""
SHARES = ("completed", "due", "started", "cancelled", "ratio", "budget_remaining", "objective", "basis")
SHOWN = 8


def check(run: Run, still_at: datetime, *, is_compacted: bool) -> Counter[str]:
    """Compare; the counts of what was compared. Raises FireError with every difference, and keeps the log beside."""
    names = (*EVENTS, "sla.compliance", *OUTPUTS)
    topics = {name: asyncio.run(read(run.ground.address, name)) for name in names}
    logs = {name: run.folder / name for name in EVENTS}
    for name, log in logs.items():
        write_log(log, topics[name])
    rejected = {_origin(record) for record in topics["sla.rejected"]}
    until_us = int(still_at.timestamp() * 1e6)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        one = pool.submit(expected_outputs, run.policy, logs["sla.tickets"])
        two = pool.submit(replayed, run.policy, logs, rejected, until_us)
        expected, replay = one.result(), two.result()
    services = Services(topics, replay, until_us, run.delivery == "exactly_once")
    for name in ("sla.breaches", "sla.rejected"):
        topics[name] = [each for each in topics[name] if not is_of_service(each)]
    replay.facts[:] = [fact for fact in replay.facts if "ticket_id" in fact]
    published = {name: _published(topics[name]) for name in OUTPUTS}
    problems = [*_not_fed(run, topics["sla.tickets"]), *_strays(run, topics["sla.tickets"], expected)]
    for name in OUTPUTS:
        problems += _beside(name, published[name], expected.published[name], run.delivery == "exactly_once")
    problems += _beside_replay(topics, replay, until_us)
    for what, ours, theirs in services.compared():
        problems += _differences(what, ours, theirs)
    counts = _counts(topics, published, expected) + services.counts()
    problems += _vacuous(run, counts, is_compacted)
    if problems:
        raise FireError("\n".join(problems))
    return counts


def _origin(record: Read) -> Origin:
    """Where a rejected record stood."""
    origin = _line(record)["origin"]
    return origin["topic"], origin["partition"], origin["offset"]


def _published(records: Iterable[Read]) -> Published:
    """All but ticks."""
    return Counter((record.key, record.value) for record in records if record.key != b"tick")


# ---- the log itself


def _not_fed(run: Run, log: list[Read]) -> Iterable[str]:
    missing = Counter((r.key, r.value) for r in run.load.records if r.topic == "sla.tickets") - Counter(
        (r.key, r.value) for r in log
    )
    if missing:
        yield f"the test's own fault: {missing.total()} records were not fed, such as {next(iter(missing))}"


def _strays(run: Run, log: list[Read], expected: Expected) -> Iterable[str]:
    """Every record of a wrong partition must have been forwarded to the right one, with exactly once only once."""
    copies: Published = Counter((r.key, r.value) for r in log if r.key is not None and not is_stray(r))
    fed: Published = Counter(
        (r.key, r.value) for r in run.load.records if r.key is not None and r.topic == "sla.tickets"
    )
    for stray in set(expected.strays):
        wanted = fed[stray]
        if copies[stray] < wanted or (run.delivery == "exactly_once" and copies[stray] != wanted):
            yield f"a record in the wrong partition was forwarded {copies[stray]} times instead of {wanted}: {stray}"


# ---- record by record


def _beside(topic: str, published: Published, expected: Published, is_exactly_once: bool) -> Iterable[str]:
    lost, invented = expected.keys() - published.keys(), published.keys() - expected.keys()
    yield from _listed(f"{topic}: lost", lost)
    yield from _listed(f"{topic}: invented", invented)
    if is_exactly_once:
        yield from _listed(f"{topic}: repeated", (published - expected).keys() - invented)
    if topic == "sla.breaches":
        contents = Counter(key for key, _ in published)
        yield from _listed(f"{topic}: contradictory", [key for key, count in contents.items() if count > 1])


def _listed(what: str, found: Iterable[Any]) -> Iterable[str]:
    if found := list(found):
        shown = "".join(f"\n    {str(each)[:900]}" for each in sorted(found, key=str)[:SHOWN])
        yield f"{what}: {len(found)}{shown}"


# ---- what it comes to, beside `replay`


def _beside_replay(topics: dict[str, list[Read]], replay: Replayed, until_us: int) -> Iterable[str]:
    facts = _lines(topics["sla.breaches"])
    yield from _differences("standing facts", _standing(facts), _standing(replay.facts))
    newest = _newest_verdicts(topics["sla.verdicts"])
    yield from _differences("verdicts", _by_clock(newest), _by_clock(replay.verdicts))
    until = datetime.fromtimestamp(until_us / 1e6).astimezone()
    lines = {record.key: _line(record) for record in topics["sla.compliance"]}.values()
    published = [line for line in lines if line["kind"] == "compliance"]
    yield from _differences("compliance", _by_window(published, until), _by_window(replay.compliance, until))


def _lines(records: list[Read]) -> list[Json]:
    """Each once."""
    return list({record.key: _line(record) for record in records}.values())


def _line(record: Read) -> Json:
    line: Json = orjson.loads(record.value or b"")
    return line


def _standing(facts: Iterable[Json]) -> dict[str, None]:
    """Facts that were not taken back, by what they say and not by how often it was said (their `occurrence`)."""
    facts = list(facts)
    taken_back = {fact["retracts"] for fact in facts if fact["retracts"] is not None}
    named = (*CLOCK, "fact", "threshold", "at")
    standing = [fact for fact in facts if fact["fact"] != "retracted" and fact["id"] not in taken_back]
    return {str([fact[name] for name in named]): None for fact in standing}


def _newest_verdicts(records: list[Read]) -> list[Json]:
    """Of each clock the verdict with the highest revision, but for those of a clock that is no more."""
    newest: dict[bytes | None, Json] = {}
    for record in records:
        if record.key != b"tick":
            line = _line(record)
            known = newest.get(record.key)
            if known is None or _rank(line) >= _rank(known):
                newest[record.key] = line
    return [line for line in newest.values() if not line.get("is_withdrawn")]


def _rank(line: Json) -> tuple[int, bool]:
    """A clock that moved to another service has two verdicts of one revision: there it is taken out, here it stands."""
    return line["revision"], not line.get("is_withdrawn")


def _by_clock(lines: Iterable[Json]) -> dict[str, Json]:
    found = {}
    for line in lines:
        is_open = line["stopped_at"] is None and line["cancel_reason"] is None
        left_out = PASSING | RUNNING if is_open else PASSING
        clock = str([line[name] for name in CLOCK])
        found[clock] = {name: value for name, value in line.items() if name not in left_out}
    return found


def _by_window(lines: Iterable[Json], until: datetime) -> dict[str, Json]:
    """Every period's numerators and denominators; open clocks only of the period that still runs."""
    found = {}
    for line in lines:
        window: Json = line["window"]
        names = (*SHARES, "now") if until < datetime.fromisoformat(window["end"]) else SHARES
        shares: Json = {name: line.get(name) for name in names}
        totals = [shares[name]["total"] for name in ("completed", "due", "started")]
        if any((*totals, shares["cancelled"], "now" in names and line["now"]["open"])):  # else it may be left out
            found[str([line[name] for name in ("service", "agreement", "promise")] + [window["start"]])] = shares
    return found


def _differences(what: str, ours: dict[str, Any], replays: dict[str, Any]) -> Iterable[str]:
    found = [f"only in the stream: {key}" for key in sorted(ours.keys() - replays.keys())]
    found += [f"only in the replay: {key}" for key in sorted(replays.keys() - ours.keys())]
    for key in sorted(ours.keys() & replays.keys()):
        a, b = ours[key], replays[key]
        if a != b:
            found.append(f"{key}: stream and replay { ({n: (a[n], b[n]) for n in a if a[n] != b.get(n)}) }")
    yield from _listed(f"{what} differ", found)


def _fields(a: Json, b: Json) -> Json:
    return {name: (a[name], b.get(name)) for name in a if a[name] != b.get(name)}


# ---- whether anything was tested


def _counts(topics: dict[str, list[Read]], published: dict[str, Published], expected: Expected) -> Counter[str]:
    facts = _lines(topics["sla.breaches"])
    return Counter(
        {
            "records": len(topics["sla.tickets"]),
            "ticks": expected.ticks,
            "facts": len(expected.published["sla.breaches"]),
            "by deadline live": sum(f["caused_by"] == "deadline" and f["agreement"] == "quick" for f in facts),
            "retracted": sum(fact["fact"] == "retracted" for fact in facts),
            "verdicts": expected.published["sla.verdicts"].total(),
            "rejected": expected.published["sla.rejected"].total(),
            "too late": sum(_line(r)["reason"] == "too_late" for r in topics["sla.rejected"]),
            "strays": len(expected.strays),
            "repeated": sum((published[name] - expected.published[name]).total() for name in OUTPUTS),
        }
    )


def _vacuous(run: Run, counts: Counter[str], is_compacted: bool) -> Iterable[str]:
    counts["compacted partitions"] = run.ground.compacted_partitions()
    needed = ["ticks", "facts", "by deadline live", "retracted", "verdicts", "rejected", "strays", *NEEDED_OF_SERVICES]
    for name in (*needed, "compacted partitions") if is_compacted else needed:
        if not counts[name]:
            yield f"the test's own fault: no {name}"
