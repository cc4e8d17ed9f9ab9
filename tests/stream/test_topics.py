"""What other teams read of `topics/`, and the topics of a real broker against it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from jsonschema import Draft202012Validator

from slastream.errors import DeliveryError, EventError, PolicyError
from slastream.local.kafka import KafkaBroker
from slastream.stream.topics import (
    check_topics,
    create_topics,
    list_topics,
    load_declarations,
    load_schema,
    schema_names,
)

TOPICS = Path(__file__).parents[2] / "topics"
EXAMPLES = sorted((TOPICS / "examples").glob("*/*.json"))
SCHEMAS = sorted(path.name.removesuffix(".schema.json") for path in (TOPICS / "schemas").iterdir())
INPUTS = {"ticket-event", "monitoring-event", "maintenance-event", "tick"}


def _schema_of(example: Path) -> str:
    return example.name.split(".")[0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_has_examples_of_both_sorts(name: str) -> None:
    assert {path.parent.name for path in EXAMPLES if _schema_of(path) == name} == {"valid", "invalid"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_what_its_folder_says(example: Path) -> None:
    validator = Draft202012Validator(load_schema(_schema_of(example)))
    errors = [error.message for error in validator.iter_errors(json.loads(example.read_bytes()))]
    assert (errors == []) == (example.parent.name == "valid"), errors


@pytest.mark.parametrize(
    "example",
    [path for path in EXAMPLES if _schema_of(path) in INPUTS],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_the_decoder_judges_an_input_as_its_schema_does(example: Path) -> None:
    from slastream.wire.events import decode_event

    if example.parent.name == "valid":
        decode_event(example.read_bytes())
    else:
        with pytest.raises(EventError):
            decode_event(example.read_bytes())


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load((TOPICS / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    for reference in _references(document):
        if reference.startswith("#/"):
            node = document
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (TOPICS / reference).is_file(), reference


def test_the_asyncapi_document_describes_the_declared_topics_with_their_schemas() -> None:
    document = yaml.safe_load((TOPICS / "asyncapi.yaml").read_text())
    messages = document["components"]["messages"]
    described = {
        channel["address"]: {
            messages[message["$ref"].rsplit("/", 1)[1]]["payload"]["$ref"] for message in channel["messages"].values()
        }
        for channel in document["channels"].values()
    }
    declared = {
        topic.name: {f"./schemas/{name}.schema.json" for name in topic.schemas}
        for topic in load_declarations().topics
        if topic.schemas
    }
    assert described == declared


def test_only_the_inputs_have_the_brokers_time() -> None:
    by_broker = {t.name for t in load_declarations().topics if t.config.get("message.timestamp.type")}
    assert by_broker == {"sla.tickets", "sla.monitoring", "sla.maintenance"}


def test_an_unknown_schema_is_refused_with_the_names_there_are() -> None:
    assert schema_names() == SCHEMAS
    with pytest.raises(PolicyError, match=r"'ticket'.*ticket-event"):
        load_schema("ticket")


def test_a_broker_that_is_not_there_is_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DeliveryError, match=rf"^no Kafka at {address} \(.*\): start it, or name another") as caught:
            asyncio.run(check_topics(address))
    assert "\n" not in str(caught.value)


@pytest.fixture
def empty_kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of its own: these tests are about what is on it."""
    with KafkaBroker.start(tmp_path) as broker:
        yield broker


async def _replace(broker: KafkaBroker, topics: list[NewTopic]) -> None:
    names = {topic.name for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        async with asyncio.timeout(30):
            await admin.delete_topics(list(names))
            while names & set(await admin.list_topics()):
                await asyncio.sleep(0.02)
            await admin.create_topics(topics)
            while not names <= set(await admin.list_topics()):
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


@pytest.mark.broker
def test_topics_are_created_once_and_every_difference_has_its_remedy(empty_kafka: KafkaBroker) -> None:
    broker = empty_kafka.address
    declared = load_declarations().names()

    missing = asyncio.run(check_topics(broker, 3))
    assert [(d.topic, d.problem) for d in missing] == [(name, "is missing") for name in declared]
    assert missing[0].remedy == f"create it: slastream topics create --broker {broker} --partitions 3"

    assert asyncio.run(create_topics(broker, 3)) == declared
    assert asyncio.run(create_topics(broker, 3)) == []
    assert asyncio.run(check_topics(broker, 3)) == []
    assert asyncio.run(check_topics(broker)) == []
    existing = asyncio.run(list_topics(broker))
    assert [topic.name for topic in existing] == declared
    assert {topic.partitions for topic in existing} == {3}
    assert existing[0].config["message.timestamp.type"] == "LogAppendTime"
    assert {d.problem for d in asyncio.run(check_topics(broker, 8))} == {"has 3 partitions instead of 8"}

    wrong = [NewTopic("sla.verdicts", 2, 1), NewTopic("sla.tickets", 3, 1, topic_configs={"max.message.bytes": "1000"})]
    asyncio.run(_replace(empty_kafka, wrong))
    assert [(d.topic, d.problem) for d in asyncio.run(check_topics(broker))] == [
        ("sla.tickets", "has message.timestamp.type=CreateTime instead of LogAppendTime"),
        ("sla.tickets", "has max.message.bytes=1000 instead of 2097152"),
        ("sla.verdicts", "has 2 partitions, other topics of stage 2 have 3"),
        ("sla.verdicts", "has cleanup.policy=delete instead of compact"),
        ("sla.verdicts", "has max.message.bytes=1048588 instead of 2097152"),
    ]
    by_problem = {d.problem: d.remedy for d in asyncio.run(check_topics(broker))}
    assert by_problem["has cleanup.policy=delete instead of compact"] == (
        f"set it: kafka-configs.sh --bootstrap-server {broker} --alter --entity-type topics "
        "--entity-name sla.verdicts --add-config cleanup.policy=compact"
    )
    assert by_problem["has 2 partitions, other topics of stage 2 have 3"].endswith(
        f"kafka-topics.sh --bootstrap-server {broker} --delete --topic sla.verdicts"
        f" && slastream topics create --broker {broker} --partitions 3"
    )
