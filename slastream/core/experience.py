"""What users said, beside what was promised: ratings joined with verdicts (semantics 6.6).

A ticket's rating is its last one, as a share of its scale; it counts in the period of its instant, for the ticket's
service and the agreement that leads for it. The verdict beside it is that of the agreement's clocks together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from slastream.core.policies import Agreement, Moods
from slastream.core.tickets import Ticket
from slastream.core.units import Instant

TicketVerdict = Literal["met", "breached", "open", "none"]
TICKET_VERDICTS: tuple[TicketVerdict, ...] = ("met", "breached", "open", "none")


class Rated(NamedTuple):
    """One ticket's rating; `score` is a share of its scale, 0 to 1."""

    ticket_id: str
    service: str | None
    agreement: str | None
    at: Instant
    score: Fraction
    verdict: TicketVerdict


@dataclass(slots=True)
class Scores:
    """Ratings added up: `ratings` of them, the sum of their scores, and how many of them were happy and unhappy."""

    ratings: int = 0
    score: Fraction = Fraction(0)
    happy: int = 0
    unhappy: int = 0

    def put(self, score: Fraction, moods: Moods, sign: int = 1) -> None:
        """Adds a rating, or takes it out again (`sign` -1)."""
        self.ratings += sign
        self.score += sign * score
        self.happy += sign * is_happy(score, moods)
        self.unhappy += sign * is_unhappy(score, moods)

    def __add__(self, other: "Scores") -> "Scores":
        return Scores(
            self.ratings + other.ratings, self.score + other.score, self.happy + other.happy,
            self.unhappy + other.unhappy,
        )  # fmt: skip


@dataclass(slots=True)
class Experience:
    """The ratings of a period by the verdict of their ticket."""

    by_verdict: dict[TicketVerdict, Scores] = field(default_factory=lambda: {one: Scores() for one in TICKET_VERDICTS})

    @property
    def all(self) -> Scores:
        return sum(self.by_verdict.values(), Scores())

    @property
    def met_but_unhappy(self) -> tuple[int, int]:
        """(unhappy, all) of the ratings of tickets whose promises were kept: what a report in green hides."""
        met = self.by_verdict["met"]
        return met.unhappy, met.ratings

    @property
    def breached_but_happy(self) -> tuple[int, int]:
        """(happy, all) of the ratings of tickets with a broken promise."""
        breached = self.by_verdict["breached"]
        return breached.happy, breached.ratings


def experience_of(ratings: Iterable[Rated], moods: Moods) -> Experience:
    found = Experience()
    for one in ratings:
        found.by_verdict[one.verdict].put(one.score, moods)
    return found


def rated(ticket: Ticket) -> Rated | None:
    """None: nobody has rated it."""
    if ticket.rating is None or ticket.rated_at is None:
        return None
    agreement = ticket.rulebook.leading(ticket.matched)
    return Rated(
        ticket.ticket_id,
        ticket.attributes.get("service"),
        None if agreement is None else agreement.name,
        ticket.rated_at,
        score_of(ticket.rating.score, ticket.rating.scale),
        verdict_of(ticket, agreement),
    )


def score_of(score: float, scale: float) -> Fraction:
    """The share of the scale, exactly as it was written: 0.1 is a tenth."""
    return Fraction(Decimal(str(score))) / Fraction(Decimal(str(scale)))


def verdict_of(ticket: Ticket, agreement: Agreement | None) -> TicketVerdict:
    """`breached` where a clock of the agreement is, `open` while one may still be, `met` where one was kept."""
    statuses = {
        cycle.status()
        for clock in ticket.clocks.values()
        if agreement is not None and clock.rule.agreement.name == agreement.name
        for cycle in clock.cycles
    }
    if "breached" in statuses:
        return "breached"
    if "running" in statuses or "paused" in statuses:
        return "open"
    return "met" if "met" in statuses else "none"


def is_happy(score: Fraction, moods: Moods) -> bool:
    return score >= Fraction(moods.happy)


def is_unhappy(score: Fraction, moods: Moods) -> bool:
    return score <= Fraction(moods.unhappy)
