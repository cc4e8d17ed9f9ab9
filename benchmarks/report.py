"""`results.json` and the page `RESULTS.md` that is made from it."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from matplotlib.figure import Figure

from benchmarks.harness import PARTITIONS
from benchmarks.load import MIX
from slastream.local.kafka import KAFKA_VERSION

Json = dict[str, Any]

TITLES = {
    "counter": "Counter job: 160-byte events, a counter per key with its changelog, a fact at each hundredth",
    "tickets": "Ticket job (stage 1): decode, policy, clocks, verdicts, facts, changelog, all durable",
    "uci": "Ticket job (stage 1) on the public UCI incident log",
    "services": "Service stage (stage 2): verdicts to compliance",
    "both": "Both stages in one worker: tickets to compliance",
    "idle": "CPU of a worker with both stages unless it says otherwise, exactly_once, as a share of one core",
    "restore": "Restore: records of a changelog per second",
    "latency": "Event produced to fact readable",
    "deadlines": "1,000,000 open tickets: memory, breaches on time, scrapes, a restart",
    "workers": "Several workers against one",
    "growth": "How cost grows",
    "memory": "An open ticket of one event in the memory of stage 1",
    "scrape": "A scrape of a worker with more than 20,000 series",
}


def write_report(folder: Path, name: str, result: Json, command: str) -> None:
    """Put one result into the JSON, beside those of other measures, and make the page anew."""
    path = folder / "results.json"
    results: Json = orjson.loads(path.read_bytes()) if path.exists() else {}
    results[name] = {
        "command": command,
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        **machine(),
        **result,
    }
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n")
    (folder / "RESULTS.md").write_text(page(results), encoding="utf-8")
    if name == "growth":
        plot(result["tables"], folder / "growth.svg")


def plot(tables: list[Json], path: Path) -> None:
    """The first two columns beside the first of each table, side by side."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, table in zip(figure.subplots(1, len(tables), sharey=True), tables, strict=True):
        values = [row[0] for row in table["rows"]]
        for column, marker in ((1, "o"), (2, "s")):
            axes.plot(values, [row[column] for row in table["rows"]], marker=marker, label=table["head"][column])
        axes.set(xscale="log", xlabel=table["head"][0], ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("CPU µs")
    figure.axes[0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def commit() -> str:
    """The commit of the sources, empty outside a work tree."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    ).stdout.strip()


def machine() -> Json:
    """Where it was measured, without names."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "machine": {
            "cores": os.cpu_count(),
            "cpu": cpu[1] if cpu else platform.machine(),
            "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
            "python": platform.python_version(),
            "kafka": KAFKA_VERSION,
            "load_average": round(os.getloadavg()[0], 1),
        }
    }


def page(results: Json) -> str:
    """The page of all results."""
    parts = [_HEAD.format(partitions=PARTITIONS, mix=MIX)]
    for name in sorted(results, key=lambda each: list(TITLES).index(each) if each in TITLES else 99):
        result = results[name]
        where = result["machine"]
        parts.append(f"\n## {TITLES.get(name, name)}\n")
        parts.append(
            f"`{result['command']}`, {result['at']}{_commit(result)};"
            f" {where['cores']} cores ({where['cpu']}), {where['memory_gib']} GiB,"
            f" CPython {where['python']}, Kafka {where['kafka']}{_load(where)}.\n"
        )
        if "rows" in result:
            parts.append(_subjects(result["rows"]))
        if "values" in result:
            parts.append(_table(["what", "value"], [[key, _number(value)] for key, value in result["values"].items()]))
        parts += [
            f"{each['title']}\n\n" + _table(each["head"], [[_number(one) for one in row] for row in each["rows"]])
            for each in result.get("tables", [])
        ]
        parts += [f"{note}\n" for note in result.get("notes", [])]
    return "\n".join(parts)


def _commit(result: Json) -> str:
    return f", commit {result['commit']}" if result.get("commit") else ""


def _load(where: Json) -> str:
    """How busy the machine was at the end, with what was measured itself (about 3 on a machine of its own)."""
    return f"; load average {where['load_average']}" if "load_average" in where else ""


def _subjects(rows: Json) -> str:
    """One line per program; ratios are to the first one of ours."""
    ours = next(name for name in rows if name.startswith("slastream"))
    base = rows[ours]
    lines = [
        [
            name, f"{row['rate']:,.0f}", f"{row['cpu_us']:.1f}", f"{row['warm_cpu_us']:.1f}", f"{base['rate'] / row['rate']:.2f}",
            f"{row['cpu_us'] / base['cpu_us']:.2f}", f"{row['rss_mib']:.0f}", str(row["runs"]),
            *(f"{each:,}" for each in row.get("outputs", {}).values()),
        ]
        for name, row in rows.items()
    ]  # fmt: skip
    head = [
        "program",
        "events/s",
        "CPU µs/event",
        "warm CPU µs",
        "our rate / its rate",
        "its CPU / our CPU",
        "RSS MiB",
        "runs",
        *base.get("outputs", {}),
    ]
    return _table(head, lines) + f'\n"Our" is *{ours}*.\n'


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_HEAD = """\
# Results

Generated by `python -m benchmarks`; numbers are medians. Everything ran on one machine that the broker shared with the
measured program, so compare **ratios**: a rate in one line says little about another machine. CPU is user and system time of
the measured process alone, from its first durable commit to its last, per event. *Warm* is the second half of the run,
which is what a JVM needs. Rounds are interleaved: each program once, then again in the opposite order. {partitions} partitions.

What is not alike: Bytewax has no changelog in Kafka and commits no offsets (it snapshots to its own files each second). Our
default, exactly_once, commits in transactions, a partition each 50 ms and a worker at most 32 times a second in stage 1 and 16
in stage 2; Kafka Streams' exactly_once_v2 every 100 ms; everybody else each second. A longer interval is less work where a key
changes often.
In the ticket job every system calls slastream's own ticket processor for each event; Faust and Quix put the changed ticket
into their table each time, Bytewax those of a batch together, the loop by hand and we what changed since the last commit. They are
spared reading tickets back from their stores: the processor keeps them in memory. The line *compiled* is `make wheel` in place
of the sources; all other lines, the peers' too, run the processor from its sources. The last two columns count what each run
published: ratios are of equal work where they are equal. Bytewax hands over the events of a ticket in batches, so of several
verdicts of a batch only the last is published; Faust was fed fewer events.

The synthetic tickets: {mix}
"""
