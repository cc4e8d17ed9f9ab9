"""What monitoring keeps in stage 2: it grows neither with the rate of events nor with the time that the stream has run."""

import pickle
from collections.abc import Iterable, Iterator

import orjson
import pytest
from oracle.drawn_services import Json, instant
from test_monitoring_state import Stage, line_key, loaded, said, wanted

from slastream.core.units import parse_instant
from slastream.stream.stage import Record

DAY = 86_400
POLICY: Json = {
    "version": 1,
    "retention": "2d",
    "services": {"shop": {"depends_on": ["mail"]}},
    "agreements": {"a": {"kind": "sla", "promises": {
        "uptime": {"metric": "availability", "target": "99%", "window": "day", "alerts": "burn_rate"},
        "rolling": {"metric": "availability", "target": "98%", "window": "6h"},
        "requests": {"metric": "success", "target": "97%", "window": "day"},
    }}},
}  # fmt: skip


def state(second: int, word: str, **more: object) -> Json:
    return {"event_id": f"s{second}", "service": "mail", "occurred_at": instant(second), "state": word, **more}


def a_day(day: int) -> Iterator[Json]:
    """A word each 20 minutes, down from 06:00 to 06:40, an episode of another component, counts each 4 hours, a maintenance."""
    for second in range(day * DAY, (day + 1) * DAY, 1200):
        yield state(second, "down" if 6 <= second % DAY / 3600 < 6.5 else "up")
        if second % DAY == 10 * 3600:
            yield {**state(second, "down", component="disk", episode=f"p{day}"), "event_id": f"d{day}"}
        if second % DAY == 10 * 3600 + 1200:
            yield {**state(second, "up", component="disk", episode=f"p{day}"), "event_id": f"u{day}"}
        if second % (4 * 3600) == 0:
            good = 80 if second % DAY == 8 * 3600 else 100
            yield {
                "event_id": f"c{second}", "service": "mail", "component": "web", "occurred_at": instant(second),
                "interval": "60s", "counts": {"good": good, "total": 100},
            }  # fmt: skip
    yield {
        "maintenance_id": f"m{day}", "service": "mail", "occurred_at": instant(day * DAY), "revision": 1,
        "start": instant(day * DAY + 6 * 3600), "end": instant(day * DAY + 6 * 3600 + 600),
    }  # fmt: skip


def live(events: Iterable[Json], every: int, restarts: int, until: int) -> Stage:
    """The broker's clock stands at the end; a cut after each `every` events, a restart after each `restarts` cuts."""
    stage = Stage(loaded(POLICY), instant(until))
    for number, event in enumerate(events, 1):
        stage.event(event)
        if number % every == 0:
            stage.cut()
        if number % (every * restarts) == 0:
            stage.restart()
    stage.tick(instant(until))
    stage.cut()
    stage.cut()
    return stage


def kept(stage: Stage) -> tuple[int, int, int]:
    """Keys and bytes of the table, and bytes of the histories in memory."""
    held = stage.partition.monitoring
    told = [(subject.facts, subject.lines) for subject in held.subjects.values()]
    table = sum(len(key) + len(value) for key, value in stage.table.items())
    return len(stage.table), table, len(pickle.dumps((held.availability.histories, told)))


def days(count: int) -> list[Json]:
    return [event for day in range(count) for event in a_day(day)]


def test_what_is_kept_does_not_grow_with_time_and_all_that_was_said_is_what_a_replay_says() -> None:
    short, long = live(days(8), 20, 40, 8 * DAY), live(days(100), 20, 40, 100 * DAY)
    for few, many in zip(kept(short), kept(long), strict=True):
        assert many <= 1.1 * few
    facts = {said(fact) for fact in wanted(POLICY, days(100), "facts", instant(100 * DAY))}
    assert long.facts() == facts
    shown = wanted(POLICY, days(100), "availability", instant(100 * DAY))
    newest = {line_key(line): line for line in long.windows().values() if line["window"]["kind"] == "day"}
    assert newest == {line_key(line): line for line in shown if line["window"]["kind"] == "day"}
    assert long.rejected == 0


def test_what_is_kept_does_not_grow_with_the_rate_of_words() -> None:
    """An hour of words, six a minute and 300 a minute."""

    def words(rate: int) -> Iterator[Json]:
        for n in range(60 * rate):
            word = state(60 * n // rate, "up", sequence=n, expires_after="60s")
            yield {**word, "event_id": f"{n:06}"}

    slow, fast = live(words(6), 40, 7, DAY), live(words(300), 2000, 7, DAY)
    for few, many in zip(kept(slow), kept(fast), strict=True):
        assert many <= 1.1 * few
    assert len(fast.partition.monitoring.availability.histories["mail"].reports["mail"]) == 1 + 120


@pytest.mark.parametrize("restarts", [False, True])
def test_a_word_of_a_settled_day_changes_that_day_and_one_behind_the_retention_is_too_late(restarts: bool) -> None:
    """Now is day 20. Day 18 can still change: it was down from 11:45 to 11:55."""
    stage = live(days(20), 20, 40, 20 * DAY)
    if restarts:
        stage.restart()
    late = [state(18 * DAY + 12 * 3600 - 300, "up"), state(18 * DAY + 12 * 3600 - 900, "down")]
    for event in late:
        stage.event(event)
    stage.cut()
    shown = wanted(POLICY, [*days(20), *late], "availability", instant(20 * DAY))
    newest = {line_key(line): line for line in stage.windows().values() if line["window"]["kind"] == "day"}
    assert newest == {line_key(line): line for line in shown if line["window"]["kind"] == "day"}
    stage.event({**state(18 * DAY - 1, "down"), "event_id": "behind"})
    for event in days(20)[:3]:
        stage.event(event)
    stage.cut()
    assert stage.rejected == 4
    assert stage.reasons == {("sla.monitoring", "too_late"): 4}
    assert newest == {line_key(line): line for line in stage.windows().values() if line["window"]["kind"] == "day"}


def test_a_repetition_of_what_was_forgotten_changes_nothing() -> None:
    stage = live(days(20), 20, 40, 20 * DAY)
    published = len(stage.published)
    for event in days(20):
        if event["occurred_at"] >= instant(18 * DAY):
            stage.event(event)
    stage.cut()
    assert len(stage.published) == published


def test_an_event_at_the_edge_of_the_retention_is_taken() -> None:
    stage = live(days(20), 20, 40, 20 * DAY)
    value = orjson.dumps({**state(18 * DAY, "down"), "event_id": "edge"})
    stage.partition.apply(Record("sla.monitoring", 0, 10_000, parse_instant(instant(20 * DAY)), b"mail", value, ()))
    assert not stage.partition.monitoring.counts.rejected
