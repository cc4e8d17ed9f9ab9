"""Availability as a child would compute it: one second after the other, from the text of semantics 5, with nothing of the program.

Everything lies on whole seconds. `state_of` walks all reports for each second anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

ORDER = ["up", "degraded", "maintenance", "unknown", "down"]
Shares = dict[str, Fraction]


@dataclass(frozen=True)
class Word:
    """A report of a component at a second, in the order in which reports of one second count."""

    at: int
    order: int
    state: str
    episode: str | None = None
    expires: int | None = None
    is_soft: bool = False


@dataclass(frozen=True)
class Planned:
    """Maintenance `[start, end)` of a component, or of the whole service (None)."""

    start: int
    end: int
    component: str | None = None


@dataclass
class NaiveService:
    combine: str = "worst"
    n: int = 1
    components: dict[str, list[Word]] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    maintenance: list[Planned] = field(default_factory=list)
    needs: list["NaiveService"] = field(default_factory=list)

    def first_news(self) -> int | None:
        own = [word.at for words in self.components.values() for word in words if not word.is_soft]
        found = [*own, *(at for one in self.needs if (at := one.first_news()) is not None)]
        return min(found) if found else None

    def shares(self, second: int) -> Shares | None:
        """None before the first news; otherwise how much of it is in which state."""
        if any(p.component is None and p.start <= second < p.end for p in self.maintenance):
            return {"maintenance": Fraction(1)}
        first = self.first_news()
        if first is None or second < first:
            return None
        members = [({self.component(name, second): Fraction(1)}, self.weights.get(name, 1)) for name in self.components]
        members += [(one.shares(second) or {"unknown": Fraction(1)}, 1) for one in self.needs]
        if self.combine == "weighted":
            whole = sum(weight for _, weight in members)
            return {
                state: sum((shares.get(state, Fraction(0)) * weight for shares, weight in members), Fraction(0)) / whole
                for state in ORDER
            }
        words = sorted((ORDER.index(next(iter(shares))) for shares, _ in members))
        place = {"worst": len(words) - 1, "best": 0}.get(self.combine, self.n - 1)
        return {ORDER[words[place]] if place < len(words) else "unknown": Fraction(1)}

    def component(self, name: str, second: int) -> str:
        if any(p.component == name and p.start <= second < p.end for p in self.maintenance):
            return "maintenance"
        return state_of(self.components[name], second)


def state_of(words: Sequence[Word], second: int) -> str:
    """The state of a component at a second."""
    said = [word for word in sorted(words, key=lambda w: (w.at, w.order)) if word.at <= second and not word.is_soft]
    if not said:
        return "unknown"

    def alive(word: Word, at: int) -> str:
        return word.state if word.expires is None or at < word.at + word.expires else "unknown"

    base: Word | None = None
    episodes: dict[str, Word] = {}
    for word in said:
        if word.episode is None:
            base = word
            if word.state == "up":
                episodes = {}
        elif word.state != "up":
            episodes[word.episode] = word
        else:
            episodes = {name: one for name, one in episodes.items() if name != word.episode}
            if base is None or (base.state != "unknown" and alive(base, word.at) == "unknown"):
                base = word
    held = [*([alive(base, second)] if base is not None else []), *(alive(word, second) for word in episodes.values())]
    return max(held, key=ORDER.index)


def split(service: NaiveService, start: int, end: int, before_news: str = "excluded") -> dict[str, Fraction]:
    """Seconds of `[start, end)` by class, by default counting."""
    classes = {"up": "good", "degraded": "good", "maintenance": "excluded", "unknown": "unknown", "down": "bad"}
    found = dict.fromkeys(("good", "bad", "excluded", "unknown"), Fraction(0))
    for second in range(start, end):
        shares = service.shares(second)
        if shares is None:
            found[before_news] += 1
            continue
        for state, share in shares.items():
            found[classes[state]] += share
    return found


def outages(service: NaiveService, start: int, end: int) -> tuple[int, int]:
    """(outages that start in `[start, end)`, seconds of being wholly down in it)."""
    down = [(service.shares(second) or {}).get("down") == 1 for second in range(start - 1, end)]
    return sum(now and not before for before, now in pairwise(down)), sum(down[1:])
