"""Compose, Kubernetes and the Dockerfile: valid in the eyes of their own parsers, hardened, and every command runs."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from deployment.deployed import (
    COMPOSE,
    COMPOSE_FILE,
    KUBERNETES,
    OURS,
    REPOSITORY,
    SERVICES,
    Json,
    answers,
    compose_run,
    container_of,
    is_healthy,
    manifests,
    optional,
    pod_run,
    pods,
    program,
    running,
    wait_for,
)
from slastream.cli import build_parser
from slastream.local.kafka import KafkaBroker

TEXT = COMPOSE_FILE.read_text()
EACH_SERVICE = pytest.mark.parametrize("name", list(SERVICES))
EACH_OF_OURS = pytest.mark.parametrize("name", list(OURS))
EACH_POD = pytest.mark.parametrize("name", list(pods()))
LONG_RUNNING = [name for name, service in OURS.items() if "healthcheck" in service]
KUBERNETES_VERSION = "1.33"


# ---- compose, as a text


def test_compose_is_what_the_specification_allows() -> None:
    """By a parser that knows every key of it, and refuses others; it knows no variables and no merge keys."""
    parser = optional("compose_spec").PyCompose
    parsed = parser.from_yaml(yaml.safe_dump(COMPOSE))
    parsed.validate()
    assert set(parsed.service_names()) == set(SERVICES)
    with pytest.raises(ValueError, match="stop_grace"):
        parser.from_yaml(yaml.safe_dump(COMPOSE).replace("stop_grace_period:", "stop_grace:"))


def test_compose_has_the_whole_chain() -> None:
    assert set(SERVICES) == {
        "kafka", "topics", "worker", "gateway", "notify", "console", "demo", "prometheus", "alertmanager", "grafana",
    }  # fmt: skip
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "gateway": ["gateway"],
        "demo": ["demo"],
    }


@EACH_SERVICE
def test_a_service_is_pinned_limited_and_on_the_loopback_interface(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", ()))
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["restart"] in ("unless-stopped", "on-failure")
    assert "container_name" not in service
    if name not in ("topics", "demo"):
        assert service["healthcheck"]["test"]


def test_the_worker_can_be_scaled() -> None:
    assert "ports" not in SERVICES["worker"]


@EACH_OF_OURS
def test_a_service_of_ours_may_write_nothing_and_has_no_capability(name: str) -> None:
    assert (OURS[name]["read_only"], OURS[name]["tmpfs"], OURS[name]["cap_drop"]) == (True, ["/tmp"], ["ALL"])


def test_named_volumes_are_declared_and_each_is_used() -> None:
    named = {
        each.partition(":")[0]
        for service in SERVICES.values()
        for each in service.get("volumes", ())
        if isinstance(each, str) and not each.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])


def test_there_is_no_secret_in_what_is_deployed() -> None:
    for path in (COMPOSE_FILE, *KUBERNETES.iterdir(), *(REPOSITORY / "examples/alertmanager").iterdir()):
        for line in path.read_text().splitlines():
            found = re.search(
                r"(?i)(password|secret|token|api_key|routing_key|whsec_)\w*\s*[:=]\s*(\S+)", line.partition("#")[0]
            )
            assert found is None or re.match(r"[{/<]|token\b|secret\b|false|\.\./", found[2]), f"{path.name}: {line}"


def test_what_prometheus_scrapes_are_services_at_the_ports_where_they_answer() -> None:
    config = yaml.safe_load((REPOSITORY / "grafana" / "prometheus.compose.yml").read_text())
    scraped = {
        (name, each["port"])
        for job in config["scrape_configs"]
        for each in job.get("dns_sd_configs", ())
        for name in each["names"]
    }
    assert scraped == {("worker", 9108), ("gateway", 9109), ("notify", 9110)}
    for name, port in scraped:
        assert f":{port}/" in " ".join(SERVICES[name]["healthcheck"]["test"])
    (datasource,) = yaml.safe_load(
        (REPOSITORY / "grafana/provisioning/datasources/slastream.yaml").read_text()
    )["datasources"]  # fmt: skip
    assert datasource["url"] == "http://prometheus:9090"
    assert "./grafana/dashboards:/etc/grafana/dashboards:ro" in SERVICES["grafana"]["volumes"]


# ---- the image


def test_the_dockerfile_has_nothing_that_hadolint_would_not_have() -> None:
    done = subprocess.run(
        [program("hadolint"), REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_runs_as_nobody_from_a_wheel_that_another_stage_made() -> None:
    build, image = re.split(r"(?m)^FROM .*\n", (REPOSITORY / "Dockerfile").read_text())[1:]
    assert re.findall(r"(?m)^COPY (.*)$", image) == ["--from=build /opt/slastream /opt/slastream"]
    assert "USER 10001:10001" in image
    assert 'ENTRYPOINT ["slastream"]' in image
    assert "--require-hashes" in build
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied(build)


def copied(stage: str) -> set[str]:
    return {source for line in re.findall(r"(?m)^COPY (.*)$", stage) for source in line.split()[:-1]}


def test_what_the_dockerfile_copies_is_enough_for_the_wheel_and_the_wheel_for_the_commands(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling: make a new .venv from requirements.lock")
    source = tmp_path / "source"
    source.mkdir()
    for name in copied((REPOSITORY / "Dockerfile").read_text()) - {"/opt/slastream", "--from=build"}:
        subprocess.run(["cp", "-r", REPOSITORY / name, source], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    kept = subprocess.check_output(["git", "ls-files", "slastream"], cwd=REPOSITORY, text=True).split()
    assert [name for name in kept if not (tmp_path / "site" / name).exists()] == []
    for arguments in (["--version"], ["schema", "fact"], ["rules"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "slastream.cli", *arguments],
            env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin"}, cwd=tmp_path, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


# ---- Kubernetes, as a text


@pytest.mark.parametrize(
    ("file", "manifest"), list(manifests()), ids=lambda part: part if type(part) is str else part["kind"]
)
def test_a_manifest_is_what_the_schema_of_kubernetes_allows(file: str, manifest: Json) -> None:
    validate = optional("kubernetes_validate").validate
    assert validate(manifest, KUBERNETES_VERSION, strict=True) == KUBERNETES_VERSION


@EACH_POD
def test_a_pod_runs_as_nobody_may_write_nothing_and_has_limits(name: str) -> None:
    pod, container = container_of(pods()[name])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["image"] == SERVICES["worker"]["image"]
    if pods()[name]["kind"] != "Job":
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_services_and_budgets_select_pods_that_are_there() -> None:
    labels = {each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] for each in pods().values()}
    for _, manifest in manifests():
        selector = manifest.get("spec", {}).get("selector", {})
        chosen = selector.get("matchLabels", selector).get("app.kubernetes.io/name")
        assert chosen is None or chosen in labels


def test_a_worker_has_a_stable_name_of_its_own_for_static_membership(tmp_path: Path) -> None:
    assert pods()["slastream-worker"]["kind"] == "StatefulSet"
    run = pod_run("slastream-worker", "kafka:9092", tmp_path, {"slastream-policy": {"policy.yaml": ""}})
    command = [*run.command, "--show-settings"]
    shown = subprocess.check_output(command, env={**run.environment, "PATH": "/usr/bin"}, cwd=REPOSITORY, timeout=60)
    settings = tomllib.loads(shown.decode())
    assert (settings["instance"], settings["session_timeout_seconds"]) == ("slastream-worker-0", 45)


# ---- what they run


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka with the settings of the service `kafka`, but for its addresses and folders."""
    elsewhere = "LISTENER|QUORUM|LOG_DIRS|HEAP|PROCESS_ROLES|NODE_ID"
    properties = {
        key.removeprefix("KAFKA_").lower().replace("_", "."): value
        for key, value in SERVICES["kafka"]["environment"].items()
        if not re.search(elsewhere, key)
    }
    assert properties["auto.create.topics.enable"] == "false"
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka"), properties=properties) as kafka:
        yield kafka.address


@pytest.fixture(scope="module")
def with_topics(broker: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The broker after the service `topics` has run, twice."""
    run = compose_run("topics", broker, tmp_path_factory.mktemp("topics"))
    for expected in ("topics created", "all topics were there already"):
        done = subprocess.run(run.command, capture_output=True, text=True, check=False, timeout=100, cwd=REPOSITORY)
        assert (done.returncode, expected in done.stderr) == (0, True), done.stderr
    return broker


@pytest.mark.broker
@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_of_compose_runs_and_is_healthy(name: str, with_topics: str, tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    run = compose_run(name, with_topics, tmp_path)
    if name == "gateway":  # the token that the file asks the operator to make, and addresses of this machine
        folder.mkdir()
        (folder / "token").write_text("a token of 32 bytes or so, for a test")
        (folder / "gateway.yaml").write_text(
            run.addresses.of((REPOSITORY / "examples/gateway/gateway.yaml").read_text())
        )
        run.command[-1] = str(folder / "gateway.yaml")
    log = tmp_path / "log"
    with running(run, log) as process:
        wait_for(lambda: is_healthy(name, run.addresses), process, log, f"{name} is healthy")


@pytest.mark.broker
def test_the_demo_of_compose_feeds_a_broker_where_a_worker_runs(with_topics: str, tmp_path: Path) -> None:
    worker, demo = (compose_run(name, with_topics, tmp_path) for name in ("worker", "demo"))
    logs = tmp_path / "worker.log", tmp_path / "demo.log"
    with running(worker, logs[0]) as process:
        wait_for(lambda: is_healthy("worker", worker.addresses), process, logs[0], "the worker is healthy")
        with running(demo, logs[1]) as desk:
            wait_for(lambda: "RUNNING" in logs[1].read_text(), desk, logs[1], "a clock runs")


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_prometheus_and_alertmanager_of_debian_run_as_compose_says(name: str, tmp_path: Path) -> None:
    run = compose_run(name, "127.0.0.1:1", tmp_path)
    port = {"prometheus": "9090", "alertmanager": "9093"}[name]
    address = run.addresses.address(f"localhost:{port}")
    run.command.append(f"--web.listen-address={address}")
    log = tmp_path / "log"
    with running(run, log) as process:
        wait_for(lambda: answers(f"http://{address}/-/ready"), process, log, f"{name} is ready")


@pytest.mark.broker
@pytest.mark.parametrize("name", [name for name, each in pods().items() if each["kind"] != "Job"])
def test_a_pod_runs_and_its_probes_are_answered(name: str, with_topics: str, tmp_path: Path) -> None:
    files = {
        "slastream-policy": {"policy.yaml": (REPOSITORY / "examples/policy.yaml").read_text()},
        "slastream-gateway": {"token": "a token of 32 bytes or so, for a test"},
        "slastream-console": {"tokens": "a-token-of-32-bytes-or-so-for-a-test"},
    }
    run = pod_run(name, with_topics, tmp_path, files)
    log = tmp_path / "log"
    _, container = container_of(pods()[name])
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    with running(run, log) as process:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            address = run.addresses.address(f"0.0.0.0:{ports[asked['port']]}")
            url = f"http://{address}{asked['path']}"
            wait_for(partial(answers, url), process, log, f"{probe} {url}")


def test_the_job_makes_the_topics_of_a_cluster() -> None:
    _, container = container_of(pods()["slastream-topics"])
    options = build_parser().parse_args(
        [each.replace("$(SLASTREAM_BROKER)", "kafka:9092") for each in container["args"]]
    )
    assert (options.action, options.broker, options.partitions, options.replication) == ("create", "kafka:9092", 8, 3)
