"""Decides when to look again. Pure.

Looking r(t) times a second costs calls, and finds the end 1/(2 r) late on average. For ends that
fall with density f(t) the product of calls and delay is least where r is proportional to the
square root of the hazard h(t) = f(t) / P(still running at t). The hazard comes from earlier
executions of this pipeline: each start and end of a step is a milestone, and past executions
tell how long before their end it was reached. One look shows which milestones this execution has
reached, and when; the one that says most of the end is gone by. And the end cannot come before
the milestones that every execution passes, so until they can have been passed nothing is due.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ci.execution.reduce import step_ended
from ci.sagemaker.model import StepSnapshot

SHORTEST = 2.0  # seconds between two polls
LONGEST = 60.0
_GROWTH = 0.07  # without history the interval is SHORTEST times this power of the elapsed seconds
_DENSEST = 4.0  # seconds between polls where the end of a long execution is most likely
_SHARE = 50.0  # polls there in one standard deviation, within the bounds
_LEAST_SPREAD = 0.02  # the standard deviation of the log of durations is never taken below this
_PRIOR_SPREAD = 0.15  # believed before anything is known, weighing as much as one duration
_EARLY = 2.5  # deviations before the typical end that nothing is expected in
_SURPRISED = 3.0  # deviations after which a milestone says nothing of this run any more
_LEAST_TAIL = 1.0  # seconds

# A step's name, and whether it is its end; the execution's own start is a milestone too.
Milestone = tuple[str, bool]
BEGUN: Milestone = ("", False)
AT_BEGIN: Mapping[Milestone, float] = {BEGUN: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Durations as log-normal: mean and standard deviation of their natural logarithm."""

    mean: float
    spread: float

    @property
    def typical(self) -> float:
        return math.exp(self.mean)

    @property
    def begins(self) -> float:
        """Seconds before which hardly any ends."""
        return math.exp(self.mean - _EARLY * self.spread)

    def deviations(self, seconds: float) -> float:
        return (math.log(max(seconds, 1e-9)) - self.mean) / self.spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An earlier execution: how long it took, and when it reached its milestones; seconds since
    its start."""

    seconds: float
    milestones: Mapping[Milestone, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How long executions went on after each milestone. `certain` are those that all reached."""

    tails: Mapping[Milestone, Expectation]
    certain: frozenset[Milestone]


def milestones(started: datetime | None, steps: Sequence[StepSnapshot]) -> dict[Milestone, float]:
    """What an execution that started then has reached, in seconds since its start."""
    reached = dict(AT_BEGIN)
    if started is None:
        return reached
    for step in steps:
        if step.started is not None:
            reached[step.name, False] = (step.started - started).total_seconds()
        if step.ended is not None and step_ended(step.status):
            reached[step.name, True] = (step.ended - started).total_seconds()
    return reached


def learn(pasts: Sequence[Past]) -> History | None:
    """What past executions say of the next. None without any."""
    usable = [past for past in pasts if past.seconds > 0 and math.isfinite(past.seconds)]
    tails: dict[Milestone, list[float]] = {}
    for past in usable:
        for milestone, offset in {**past.milestones, **AT_BEGIN}.items():
            tails.setdefault(milestone, []).append(max(_LEAST_TAIL, past.seconds - offset))
    if not tails:
        return None
    return History(
        tails={milestone: _estimate(found) for milestone, found in tails.items()},
        certain=frozenset(name for name, found in tails.items() if len(found) == len(usable)),
    )


def next_interval(
    elapsed: float,
    history: History | None,
    reached: Mapping[Milestone, float] = AT_BEGIN,
    *,
    seen: float | None = None,
    chance: float = 0.5,
) -> float:
    """Seconds until the next poll of an execution that runs for `elapsed` seconds.

    `reached` is what it had reached when it was `seen` last (seconds since its start; None: just
    now). `chance` in [0, 1) spreads many followers: the interval is that share of 20 % around it.
    """
    plain = _unknown(elapsed)
    if history is not None:
        plain = _expected(
            elapsed, history, {**AT_BEGIN, **reached}, elapsed if seen is None else seen
        )
    return min(LONGEST, max(SHORTEST, plain * (0.9 + 0.2 * chance)))


def _unknown(elapsed: float) -> float:
    """Any schedule whose interval grows as t ** g has 1 / (1 - g) times the product of a fixed
    one, at whatever time the end comes: 1.075."""
    return float(SHORTEST * max(1.0, elapsed) ** _GROWTH)


def _expected(
    elapsed: float, history: History, reached: Mapping[Milestone, float], seen: float
) -> float:
    """By the milestone that tells the end best; not before the end is possible."""
    ahead = (history.tails[name].begins for name in history.certain if name not in reached)
    possible = seen + max(ahead, default=0.0) - elapsed
    known = [
        (tail.typical * tail.spread, elapsed - offset, tail)
        for name, offset in reached.items()
        if (tail := history.tails.get(name)) is not None
    ]
    if not known:
        return max(possible, _unknown(elapsed))
    _, since, tail = min(known, key=lambda item: item[0])
    if tail.deviations(since) > _SURPRISED:
        return max(possible, _unknown(elapsed))
    return max(possible, _by_hazard(since, tail))


def _by_hazard(elapsed: float, tail: Expectation) -> float:
    deviation = tail.typical * tail.spread
    densest = max(SHORTEST, min(_DENSEST, deviation / _SHARE))
    interval = densest * math.sqrt(_hazard(tail.typical, tail) / _hazard(elapsed, tail))
    # Nothing may be slept through: a long interval ends where the ends begin to be likely, and
    # from there on the hazard rises within a deviation.
    return min(interval, tail.begins - elapsed if elapsed < tail.begins else deviation)


def _estimate(durations: Sequence[float]) -> Expectation:
    logs = [math.log(value) for value in durations]
    count = len(logs)
    mean = sum(logs) / count
    squares = sum((value - mean) ** 2 for value in logs)
    variance = (squares + _PRIOR_SPREAD**2) / count
    # The mean itself is uncertain by spread / sqrt(n): predictive variance.
    return Expectation(mean=mean, spread=max(_LEAST_SPREAD, math.sqrt(variance * (1 + 1 / count))))


def _hazard(elapsed: float, tail: Expectation) -> float:
    """Ends a second among those still running, of the log-normal; never zero."""
    now = max(elapsed, 1e-9)
    z = tail.deviations(now)
    density = math.exp(-z * z / 2) / (now * tail.spread * math.sqrt(2 * math.pi))
    surviving = 0.5 * math.erfc(z / math.sqrt(2))
    return max(density / max(surviving, 1e-12), 1e-12)
