"""A program of ours as a child process that is started again when it ends, and stopped with SIGTERM."""

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from slastream.errors import PolicyError
from slastream.local.kafka import start_child

LONGEST_BACKOFF_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A child that ran so long is started again at once."""
STOP_SECONDS = 40.0
"""A worker gives itself 30 s to make durable what it has applied, a gateway 30 s to answer."""
EXIT_WRONG_INPUT = 2

Say = Callable[[str], None]


class Child:
    """Runs the command until its block ends; `name` is how `say` calls it. Its output is appended to `log_path`."""

    def __init__(self, name: str, command: Sequence[str], log_path: Path, say: Say) -> None:
        self.log_path = log_path
        self._name = name
        self._command = command
        self._say = say
        self._failures = 0
        self._started_at = 0.0
        self._start_at = 0.0
        self._log_offset = 0
        self._process = self._start()

    def supervise(self) -> None:
        """Call this a few times a second. Raises PolicyError when it ends because of wrong input."""
        if self._start_at:
            if time.monotonic() >= self._start_at:
                self._start_at = 0.0
                self._process = self._start()
            return
        status = self._process.poll()
        if status is None:
            return
        if status == EXIT_WRONG_INPUT:
            raise PolicyError(self.log_end())
        is_steady = time.monotonic() - self._started_at > STEADY_SECONDS
        self._failures = 0 if is_steady else self._failures + 1
        wait_seconds = 0.0 if is_steady else min(LONGEST_BACKOFF_SECONDS, 0.5 * 2**self._failures)
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        self._say(
            f"the {self._name} ended {how}, it starts again in {wait_seconds:.0f} s; {self.log_path} ends:\n{self.log_end()}"
        )
        self._start_at = time.monotonic() + wait_seconds

    def stop(self) -> None:
        """SIGTERM, so that it ends in its own way; after STOP_SECONDS the hard way."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._say(f"the {self._name} did not stop within {STOP_SECONDS:.0f} s: killed")
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log_end(self) -> str:
        """The last lines of this run's log."""
        return "\n".join(self.log().decode(errors="replace").strip().splitlines()[-5:])

    def log(self) -> bytes:
        """What this run has written."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_offset)
            return log.read()

    def _start(self) -> subprocess.Popen[bytes]:
        self._log_offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._started_at = time.monotonic()
        return start_child(self._command, self.log_path)
