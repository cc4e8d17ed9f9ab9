"""Stock Faust: an agent over events, a table with its changelog set at each event, facts sent to a topic."""

import os
from typing import Any

import faust
import orjson

from benchmarks.jobs.core import EVENTS, FACTS, TICKETS, Tickets, count, cut

JOB = os.environ["BENCHMARK_JOB"]
app = faust.App(
    os.environ["BENCHMARK_GROUP"],
    broker=f"kafka://{os.environ['BENCHMARK_BROKER']}",
    store="memory://",
    topic_partitions=int(os.environ["BENCHMARK_PARTITIONS"]),
    broker_commit_interval=1.0,
    producer_linger=0.005,
    table_standby_replicas=0,
    web_enabled=False,
    datadir=os.environ["BENCHMARK_FOLDER"],
)
RAW = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
events = app.topic(EVENTS if JOB == "counter" else TICKETS, **RAW)
table = app.Table("state", key_type=bytes, value_type=bytes)
out = {name: app.topic(name, **RAW) for name in (FACTS, "sla.verdicts", "sla.breaches", "sla.ledger")}
core: Any = Tickets(os.environ["BENCHMARK_POLICY"]) if JOB == "tickets" else None


@app.agent(events)  # type: ignore[untyped-decorator]  # Faust is untyped here
async def process(stream: Any) -> None:
    async for event in stream.events():
        if JOB == "counter":
            held = table.get(event.key)
            state = [-1, 0] if held is None else orjson.loads(held)
            fact = count(state, event.message.offset, event.key, event.value)
            if fact is not None:
                await out[FACTS].send(key=fact[0], value=fact[1])
            table[event.key] = orjson.dumps(state)
            continue
        message = event.message
        at = int(message.timestamp * 1000)
        changed, outputs = cut(core.apply(message.partition, message.offset, at, event.key, event.value))
        for topic, key, value in outputs:
            await out[topic].send(key=key, value=value)
        for key, value in changed:
            table[key] = value


if __name__ == "__main__":
    app.main()
