"""Ours: the counter job on the lane, or the stages of `slastream worker`, each alone or together."""

import argparse
import logging
from dataclasses import replace
from typing import Any

import orjson

from benchmarks.jobs.core import EVENTS, EVERY, FACTS
from slastream.app import load_policy_path, make_stages
from slastream.stream.stage import Cut, Output, Record, Stage
from slastream.stream.worker import WorkerSettings, run_worker

META = b"\x00meta"


class Counter:
    """A `Processor` that counts per key. State: [last offset, events]."""

    wake_at = None
    ticks_allowed = True

    def __init__(self) -> None:
        self._keys: dict[bytes, list[int]] = {}
        self._changed: dict[bytes, list[int]] = {}
        self._outputs: list[Output] = []
        self._offset = -1

    def progress(self, value: bytes) -> int:
        loaded = orjson.loads(value)
        return int(loaded[0])

    def restore(self, key: bytes, value: bytes) -> None:
        loaded = orjson.loads(value)
        if key == META:
            self._offset = loaded[0]
        else:
            self._keys[key] = loaded

    def restored(self) -> None:
        pass

    def apply(self, record: Record) -> None:
        _, _, offset, _, key, value, _ = record
        if key is None or value is None or offset <= self._offset:
            return
        self._offset = offset
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = [-1, 0]
        event = orjson.loads(value)
        state[0] = offset
        state[1] += 1
        if not state[1] % EVERY:
            self._outputs.append(
                Output(FACTS, None, b"%s:%d" % (key, state[1]), b'{"latency_ms":%d}' % event["latency_ms"])
            )
        self._changed[key] = state

    def cut(self) -> Cut:
        state: list[tuple[bytes, bytes | None]] = [(key, orjson.dumps(each)) for key, each in self._changed.items()]
        state.append((META, orjson.dumps([self._offset])))
        outputs, self._outputs, self._changed = self._outputs, [], {}
        return Cut(state, outputs)

    def pass_over(self, _: int) -> bool:
        return False

    def has_changes(self) -> bool:
        return bool(self._changed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--job", required=True, choices=("counter", "tickets", "services", "both"))
    parser.add_argument("--table", required=True, help="changelog of the first stage")
    parser.add_argument("--policy")
    parser.add_argument("--delivery", default="exactly_once")
    parser.add_argument("--instance")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("NAME", "NUMBER"), help="a setting")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if options.job == "counter":
        chosen = [Stage("counter", (EVENTS,), options.table, EVENTS, lambda _: Counter())]
    else:
        tickets, services = make_stages(load_policy_path(options.policy))
        chosen = {"tickets": [tickets], "services": [services], "both": [tickets, services]}[options.job]
        chosen[0] = chosen[0]._replace(table=options.table)
    settings = WorkerSettings(
        broker=options.broker,
        app_id=options.group,
        delivery=options.delivery,
        group_instance_id=options.instance,
    )
    numbers: dict[str, Any] = {name: float(number) for name, number in options.set}
    settings = replace(settings, **numbers)
    run_worker(settings, chosen)


if __name__ == "__main__":
    main()
