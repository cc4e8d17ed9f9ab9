"""`sla.breaches` and `sla.verdicts` read into the board: from their beginning, then followed.

No offset is kept: which alerts are on is what the two topics say, so a start reads both.
"""

from typing import Any

from orjson import loads

from slastream.core.units import Instant
from slastream.stream.kafka_client import Broker
from slastream.web.follower import Follower
from slastream.web.notify_alerts import Board

BREACHES, VERDICTS = "sla.breaches", "sla.verdicts"
_STATUS = b'"breached"'


def followers(broker: Broker, board: Board) -> tuple[Follower, Follower]:
    """Of facts and of verdicts. Let the first be complete before the second runs: verdicts of unknown facts are left out."""

    def tell_fact(record: Any) -> None:
        if record.value is not None:
            board.tell_fact(loads(record.value), Instant(record.timestamp * 1000))

    def tell_verdict(record: Any) -> None:
        value = record.value
        if value is not None and _STATUS in value:  # of a hundred thousand verdicts a few: 0.1 µs each, not 5
            board.tell_verdict(loads(value), Instant(record.timestamp * 1000))

    return Follower(broker, BREACHES, tell_fact), Follower(broker, VERDICTS, tell_verdict)
