"""A broker in this process, without Java: the mock cluster of librdkafka, which the confluent-kafka wheel carries.

Good for a look at the demo and for faults that a real broker does not produce on demand. It is not Kafka: see NOTICE.
It has no topic creation or description (topics are given at the start), no compaction, no retention, and it keeps
5 MiB or 100,000 batches per partition, whichever comes first, dropping the oldest.
**Source:** https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h
"""

import ctypes
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from slastream.errors import DeliveryError

NOTICE = (
    "This is the in-memory broker: it forgets everything when it ends, and keeps at most 5 MiB per partition. "
    "For data that matters use Kafka (--broker HOST:PORT)."
)

_PRODUCER = 0
_REBALANCE_DELAY_MS = 100  # a real broker of the demo has 0; the mock needs some, or a group's members miss each other


class MemoryBroker:
    """A running mock cluster of one broker. Make one with `MemoryBroker.start`."""

    def __init__(self, library: ctypes.CDLL, handle: int, cluster: int) -> None:
        self._library = library
        self._handle = handle
        self._cluster = cluster
        self._address: str = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    @classmethod
    def start(cls, topics: Mapping[str, int]) -> Self:
        """Start with these topics and their numbers of partitions. Raises DeliveryError without confluent-kafka."""
        library = _load_library()
        reason = ctypes.create_string_buffer(512)
        configuration = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(configuration, b"log_level", b"3", reason, len(reason))
        handle = library.rd_kafka_new(_PRODUCER, configuration, reason, len(reason))
        cluster = library.rd_kafka_mock_cluster_new(handle, 1) if handle else None
        if not cluster:
            raise DeliveryError(
                f"the in-memory broker does not start ({reason.value.decode()}): use --broker HOST:PORT"
            )
        broker = cls(library, handle, cluster)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, _REBALANCE_DELAY_MS)
        for name, partitions in topics.items():
            error = library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1)
            if error:
                broker.stop()
                description = library.rd_kafka_err2str(error).decode()
                raise DeliveryError(
                    f"the in-memory broker refuses topic {name}, {partitions} partitions: {description}"
                )
        return broker

    @property
    def address(self) -> str:
        """`HOST:PORT` for clients."""
        return self._address

    def fail_requests(self, api_key: int, errors: Sequence[int]) -> None:
        """Answer the next requests of this kind (its number in Kafka's protocol) with these error codes, one each."""
        array = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api_key, len(errors), array)

    def delay_requests(self, api_key: int, delays_ms: Sequence[int]) -> None:
        """Answer the next requests of this kind so much later, one each."""
        pairs = [ctypes.c_int(value) for delay in delays_ms for value in (0, delay)]
        self._library.rd_kafka_mock_broker_push_request_error_rtts(
            ctypes.c_void_p(self._cluster),
            ctypes.c_int32(1),
            ctypes.c_int16(api_key),
            ctypes.c_size_t(len(delays_ms)),
            *pairs,
        )

    def stop(self) -> None:
        """End it and forget everything. Stopping twice is harmless."""
        if self._handle:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._handle)
            self._handle = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _load_library() -> ctypes.CDLL:
    specification = importlib.util.find_spec("confluent_kafka")
    if specification is None or specification.origin is None:
        raise DeliveryError(
            "the in-memory broker needs the package confluent-kafka: "
            "pip install 'slastream[memory-broker]', or name a running broker with --broker"
        )
    libraries = sorted((Path(specification.origin).parents[1] / "confluent_kafka.libs").glob("librdkafka*.so*"))
    if not libraries:
        raise DeliveryError("confluent-kafka is not installed from its wheel for Linux: use --broker HOST:PORT")
    importlib.import_module("confluent_kafka.cimpl")  # loads the libraries that librdkafka itself needs
    library = ctypes.CDLL(str(libraries[0]))
    for name, result, *arguments in _SIGNATURES:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # Variadic: its arguments carry their types themselves.
    library.rd_kafka_mock_broker_push_request_error_rtts.restype = ctypes.c_int
    return library


_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_SIGNATURES = (
    ("rd_kafka_conf_new", _POINTER),
    ("rd_kafka_conf_set", _INT, _POINTER, _TEXT, _TEXT, _TEXT, _SIZE),
    ("rd_kafka_new", _POINTER, _INT, _POINTER, _TEXT, _SIZE),
    ("rd_kafka_destroy", None, _POINTER),
    ("rd_kafka_err2str", _TEXT, _INT),
    ("rd_kafka_mock_cluster_new", _POINTER, _POINTER, _INT),
    ("rd_kafka_mock_cluster_bootstraps", _TEXT, _POINTER),
    ("rd_kafka_mock_cluster_destroy", None, _POINTER),
    ("rd_kafka_mock_topic_create", _INT, _POINTER, _TEXT, _INT, _INT),
    ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, _POINTER, ctypes.c_int32),
    ("rd_kafka_mock_push_request_errors_array", None, _POINTER, ctypes.c_int16, _SIZE, _POINTER),
)
