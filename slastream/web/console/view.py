"""The view: records of the topics in, indexes to ask. Pure: no clock, no I/O; the same records give the same view."""

import sqlite3
from collections import Counter

from orjson import loads

from slastream.core.events import MaintenanceEvent, MonitoringEvent, TicketEvent
from slastream.core.policies import Policy
from slastream.core.units import Instant
from slastream.errors import EventError
from slastream.web.console.clocks import Clocks
from slastream.web.console.facts import Facts
from slastream.web.console.monitored import Monitored
from slastream.web.console.rejects import Rejects
from slastream.web.console.tickets import Place, Tickets
from slastream.web.console.windows import Windows
from slastream.wire.events import decode_event

VERDICTS, BREACHES, COMPLIANCE, REJECTED = "sla.verdicts", "sla.breaches", "sla.compliance", "sla.rejected"
TICKETS, MONITORING, MAINTENANCE = "sla.tickets", "sla.monitoring", "sla.maintenance"
OUTPUTS = (VERDICTS, BREACHES, COMPLIANCE, REJECTED)
INPUTS = (TICKETS, MONITORING, MAINTENANCE)
TICK = b"tick"


class View:
    """Everything that the console knows. `version` grows with everything that is told."""

    def __init__(self, policy: Policy) -> None:
        database = sqlite3.connect(":memory:", isolation_level=None)
        database.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back, and nothing kept
        self.policy = policy
        self.clocks = Clocks(database)
        self.facts = Facts(database)
        self.tickets = Tickets(database)
        self.windows = Windows()
        self.rejects = Rejects()
        self.monitored = Monitored(policy)
        self.version = 0
        self.heard_at = Instant(0)
        """Broker's time of the newest record."""
        self.records: Counter[str] = Counter()

    def tell(self, topic: str, place: Place, heard_at: Instant, key: bytes | None, value: bytes | None) -> None:
        """Takes a record in; `heard_at` is the broker's time. Raises ValueError, KeyError or TypeError for none of ours."""
        self.records[topic] += 1
        self.heard_at = max(self.heard_at, heard_at)
        if topic in INPUTS:
            self._tell_event(place, value)
        elif topic == COMPLIANCE:
            self.windows.tell(key or b"", None if value is None else loads(value))
        elif value is not None and key != TICK:
            self._tell_line(topic, place, heard_at, (key or b"").decode(), value)
        else:
            return
        self.version += 1

    def _tell_line(self, topic: str, place: Place, heard_at: Instant, key: str, value: bytes) -> None:
        line = loads(value)
        if topic == VERDICTS:
            self.clocks.tell(key, line)
            self.tickets.heard_of(line["ticket_id"], line)
        elif topic == BREACHES:
            self.facts.tell(line)
        else:
            self.rejects.tell(place, heard_at, line)

    def _tell_event(self, place: Place, value: bytes | None) -> None:
        """What workers reject is passed over here: they say it on `sla.rejected`."""
        try:
            event = decode_event(value or b"")
        except EventError:
            return
        if isinstance(event, TicketEvent):
            self.tickets.tell(event, place)
        elif isinstance(event, MonitoringEvent | MaintenanceEvent):
            self.monitored.tell(event)
