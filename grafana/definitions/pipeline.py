"""Pipeline: whether the numbers of the other dashboards are complete and in time."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from definitions.frame import Row, framed
from definitions.panels import GREEN, NONE_IS_GOOD, ORANGE, RED, YELLOW, Query, colored, lines, stat
from definitions.queries import Scope
from slastream.export import catalogue as metrics

ABOUT = "Whether to trust the other dashboards: lag, time of the partitions, delays, commits, restores, rejects and corrections."
SCOPE = Scope()
STAT = (4, 4)
SIZE = (8, 8)


def pipeline() -> Dashboard:
    return framed("Pipeline", ABOUT, [], [now(), delays(), input_(), work()])


def now() -> Row:
    delay = SCOPE.quantile(0.99, metrics.DEADLINE_DELAY)
    return Row(
        "Now",
        [
            stat(
                "Workers",
                "Workers that own a partition. Fewer than were started: one is down, or is not let in by Kafka.",
                f"count(count by (instance) ({SCOPE.series(metrics.OWNED)}))",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=((GREEN, None),),
            ),
            stat(
                "Lag",
                "Records that the owned partitions have not applied yet. Verdicts are late by that much, never wrong.",
                f"sum({SCOPE.once(metrics.LAG)})",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=((GREEN, None), (ORANGE, 1000), (RED, 10000)),
            ),
            stat(
                "Being restored",
                "Partitions that are not running yet. They show no numbers until they are; above 0 for minutes: look at the worker's log.",
                f"sum({SCOPE.once(metrics.RESTORING)})",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=((GREEN, None), (ORANGE, 1)),
            ),
            stat(
                "Delay of deadlines",
                "From a due instant to the durable fact, 99 of 100. Promised is 1 s; more is normal only after an outage.",
                delay,
                size=STAT, unit="s", decimals=2, no_value="no deadlines", steps=((GREEN, None), (RED, 1)),
            ),
            stat(
                "Rejected within an hour",
                "Records that could not be used. They are kept in sla.rejected with reason and path: mend the producer, and send them again.",
                f"sum(increase({SCOPE.series(metrics.REJECTED)}[1h]))",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=NONE_IS_GOOD,
            ),
            stat(
                "Series left out",
                "Series of services that a worker does not show, because it would have more than 50,000. Above 0 the dashboards are "
                "incomplete: use more workers.",
                f"sum({SCOPE.series(metrics.SERIES_LEFT_OUT)})",
                size=STAT, unit="short", decimals=0, no_value="no worker", steps=NONE_IS_GOOD,
            ),
        ],
    )  # fmt: skip


def delays() -> Row:
    lag, time = SCOPE.once(metrics.LAG), SCOPE.once(metrics.PARTITION_TIME)
    return Row(
        "Delay",
        [
            lines(
                "Lag by topic",
                "Records that were not applied yet, by topic. Peaks during an import are normal; a line that does not come down means too "
                "few workers, or one that hangs.",
                Query(f"sum by (topic) ({lag})", "{{topic}}"),
                size=SIZE, unit="short", decimals=0, no_value="no worker", steps=((GREEN, None), (RED, 10000)), min=0,
            ),
            lines(
                "Partition time behind the clock",
                "How far the time of the slowest partition is behind. It moves with events, and with ticks while something is due: a quiet "
                "partition with nothing due may stand still. Growing while events come: a worker that hangs.",
                Query(f"time() - min by (topic) ({time})", "{{topic}}"),
                size=SIZE, unit="s", decimals=1, no_value="no partition has a time yet", min=0,
            ),
            lines(
                "Delay of deadlines, 99 of 100",
                "From a due instant to the durable fact. Promised is 1 s; more is normal only after an outage, while what fell due meanwhile "
                "is declared. Otherwise look at lag and commits. Points are single breaches; their id is that of sla.breaches.",
                Query(SCOPE.quantile(0.99, metrics.DEADLINE_DELAY), "99 of 100"),
                exemplars=True,
                size=SIZE, unit="s", decimals=2, no_value="no deadlines", steps=((GREEN, None), (RED, 1)), min=0,
            ),
            lines(
                "Age of events",
                "From an event's own instant to its durable result. High without lag: the source, or what feeds it to Kafka, is slow, and "
                "deadlines run on without knowing.",
                Query(SCOPE.quantile(0.5, metrics.EVENT_AGE, "topic"), "{{topic}} half"),
                Query(SCOPE.quantile(0.99, metrics.EVENT_AGE, "topic"), "{{topic}} 99 of 100"),
                size=SIZE, unit="s", decimals=2, no_value="no events", steps=((GREEN, None), (ORANGE, 300)), min=0,
            ),
            lines(
                "Commits",
                "How long it takes, on average, until a cut of state, messages and offsets is durable. It is part of every delay; above "
                "0.5 s the brokers or their disks are slow.",
                Query(
                    f"{SCOPE.rate(metrics.COMMIT_SECONDS, 'table', '_sum')} / ({SCOPE.rate(metrics.COMMIT_SECONDS, 'table', '_count')} > 0)",
                    "{{table}}",
                ),
                size=SIZE, unit="s", decimals=3, no_value="no commits", steps=((GREEN, None), (RED, 0.5)), min=0,
            ),
            lines(
                "Restore",
                "The longest restore of a table's partitions. Above a minute: use more partitions, so that each is smaller.",
                Query(f"max by (table) ({SCOPE.series(metrics.RESTORE_SECONDS)})", "{{table}}"),
                size=SIZE, unit="s", decimals=1, no_value="no worker", steps=((GREEN, None), (YELLOW, 60)), min=0,
            ),
        ],
    )  # fmt: skip


def input_() -> Row:
    return Row(
        "Input",
        [
            lines(
                "Events by source",
                "Events taken per second. A source that falls to 0 in office hours has stopped sending: its tickets will look idle.",
                Query(SCOPE.rate(metrics.EVENTS, "topic, source"), "{{topic}} {{source}}"),
                size=SIZE, unit="ops", decimals=3, no_value="no events", min=0,
            ),
            lines(
                "Rejects by reason",
                "Records that could not be used, within the hour before; they are kept in sla.rejected with reason and path. Mend the "
                "producer, then send them again.",
                Query(f"sum by (topic, reason) (increase({SCOPE.series(metrics.REJECTED)}[1h])) > 0", "{{topic}} {{reason}}"),
                size=SIZE, unit="short", decimals=0, no_value="none rejected", steps=NONE_IS_GOOD, min=0,
            ),
            lines(
                "Late events and corrections",
                "Events that came after later ones, and what they changed of the published, within the hour before. Many corrections: give "
                "that source a lateness in the policy, and deadlines will wait for it.",
                Query(f"sum(increase({SCOPE.series(metrics.LATE)}[1h]))", "late events"),
                Query(f"sum by (reason) (increase({SCOPE.series(metrics.CORRECTIONS)}[1h]))", "corrections: {{reason}}"),
                size=SIZE, unit="short", decimals=0, no_value="no worker", min=0,
            ),
        ],
    )  # fmt: skip


def work() -> Row:
    owned = SCOPE.series(metrics.OWNED)
    return Row(
        "Work",
        [
            colored(
                lines(
                    "Partitions",
                    "Owned by a worker, being restored, and owned by two at once. Owned ones missing: no worker is running for them. Restoring "
                    "ones show no numbers until they run. Two owners for longer than a session timeout: a worker that hangs.",
                    Query(f"count(max without (instance) ({owned}))", "owned"),
                    Query(f"sum({SCOPE.once(metrics.RESTORING)})", "restoring"),
                    Query(f"count(sum without (instance) ({owned}) > 1)", "owned twice"),
                    size=SIZE, unit="short", decimals=0, no_value="no worker owns a partition", min=0,
                ),
                {"owned": GREEN, "restoring": ORANGE, "owned twice": RED},
            ),
            lines(
                "Rebalances",
                "How often partitions were assigned within the hour before, by worker. One at each start and stop is normal; a steady number "
                "is a worker that comes and goes, or a session timeout that is too short.",
                Query(f"sum by (instance) (increase({SCOPE.series(metrics.REBALANCES)}[1h]))", "{{instance}}"),
                size=SIZE, unit="short", decimals=0, no_value="no worker", min=0,
            ),
            lines(
                "State and series",
                "Keys in the tables of all workers, and the series that one worker shows at most. Keys that only grow: look at the policy's "
                "retention. Series near 50,000: use more workers.",
                Query(f"sum by (table) ({SCOPE.series(metrics.STATE_KEYS)})", "{{table}}"),
                Query(f"max({SCOPE.series(metrics.SERIES)})", "series of a worker"),
                size=SIZE, unit="short", decimals=0, no_value="no worker", min=0,
            ),
        ],
    )  # fmt: skip
