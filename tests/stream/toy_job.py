"""A worker with a toy core: counts per key, an output at every hundredth, deadlines on request. Run by the tests.

Events are `{"due": <epoch µs> | null}`: an output declares a due instant once, when a tick at or after it was read.
With `--services` a second stage counts the outputs of the first, and what else comes in on another topic.
"""

import argparse
import logging
import sys
from datetime import datetime
from typing import Any

import orjson

from slastream.stream.runtime import Runtime
from slastream.stream.stage import Cut, Output, Record, Stage
from slastream.stream.worker import WorkerSettings, run_worker

META = b"\x00meta"


class Counter:
    """Per key: how many, and up to which offset of each topic, so that nothing counts twice."""

    def __init__(self, output_topic: str, every: int) -> None:
        self._output_topic = output_topic
        self._every = every
        self._keys: dict[bytes, dict[str, Any]] = {}
        self._due: dict[bytes, int] = {}
        self._seen: dict[str, int] = {}
        self._changed: set[bytes] = set()
        self._outputs: list[Output] = []

    def restore(self, key: bytes, value: bytes) -> None:
        loaded = orjson.loads(value)
        if key == META:
            self._seen = loaded["seen"]
        else:
            self._keys[key] = loaded
            if loaded["due"] is not None:
                self._due[key] = loaded["due"]

    def restored(self) -> None:
        pass

    def progress(self, value: bytes) -> int:
        return sum(orjson.loads(value)["seen"].values())

    def apply(self, record: Record) -> None:
        if record.offset < self._seen.get(record.topic, 0):
            return
        self._seen[record.topic] = record.offset + 1
        if record.value is None:
            return
        event = orjson.loads(record.value)
        if event.get("type") == "tick":
            self._tick(event, record)
            return
        assert record.key is not None
        state = self._keys.get(record.key)
        if state is None:
            state = self._keys[record.key] = {"n": 0, "due": None, "seen": {}}
        if record.offset < state["seen"].get(record.topic, 0):
            return
        state["seen"][record.topic] = record.offset + 1
        state["n"] += 1
        self._changed.add(record.key)
        if state["n"] % self._every == 0:
            self._emit(record.key, b"%s:%d" % (record.key, state["n"]), b"{}")
        if event.get("due") is not None:
            state["due"] = self._due[record.key] = event["due"]

    def _tick(self, event: dict[str, Any], record: Record) -> None:
        at = datetime.fromisoformat(event["at"])
        for key, due in list(self._due.items()):
            if due <= at.timestamp() * 1e6 + 1:
                del self._due[key]
                self._keys[key]["due"] = None
                self._keys[key]["seen"][record.topic] = record.offset + 1
                self._changed.add(key)
                self._emit(key, key + b":due", orjson.dumps({"at": event["at"]}))

    def _emit(self, partition_key: bytes, key: bytes, value: bytes) -> None:
        self._outputs.append(Output(self._output_topic, partition_key, key, value))

    def cut(self) -> Cut:
        state: list[tuple[bytes, bytes | None]] = [(key, orjson.dumps(self._keys[key])) for key in self._changed]
        state.append((META, orjson.dumps({"seen": self._seen})))
        outputs, self._outputs = self._outputs, []
        self._changed.clear()
        return Cut(state, outputs)

    def pass_over(self, offset: int) -> bool:
        return True

    def has_changes(self) -> bool:
        return bool(self._changed or self._outputs)

    @property
    def wake_at(self) -> int | None:
        return min(self._due.values()) if self._due else None

    @property
    def ticks_allowed(self) -> bool:
        return True


def stages(prefix: str, *, with_services: bool) -> list[Stage]:
    """The topics of a run begin with `prefix`."""
    tickets = f"{prefix}.tickets"
    verdicts = f"{prefix}.verdicts"
    first = Stage("tickets", (tickets,), f"{prefix}.tickets-table", tickets, lambda _: Counter(verdicts, 100))
    sources = (verdicts, f"{prefix}.monitoring")
    table = f"{prefix}.services-table"
    second = Stage("services", sources, table, verdicts, lambda _: Counter(f"{prefix}.compliance", 3), b"tick")
    return [first, second] if with_services else [first]


def say(what: str, runtime: Runtime) -> None:
    """One line on stdout, for the test that waits for it."""
    print(what, sorted(owned.name for owned in runtime.owned.values()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--delivery", default="exactly_once")
    parser.add_argument("--session-seconds", type=float, default=6.0)
    parser.add_argument("--instance", help="static membership")
    parser.add_argument("--services", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = WorkerSettings(
        broker=arguments.broker,
        app_id=arguments.prefix,
        delivery=arguments.delivery,
        group_instance_id=arguments.instance,
        session_timeout_seconds=arguments.session_seconds,
        heartbeat_interval_seconds=1.0,
    )
    chosen = stages(arguments.prefix, with_services=arguments.services)
    started: list[Runtime] = []
    run_worker(settings, chosen, on_start=started.append, on_ready=lambda runtime: say("ready", runtime))
    for r in started:
        print(
            f"stopped {r.records=} {r.chunks=} {r.rewinds=} {r.chain_breaks=} {r.stale_chunks=} {r.kept_partitions=}"
            f" {r.rebalances=}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
