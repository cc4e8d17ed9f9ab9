"""What the second stage said of services beside `replay`: facts that stand, windows that have ended, what it refused.

It reads several topics, which have no order among each other: what it says on the way depends on that, what stands does not.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from .monitoring import BAD, MAINTENANCE, MONITORING
from .reference import Json, Replayed
from .topics import Read

EVENTS = ("sla.tickets", MONITORING, MAINTENANCE)
FACT = ("service", "agreement", "promise", "fact", "threshold", "at")
NEEDED_OF_SERVICES = ["service facts", "service facts live", "ended windows", "unusable"]
STILL_US = 2_000_000
"""Before the end of a run nothing was written for longer: what was due until then has been said."""


def is_of_service(record: Read) -> bool:
    """Whether it is a fact of a service, or what the second stage refused."""
    line = _line(record)
    if line["kind"] == "rejected":
        return bool(line["origin"]["topic"] != "sla.tickets")
    return line["kind"] == "fact" and "ticket_id" not in line


class Services:
    """Of one run."""

    def __init__(self, topics: dict[str, list[Read]], replay: Replayed, until_us: int, is_exactly_once: bool) -> None:
        self._topics = dict(topics)
        self._wanted = [fact for fact in replay.facts if "ticket_id" not in fact]
        self._windows = replay.availability
        self._is_exactly_once = is_exactly_once
        self._until = datetime.fromtimestamp((until_us - STILL_US) / 1e6, UTC)
        said = [record for record in topics["sla.breaches"] if is_of_service(record)]
        self._times = Counter(record.key for record in said)
        self._facts = list({record.key: _line(record) for record in said}.values())

    def compared(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """(what, as the stream says, as it should be)."""
        yield "facts of services", self._standing(self._facts), self._standing(self._wanted)
        lines = {record.key: _line(record) for record in self._topics["sla.compliance"]}.values()
        windows = (line for line in lines if line["kind"] == "availability")
        yield "windows of services", self._ended(windows), self._ended(self._windows)
        yield "what is refused", self._refused(), self._unusable()
        if self._is_exactly_once:
            yield "repeated facts of services", {str(key): n for key, n in self._times.items() if n > 1}, {}

    def counts(self) -> Counter[str]:
        return Counter(
            {
                "service events": len(self._topics[MONITORING]) + len(self._topics[MAINTENANCE]),
                "service facts": len(self._facts),
                "service facts live": sum(datetime.fromisoformat(f["at"]) > self._run_began for f in self._facts),
                "service facts retracted": sum(fact["fact"] == "retracted" for fact in self._facts),
                "service facts repeated": sum(self._times.values()) - len(self._times),
                "ended windows": len(self._ended(self._windows)),
                "unusable": len(self._unusable()),
            }
        )

    @property
    def _run_began(self) -> datetime:
        first = min(record.timestamp_ms for record in self._topics["sla.tickets"])
        return datetime.fromtimestamp(first / 1e3, UTC)

    def _standing(self, facts: Iterable[Json]) -> dict[str, None]:
        facts = list(facts)
        taken_back = {fact["retracts"] for fact in facts if fact["retracts"] is not None}
        standing = [fact for fact in facts if fact["fact"] != "retracted" and fact["id"] not in taken_back]
        return {
            str([fact[name] for name in FACT]): None
            for fact in standing
            if datetime.fromisoformat(fact["at"]) < self._until
        }

    def _ended(self, lines: Iterable[Json]) -> dict[str, Json]:
        return {
            str([line[name] for name in ("service", "agreement", "promise", "window")]): line
            for line in lines
            if datetime.fromisoformat(line["window"]["end"]) < self._until
        }

    def _refused(self) -> dict[str, int]:
        """How often each record was; without transactions only whether it was."""
        refused = (record for record in self._topics["sla.rejected"] if is_of_service(record))
        times = Counter(str(_line(record)["origin"]) for record in refused)
        return dict(times) if self._is_exactly_once else dict.fromkeys(times, 1)

    def _unusable(self) -> dict[str, int]:
        return {
            str({"topic": topic, "partition": record.partition, "offset": record.offset}): 1
            for topic in (MONITORING, MAINTENANCE)
            for record in self._topics[topic]
            if record.value in BAD
        }


def _line(record: Read) -> Json:
    line: Json = orjson.loads(record.value or b"")
    return line
