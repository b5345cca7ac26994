"""How numbers and differences are said: precise enough to tell two values apart, no longer."""

import math

from ci.metrics.model import Goal, MetricValue

_DIGITS = 4
_MOST_DIGITS = 17


def format_number(value: float, *, apart_from: float | None = None) -> str:
    """`value` with four significant digits, or as many as it takes to differ from `apart_from`."""
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        text = _significant(value, digits)
        if apart_from is None or value == apart_from or text != _significant(apart_from, digits):
            return text
    return repr(value)


def _significant(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return repr(value)
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude >= 12:
        return f"{value:.{digits}g}"
    text = f"{value:.{max(0, digits - 1 - magnitude)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def gain(value: float, champion: float, goal: Goal) -> float:
    """The change for the better: positive is better, whichever way the goal points."""
    return champion - value if goal is Goal.MINIMIZE else value - champion


def gain_percent(value: float, champion: float, goal: Goal) -> float | None:
    """The change for the better in percent of the champion's size; None where that has no meaning
    (a champion of zero, or numbers too far apart to divide)."""
    if champion == 0:
        return None
    percent = gain(value, champion, goal) / abs(champion) * 100
    return percent if math.isfinite(percent) else None


def describe_change(value: float, champion: float, goal: Goal) -> str:
    """`4.1 % better`, `0.3 worse` (champion of zero), `no change`."""
    change = gain(value, champion, goal)
    if change == 0:
        return "no change"
    direction = "better" if change > 0 else "worse"
    percent = gain_percent(value, champion, goal)
    if percent is None:
        return f"{format_number(abs(change))} {direction}"
    return f"{format_percent(abs(percent))} {direction}"


def format_percent(percent: float) -> str:
    """One decimal where that says something: `4.1 %`, `0.003 %`, `250 %`."""
    if abs(percent) >= 100:
        return f"{percent:.0f} %" if abs(percent) < 1e6 else f"{percent:.3g} %"
    if abs(percent) >= 0.05 or percent == 0:
        return f"{percent:.1f} %"
    return f"{percent:.1g} %"


def describe_metric(metric: MetricValue, champion_name: str | None) -> str:
    """`rmse 2.05, 4.1 % better than production v12`, or why there is no value."""
    name, unit = metric.source.name, f" {metric.source.unit}" if metric.source.unit else ""
    if metric.value is None:
        return f"{name} is not known ({metric.problem or 'no value was read'})"
    text = f"{name} {format_number(metric.value, apart_from=metric.champion)}{unit}"
    if metric.champion is None:
        return text
    change = describe_change(metric.value, metric.champion, metric.source.goal)
    joint = "from" if change == "no change" else "than"
    return f"{text}, {change} {joint} {champion_name or 'production'}"
