"""`python -m benchmarks [MEASURE ...] [--runs N] [--quick]`: slastream and its peers side by side on one broker.

Starts its own Kafka, prints what it finds, and writes the numbers to `results.json` beside this file and the page
`RESULTS.md` from them. Measures that are not named keep what an earlier run found.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.measures import MEASURES
from benchmarks.report import write_report
from benchmarks.run import Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of: {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="rounds of each measure; the medians count")
    parser.add_argument(
        "--quick", action="store_true", help="few events, ours only: shows that it runs, measures nothing"
    )
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=None, help="run the other systems")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of results.json and RESULTS.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    if unknown := [each for each in options.measures if each not in MEASURES]:
        parser.error(f"no such measure: {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    with_peers = not options.quick if options.peers is None else options.peers
    run = Run(options.runs, options.quick, with_peers, lambda text: print(f"  {text}", flush=True))
    for name in options.measures or MEASURES:
        print(name, flush=True)
        result = MEASURES[name](run)
        command = " ".join(["python -m benchmarks", name, f"--runs {options.runs}", *["--quick"] * options.quick])
        write_report(options.out, name, result, command)
    print((options.out / "RESULTS.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
