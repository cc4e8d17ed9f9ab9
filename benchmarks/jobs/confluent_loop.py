"""A loop by hand on librdkafka: changed keys to a changelog and facts out, flushed and committed each second."""

import argparse
import gc
import time
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer

from benchmarks.jobs.core import EVENTS, FACTS, TICKETS, Tickets, count

COMMIT_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--broker", "--group", "--job", "--table"):
        parser.add_argument(name, required=True)
    parser.add_argument("--policy")
    options = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": options.broker,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": options.broker,
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "murmur2",
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    consumer.subscribe([EVENTS if options.job == "counter" else TICKETS])
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    (counter if options.job == "counter" else tickets)(consumer, producer, options)


def counter(consumer: Any, producer: Any, options: argparse.Namespace) -> None:
    states: dict[bytes, list[int]] = {}
    dirty: dict[bytes, list[int]] = {}
    committed = time.monotonic()
    while True:
        for message in consumer.consume(1000, 0.1):
            key = message.key()
            state = states.get(key)
            if state is None:
                state = states[key] = [-1, 0]
            fact = count(state, message.offset(), key, message.value())
            if fact is not None:
                producer.produce(FACTS, fact[1], fact[0])
            dirty[key] = state
        if dirty and time.monotonic() - committed > COMMIT_SECONDS:
            for key, state in dirty.items():
                producer.produce(options.table, orjson.dumps(state), key)
            dirty.clear()
            producer.flush()
            consumer.commit(asynchronous=False)
            committed = time.monotonic()


def tickets(consumer: Any, producer: Any, options: argparse.Namespace) -> None:
    core = Tickets(options.policy)
    committed = time.monotonic()
    pending = 0
    while True:
        for message in consumer.consume(1000, 0.1):
            core.apply(message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value())
            pending += 1
        if pending and time.monotonic() - committed > COMMIT_SECONDS:
            for _, state, outputs in core.cuts():
                for topic, key, value in outputs:
                    producer.produce(topic, value, key)
                for key, value in state:
                    producer.produce(options.table, value, key)
            producer.flush()
            consumer.commit(asynchronous=False)
            committed, pending = time.monotonic(), 0


if __name__ == "__main__":
    main()
