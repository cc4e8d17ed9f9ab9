"""The measures, each a function of a `Run` that returns its result as JSON and says what it finds on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from benchmarks import harness, load
from benchmarks.deadlines import deadlines
from benchmarks.harness import Measured, median
from benchmarks.jobs.core import EVENTS, FACTS, TICKETS
from benchmarks.live import idle, latency
from benchmarks.restoring import restore
from benchmarks.run import Result, Run
from slastream.stream.topics import create_topics


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
        count = bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_500), end=datetime.now(UTC)))
        run.say(f"{count} events")
        subjects = run.choose(
            [
                harness.ours("slastream stage 1, exactly_once", "tickets"),
                harness.ours("slastream stage 1, at_least_once", "tickets", "at_least_once"),
                harness.ours("slastream both stages, exactly_once", "both"),
                harness.confluent_loop("tickets"),
                harness.bytewax("tickets", 30_000),
                harness.quix("tickets", 15_000),
                harness.stock_faust("tickets", 3_000),
            ]
        )
        return table(harness.interleaved(bench, subjects, TICKETS, run.runs, run.say))


def services(run: Run) -> Result:
    """Stage 2: verdicts to compliance."""
    with harness.bench(load.policy_text(), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        bench.load(TICKETS, load.ticket_events(run.size(6_000, 1_500), end=datetime.now(UTC)))
        first = harness.ours("slastream stage 1 (to make the verdicts)", "tickets", "at_least_once")
        harness.measure(bench, first, TICKETS, bench.ends(TICKETS))
        subjects = [harness.ours("slastream stage 2, exactly_once", "services")]
        return table(harness.interleaved(bench, subjects, "sla.verdicts", run.runs, run.say))


def growth(run: Run) -> Result:
    """CPU per event of both stages as agreements, services and the age of tickets grow; one run each."""
    events = run.size(80_000, 8_000)
    kinds = {
        "agreements": [(each, {"agreements": each}) for each in (1, 10, 100)],
        "services": [(each, {"services": each}) for each in (10, 100, 1_000, 10_000)],
        "events per ticket": [(each, {"events_per_ticket": each}) for each in (5, 50, 500)],
    }
    tables = []
    for name, cases in kinds.items():
        rows: list[list[float]] = []
        for value, options in cases:
            found = _grown(run, events, **options)
            rows.append([value, found.cpu_us, found.rate, found.rss_mib])
            run.say(f"{name} {value}: {found.cpu_us:.1f} µs")
        tables.append({"title": f"By {name}:", "head": [name, "CPU µs/event", "events/s", "RSS MiB"], "rows": rows})
    return {"tables": tables}


def _grown(run: Run, events: int, agreements: int = 1, services: int = 100, events_per_ticket: int = 8) -> Measured:
    with harness.bench(load.policy_text(agreements), is_quick=run.is_quick) as bench:
        asyncio.run(create_topics(bench.address, harness.PARTITIONS))
        tickets = events // events_per_ticket
        made = load.ticket_events(tickets, events_per_ticket, end=datetime.now(UTC), services=services, seed=run.seed)
        bench.load(TICKETS, made)
        return harness.measure(bench, harness.ours("both", "both"), TICKETS, bench.ends(TICKETS))


def table(found: dict[str, list[Measured]]) -> Result:
    """Medians per program, and the single runs."""
    names = ("rate", "cpu_us", "warm_rate", "warm_cpu_us", "rss_mib")
    return {
        "rows": {
            name: {each: median(runs, each) for each in names} | {"runs": len(runs)} for name, runs in found.items()
        },
        "single_runs": {name: [asdict(each) for each in runs] for name, runs in found.items()},
    }


MEASURES: dict[str, Callable[[Run], Result]] = {
    "counter": counter,
    "tickets": tickets,
    "services": services,
    "idle": idle,
    "restore": restore,
    "latency": latency,
    "deadlines": deadlines,
    "growth": growth,
}
