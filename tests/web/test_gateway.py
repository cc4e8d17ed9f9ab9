"""The gateway on a real Kafka: what is accepted is in the log, what is not is told why, and no answer is undocumented."""

import base64
import gzip
import hashlib
import hmac
import http.client
import shutil
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from slastream.local.kafka import KafkaBroker
from slastream.stream.commit import partition_of
from slastream.stream.topics import create_topics
from web.gateway_harness import PARTITIONS, REPOSITORY, Answer, GatewayProcess, run, wait_until, written

pytestmark = pytest.mark.broker

SECRET, OTHER_SECRET, TOKEN = "a-secret-of-many-bytes", "the-next-secret-of-many", "token-0123456789abcdef"
CONFIG = """\
version: 1
limits: {body_bytes: 100 KiB, batch_events: 50, body_seconds: 2, connections: 20, failures_per_second: 1000}
sources:
  open: {adapter: events}
  signed: {adapter: events, secret_file: secrets}
  borne: {adapter: events, bearer_file: token}
  both: {adapter: events, secret_file: secrets, bearer_file: token}
  slow: {adapter: events, requests_per_second: 1}
  github-eu: {adapter: github, secret_file: secrets}
  github-us: {adapter: github, secret_file: other}
  prometheus: {adapter: alertmanager}
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka")) as kafka:
        run(create_topics(kafka.address, PARTITIONS))
        yield kafka.address


@pytest.fixture(scope="module")
def gateway(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(broker, folder, "--config", str(configured(folder, CONFIG))) as process:
        yield process.wait_ready()


def configured(folder: Path, text: str) -> Path:
    (folder / "secrets").write_text(f"{SECRET}\n{OTHER_SECRET}\n")
    (folder / "other").write_text("a-secret-of-somebody-else\n")
    (folder / "token").write_text(f"{TOKEN}\n")
    config = folder / "gateway.yaml"
    config.write_text(text)
    return config


def event(ticket: str = "", **fields: object) -> bytes:
    """An event of a ticket of its own."""
    return orjson.dumps({"ticket_id": ticket or uuid.uuid4().hex, "occurred_at": "2026-03-02T10:00:00Z", **fields})


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """Headers of Standard Webhooks, written from its specification."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,bm90aGluZw== {signature}"}


def tickets(broker: str) -> list[str]:
    return [one.json["ticket_id"] for one in written(broker) if one.topic == "sla.tickets"]


# ---- what is accepted


def test_an_event_is_in_the_log_as_it_came_in_the_partition_of_its_key(broker: str, gateway: GatewayProcess) -> None:
    body = event("T-é", title="as it came", unknown=[1, 2])
    answer = gateway.post("/v1/events?source=open", body)
    assert answer.status == 202
    found = next(one for one in written(broker) if one.key == "T-é".encode())
    assert (found.topic, found.value, found.partition) == ("sla.tickets", body, partition_of(found.key, PARTITIONS))
    assert len(answer.json["ids"]) == 1


def test_each_kind_of_event_goes_to_its_topic(broker: str, gateway: GatewayProcess) -> None:
    name = uuid.uuid4().hex
    state = {"service": name, "occurred_at": "2026-03-02T10:00:00Z", "state": "down", "event_id": "s1"}
    work = {
        "maintenance_id": "M", "service": name, "occurred_at": "2026-03-02T10:00:00Z", "event_id": "m1",
        "start": "2026-03-02T10:00:00Z", "end": "2026-03-02T11:00:00Z",
    }  # fmt: skip
    assert gateway.post("/v1/events?source=open", orjson.dumps([state, work])).json["ids"] == ["s1", "m1"]
    assert {one.topic for one in written(broker) if one.key == name.encode()} == {"sla.monitoring", "sla.maintenance"}


def test_the_same_event_sent_twice_has_one_id(gateway: GatewayProcess) -> None:
    body = event()
    assert gateway.post("/v1/events?source=open", body).json == gateway.post("/v1/events?source=open", body).json


@pytest.mark.parametrize("shape", ["array", "lines", "pretty", "packed", "windows"])
def test_every_shape_of_a_body_is_read(broker: str, gateway: GatewayProcess, shape: str) -> None:
    names = [uuid.uuid4().hex for _ in range(3)]
    lines = [event(name) for name in names]
    headers = {}
    match shape:
        case "array":
            body = b"[" + b",".join(lines) + b"]"
        case "lines":
            body = b"\n".join(lines) + b"\n\n"
        case "windows":
            body = b"\r\n".join(lines)
        case "pretty":
            names = names[:1]
            body = orjson.dumps(orjson.loads(lines[0]), option=orjson.OPT_INDENT_2)
        case _:
            body, headers = gzip.compress(b"\n".join(lines)), {"Content-Encoding": "gzip"}
    answer = gateway.post("/v1/events?source=open", body, headers)
    assert (answer.status, len(answer.json["ids"])) == (202, len(names))
    assert set(names) <= set(tickets(broker))


def test_half_of_a_batch_is_refused_by_itself_and_kept_with_its_bytes(broker: str, gateway: GatewayProcess) -> None:
    good, bad = [uuid.uuid4().hex for _ in range(2)], event("x", occurred_at="yesterday")
    body = b"\n".join(
        [event(good[0]), b"{not json", event(good[1]), bad, b'{"type":"tick","at":"2026-03-02T10:00:00Z"}']
    )
    answer = gateway.post("/v1/events?source=open", body, {"Content-Type": "application/x-ndjson"})
    assert (answer.status, len(answer.json["ids"])) == (202, 2)
    found = [(one["index"], one["reason"], one["path"]) for one in answer.json["rejected"]]
    assert found == [(1, "not_json", "$"), (3, "bad_instant", "occurred_at"), (4, "unknown_kind", "$")]
    log = written(broker)
    assert set(good) <= {one.key.decode() for one in log}
    originals = [
        one.json["original"] for one in log if one.topic == "sla.rejected" and one.json["reason"] == "bad_instant"
    ]
    assert base64.b64encode(bad).decode() in originals


def test_a_vendors_payload_becomes_events_of_its_source(broker: str, gateway: GatewayProcess) -> None:
    service = uuid.uuid4().hex
    alert = {
        "status": "firing", "labels": {"alertname": "Down", "service": service}, "annotations": {}, "fingerprint": "f1",
        "startsAt": "2026-03-02T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
    }  # fmt: skip
    body = {
        "version": "4",
        "status": "firing",
        "receiver": "r",
        "groupKey": "g",
        "truncatedAlerts": 0,
        "alerts": [alert, 7],
    }
    answer = gateway.post("/v1/hooks/alertmanager", orjson.dumps(body))
    assert (answer.status, len(answer.json["ids"]), len(answer.json["rejected"])) == (202, 1, 1)
    found = next(one.json for one in written(broker) if one.key == service.encode())
    assert (found["state"], found["source"]) == ("down", "prometheus")


def test_a_payload_of_many_bad_records_is_kept_once(broker: str, gateway: GatewayProcess) -> None:
    """Else a body of 2 MiB with ten thousand of them would be 27 GB of `sla.rejected`."""
    service = uuid.uuid4().hex
    body = orjson.dumps({"version": "4", "status": "firing", "receiver": service, "alerts": [7] * 30})
    answer = gateway.post("/v1/hooks/alertmanager", body)
    assert (answer.status, len(answer.json["rejected"])) == (400, 30)
    originals = [one.json["original"] for one in written(broker) if one.topic == "sla.rejected"]
    assert originals.count(base64.b64encode(body).decode()) == 1


def test_a_bad_part_of_an_array_is_kept(broker: str, gateway: GatewayProcess) -> None:
    bad = event(uuid.uuid4().hex, occurred_at="yesterday")
    assert gateway.post("/v1/events?source=open", b"[" + event() + b"," + bad + b"]").status == 202
    originals = [one.json["original"] for one in written(broker) if one.topic == "sla.rejected"]
    assert base64.b64encode(bad).decode() in originals


def test_the_zone_of_a_source_counts_beside_its_options(broker: str, tmp_path: Path) -> None:
    """Else every clock of a source with an options file would be wrong by its offset."""
    config, service = tmp_path / "gateway.yaml", uuid.uuid4().hex
    (tmp_path / "zabbix.yaml").write_text(f"service: {service}\n")
    config.write_text("version: 1\nsources: {riga: {adapter: zabbix, timezone: Europe/Riga, options: zabbix.yaml}}\n")
    problem = {
        "event_id": "7",
        "value": "1",
        "severity": "4",
        "host": "web01",
        "date": "2026.03.02",
        "time": "12:00:00",
    }
    with GatewayProcess(broker, tmp_path, "--config", str(config)) as gateway:
        assert gateway.wait_ready().post("/v1/hooks/zabbix", orjson.dumps(problem)).status == 202
    found = next(one.json for one in written(broker) if one.key == service.encode())
    assert found["occurred_at"] == "2026-03-02T10:00:00Z"


# ---- who may send


def test_a_signature_is_right_with_each_secret_of_the_file(gateway: GatewayProcess) -> None:
    body = event()
    for secret in (SECRET, OTHER_SECRET):
        assert gateway.post("/v1/events?source=signed", body, signed(body, secret)).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(b"something else"),
        {**signed(b"{}", "another-secret-of-bytes")},
        {"Authorization": f"Bearer {SECRET}"},
        {"webhook-id": "é", "webhook-timestamp": "now", "webhook-signature": "v1,\xff"},
    ],
)
def test_a_wrong_signature_is_refused_and_nothing_is_taken(
    broker: str, gateway: GatewayProcess, headers: dict[str, str]
) -> None:
    name = uuid.uuid4().hex
    answer = gateway.post("/v1/events?source=signed", event(name), headers)
    assert (answer.status, answer.json["reason"]) == (401, "not_authenticated")
    assert name not in tickets(broker)


@pytest.mark.parametrize("seconds", [-400, 400])
def test_a_signature_of_another_time_is_refused(gateway: GatewayProcess, seconds: int) -> None:
    body = event()
    assert gateway.post("/v1/events?source=signed", body, signed(body, at=time.time() + seconds)).status == 401


def test_a_vendors_own_scheme_is_checked(gateway: GatewayProcess) -> None:
    body = b'{"zen":"it is only a ping","hook_id":1}'
    right = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "ping", "X-Hub-Signature-256": right}
    assert gateway.post("/v1/hooks/github", body, headers).status == 202
    assert gateway.post("/v1/hooks/github", body + b" ", headers).status == 401


def test_of_several_sources_of_a_vendor_the_signature_or_the_name_says_which(gateway: GatewayProcess) -> None:
    body = b'{"zen":"it is only a ping","hook_id":2}'
    right = "sha256=" + hmac.new(b"a-secret-of-somebody-else", body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "ping", "X-Hub-Signature-256": right}
    assert gateway.post("/v1/hooks/github", body, headers).status == 202
    assert gateway.post("/v1/hooks/github?source=github-us", body, headers).status == 202
    assert gateway.post("/v1/hooks/github?source=github-eu", body, headers).status == 401
    assert 'slastream_gateway_requests_total{source="github-us",status="202"} 2.0' in gateway.get("/metrics").text


def test_a_bearer_token_finds_its_source_without_a_name(gateway: GatewayProcess) -> None:
    assert gateway.post("/v1/events?source=borne", event(), {"Authorization": f"bearer {TOKEN}"}).status == 202
    for wrong in ("Bearer nobody-knows-this-one", f"Basic {TOKEN}", "Bearer", ""):
        assert gateway.post("/v1/events?source=borne", event(), {"Authorization": wrong}).status == 401


def test_of_token_and_signature_both_are_asked_for(gateway: GatewayProcess) -> None:
    body, token = event(), {"Authorization": f"Bearer {TOKEN}"}
    assert gateway.post("/v1/events?source=both", body, token).status == 401
    assert gateway.post("/v1/events?source=both", body, signed(body)).status == 401
    assert gateway.post("/v1/events?source=both", body, {**token, **signed(body)}).status == 202


def test_a_page_in_a_browser_cannot_send_to_an_open_source(gateway: GatewayProcess) -> None:
    assert gateway.post("/v1/events?source=open", event(), {"Origin": "http://evil.example"}).status == 403


def test_no_secret_is_in_the_log_or_the_metrics(gateway: GatewayProcess) -> None:
    gateway.post("/v1/events?source=borne&token=pasted-into-the-url", event(), {"Authorization": f"Bearer {TOKEN}"})
    gateway.post(
        "/v1/events?source=signed",
        event(),
        {"webhook-signature": "v1,guessed-signature", "Authorization": "Bearer guess"},
    )
    raw(gateway, b"POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer broken\x01header\r\n\r\n")
    said = gateway.log + gateway.get("/metrics").text
    for secret in (SECRET, OTHER_SECRET, TOKEN, "pasted-into-the-url", "guessed-signature", "guessed-token", "broken"):
        assert secret not in said


# ---- limits


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[" + b" " * 200_000 + b"]", {}),
        (gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}),
        (b"\n".join([b'{"ticket_id":"T","occurred_at":"2026-03-02T10:00:00Z"}'] * 51), {}),
    ],
)
def test_too_much_is_refused(gateway: GatewayProcess, body: bytes, headers: dict[str, str]) -> None:
    assert gateway.post("/v1/events?source=open", body, headers).status == 413


def test_a_body_of_unknown_length_is_limited_too(gateway: GatewayProcess) -> None:
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    head = b"POST /v1/events?source=open HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 413 " in raw(gateway, head + chunk * 20)


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"{", b"[1,", b"null", b"NaN", b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000]
)
def test_bad_json_is_told_with_a_path(gateway: GatewayProcess, body: bytes) -> None:
    answer = gateway.post("/v1/events?source=open", body)
    assert answer.status == 400
    assert answer.json["path"] and answer.json["reason"] in ("not_json", "missing", "wrong_type", "unknown_kind")


def test_who_asks_before_a_long_body_is_told_to_go_on(gateway: GatewayProcess) -> None:
    body, (host, port) = event(), gateway.address.split(":")
    head = "POST /v1/events?source=open HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b" 202 " in connection.recv(1000)


def test_a_bad_packing_is_told(gateway: GatewayProcess) -> None:
    for body in (b"not packed", gzip.compress(event())[:-9]):
        assert gateway.post("/v1/events?source=open", body, {"Content-Encoding": "gzip"}).json["reason"] == "not_json"


def test_paths_methods_and_sources_that_are_not_there(gateway: GatewayProcess) -> None:
    assert gateway.post("/v1/hooks/zendesk", b"{}").status == 404
    assert gateway.post("/v1/events?source=nobody", event()).status == 404
    assert b" 405 " in raw(gateway, b"DELETE /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")


def test_beyond_its_rate_a_source_is_told_when_to_come_again(gateway: GatewayProcess) -> None:
    answers = [gateway.post("/v1/events?source=slow", event()).status for _ in range(5)]
    assert answers[0] == 202
    assert 429 in answers


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"POST /v1/events HTTP/1.1\r\nHost: h\r\nX-Slow:", b""),
        (b"POST /v1/events?source=open HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{", b" 408 "),
    ],
)
def test_who_sends_slowly_is_cut_off(gateway: GatewayProcess, sent: bytes, says: bytes) -> None:
    started = time.monotonic()
    assert says in raw(gateway, sent)
    assert 1.5 < time.monotonic() - started < 15


def test_idle_connections_beyond_the_limit_are_closed_and_the_others_served(gateway: GatewayProcess) -> None:
    host, port = gateway.address.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(40)]
    try:
        for one in idle[20:]:
            try:
                assert one.recv(10) == b""
            except ConnectionError:
                continue
    finally:
        for one in idle:
            one.close()
    wait_until(lambda: _is_taken(gateway), 10, "the gateway takes events again")


def _is_taken(gateway: GatewayProcess) -> bool:
    try:
        return gateway.post("/v1/events?source=open", event()).status == 202
    except (ConnectionError, http.client.HTTPException, OSError):
        return False


def raw(gateway: GatewayProcess, sent: bytes) -> bytes:
    """Bytes as they are, and all that comes back until the gateway closes."""
    host, port = gateway.address.split(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        try:
            while piece := connection.recv(65536):
                found += piece
        except ConnectionError:
            pass
    return found


# ---- its life


def test_requests_under_way_are_answered_after_sigterm(broker: str, tmp_path: Path) -> None:
    with GatewayProcess(broker, tmp_path) as gateway:
        gateway.wait_ready()
        name, (host, port) = uuid.uuid4().hex, gateway.address.split(":")
        body = event(name)
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = b"POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body[:5])
            seen = gateway.get("/metrics").status
            gateway.process.terminate()
            wait_until(lambda: "what was received is answered first" in gateway.log, 10, "it drains")
            connection.sendall(body[5:])
            assert b" 202 " in connection.recv(65536)
        assert seen == 200
        assert gateway.process.wait(20) == 0, gateway.log
    assert name in tickets(broker)


def test_what_was_answered_202_outlives_kill_9(broker: str, tmp_path: Path) -> None:
    sent: list[str] = []

    with GatewayProcess(broker, tmp_path) as gateway:
        gateway.wait_ready()

        def send(_: int) -> str | None:
            name = uuid.uuid4().hex
            try:
                return name if gateway.post("/v1/events", event(name)).status == 202 else None
            except (OSError, http.client.HTTPException):
                return None

        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(send, range(400))
            for count, name in enumerate(answers):
                sent += [name] if name else []
                if count == 100:
                    gateway.process.kill()
    assert 50 < len(sent) < 400
    assert set(sent) <= set(tickets(broker))


def test_a_recovery_finds_its_problem_after_kill_9_and_at_another_gateway(broker: str, tmp_path: Path) -> None:
    """Zabbix streams no host with a recovery; what says where the problem was is in Kafka before the 202."""
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    host, first, second = uuid.uuid4().hex, *(str(uuid.uuid4().int % 10**12) for _ in range(2))

    def problem(number: str) -> bytes:
        return orjson.dumps(
            {"eventid": int(number), "value": 1, "clock": 1772445600, "ns": 5, "severity": 4, "hosts": [{"host": host}]}
        )

    def recovery(number: str) -> bytes:
        return orjson.dumps(
            {"eventid": int(number) + 1, "value": 0, "clock": 1772445660, "ns": 5, "p_eventid": int(number)}
        )

    with GatewayProcess(broker, folders[0]) as one, GatewayProcess(broker, folders[1]) as other:
        one.wait_ready()
        other.wait_ready()
        assert other.post("/v1/hooks/zabbix", recovery(first)).status == 400, "there was no such problem"
        assert one.post("/v1/hooks/zabbix", problem(first)).status == 202
        assert one.post("/v1/hooks/zabbix", problem(second)).status == 202
        wait_until(lambda: other.post("/v1/hooks/zabbix", recovery(first)).status == 202, 30, "the other knows it")
        one.process.kill()
    with GatewayProcess(broker, folders[2]) as restarted:
        restarted.wait_ready()
        assert restarted.post("/v1/hooks/zabbix", recovery(second)).status == 202
    states = [
        one.json["state"] for one in written(broker) if one.topic == "sla.monitoring" and one.key == host.encode()
    ]
    assert sorted(states) == ["down", "down", "up", "up"]


def test_with_a_broker_killed_nothing_accepted_is_lost_and_the_others_are_told_to_come_again(tmp_path: Path) -> None:
    text = "version: 1\nlimits: {answer_seconds: 2}\nsources: {open: {adapter: events, requests_per_second: 100000}}\n"
    config = configured(tmp_path, text)
    (tmp_path / "kafka").mkdir()
    with KafkaBroker.start(tmp_path / "kafka") as kafka:
        run(create_topics(kafka.address, PARTITIONS))
        with (
            GatewayProcess(kafka.address, tmp_path, "--config", str(config)) as gateway,
            ThreadPoolExecutor(16) as pool,
        ):
            gateway.wait_ready()
            wanted = [f"ticket-{number}" for number in range(600)]

            def send(name: str) -> list[Answer]:
                answers = [gateway.post("/v1/events", event(name))]
                while answers[-1].status != 202 and len(answers) < 500:
                    time.sleep(0.1)  # as Retry-After asks of a client, only sooner
                    answers.append(gateway.post("/v1/events", event(name)))
                return answers

            running = [pool.submit(send, name) for name in wanted]
            wait_until(lambda: running[100].done(), 60, "a hundred were taken")
            kafka.kill()
            wait_until(lambda: gateway.get("/readyz").status == 503, 20, "the gateway noticed")
            assert gateway.post("/v1/events", event("ticket-0")).status == 503
            kafka.restart()
            answers = [one for each in running for one in each.result(120)]
            assert {one.status for one in answers} == {202, 503}
            assert all(int(one.headers["Retry-After"]) > 0 for one in answers if one.status == 503)
            assert sum(one.status == 202 for one in answers) == len(wanted)
            assert set(tickets(kafka.address)) == set(wanted)
            gateway.terminate()


def test_it_starts_without_a_broker_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with GatewayProcess(f"127.0.0.1:{unused.getsockname()[1]}", tmp_path) as gateway:
            assert gateway.get("/healthz").status == 200
            assert gateway.get("/readyz").status == 503
            assert gateway.post("/v1/events", event()).status == 503
            gateway.terminate()


# ---- TLS, and what is refused at the start


def test_with_a_client_ca_only_its_certificates_get_in(broker: str, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    for name in ("server", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    tls = "tls: {certificate: server.pem, key: server.key, client_ca: server.pem}"
    text = f"version: 1\n{tls}\nsources: {{open: {{adapter: events}}}}\n"
    with GatewayProcess(broker, tmp_path, "--config", str(configured(tmp_path, text))) as gateway:
        assert "https://" in gateway.log
        host, port = gateway.address.split(":")

        def status(certificate: str | None) -> int:
            context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
            if certificate is not None:
                context.load_cert_chain(tmp_path / f"{certificate}.pem", tmp_path / f"{certificate}.key")
            connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
            try:
                connection.request("POST", "/v1/events", event())
                return connection.getresponse().status
            finally:
                connection.close()

        wait_until(lambda: "writes to Kafka" in gateway.log, 30, "it is connected")
        assert status("server") == 202
        for stranger in (None, "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                status(stranger)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "0.0.0.0:0"], "is not the loopback interface"),
        (["--config", "{open}"], "is not the loopback interface, and anybody could send as open"),
        (["--config", "{missing}"], "cannot be read"),
        (["--listen", "nonsense"], "is no address"),
    ],
)
def test_what_cannot_be_used_ends_it_with_status_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "open.yaml").write_text("version: 1\nlisten: 0.0.0.0:0\nsources: {open: {adapter: events}}\n")
    given = [each.format(open=tmp_path / "open.yaml", missing=tmp_path / "missing.yaml") for each in arguments]
    command = [sys.executable, "-m", "slastream.cli", "gateway", "--broker", "127.0.0.1:1", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=REPOSITORY)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
