"""A real Apache Kafka on this machine, without an installation: one node, KRaft, from the jars of Maven.

The jars are fetched once into a cache outside the work tree; a broker then is up in about four seconds and takes about
240 MB. `python -m slastream.local.kafka --port 19092 --data FOLDER` runs one until Ctrl-C.
"""

import argparse
import base64
import fcntl
import logging
import os
import queue
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self

from slastream.errors import DeliveryError

KAFKA_VERSION = "4.1.0"
HOST = "127.0.0.1"
START_LIMIT_SECONDS = 120.0  # 4 s on a quiet machine; 49 s were measured beside three other brokers
STOP_LIMIT_SECONDS = 30.0
INSTALL_LIMIT_SECONDS = 900.0

_log = logging.getLogger(__name__)


class KafkaBroker:
    """A running broker. Make one with `KafkaBroker.start`; its data outlives it."""

    def __init__(self, data_folder: Path, port: int, heap: str, properties: Mapping[str, str]) -> None:
        self.data_folder = data_folder
        self.port = port
        self._heap = heap
        self._properties = properties
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        data_folder: Path,
        port: int = 0,
        heap: str = "512m",
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Start a broker on `data_folder` (made and formatted if needed) and wait until it answers.

        Port 0 is a free one; `properties` of Kafka replace our own. The broker dies with this process, however that
        ends. Raises DeliveryError when Java or Maven is missing, the port is taken, or nothing answers within
        START_LIMIT_SECONDS.
        """
        broker = cls(Path(data_folder).absolute(), port or free_port(), heap, properties)
        broker.restart()
        return broker

    @property
    def address(self) -> str:
        """`HOST:PORT` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def log_path(self) -> Path:
        """The broker's own log, one file for all starts."""
        return self.data_folder / "kafka.log"

    @property
    def is_running(self) -> bool:
        """Whether the process lives (it may still be starting or stopping)."""
        return self._process is not None and self._process.poll() is None

    def restart(self) -> None:
        """Start again on the same folder and port; a running broker is stopped first."""
        self.stop()
        java = find_java()
        jars = install_jars()
        self.data_folder.mkdir(parents=True, exist_ok=True)
        _refuse_taken_port(self.port)
        properties = self.data_folder / "server.properties"
        own = "".join(f"{name}={value}\n" for name, value in self._properties.items())  # of two lines the last counts
        properties.write_text(_server_properties(self.data_folder, self.port, free_port()) + own, encoding="utf-8")
        (self.data_folder / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        prefix = [
            java,
            f"-Xmx{self._heap}",
            f"-Dlog4j2.configurationFile={self.data_folder / 'log4j2.properties'}",
            "-cp",
            f"{jars}/*",
        ]
        if not (self.data_folder / "log" / "meta.properties").exists():
            _format_storage(prefix, properties)
        log_size = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._process = start_child([*prefix, "kafka.Kafka", str(properties)], self.log_path)
        try:
            self._wait_until_it_answers(log_size)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the broker cleanly (SIGTERM); after STOP_LIMIT_SECONDS the hard way. Stopping twice is harmless."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("Kafka on %s did not stop within %.0f s: killed", self.address, STOP_LIMIT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_it_answers(self, log_offset: int) -> None:
        limit = time.monotonic() + START_LIMIT_SECONDS
        while not _answers(self.port):
            if not self.is_running:
                log = self.log_path.read_bytes()[log_offset:].decode(errors="replace")
                if "Address already in use" in log:
                    raise DeliveryError(_port_taken(self.port))
                raise DeliveryError(f"Kafka ended while starting; the end of {self.log_path}:\n{_tail(log)}")
            if time.monotonic() > limit:
                raise DeliveryError(
                    f"Kafka on {self.address} did not answer within {START_LIMIT_SECONDS:.0f} s: see {self.log_path}"
                )
            time.sleep(0.05)


def find_java() -> str:
    """The path of a Java 17 or newer: that of JAVA_HOME, else the first on PATH. Raises DeliveryError without one."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    advice = "install one (Debian: apt-get install default-jre-headless) or name a running broker with --broker"
    if java is None:
        raise DeliveryError(f"Kafka needs Java 17 or newer and there is no java on PATH: {advice}")
    _, answer = _run([java, "-version"], limit_seconds=30)
    found = re.search(r'version "(\d+)', answer)
    if found is None or int(found[1]) < 17:
        version = answer.strip().splitlines()[0] if answer.strip() else "no answer to -version"
        raise DeliveryError(f"Kafka needs Java 17 or newer; {java} is {version}: {advice}")
    return java


def install_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven the first time (38 MB); safe when several start at once."""
    cache = Path(os.environ.get("SLASTREAM_CACHE") or Path.home() / ".cache" / "slastream")
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _file_lock(cache / "install.lock"):
        if not folder.is_dir():
            _fetch_jars(cache, folder)
    return folder


def missing_requirement() -> str | None:
    """Why no broker can be started here (Java or Maven missing), or None when one can."""
    try:
        find_java()
        install_jars()
    except DeliveryError as error:
        return str(error)
    return None


def start_child(command: Sequence[str], log_path: Path) -> subprocess.Popen[bytes]:
    """Start a program that is killed when this process ends in any way; its output is appended to `log_path`.

    It has a session of its own, so that Ctrl-C on the terminal reaches only us and we stop it in our order. The kernel
    ties it to the *thread* that started it: that is one of its own, which lives as long as the child.
    """
    answer: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            with log_path.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 no shell, our own command
                    [sys.executable, "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except BaseException as error:  # noqa: BLE001 raised again in the caller
            answer.put(error)
            return
        answer.put(process)
        process.wait()

    threading.Thread(target=run, name=f"parent of {Path(command[0]).name}", daemon=True).start()
    result = answer.get()
    if isinstance(result, BaseException):
        raise result
    return result


# Sets PR_SET_PDEATHSIG (1) to SIGKILL and becomes the program; a parent that has died meanwhile is seen by its number.
_DIE_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)

# What Kafka's pom brings and a broker never loads.
_EXCLUDED = (
    "commons-beanutils:commons-beanutils",
    "commons-collections:commons-collections",
    "commons-digester:commons-digester",
    "commons-logging:commons-logging",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-csv",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8",
    "org.bitbucket.b_c:jose4j",
    "org.jspecify:jspecify",
    "org.scala-lang:scala-reflect",
)

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>slastream</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
      <exclusions>{exclusions}</exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""

_LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server
logger.server.level = info
logger.group.name = org.apache.kafka.coordinator.group
logger.group.level = info
"""


def _fetch_jars(cache: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise DeliveryError(
            "Kafka's jars come through Maven and there is no mvn on PATH: "
            "install it (Debian: apt-get install maven) or name a running broker with --broker"
        )
    _log.warning("fetching Kafka %s into %s (38 MB, once)", KAFKA_VERSION, folder)
    exclusions = "".join(
        "<exclusion><groupId>{}</groupId><artifactId>{}</artifactId></exclusion>".format(*name.split(":"))
        for name in _EXCLUDED
    )
    with tempfile.TemporaryDirectory(dir=cache) as work:
        pom = Path(work, "pom.xml")
        pom.write_text(_POM.format(version=KAFKA_VERSION, exclusions=exclusions), encoding="utf-8")
        jars = Path(work, "jars")
        command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        status, output = _run([*command, "-DincludeScope=runtime"], INSTALL_LIMIT_SECONDS)
        if status != 0 or not any(jars.glob("kafka_2.13-*.jar")):
            raise DeliveryError(f"Maven could not fetch Kafka {KAFKA_VERSION}:\n{_tail(output)}")
        jars.rename(folder)


def _server_properties(data_folder: Path, port: int, controller_port: int) -> str:
    """After a crash a broker may register again when its old session has ended: 3 s instead of the usual 9 s."""
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{HOST}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}
advertised.listeners=PLAINTEXT://{HOST}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data_folder / "log"}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


def _format_storage(prefix: Sequence[str], properties: Path) -> None:
    cluster = _cluster_id()
    command = [*prefix, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(properties)]
    status, output = _run(command, START_LIMIT_SECONDS)
    if status != 0:
        raise DeliveryError(f"Kafka could not format {properties.parent}:\n{_tail(output)}")


def _run(command: Sequence[str], limit_seconds: float) -> tuple[int, str]:
    """Exit status and whole output of a program."""
    try:
        done = subprocess.run(  # noqa: S603 no shell, our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=limit_seconds,
        )
    except subprocess.TimeoutExpired:
        raise DeliveryError(f"{command[0]} did not end within {limit_seconds:.0f} s: try again") from None
    return done.returncode, done.stdout


def _cluster_id() -> str:
    """22 letters of base64, not beginning with a dash, which the command line would take for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A port that nobody listens on, below the kernel's range for outgoing connections (from 32768).

    Within that range a client that retries a stopped broker can connect to itself and hold its port.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_768), 200):
        if _is_free(port):
            return port
    raise DeliveryError(f"no free port on {HOST} between 20000 and 32767")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def _refuse_taken_port(port: int) -> None:
    if not _is_free(port):
        raise DeliveryError(_port_taken(port))


def _port_taken(port: int) -> str:
    return (
        f"port {port} of {HOST} is taken: choose another (--port 0 finds a free one), or use the broker "
        f"that listens there with --broker {HOST}:{port}"
    )


def _answers(port: int) -> bool:
    """Whether a Metadata request is answered with at least one live broker."""
    request = struct.pack(">hhih", 3, 0, 1, -1) + struct.pack(">i", 0)  # Metadata version 0, no client id, all topics
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a broker until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m slastream.local.kafka", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=19092, help="0: a free one (default 19092)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data, made if needed")
    parser.add_argument("--heap", default="512m")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with KafkaBroker.start(options.data, options.port, options.heap) as broker:
            print(broker.address, flush=True)
            while broker.is_running and not ended.wait(1):
                pass
            return 0 if ended.is_set() else 3
    except DeliveryError as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
