"""Quix Streams: a stateful `apply` on RocksDB with its changelog, as its documentation shows, committed each second."""

import argparse
from typing import Any

from quixstreams import Application, message_context

from benchmarks.jobs.core import EVENTS, FACTS, TICKETS, Outputs, Tickets, count, cut


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--broker", "--group", "--job", "--folder"):
        parser.add_argument(name, required=True)
    parser.add_argument("--policy")
    options = parser.parse_args()
    app = Application(
        broker_address=options.broker,
        consumer_group=options.group,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=options.folder,
        loglevel="WARNING",
    )
    app = (counter if options.job == "counter" else tickets)(app, options)
    app.run()


def counter(app: Any, _: argparse.Namespace) -> Any:
    events = app.topic(EVENTS, key_deserializer="bytes", value_deserializer="bytes")
    facts = app.topic(FACTS, key_serializer="bytes", value_serializer="bytes")

    def step(value: bytes, key: bytes, _: int, __: Any, state: Any) -> list[bytes]:
        held = state.get("state") or [-1, 0]
        fact = count(held, held[0] + 1, key, value)
        state.set("state", held)
        return [] if fact is None else [fact[1]]

    app.dataframe(events).apply(step, stateful=True, metadata=True, expand=True).to_topic(facts)
    return app


def tickets(app: Any, options: argparse.Namespace) -> Any:
    core = Tickets(options.policy)
    events = app.topic(TICKETS, key_deserializer="bytes", value_deserializer="bytes")

    def step(value: bytes, key: bytes, timestamp_ms: int, _: Any, state: Any) -> Outputs:
        context = message_context()
        changed, outputs = cut(core.apply(context.partition, context.offset, timestamp_ms, key, value))
        for name, held in changed:
            state.set_bytes(name.decode("latin-1"), held)  # keys of the log are no UTF-8
        return outputs

    frame = app.dataframe(events).apply(step, stateful=True, metadata=True, expand=True)
    for name in ("sla.verdicts", "sla.breaches", "sla.ledger"):
        topic = app.topic(name, key_serializer="bytes", value_serializer="bytes")
        chosen = frame.filter(lambda output, name=name: output[0] == name)
        chosen.apply(lambda output: output[2]).to_topic(topic)
    return app


if __name__ == "__main__":
    main()
