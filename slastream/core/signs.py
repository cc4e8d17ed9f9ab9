"""What happened to a clock that tells whether its number means what it says: the signs of a gamed number.

Each is a count over one cycle. Added up over the clocks that ended in a period, with those as denominator, they are facts about
the maturity of a desk: a share of clocks overridden by hand is normal or not by what the desk agreed, never by itself.
"""

from typing import NamedTuple

NEAR_DUE_SHARE = 10
"""Shortly before due: the last tenth of the promise's own time."""


class Signs(NamedTuple):
    """How often it was opened again, its ticket's priority changed after a warning, it was paused shortly before due; its
    pauses, and those of them with a reason. `overridden` is 1 while a due instant set by hand counts."""

    overridden: int = 0
    reopened: int = 0
    priority_changed_after_warning: int = 0
    paused_before_due: int = 0
    pauses: int = 0
    pauses_with_reason: int = 0


NO_SIGNS = Signs()
