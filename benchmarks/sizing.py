"""How many workers, partitions, bytes and transactions a load needs, computed from what was measured.

    python -m benchmarks.sizing [--events-per-second N] [--open-tickets N] [--write]

Reads `results.json` beside this file. Without numbers it prints the worked examples; `--write` makes `docs/sizing.md` anew.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Json = dict[str, Any]

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "sizing.md"
USED_SHARE_OF_CORE = 0.6
"""Of a worker's core under its usual load: the rest is for the backlog after a restart and for the evening."""
PARTITIONS_PER_WORKER = 4
TICKET_COMMITS_PER_SECOND = 32
"""Of stage 1; `WorkerSettings.commits_per_second`."""
COMMITS_PER_SECOND = 48
"""Of a worker with both stages: the second makes half as many."""
COMMIT_INTERVAL_SECONDS = 0.05
STAGES = 2
MARKERS_BESIDE_VERDICTS = 4
"""Of a transaction of each stage: its changelog, its facts or its compliance."""
KEY = "slastream stage 1, exactly_once"
MEASURED_PARTITIONS = 8
"""Of the worker of `deadlines`."""
EXAMPLES = ((100, 10_000), (1_000, 100_000), (10_000, 1_000_000), (100_000, 10_000_000), (1_000_000, 100_000_000))


@dataclass(frozen=True, slots=True)
class Model:
    """What one unit costs. CPU in µs, memory and disk in bytes, shares of one core."""

    ticket_event_us: float
    verdict_us: float
    verdicts_per_event: float
    commit_us: float
    idle_share: float
    worker_bytes: float
    awake_ticket_bytes: float
    asleep_ticket_bytes: float
    awake_tickets: int
    changelog_event_bytes: float
    changelog_ticket_bytes: float
    restored_per_second: float
    records_per_ticket: float

    @property
    def event_us(self) -> float:
        """Both stages for one event of a ticket."""
        return self.ticket_event_us + self.verdicts_per_event * self.verdict_us


@dataclass(frozen=True, slots=True)
class Need:
    """What a load needs in total; `*_worker_*` is one worker's part."""

    workers: int
    partitions: int
    cores: float
    worker_memory_mib: float
    commits_per_second: float
    markers_per_second: float
    commit_cycle_seconds: float
    changelog_mb_per_second: float
    changelog_gib: float
    worker_restore_seconds: float


def fit(results: Json) -> Model:
    """The units, each from its own measure; the cost of a commit is what 1,000 events/s take above the sum."""
    growth = results["growth"]["tables"][1]
    usual = next(row for row in growth["rows"] if row[0] == 100)
    idle, held, sizes = (results[name]["values"] for name in ("idle", "deadlines", "memory"))
    ticket_event_us = _as_built(results["tickets"]["rows"], KEY)["cpu_us"]
    verdict_us = next(iter(results["services"]["rows"].values()))["cpu_us"]
    event_us = ticket_event_us + usual[3] * verdict_us
    more_awake = sizes["awake, bytes a ticket"] - sizes["asleep, bytes a ticket"]
    awake = sizes["awake at most, tickets of a partition"]
    held_awake = min(1.0, awake * MEASURED_PARTITIONS / held["open tickets"])
    asleep_bytes = held["memory per open ticket, bytes"] - held_awake * more_awake
    over_us = (idle["1,000 events/s"] - idle["no events"]) * 1e6 - 1_000 * event_us
    return Model(
        ticket_event_us=ticket_event_us,
        verdict_us=verdict_us,
        verdicts_per_event=usual[3],
        commit_us=max(over_us, 0.0) / COMMITS_PER_SECOND,
        idle_share=idle["no events"],
        worker_bytes=held["memory of a worker without tickets, bytes"],
        awake_ticket_bytes=asleep_bytes + more_awake,
        asleep_ticket_bytes=asleep_bytes,
        awake_tickets=awake,
        changelog_event_bytes=usual[4],
        changelog_ticket_bytes=held["changelog per ticket, bytes"],
        restored_per_second=held["restart: records restored per second of CPU"],
        records_per_ticket=held["restart: records of the changelogs that were restored"] / held["open tickets"],
    )


def _as_built(rows: Json, name: str) -> Json:
    """The line of the compiled wheel when it was measured, as the other measures have it."""
    found: Json = rows.get(f"{name}, compiled") or rows[name]
    return found


def checks(model: Model, results: Json) -> list[tuple[str, float, float]]:
    """(what, computed, measured) of measurements that `fit` does not use."""
    both = _as_built(results["both"]["rows"], "slastream both stages, exactly_once")
    both_us = model.event_us + COMMITS_PER_SECOND * model.commit_us / both["rate"]
    return [
        ("both stages at full load: CPU µs an event", both_us, both["cpu_us"]),
    ]


def need(model: Model, events_per_second: float, open_tickets: float) -> Need:
    """Enough workers that none uses more than `USED_SHARE_OF_CORE`: each is a process that cannot use a second core."""
    free = USED_SHARE_OF_CORE - model.idle_share - COMMITS_PER_SECOND * model.commit_us / 1e6
    if free <= 0:
        raise ValueError("a worker's fixed costs take all of its share of the core: the measurements do not fit")
    workers = max(1, math.ceil(events_per_second * model.event_us / 1e6 / free))
    partitions = max(8, PARTITIONS_PER_WORKER * workers)
    owned = STAGES * partitions / workers
    commits = workers * min(COMMITS_PER_SECOND, owned / COMMIT_INTERVAL_SECONDS)
    tickets = open_tickets / workers
    outputs = events_per_second * model.verdicts_per_event / (commits / STAGES)
    touched = partitions * (1 - (1 - 1 / partitions) ** outputs)
    return Need(
        workers=workers,
        partitions=partitions,
        cores=events_per_second * model.event_us / 1e6 + workers * model.idle_share + commits * model.commit_us / 1e6,
        worker_memory_mib=_memory_bytes(model, tickets, partitions / workers) / 2**20,
        commits_per_second=commits,
        markers_per_second=commits / STAGES * (touched + MARKERS_BESIDE_VERDICTS),
        commit_cycle_seconds=max(owned / STAGES / TICKET_COMMITS_PER_SECOND, COMMIT_INTERVAL_SECONDS),
        changelog_mb_per_second=events_per_second * model.changelog_event_bytes / 1e6,
        changelog_gib=open_tickets * model.changelog_ticket_bytes / 2**30,
        worker_restore_seconds=tickets * model.records_per_ticket / model.restored_per_second,
    )


def _memory_bytes(model: Model, tickets: float, partitions: float) -> float:
    """Of a worker with so many open tickets in so many partitions."""
    awake = min(tickets, model.awake_tickets * partitions)
    return model.worker_bytes + awake * model.awake_ticket_bytes + (tickets - awake) * model.asleep_ticket_bytes


def page(results: Json) -> str:
    """The text of `docs/sizing.md`."""
    model = fit(results)
    head = ["events/s", "open tickets", "workers", "partitions", "cores used", "MiB a worker", "commits/s", "markers/s"]
    head += ["commit cycle, s", "changelog MB/s", "changelog GiB", "restore of a worker, s of CPU"]
    examples = []
    for rate, tickets in EXAMPLES:
        one = need(model, rate, tickets)
        examples.append(
            [
                f"{rate:,}", f"{tickets:,}", f"{one.workers:,}", f"{one.partitions:,}", f"{one.cores:,.1f}",
                f"{one.worker_memory_mib:,.0f}", f"{one.commits_per_second:,.0f}", f"{one.markers_per_second:,.0f}",
                f"{one.commit_cycle_seconds:.2f}", f"{one.changelog_mb_per_second:,.1f}", f"{one.changelog_gib:,.1f}",
                f"{one.worker_restore_seconds:,.1f}",
            ]
        )  # fmt: skip
    checked = [
        [what, f"{computed:.3g}", f"{measured:.3g}", f"{(computed / measured - 1) * 100:+.0f} %"]
        for what, computed, measured in checks(model, results)
    ]
    loads = ", ".join(f"{name} {results[name]['machine'].get('load_average', '?')}" for name in _USED)
    return _PAGE.format(
        model=model,
        event_us=model.event_us,
        million_gib=2 * _memory_bytes(model, 500_000, PARTITIONS_PER_WORKER) / 2**30,
        base_mib=model.worker_bytes / 2**20,
        used=USED_SHARE_OF_CORE,
        per_worker=PARTITIONS_PER_WORKER,
        pace=COMMITS_PER_SECOND,
        hot=1e6 / model.verdict_us,
        loads=loads,
        checks=_table(["what", "computed", "measured", "error"], checked),
        examples=_table(head, examples),
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--events-per-second", type=float)
    parser.add_argument("--open-tickets", type=float, default=0.0)
    parser.add_argument("--write", action="store_true", help="make docs/sizing.md anew")
    options = parser.parse_args()
    results = orjson.loads((HERE / "results.json").read_bytes())
    if options.events_per_second is not None:
        found = need(fit(results), options.events_per_second, options.open_tickets)
        for name in Need.__slots__:
            print(f"{name.replace('_', ' '):24} {getattr(found, name):,.1f}")
        return 0
    text = page(results)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


_USED = ("tickets", "services", "both", "growth", "idle", "deadlines")
_PAGE = """\
# Sizing

Made by `python -m benchmarks.sizing --write` from [what was measured](../benchmarks/RESULTS.md). For your own numbers:
`python -m benchmarks.sizing --events-per-second 20000 --open-tickets 500000`.

## Measured

On a shared machine with 2 cores that the broker, the feeder and other people's work used too (load average when each ended:
{loads}).
Such a machine makes CPU times longer, so what follows rather asks for too much. The mix is that of the benchmark: 8 events a
ticket, two promises, 100 services.

| what | value | measure |
|---|---|---|
| stage 1, CPU µs an event | {model.ticket_event_us:.1f} | `tickets` |
| stage 2, CPU µs a verdict | {model.verdict_us:.1f} | `services` |
| verdicts an event | {model.verdicts_per_event:.2f} | `growth` |
| a worker without events, share of a core | {model.idle_share:.3f} | `idle` |
| a commit, CPU µs | {model.commit_us:.0f} | `idle`: what 1,000 events/s take above the lines before, by {pace} commits a second |
| a worker without tickets, MiB | {base_mib:.0f} | `deadlines` |
| an open ticket, bytes; {model.awake_tickets:,} a partition at most | {model.awake_ticket_bytes:,.0f} | the next line, `memory` |
| each further one, asleep, bytes | {model.asleep_ticket_bytes:,.0f} | `deadlines`, both stages |
| an open ticket in the changelog, bytes | {model.changelog_ticket_bytes:,.0f} | `deadlines` |
| written to the changelog, bytes an event | {model.changelog_event_bytes:,.0f} | `growth` |
| records restored in a second of CPU, starting included | {model.restored_per_second:,.0f} | `deadlines` |
| records of both changelogs a ticket | {model.records_per_ticket:.1f} | `deadlines` |

## Checked

Computed from the lines above, and measured. The cost of a commit is what 1,000 events/s take above the cost of their events; at
full load the model asks for too much therefore. Memory has no check: one number of tickets was measured in a whole worker.

{checks}

## Computed

An event costs {event_us:.0f} µs in both stages. A worker is one process that uses one core, to {used:.0%} at most;
{per_worker} partitions a worker, so that they can be spread over more of them later; exactly once. **The line of 1,000
events/s is near what was measured; those of more are the model's and were never run.**

{examples}

*Commits* are transactions, {pace} a second and worker at most. *Markers* are what the brokers write to end them: one in each
partition that a transaction touched (verdicts by service, facts, changelog). *Commit cycle*: how long a fact waits at
most for its partition's turn under a steady load. Memory is that of tickets one event old; longer histories sleep as bytes.

## What breaks first

1. **One service.** All verdicts of a service go to one partition of stage 2: {hot:,.0f} verdicts a second with a whole core for
   it. More workers do not help; split the service.
2. **Memory of many open tickets.** A million of them take {million_gib:.1f} GiB in workers with {per_worker} partitions and half a
   million tickets each.
3. **Partitions for a worker.** More than 8 partitions of both stages make the commit cycle longer than 0.25 s: facts come
   later. Add workers.
4. **Transactions of the brokers.** Markers grow with commits times touched partitions. Fewer and larger commits are the way
   out. What a cluster takes was not measured: there was one broker.
5. **A restart.** The partitions of a worker pause while they are restored: the last column, and longer where the core is shared.
"""

if __name__ == "__main__":
    raise SystemExit(main())
