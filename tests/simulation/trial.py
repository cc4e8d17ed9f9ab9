"""One seed, run and judged."""

import traceback

from slastream.stream import ticket_stage

from . import laws
from .worker import Owner
from .world import World


def broken_by(seed: int, owner: type[Owner] = Owner) -> list[str]:
    """The laws that the run of a seed breaks, and how; an exception in the program is one, too."""
    awake, ticket_stage.MAX_AWAKE = ticket_stage.MAX_AWAKE, seed % 3  # at each cut all of the others fall asleep
    try:
        return list(laws.broken(World(seed, owner).run()))
    except Exception:  # noqa: BLE001  the seed has to be told with it
        return ["the run ends with " + traceback.format_exc()]
    finally:
        ticket_stage.MAX_AWAKE = awake


def numbered(seed: int, owner: type[Owner] = Owner) -> tuple[int, list[str]]:
    """For a pool of processes."""
    return seed, broken_by(seed, owner)
