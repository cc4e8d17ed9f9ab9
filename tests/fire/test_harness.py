"""The fire's own tools: a load is its seed's, the network disturbs as told, the comparison sees what is wrong."""

import random
import socket
import threading
from collections import Counter
from datetime import UTC, datetime

import orjson

from slastream.local.kafka import free_port

from .checks import _beside
from .load import PARTITIONS, make_load, partition_of
from .monitoring import MAINTENANCE, MONITORING
from .proxy import HOST, proxy
from .reference import Json, Published, Replayed
from .service_checks import Services
from .topics import Read

ONE, OTHER = "2026-11-02T10:00:00Z", "2026-11-02T11:00:00Z"
STARTED = datetime(2026, 11, 2, 9, tzinfo=UTC)


def test_a_load_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, again, other = (make_load(seed, 2_000, 10, STARTED) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_load_has_strays_repetitions_and_bad_records() -> None:
    records = make_load(1, 5_000, 10, STARTED).records
    assert any(each.key is not None and each.partition not in (None, partition_of(each.key)) for each in records)
    assert max(Counter((each.key, each.value) for each in records).values()) > 1
    assert {each.partition for each in records if each.key is None} == set(range(PARTITIONS))
    assert {each.topic for each in records} == {"sla.tickets", MONITORING, MAINTENANCE}


def test_the_comparison_tells_lost_invented_repeated_and_contradictory_facts() -> None:
    expected: Published = Counter([(b"a", b"1"), (b"b", b"2")])

    def found(*published: tuple[bytes, bytes], is_exactly_once: bool = True) -> list[str]:
        told = _beside("sla.breaches", Counter(published), expected, is_exactly_once)
        return [line.split(":")[1].strip() for line in told]

    assert found((b"a", b"1"), (b"b", b"2")) == []
    assert found((b"a", b"1")) == ["lost"]
    assert found((b"a", b"1"), (b"b", b"2"), (b"c", b"3")) == ["invented"]
    assert found((b"a", b"1"), (b"b", b"2"), (b"b", b"2")) == ["repeated"]
    assert found((b"a", b"1"), (b"b", b"2"), (b"b", b"2"), is_exactly_once=False) == []
    assert found((b"a", b"1"), (b"b", b"2"), (b"b", b"3")) == ["invented", "contradictory"]


def test_the_network_forwards_stalls_and_breaks_as_told() -> None:
    port, target = free_port(), free_port()
    with socket.create_server((HOST, target)) as server, proxy(port, target) as network:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with socket.create_connection((HOST, port), timeout=10) as connection:
            connection.sendall(b"one")
            assert connection.recv(3) == b"one"
            network.stall()
            connection.sendall(b"two")
            connection.settimeout(0.3)
            assert _received(connection) is None
            network.flow()
            connection.settimeout(10)
            assert _received(connection) == b"two"
            network.reset(1.0, random.Random(1))
            assert _received(connection) == b""


def _received(connection: socket.socket) -> bytes | None:
    """None: nothing within the connection's time; empty: the connection was broken."""
    try:
        return connection.recv(3)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        try:
            while data := connection.recv(100):
                connection.sendall(data)
        except ConnectionError:
            return


def test_the_comparison_of_services_tells_what_stands_too_much_was_repeated_or_not_refused() -> None:
    def fact(at: str) -> Json:
        names = {"service": "mail", "agreement": "a", "promise": "p", "fact": "burn_started", "threshold": "1"}
        return {**names, "kind": "fact", "id": at, "at": at, "retracts": None}

    def found(*published: str, refused: int, is_exactly_once: bool = True) -> set[str]:
        origin = {"topic": MONITORING, "partition": 0, "offset": 0}
        rejected = {"kind": "rejected", "origin": origin}
        topics = {
            "sla.tickets": [_read(b"T1", b"{}")],
            MONITORING: [_read(b"mail", b"not json")],
            MAINTENANCE: [],
            "sla.compliance": [],
            "sla.breaches": [_read(at.encode(), orjson.dumps(fact(at))) for at in published],
            "sla.rejected": [_read(None, orjson.dumps(rejected))] * refused,
        }
        services = Services(topics, Replayed([], [fact(ONE)], [], []), until_us, is_exactly_once)
        return {what for what, ours, theirs in services.compared() if ours != theirs}

    until_us = int(datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp() * 1e6)
    assert found(ONE, refused=1) == set()
    assert found(refused=1) == {"facts of services"}
    assert found(ONE, OTHER, refused=1) == {"facts of services"}
    assert found(ONE, ONE, refused=2) == {"repeated facts of services", "what is refused"}
    assert found(ONE, ONE, refused=2, is_exactly_once=False) == set()
    assert found(ONE, refused=0, is_exactly_once=False) == {"what is refused"}


def _read(key: bytes | None, value: bytes) -> Read:
    return Read(0, 0, 0, key, value, ())
