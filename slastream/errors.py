"""The hierarchy of errors: whose fault it was is in the class.

Every message says what is wrong, the value, where, and what to write instead.
"""


class SlastreamError(Exception):
    """Anything that this program raises on purpose."""


class PolicyError(SlastreamError):
    """The operator's: a policy, a mapping or a setting that cannot be used. Exit status 2."""


class EventError(SlastreamError):
    """The producer's: a message that cannot be used.

    `reason` is one of the bounded words of the contract (section 3), `path` the JSON path of the fault (`$` the whole).
    """

    def __init__(self, reason: str, path: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.path = path


class SnapshotError(SlastreamError):
    """Our past self's: a stored state that this version cannot read."""


class DeliveryError(SlastreamError):
    """The infrastructure's: a broker or a disk that does not do what it promised. Exit status 3."""
