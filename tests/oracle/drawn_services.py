"""Services drawn at random, as values of the naive calculator and as policies and events of the program."""

from typing import Any

from hypothesis import strategies as st

from oracle.naive_services import ORDER, NaiveService, Planned, Word
from slastream.core.units import Instant, format_instant

BEGIN = 1_772_409_600  # 2026-03-02T00:00:00Z
SPAN = 3_600
Json = dict[str, Any]


def instant(second: int) -> str:
    return format_instant(Instant((BEGIN + second) * 1_000_000))


@st.composite
def words(draw: st.DrawFn) -> list[Word]:
    found = [
        Word(
            at=draw(st.integers(0, 90)) * 40,
            order=order,
            state=draw(st.sampled_from([*ORDER, "up", "down"])),
            episode=draw(st.sampled_from([None, None, "a", "b"])),
            expires=draw(st.sampled_from([None, None, 60, 400])),
            is_soft=draw(st.integers(0, 9)) == 0,
        )
        for order in range(draw(st.integers(0, 6)))
    ]
    return [*found, Word(draw(st.integers(0, 90)) * 40, len(found), "up")]


@st.composite
def services(draw: st.DrawFn, depth: int = 1) -> NaiveService:
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    is_plain = depth == 0
    combine = draw(
        st.sampled_from(["worst", "best", "at_least"] if is_plain else ["worst", "best", "at_least", "weighted"])
    )
    times = st.integers(0, 90).map(lambda n: n * 40)
    planned = [
        Planned(min(a, b), max(a, b) + 40, draw(st.sampled_from([None, *names])))
        for a, b in draw(st.lists(st.tuples(times, times), max_size=2))
    ]
    return NaiveService(
        combine=combine,
        n=draw(st.integers(1, 3)),
        components={name: draw(words()) for name in names},
        weights={name: draw(st.integers(1, 3)) for name in names},
        maintenance=planned,
        needs=[draw(services(depth=0))] if depth and draw(st.booleans()) else [],
    )


def policy_of(service: NaiveService, window: str, **promise: Any) -> Json:
    def listed(one: NaiveService, needs: list[str]) -> Json:
        word = f"at_least {one.n}" if one.combine == "at_least" else one.combine
        components = {name: {"weight": one.weights[name]} for name in one.components}
        return {"combine": word, "components": components, "depends_on": needs}

    named = {f"need{i}": listed(one, []) for i, one in enumerate(service.needs)}
    uptime = {"metric": "availability", "target": "99%", "window": window, "min_coverage": 0, **promise}
    return {
        "version": 1,
        "services": {"mail": listed(service, list(named)), **named},
        "agreements": {"a": {"kind": "sla", "match": {"service": "mail"}, "promises": {"uptime": uptime}}},
    }


def events_of(service: NaiveService, name: str = "mail") -> list[Json]:
    found: list[Json] = []
    for component, said in service.components.items():
        found.extend({
            "service": name, "component": component, "occurred_at": instant(word.at), "sequence": word.order,
            "state": word.state, "confidence": "soft" if word.is_soft else "hard", "episode": word.episode,
            "expires_after": None if word.expires is None else f"{word.expires}s",
        } for word in said)  # fmt: skip
    for number, one in enumerate(service.maintenance):
        found.append({
            "maintenance_id": f"{name}-{number}", "service": name, "component": one.component,
            "occurred_at": instant(0), "start": instant(one.start), "end": instant(one.end), "revision": 1,
        })  # fmt: skip
    for number, need in enumerate(service.needs):
        found.extend(events_of(need, f"need{number}"))
    return found
