"""The JSON Schema of the policy file (draft 2020-12), so that editors complete it. The loader is what judges."""

from typing import Any

from slastream.core.events import STATES
from slastream.core.policies import CLOCK_METRICS, PERIODS, PROFILES, ROLLING_WINDOWS, SERVICE_METRICS
from slastream.wire.policy_file import (
    AGREEMENT_KEYS,
    CALENDAR_KEYS,
    CLOCK_KEYS,
    CONDITIONS,
    CREDIT_KEYS,
    OBJECTIVE_KEYS,
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
}
"""What a key means, wherever it stands."""


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
            },
        ),
        "required": ["version"],
    }


def _object(keys: tuple[str, ...], properties: Schema) -> Schema:
    if set(keys) != set(properties):
        raise AssertionError(f"the schema and the loader differ in {set(keys) ^ set(properties)}")
    described = {
        key: {**one, **({"description": WORDS[key]} if key in WORDS else {})} for key, one in properties.items()
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
    band: Schema = {
        "type": "object",
        "properties": {"below": SHARE, "credit": {"anyOf": [SHARE, MONEY]}},
        "required": ["below", "credit"],
        "additionalProperties": False,
    }
    credits = {
        **_object(
            CREDIT_KEYS, {"fee": MONEY, "cap": {"anyOf": [SHARE, MONEY]}, "bands": {"type": "array", "items": band}}
        ),
        "required": ["bands"],
    }
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
        "promises": {"type": "object", "additionalProperties": {"anyOf": [_clock(), _service_promise()]}},
        "credits": credits,
        "effective_from": DATE,
        "supports": NAMES,
    }
    return {**_object(AGREEMENT_KEYS, properties), "required": ["kind", "promises"]}


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
