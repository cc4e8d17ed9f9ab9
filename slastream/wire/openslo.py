"""OpenSLO v1 documents as sections of our own policy file.

Each value of the sections that are made keeps the line of what it was made of, so that whatever the loader has to say about it
points into the OpenSLO file. The SLOs of a service become the promises of one agreement, an `ola`. Where events come from is not
the documents' business here: `metricSource` and data sources are not read.

**Source:** https://github.com/OpenSLO/OpenSLO, README of v1 (kinds SLO, SLI, Service, AlertPolicy, AlertCondition).
"""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import yaml

from slastream.core.burns import RULES
from slastream.core.periods import ROLLING
from slastream.core.units import DAY, HOUR, MINUTE
from slastream.wire.yaml_nodes import Entry, Reader, is_null, shown

API = "openslo/v1"
UNIT = "slastream/unit"
IGNORED_KINDS = ("DataSource", "AlertNotificationTarget")
KINDS = ("SLO", "SLI", "Service", "AlertPolicy", "AlertCondition")
_IS_OPENSLO = re.compile(r"""^\s*[{"']*(?:apiVersion|version)["']?\s*:\s*["']?openslo""", re.MULTILINE)
_DURATION = re.compile(r"(\d{1,6})\s*([mhdwMQY])", re.ASCII)
_LENGTHS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PERIODS = {"1d": "day", "1w": "week", "1M": "month", "1Q": "quarter", "1Y": "year"}
_STARTS = {
    "day": "....-..-..",
    "week": "....-..-..",
    "month": "....-..-01",
    "quarter": "....-(01|04|07|10)-01",
    "year": "....-01-01",
}


def is_openslo(text: str) -> bool:
    return _IS_OPENSLO.search(text) is not None


class Document(NamedTuple):
    """One document: its kind and name, and its fields by key."""

    kind: str
    name: str
    whole: Entry
    fields: dict[str, Entry]
    spec: dict[str, Entry]


def sections_of(roots: Iterable[Entry], reader: Reader) -> dict[str, Entry]:
    """`services` and `agreements` as our policy file has them. Problems are noted in `reader`."""
    return _Translator(reader).sections(roots)


class _Translator:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.documents: dict[tuple[str, str], Document] = {}

    def sections(self, roots: Iterable[Entry]) -> dict[str, Entry]:
        first: Entry | None = None
        for root in roots:
            first = first or root
            document = self._document(root)
            if document is None:
                continue
            key = (document.kind, document.name)
            if key in self.documents:
                self.reader.bad(root, f"{document.kind} {document.name!r} is there twice; keep one of them")
            self.documents[key] = document
        services: list[tuple[str, yaml.Node]] = []
        agreements: dict[str, dict[str, Any]] = {}
        for document in self.documents.values():
            if document.kind == "Service":
                services.append((document.name, _mapping([], document.whole.node)))
            elif document.kind == "SLO":
                self._slo(document, agreements)
        if first is None:
            return {}
        made = [(name, self._agreement(name, parts)) for name, parts in agreements.items()]
        return {
            "services": Entry(_mapping(services, first.node), "services", first.line, first.file),
            "agreements": Entry(_mapping(made, first.node), "agreements", first.line, first.file),
        }

    # ---- documents -----------------------------------------------------------------------------------------------

    def _document(self, root: Entry) -> Document | None:
        fields = self.reader.mapping(root, None, "an OpenSLO document")
        if fields is None:
            return None
        version = fields.get("apiVersion") or fields.get("version")
        text = "" if version is None else str(version.node.value)
        if text != API:
            self.reader.bad(version or root, f"{text!r} is not read; write apiVersion: {API}")
            return None
        kind = self._text(fields.get("kind"), root, "kind", "SLO, SLI, Service or AlertPolicy")
        if kind is None or kind in IGNORED_KINDS:
            return None
        if kind not in KINDS:
            self.reader.bad(fields["kind"], f"{kind!r} is unknown; write one of: {', '.join(KINDS)}")
            return None
        metadata = self._object(fields.get("metadata"), root, "metadata")
        name = self._text(metadata.get("name"), root, "metadata.name", "a name")
        if name is None:
            return None
        spec = self._object(fields.get("spec"), root, "spec") if kind != "Service" or "spec" in fields else {}
        return Document(kind, name, root, {**fields, **{f"metadata.{key}": one for key, one in metadata.items()}}, spec)

    def _object(self, entry: Entry | None, whole: Entry, path: str) -> dict[str, Entry]:
        if entry is None:
            self.reader.bad(whole, f"{path} is missing")
            return {}
        return self.reader.mapping(entry, None, "an object") or {}

    def _text(self, entry: Entry | None, whole: Entry, path: str, what: str) -> str | None:
        if entry is None:
            self.reader.bad(whole, f"{path} is missing; write {what}")
            return None
        return self.reader.text(entry, what)

    # ---- SLO -----------------------------------------------------------------------------------------------------

    def _slo(self, slo: Document, agreements: dict[str, dict[str, Any]]) -> None:
        service = self._text(slo.spec.get("service"), slo.whole, "spec.service", "the name of a service")
        window = self._window(slo)
        indicator = self._indicator(slo)
        objectives = self._items(slo.spec.get("objectives"), slo.whole, "spec.objectives")
        if service is None or window is None or indicator is None:
            return
        word, zone = window
        parts = agreements.setdefault(service, {"zone": None, "promises": [], "node": slo.whole.node})
        if zone is not None:
            if parts["zone"] not in (None, zone):
                self.reader.bad(
                    slo.spec["timeWindow"],
                    f"is in {zone}, another SLO of {service!r} in {parts['zone']}; write one time zone for a service",
                )
            parts["zone"] = zone
        for index, objective in enumerate(objectives):
            fields = self.reader.mapping(objective, None, "an objective with target")
            if fields is None:
                continue
            promise = self._promise(slo, objective, fields, word, indicator)
            name = slo.name if len(objectives) == 1 else f"{slo.name}-{index + 1}"
            if promise is not None:
                parts["promises"].append((name, promise))

    def _agreement(self, service: str, parts: dict[str, Any]) -> yaml.Node:
        node = parts["node"]
        fields = [
            ("kind", _scalar("ola", node)),
            ("match", _mapping([("service", _scalar(service, node))], node)),
            ("promises", _mapping(parts["promises"], node)),
        ]
        return _mapping([*fields, *([("timezone", _scalar(parts["zone"], node))] if parts["zone"] else [])], node)

    def _items(self, entry: Entry | None, whole: Entry, path: str) -> list[Entry]:
        if entry is None:
            self.reader.bad(whole, f"{path} is missing; write a list with at least one item")
            return []
        found = self.reader.sequence(entry, "a list") or []
        if not found and isinstance(entry.node, yaml.SequenceNode):
            self.reader.bad(entry, "is empty; write at least one item")
        return found

    def _window(self, slo: Document) -> tuple[str, str | None] | None:
        """(the word of our policy, the zone of a calendar window)."""
        found = self._items(slo.spec.get("timeWindow"), slo.whole, "spec.timeWindow")
        if len(found) != 1:
            if found:
                self.reader.bad(
                    slo.spec["timeWindow"], "has more than one window; write one, and an SLO for each other"
                )
            return None
        fields = self.reader.mapping(found[0], None, "a window like {duration: 28d, isRolling: true}") or {}
        duration = self._text(fields.get("duration"), found[0], "duration", "28d or, with a calendar, 1M")
        if duration is None:
            return None
        is_rolling = "isRolling" in fields and str(fields["isRolling"].node.value).lower() == "true"
        if "calendar" in fields and not is_rolling:
            return self._calendar(fields["duration"], duration, fields["calendar"])
        match = _DURATION.fullmatch(duration)
        length = int(match[1]) * _LENGTHS[match[2]] if match and match[2] in _LENGTHS else None
        for word, known in ROLLING.items():
            if known == length:
                return word, None
        self.reader.bad(
            fields["duration"],
            f"{duration!r} is no rolling window that is kept; write one of: {', '.join(ROLLING)}, or a calendar with 1d, "
            "1w, 1M, 1Q or 1Y",
        )
        return None

    def _calendar(self, entry: Entry, duration: str, calendar: Entry) -> tuple[str, str | None] | None:
        word = _PERIODS.get(duration)
        fields = self.reader.mapping(calendar, ("startTime", "timeZone"), "{startTime: …, timeZone: …}") or {}
        zone = self._text(fields.get("timeZone"), calendar, "timeZone", "a time zone like Europe/Berlin")
        if word is None:
            self.reader.bad(entry, f"{duration!r} is no calendar window; write one of: {', '.join(_PERIODS)}")
            return None
        start = fields.get("startTime")
        if start is not None:
            text = str(start.node.value)
            if re.fullmatch(_STARTS[word] + r"[ T]00:00:00(Z)?", text) is None:
                self.reader.bad(
                    start, f"{text!r} is not the beginning of a {word}; windows begin at its first midnight"
                )
                return None
        return None if zone is None else (word, zone)

    # ---- SLI -----------------------------------------------------------------------------------------------------

    def _indicator(self, slo: Document) -> Document | None:
        if "indicatorRef" in slo.spec:
            name = self.reader.text(slo.spec["indicatorRef"], "the name of an SLI")
            found = self.documents.get(("SLI", name or ""))
            if found is None and name is not None:
                self.reader.bad(
                    slo.spec["indicatorRef"], f"no SLI is named {name!r}; write its document, or an indicator"
                )
            return found
        if "indicator" not in slo.spec:
            if self._is_composite(slo):
                return None
            self.reader.bad(slo.whole, "spec.indicator is missing; write indicator or indicatorRef")
            return None
        fields = self._object(slo.spec["indicator"], slo.whole, "spec.indicator")
        metadata = self._object(fields["metadata"], slo.whole, "metadata") if "metadata" in fields else {}
        named = {f"metadata.{key}": one for key, one in metadata.items()}
        return Document(
            "SLI", slo.name, slo.whole, named, self._object(fields.get("spec"), slo.spec["indicator"], "spec")
        )

    def _is_composite(self, slo: Document) -> bool:
        """A composite has its indicators in the objectives: here services are combined on their states instead."""
        for objective in (
            self.reader.sequence(slo.spec["objectives"], "a list") or [] if "objectives" in slo.spec else []
        ):
            fields = self.reader.mapping(objective, None, "an objective") or {}
            for key in ("indicator", "indicatorRef"):
                if key in fields:
                    self.reader.bad(
                        fields[key],
                        "a composite of indicators has no meaning on events; write an SLO for each, or a service with "
                        "depends_on and combine",
                    )
                    return True
        return False

    def _promise(
        self, slo: Document, entry: Entry, fields: dict[str, Entry], window: str, sli: Document
    ) -> yaml.Node | None:
        target = self._target(entry, fields)
        if target is None:
            return None
        made: list[tuple[str, yaml.Node]] = [
            ("target", target),
            ("window", _scalar(window, slo.spec["timeWindow"].node)),
        ]
        if "thresholdMetric" in sli.spec:
            threshold = self._threshold(entry, fields, sli)
            if threshold is None:
                return None
            made += [("metric", _scalar("latency", entry.node)), ("threshold", threshold)]
        elif "ratioMetric" in sli.spec:
            ratio = self.reader.mapping(sli.spec["ratioMetric"], None, "a ratioMetric") or {}
            made.append(("metric", _scalar("availability" if "raw" in ratio else "success", entry.node)))
        else:
            self.reader.bad(
                sli.whole, f"SLI {sli.name!r} has neither ratioMetric nor thresholdMetric; write one of them"
            )
            return None
        slices = self._slices(slo, entry, fields)
        if slices is not None:
            made.append(("timeslice", slices))
        if "alertPolicies" in slo.spec and self._has_burn_alerts(slo):
            made.append(("alerts", _scalar("burn_rate", slo.spec["alertPolicies"].node)))
        return _mapping(made, entry.node)

    def _target(self, entry: Entry, fields: dict[str, Entry]) -> yaml.Node | None:
        one = fields.get("targetPercent") or fields.get("target")
        if one is None:
            self.reader.bad(entry, "target is missing; write target: 0.99 or targetPercent: 99")
            return None
        number = self._number(one)
        if number is None:
            return None
        share = number if "targetPercent" in fields else number * 100
        if not 0 <= share < 100:
            self.reader.bad(one, f"{one.node.value!r} is no target; write one from 0 up to, but not, the whole")
            return None
        return _scalar(f"{share:f}%", one.node)

    def _number(self, entry: Entry) -> Decimal | None:
        text = self.reader.text(entry, "a number")
        try:
            number = None if text is None or len(text) > 20 else Decimal(text)
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite() or abs(number.adjusted()) > 12:
            self.reader.bad(entry, f"is {shown(entry.node)}; write a number")
            return None
        return number.normalize()

    def _threshold(self, entry: Entry, fields: dict[str, Entry], sli: Document) -> yaml.Node | None:
        operator = self._text(fields.get("op"), entry, "op", "lte or lt")
        if operator is None:
            return None
        if operator not in ("lte", "lt"):
            self.reader.bad(fields["op"], f"{operator!r}: events are counted below a bound of latency; write lte")
            return None
        if "value" not in fields:
            self.reader.bad(entry, "value is missing; write the threshold")
            return None
        annotations = sli.fields.get("metadata.annotations")
        units = self.reader.mapping(annotations, None, "annotations") if annotations is not None else {}
        if not units or UNIT not in units:
            self.reader.bad(
                fields["value"],
                f"is a number without a unit; write metadata.annotations {{{UNIT}: ms}} (or s) on SLI {sli.name!r}",
            )
            return None
        unit, value = self.reader.word(units[UNIT], ("ms", "s")), self._number(fields["value"])
        return None if unit is None or value is None else _scalar(f"{value:f}{unit}", fields["value"].node)

    def _slices(self, slo: Document, entry: Entry, fields: dict[str, Entry]) -> yaml.Node | None:
        method = self._text(slo.spec.get("budgetingMethod"), slo.whole, "spec.budgetingMethod", "Occurrences")
        if method in (None, "Occurrences"):
            return None
        if method not in ("Timeslices", "RatioTimeslices"):
            self.reader.bad(
                slo.spec["budgetingMethod"],
                f"{method!r} is unknown; write one of: Occurrences, Timeslices, RatioTimeslices",
            )
            return None
        length = self._text(fields.get("timeSliceWindow"), entry, "timeSliceWindow", "1m")
        if length is None:
            return None
        made = [("window", _scalar(f"{length}m" if length.isdigit() else length, fields["timeSliceWindow"].node))]
        if method == "Timeslices":
            target = fields.get("timeSliceTarget")
            number = self._number(target) if target is not None else None
            if target is None:
                self.reader.bad(entry, "timeSliceTarget is missing; write 0.95")
            if target is None or number is None:
                return None
            made.append(("target", _scalar(f"{number * 100:f}%", target.node)))
        return _mapping(made, entry.node)

    # ---- alerts --------------------------------------------------------------------------------------------------

    def _has_burn_alerts(self, slo: Document) -> bool:
        found = False
        for one in self.reader.sequence(slo.spec["alertPolicies"], "a list of alert policies") or []:
            policy = self._referred("AlertPolicy", "alertPolicyRef", one)
            if policy is None:
                continue
            for condition in (
                self.reader.sequence(policy["conditions"], "a list") or [] if "conditions" in policy else []
            ):
                found = self._is_workbook_rule(condition) or found
        return found

    def _referred(self, kind: str, key: str, entry: Entry) -> dict[str, Entry] | None:
        """The spec of a document: named, referred to by `key`, or written out."""
        fields: dict[str, Entry] = {}
        if isinstance(entry.node, yaml.MappingNode):
            fields = self.reader.mapping(entry, None, kind) or {}
            if "spec" in fields:
                return self.reader.mapping(fields["spec"], None, kind)
            entry = fields.get(key, entry)
        name = self.reader.text(entry, f"the name of an {kind}")
        document = self.documents.get((kind, name or ""))
        if document is None:
            if name is not None:
                self.reader.bad(entry, f"no {kind} is named {name!r}; write its document")
            return None
        return document.spec

    def _is_workbook_rule(self, entry: Entry) -> bool:
        spec = self._referred("AlertCondition", "conditionRef", entry)
        if spec is None or "condition" not in spec:
            return False
        fields = self.reader.mapping(spec["condition"], None, "a condition") or {}
        texts = {key: None if is_null(one.node) else str(one.node.value) for key, one in fields.items()}
        known = {(rule.text, _shown_length(rule.long_us)) for rule in RULES}
        if texts.get("kind") != "burnrate" or (texts.get("threshold"), texts.get("lookbackWindow")) not in known:
            rules = ", ".join(
                f"{factor} on {length}" for factor, length in sorted(known, key=lambda one: -float(one[0]))
            )
            self.reader.bad(
                spec["condition"],
                "is none of the burn alerts that there are; write kind: burnrate with threshold and lookbackWindow of one of: "
                f"{rules}",
            )
            return False
        if texts.get("alertAfter") not in (None, "0m", "0s", "0h", "0"):
            self.reader.bad(fields["alertAfter"], "alerts have a short window instead of a delay; take alertAfter out")
            return False
        return True


def _shown_length(us: int) -> str:
    return f"{us // DAY}d" if us % DAY == 0 else f"{us // HOUR}h"


def _scalar(text: str, like: yaml.Node) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, like.start_mark, like.end_mark, style="'")


def _mapping(pairs: Iterable[tuple[str, yaml.Node]], like: yaml.Node) -> yaml.MappingNode:
    made = [(_scalar(key, value), value) for key, value in pairs]
    return yaml.MappingNode("tag:yaml.org,2002:map", made, like.start_mark, like.end_mark)
