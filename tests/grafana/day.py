"""A day of a firm, minute by minute as a worker would have shown it, in a real Prometheus; and the dashboards' pictures of it.

    PYTHONPATH=.:tests:grafana python -m grafana.day docs/pictures

time of day   10:00     12:00     14:00     16:00     18:00     20:00     22:00      0:00 … 10:00
desk          opens, and goes through quiet hours, storms and recovery by turns
mail          up ------------- down 14:10 to 15:00 -- up ------------------------------------------
web-shop      up - degraded 11:00 to 11:40 ------------- down since 9:50 next day
payroll       up -------------------------- maintenance 20:00 to 22:00 -- up ----------------------
vpn           up ------------------------------------------------------ silent since 8:00 next day
policy        a new version at 13:00
"""

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from export.scenario import Desk, policy_of

from grafana.prometheus_harness import Prometheus, program, prometheus
from slastream.core.units import HOUR, MINUTE, SECOND, Instant, format_instant, parse_instant
from slastream.export.collector import Collector
from slastream.local import desk as simulated
from slastream.stream.runtime import State
from slastream.stream.stage import Record

START = parse_instant("2026-03-18T10:00:00Z")
END = Instant(START + 24 * HOUR)
STRETCH = 300
"""The simulated desk lives so many times slower than in the demo."""
POLICY = """
version: 1
services:
  mail: {customer: acme, provider: hosting-co, team: messaging}
  web-shop: {customer: acme, provider: hosting-co, team: commerce}
  payroll: {customer: acme, provider: people-soft, team: finance}
  vpn: {customer: acme, provider: net-works, team: network}
agreements:
  gold:
    kind: sla
    rank: 1
    match: {service: [mail, web-shop]}
    objective: {target: 90%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: {P1: 30m, P2: 1h, default: 2h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 1h, P2: 2h, default: 4h}, warn_at: [75%]}
      uptime: {metric: availability, target: 99.9%, window: month, alerts: burn_rate}
      week: {metric: availability, target: 99.5%, window: 7d}
    credits: {fee: 10000 EUR, cap: 20%, bands: [{below: 90%, credit: 5%}, {below: 80%, credit: 10%}]}
  silver:
    kind: sla
    rank: 2
    objective: {target: 80%, period: month, basis: due}
    promises:
      response: {metric: first_response, within: {P1: 1h, P2: 2h, default: 4h}, warn_at: [75%]}
      resolution: {metric: resolution, within: {P1: 2h, P2: 4h, default: 8h}, warn_at: [75%]}
      uptime: {metric: availability, target: 99.5%, window: month, alerts: burn_rate}
    credits: {fee: 4000 EUR, cap: 10%, bands: [{below: 80%, credit: 5%}]}
    scope:
      about: {customer: acme}
      services: [mail, web-shop, payroll]
      volumes: {tickets: {low: 20, high: 40}, mail: {match: {service: mail}, high: 15}}
  desk:
    kind: ola
    supports: [gold, silver]
    objective: {target: 85%, period: month, basis: due}
    promises:
      handling: {metric: closure, within: {P1: 3h, default: 6h}}
"""


class Day:
    """The firm, with its clock; what happens is put in by the minute."""

    def __init__(self) -> None:
        self.desk = Desk(policy_of(POLICY))
        self.now = START
        self._tickets = self._ticket_events()
        self._next = next(self._tickets)
        self._words = sorted(monitoring_words(), key=lambda each: each[0])
        self._offsets = itertools.count()
        self._last = b""

    def _ticket_events(self) -> Iterator[tuple[Instant, bytes]]:
        at = START
        for delay, event in simulated.events(7, datetime.fromtimestamp(START / SECOND, UTC)):
            at = Instant(at + round(delay * STRETCH * SECOND))
            yield at, orjson.dumps(event | {"occurred_at": format_instant(at)})

    def advance(self, until: Instant) -> None:
        """Everything up to an instant, in its order: events as they come, deadlines when they fall due."""
        tickets = self.desk.tickets
        while self._next[0] <= until or (tickets.wake_at is not None and tickets.wake_at <= until):
            wake_at = tickets.wake_at
            if wake_at is not None and wake_at < self._next[0]:
                self.desk.feed([], Instant(wake_at + SECOND // 20))
            else:
                at, line = self._next
                self.desk.feed([line], Instant(at + SECOND // 5), tick=False)
                self._last, self._next = line, next(self._tickets)
        while self._words and self._words[0][0] <= until:
            self._tell(*self._words.pop(0))
        self._count(until)
        self.desk.feed(self._troublesome(until), until)
        self.now = until

    def _troublesome(self, at: Instant) -> list[bytes]:
        """Now and then a record that is no event, and late news of the last ticket."""
        late = orjson.loads(self._last) | {
            "event_id": f"late:{at}", "type": "changed", "ticket": {"title": "seen late"}, "message": None,
            "occurred_at": format_instant(Instant(at - 40 * MINUTE)),
        }  # fmt: skip
        found = [b"no json"] if at % (97 * MINUTE) == 0 else []
        return [*found, orjson.dumps(late)] if at % (150 * MINUTE) == 0 else found

    def _tell(self, at: Instant, topic: str, service: str, what: dict[str, Any]) -> None:
        line = orjson.dumps({"service": service, "occurred_at": format_instant(at), "source": "icinga", **what})
        self.desk.services.apply(
            Record(topic, 0, next(self._offsets), Instant(at + SECOND), service.encode(), line, ())
        )
        for output in self.desk.commit(self.desk.owned[1], Instant(at + SECOND)).outputs:
            if output.topic == topic:  # what monitoring says of itself comes back
                copy = Record(topic, 0, next(self._offsets), Instant(at + SECOND), output.key, output.value, ())
                self.desk.services.apply(copy)

    def _count(self, at: Instant) -> None:
        """What the pipeline itself does: a rebalance with a restore at noon, a lag during the storms."""
        tickets, services = self.desk.owned
        minute = (at - START) // MINUTE
        is_moving = 120 <= minute < 123
        services.state = State.RESTORING if is_moving else State.RUNNING
        self.desk.runtime.rebalances = 1 + (minute >= 120)
        services.restore_seconds = 0.0 if minute < 120 else 8.4
        for number, owned in enumerate((tickets, services)):
            for source in owned.sources.values():
                source.end = source.position + (900 if minute % 300 in range(40, 55) else minute % 3) * (1 - number)


def monitoring_words() -> list[tuple[Instant, str, str, dict[str, Any]]]:
    """When, topic, service, what."""

    def at(hours: float) -> Instant:
        return Instant(START + round(hours * HOUR))

    topic = "sla.monitoring"
    up = [(Instant(START - 19 * 24 * HOUR), topic, name, {"state": "up"}) for name in ("mail", "web-shop", "payroll")]
    silence = {"state": "up", "expires_after": "478h"}
    plan = {"maintenance_id": "CHG-9", "component": None, "revision": 1}
    window = {"start": format_instant(at(10)), "end": format_instant(at(12))}
    return [
        *up,
        (Instant(START - 19 * 24 * HOUR), topic, "vpn", silence),
        (at(1), topic, "web-shop", {"state": "degraded"}),
        (at(1.67), topic, "web-shop", {"state": "up"}),
        (at(4.17), topic, "mail", {"state": "down"}),
        (at(5), topic, "mail", {"state": "up"}),
        (at(5), "sla.maintenance", "payroll", {**plan, **window}),
        (at(23.83), topic, "web-shop", {"state": "down"}),
    ]


async def history() -> Iterator[bytes]:
    """The lines of each minute, with their instant, as OpenMetrics."""
    day = Day()
    changed_at = Instant(START + 3 * HOUR)
    loaded = {START: Collector(day.desk.policy, day.desk.runtime, 0.0, clock=lambda: day.now / SECOND)}
    lines: list[bytes] = []
    for at in range(START, END + 1, MINUTE):
        day.advance(Instant(at))
        collector = loaded[START]
        await collector.refresh()
        ending = b" %d\n" % (at // SECOND)
        for line in collector.text(is_openmetrics=False).splitlines():
            if not line.startswith(b"#"):
                name, value = line.rsplit(b" ", 1)
                if name.startswith(b"slastream_policy") and at >= changed_at:
                    name, value = name.replace(b'version="', b'version="b'), b"%d" % (changed_at // SECOND)
                lines.append(_labelled(name) + b" " + value + ending)
    return iter(lines)


def _labelled(name: bytes) -> bytes:
    """As Prometheus labels what it scrapes."""
    target = b'job="slastream",instance="worker-0:9108"'
    return name[:-1] + b"," + target + b"}" if name.endswith(b"}") else name + b"{" + target + b"}"


@contextmanager
def server_of_a_day(folder: Path) -> Iterator[Prometheus]:
    """A Prometheus whose past is that day."""
    text = folder / "day.txt"
    with text.open("wb") as file:
        file.writelines(asyncio.run(history()))
        file.write(b"# EOF\n")
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    with prometheus("global: {}\n", folder) as server:
        yield server


def main() -> None:
    """Draw it."""
    from pictures import draw

    with TemporaryDirectory() as folder, server_of_a_day(Path(folder)) as server:
        draw(f"http://{server.address}", END / SECOND, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
