"""What is declared on `sla.breaches`: facts, and the identity that makes a repetition the same fact (semantics 7.1)."""

import hashlib
from typing import Any, NamedTuple

import orjson

from slastream.core.units import Instant

WARNED, BREACHED, MET_LATE, RETRACTED = "warned", "breached", "met_late", "retracted"
DEADLINE = "deadline"


class Fact(NamedTuple):
    """One declaration about one cycle of a clock.

    `occurrence` counts from 1 how often this fact (with this threshold) was declared of the cycle; a retraction has the
    occurrence of what it takes back, whose word is in `retracted`.
    """

    agreement: str
    promise: str
    cycle: int
    fact: str
    threshold: str | None
    at: Instant
    occurrence: int
    caused_by: str
    retracted: str | None
    rule_index: int


def identity(*parts: Any) -> str:
    """The id of what these parts name: sha256 of their JSON text, 32 hexadecimal digits (128 bits)."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def fact_id(ticket_id: str, fact: Fact) -> str:
    if fact.retracted is None:
        return identity(ticket_id, fact.agreement, fact.promise, fact.cycle, fact.fact, fact.threshold, fact.occurrence)
    return identity(ticket_id, fact.agreement, fact.promise, fact.cycle, RETRACTED, retracted_id(ticket_id, fact))


def retracted_id(ticket_id: str, fact: Fact) -> str | None:
    """The id of the fact that a retraction takes back; None for every other fact."""
    if fact.retracted is None:
        return None
    return identity(
        ticket_id, fact.agreement, fact.promise, fact.cycle, fact.retracted, fact.threshold, fact.occurrence
    )
