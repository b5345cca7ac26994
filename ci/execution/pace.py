"""Decides when to look again. Pure.

Looking r(t) times a second costs calls, and finds the end 1/(2 r) late on average. For ends that
fall with density f(t) the product of calls and delay is least where r is proportional to the
square root of the hazard h(t) = f(t) / P(still running at t). The hazard comes from how long
earlier executions of this pipeline took. Without history every interval that does not change has
the same product; a few dense polls at first cost little and find what fails or ends at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 2.0  # seconds between two polls
LONGEST = 60.0
_UNKNOWN_INTERVAL = 10.0
_DENSEST = 6.0  # seconds between polls where the end of a long execution is most likely
_LEAST_SPREAD = 0.03  # the standard deviation of the log of durations is never taken below this
_PRIOR_SPREAD = 0.30  # believed before anything is known, weighing as much as one duration
_HISTORY = 20
_SURPRISED = 3.0  # deviations after which the history says nothing of this run any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Durations as log-normal: mean and standard deviation of their natural logarithm."""

    mean: float
    spread: float


def learn(durations: Sequence[float]) -> Expectation | None:
    """What past durations (seconds, newest first) say of the next. None without any."""
    logs = [math.log(value) for value in durations if value > 0 and math.isfinite(value)]
    logs = logs[:_HISTORY]
    if not logs:
        return None
    count = len(logs)
    mean = sum(logs) / count
    squares = sum((value - mean) ** 2 for value in logs)
    variance = (squares + _PRIOR_SPREAD**2) / count
    # The mean itself is uncertain by spread / sqrt(n): predictive variance.
    spread = math.sqrt(variance * (1 + 1 / count))
    return Expectation(mean=mean, spread=max(_LEAST_SPREAD, spread))


def next_interval(elapsed: float, expectation: Expectation | None, *, chance: float = 0.5) -> float:
    """Seconds until the next poll of an execution that runs for `elapsed` seconds.

    `chance` in [0, 1) spreads many followers: the interval is that share of 20 % around it.
    """
    plain = _unknown(elapsed) if expectation is None else _expected(elapsed, expectation)
    return min(LONGEST, max(SHORTEST, plain * (0.9 + 0.2 * chance)))


def _unknown(elapsed: float) -> float:
    """Kept within 1.1 times the product of a fixed interval for executions of 5 min and more."""
    if elapsed < 10.0:
        return SHORTEST
    return 6.0 if elapsed < 400.0 else _UNKNOWN_INTERVAL


def _expected(elapsed: float, expectation: Expectation) -> float:
    typical = math.exp(expectation.mean)
    scale = _scale(typical, expectation.spread)
    now = max(elapsed, 1e-9)
    deviations = (math.log(now) - expectation.mean) / expectation.spread
    if deviations > _SURPRISED:
        return max(_UNKNOWN_INTERVAL, scale / math.sqrt(_hazard(typical, expectation)))
    interval = scale / math.sqrt(_hazard(now, expectation))
    # Nothing may be slept through: a long interval ends where the ends begin to be likely.
    begins = math.exp(expectation.mean - 2.5 * expectation.spread)
    if now < begins:
        return min(interval, max(SHORTEST, begins - now))
    return interval


def _scale(typical: float, spread: float) -> float:
    """The interval where an end is most likely is a fiftieth of the deviation in seconds."""
    likely = max(SHORTEST, min(_DENSEST, typical * spread / 50))
    return likely * math.sqrt(_hazard(typical, Expectation(mean=math.log(typical), spread=spread)))


def _hazard(elapsed: float, expectation: Expectation) -> float:
    """Ends a second among those still running, of the log-normal; never zero."""
    z = (math.log(elapsed) - expectation.mean) / expectation.spread
    density = math.exp(-z * z / 2) / (elapsed * expectation.spread * math.sqrt(2 * math.pi))
    surviving = 0.5 * math.erfc(z / math.sqrt(2))
    return max(density / max(surviving, 1e-12), 1e-12)
