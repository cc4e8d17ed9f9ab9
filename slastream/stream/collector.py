"""CPython's cyclic collector, kept away from what lives long: it would look through millions of tickets again and again.

State has no cycles: what leaves it is freed at once. So everything that was restored is frozen, which takes it out of every
later collection, and nothing is collected while it comes.
"""

import contextlib
import gc
from collections.abc import Iterator

THRESHOLDS = (50_000, 20, 1_000)
"""Objects more than were freed before the youngest are looked through (10 ms), and how often before the next age is."""


class RestingCollector:
    """Rests while at least one partition is restored; freezes what is there when the last of them is."""

    def __init__(self) -> None:
        self._restores = 0

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Around one restore; several may overlap."""
        self._restores += 1
        gc.disable()
        try:
            yield
        finally:
            self._restores -= 1
            if not self._restores:
                gc.freeze()
                gc.enable()
