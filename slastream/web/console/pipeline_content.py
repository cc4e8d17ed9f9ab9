"""What the page of the pipeline shows."""

from typing import NamedTuple

from slastream.core.units import Instant
from slastream.web.console.reading import Progress
from slastream.web.console.rejects import Rejected
from slastream.web.console.site import Site
from slastream.web.console.workers import Group

MOST_REJECTS = 100


class Pipeline(NamedTuple):
    """`group` are the workers as the broker sees them; `progress` is how far the console itself has read."""

    group: Group
    progress: list[Progress]
    heard_at: Instant
    reject_counts: dict[str, int]
    rejects: list[Rejected]


def pipeline(site: Site, reason: str | None) -> Pipeline:
    view = site.view
    return Pipeline(
        site.workers.group,
        site.reading.progress(),
        view.heard_at,
        dict(sorted(view.rejects.counts.items(), key=lambda one: -one[1])),
        view.rejects.newest(MOST_REJECTS, reason),
    )
