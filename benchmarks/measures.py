"""The measures, each a function of a `Run` that returns its result as JSON and says what it finds on the way."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import harness, load
from benchmarks.deadlines import deadlines
from benchmarks.harness import Measured, median
from benchmarks.jobs.core import EVENTS, FACTS, TICKETS
from benchmarks.live import idle, latency
from benchmarks.memory import memory
from benchmarks.restoring import restore
from benchmarks.run import Result, Run
from benchmarks.scaling import workers
from benchmarks.scrape import scrape
from benchmarks.stages import PARTITIONS, Stages, ticket_records, verdict_records
from slastream.app import make_stages
from slastream.stream.topics import create_topics
from slastream.wire.policy_file import load_policy


def counter(run: Run) -> Result:
    """The counter job: 160-byte events, a counter per key with its changelog, a fact at each hundredth."""
    with harness.bench(is_quick=run.is_quick) as bench:
        bench.create(EVENTS, FACTS)
        bench.load(EVENTS, load.counter_events(run.size(1_500_000, 40_000)))
        subjects = run.choose(
            [
                harness.raw_aiokafka(EVENTS),
                harness.ours("slastream lane, exactly_once", "counter"),
                harness.ours("slastream lane, at_least_once", "counter", "at_least_once"),
                harness.kafka_streams(EVENTS, FACTS, "at_least_once"),
                harness.kafka_streams(EVENTS, FACTS, "exactly_once_v2"),
                harness.confluent_loop("counter"),
                harness.bytewax("counter", 400_000),
                harness.quix("counter", 200_000),
                harness.stock_faust("counter", 25_000),
            ]
        )
        return table(harness.interleaved(bench, subjects, EVENTS, run.runs, run.say))


def tickets(run: Run) -> Result:
    """Stage 1 whole: decode, policy, clocks, corrections, verdicts, facts, changelog, all durable."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bench.create(FACTS)
        count = bench.load(TICKETS, load.ticket_events(run.size(30_000, 1_500), end=datetime.now(UTC)))
        run.say(f"{count} events")
        subjects = run.choose(
            [
                harness.ours("slastream stage 1, exactly_once", "tickets"),
                harness.ours("slastream stage 1, at_least_once", "tickets", "at_least_once"),
                harness.confluent_loop("tickets"),
                harness.bytewax("tickets", count),
                harness.quix("tickets", 40_000),
                harness.stock_faust("tickets", 3_000),
            ]
        )
        if harness.newest_wheel() is not None:
            subjects += [harness.as_built(each) for each in subjects]
        return table(harness.interleaved(bench, subjects, TICKETS, run.runs, run.say, ("sla.verdicts", "sla.breaches")))


def uci(run: Run) -> Result:
    """Stage 1 on a real incident log, which `SLASTREAM_UCI_LOG` names: imported as a user would."""
    log = os.environ.get("SLASTREAM_UCI_LOG")
    if log is None:
        return {"notes": ["Not run: SLASTREAM_UCI_LOG names the log; `examples/uci` says where to fetch it."]}
    example = harness.REPOSITORY / "examples" / "uci"
    with harness.bench((example / "policy.yaml").read_text("utf-8"), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bring = [sys.executable, "-m", "slastream.cli", "import", str(example / "mapping.yaml"), log]
        subprocess.run([*bring, "--broker", bench.address], check=True, timeout=300)
        subjects = run.choose(
            [harness.ours("slastream stage 1, exactly_once", "tickets"), harness.confluent_loop("tickets")]
        )
        if harness.newest_wheel() is not None:
            subjects += [harness.as_built(each) for each in subjects]
        return table(harness.interleaved(bench, subjects, TICKETS, run.runs, run.say, ("sla.verdicts", "sla.breaches")))


def both(run: Run) -> Result:
    """Both stages in one worker, on a broker of its own: the second reads the verdicts of the first and no others."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_500), end=datetime.now(UTC)))
        subjects = [harness.as_built(harness.ours("slastream both stages, exactly_once", "both"))]
        return table(harness.interleaved(bench, subjects, TICKETS, 1, run.say, ("sla.verdicts",)))


def services(run: Run) -> Result:
    """Stage 2: verdicts to compliance."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_500), end=datetime.now(UTC)))
        first = harness.ours("slastream stage 1 (to make the verdicts)", "tickets", "at_least_once")
        harness.measure(bench, first, TICKETS, bench.ends(TICKETS))
        subjects = [harness.as_built(harness.ours("slastream stage 2, exactly_once", "services"))]
        return table(harness.interleaved(bench, subjects, "sla.verdicts", run.runs, run.say))


def growth(run: Run) -> Result:
    """CPU per event of the stages' processors, without a broker, as agreements, services and the age of tickets grow."""
    events = run.size(24_000, 2_000)
    kinds: dict[str, list[tuple[int, dict[str, int]]]] = {
        "agreements": [(each, {"agreements": each}) for each in (1, 10, 100)],
        "services": [(each, {"services": each}) for each in (10, 100, 1_000, 10_000)],
        "events per ticket": [(each, {"events_per_ticket": each}) for each in (5, 50, 500)],
    }
    tables = []
    for name, cases in kinds.items():
        rows: list[list[float]] = []
        for value, options in cases:
            found = min((_grown(events, run.seed, **options) for _ in range(run.runs)), key=lambda each: each[0])
            rows.append([value, *found])
            run.say(f"{name} {value}: stage 1 {found[0]:.1f} µs an event, stage 2 {found[1]:.1f} µs a verdict")
        head = [name, "stage 1, CPU µs/event", "stage 2, CPU µs/verdict", "verdicts/event", "changelog bytes/event"]
        tables.append({"title": f"By {name}:", "head": head, "rows": rows})
    notes = [f"{events:,} events a case, the best of {run.runs}; from the sources.", "![How cost grows](growth.svg)"]
    return {"tables": tables, "notes": notes}


def _grown(events: int, seed: int, agreements: int = 1, services: int = 100, events_per_ticket: int = 8) -> list[float]:
    """Stage 1 in µs an event, stage 2 in µs a verdict, verdicts an event, bytes of changelog an event."""
    tickets = max(events // events_per_ticket, PARTITIONS)
    made = load.ticket_events(tickets, events_per_ticket, end=datetime.now(UTC), services=services, seed=seed)
    records = ticket_records(value for _, value in made)
    policy = load_policy([("policy.yaml", load.policy_text(agreements))], lambda name: Path(name).read_bytes())
    stage_of = {stage.name: stage.make for stage in make_stages(policy)}
    first, second = Stages(stage_of["tickets"]), Stages(stage_of["services"])
    first_us = sum(first.feed(records))
    verdicts = verdict_records(first.outputs)
    second_us = sum(second.feed(verdicts))
    count = len(records)
    return [first_us / count, second_us / len(verdicts), len(verdicts) / count, first.state_bytes / count]


def table(found: dict[str, list[Measured]]) -> Result:
    """Medians per program, and the single runs."""
    names = ("rate", "cpu_us", "warm_rate", "warm_cpu_us", "rss_mib")
    return {
        "rows": {
            name: {each: median(runs, each) for each in names} | {"runs": len(runs), "outputs": dict(runs[-1].outputs)}
            for name, runs in found.items()
        },
        "single_runs": {name: [asdict(each) for each in runs] for name, runs in found.items()},
    }


MEASURES: dict[str, Callable[[Run], Result]] = {
    "counter": counter,
    "tickets": tickets,
    "uci": uci,
    "services": services,
    "both": both,
    "idle": idle,
    "restore": restore,
    "latency": latency,
    "deadlines": deadlines,
    "growth": growth,
    "memory": memory,
    "scrape": scrape,
    "workers": workers,
}
