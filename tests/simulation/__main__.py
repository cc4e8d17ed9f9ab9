"""`python -m tests.simulation --seeds N`: runs of both stages with faults, and the laws that they must keep."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable
from functools import partial

from . import trial
from .mutants import MUTANTS
from .worker import Owner


def main() -> int:
    """Print each seed that breaks a law, and how to repeat it; 1 if there was one."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one, and all that it breaks")
    parser.add_argument("--most", type=int, default=5, help="stop after so many that break a law")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="workers with this mistake")
    chosen = parser.parse_args()
    owner = Owner if chosen.mutant is None else MUTANTS[chosen.mutant]
    if chosen.seed is not None:
        found = trial.broken_by(chosen.seed, owner)
        print("\n".join(found) or f"seed {chosen.seed} keeps all laws")
        return 1 if found else 0
    repeat = "" if chosen.mutant is None else f" --mutant {chosen.mutant}"
    started, count, bad = time.monotonic(), 0, 0
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    for seed, found in _tried(seeds, owner, chosen.jobs):
        count += 1
        if found:
            bad += 1
            print(f"seed {seed} breaks {len(found)}: {found[0][:600]}")
            print(f"  repeat: python -m tests.simulation --seed {seed}{repeat}", flush=True)
            if bad == chosen.most:
                break
    seconds = time.monotonic() - started
    print(f"{count} seeds, {bad} break a law, {seconds:.1f} s, {1000 * seconds / max(1, count):.1f} ms per seed")
    return 1 if bad else 0


def _tried(seeds: range, owner: type[Owner], jobs: int) -> Iterable[tuple[int, list[str]]]:
    task = partial(trial.numbered, owner=owner)
    if jobs == 1:
        yield from map(task, seeds)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(task, seeds, chunksize=50)


if __name__ == "__main__":
    sys.exit(main())
