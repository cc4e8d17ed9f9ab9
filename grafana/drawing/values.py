"""Numbers in Grafana's units."""

import math

_SECONDS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SHORT = ((1_000_000_000, " B"), (1_000_000, " M"), (1_000, " K"))


def shown(value: float, unit: str, decimals: int) -> str:
    """As a person reads it.

    >>> [shown(each, "s", 1) for each in (0.03, 90, 7200, -5)]
    ['30 ms', '1.5 min', '2.0 h', '-5.0 s']
    >>> shown(0.99953, "percentunit", 3), shown(1500, "short", 0), shown(1500, "locale", 2), shown(0.5, "ops", 2)
    ('99.953%', '1.5 K', '1,500.00', '0.50 ops/s')
    """
    if math.isnan(value):
        return "–"
    match unit:
        case "percentunit":
            return f"{value * 100:.{decimals}f}%"
        case "s":
            return _duration(value, decimals)
        case "locale":
            return f"{value:,.{decimals}f}"
        case "ops":
            return f"{value:.{decimals}f} ops/s"
        case _:
            return _short(value, decimals)


def _duration(value: float, decimals: int) -> str:
    size = abs(value)
    if 0 < size < 1:
        return f"{value * 1000:.0f} ms"
    for seconds, name in _SECONDS:
        if size >= seconds:
            return f"{value / seconds:.{max(1, decimals)}f} {name}"
    return "0 s"


def _short(value: float, decimals: int) -> str:
    for size, name in _SHORT:
        if abs(value) >= size:
            return f"{value / size:.{max(1, decimals)}f}{name}"
    return f"{value:.{decimals}f}"
