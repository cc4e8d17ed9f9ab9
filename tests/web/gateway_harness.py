"""A gateway as a process, a client that checks every answer against the OpenAPI document, and readers of the log."""

import asyncio
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from jsonschema import Draft202012Validator

REPOSITORY = Path(__file__).parents[2]
OPENAPI = yaml.safe_load((REPOSITORY / "topics/gateway.openapi.yaml").read_text(encoding="utf-8"))
PARTITIONS = 4
TOPICS = ("sla.tickets", "sla.monitoring", "sla.maintenance", "sla.rejected")


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)


def wait_until(condition: Callable[[], bool], limit_seconds: float, what: str) -> None:
    """Poll a condition; fail when it does not come."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_seconds} s: {what}"
        time.sleep(0.02)


def as_documented(method: str, path: str, answer: Answer) -> Answer:
    """The answer, after its status, headers and body were found to be as the OpenAPI document says."""
    template = "/v1/hooks/{adapter}" if path.startswith("/v1/hooks/") else path.partition("?")[0]
    responses = OPENAPI["paths"][template][method.lower()]["responses"]
    assert str(answer.status) in responses, (
        f"{method} {template} answers {answer.status}, which is not documented: {answer.text}"
    )
    response = _resolved(responses[str(answer.status)])
    for name, header in response.get("headers", {}).items():
        assert name in answer.headers
        Draft202012Validator(header["schema"]).validate(int(answer.headers[name]))
    media = answer.headers["Content-Type"].partition(";")[0]
    assert media in response["content"]
    if media == "application/json":
        schema = {**response["content"][media]["schema"], "components": OPENAPI["components"]}
        Draft202012Validator(schema).validate(answer.json)
    return answer


def _resolved(part: Any) -> Any:
    if "$ref" not in part:
        return part
    here = OPENAPI
    for name in part["$ref"].removeprefix("#/").split("/"):
        here = here[name]
    return here


class GatewayProcess:
    """`slastream gateway` on a free port of the loopback interface. Killed at the end of its block."""

    def __init__(self, broker: str, folder: Path, *arguments: str) -> None:
        self.log_path = folder / "gateway.txt"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "slastream.cli", "gateway", "--broker", broker, "--metrics", "127.0.0.1:0",
                    "--listen", "127.0.0.1:0", *arguments,
                ],
                stderr=log,
                cwd=REPOSITORY,
            )  # fmt: skip
        wait_until(lambda: self.address != "" or self.process.poll() is not None, 30, "the gateway listens")
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def address(self) -> str:
        found = re.findall(r"takes events at https?://([\d.]+:\d+)", self.log)
        return found[-1] if found else ""

    def wait_ready(self) -> Self:
        wait_until(lambda: self.get("/readyz").status == 200, 30, "the gateway is ready")
        return self

    def get(self, path: str) -> Answer:
        return self._ask(urllib.request.Request(f"http://{self.address}{path}"), path)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        request = urllib.request.Request(f"http://{self.address}{path}", data=body, headers=dict(headers or {}))
        return self._ask(request, path)

    def _ask(self, request: urllib.request.Request, path: str) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=30) as found:
                answer = Answer(found.status, dict(found.headers), found.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                answer = Answer(error.code, dict(error.headers), error.read().decode())
        return as_documented(request.get_method(), path, answer)

    def terminate(self) -> None:
        self.process.terminate()
        assert self.process.wait(45) == 0, self.log[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def run(work: Coroutine[Any, Any, Any]) -> None:
    """To its end, on a loop of its own."""
    asyncio.run(work)


class Written(NamedTuple):
    """A record of the log."""

    topic: str
    partition: int
    key: bytes
    value: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.value)


def written(broker: str) -> list[Written]:
    """All records of the topics that a gateway writes, now."""
    return asyncio.run(_read(broker))


async def _read(broker: str) -> list[Written]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None, fetch_max_wait_ms=20)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, each) for topic in TOPICS for each in range(PARTITIONS)])
        await consumer.seek_to_beginning(*consumer.assignment())
        ends = await consumer.end_offsets(consumer.assignment())
        records: list[Written] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for some in (await consumer.getmany(timeout_ms=50)).values():
                records += [Written(one.topic, one.partition, one.key, one.value) for one in some]
    finally:
        await consumer.stop()
    return records
