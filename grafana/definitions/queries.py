"""PromQL made from the catalogue: what a panel asks for.

A key (a service, an agreement) is on one worker, but two may show it for a moment while a partition moves. So every gauge is
taken by `max without (instance)` before anything is added up, and counters are asked for what they grew by.
"""

from slastream.export.catalogue import Metric

ANY = ".*"


class Scope:
    """The variables of a dashboard: what it asks for is narrowed by those that a metric has a label for."""

    def __init__(self, *variables: str) -> None:
        self.variables = ("job", *variables)

    def series(self, metric: Metric, suffix: str = "", **matchers: str) -> str:
        """The bare series; a matcher is a value, or a regular expression when it begins with `~`."""
        labels = ("job", *metric.labels)
        chosen = [f'{name}=~"${name}"' for name in self.variables if name in labels]
        given = [
            f'{name}=~"{value[1:]}"' if value[:1] == "~" else f'{name}="{value}"' for name, value in matchers.items()
        ]
        return f"{metric.name}{suffix}{{{', '.join(chosen + given)}}}"

    def once(self, metric: Metric, pick: str = "max", suffix: str = "", **matchers: str) -> str:
        """A gauge, or a part of a summary, once for each key, though two workers may show it."""
        return f"{pick} without (instance) ({self.series(metric, suffix, **matchers)})"

    def rate(self, metric: Metric, by: str = "", suffix: str = "", **matchers: str) -> str:
        """A counter's growth in a second."""
        return f"sum {f'by ({by}) ' if by else ''}(rate({self.series(metric, suffix, **matchers)}[$__rate_interval]))"

    def within(self, metric: Metric, span: str, by: str, suffix: str = "", **matchers: str) -> str:
        """By how much a counter that is made from state grew within a span. It may be lower after a restart, by what was
        reopened: `delta` tells that as it is, where `increase` would take it for a new beginning."""
        return f"clamp_min(sum by ({by}) (delta({self.series(metric, suffix, **matchers)}[{span}])), 0)"

    def quantile(self, share: float, metric: Metric, by: str = "") -> str:
        """Of a histogram of the process."""
        return f"histogram_quantile({share}, {self.rate(metric, f'le, {by}'.rstrip(', '), '_bucket')})"


def both(*expressions: str) -> str:
    """The series of all of them."""
    return " or ".join(expressions)


def or_zero(counted: str, known: str) -> str:
    """What was counted; 0 when there is nothing to count among what is known; nothing when nothing is known."""
    return f"({counted}) or (0 * ({known}))"
