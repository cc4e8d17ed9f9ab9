"""One seed, run and judged."""

import traceback

from . import laws
from .worker import Owner
from .world import World


def broken_by(seed: int, owner: type[Owner] = Owner) -> list[str]:
    """The laws that the run of a seed breaks, and how; an exception in the program is one, too."""
    try:
        return list(laws.broken(World(seed, owner).run()))
    except Exception:  # noqa: BLE001  the seed has to be told with it
        return ["the run ends with " + traceback.format_exc()]


def numbered(seed: int, owner: type[Owner] = Owner) -> tuple[int, list[str]]:
    """For a pool of processes."""
    return seed, broken_by(seed, owner)
