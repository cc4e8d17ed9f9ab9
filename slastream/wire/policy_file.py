"""The policy file: text to a `Policy`, or every problem of it at once (contract section 2).

A section is read by the method of its name; what a method cannot read it notes and leaves out, so that one mistake makes one
message. Checks over several parts (ranks, shadows, cycles) come last, and only look at what was read.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from slastream.core.calendars import Calendar, CalendarVersion, HolidayList, Period, zone
from slastream.core.events import STATES
from slastream.core.periods import LONGEST_OF_PERIOD, ROLLING
from slastream.core.policies import (
    CLOCK_METRICS,
    PAUSE_REASONS,
    PERIODS,
    PROFILES,
    ROLLING_WINDOWS,
    SATISFACTION,
    SERVICE_METRICS,
    Agreement,
    ClockPromise,
    ExperiencePromise,
    LedgerTerms,
    Moods,
    Objective,
    Policy,
    Service,
    ServicePromise,
    TargetRule,
    Warning,
)
from slastream.core.predicates import ALWAYS, EVENT_NAMES, Equals, Predicate, looks_at_event
from slastream.core.targets import BusinessDays, CalendarDays, EndOfBusinessDay, OpenTime, Target, parse_target
from slastream.core.units import DAY, HOUR, MINUTE, SECOND, Duration, parse_duration
from slastream.errors import PolicyError
from slastream.wire.calendar_data import CountryHolidays, EventHolidays
from slastream.wire.chain_checks import check_chains, condition_of
from slastream.wire.contract_sections import ContractSections, Promised, read_share
from slastream.wire.openslo import is_openslo, sections_of
from slastream.wire.predicate_text import PredicateReader, excludes, implies, is_never
from slastream.wire.yaml_nodes import Entry, Problem, Reader, is_null, line_of, nearest, parse, parse_all, shown, values

ReadFile = Callable[[str], bytes]

TOP_KEYS = (
    "version", "timezone", "match_mode", "lateness", "retention", "max_clock_skew", "pause_reasons", "calendars", "services",
    "agreements", "ledger", "experience",
)  # fmt: skip
CALENDAR_KEYS = ("timezone", "hours", "holidays", "exceptions", "versions")
VERSION_KEYS = ("effective_from", "hours", "holidays", "exceptions")
SERVICE_KEYS = ("customer", "provider", "team", "depends_on", "combine", "components", "weight")
AGREEMENT_KEYS = (
    "kind", "customer", "rank", "match", "timezone", "calendar", "objective", "promises", "credits", "effective_from", "supports",
    "exclusions", "scope",
)  # fmt: skip
CONDITIONS = ("start", "stop", "reset", "cancel", "pause", "resume")
CLOCK_KEYS = (
    "metric", "calendar", "within", "targets", "warn_at", "on_change", "on_reopen", "reopen_window", *CONDITIONS,
)  # fmt: skip
SERVICE_PROMISE_KEYS = (
    "metric", "calendar", "target", "window", "threshold", "profile", "count", "min_coverage", "before_first_news", "min_outage",
    "timeslice", "alerts",
)  # fmt: skip
OBJECTIVE_KEYS = ("target", "period", "basis")
SATISFACTION_KEYS = ("metric", "target", "window")
BURN_FACTORS = (Decimal("14.4"), Decimal(6), Decimal(3), Decimal(1))
"""Of the SRE workbook's multi-window alerts, semantics 5.8."""

METRICS = (*CLOCK_METRICS, *SERVICE_METRICS, SATISFACTION)
MAX_DEPENDENCIES = 500
_EXAMPLES = {"start": "open", "stop": "[resolved, closed]"}
DEFAULT_RETENTION = Duration(90 * DAY)
DEFAULT_SKEW = Duration(5 * MINUTE)
DEFAULT_REOPEN_WINDOW = BusinessDays(5)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PERIOD = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", re.ASCII)
_YEARLY = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
LONGEST_DAYS = 36_525
LONGEST = Duration(LONGEST_DAYS * DAY)
"""100 years: what takes longer is a slip of the pen, and may lie beyond the last date that there is."""
_CLOSING = Equals("status", frozenset({"resolved", "closed"}))
_OWN_STOPS: dict[str, Predicate] = {
    **dict.fromkeys(("first_response", "next_response", "periodic_update", "assignment", "ownership"), _CLOSING),
    **dict.fromkeys(("resolution", "requester_wait", "agent_work"), _CLOSING),
    "closure": Equals("status", frozenset({"closed"})),
}


class PolicyFileError(PolicyError):
    """A policy that is refused whole, with every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def load_policy(files: Sequence[tuple[str, str]], read_file: ReadFile) -> Policy:
    """The policy that these files make together: (name, text). `read_file` gives what they name (iCalendar files).

    Raises PolicyFileError with every problem.
    """
    loader = _Loader(read_file)
    policy = loader.load(files)
    if policy is None or loader.problems:
        raise PolicyFileError(sorted(set(loader.problems), key=lambda p: (p.file, p.line, p.path)))
    return policy


class _Loader(Reader):
    def __init__(self, read_file: ReadFile) -> None:
        super().__init__()
        self.read_file = read_file
        self.predicates = PredicateReader(self)
        self.contracts = ContractSections(self, self.predicates)
        self.warnings: list[Problem] = []
        self.zone_name = "UTC"
        self.calendars: dict[str, Calendar] = {}
        self.broken_calendars: set[str] = set()
        self.are_calendars_known = True
        self.written_retention: Duration | None = None
        self.kind = "sla"
        self.unclear: set[str] = set()  # agreements of which it is not known when they apply

    def load(self, files: Sequence[tuple[str, str]]) -> Policy | None:
        top = self._merged(files)
        if top is None:
            return None
        if (entry := top.get("timezone")) is not None:
            self.zone_name = self._zone(entry) or "UTC"
        self.calendars["24x7"] = Calendar.always(self.zone_name)
        match_mode = self.word(top["match_mode"], ("first", "all")) if "match_mode" in top else "first"
        lateness = self._lateness(top.get("lateness"))
        retention = self._setting(top.get("retention"), DEFAULT_RETENTION)
        self.written_retention = retention if "retention" in top else None
        skew = self._setting(top.get("max_clock_skew"), DEFAULT_SKEW)
        pause_reasons = self._attributes(top["pause_reasons"]) if "pause_reasons" in top else PAUSE_REASONS
        if (entry := top.get("calendars")) is not None:
            named = self.mapping(entry, None, "calendars by name")
            self.are_calendars_known = named is not None
            for name, one in values(named):
                self._calendar(name, one)
        services: dict[str, Service] = {}
        if (entry := top.get("services")) is not None:
            found = self.mapping(entry, None, "services by name") or {}
            for name, one in found.items():
                services[name] = self._service(name, one)
            self._check_cycles(services, found)
        agreements: list[tuple[Agreement, Entry]] = []
        if (entry := top.get("agreements")) is not None:
            found = self.mapping(entry, None, "agreements by name") or {}
            for name, one in found.items():
                agreement = self._agreement(name, one, found)
                if agreement is not None:
                    agreements.append((agreement, one))
            self.warnings += check_chains(self, agreements, match_mode or "first")
            ranked = [(a, one) for a, one in agreements if a.name not in self.unclear]
            self._check_ranks(ranked, match_mode or "first")
        digest = hashlib.sha256(b"\0".join(text.encode("utf-8", "surrogatepass") for _, text in sorted(files)))
        return Policy(
            version=digest.hexdigest()[:16],
            timezone=self.zone_name,
            match_mode="all" if match_mode == "all" else "first",
            lateness=lateness,
            retention=retention,
            max_clock_skew=skew,
            calendars=self.calendars,
            services=services,
            agreements=tuple(agreement for agreement, _ in agreements),
            pause_reasons=pause_reasons,
            ledger=self.contracts.ledger(top["ledger"]) if "ledger" in top else LedgerTerms(),
            moods=self.contracts.moods(top["experience"]) if "experience" in top else Moods(),
            warnings=tuple(map(str, sorted(self.warnings))),
        )

    # ---- files ---------------------------------------------------------------------------------------------------

    def _merged(self, files: Sequence[tuple[str, str]]) -> dict[str, Entry] | None:
        """The top level of all files as one; sections of the same name are put together."""
        merged: dict[str, Entry] = {}
        has_root = False
        for file, text in files:
            if is_openslo(text):
                roots = parse_all(file, text, self.problems)
                has_root = has_root or roots is not None
                entries = [Entry(root, "$", line_of(root), file) for root in roots or [] if not is_null(root)]
                for key, entry in sections_of(entries, self).items():
                    merged[key] = self._joined(merged[key], entry) if key in merged else entry
                continue
            root = parse(file, text, self.problems)
            if root is None:
                continue
            has_root = True
            whole = Entry(root, "$", 1, file)
            found = self.mapping(whole, TOP_KEYS, "a mapping with version: 1")
            if found is None:
                continue
            self._check_version(whole, found)
            for key, entry in found.items():
                if key not in merged:
                    merged[key] = entry
                elif key in ("calendars", "services", "agreements"):
                    merged[key] = self._joined(merged[key], entry)
                elif key != "version":
                    self.bad(
                        entry, f"is defined twice, first in {merged[key].file}:{merged[key].line}; keep one of them"
                    )
        return merged if has_root else None

    def _joined(self, one: Entry, other: Entry) -> Entry:
        """Both sections as one; names that both have are noted where the whole is read."""
        for place in (one, other):
            if not isinstance(place.node, yaml.MappingNode) and not is_null(place.node):
                self.bad(place, f"is {shown(place.node)}; write {other.path} by name")
        if not (isinstance(one.node, yaml.MappingNode) and isinstance(other.node, yaml.MappingNode)):
            return (
                one if isinstance(one.node, yaml.MappingNode) else other._replace(node=_mapping_or_nothing(other.node))
            )
        both = [*one.node.value, *other.node.value]
        return one._replace(node=yaml.MappingNode(one.node.tag, both, one.node.start_mark, one.node.end_mark))

    def _check_version(self, whole: Entry, found: dict[str, Entry]) -> None:
        entry = found.get("version")
        if entry is None:
            self.bad(whole, "version is missing; write version: 1")
        elif not isinstance(entry.node, yaml.ScalarNode) or entry.node.value != "1":
            self.bad(entry, f"is {shown(entry.node)}; this program reads version: 1")

    # ---- settings ------------------------------------------------------------------------------------------------

    def _zone(self, entry: Entry) -> str | None:
        text = self.text(entry, "a time zone like Europe/Berlin")
        if text is None:
            return None
        try:
            zone(text)
        except ValueError as error:
            self.bad(entry, str(error))
            return None
        return text

    def _setting(self, entry: Entry | None, default: Duration) -> Duration:
        if entry is None:
            return default
        found = self.parsed(entry, lambda text: _read_duration(text, allow_days=True), "a duration like 90d or 5m")
        return default if found is None else found

    def _attributes(self, entry: Entry) -> tuple[str, ...]:
        """Names of attributes of a ticket."""
        found = []
        for one in self.texts(entry, "attributes like [status_name, fields.hold_reason]") or []:
            name = str(one.node.value)
            if name in EVENT_NAMES:
                self.bad(one, f"{name} is of an event; write attributes of the ticket, like status_name")
            elif self.predicates.is_attribute(name, one):
                found.append(name)
        return tuple(found)

    def _lateness(self, entry: Entry | None) -> dict[str, Duration]:
        found = (
            None if entry is None else self.mapping(entry, None, "durations by source, like {default: 0s, jira: 30s}")
        )
        return {source: self._setting(one, Duration(0)) for source, one in values(found)}

    # ---- calendars -----------------------------------------------------------------------------------------------

    def _calendar(self, name: str, entry: Entry) -> None:
        self.broken_calendars.add(name)
        if name == "24x7":
            self.bad(entry, "24x7 always exists and cannot be redefined; choose another name")
            return
        before = len(self.problems)
        found = self.mapping(entry, CALENDAR_KEYS, "a calendar with hours")
        if found is None:
            return
        zone_name = (self._zone(found["timezone"]) if "timezone" in found else None) or self.zone_name
        if "hours" not in found:
            self.bad(entry, "hours is missing; write hours: {mon-fri: ['09:00-17:00']}")
            return
        base = self._version(found, None, None)
        versions = [base]
        if "versions" in found:
            for one in self.sequence(found["versions"], "a list of versions with effective_from") or []:
                fields = self.mapping(one, VERSION_KEYS, "a version with effective_from")
                if fields is None:
                    continue
                if "effective_from" not in fields:
                    self.bad(one, "effective_from is missing; write the date from which on it holds")
                    continue
                day = self._date(fields["effective_from"])
                if day is not None:
                    versions.append(self._version(fields, versions[-1], day))
            dates = [v.effective_from for v in versions[1:] if v.effective_from is not None]
            if dates != sorted(set(dates)):
                self.bad(found["versions"], "their effective_from must rise from one to the next; put them in order")
        if len(self.problems) > before:
            return
        calendar = Calendar(name, zone_name, versions)
        closed = calendar.closed_stretch()
        if closed is not None:
            self.bad(entry, f"has no opening hours in the 400 days from {closed} on; give it hours in which it is open")
            return
        self.broken_calendars.discard(name)
        self.calendars[name] = calendar

    def _version(
        self, found: dict[str, Entry], base: CalendarVersion | None, effective_from: date | None
    ) -> CalendarVersion:
        """The fields that are given replace those of the version before."""
        hours = self._hours(found["hours"]) if "hours" in found else (base.hours if base is not None else ((),) * 7)
        dates: set[date] = set() if base is None or "holidays" in found else set(base.holidays)
        yearly: set[tuple[int, int]] = set() if base is None or "holidays" in found else set(base.yearly)
        lists: list[HolidayList] = [] if base is None or "holidays" in found else list(base.lists)
        if "holidays" in found:
            for one in self.sequence(found["holidays"], "a list of dates, yearly dates, countries or .ics files") or []:
                self._holiday(one, dates, yearly, lists)
        exceptions = dict(base.exceptions) if base is not None and "exceptions" not in found else {}
        if "exceptions" in found:
            for name, one in values(self.mapping(found["exceptions"], None, "hours by date")):
                day = self._date(one._replace(node=yaml.ScalarNode("tag:yaml.org,2002:str", name)))
                if day is not None:
                    exceptions[day] = self._periods(one)
        return CalendarVersion(effective_from, hours, frozenset(dates), frozenset(yearly), tuple(lists), exceptions)

    def _hours(self, entry: Entry) -> tuple[tuple[Period, ...], ...]:
        days: list[tuple[Period, ...]] = [()] * 7
        named: dict[int, str] = {}
        for name, one in values(self.mapping(entry, None, "periods by weekday, like {mon-fri: ['09:00-17:00']}")):
            indices = self._weekdays(name, one)
            periods = self._periods(one)
            for index in indices:
                if index in named:
                    self.bad(one, f"{_WEEKDAYS[index]} is in {named[index]!r} too; name each weekday once")
                named[index] = name
                days[index] = periods
        return tuple(days)

    def _weekdays(self, name: str, entry: Entry) -> list[int]:
        found: list[int] = []
        for part in name.replace(" ", "").split(","):
            first, dash, last = part.partition("-")
            if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
                self.bad(
                    entry,
                    f"{part!r} is no weekday; {nearest(part, _WEEKDAYS)}write mon, tue, … or a range like mon-fri",
                )
                continue
            low, high = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
            found.extend(index % 7 for index in range(low, high + 1 if high >= low else high + 8))
        return found

    def _periods(self, entry: Entry) -> tuple[Period, ...]:
        if isinstance(entry.node, yaml.ScalarNode) and entry.node.value == "closed":
            return ()
        found: list[Period] = []
        for one in (
            self.sequence(entry, "a list of periods like ['08:00-12:00', '13:00-18:00'], or closed", allow_one=True)
            or []
        ):
            text = self.text(one, "a period like 08:00-12:00")
            if text is None:
                continue
            match = _PERIOD.fullmatch(text)
            if match is None or int(match[2]) > 59 or int(match[4]) > 59:
                self.bad(one, f"{text!r} is no period; write one like 08:00-12:00, past midnight 22:00-30:00")
                continue
            start = int(match[1]) * HOUR + int(match[2]) * MINUTE
            end = int(match[3]) * HOUR + int(match[4]) * MINUTE
            if end <= start:
                hint = f"{match[1]}:{match[2]}-{int(match[3]) + 24}:{match[4]}"
                self.bad(one, f"{text!r} ends before it begins; write {hint} for a period past midnight")
            elif start >= DAY or end > 2 * DAY:
                self.bad(one, f"{text!r} begins after its day or ends after the next; a period begins before 24:00")
            else:
                found.append((start, end))
        return tuple(found)

    def _date(self, entry: Entry) -> date | None:
        def read(text: str) -> date:
            try:
                if _DAY.fullmatch(text) is None:  # the function below reads weeks (2026-W01-1), too
                    raise ValueError
                return date.fromisoformat(text)
            except ValueError:
                raise ValueError(f"{text!r} is no date; write one that exists, like 2026-12-24") from None

        return self.parsed(entry, read, "a date like 2026-12-24")

    def _holiday(self, entry: Entry, dates: set[date], yearly: set[tuple[int, int]], lists: list[HolidayList]) -> None:
        if isinstance(entry.node, yaml.MappingNode):
            found = self.mapping(
                entry, ("country", "subdivision", "ics"), "{country: DE, subdivision: BE} or {ics: FILE}"
            )
            one = self._holiday_list(entry, found or {})
            if one is not None:
                lists.append(one)
            return
        text = self.text(entry, "a date like 2026-12-24 or 12-24")
        if text is None:
            return
        if match := _YEARLY.fullmatch(text):
            month, day = int(match[1]), int(match[2])
            try:
                date(2024, month, day)
            except ValueError:
                self.bad(entry, f"{text!r} is in no year; write month-day like 12-24")
                return
            yearly.add((month, day))
            return
        one_day = self._date(entry)
        if one_day is not None:
            dates.add(one_day)

    def _holiday_list(self, entry: Entry, found: dict[str, Entry]) -> HolidayList | None:
        if "ics" in found:
            name = self.text(found["ics"], "the name of an .ics file beside the policy")
            if name is None:
                return None
            if ".." in name.split("/") or name.startswith("/"):
                self.bad(found["ics"], f"{name!r} is not beside the policy; write the name of a file in its folder")
                return None
            try:
                return EventHolidays(self.read_file(name))
            except OSError as error:
                self.bad(
                    found["ics"],
                    f"{name!r} cannot be read: {error.strerror or 'no such file'}; put it beside the policy",
                )
            except ValueError as error:
                self.bad(found["ics"], f"{name!r} {error}")
            return None
        if "country" not in found:
            self.bad(entry, "names neither country nor ics; write {country: DE, subdivision: BE} or {ics: FILE}")
            return None
        country = self.text(found["country"], "a country like DE")
        subdivision = self.text(found["subdivision"], "a subdivision like BE") if "subdivision" in found else None
        if country is None or ("subdivision" in found and subdivision is None):
            return None
        try:
            return CountryHolidays(country, subdivision)
        except ValueError as error:
            self.bad(found["subdivision" if "subdivision" in str(error) else "country"], str(error))
            return None

    def _named_calendar(self, entry: Entry) -> Calendar | None:
        text = self.text(entry, "the name of a calendar")
        if text is None:
            return None
        known = self.calendars.get(text)
        if known is None and text not in self.broken_calendars and self.are_calendars_known:
            names = sorted({*self.calendars, *self.broken_calendars})
            self.bad(
                entry,
                f"no calendar is named {text!r}; {nearest(text, names)}there are: {', '.join(names)}",
            )
        return known

    # ---- services ------------------------------------------------------------------------------------------------

    def _service(self, name: str, entry: Entry) -> Service:
        found = self.mapping(entry, SERVICE_KEYS, "a service like {customer: acme, team: messaging}") or {}
        texts = {key: self.text(found[key], "a name") for key in ("customer", "provider", "team") if key in found}
        depends = self.texts(found["depends_on"], "a list of services") if "depends_on" in found else []
        combine, at_least = "worst", None
        if "combine" in found:
            text = self.text(found["combine"], "worst, best, weighted or at_least N") or "worst"
            match = re.fullmatch(r"at_least\s+(\d{1,4})", text, re.ASCII)
            if match:
                combine, at_least = "at_least", int(match[1])
                if at_least == 0:
                    self.bad(found["combine"], "at_least 0 is always true; write at_least 1 or more")
            elif text in ("worst", "best", "weighted"):
                combine = text
            else:
                self.bad(found["combine"], f"{text!r} is unknown; write one of: worst, best, weighted, at_least N")
        components: dict[str, Decimal] = {}
        if "components" in found:
            for component, one in values(self.mapping(found["components"], None, "components by name")):
                fields = self.mapping(one, ("weight",), "{} or {weight: 2}") or {}
                components[component] = self._weight(fields.get("weight"))
        return Service(
            name, **texts, depends_on=tuple(str(one.node.value) for one in depends or []), combine=combine, at_least=at_least,
            weight=self._weight(found.get("weight")), components=components,
        )  # fmt: skip

    def _weight(self, entry: Entry | None) -> Decimal:
        if entry is None:
            return Decimal(1)

        def read(text: str) -> Decimal:
            if _NUMBER.fullmatch(text) is None or Decimal(text) == 0:
                raise ValueError(
                    f"{text!r} is no weight; write a number above 0, of at most nine digits, like 2 or 0.5"
                )
            return Decimal(text)

        return self.parsed(entry, read, "a number above 0") or Decimal(1)

    def _check_cycles(self, services: dict[str, Service], entries: dict[str, Entry]) -> None:
        """Visits each service once, in depth; a service that is on the way already closes a cycle."""
        done: set[str] = set()
        for start in services:
            way: dict[str, Iterator[str]] = {}
            following: str | None = start
            while following is not None or way:
                if following is not None and following not in done and following in services:
                    if following in way:
                        self._cycle(list(way), following, entries)
                    else:
                        way[following] = iter(services[following].depends_on)
                last = next(reversed(way), None)
                if last is None:
                    break
                following = next(way[last], None)
                if following is None:
                    done.add(last)
                    del way[last]
                elif len(way) >= MAX_DEPENDENCIES and following in services and following not in {*way, *done}:
                    self.bad(
                        entries[start]._replace(path=f"{entries[start].path}.depends_on"),
                        f"goes on for more than {MAX_DEPENDENCIES} services; let it depend on less",
                    )
                    return

    def _cycle(self, way: list[str], name: str, entries: dict[str, Entry]) -> None:
        cycle = way[way.index(name) :]
        shown_cycle = [*cycle, name] if len(cycle) <= 10 else [*cycle[:5], "…", *cycle[-4:], name]
        entry = entries[name]
        self.bad(
            entry._replace(path=f"{entry.path}.depends_on"),
            f"is a cycle: {' -> '.join(shown_cycle)}; take one of them out",
        )

    # ---- agreements ----------------------------------------------------------------------------------------------

    def _agreement(self, name: str, entry: Entry, all_entries: Collection[str]) -> Agreement | None:
        found = self.mapping(entry, AGREEMENT_KEYS, "an agreement with kind and promises")
        if found is None:
            return None
        before = len(self.problems)
        if "kind" not in found:
            self.bad(entry, "kind is missing; write kind: sla, ola or uc")
            kind: str | None = "sla"
        else:
            kind = self.word(found["kind"], ("sla", "ola", "uc"))
        self.kind = kind or "sla"
        calendar = self._named_calendar(found["calendar"]) if "calendar" in found else self.calendars["24x7"]
        if "timezone" in found:
            calendar = self._always_in(found["timezone"], found.get("calendar"))
        usable = calendar if calendar is not None else self.calendars["24x7"]
        rank = self._rank(found.get("rank"))
        customer = self.text(found["customer"], "the name of a customer") if "customer" in found else None
        match: Predicate | None = ALWAYS
        if "match" in found:
            match = self.predicates.read_of_ticket(found["match"])
            if match is not None and is_never(match):
                self.bad(
                    found["match"],
                    "asks for two values of one attribute at once, so nothing matches; use a list for either",
                )
        if len(self.problems) > before:
            self.unclear.add(name)
        clocks, services, experiences = self._promises(entry, found.get("promises"), usable)
        objective = self._objective(found.get("objective"))
        effective_from = self._date(found["effective_from"]) if "effective_from" in found else None
        supports = self.texts(found["supports"], "a list of agreements") if "supports" in found else []
        for one in supports or []:
            if one.node.value not in all_entries:
                self.bad(
                    one,
                    f"no agreement is named {one.node.value!r}; {nearest(str(one.node.value), all_entries)}name one",
                )
        if kind == "sla" and supports:
            self.bad(
                found["supports"],
                "an sla supports nothing; it is the ola or uc that names the agreements that stand on it",
            )
        agreement_kind: Any = kind or "sla"
        windows: dict[str, str | None] = {one.name: None for one in clocks}
        windows |= {one.name: one.window for one in services}
        windows |= {one.name: one.window for one in experiences}
        promised = Promised(objective, windows)
        return Agreement(
            name=name,
            kind=agreement_kind,
            rank=rank,
            customer=customer,
            match=match if match is not None else ALWAYS,
            calendar=usable,
            objective=objective,
            clock_promises=tuple(clocks),
            service_promises=tuple(services),
            credits=self.contracts.credits(found["credits"], promised) if "credits" in found else None,
            effective_from=None if effective_from is None else usable.to_instant(effective_from, 0),
            supports=tuple(str(one.node.value) for one in supports or []),
            experience_promises=tuple(experiences),
            exclusions=self.contracts.exclusions(found["exclusions"], promised) if "exclusions" in found else (),
            scope=self.contracts.scope(found["scope"], objective) if "scope" in found else None,
        )

    def _always_in(self, entry: Entry, calendar: Entry | None) -> Calendar | None:
        """24x7 with the local days of another zone."""
        zone_name = self._zone(entry)
        if calendar is not None:
            self.bad(entry, "stands beside calendar, which has a timezone; write one of the two")
        return None if zone_name is None else Calendar.always(zone_name)

    def _rank(self, entry: Entry | None) -> int | None:
        if entry is None:
            return None
        text = self.text(entry, "a whole number")
        if text is None:
            return None
        if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
            self.bad(
                entry, f"{text!r} is no rank; write a whole number of at most nine digits, the smallest comes first"
            )
            return None
        return int(text)

    def _objective(self, entry: Entry | None) -> Objective:
        if entry is None:
            return Objective()
        found = self.mapping(entry, OBJECTIVE_KEYS, "an objective like {target: 95%, period: month, basis: due}") or {}
        target = self._share(found["target"]) if "target" in found else None
        period: Any = self.word(found["period"], (*PERIODS, *ROLLING_WINDOWS)) if "period" in found else "month"
        basis: Any = self.word(found["basis"], ("completed", "due", "started")) if "basis" in found else "due"
        return Objective(target, period or "month", basis or "due")

    def _share(self, entry: Entry) -> Decimal | None:
        return read_share(self, entry)

    # ---- promises ------------------------------------------------------------------------------------------------

    def _promises(
        self, agreement: Entry, entry: Entry | None, calendar: Calendar
    ) -> tuple[list[ClockPromise], list[ServicePromise], list[ExperiencePromise]]:
        clocks: list[ClockPromise] = []
        services: list[ServicePromise] = []
        experiences: list[ExperiencePromise] = []
        if entry is None:
            self.bad(agreement, "promises is missing; write promises: {resolution: {metric: resolution, within: 4h}}")
            return clocks, services, experiences
        found = self.mapping(entry, None, "promises by name")
        if found is not None and not found and not isinstance(entry.node, yaml.MappingNode | yaml.ScalarNode):
            return clocks, services, experiences
        for name, one in values(found):
            fields = self.mapping(one, None, "a promise with metric and within")
            if fields is None:
                continue
            if "metric" not in fields:
                self.bad(one, f"metric is missing; write one of: {', '.join(METRICS)}")
                continue
            metric = self.word(fields["metric"], METRICS)
            if metric is None:
                continue
            if metric in SERVICE_METRICS:
                self._check_keys(fields, SERVICE_PROMISE_KEYS, CLOCK_KEYS, metric, "clocks of tickets")
                promise = self._service_promise(name, metric, one, fields, calendar)
                if promise is not None:
                    services.append(promise)
            elif metric == SATISFACTION:
                self._check_keys(
                    fields, SATISFACTION_KEYS, (*CLOCK_KEYS, *SERVICE_PROMISE_KEYS), metric, "other metrics"
                )
                experience = self._experience_promise(name, one, fields)
                if experience is not None:
                    experiences.append(experience)
            else:
                self._check_keys(fields, CLOCK_KEYS, SERVICE_PROMISE_KEYS, metric, "service metrics")
                clock = self._clock_promise(name, metric, one, fields, calendar)
                if clock is not None:
                    clocks.append(clock)
        return clocks, services, experiences

    def _check_keys(
        self, fields: dict[str, Entry], known: Collection[str], others: Collection[str], metric: str, whose: str
    ) -> None:
        for key, one in fields.items():
            if key in known:
                continue
            if key in others:
                text = f" ({key}: {one.node.value})" if isinstance(one.node, yaml.ScalarNode) else ""
                self.bad(one, f"{key}{text} belongs to {whose}, not to {metric}; take it out")
            else:
                self.bad(one, f"unknown key; {nearest(key, known)}it may be one of: {', '.join(sorted(known))}")

    def _clock_promise(
        self, name: str, metric: Any, entry: Entry, fields: dict[str, Entry], calendar: Calendar
    ) -> ClockPromise | None:
        before = len(self.problems)
        own = self._named_calendar(fields["calendar"]) if "calendar" in fields else calendar
        usable = own if own is not None else calendar
        targets = self._targets(entry, fields, usable)
        warnings = self._warnings(fields.get("warn_at"))
        on_change: Any = "retroactive" if self.kind == "sla" else "restart"
        if "on_change" in fields:
            on_change = self.word(fields["on_change"], ("retroactive", "carry", "restart", "reassess"))
        on_reopen: Any = "resume"
        if "on_reopen" in fields:
            on_reopen = self.word(fields["on_reopen"], ("resume", "new_cycle", "ignore"))
        window: Target | None = DEFAULT_REOPEN_WINDOW
        if "reopen_window" in fields:
            window = self.parsed(fields["reopen_window"], _read_target, "a duration like 5 business_days")
        conditions: dict[str, Predicate] = {}
        for key in CONDITIONS:
            if key in fields:
                found = self.predicates.read(fields[key])
                if found is not None:
                    conditions[key] = found
        self._check_conditions(metric, entry, fields, conditions)
        if len(self.problems) > before or not targets or window is None:
            return None
        return ClockPromise(
            name=name, metric=metric, calendar=usable, targets=tuple(targets), warn_at=tuple(warnings), on_change=on_change,
            on_reopen=on_reopen, reopen_window=window, **conditions,
        )  # fmt: skip

    def _targets(self, entry: Entry, fields: dict[str, Entry], calendar: Calendar) -> list[TargetRule]:
        if "within" in fields and "targets" in fields:
            self.bad(fields["targets"], "stands beside within; write one of the two")
            return []
        if "within" in fields:
            return self._within(fields["within"], calendar)
        if "targets" not in fields:
            self.bad(entry, "within (or targets) is missing; write within: 4h")
            return []
        rules: list[TargetRule] = []
        entries = self.sequence(
            fields["targets"], "a list of targets like [{when: {priority: P1}, within: 4h}, {within: 8h}]"
        )
        if entries is not None and not entries:
            self.bad(fields["targets"], "is an empty list; write at least one target")
        for one in entries or []:
            found = self.mapping(
                one, ("when", "within", "calendar"), "a target like {when: {priority: P1}, within: 4h}"
            )
            if found is None:
                continue
            when = self.predicates.read_of_ticket(found["when"]) if "when" in found else None
            earlier = next((n for n, rule in enumerate(rules) if self._covers(rule.when, when)), None)
            if earlier is not None and ("when" not in found or when is not None):
                what = "has no condition" if rules[earlier].when is None else "asks for no more than this one"
                self.bad(one, f"is never reached: target {earlier} before it {what}; put the narrower one first")
            if when is not None and is_never(when):
                self.bad(
                    found["when"],
                    "asks for two values of one attribute at once, so it never holds; use a list for either",
                )
            if "within" not in found:
                self.bad(one, "within is missing; write within: 4h")
                continue
            target = self.parsed(found["within"], _read_target, "a target like 4h or 2 business_days")
            own = self._named_calendar(found["calendar"]) if "calendar" in found else calendar
            if target is not None and ("when" not in found or when is not None):
                rules.append(TargetRule(when, target, own if own is not None else calendar))
        return rules

    @staticmethod
    def _covers(earlier: Predicate | None, later: Predicate | None) -> bool:
        if earlier is None or earlier == ALWAYS:
            return True
        return later is not None and implies(later, earlier)

    def _within(self, entry: Entry, calendar: Calendar) -> list[TargetRule]:
        if not isinstance(entry.node, yaml.MappingNode):
            target = self.parsed(
                entry, _read_target, "a target like 4h, or targets by priority like {P1: 1h, default: 8h}"
            )
            return [] if target is None else [TargetRule(None, target, calendar)]
        rules: list[TargetRule] = []
        rest: TargetRule | None = None
        found = self.mapping(entry, None, "targets by priority")
        if not entry.node.value:
            self.bad(entry, "is empty; write targets by priority like {P1: 1h, default: 8h}")
        for priority, one in values(found):
            target = self.parsed(one, _read_target, "a target like 4h or 2 business_days")
            if target is None:
                continue
            if priority == "default":
                rest = TargetRule(None, target, calendar)
            else:
                rules.append(TargetRule(Equals("priority", frozenset({priority})), target, calendar))
        return [*rules, rest] if rest is not None else rules

    def _warnings(self, entry: Entry | None) -> list[Warning]:
        found: list[Warning] = []
        if entry is None:
            return found
        for one in self.sequence(entry, "a list of warnings like [50%, 90%, -30m]", allow_one=True) or []:
            warning = self.parsed(one, _read_warning, "a share like 75% or a time before like -30m")
            if warning is None:
                continue
            if any(known.text == warning.text for known in found):
                self.bad(one, f"{warning.text!r} is there twice; keep one")
            found.append(warning)
        return found

    def _check_conditions(
        self, metric: str, entry: Entry, fields: dict[str, Entry], found: dict[str, Predicate]
    ) -> None:
        if metric == "custom":
            for key in ("start", "stop"):
                if key not in fields:
                    self.bad(
                        entry, f"a custom clock needs {key}; write a condition like {key}: {{status: {_EXAMPLES[key]}}}"
                    )
        if "resume" in fields and "pause" not in fields:
            self.bad(fields["resume"], "resume without pause ends nothing; write the pause that it ends")
        for key, predicate in found.items():
            if is_never(predicate):
                self.bad(fields[key], f"{key} asks for two values of one attribute at once, so it never holds")
        start, pause, stop = found.get("start"), found.get("pause"), found.get("stop", _OWN_STOPS.get(metric))
        if start is not None and pause is not None and "resume" not in fields and implies(start, pause):
            self.bad(
                entry, "start and pause ask for the same, so it is paused for ever; let pause ask for something else"
            )
        elif pause is not None and implies(ALWAYS, pause) and "resume" not in fields:
            self.bad(fields["pause"], "pause holds always, so the clock never runs; write when it pauses")
        # a stop that looks at the event ends the cycle before, and the start of that event begins the next
        if start is not None and stop is not None and not looks_at_event(stop) and implies(start, stop):
            self.bad(entry, "start and stop ask for the same, so it can never start; let them ask for different things")
        if stop is not None and "stop" in fields and implies(ALWAYS, stop):
            self.bad(fields["stop"], "stop holds always, so the clock can never start; write when it stops")
        for key in ("reset", "cancel"):
            if key in found and implies(ALWAYS, found[key]):
                self.bad(fields[key], f"{key} holds always, so no clock lasts; write when it does, or leave it out")

    def _service_promise(
        self, name: str, metric: Any, entry: Entry, fields: dict[str, Entry], calendar: Calendar
    ) -> ServicePromise | None:
        before = len(self.problems)
        own = self._named_calendar(fields["calendar"]) if "calendar" in fields else calendar
        for key in ("target", "window", *(("threshold",) if metric == "latency" else ())):
            if key not in fields:
                example = {"target": "99.9%", "window": "month", "threshold": "300ms"}[key]
                self.bad(entry, f"{key} is missing; write {key}: {example}")
        target = self._share(fields["target"]) if "target" in fields else None
        window = self.word(fields["window"], (*PERIODS, *ROLLING_WINDOWS)) if "window" in fields else None
        threshold = None
        if "threshold" in fields:
            threshold = self.parsed(fields["threshold"], _read_duration, "a duration like 300ms")
            if metric != "latency":
                self.bad(fields["threshold"], f"threshold belongs to latency, not to {metric}; take it out")
        profile = PROFILES[(self.word(fields["profile"], PROFILES) if "profile" in fields else None) or "generic"]
        count: dict[str, str] = dict(profile.count)
        if "count" in fields:
            for state, one in values(
                self.mapping(fields["count"], STATES, "what states count as, like {degraded: bad}")
            ):
                word = self.word(one, ("good", "bad", "excluded", "unknown"))
                if word is not None:
                    count[state] = word
        burn = False
        if "alerts" in fields:
            burn = self.word(fields["alerts"], ("burn_rate",)) is not None
            if burn and target is not None:
                self._check_burn(fields["alerts"], target)
        first_news: Any = profile.before_first_news
        if "before_first_news" in fields:
            first_news = self.word(fields["before_first_news"], ("excluded", "unknown"))
        min_outage = (
            self.parsed(fields["min_outage"], _read_duration, "a duration like 60s") if "min_outage" in fields else None
        )
        coverage = self._coverage(fields["min_coverage"]) if "min_coverage" in fields else profile.min_coverage
        slice_us, slice_target = self._timeslice(fields.get("timeslice"), metric)
        if window is not None:
            self._check_retention(fields["window"], window)
        if len(self.problems) > before or target is None or window is None:
            return None
        return ServicePromise(
            name=name, metric=metric, calendar=own if own is not None else calendar, target=target, window=window,
            threshold=threshold, count=count, min_coverage=coverage, before_first_news=first_news,
            min_outage=min_outage if min_outage is not None else Duration(0), burn_alerts=burn, slice_us=slice_us,
            slice_target=slice_target,
        )  # fmt: skip

    def _experience_promise(self, name: str, entry: Entry, fields: dict[str, Entry]) -> ExperiencePromise | None:
        for key, example in (("target", "85%"), ("window", "month")):
            if key not in fields:
                self.bad(entry, f"{key} is missing; write {key}: {example}")
        target = self._share(fields["target"]) if "target" in fields else None
        window = self.word(fields["window"], (*PERIODS, *ROLLING_WINDOWS)) if "window" in fields else None
        return None if target is None or window is None else ExperiencePromise(name, target, window)

    def _timeslice(self, entry: Entry | None, metric: str) -> tuple[Duration | None, Decimal | None]:
        if entry is None:
            return None, None
        if metric == "availability":
            self.bad(entry, "timeslice judges counted events; availability is of time already; take it out")
            return None, None
        found = self.mapping(entry, ("window", "target"), "a timeslice like {window: 1m, target: 95%}") or {}
        if "window" not in found:
            self.bad(entry, "window is missing; write {window: 1m, target: 95%}")
            return None, None
        length = self.parsed(found["window"], _read_duration, "a duration like 1m")
        if length is not None and not SECOND <= length <= HOUR:
            self.bad(found["window"], "is no slice; write 1s to 1h")
        return length, self._share(found["target"]) if "target" in found else None

    def _check_retention(self, entry: Entry, window: str) -> None:
        """What is to be counted must be kept; a retention that nobody wrote is as long as the longest window."""
        longest = LONGEST_OF_PERIOD[window] if window in LONGEST_OF_PERIOD else ROLLING[window]
        if self.written_retention is not None and longest > self.written_retention:
            days = longest // DAY
            self.bad(entry, f"{window!r} is longer than the retention; write a shorter window, or retention: {days}d")

    def _check_burn(self, alerts: Entry, target: Decimal) -> None:
        if target == 1:
            self.bad(alerts, "a target of 100% leaves no budget to burn; write a lower target, or no alerts")
            return
        highest = 1 / (1 - target)
        dead = [factor for factor in BURN_FACTORS if factor > highest]
        if dead:
            self.bad(
                alerts,
                f"a burn rate of {', '.join(map(str, dead))} can never be reached: with {target * 100:f}% it is at most "
                f"{highest:.3g}; write a higher target, or no alerts",
            )

    def _coverage(self, entry: Entry) -> Decimal:
        def read(text: str) -> Decimal:
            percent = _SHARE.fullmatch(text)
            if percent is None and _NUMBER.fullmatch(text) is None:
                raise ValueError(f"{text!r} is no share; write one between 0 and 1, like 0.9")
            value = Decimal(text) if percent is None else Decimal(percent[1]) / 100
            if value > 1:
                raise ValueError(f"{text!r} is more than the whole; write a share between 0 and 1, like 0.9")
            return value

        found = self.parsed(entry, read, "a share between 0 and 1, like 0.9")
        return Decimal("0.9") if found is None else found

    # ---- over several --------------------------------------------------------------------------------------------

    def _check_ranks(self, agreements: Sequence[tuple[Agreement, Entry]], match_mode: str) -> None:
        """Ties, and agreements that can never be the first to match; each agreement is noted once."""
        if match_mode == "all":
            return
        conditions = [condition_of(agreement) for agreement, _ in agreements]
        noted: set[str] = set()
        for index, (one, entry) in enumerate(agreements):
            for (earlier, earlier_entry), condition in zip(agreements[:index], conditions, strict=False):
                if earlier.kind != one.kind:
                    continue
                if earlier.rank == one.rank:
                    if one.name not in noted and not excludes(conditions[index], condition):
                        noted.add(one.name)
                        self._tie(one, earlier, entry)
                    continue
                is_last = _comes_before(earlier, one)
                first, second = (earlier, one) if is_last else (one, earlier)
                narrow, wide = (conditions[index], condition) if is_last else (condition, conditions[index])
                if second.name not in noted and _begins_first(first, second) and implies(narrow, wide):
                    noted.add(second.name)
                    self.bad(
                        entry if is_last else earlier_entry,
                        f"never applies: {first.name!r} of the same kind comes first by rank and matches everything that "
                        "it does; give the narrower one the smaller rank",
                    )

    def _tie(self, one: Agreement, earlier: Agreement, entry: Entry) -> None:
        rank = "no rank" if one.rank is None else f"rank {one.rank}"
        self.bad(
            entry._replace(path=f"{entry.path}.rank") if one.rank is not None else entry,
            f"ties with {earlier.name!r}: both have {rank} and may match the same ticket; give them different ranks",
        )


def _mapping_or_nothing(node: yaml.Node) -> yaml.Node:
    return node if isinstance(node, yaml.MappingNode) else yaml.ScalarNode("tag:yaml.org,2002:null", "")


def _comes_before(one: Agreement, other: Agreement) -> bool:
    return other.rank is None or (one.rank is not None and one.rank < other.rank)


def _begins_first(one: Agreement, other: Agreement) -> bool:
    """Is `one` in force wherever `other` is?"""
    return one.effective_from is None or (
        other.effective_from is not None and one.effective_from <= other.effective_from
    )


def _read_duration(text: str, allow_days: bool = False) -> Duration:
    duration = parse_duration(text, allow_days)
    if duration > LONGEST:
        raise ValueError(f"{text!r} is longer than 100 years; write a shorter duration")
    return duration


def _read_target(text: str) -> Target:
    target = parse_target(text)
    match target:
        case OpenTime(duration):
            is_too_long = duration > LONGEST
        case BusinessDays(days) | CalendarDays(days) | EndOfBusinessDay(days):
            is_too_long = days > LONGEST_DAYS
        case _:
            is_too_long = False
    if is_too_long:
        raise ValueError(f"{text!r} is longer than 100 years; write a shorter target")
    return target


def _read_warning(text: str) -> Warning:
    if match := _SHARE.fullmatch(text):
        share = Decimal(match[1]) / 100
        if share >= 1:
            raise ValueError(f"{text!r} is at or after the due instant; a warning comes before, write less than 100%")
        return Warning(text, share, None)
    if text.startswith("-"):
        before = _read_duration(text[1:])
        if before <= 0:
            raise ValueError(f"{text!r} is the due instant itself; write a time before it, like -30m")
        return Warning(text, None, before)
    raise ValueError(f"{text!r} is no warning; write a share like 75% or a time before the due instant like -30m")
