"""The topics as `topics/topics.yaml` declares them: read, created on a broker, compared with one.

The folder `topics/` ships inside the package (as `_topics`), so that an installed wheel has declarations, JSON Schemas
and examples; in a work tree the folder itself is read.
"""

import asyncio
import functools
import importlib.resources
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from slastream.errors import DeliveryError, PolicyError
from slastream.stream.kafka_client import ANSWER_LIMIT_SECONDS, Broker, check_broker, client_arguments

REQUEST_LIMIT_SECONDS = 60.0

_EXACT = ("cleanup.policy", "message.timestamp.type")
_AT_LEAST = ("max.message.bytes",)


@dataclass(frozen=True, slots=True)
class Topic:
    """A declared topic. Topics of one `stage` must have equal numbers of partitions; `config` has Kafka's names."""

    name: str
    stage: int | None
    key: str
    schemas: tuple[str, ...]
    summary: str
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Declarations:
    """All topics, in the order of the file, and the number of partitions that each has unless another is asked for."""

    partitions: int
    topics: tuple[Topic, ...]

    def names(self) -> list[str]:
        return [topic.name for topic in self.topics]


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    """A topic as a broker has it; `config` holds what `check_topics` compares."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something on the broker that is not as declared, and the command that mends it."""

    topic: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.problem}; {self.remedy}"


def topics_folder() -> Traversable:
    """The folder `topics/`, from the installed package or the work tree."""
    packaged = importlib.resources.files("slastream") / "_topics"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "topics"


@functools.cache
def load_declarations() -> Declarations:
    """What `topics.yaml` declares."""
    document = yaml.safe_load((topics_folder() / "topics.yaml").read_text(encoding="utf-8"))
    topics = tuple(
        Topic(
            name=entry["name"],
            stage=entry["stage"],
            key=entry["key"],
            schemas=tuple(entry["schemas"]),
            summary=entry["summary"],
            config={name: str(value) for name, value in entry["config"].items()},
        )
        for entry in document["topics"]
    )
    return Declarations(document["partitions"], topics)


def schema_names() -> list[str]:
    """Names that `load_schema` takes, such as `ticket-event`."""
    ending = ".schema.json"
    files = (file.name for file in (topics_folder() / "schemas").iterdir())
    return sorted(name.removesuffix(ending) for name in files if name.endswith(ending))


def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a message. Raises PolicyError for a name that there is not."""
    if name not in schema_names():
        raise PolicyError(f"there is no schema {name!r}; write one of {', '.join(schema_names())}")
    schema: dict[str, Any] = json.loads((topics_folder() / "schemas" / f"{name}.schema.json").read_bytes())
    return schema


async def create_topics(broker: Broker, partitions: int | None = None, replication: int = 1) -> list[str]:
    """Create the declared topics that `broker` lacks and return their names; existing ones are left as they are.

    `partitions` None is the number of `topics.yaml`. Raises DeliveryError when the broker does not answer or refuses.
    """
    declarations = load_declarations()
    async with _admin(broker) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in declarations.topics if topic.name not in existing]
        if not missing:
            return []
        count = partitions or declarations.partitions
        wanted = [NewTopic(topic.name, count, replication, topic_configs=dict(topic.config)) for topic in missing]
        answer = await admin.create_topics(wanted)
        created = _created(broker, answer)
        await asyncio.wait_for(_until_usable(admin, created), ANSWER_LIMIT_SECONDS)
    return created


def _created(broker: Broker, answer: Any) -> list[str]:
    created = []
    for name, code, *details in answer.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # somebody else was quicker: as good
            raise DeliveryError(f"{broker} refuses to create {name}: {next(iter(details), None) or error.description}")
    return created


async def _until_usable(admin: Any, names: Sequence[str]) -> None:
    """Kafka answers before the brokers know of the new topics: wait until each partition has its leader."""
    while names and not all(
        topic["partitions"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in await admin.describe_topics(names)
    ):
        await asyncio.sleep(0.02)


async def list_topics(broker: Broker) -> list[ExistingTopic]:
    """The declared topics that `broker` has, in the order of the declaration. Raises DeliveryError."""
    declared = load_declarations().names()
    async with _admin(broker) as admin:
        present = set(await admin.list_topics())
        names = [name for name in declared if name in present]
        if not names:
            return []
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
        configs = await _describe_configs(admin, names)
    return [ExistingTopic(name, partitions[name], configs[name]) for name in names]


async def require_topics(broker: Broker, names: Iterable[str]) -> None:
    """Raises DeliveryError when `broker` does not answer, or lacks one of these topics."""
    async with _admin(broker) as admin:
        present = set(await admin.list_topics())
    if missing := [name for name in names if name not in present]:
        raise DeliveryError(f"{broker} has no {', '.join(missing)}: slastream topics create --broker {broker}")


async def check_topics(broker: Broker, partitions: int | None = None) -> list[Difference]:
    """What differs between `broker` and the declaration; an empty list is good. Raises DeliveryError.

    With `partitions` every topic must have that many; without, those of a stage must have what its first topic has.
    """
    existing = {topic.name: topic for topic in await list_topics(broker)}
    return list(differences(broker, load_declarations(), existing, partitions))


def differences(
    broker: Broker, declarations: Declarations, existing: Mapping[str, ExistingTopic], partitions: int | None
) -> Iterable[Difference]:
    """`check_topics` without a broker: `broker` is only named in the remedies."""
    count_of_stage: dict[int, int] = {}
    for topic in declarations.topics:
        if topic.stage is not None and topic.name in existing:
            count_of_stage.setdefault(topic.stage, existing[topic.name].partitions)
    for topic in declarations.topics:
        of_stage = None if topic.stage is None else count_of_stage.get(topic.stage)
        found = existing.get(topic.name)
        count = partitions or of_stage or declarations.partitions
        create = f"slastream topics create --broker {broker} --partitions {count}"
        if found is None:
            yield Difference(topic.name, "is missing", f"create it: {create}")
            continue
        delete = f"kafka-topics.sh --bootstrap-server {broker} --delete --topic {topic.name}"
        anew = f"stop the workers and make it anew (its records are lost): {delete} && {create}"
        if partitions is not None and found.partitions != partitions:
            yield Difference(topic.name, f"has {found.partitions} partitions instead of {partitions}", anew)
        elif partitions is None and of_stage is not None and found.partitions != of_stage:
            problem = f"has {found.partitions} partitions, other topics of stage {topic.stage} have {of_stage}"
            yield Difference(topic.name, problem, anew)
        yield from _config_differences(broker, topic, found)


def _config_differences(broker: Broker, topic: Topic, found: ExistingTopic) -> Iterable[Difference]:
    alter = f"kafka-configs.sh --bootstrap-server {broker} --alter --entity-type topics --entity-name {topic.name}"
    for name in (*_EXACT, *_AT_LEAST):
        declared, actual = topic.config.get(name), found.config.get(name)
        if declared is None or actual == declared:
            continue
        if name in _AT_LEAST and actual is not None and int(actual) >= int(declared):
            continue
        value = f"[{declared}]" if "," in declared else declared
        yield Difference(
            topic.name, f"has {name}={actual} instead of {declared}", f"set it: {alter} --add-config {name}={value}"
        )


async def _describe_configs(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs=dict.fromkeys((*_EXACT, *_AT_LEAST))) for name in names
    ]
    configs: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code != 0:
                raise DeliveryError(f"the broker does not tell the configuration of {name}: {message}")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


@asynccontextmanager
async def _admin(broker: Broker) -> AsyncIterator[Any]:
    """An administration client of a broker that answers; every failure of it becomes a DeliveryError of one line."""
    await check_broker(broker)
    admin = AIOKafkaAdminClient(
        **client_arguments(broker),
        client_id="slastream-topics",
        request_timeout_ms=int(REQUEST_LIMIT_SECONDS * 1000),
    )
    try:
        await asyncio.wait_for(admin.start(), ANSWER_LIMIT_SECONDS)
        yield admin
    except TimeoutError:
        raise DeliveryError(
            f"Kafka at {broker} does not answer within {ANSWER_LIMIT_SECONDS:.0f} s: try again"
        ) from None
    except KafkaError as error:
        raise DeliveryError(f"Kafka at {broker} failed: {error}") from error
    finally:
        await admin.close()
