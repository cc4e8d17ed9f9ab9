"""Two days of the same firm, as a worker would show them: one on which all is well, and one in trouble.

well      mail and web are up, what fell due was kept; one ticket is open; one warning was declared half a second after its instant.
trouble   the desk of `export.scenario` (late, at risk, waiting, cancelled), mail down for an hour of the last two, web down since
          5 min, dns silent since an hour, a store in maintenance; rejects and late events; and a pipeline that lags, restores,
          is owned twice, and leaves a service out.

A scene is scraped, changes, and is scraped again, so that counters grow.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import orjson
from export.scenario import Desk, desk_events, own, policy_of

from slastream.core.units import HOUR, MINUTE, SECOND, Instant, format_instant
from slastream.export.collector import Collector
from slastream.stream.runtime import State
from slastream.stream.stage import Record

FIRM = """
version: 1
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  web: {customer: acme, provider: hosting-co, team: commerce}
  shop: {depends_on: [mail, web], combine: best, customer: acme, team: commerce}
  wiki: {customer: acme, provider: hosting-co, team: commerce}
agreements:
  gold:
    kind: sla
    rank: 1
    match: {service: [mail, web, shop]}
    objective: {target: 75%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: {P1: 15m, default: 8h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 4h, default: 8h}, warn_at: [50%]}
      month: {metric: availability, target: 99.9%, window: month, alerts: burn_rate, min_coverage: 0}
      day: {metric: availability, target: 99%, window: 1d}
      success: {metric: success, target: 99.5%, window: 1d}
    credits: {fee: 10000 EUR, cap: 20%, bands: [{below: 75%, credit: 5%}, {below: 40%, credit: 10%}]}
  basic:
    kind: sla
    rank: 9
    promises:
      day: {metric: availability, target: 95%, window: 1d}
  desk:
    kind: ola
    supports: [gold]
    match: {service: mail}
    promises:
      handling: {metric: closure, within: 165m}
  lab:
    kind: sla
    rank: 3
    match: {service: wiki}
    scope: {about: {service: wiki}, types: [incident], volumes: {tickets: {low: 2, high: 4}}}
    promises:
      closing: {metric: closure, within: 3h}
  shelf:
    kind: ola
    rank: 4
    supports: [lab]
    match: {service: wiki, group: shelf}
    promises:
      closing: {metric: closure, within: 2h}
"""


class Scene:
    """A desk with monitoring. `series_limit` is the collector's."""

    def __init__(self, now: Instant) -> None:
        self.now = now
        self.desk = Desk(policy_of(FIRM))
        self.series_limit = 50_000
        self._offsets = itertools.count()

    def event(self, topic: str, service: str, before_us: float, **rest: Any) -> None:
        """A monitoring or maintenance event."""
        line = {"service": service, "occurred_at": format_instant(Instant(self.now - round(before_us))), **rest}
        self.monitoring(topic, service.encode(), orjson.dumps(line))

    def monitoring(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        record = Record(topic, 0, next(self._offsets), self.now, key, value, ())
        self.desk.services.apply(record)

    def ticket(self, ticket_id: str, before_us: float, **attributes: Any) -> bytes:
        """A ticket event in the past."""
        at = format_instant(Instant(self.now - round(before_us)))
        source = {"occurred_at": at, "source": "jira", "type": "changed"}
        return orjson.dumps({"ticket_id": ticket_id, **source, "ticket": attributes})

    def answer(self, ticket_id: str, before_us: float) -> bytes:
        """A public answer of an agent."""
        at = format_instant(Instant(self.now - round(before_us)))
        message = {"author": "agent", "public": True}
        return orjson.dumps(
            {"ticket_id": ticket_id, "occurred_at": at, "source": "jira", "type": "message", "message": message}
        )

    def rated(self, ticket_id: str, begun_us: float, score: int, kind: str = "incident") -> list[bytes]:
        """A ticket of the wiki that a group had for an hour, and then half an hour the requester; with its rating, out of 5."""
        at = format_instant(Instant(self.now - round(begun_us - 2 * HOUR)))
        rating = {"ticket_id": ticket_id, "occurred_at": at, "source": "jira", "type": "rated"}
        return [
            self.ticket(ticket_id, begun_us, service="wiki", status="new", type=kind, group="librarians"),
            self.ticket(ticket_id, begun_us - HOUR, status="pending"),
            self.ticket(ticket_id, begun_us - 1.5 * HOUR, status="closed"),
            orjson.dumps({**rating, "rating": {"score": score, "scale": 5}}),
        ]

    def settle(self) -> None:
        """What monitoring says of itself comes back to it (deadlines of silence), and time goes on."""
        for output in self.desk.services.cut().outputs:
            if output.topic == "sla.monitoring":
                self.monitoring(output.topic, output.key, output.value)
        self.desk.feed([], self.now)
        self.desk.services.cut()


Change = Callable[[], None]


def well(now: Instant) -> tuple[Scene, Change]:
    """All is well; and what happens then is, too."""
    scene = Scene(now)
    for service in ("mail", "web"):
        scene.event("sla.monitoring", service, 30 * HOUR, state="up")
    scene.event("sla.monitoring", "mail", HOUR / 2, interval="60s", counts={"good": 1000, "total": 1000})
    mail = {"service": "mail", "status": "new", "priority": "P1"}
    web = {"service": "web", "status": "new", "priority": "P2"}
    lines = [
        scene.ticket("OPS-1", 3 * HOUR, **mail),
        scene.answer("OPS-1", 3 * HOUR - 10 * MINUTE),
        scene.ticket("OPS-1", HOUR, status="resolved"),
        scene.ticket("OPS-1", HOUR / 2, status="closed"),
        scene.ticket("OPS-2", HOUR, **web),
        scene.ticket("OPS-4", HOUR, **mail),
        scene.answer("OPS-4", HOUR - 10 * MINUTE),
        scene.ticket("OPS-3", 6 * HOUR - SECOND / 2, **web),
        *scene.rated("OPS-21", 3 * HOUR, 5),
        *scene.rated("OPS-22", 4 * HOUR, 4),
    ]
    scene.settle()
    scene.desk.feed(lines, now)
    for each in scene.desk.runtime.done:
        assert each.counts is not None
        each.counts.due_at.clear()  # what fell due in the past was declared then, by an earlier life of the partition

    def change() -> None:
        _commit(scene, 0.06)
        scene.now = Instant(now + SECOND)
        # its first warning of 75 % of 8 h was half a second ago; then it is answered, and closed
        closed = [scene.ticket(each, 0, status="closed") for each in ("OPS-3", "OPS-4")]
        scene.desk.feed([scene.answer("OPS-3", 0), *closed], scene.now)

    return scene, change


def in_trouble(now: Instant) -> tuple[Scene, Change]:
    """All that the dashboards are there for; and more of it."""
    scene = Scene(now)
    for service in ("mail", "web", "store", "zeta"):
        scene.event("sla.monitoring", service, 30 * HOUR, state="up")
    scene.event("sla.monitoring", "dns", 30 * HOUR, state="up", expires_after="29h")
    scene.event("sla.monitoring", "mail", 2 * HOUR, state="down")
    scene.event("sla.monitoring", "mail", HOUR, state="up")
    scene.event("sla.monitoring", "mail", HOUR / 2, interval="60s", counts={"good": 990, "total": 1000})
    scene.event("sla.monitoring", "web", 5 * MINUTE, state="down")
    start, end = format_instant(Instant(now - HOUR)), format_instant(Instant(now + HOUR))
    plan = {"maintenance_id": "CHG-9", "component": None, "start": start, "end": end, "revision": 1}
    scene.event("sla.maintenance", "store", 2 * HOUR, **plan)
    scene.settle()
    scene.desk.feed(desk_events(now), now)
    wiki = [
        scene.rated(f"OPS-{n}", (3 + n % 3) * HOUR, 1 + n % 3, "request" if n > 25 else "incident")
        for n in range(21, 28)
    ]
    given = {"service": "wiki", "status": "new", "group": "librarians", "type": "incident"}
    late_hand = [scene.ticket("OPS-28", 2 * HOUR, **given), scene.ticket("OPS-28", HOUR / 6, group="shelf")]
    scene.desk.feed([*itertools.chain(*wiki), *late_hand, scene.ticket("OPS-29", HOUR, **given)], now)
    _trouble_the_pipeline(scene.desk)
    scene.series_limit = series_of(scene.desk) - 10  # zeta is the last of those that the policy does not list

    def change() -> None:
        _commit(scene, 3.0)
        scene.desk.runtime.rebalances += 3
        scene.now = Instant(now + SECOND)
        mail = {"service": "mail", "status": "new", "priority": "P1"}
        new = [
            scene.ticket("OPS-7", 15 * MINUTE + SECOND, **mail),  # its response fell due a second ago
            scene.ticket("OPS-8", 3 * HOUR, **mail),  # is late, and an hour before the next breach
            scene.answer("OPS-8", 3 * HOUR - MINUTE),
            scene.ticket("OPS-1", 2 * HOUR, status="pending"),  # late news of OPS-1
            scene.ticket("OPS-29", 0, status="closed"),
            b"{",
        ]
        scene.desk.feed(new, scene.now)

    return scene, change


def series_of(desk: Desk) -> int:
    """How many series a worker shows of it."""
    done = desk.runtime.done.copy()
    collector = Collector(desk.policy, desk.runtime)
    asyncio.run(collector.refresh())
    desk.runtime.done.extend(done)
    return sum(not line.startswith(b"#") for line in collector.text(is_openmetrics=False).splitlines())


def _commit(scene: Scene, seconds: float) -> None:
    for each in scene.desk.owned:
        each.note_commit(None, seconds, scene.now / SECOND)


def _trouble_the_pipeline(desk: Desk) -> None:
    """A lag, a long restore, and a partition that is being restored."""
    tickets, _ = desk.owned
    next(iter(tickets.sources.values())).end = 20_000
    tickets.restore_seconds = 90.0
    own(desk.runtime, tickets.stage, 1).state = State.RESTORING
