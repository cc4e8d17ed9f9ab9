"""The oracle's result beside the program's, the smallest case in which they differ, and how to say so."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from .naive import evaluate

Json = dict[str, Any]
Case = tuple[Json, list[Json], str]
"""A policy, the events, the end."""
Replay = Callable[[str, list[bytes], str], list[Json]]
CONDITIONS = {"start", "stop", "pause", "resume", "reset", "cancel"}
NEEDED = ("ticket_id", "occurred_at", "type", "event_id", "message", "override", "merged_into")
"""What an event cannot lose without becoming another one."""
CLOCK = ("ticket_id", "agreement", "promise", "cycle")
COMPARED = (
    "status",
    "started_at",
    "due_at",
    "stopped_at",
    "breached_at",
    "elapsed_seconds",
    "paused_seconds",
    "cancel_reason",
    "target_seconds",
    "remaining_seconds",
    "due_if_resumed_now",
)


def differences(case: Case, replay: Replay) -> list[str]:
    """What differs, one line each: clock, field, the oracle's value, the program's."""
    policy, events, until = case
    ours = evaluate(policy, events, until)
    theirs = replay(json.dumps(policy), [json.dumps(event).encode() for event in events], until)
    return [*clocks_that_differ(clocks(ours), clocks(theirs)), *facts_that_differ(facts(ours), facts(theirs))]


def clocks(lines: list[Json]) -> dict[tuple[Any, ...], Json]:
    return {tuple(line[key] for key in CLOCK): line for line in lines if line["kind"] == "verdict"}


def facts(lines: list[Json]) -> Counter[tuple[Any, ...]]:
    return Counter(
        tuple(line[key] for key in (*CLOCK, "fact", "at", "threshold")) for line in lines if line["kind"] == "fact"
    )


def clocks_that_differ(ours: dict[tuple[Any, ...], Json], theirs: dict[tuple[Any, ...], Json]) -> Iterator[str]:
    for clock in sorted(ours.keys() | theirs.keys()):
        if clock not in ours or clock not in theirs:
            side, line = ("oracle", ours[clock]) if clock in ours else ("program", theirs[clock])
            yield f"{clock} only the {side} has it: {[line[name] for name in COMPARED[:5]]}"
            continue
        fields = (*COMPARED, "group") if ours[clock]["metric"] == "ownership" else COMPARED
        for name in fields:
            left, right = plain(ours[clock][name]), plain(theirs[clock][name])
            if left != right:
                yield f"{clock} {name}: oracle {left}, program {right}"


def facts_that_differ(ours: Counter[tuple[Any, ...]], theirs: Counter[tuple[Any, ...]]) -> Iterator[str]:
    for side, found in (("oracle", ours - theirs), ("program", theirs - ours)):
        for fact in sorted(found, key=str):
            yield f"{fact} only the {side} has it"


def kind_of(difference: str) -> str:
    """What sort of difference it is, so that a smaller case shows the same sort: its words without clocks and values."""
    return " ".join(word for word in difference.replace(":", " ").split() if word.isalpha() or "_" in word)


def plain(value: Any) -> Any:
    """Numbers as decimals."""
    return Decimal(str(value)).normalize() + 0 if isinstance(value, int | float | Decimal) else value


# -- the smallest case -----------------------------------------------------------------------------------------------
def shrunk(case: Case, differs: Callable[[Case], bool]) -> Case:
    """A case that still differs and from which nothing more can be taken."""
    changed = True
    while changed:
        changed = False
        for smaller in smaller_than(case):
            if fails(smaller, differs):
                case, changed = smaller, True
                break
    return case


def fails(case: Case, differs: Callable[[Case], bool]) -> bool:
    try:
        return differs(case)
    except Exception:  # noqa: BLE001  a policy that is refused without what was taken from it
        return False


def smaller_than(case: Case) -> Iterator[Case]:
    """The case with one thing less, large things first."""
    policy, events, until = case
    for ticket in sorted({event["ticket_id"] for event in events}):
        yield (policy, [event for event in events if event["ticket_id"] != ticket], until)
    for path in paths(policy):
        if not set(path[:-1]) & CONDITIONS:  # an empty condition always holds, which nobody writes
            yield (without(policy, path), events, until)
    for number in range(len(events)):
        yield (policy, events[:number] + events[number + 1 :], until)
        for path in paths(events[number]):
            if path[0] not in NEEDED:
                yield (policy, [*events[:number], without(events[number], path), *events[number + 1 :]], until)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside, outer ones first."""
    names = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for name in names:
        yield (*above, name)
    for name in names:
        yield from paths(value[name], (*above, name))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(copy[path[0]], path[1:])
    return copy


# -- words -----------------------------------------------------------------------------------------------------------
def report(seed: int, case: Case, replay: Replay) -> str:
    """All that is needed to look into a disagreement by hand."""
    policy, events, until = case
    ours = evaluate(policy, events, until)
    theirs = replay(json.dumps(policy), [json.dumps(event).encode() for event in events], until)
    lines = [f"seed {seed}: python -m tests.oracle --seed {seed}", "policy " + text_of(policy), f"until {until}"]
    lines += ["event  " + text_of(event) for event in sorted(events, key=lambda e: (e["ticket_id"], e["occurred_at"]))]
    for name, result in (("oracle ", ours), ("program", theirs)):
        for line in result:
            if line["kind"] in ("verdict", "fact"):
                shown = ("agreement", "promise", "cycle", "fact", "at", "threshold", *COMPARED)
                lines.append(
                    f"{name} {line['kind']} "
                    + " ".join(f"{key}={line[key]}" for key in shown if line.get(key) is not None)
                )
    return "\n".join(lines + ["differs " + text for text in differences(case, replay)])


def text_of(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def disagreement(seed: int, case: Case, replay: Replay, *, shrink: bool = True) -> str | None:
    """The report of a case, `None` if both say the same. Raises what the program raises."""
    if not differences(case, replay):
        return None
    wanted = kind_of(differences(case, replay)[0])
    return report(
        seed, shrunk(case, lambda small: wanted in map(kind_of, differences(small, replay))) if shrink else case, replay
    )
