"""CPU of stage 2 for events of monitoring, without a broker: `python -m benchmarks.monitoring [--profile KIND]`.

200 services say something once a minute, three promises each (a month and a day of availability, 30 days of success), a cut
after each 4,000 events: heartbeats (all up), states (every fifth is down) and counts.
"""

import argparse
import cProfile
import pstats
import random
import time

import orjson

from slastream.core.policies import Policy
from slastream.core.rules import Rulebook
from slastream.core.units import DAY, MINUTE, Instant, format_instant
from slastream.stream.service_stage import ServicePartition
from slastream.stream.stage import Record
from slastream.wire.policy_file import load_policy

POLICY = """
version: 1
agreements:
  a:
    kind: sla
    promises:
      month: {metric: availability, target: 99.9%, window: month, alerts: burn_rate}
      day: {metric: availability, target: 99%, window: day}
      success: {metric: success, target: 99%, window: 30d, alerts: burn_rate}
"""
BEGIN = 1_772_409_600_000_000  # 2026-03-02
EVENTS, SERVICES, CUT = 40_000, 200, 4_000
KINDS = ("heartbeats", "states", "counts")


def events(kind: str) -> list[tuple[bytes, bytes]]:
    chance, found = random.Random(1), []
    for n in range(EVENTS):
        service = f"s{n % SERVICES}"
        event: dict[str, object] = {
            "service": service,
            "occurred_at": format_instant(Instant(BEGIN + n // SERVICES * MINUTE + n % SERVICES)),
        }
        if kind == "counts":
            event |= {"interval": "60s", "counts": {"good": 99 if chance.random() < 0.1 else 100, "total": 100}}
        else:
            event["state"] = "down" if kind == "states" and chance.random() < 0.2 else "up"
        found.append((service.encode(), orjson.dumps(event)))
    return found


def work(policy: Policy, lines: list[tuple[bytes, bytes]]) -> None:
    stage = ServicePartition(Rulebook(policy), 0)
    for offset, (key, value) in enumerate(lines, 1):
        stage.apply(Record("sla.monitoring", 0, offset, BEGIN + 100 * DAY, key, value, ()))
        if offset % CUT == 0:
            stage.cut()
    stage.cut()


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU of stage 2 for events of monitoring")
    parser.add_argument("--profile", choices=KINDS, help="show where the time of one kind goes")
    kind = parser.parse_args().profile
    policy = load_policy([("policy.yaml", POLICY)], lambda _: b"")
    if kind is not None:
        profile = cProfile.Profile()
        profile.runcall(work, policy, events(kind))
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
        return
    for each in KINDS:
        lines = events(each)
        before = time.process_time()
        work(policy, lines)
        print(f"{each}: {(time.process_time() - before) / len(lines) * 1e6:.1f} us an event")


if __name__ == "__main__":
    main()
