"""The JSON Schema of the policy file (draft 2020-12), so that editors complete it. The loader is what judges."""

from collections.abc import Mapping
from typing import Any

from slastream.core.events import STATES
from slastream.core.policies import (
    CLOCK_METRICS,
    PARTIES,
    PERIODS,
    PROFILES,
    ROLLING_WINDOWS,
    SATISFACTION,
    SERVICE_METRICS,
)
from slastream.wire.contract_sections import (
    CREDIT_KEYS,
    EARN_BACK_KEYS,
    EXCLUSION_KEYS,
    EXPERIENCE_KEYS,
    HOLDER_KEYS,
    LEDGER_KEYS,
    MOST_PERIODS,
    SCOPE_KEYS,
    TERMS_KEYS,
    VOLUME_KEYS,
)
from slastream.wire.policy_file import (
    AGREEMENT_KEYS,
    CALENDAR_KEYS,
    CLOCK_KEYS,
    CONDITIONS,
    OBJECTIVE_KEYS,
    SATISFACTION_KEYS,
    SERVICE_KEYS,
    SERVICE_PROMISE_KEYS,
    TOP_KEYS,
    VERSION_KEYS,
)

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NAMES: Schema = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
DURATION: Schema = {"type": "string", "description": "90s, 15m, 4h; settings also 90d", "examples": ["15m"]}
TARGET: Schema = {
    "type": "string",
    "description": "Open time or days: 4h, 2 business_days, 5 calendar_days, end of business_day + 1, next business_day 16:00",
    "examples": ["4h", "2 business_days"],
}
SHARE: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%$", "description": "In percent, like 99.5%"}
MONEY: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s+[A-Z]{3}$", "description": "Like 10000 EUR"}
DATE: Schema = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
PERIODS_OF_DAY: Schema = {
    "anyOf": [{"const": "closed"}, TEXT, {"type": "array", "items": TEXT}],
    "description": "Periods like 08:00-12:00, past midnight 22:00-30:00; or closed",
}
CONDITION: Schema = {
    "type": "object",
    "description": "A condition over the ticket and the event, like {status: [pending]}",
}


WORDS = {
    "calendars": "Opening hours by name; 24x7 always exists",
    "services": "Services by name; one that is not listed exists with defaults",
    "agreements": "Agreements by name",
    "timezone": "A zone of the IANA database, like Europe/Berlin; default: that of the file, or UTC",
    "hours": "Periods by weekday: mon, mon-fri, or sat,sun",
    "holidays": "Dates, month-days of every year, countries or iCalendar files: the hours do not hold then",
    "exceptions": "Other hours by date; they win over holidays",
    "versions": "Fields that replace the ones before from a local midnight on, in order of time",
    "effective_from": "From this local midnight on",
    "customer": "Who is served",
    "provider": "Who serves",
    "team": "Which team serves",
    "depends_on": "Services that it stands on; no circle",
    "combine": "How states come together: worst, best, weighted, or at_least N",
    "components": "Parts by name, each with a weight",
    "weight": "How much it counts where states are weighted; default 1",
    "kind": "sla: with a customer; ola: inside the house; uc: with a supplier",
    "rank": "The smallest is asked first; without one, last",
    "match": "For which tickets or services; left out: all",
    "calendar": "In whose hours time counts; of a promise: its agreement's, otherwise 24x7",
    "objective": "The share of promises to keep in a period",
    "promises": "Promises by name",
    "credits": "What a missed objective costs",
    "supports": "An ola or uc names the agreements that stand on it",
    "metric": "What is measured",
    "within": "A target, or targets by priority; default is the rest",
    "targets": "Targets with conditions; the first that holds counts",
    "warn_at": "Marks before the due instant: 75%, -30m",
    "on_change": "When another target is selected: retroactive, carry, restart or reassess",
    "on_reopen": "When a met ticket is opened again: resume, new_cycle or ignore",
    "reopen_window": "How long opening again counts; default 5 business_days",
    "start": "When the clock starts; the metric's own, if left out",
    "stop": "When it is done; the metric's own, if left out",
    "reset": "When it begins anew",
    "cancel": "When it no longer counts",
    "pause": "While this holds, time does not count; the metric's own, if left out",
    "resume": "What ends a pause; left out: when pause no longer holds",
    "target": "The share to reach, in percent",
    "period": "The calendar period of shares, in the agreement's zone; default month",
    "basis": "Which instant of a promise decides the period; default due",
    "window": "A calendar period, or a rolling time",
    "threshold": "What is fast enough",
    "count": "What states count as, where not by default",
    "min_coverage": "The known share of a window below which nothing is claimed; default 0.9",
    "before_first_news": "What time before the first news counts as; default excluded",
    "min_outage": "What is down for less than this is what it was before",
    "profile": "Count as this tool does: defaults of count, min_coverage and before_first_news",
    "timeslice": "Judge events by slices of time, each of which counts once; target: what makes a slice good",
    "alerts": "burn_rate: alerts as the SRE workbook has them",
    "fee": "What is paid in a period, like 10000 EUR",
    "cap": "The most that is credited, in percent of the fee or as an amount",
    "bands": "Below which share which credit; the lowest band counts",
    "per": "service: each promise of each service is judged; promise: each one over all services together",
    "earn_back": "When a credit is given back: later periods were good",
    "periods": "How many of the next periods have to be good; default 1",
    "at_least": "From which share on a period is good; default the objective's target",
    "exclusions": "What money does not count, each with its reason",
    "reason": "Why it was agreed",
    "from": "From this instant on",
    "to": "Until this instant, itself not included",
    "tickets": "Only these tickets",
    "scope": "What the contract covers: services, types of tickets, volumes",
    "about": "Which tickets the contract is about; left out: those of the customer",
    "types": "Which types of tickets are covered; left out: all",
    "volumes": "Agreed numbers of tickets of a period, by name",
    "low": "So many at least",
    "high": "So many at most",
    "ledger": "Who has a ticket, and is named",
    "holders": "Rules of who has a ticket; the first that holds, then by status and group",
    "assignees": "Are people named? Default false",
    "when": "For which tickets",
    "party": "Whose time it is",
    "experience": "From which share of its scale on a rating is happy, and up to which unhappy",
    "happy": "From this share of the scale on; default 80%",
    "unhappy": "Up to this share of the scale; default 40%",
}
"""What a key means, wherever it stands."""

OF_CREDITS = {
    **WORDS,
    "promises": "Terms of single promises; one about a service or about ratings is credited only when it is named",
    "weight": "The share of what the band says that counts; default 100%",
}
OF_EXCLUSIONS = {**WORDS, "services": "Only of these services", "promises": "Only of these promises"}
OF_SCOPE = {
    **WORDS,
    "services": "Which services are covered; left out: all",
    "period": "The calendar period of volumes; default the objective's",
    "match": "Which tickets in scope it counts; left out: all",
}
OF_HOLDERS = {**WORDS, "provider": "Who it is, where the ticket and its service do not say so"}
OF_RATINGS = {**WORDS, "target": "The share of ratings that are to be happy, in percent"}


def policy_schema() -> Schema:
    """The schema of a whole file. Its keys are the loader's, which a test proves."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "slastream policy",
        "description": "Calendars, services and agreements with their promises.",
        **_object(
            TOP_KEYS,
            {
                "version": {"enum": [1, "1"], "description": "The version of this format"},
                "timezone": {
                    **TEXT,
                    "description": "Default zone of everything below, like Europe/Berlin; left out: UTC",
                },
                "match_mode": {
                    "enum": ["first", "all"],
                    "description": "Does the first agreement of a kind apply, or every one?",
                },
                "lateness": {
                    "type": "object",
                    "additionalProperties": DURATION,
                    "description": "How late events of a source may be",
                },
                "retention": {
                    **DURATION,
                    "description": "How long a closed ticket can still be corrected; default 90d",
                },
                "max_clock_skew": {
                    **DURATION,
                    "description": "How far in the future an event may be dated; default 5m",
                },
                "pause_reasons": {
                    **NAMES,
                    "description": "Attributes that say why a ticket waits; default fields.pause_reason",
                },
                "calendars": {"type": ["object", "null"], "additionalProperties": _calendar()},
                "services": {"type": ["object", "null"], "additionalProperties": _service()},
                "agreements": {"type": ["object", "null"], "additionalProperties": _agreement()},
                "ledger": _ledger(),
                "experience": _object(EXPERIENCE_KEYS, dict.fromkeys(EXPERIENCE_KEYS, SHARE)),
            },
        ),
        "required": ["version"],
    }


def _object(keys: tuple[str, ...], properties: Schema, words: Mapping[str, str] = WORDS) -> Schema:
    """`words` say what the keys mean here, where they mean something else than elsewhere."""
    if set(keys) != set(properties):
        raise AssertionError(f"the schema and the loader differ in {set(keys) ^ set(properties)}")
    described = {
        key: {**one, **({"description": words[key]} if key in words else {})} for key, one in properties.items()
    }
    return {"type": ["object", "null"], "properties": described, "additionalProperties": False}


def _calendar() -> Schema:
    holiday: Schema = {
        "anyOf": [
            {**TEXT, "description": "A date, or month-day for every year"},
            {
                "type": "object",
                "properties": {"country": TEXT, "subdivision": TEXT, "ics": TEXT},
                "additionalProperties": False,
            },
        ]
    }
    common: Schema = {
        "hours": {
            "type": "object",
            "additionalProperties": PERIODS_OF_DAY,
            "description": "By weekday: mon, mon-fri, sat,sun",
        },
        "holidays": {"type": "array", "items": holiday},
        "exceptions": {
            "type": "object",
            "additionalProperties": PERIODS_OF_DAY,
            "description": "Other hours by date; they win",
        },
    }
    version = _object(VERSION_KEYS, {"effective_from": DATE, **common})
    properties = {"timezone": TEXT, **common, "versions": {"type": "array", "items": version}}
    return {**_object(CALENDAR_KEYS, properties), "required": ["hours"]}


def _service() -> Schema:
    weight: Schema = {"type": "number", "exclusiveMinimum": 0}
    component: Schema = {"type": ["object", "null"], "properties": {"weight": weight}, "additionalProperties": False}
    return _object(
        SERVICE_KEYS,
        {
            "customer": TEXT,
            "provider": TEXT,
            "team": TEXT,
            "depends_on": NAMES,
            "combine": {"type": "string", "pattern": r"^(worst|best|weighted|at_least\s+[0-9]+)$"},
            "components": {"type": ["object", "null"], "additionalProperties": component},
            "weight": weight,
        },
    )


def _agreement() -> Schema:
    objective = _object(
        OBJECTIVE_KEYS,
        {
            "target": SHARE,
            "period": {"enum": [*PERIODS, *ROLLING_WINDOWS]},
            "basis": {"enum": ["completed", "due", "started"]},
        },
    )
    properties: Schema = {
        "kind": {"enum": ["sla", "ola", "uc"], "description": "With a customer, inside the house, with a supplier"},
        "customer": TEXT,
        "rank": {"type": "integer", "description": "The smallest is asked first"},
        "match": CONDITION,
        "timezone": {**TEXT, "description": "Of 24x7, in place of calendar: where its days begin"},
        "calendar": {**TEXT, "description": "Default 24x7"},
        "objective": objective,
        "promises": {
            "type": "object",
            "additionalProperties": {"anyOf": [_clock(), _service_promise(), _satisfaction()]},
        },
        "credits": _credits(),
        "effective_from": DATE,
        "supports": NAMES,
        "exclusions": {"type": "array", "items": _exclusion()},
        "scope": _scope(),
    }
    return {**_object(AGREEMENT_KEYS, properties), "required": ["kind", "promises"]}


def _credits() -> Schema:
    band: Schema = {
        "type": "object",
        "properties": {"below": SHARE, "credit": {"anyOf": [SHARE, MONEY]}},
        "required": ["below", "credit"],
        "additionalProperties": False,
    }
    bands: Schema = {"type": "array", "items": band}
    terms = _object(TERMS_KEYS, {"weight": SHARE, "bands": bands}, OF_CREDITS)
    properties: Schema = {
        "fee": MONEY,
        "cap": {"anyOf": [SHARE, MONEY]},
        "bands": bands,
        "per": {"enum": ["service", "promise"]},
        "promises": {"type": ["object", "null"], "additionalProperties": terms},
        "earn_back": _object(
            EARN_BACK_KEYS, {"periods": {"type": "integer", "minimum": 1, "maximum": MOST_PERIODS}, "at_least": SHARE}
        ),
    }
    return {**_object(CREDIT_KEYS, properties, OF_CREDITS), "required": ["bands"]}


def _exclusion() -> Schema:
    instant: Schema = {"type": "string", "format": "date-time"}
    properties: Schema = {
        "reason": TEXT, "from": instant, "to": instant, "services": NAMES, "promises": NAMES, "tickets": NAMES,
    }  # fmt: skip
    return {**_object(EXCLUSION_KEYS, properties, OF_EXCLUSIONS), "required": ["reason"]}


def _scope() -> Schema:
    number: Schema = {"type": "integer", "minimum": 0}
    volume = _object(VOLUME_KEYS, {"match": CONDITION, "low": number, "high": number}, OF_SCOPE)
    properties: Schema = {
        "period": {"enum": list(PERIODS)},
        "about": CONDITION,
        "services": NAMES,
        "types": NAMES,
        "volumes": {"type": ["object", "null"], "additionalProperties": volume},
    }
    return _object(SCOPE_KEYS, properties, OF_SCOPE)


def _ledger() -> Schema:
    holder = {
        **_object(HOLDER_KEYS, {"when": CONDITION, "party": {"enum": list(PARTIES)}, "provider": TEXT}, OF_HOLDERS),
        "required": ["when", "party"],
    }
    return _object(
        LEDGER_KEYS,
        {"holders": {"type": "array", "items": holder}, "assignees": {"enum": [True, False, "true", "false"]}},
    )


def _satisfaction() -> Schema:
    properties: Schema = {
        "metric": {"const": SATISFACTION},
        "target": SHARE,
        "window": {"enum": [*PERIODS, *ROLLING_WINDOWS]},
    }
    return {**_object(SATISFACTION_KEYS, properties, OF_RATINGS), "required": ["metric", "target", "window"]}


def _clock() -> Schema:
    rule: Schema = {
        "type": "object",
        "properties": {"when": CONDITION, "within": TARGET, "calendar": {**TEXT, "description": WORDS["calendar"]}},
        "required": ["within"],
        "additionalProperties": False,
    }
    properties: Schema = {
        "metric": {"enum": list(CLOCK_METRICS)},
        "calendar": TEXT,
        "within": {"anyOf": [TARGET, {"type": "object", "additionalProperties": TARGET}]},
        "targets": {"type": "array", "items": rule, "minItems": 1},
        "warn_at": NAMES,
        "on_change": {"enum": ["retroactive", "carry", "restart", "reassess"]},
        "on_reopen": {"enum": ["resume", "new_cycle", "ignore"]},
        "reopen_window": TARGET,
        **dict.fromkeys(CONDITIONS, CONDITION),
    }
    return {**_object(CLOCK_KEYS, properties), "required": ["metric"]}


def _service_promise() -> Schema:
    properties: Schema = {
        "metric": {"enum": list(SERVICE_METRICS)},
        "calendar": TEXT,
        "target": SHARE,
        "window": {"enum": [*PERIODS, *ROLLING_WINDOWS]},
        "threshold": DURATION,
        "profile": {"enum": list(PROFILES)},
        "count": {
            "type": "object",
            "properties": {state: {"enum": ["good", "bad", "excluded", "unknown"]} for state in STATES},
            "additionalProperties": False,
        },
        "min_coverage": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, SHARE]},
        "before_first_news": {"enum": ["excluded", "unknown"]},
        "min_outage": DURATION,
        "timeslice": {
            "type": "object",
            "properties": {
                "window": {**DURATION, "description": "The length of a slice, 1s to 1h"},
                "target": {**SHARE, "description": "Left out: a slice counts as good by its share"},
            },
            "required": ["window"],
            "additionalProperties": False,
        },
        "alerts": {"enum": ["burn_rate"]},
    }
    return {**_object(SERVICE_PROMISE_KEYS, properties), "required": ["metric", "target", "window"]}
