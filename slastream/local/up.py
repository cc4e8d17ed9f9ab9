"""Everything on one machine: a broker, its topics, a worker, a gateway and a console, in one process tree that ends as a whole.

What ends is started again. Ctrl-C and SIGTERM stop the gateway first, then the worker, then a Kafka of our own.
"""

import asyncio
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slastream.errors import DeliveryError, PolicyError
from slastream.local.child import Child, Say
from slastream.local.kafka import KafkaBroker, missing_requirement
from slastream.local.memory_broker import NOTICE, MemoryBroker
from slastream.stream.topics import create_topics, load_declarations
from slastream.wire.settings import Kafka, kafka_settings

HOST = "127.0.0.1"
KAFKA_PORT = 19092
METRICS = f"{HOST}:9108"
GATEWAY_LISTEN, GATEWAY_METRICS = f"{HOST}:8080", f"{HOST}:9109"
CONSOLE_LISTEN = f"{HOST}:8090"
PARTITIONS = 4
EXAMPLE_POLICY = Path(__file__).with_name("demo_policy.yaml")

READY_LIMIT_SECONDS = 60.0
HTTP_NOT_FOUND = 404

_TRANSITION = re.compile(r"(\S+): \S+ -> (\w+) after")


def say_on_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class StopRequest:
    """Ctrl-C and SIGTERM: they interrupt a start wherever it is; after `started` they only set `event`.

    A second one does nothing, so that cleaning up is never cut short.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._is_starting = True

    def started(self) -> None:
        self._is_starting = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        is_first = not self.event.is_set()
        self.event.set()
        if is_first and self._is_starting:
            raise KeyboardInterrupt


@dataclass(slots=True)
class Broker:
    """A broker that answers. `kafka` is set when it is a Kafka of our own, which is then ours to keep alive."""

    client: Kafka
    kind: Literal["given", "configured", "kafka", "memory"]
    kafka: KafkaBroker | None = None

    @property
    def address(self) -> str:
        return self.client.address

    @property
    def delivery(self) -> str:
        """The memory broker has no transactions."""
        return "at_least_once" if self.kind == "memory" else "exactly_once"

    def supervise(self, say: Say) -> None:
        """Start our own Kafka again when it has ended."""
        if self.kafka is not None and not self.kafka.is_running:
            say(f"Kafka has ended (see {self.kafka.log_path}); it starts again on the same data")
            self.kafka.restart()


@contextmanager
def choose_broker(broker: str, folder: Path, port: int, allows_memory: bool, say: Say) -> Iterator[Broker]:
    """The broker that is named or configured, else a Kafka of our own, else (for the demo) the one in memory.

    The topics are there when it is given. Our own Kafka keeps its data in `folder` and listens on `port` (0: a free
    one). Raises DeliveryError when there is none.
    """
    address = os.environ.get("SLASTREAM_BROKER", "") if broker == "auto" else broker
    if address:
        client = kafka_settings({"broker": address}, os.environ)
        _make_topics(client, say)
        yield Broker(client, "configured" if broker == "auto" else "given")
        return
    reason = missing_requirement()
    if reason is None:
        _refuse_taken_port(port)
        say(f"starting Kafka, data in {folder}")
        with KafkaBroker.start(folder, port) as kafka:
            _make_topics(Kafka(kafka.address), say)
            yield Broker(Kafka(kafka.address), "kafka", kafka)
    elif allows_memory:
        say(f"No Kafka of our own: {reason}")
        say(NOTICE)
        with MemoryBroker.start(dict.fromkeys(load_declarations().names(), PARTITIONS)) as memory:
            yield Broker(Kafka(memory.address), "memory")
    else:
        raise DeliveryError(reason)


def _make_topics(kafka: Kafka, say: Say) -> None:
    created = asyncio.run(create_topics(kafka, PARTITIONS))
    if created:
        say(f"{len(created)} topics created, {PARTITIONS} partitions each")


def _refuse_taken_port(port: int) -> None:
    if port and not is_free(HOST, port):
        raise DeliveryError(
            f"port {port} of {HOST}, which Kafka is to have, is taken: if a Kafka listens there, use it with "
            f"--broker {HOST}:{port}; else choose another port with SLASTREAM_KAFKA_PORT (0: a free one)"
        )


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def address_of(variable: str, default: str) -> str:
    """`HOST:PORT` of a variable that is set, else the default. Raises PolicyError when it is no address."""
    address = os.environ.get(variable) or default
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise PolicyError(f"{variable}: {address!r} is no address; write HOST:PORT, such as {default}")
    return address


def _free_address_of(variable: str, default: str) -> str:
    address = address_of(variable, default)
    if not is_address_free(address):
        raise PolicyError(f"{address} is taken, nothing can be served there: name another with {variable}=HOST:PORT")
    return address


def is_address_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return is_free(host, int(port))


class Worker(Child):
    """A worker that is started again when it ends."""

    def __init__(self, policy: Path, broker: Broker, metrics: str, log_path: Path, say: Say) -> None:
        self.metrics = metrics
        instance = ["--instance", f"up-{socket.gethostname()}"] if broker.kind != "memory" else []
        command = [
            sys.executable, "-m", "slastream.cli", "worker", "--policy", str(policy),
            *broker.client.arguments(), "--metrics", metrics, "--delivery", broker.delivery, *instance,
        ]  # fmt: skip
        super().__init__("worker", command, log_path, say)

    def is_ready(self) -> bool:
        """Whether it owns its partitions and has restored them: by /readyz, and by its log where nothing is served."""
        try:
            with urllib.request.urlopen(f"http://{self.metrics}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            if error.code != HTTP_NOT_FOUND:
                return False
        except OSError:
            pass
        states = dict(_TRANSITION.findall(self.log().decode(errors="replace")))
        return bool(states) and set(states.values()) == {"running"}

    def wait_until_ready(self, stop: StopRequest) -> None:
        """Raises DeliveryError when it is not ready within READY_LIMIT_SECONDS."""
        limit = time.monotonic() + READY_LIMIT_SECONDS
        while not self.is_ready():
            self.supervise()
            if time.monotonic() > limit:
                raise DeliveryError(f"the worker is not ready after {READY_LIMIT_SECONDS:.0f} s:\n{self.log_end()}")
            stop.event.wait(0.1)


def gateway(broker: Broker, listen: str, metrics: str, log_path: Path, say: Say) -> Child:
    """A gateway that is started again when it ends; it reads `SLASTREAM_GATEWAY_CONFIG`."""
    command = [
        sys.executable, "-m", "slastream.cli", "gateway", *broker.client.arguments(), "--listen", listen,
        "--metrics", metrics,
    ]  # fmt: skip
    return Child("gateway", command, log_path, say)


def console(policy: Path, broker: Broker, listen: str, log_path: Path, say: Say) -> Child:
    """A console that is started again when it ends; it reads the variables of the console."""
    command = [
        sys.executable, "-m", "slastream.cli", "console", "--policy", str(policy), *broker.client.arguments(),
        "--listen", listen,
    ]  # fmt: skip
    return Child("console", command, log_path, say)


def notify(broker: Broker, alertmanagers: Sequence[str], webhooks: Sequence[str], log_path: Path, say: Say) -> Child:
    """A `notify` that is started again when it ends."""
    command = [sys.executable, "-m", "slastream.cli", "notify", *broker.client.arguments()]
    for option, values in (("--alertmanager", alertmanagers), ("--webhook", webhooks)):
        command += [part for value in values for part in (option, value)]
    return Child("notify", command, log_path, say)


def home_folder() -> Path:
    """Where `up` keeps Kafka's data and the log of the worker."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "slastream"


def run_up(policy_path: str | None, broker: str, alertmanagers: Sequence[str], webhooks: Sequence[str]) -> int:
    """Run until Ctrl-C or SIGTERM. Raises PolicyError and DeliveryError."""
    policy, say = _policy(policy_path), say_on_stderr
    home, metrics = home_folder(), _free_address_of("SLASTREAM_METRICS", METRICS)
    listen = _free_address_of("SLASTREAM_GATEWAY_LISTEN", GATEWAY_LISTEN)
    gateway_metrics = _free_address_of("SLASTREAM_GATEWAY_METRICS", GATEWAY_METRICS)
    console_listen = _free_address_of("SLASTREAM_CONSOLE_LISTEN", CONSOLE_LISTEN)
    home.mkdir(parents=True, exist_ok=True)
    stop = StopRequest()
    with (
        stop.caught(),
        choose_broker(broker, home / "kafka", _kafka_port(), allows_memory=False, say=say) as chosen,
        Worker(policy, chosen, metrics, home / "worker.log", say) as worker,
        gateway(chosen, listen, gateway_metrics, home / "gateway.log", say) as receiver,
        console(policy, chosen, console_listen, home / "console.log", say) as pages,
        notify(chosen, alertmanagers, webhooks, home / "notify.log", say)
        if alertmanagers or webhooks
        else nullcontext() as notifier,
    ):
        worker.wait_until_ready(stop)
        stop.started()
        print(f"console  http://{console_listen}")
        print(f"broker   {chosen.address}")
        print(f"gateway  {listen}: events at /v1/events, webhooks at /v1/hooks/ADAPTER")
        print(f"metrics  http://{metrics}/metrics  http://{gateway_metrics}/metrics")
        print(f"policy   {policy}")
        children = [child for child in (worker, receiver, pages, notifier) if child is not None]
        print("logs     " + "  ".join(str(child.log_path) for child in children), flush=True)
        say("runs; Ctrl-C stops it and keeps the data")
        while not stop.event.wait(0.2):
            chosen.supervise(say)
            for child in children:
                child.supervise()
        say("stops")
    return 0


def _policy(given: str | None) -> Path:
    path = given or os.environ.get("SLASTREAM_POLICY")
    if path is None:
        say_on_stderr(
            f"no policy is given: the demo's is used, with promises of seconds ({EXAMPLE_POLICY}); see --policy"
        )
        return EXAMPLE_POLICY
    if not Path(path).exists():
        raise PolicyError(f"{path}: there is no such file; name a policy with --policy")
    return Path(path)


def _kafka_port() -> int:
    text = os.environ.get("SLASTREAM_KAFKA_PORT") or str(KAFKA_PORT)
    if not text.isdigit() or int(text) > 65535:
        raise PolicyError(
            f"SLASTREAM_KAFKA_PORT: {text!r} is no port; write a number such as {KAFKA_PORT}, or 0 for a free one"
        )
    return int(text)
