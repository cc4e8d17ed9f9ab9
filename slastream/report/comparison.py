"""What a stored report said otherwise about the months that both show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from slastream.core.units import parse_instant
from slastream.errors import PolicyError
from slastream.report.figures import Correction, Corrections, PromiseResult, Share
from slastream.report.ticket_figures import BASES
from slastream.wire.lines import Json


def load_report(option: str, path: str) -> Json:
    """A report that `--format json` wrote; `option` is what named it. Raises PolicyError."""
    try:
        found = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise PolicyError(f"{option} {path}: cannot be read: {error.strerror}; name a stored report") from None
    except orjson.JSONDecodeError as error:
        raise PolicyError(f"{option} {path}: is no JSON: {error}; name a report written with --format json") from None
    if not isinstance(found, dict) or found.get("kind") != "service_level_report":
        raise PolicyError(f"{option} {path}: is no service level report; name one written with --format json")
    return found


def corrections(promises: tuple[PromiseResult, ...], since: Json | None, name: str | None) -> Corrections:
    """The shares of the months that were over when the earlier report was made, and are other ones now."""
    if since is None:
        return Corrections(None, None, ())
    was = {
        (one["agreement"], one["promise"], month["period"]): month
        for one in since["promises"]
        for month in one["months"]
        if parse_instant(month["end"]) <= parse_instant(since["as_of"])
    }
    return Corrections(name, since["policy_version"], tuple(_changes(promises, was)))


def _changes(promises: tuple[PromiseResult, ...], was: dict[tuple[str, str, str], Any]) -> Iterator[Correction]:
    for one in promises:
        for month in one.months:
            before = was.get((one.agreement, one.promise, month.period))
            if before is None:
                continue
            for basis in BASES:
                old, now = Share(before[basis]["met"], before[basis]["total"]), month.of(basis)
                if old != now:
                    yield Correction(one.agreement, one.promise, month.period, basis, old, now)
