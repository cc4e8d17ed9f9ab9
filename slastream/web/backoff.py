"""How long to wait after a failure."""

import random

MOST_DOUBLINGS = 20


def backoff_seconds(failures: int, first_seconds: float, longest_seconds: float) -> float:
    """Doubled with each failure up to the longest, and up to half of it more by chance, so that never all come at once."""
    doubled = min(longest_seconds, first_seconds * 2.0 ** min(failures - 1, MOST_DOUBLINGS))
    return doubled * (1 + random.random() / 2)  # noqa: S311  # no secret
