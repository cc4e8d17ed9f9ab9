"""A rejected record sent once more: to the topic of its kind, when it is an event as it stands now."""

import logging
from typing import NamedTuple

import orjson

from slastream.errors import DeliveryError, EventError
from slastream.web.console.archive import Archive
from slastream.web.console.rejects import original_of
from slastream.web.console.tickets import Place
from slastream.web.console.view import REJECTED
from slastream.web.event_log import EventLog, UnavailableError, entry_of
from slastream.wire.events import decode_event

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Whether it was sent, and what to tell people."""

    is_sent: bool
    text: str


class Replaying:
    """Reads the whole original from `sla.rejected`, never what a form says."""

    def __init__(self, archive: Archive, event_log: EventLog) -> None:
        self._archive = archive
        self._log = event_log

    async def replay(self, place: Place, by: str) -> Outcome:
        """`by` is who asked, for the log. Raises DeliveryError when Kafka does not answer."""
        values = await self._archive.read(REJECTED, [place])
        if not values:
            return Outcome(False, "The record has left sla.rejected; it cannot be sent any more.")
        line = orjson.loads(values[0])
        original = original_of(line)
        if original is None:
            return Outcome(False, "The record had no content.")
        try:
            entry = entry_of(decode_event(original))
        except EventError as error:
            return Outcome(
                False,
                f"It is still no event: {error.path}: {error}. Mend it at its source, and send it again from there.",
            )
        try:
            await self._log.until_ready()
            await self._log.append([entry])
        except UnavailableError as error:
            raise DeliveryError(str(error)) from None
        log.warning("%s sent %s again, from sla.rejected %d at %d", by, entry.topic, place.partition, place.offset)
        return Outcome(True, f"Sent to {entry.topic} again. If it is still refused, it comes back to this list.")
