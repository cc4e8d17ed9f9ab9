"""The floor: aiokafka's `getmany` and nothing else; offsets are committed each second."""

import argparse
import gc
import time

import uvloop
from aiokafka import AIOKafkaConsumer


async def consume(broker: str, group: str, topic: str) -> None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=broker, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    said = 0.0
    while True:
        await consumer.getmany(timeout_ms=100)
        if time.monotonic() - said > 1:
            said = time.monotonic()
            await consumer.commit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--broker", "--group", "--topic"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    uvloop.run(consume(options.broker, options.group, options.topic))
