"""The lines of verdicts and facts as bytes, written directly: a stream writes more of them than anything else.

The same objects as `lines.verdict_line` and `lines.fact_line`, in 6 instead of 17 µs: what repeats (the names of a rule, the
attributes of a ticket, instants) is escaped once and remembered. A test holds the two against each other.
"""

from collections.abc import Mapping
from hashlib import sha256

from orjson import dumps

from slastream.core.clocks import Cycle, Labels
from slastream.core.credits import why_excluded
from slastream.core.facts import BREACHED, RETRACTED, Fact
from slastream.core.rules import Rulebook
from slastream.core.signs import NO_SIGNS, Signs
from slastream.core.units import Instant, format_instant

MAX_REMEMBERED = 1 << 16
Line = tuple[bytes, bytes]
"""Key and value of a record."""


class LineWriter:
    """Writes the lines of one policy."""

    def __init__(self, book: Rulebook) -> None:
        self._rules: list[str] = []
        self._names: list[str] = []
        for rule in book.rules:
            agreement, promise = quoted(rule.agreement.name), quoted(rule.promise.name)
            self._rules.append(
                f'"agreement":{agreement},"agreement_kind":{quoted(rule.agreement.kind)},'
                f'"promise":{promise},"metric":{quoted(rule.promise.metric)}'
            )
            self._names.append(f"{agreement},{promise}")
        self._version = f'"policy_version":{quoted(book.policy.version)}'
        self._calendars = {name: quoted(name) for name in book.policy.calendars}
        self._signs: dict[Signs, str] = {}
        self._labels: dict[Labels, str] = {}
        self._instants: dict[int, str] = {}
        self._keys: dict[str, bytes] = {}

    def verdict(
        self,
        ticket_id: str,
        cycle: Cycle,
        labels: Labels,
        at: Instant,
        corrects: Mapping[str, str | None] | None,
        is_withdrawn: bool,
    ) -> Line:
        """The clock as it stands at `at`; the key names the clock's cycle."""
        reading, index, number, instant = cycle.read(at), cycle.rule.index, cycle.number, self._instant
        ticket, target, elapsed, override = quoted(ticket_id), reading.target_us, reading.elapsed_us, cycle.override
        if override is None:
            override_text = "null"
        else:
            override_text = (
                f'{{"due_at":{instant(override.due_at)},"by":{quoted(override.by)},"reason":{quoted(override.reason)}}}'
            )
        signs = cycle.signs
        rest = "" if corrects is None else f',"corrects":{dumps(corrects).decode()}'
        if signs is not NO_SIGNS and signs != NO_SIGNS:
            rest += self._signs_text(signs)
        exclusions = cycle.rule.agreement.exclusions
        if exclusions and (reason := why_excluded(ticket_id, cycle, labels.service)) is not None:
            rest += f',"excluded":{quoted(reason)}'
        if is_withdrawn:
            rest += ',"is_withdrawn":true'
        clock = f"[{ticket},{self._names[index]},{number}"
        if (occurrence := cycle.breach_occurrence) is not None:
            breach_id = _digest(f'{clock},"{BREACHED}",null,{occurrence}]')
            rest += f',"breach_id":"{breach_id}"'
        line = (
            f'{{"kind":"verdict","ticket_id":{ticket},{self._rules[index]},"cycle":{number},"status":"{reading.status}",'
            f'"started_at":{instant(cycle.started_at)},"due_at":{instant(reading.due_at)},'
            f'"stopped_at":{instant(cycle.stopped_at)},"breached_at":{instant(cycle.breached_at)},'
            f'"elapsed_seconds":{seconds_of(elapsed)},"target_seconds":{"null" if target is None else seconds_of(target)},'
            f'"remaining_seconds":{"null" if target is None else seconds_of(target - elapsed)},'
            f'"paused_seconds":{seconds_of(reading.paused_us)},"calendar":{self._calendars[cycle.selection.calendar.name]},"in_hours":{_TRUTH[reading.in_hours]},'
            f'"due_if_resumed_now":{instant(reading.due_if_resumed_now)},'
            f'"cancel_reason":{quoted(cycle.cancel_reason)},"override":{override_text},'
            f'"is_at_risk":{_TRUTH[cycle.is_at_risk]},"as_of":{instant(at)},"revision":{cycle.revision},{self._version},'
            f'"id":"{_digest(f"{clock},null,{cycle.revision}]")}",{self._attributes(labels)}{rest}}}'
        )
        return self._key(clock), line.encode()

    def fact(self, ticket_id: str, fact: Fact, labels: Labels, published_at: Instant) -> Line:
        """A fact; its key is its id."""
        ticket, index, threshold = quoted(ticket_id), fact.rule_index, quoted(fact.threshold)
        clock = f"[{ticket},{self._names[index]},{fact.cycle}"
        retracts = "null"
        if fact.retracted is None:
            name = _digest(f'{clock},"{fact.fact}",{threshold},{fact.occurrence}]')
        else:
            undone = _digest(f'{clock},"{fact.retracted}",{threshold},{fact.occurrence}]')
            retracts = f'"{undone}"'
            name = _digest(f'{clock},"{RETRACTED}",{retracts}]')
        line = (
            f'{{"kind":"fact","fact":"{fact.fact}","ticket_id":{ticket},{self._rules[index]},"cycle":{fact.cycle},'
            f'"threshold":{threshold},"at":{self._instant(fact.at)},"published_at":{self._instant(published_at)},'
            f'"caused_by":{quoted(fact.caused_by)},"retracts":{retracts},{self._version},"id":"{name}",'
            f"{self._attributes(labels)}}}"
        )
        return name.encode(), line.encode()

    def _attributes(self, labels: Labels) -> str:
        text = self._labels.get(labels)
        if text is None:
            if len(self._labels) >= MAX_REMEMBERED:
                self._labels.clear()
            text = self._labels[labels] = dumps(labels._asdict()).decode()[1:-1]
        return text

    def _signs_text(self, signs: Signs) -> str:
        text = self._signs.get(signs)
        if text is None:
            if len(self._signs) >= MAX_REMEMBERED:
                self._signs.clear()
            text = self._signs[signs] = f',"signs":{dumps(signs._asdict()).decode()}'
        return text

    def _key(self, clock: str) -> bytes:
        key = self._keys.get(clock)
        if key is None:
            if len(self._keys) >= MAX_REMEMBERED:
                self._keys.clear()
            key = self._keys[clock] = _digest(clock + "]").encode()
        return key

    def _instant(self, at: int | None) -> str:
        if at is None:
            return "null"
        text = self._instants.get(at)
        if text is None:
            if len(self._instants) >= MAX_REMEMBERED:
                self._instants.clear()
            text = self._instants[at] = f'"{format_instant(Instant(at))}"'
        return text


_TRUTH = ("false", "true")


def quoted(text: str | None) -> str:
    if text is None:
        return "null"
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return dumps(text).decode()


def seconds_of(us: int) -> str:
    """As `units.seconds`."""
    whole, rest = divmod(us, 1_000_000)
    return str(us / 1_000_000) if rest else str(whole)


def _digest(text: str) -> str:
    """As `facts.identity` of what the text lists."""
    return sha256(text.encode()).hexdigest()[:32]
