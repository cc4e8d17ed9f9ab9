"""How good are the chances to breach? Brier scores on a log against naive guesses, and a table of calibration.

    python -m benchmarks.prediction POLICY EVENTS.jsonl [--from 2016-03-14] [--to 2016-05-01] [--page]

Each day at noon (UTC) every open clock that is not late gets its chance from what was known then. What became of it by the end
of the log is the outcome: 1 late, 0 in time. The Brier score is the mean of (chance - outcome) squared: 0 is perfect, and
smaller is better. Naive guesses for the same clocks: the share of late clocks in the same history (of the promise, and of the
promise and priority). Clocks without a chance, and those that were cancelled or are open at the end, are counted and not scored.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from slastream.app import load_policy_path
from slastream.core.clocks import Cycle
from slastream.core.control import Point
from slastream.core.engine import TicketReplay, open_clock_of, points_of
from slastream.core.events import TicketEvent
from slastream.core.prediction import HISTORY_POINTS, chance_of_clock, history_of
from slastream.core.units import DAY, Instant, parse_instant
from slastream.wire.events import canonical, decode_event

PAGE = Path(__file__).parent / "PREDICTION.md"
BINS = 10


class Guess(NamedTuple):
    """What was said of a clock at a noon: the chance, and the two naive shares; None: nothing was said."""

    cycle: Cycle
    chance: Fraction | None
    of_promise: Fraction
    of_priority: Fraction


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("events", type=Path, help="events of tickets, one a line, in the order of their instants")
    parser.add_argument("--from", dest="first", default="2016-03-14", help="the first noon: the history needs tickets")
    parser.add_argument("--to", dest="last", default="2016-05-01")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    noons = range(parse_instant(f"{options.first}T12:00:00Z"), parse_instant(f"{options.last}T12:00:00Z") + 1, int(DAY))
    guesses = guesses_of(options.policy, options.events, [Instant(noon) for noon in noons])
    text = page(guesses, len(noons), options.first, options.last)
    if options.page:
        PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


def guesses_of(policy: Path, events: Path, noons: list[Instant]) -> dict[str, list[Guess]]:
    """By promise. Nothing of a guess knows what came after its noon."""
    engine = TicketReplay(load_policy_path(policy), None, canonical, keeps_facts=False)
    found: dict[str, list[Guess]] = defaultdict(list)
    waiting = iter(noons)
    noon = next(waiting, None)
    with events.open("rb") as lines:
        for line in lines:
            event = decode_event(line)
            if not isinstance(event, TicketEvent):
                continue
            while noon is not None and event.occurred_at > noon:
                look(engine, noon, found)
                noon = next(waiting, None)
            engine.see(event.occurred_at)
            engine.feed(event)
    engine.close()
    return found


def look(engine: TicketReplay, noon: Instant, found: dict[str, list[Guess]]) -> None:
    for ticket in engine.tickets.values():
        if ticket.wake_at is not None and ticket.wake_at <= noon:
            ticket.advance(noon)
    for _, rule, cycles in engine.by_promise():
        newest = sorted(points_of(cycles))[-HISTORY_POINTS:]
        history, of_promise = history_of(newest), _late_share(newest)
        for ticket, cycle in cycles:
            if of_promise is not None and cycle.status() in ("running", "paused"):
                clock = open_clock_of(ticket, cycle, noon)
                chance = chance_of_clock(history, clock)
                alike = _late_share([point for point in newest if point.priority == clock.priority])
                told = None if chance is None else chance.ratio
                found[rule.promise.name].append(Guess(cycle, told, of_promise, of_promise if alike is None else alike))


def _late_share(points: list[Point]) -> Fraction | None:
    return Fraction(sum(not point.is_met for point in points), len(points)) if points else None


# ---- scores ----------------------------------------------------------------------------------------------------------


def outcome(guess: Guess) -> int | None:
    """1: it was late in the end; None: cancelled, or not known by the end of the log."""
    return {"breached": 1, "met": 0}.get(guess.cycle.status())


def brier(pairs: Iterable[tuple[Fraction, int]]) -> float:
    scores = [float((chance - late) ** 2) for chance, late in pairs]
    return sum(scores) / len(scores)


def page(guesses: dict[str, list[Guess]], noons: int, first: str, last: str) -> str:
    lines = [
        "# Predictions", "",
        f"Made by `python -m benchmarks.prediction examples/uci/policy.yaml UCI.jsonl --from {first} --to {last} --page`;",
        "nothing in it depends on the machine. What the words mean is told at the top of that file.", "",
        f"UCI incident log, {noons} noons, each open clock that was not late yet, judged by what became of it.", "",
        "| promise | clocks guessed | no chance told | scored | late in the end | Brier | share of the promise "
        "| share of the priority | skill |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for promise, said in sorted(guesses.items()):
        lines.append(_row(promise, said))
    lines += [
        "", "*Share of the promise* and *share of the priority* are the Brier scores of the naive guesses; *skill* is 1 - Brier / "
        "the better of the two.",
    ]  # fmt: skip
    for promise, said in sorted(guesses.items()):
        lines += ["", f"## Calibration of `{promise}`", "", *_calibration(said)]
    return "\n".join(lines) + "\n"


def _scored(said: list[Guess]) -> list[tuple[Guess, int]]:
    return [(one, late) for one in said if one.chance is not None and (late := outcome(one)) is not None]


def _row(promise: str, said: list[Guess]) -> str:
    scored = _scored(said)
    silent = sum(one.chance is None for one in said)
    ours = brier((one.chance, late) for one, late in scored if one.chance is not None)
    naive = [brier((getattr(one, guess), late) for one, late in scored) for guess in ("of_promise", "of_priority")]
    late = sum(late for _, late in scored)
    return (
        f"| `{promise}` | {len(said):,} | {silent:,} | {len(scored):,} | {late / len(scored):.1%} | {ours:.4f} "
        f"| {naive[0]:.4f} | {naive[1]:.4f} | {1 - ours / min(naive):.0%} |"
    )


def _calibration(said: list[Guess]) -> list[str]:
    bins: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for one, late in _scored(said):
        if one.chance is not None:
            bins[min(BINS - 1, int(one.chance * BINS))].append((float(one.chance), late))
    rows = ["| chance | clocks | mean chance | late in the end |", "|---|---|---|---|"]
    for number, pairs in sorted(bins.items()):
        mean = sum(chance for chance, _ in pairs) / len(pairs)
        share = sum(late for _, late in pairs) / len(pairs)
        rows.append(f"| {number / BINS:.0%} to {(number + 1) / BINS:.0%} | {len(pairs):,} | {mean:.1%} | {share:.1%} |")
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
