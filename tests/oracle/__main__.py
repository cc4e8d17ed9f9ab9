"""`python -m tests.oracle --seeds N`: the oracle against the program, over many seeds."""

import argparse
import importlib
import sys

from slastream.app import replay_events
from slastream.errors import PolicyError

from .compare import disagreement


def main() -> int:
    """Print every disagreement, smallest case first; 1 if there was one."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--most", type=int, default=5, help="stop after so many disagreements")
    parser.add_argument("--whole", action="store_true", help="do not look for the smallest case")
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.seeds) if chosen.seed is None else [chosen.seed]
    case_of = importlib.import_module(
        "tests.properties.strategies"
    ).case_of  # no package: pytest knows it by another name
    differing = refused = 0
    for seed in seeds:
        try:
            text = disagreement(seed, case_of(seed), replay_events, shrink=not chosen.whole)
        except PolicyError as error:
            refused += 1
            if chosen.seed is not None:
                print(error)
            continue
        if text:
            differing += 1
            print(text, end="\n\n", flush=True)
            if differing == chosen.most:
                break
    print(f"{len(seeds)} seeds, {refused} refused policies, {differing} disagreements")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
