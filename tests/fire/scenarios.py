"""The fires: each disturbs a run while it is fed, in a way drawn from the seed, and returns before the feeding ends."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .checks import check
from .harness import SESSION_SECONDS, FireError, Ground, Run
from .load import make_load
from .topics import make_topics_anew

SMALL = {"settings": {"batch_bytes": 2048, "transaction_timeout_seconds": 5.0, "request_timeout_seconds": 10.0}}
"""A producer that is full all the time, and gives up early."""
NEWER = {"newer_by": 1}

Draw = random.Random


@dataclass(frozen=True, slots=True)
class Scenario:
    """`may_fail_stop`: whether the disturbance may end a worker, which is then started again."""

    disturb: Callable[[Run, Draw], None]
    may_fail_stop: bool


def instants(run: Run, draw: Draw, count: int, first: float = 4.0) -> Iterator[float]:
    """Random instants of the load, in order, waited for one after the other."""
    for instant in sorted(draw.uniform(first, run.seconds - 1) for _ in range(count)):
        run.wait_for(instant)
        yield instant


def staff(run: Run, *are_static: bool) -> None:
    for is_static in are_static:
        run.crew.hire(is_static=is_static)


def kill(run: Run, draw: Draw) -> None:
    """20 times kill -9 of any worker, which is started again at once."""
    staff(run, True, True, False)
    for _ in instants(run, draw, 20):
        worker = draw.choice(run.crew.running())
        run.crew.kill(worker)
        run.crew.start(worker)


def rebalance(run: Run, draw: Draw) -> None:
    """20 times a worker joins, leaves, or is replaced, with static and with dynamic membership."""
    staff(run, True, False)
    for number, _ in enumerate(instants(run, draw, 20)):
        come_or_go(run, draw, is_static=number % 2 == 0)


def come_or_go(run: Run, draw: Draw, *, is_static: bool) -> None:
    running, idle = run.crew.running(), [each for each in run.crew.workers if each.process is None]
    if len(running) > 1 and (len(running) > 3 or draw.random() < 0.5):
        run.crew.leave(draw.choice(running))
    elif idle and draw.random() < 0.7:
        run.crew.start(draw.choice(idle))
    else:
        run.crew.hire(is_static=is_static)
    run.crew.counts["joins and leaves"] += 1


def broker(run: Run, draw: Draw) -> None:
    """Four times the broker ends (SIGTERM or kill -9) and comes back with the same data."""
    staff(run, True, False)
    for number, _ in enumerate(instants(run, draw, 4, first=8)):
        if number % 2:
            run.ground.broker.kill()
        else:
            run.ground.broker.stop()
        run.crew.counts["broker kills" if number % 2 else "broker stops"] += 1
        run.wait(draw.choice((0.0, 1.0, 3.0)))
        run.ground.broker.restart()


def sleep(run: Run, draw: Draw) -> None:
    """Four times a worker stops (SIGSTOP) for longer than its session, while others take over, and goes on."""
    staff(run, False, True, False)
    for _ in instants(run, draw, 4, first=8):
        sleeper = draw.choice(run.crew.running())
        assert sleeper.process is not None
        sleeper.process.send_signal(signal.SIGSTOP)
        run.wait(SESSION_SECONDS + draw.uniform(1, 4))
        sleeper.process.send_signal(signal.SIGCONT)
        run.crew.counts["sleeps"] += 1
        run.wait(draw.uniform(0, 2))


def slow(run: Run, draw: Draw) -> None:
    """The network delays, stalls and resets connections; one worker's producer is full all the time."""
    staff(run, True, False)
    run.crew.hire(is_static=False, other=SMALL)
    for _ in instants(run, draw, 16):
        weather(run, draw)
    run.ground.proxy.calm()


def weather(run: Run, draw: Draw) -> None:
    network = run.ground.proxy
    kind = draw.choice(("delay", "delay answers", "stall", "long stall", "reset", "calm"))
    run.crew.counts[kind] += 1
    if kind == "delay":
        network.delay((0.0, 0.05), (0.0, 0.15))
    elif kind == "delay answers":
        network.delay((0.0, 0.0), (0.2, 0.6))
    elif kind == "calm":
        network.calm()
    elif kind == "reset":
        network.reset(draw.choice((0.3, 1.0)), draw)
    else:
        network.stall()
        run.wait(draw.uniform(0.5, 2) if kind == "stall" else draw.uniform(6, 8))
        if draw.random() < 0.5:
            network.reset(0.5, draw)
        network.flow()


def upgrade(run: Run, draw: Draw) -> None:
    """A worker of a newer state version joins and leaves; older ones refuse what it has written; newer ones go on."""
    staff(run, True, False)
    run.crew.may_refuse = True
    run.wait_for(run.seconds * draw.uniform(0.15, 0.3))
    newer = run.crew.hire(is_static=False, other=NEWER)
    if not run.wait_until(lambda: "seeking -> running" in newer.log, 60):
        raise FireError("the newer worker was given nothing")
    run.wait(draw.uniform(2, 5))
    run.crew.leave(newer)
    if not run.wait_until(lambda: run.crew.counts["refusals"] > 0, 60):
        raise FireError("no older worker was given the state of a newer one, or it did not refuse it")
    run.crew.hire(is_static=False, other=NEWER)
    run.crew.start(newer)
    for older in run.crew.workers[:2]:
        if older.is_running:
            run.crew.leave(older)


def twice(run: Run, draw: Draw) -> None:
    """Eight times two rebalances within a second, while changelogs have data."""
    staff(run, True, False, False)
    for _ in instants(run, draw, 8, first=10):
        first, second = draw.sample(run.crew.running(), 2)
        run.crew.kill(first)
        run.crew.start(first)
        run.wait(draw.uniform(0, 0.9))
        run.crew.terminate(second)
        run.wait(draw.uniform(0, 0.9))
        run.crew.see_end(second)
        run.crew.start(second)


def seek(run: Run, draw: Draw) -> None:
    """Answers of the broker are late while workers come and go: fetches are under way when partitions are sought."""
    staff(run, True, False)
    run.ground.proxy.delay(answers=(0.02, 0.1))
    for number, _ in enumerate(instants(run, draw, 10)):
        come_or_go(run, draw, is_static=number % 2 == 0)
        run.ground.proxy.delay(answers=draw.choice(((0.0, 0.02), (0.02, 0.1), (0.1, 0.2))))
    run.ground.proxy.calm()


def acknowledge(run: Run, draw: Draw) -> None:
    """Ten times acknowledgements are held back for a while, and the workers that wait for them are killed."""
    staff(run, True, False)
    for _ in instants(run, draw, 10):
        run.ground.proxy.delay(answers=(0.3, 1.0))
        run.wait(draw.uniform(0.3, 2))
        for worker in draw.sample(run.crew.running(), draw.choice((1, 1, 2))):
            run.crew.kill(worker)
            run.crew.start(worker)
        run.ground.proxy.calm()


SCENARIOS = {
    "kill": Scenario(kill, may_fail_stop=False),
    "rebalance": Scenario(rebalance, may_fail_stop=False),
    "broker": Scenario(broker, may_fail_stop=True),
    "sleep": Scenario(sleep, may_fail_stop=True),
    "slow": Scenario(slow, may_fail_stop=True),
    "upgrade": Scenario(upgrade, may_fail_stop=False),
    "twice": Scenario(twice, may_fail_stop=False),
    "seek": Scenario(seek, may_fail_stop=False),
    "acknowledge": Scenario(acknowledge, may_fail_stop=False),
}

EVENTS = 200_000
EVENTS_PER_SECOND = 2_500.0
HOURS = 3_600_000
DELIVERIES = ("exactly_once", "at_least_once")


def run_scenario(
    ground: Ground,
    folder: Path,
    name: str,
    delivery: str,
    seed: int,
    events: int = EVENTS,
    seconds: float | None = None,
) -> Counter[str]:
    """One run of a scenario; counts of what happened and was compared. Raises FireError with what is wrong.

    Without transactions nothing fences an owner that sleeps past its session and writes after its successor: there the
    declared compaction lag is kept, without which the older of the two records could be all that is left.
    """
    scenario = SCENARIOS[name]
    seconds = events / EVENTS_PER_SECOND if seconds is None else seconds
    is_compacted = not (delivery == "at_least_once" and scenario.may_fail_stop)
    asyncio.run(make_topics_anew(ground.address, 0 if is_compacted else 6 * HOURS))
    started = datetime.now(UTC)
    load = make_load(seed, events, seconds, started)
    folder.mkdir(parents=True)
    run = Run(ground, folder, delivery, seed, load, started)
    try:
        run.begin()
        scenario.disturb(run, random.Random(f"{name} {seed}"))
        still_at = run.settle()
        for worker in run.crew.running():
            run.crew.leave(worker)
        counts = check(run, still_at, is_compacted=is_compacted)
        if run.crew.counts["fail-stops"] and not scenario.may_fail_stop:
            raise FireError(f"workers ended that nobody disturbed: {dict(run.crew.counts)}")
    except AssertionError as error:
        raise FireError(
            f"{error}\n{dict(run.crew.counts)}\nlogs: {folder}\n"
            f"again: python -m tests.fire {name} --delivery {delivery} --first {seed} --seeds 1 --events {events}"
        ) from error
    finally:
        run.crew.end()
        run.feeder.end()
        ground.proxy.calm()
        if not ground.broker.is_running:
            ground.broker.restart()
    return counts + run.crew.counts
