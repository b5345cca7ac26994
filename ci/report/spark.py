"""A row of numbers as a row of bars: a chart that every forge, terminal and mail shows inline.

A Mermaid chart was drawn beside it and left out: it takes a third of a screen for one metric, its
line is nearly invisible in the default theme, and forges other than GitHub and GitLab show its
source.
"""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_LEVEL = "▄"


def sparkline(values: Sequence[float]) -> str:
    """One bar for each number, the least and the greatest at the ends of the scale."""
    if not values:
        return ""
    least, greatest = min(values), max(values)
    if least == greatest:
        return _LEVEL * len(values)
    # In halves: the distance between two floats may be none.
    span = greatest / 2 - least / 2
    return "".join(_BARS[round((value / 2 - least / 2) / span * 7)] for value in values)
