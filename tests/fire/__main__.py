"""Run scenarios by hand, with as many seeds as time allows."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .harness import FireError, ground
from .scenarios import DELIVERIES, EVENTS, SCENARIOS, run_scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fire", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="+", choices=(*SCENARIOS, "all"), metavar="scenario", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--delivery", choices=(*DELIVERIES, "both"), default="both")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--events", type=int, default=EVENTS, help="in each run")
    parser.add_argument("--seconds", type=float, help="over which they are fed; left out: 2500 a second")
    options = parser.parse_args()
    names = list(SCENARIOS) if "all" in options.scenarios else options.scenarios
    deliveries = DELIVERIES if options.delivery == "both" else (options.delivery,)
    folder = Path(tempfile.mkdtemp(prefix="fire-"))
    failed = 0
    with ground(folder / "kafka") as shared:
        for seed in range(options.first, options.first + options.seeds):
            for name in names:
                for delivery in deliveries:
                    started = time.monotonic()
                    try:
                        counts = run_scenario(
                            shared, folder / f"{name}-{delivery}-{seed}", name, delivery, seed, options.events,
                            options.seconds,
                        )  # fmt: skip
                        result = f"exact {dict(counts)}"
                    except FireError as error:
                        failed += 1
                        result = f"FAILED\n{error}"
                    print(f"{name} {delivery} seed {seed} {time.monotonic() - started:.0f} s: {result}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
