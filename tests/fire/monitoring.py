"""What monitoring tells of the made-up service desk's services: words, counts and maintenance, of the past and live.

A component's words alternate, and of two that follow each other one at most is late: what a history forgets of repetitions
(`docs/decisions/what-monitoring-keeps.md`) makes no difference then. All of it is within the retention.
"""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]
DAY = 86_400.0
MONITORING, MAINTENANCE = "sla.monitoring", "sla.maintenance"
COMPONENTS = (("mail", "a"), ("mail", "b"), ("web", None), ("erp", "db"), ("erp", "app"), ("dns", None))
PAST_BEGINS, PAST_ENDS = -18.5 * DAY, -12 * DAY
BAD: tuple[bytes, ...] = (
    b"not json",
    b'{"service":"mail","occurred_at":"2026-01-01T00:00:00Z","state":"OK"}',
    b'{"service":"mail","occurred_at":"2999-01-01T00:00:00Z","state":"down"}',
    b'{"ticket_id":"x","type":"changed","occurred_at":"2026-01-01T00:00:00Z"}',
)

AGREEMENT = """\
  hosting:
    kind: uc
    rank: 30
    match: {service: [mail, web, erp, dns]}
    promises:
      uptime: {metric: availability, target: 99%, window: day, min_coverage: 0, alerts: burn_rate}
      strict: {metric: availability, target: 99.9999%, window: day, min_coverage: 0, alerts: burn_rate}
      week: {metric: availability, target: 99.9%, window: week, min_coverage: 0}
      requests: {metric: success, target: 97%, window: day, alerts: burn_rate}
"""


class Word(NamedTuple):
    """An event that happens `at` and is sent `send_at`, in seconds from the start of feeding."""

    send_at: float
    at: float
    topic: str
    event: Json


def words(seed: int, count: int, live_begins: float, ends: float) -> Iterator[Word]:
    """About `count`: a third of the past, which is told until live ones begin."""
    draw = random.Random(f"monitoring {seed}")
    each = max(6, count // (3 * len(COMPONENTS)))
    step = (PAST_ENDS - PAST_BEGINS) / each
    for service, component in COMPONENTS:
        for number in range(each):
            at = PAST_BEGINS + (number + draw.random() * 0.8) * step
            yield from _word(
                draw, service, component, number, at, (at - PAST_BEGINS) / (PAST_ENDS - PAST_BEGINS) * live_begins
            )
        live_step = (ends - live_begins) / (2 * each)
        for number in range(each, 3 * each):
            at = live_begins + (number - each + draw.random() * 0.8) * live_step
            late = draw.uniform(0, 2.5) if number % 4 == 0 and draw.random() < 0.5 else 0.0
            yield from _word(draw, service, component, number, at, at + late)
    for number in range(max(4, each // 8)):
        yield from _maintenance(draw, number, live_begins, ends)


def _word(
    draw: random.Random, service: str, component: str | None, number: int, at: float, send_at: float
) -> Iterator[Word]:
    name = service if component is None else f"{service}/{component}"
    event: Json = {"event_id": f"{name}:{number}", "service": service}
    if component is not None:
        event["component"] = component
    if draw.random() < 0.1:
        counts = {"good": draw.choice((100, 99, 60)), "total": 100}
        yield Word(
            send_at, at, MONITORING, {**event, "event_id": f"{name}:n{number}", "interval": "1s", "counts": counts}
        )
    if draw.random() < 0.05:
        event["expires_after"] = "5s"
    bad = "down" if draw.random() < 0.5 else "degraded"
    yield Word(send_at, at, MONITORING, {**event, "state": "up" if number % 2 else bad, "sequence": number})


def _maintenance(draw: random.Random, number: int, live_begins: float, ends: float) -> Iterator[Word]:
    """Of the past or of now; told before, during or after the fact; changed or withdrawn half of the time."""
    is_live = number % 2 == 0
    begin = draw.uniform(live_begins, ends) if is_live else draw.uniform(PAST_BEGINS, PAST_ENDS)
    length = draw.uniform(2, 20) if is_live else draw.uniform(600, DAY)
    told = draw.uniform(live_begins, ends)
    event: Json = {
        "maintenance_id": f"CHG-{number}", "event_id": f"m{number}:1", "service": draw.choice(("mail", "web", "dns")),
        "start": begin, "end": begin + length, "revision": 1,
    }  # fmt: skip
    yield Word(told, told, MAINTENANCE, event)
    if draw.random() < 0.5:
        again = min(ends, told + draw.uniform(0.2, 3))
        change: Json = {"withdrawn": True} if draw.random() < 0.5 else {"end": begin + length / 2}
        yield Word(again, again, MAINTENANCE, {**event, **change, "event_id": f"m{number}:2", "revision": 2})
