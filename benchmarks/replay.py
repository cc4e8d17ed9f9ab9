"""CPU time for each event of `import` and `replay` on the public UCI incident log, and a profile of where it goes.

    python -m benchmarks.replay EVENT_LOG.csv [--profile]

The mapping and the policy are those of `examples/uci`; that folder tells how to fetch the log.
"""

import argparse
import cProfile
import gc
import io
import pstats
import sys
import tempfile
import time
from pathlib import Path

from slastream.app import lines_of_files, load_policy_path, replay
from slastream.cli import GC_THRESHOLDS
from slastream.core.units import parse_instant
from slastream.ingest.mapping import load_mapping
from slastream.local.output import write_events, write_lines

EXAMPLE = Path(__file__).parent.parent / "examples" / "uci"
UNTIL = "2017-03-01T00:00:00Z"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("log", help="the event log of UCI dataset 498, .csv, .gz or .xz")
    parser.add_argument("--profile", action="store_true", help="print where the time of the replay goes")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        importing = [import_us(options.log, events) for _ in range(options.rounds)]
        count = importing[0][1]
        replaying = [replay_us(events) for _ in range(options.rounds)]
        print(f"{count} events; CPU µs per event, best of {options.rounds}")
        print(f"import {min(us for us, _ in importing) / count:.1f}")
        print(f"replay {min(replaying) / count:.1f}")
        if options.profile:
            profile(events)
    return 0


def import_us(log: str, out: Path) -> tuple[float, int]:
    start = time.process_time()
    with out.open("wb") as file:
        lines = load_mapping(str(EXAMPLE / "mapping.yaml")).run([log], lambda refusal: print(refusal, file=sys.stderr))
        count = write_events(lines, file)
    return (time.process_time() - start) * 1e6, count


def replay_us(events: Path) -> float:
    start = time.process_time()
    policy = load_policy_path(EXAMPLE / "policy.yaml")
    result = replay(policy, lines_of_files([str(events)]), parse_instant(UNTIL), "verdicts")
    write_lines(result.lines, "jsonl", io.BytesIO())
    return (time.process_time() - start) * 1e6


def profile(events: Path) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(replay_us, events)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    sys.exit(main())
