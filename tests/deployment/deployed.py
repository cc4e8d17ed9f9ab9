"""docker-compose.yml and the manifests of Kubernetes as they are written, and their commands with what stands for it here.

A command keeps its arguments and its environment. Replaced are only: hosts by the loopback interface, ports by free ones, paths of
the container by the files that are mounted there, fields of the pod by what they would be.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
import yaml
from grafana.prometheus_harness import free_port, wait_until

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
KUBERNETES = REPOSITORY / "examples" / "kubernetes"
LIMIT_SECONDS = 90.0

Json = dict[str, Any]


def interpolated(text: str) -> str:
    """With the defaults of its variables, as when none is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


COMPOSE: Json = yaml.safe_load(interpolated(COMPOSE_FILE.read_text()))
SERVICES: dict[str, Json] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("slastream:")}


def manifests() -> Iterator[tuple[str, Json]]:
    """(file, object)"""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from ((path.name, each) for each in yaml.safe_load_all(path.read_text()))


def program(name: str) -> str:
    """A program beside this Python, or on the path."""
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    return found or _lacks(f"needs {name}: make a new .venv from requirements.lock")


def _lacks(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def optional(module: str) -> Any:
    """A module of the development group; skips the test without it, and fails it on a build machine."""
    if os.environ.get("CI") == "true":
        __import__(module)
    return pytest.importorskip(
        module, reason=f"needs {module}: pip install it, or make a new .venv from requirements.lock"
    )


class Run(NamedTuple):
    """A command with its environment, and the addresses that it was given for those that are written."""

    command: list[str]
    environment: Mapping[str, str]
    addresses: "Places"


class Places:
    """Stand-ins on this machine: for `host:port`, and for paths."""

    def __init__(self, broker: str, mounts: Mapping[str, Path]) -> None:
        self.mounts = dict(mounts)
        self._found: dict[str, str] = {"kafka:9092": broker}

    def address(self, written: str) -> str:
        """The same for the same port, whoever says it: a process listens there, and others find it there."""
        if written in self._found:
            return self._found[written]
        port = written.rpartition(":")[2]
        return self._found.setdefault(f":{port}", f"127.0.0.1:{free_port()}")

    def of(self, text: str) -> str:
        """A text with its addresses and paths replaced."""
        text = re.sub(r"(?<![\w.])[a-z0-9.]+:\d{4,5}\b", lambda found: self.address(found[0]), text)
        for path, here in sorted(self.mounts.items(), key=lambda one: -len(one[0])):
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?![\w.])", str(here), text)
        return text


def program_of(image: str) -> list[str]:
    """What the image runs: ours by its entry point, of others the program of this machine."""
    if image.startswith("slastream:"):
        return [sys.executable, "-m", "slastream.cli"]
    name = image.partition(":")[0].rpartition("/")[2]
    found = shutil.which(f"prometheus-{name}") or shutil.which(name)
    return [found or _lacks(f"needs {name}: apt-get install prometheus prometheus-alertmanager")]


@contextmanager
def running(run: Run, log_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Until the end of the block; the end must be clean."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLASTREAM_")}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            run.command, env=inherited | dict(run.environment), stdout=log, stderr=log, cwd=REPOSITORY
        )
    try:
        yield process
        assert process.poll() is None, log_path.read_text()[-3000:]
        process.terminate()
        assert process.wait(60) == 0, log_path.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, what: str) -> None:
    wait_until(lambda: condition() or process.poll() is not None, LIMIT_SECONDS, what)
    assert process.poll() is None, f"ended before {what}: {log.read_text()[-3000:]}"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# ---- compose


def compose_run(name: str, broker: str, folder: Path) -> Run:
    """The command of a service."""
    service = SERVICES[name]
    mounts = {target: _mounted(source, folder) for source, target in _volumes(service)}
    places = Places(broker, mounts)
    command = [*program_of(service["image"]), *(places.of(each) for each in shlex.split(service["command"]))]
    return Run(command, {key: places.of(value) for key, value in service.get("environment", {}).items()}, places)


def _volumes(service: Json) -> Iterator[tuple[str, str]]:
    for each in service.get("volumes", ()):
        if isinstance(each, dict):
            yield each["source"], each["target"]
        else:
            source, target, *_ = each.split(":")
            yield source, target


def _mounted(source: str, folder: Path) -> Path:
    """A file of the repository, or a folder in place of a named volume."""
    if source.startswith("."):
        assert (REPOSITORY / source).exists(), source
        return REPOSITORY / source
    (folder / source).mkdir(exist_ok=True)
    return folder / source


def is_healthy(name: str, places: Places) -> bool:
    """As the health check of the service asks."""
    kind, *test = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    command = [places.of(each.replace("localhost:", "127.0.0.1:")) for each in test]
    if command[0] == "python":
        command[0] = sys.executable
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


# ---- Kubernetes


def container_of(manifest: Json) -> tuple[Json, Json]:
    """(pod, its only container)"""
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def pods() -> dict[str, Json]:
    """The manifests that run something, by name."""
    return {each["metadata"]["name"]: each for _, each in manifests() if "template" in each.get("spec", {})}


def config_maps() -> dict[str, dict[str, str]]:
    return {each["metadata"]["name"]: each["data"] for _, each in manifests() if each["kind"] == "ConfigMap"}


def pod_run(name: str, broker: str, folder: Path, files: Mapping[str, Mapping[str, str]]) -> Run:
    """The command of a pod; `files` are the contents of what the README lets the operator make, by name."""
    pod, container = container_of(pods()[name])
    places = Places(broker, {})
    for volume in pod.get("volumes", ()):
        (mount,) = (each["mountPath"] for each in container["volumeMounts"] if each["name"] == volume["name"])
        source = volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName")
        if source is None:
            continue
        here = folder / mount.strip("/")
        here.mkdir(parents=True, exist_ok=True)
        of_kind = files if "secret" in volume else {**files, **config_maps()}
        for file, content in of_kind[source].items():
            (here / file).write_text(places.of(content))
        places.mounts[mount] = here
    values = dict(_environment(container, name))
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], each) for each in container["args"]]
    command = [*program_of(container["image"]), *map(places.of, arguments)]
    return Run(command, {key: places.of(value) for key, value in values.items()}, places)


def _environment(container: Json, pod: str) -> Iterator[tuple[str, str]]:
    for each in container.get("envFrom", ()):
        yield from config_maps()[each["configMapRef"]["name"]].items()
    for each in container.get("env", ()):
        field = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        assert field in (None, "metadata.name")
        yield each["name"], each["value"] if field is None else f"{pod}-0"
