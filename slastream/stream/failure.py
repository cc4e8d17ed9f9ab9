"""Fail-stop, and a log that a broker that is away does not fill.

Memory may be ahead of what is durable only inside one life of a process: whoever finds something that cannot be, ends
the process at once, and the supervisor starts the next one from what is durable.
"""

import logging
import os
import sys
import threading
import time
from typing import Final, NoReturn

EXIT_UNEXPECTED: Final = 70
"""A produce that failed, a fenced producer, or anything that nobody expected."""
EXIT_NOT_RESTORED: Final = 71
"""A partition could not be restored completely."""
EXIT_ASSIGNMENT: Final = 72
"""A stage's partitions were handed out inconsistently."""

log = logging.getLogger(__name__)


def fail_stop(message: str, *, exit_status: int = EXIT_UNEXPECTED, cause: BaseException | None = None) -> NoReturn:
    """Write one clear line and end the process at once, without any cleaning up that could make things durable."""
    reason = f"{message}: {cause!r}" if cause is not None else message
    log.critical("ends with status %d: %s", exit_status, reason, exc_info=cause)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(exit_status)


def leave() -> NoReturn:
    """End the process, all being durable, without taking its state apart: of a million tickets that takes 18 s."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Pulse(threading.Thread):
    """Ends a process that was stopped for so long that others have taken its partitions over (where nothing fences it).

    A thread of its own: a long computation does not hold it up, as it does not hold up the heartbeats of the group.
    """

    def __init__(self, limit_seconds: float) -> None:
        """Safe for a limit below the session's timeout less the interval of heartbeats."""
        super().__init__(name="pulse", daemon=True)
        self._limit_seconds = limit_seconds
        self._felt_at = time.monotonic()

    def check(self) -> None:
        """To be called before anything is written: this process may have woken a moment ago."""
        if (stopped := time.monotonic() - self._felt_at) > self._limit_seconds:
            fail_stop(f"was stopped for {stopped:.1f} s: others may have its partitions, and it writes nothing more")

    def run(self) -> None:
        """Feel the pulse for ever."""
        while True:
            self.check()
            self._felt_at = time.monotonic()
            time.sleep(0.1)


class RepeatedLines(logging.Filter):
    """Lets a line of one template through once in `every_seconds`, with the number of those held back."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        super().__init__()
        self._every_seconds = every_seconds
        self._passed: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be written; changes its text when others were held back."""
        template = str(record.msg)
        now = time.monotonic()
        passed = self._passed.get(template)
        if passed is not None and now - passed < self._every_seconds:
            self._held_back[template] = self._held_back.get(template, 0) + 1
            return False
        self._passed[template] = now
        if held_back := self._held_back.pop(template, 0):
            record.msg = f"{record.getMessage()} (and {held_back} lines like it)"
            record.args = ()
        return True


_QUIETENED = (
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
    "aiokafka",
)


def quieten_clients() -> None:
    """Limit what aiokafka writes about a broker that is away to one line per template in ten seconds."""
    for name in _QUIETENED:
        logger = logging.getLogger(name)
        if not any(isinstance(each, RepeatedLines) for each in logger.filters):
            logger.addFilter(RepeatedLines())
        logger.setLevel(logging.WARNING)
