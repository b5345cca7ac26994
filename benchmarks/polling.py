"""Calls and delay of following an execution, by simulation: `python benchmarks/polling.py`.

Executions of several shapes, lengths and spreads are drawn, each step log-normal by itself, and
followed at fixed intervals and by `ci.execution.pace`, with five past executions as history and
with none. The delay is from the end to the poll that sees it. Calls are those of
`ci.execution.follow`: one for each look, three around the first and last, and those that learn
the history. For an execution of one step, the best that any schedule could reach is computed
too, by dynamic programming. Prints the tables of docs/polling.md; `--seed N` draws other
executions.
"""

import math
import random
import statistics
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ci.execution.pace import (
    AT_BEGIN,
    LONGEST,
    SHORTEST,
    History,
    Milestone,
    Past,
    learn,
    next_interval,
)

LENGTHS = {"5 min": 300.0, "1 h": 3600.0, "8 h": 28_800.0, "30 h": 108_000.0}
SPREADS = (0.05, 0.15, 0.50)
# The share of the run time that each step takes, one after the other.
SHAPES: Mapping[str, tuple[float, ...]] = {
    "five even steps": (0.2, 0.2, 0.2, 0.2, 0.2),
    "training 80 %": (0.08, 0.80, 0.08, 0.01, 0.03),
    "one step": (1.0,),
}
PASTS = 5
LEARNING = 1 + PASTS  # the listing, and the steps of each
AROUND = 3  # the execution itself at first; itself and its steps again at its end
SEED = 20_250

Look = Callable[[float, Mapping[Milestone, float]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Mean calls of one execution, mean seconds from its end to the poll that sees it."""

    calls: float
    delay: float

    @property
    def product(self) -> float:
        return self.calls * self.delay


def draw(chance: random.Random, typical: float, spread: float) -> float:
    """A duration whose standard deviation is `spread` of its mean."""
    sigma = math.sqrt(math.log(1 + spread**2))
    return chance.lognormvariate(math.log(typical) - sigma**2 / 2, sigma)


def draw_execution(
    chance: random.Random, typical: float, spread: float, shape: Sequence[float]
) -> Past:
    ends = list(accumulate(draw(chance, typical * share, spread) for share in shape))
    reached = dict(AT_BEGIN)
    for number, (begin, end) in enumerate(zip([0.0, *ends], ends, strict=False)):
        reached[f"step-{number}", False] = begin
        reached[f"step-{number}", True] = end
    return Past(seconds=ends[-1], milestones=reached)


def follow_one(execution: Past, interval: Look) -> tuple[int, float]:
    """Looks, and the delay of the last."""
    ahead = sorted(execution.milestones.items(), key=lambda item: item[1], reverse=True)
    reached: dict[Milestone, float] = {}
    now, looks = 0.0, 0
    while now < execution.seconds:
        while ahead and ahead[-1][1] <= now:
            reached.update([ahead.pop()])
        now += interval(now, reached)
        looks += 1
    return looks, now - execution.seconds


def measure(
    executions: Sequence[Past], choose: Callable[[int], Look], *, extra: int = AROUND
) -> Result:
    found = [follow_one(past, choose(number)) for number, past in enumerate(executions)]
    return Result(
        calls=statistics.fmean(looks for looks, _ in found) + extra,
        delay=statistics.fmean(delay for _, delay in found),
    )


def paced(history: History | None, chance: random.Random) -> Look:
    return lambda now, reached: next_interval(now, history, reached, chance=chance.random())


def unpaced(executions: Sequence[Past], chance: random.Random) -> Result:
    """Without history a schedule takes no notice of the execution: one serves for all."""
    last = max(past.seconds for past in executions)
    times = [0.0]
    while times[-1] < last:
        times.append(times[-1] + next_interval(times[-1], None, chance=chance.random()))
    looks = [bisect_left(times, past.seconds) for past in executions]
    return Result(
        calls=statistics.fmean(looks) + AROUND,
        delay=statistics.fmean(
            times[look] - past.seconds for look, past in zip(looks, executions, strict=True)
        ),
    )


def fixed(typical: float, seconds: float) -> Result:
    """Exact: an end stands in no relation to the beat of the polls."""
    return Result(calls=typical / seconds + 0.5 + AROUND, delay=seconds / 2)


def simulate(
    typical: float, spread: float, shape: Sequence[float], samples: int, *, seed: int = SEED
) -> dict[str, Result]:
    chance = random.Random(f"{seed} {typical} {spread} {shape}")

    def one() -> Past:
        return draw_execution(chance, typical, spread, shape)

    executions = [one() for _ in range(samples)]
    more = [one() for _ in range(2000)]
    histories = [learn([one() for _ in range(PASTS)]) for _ in executions]
    return {
        "fixed 10 s": fixed(typical, 10.0),
        "fixed 30 s": fixed(typical, 30.0),
        "no history": unpaced([*executions, *more], chance),
        "history": measure(
            executions, lambda number: paced(histories[number], chance), extra=AROUND + LEARNING
        ),
    }


def chance_of_end(typical: float, spread: float) -> Callable[[float], float]:
    """The distribution that `draw` draws from: the share that has ended after so many seconds."""
    sigma = math.sqrt(math.log(1 + spread**2))
    mean = math.log(typical) - sigma**2 / 2
    normal = statistics.NormalDist(mean, sigma)
    return lambda seconds: normal.cdf(math.log(seconds)) if seconds > 0 else 0.0


def best_possible(ended: Callable[[float], float], *, grid: float, horizon: float) -> Result:
    """The least product that a schedule reaches whose ends fall by `ended`, within the bounds of
    `ci.execution.pace` and with the calls that following makes beside its looks.

    For a price of a second's delay in calls, the cheapest times to look follow backwards from
    `horizon`, on a grid of so many seconds; the price whose schedule has the least product is
    searched for.
    """
    count = int(horizon / grid)
    share = [ended(number * grid) for number in range(count + 1)]
    # Its integral: what has ended by then has waited so long in all, were it not seen before.
    waited = [0.0, *accumulate(grid * (a + b) / 2 for a, b in pairwise(share))]
    steps = range(int(SHORTEST / grid), int(LONGEST / grid) + 1)

    def schedule(price: float) -> Result:
        cost, calls, delay = ([0.0] * (count + 1) for _ in range(3))
        for now in range(count - 1, -1, -1):
            left = 1 - share[now]
            if left < 1e-9:
                continue
            cost[now] = math.inf
            for step in steps:
                then = min(now + step, count)
                late = waited[then] - waited[now] - share[now] * (then - now) * grid
                total = left + price * late + cost[then]
                if total < cost[now]:
                    cost[now], calls[now], delay[now] = (
                        total,
                        left + calls[then],
                        late + delay[then],
                    )
        return Result(calls=calls[0] + AROUND + LEARNING, delay=delay[0])

    tried = {each: schedule(math.exp(each)) for each in range(-2, 10)}
    best = min(tried, key=lambda each: tried[each].product)
    beside = [schedule(math.exp(best + each)) for each in (-0.5, 0.5)]
    return min([tried[best], *beside], key=lambda found: found.product)


def bounds() -> Iterator[str]:
    """For one step: with the distribution known; and with its spread, and five durations. Days
    would take hours to compute, and differ from eight hours by little."""
    yield "| length | vary by | calls | mean delay (s) | product, all known | five durations |"
    yield "|---|---|---:|---:|---:|---:|"
    for length, typical in list(LENGTHS.items())[:3]:
        for spread in SPREADS:
            grid = 1.0 if typical < 10_000 else 2.0
            horizon = typical * (1 + 8 * spread)
            # The mean of five is off by spread / sqrt(5): the next falls wider around it.
            wider = spread * math.sqrt(1 + 1 / PASTS)
            known, guessed = (
                best_possible(chance_of_end(typical, each), grid=grid, horizon=horizon)
                for each in (spread, wider)
            )
            base = fixed(typical, 10.0)
            less = guessed.product / base.product
            yield f"| {length} | {spread:.0%} | {told(known, base)} | {less:.2f} |"


def samples_for(typical: float) -> int:
    return 600 if typical < 10_000 else 160


def table(seed: int) -> Iterator[str]:
    """Two tables: what needs no knowledge, and what a history gains."""
    results = {
        (length, shape, spread): simulate(
            typical, spread, SHAPES[shape], samples_for(typical), seed=seed
        )
        for length, typical in LENGTHS.items()
        for shape in SHAPES
        for spread in SPREADS
    }
    yield "| length | how | calls | mean delay (s) | product, fixed 10 s = 1 |"
    yield "|---|---|---:|---:|---:|"
    for length in LENGTHS:
        found = results[length, "five even steps", 0.15]
        for how in ("fixed 10 s", "fixed 30 s", "no history"):
            yield f"| {length} | {how} | {told(found[how], found['fixed 10 s'])} |"
    yield ""
    yield "| length | steps | vary by | calls | mean delay (s) | product, fixed 10 s = 1 |"
    yield "|---|---|---|---:|---:|---:|"
    for (length, shape, spread), found in results.items():
        share = told(found["history"], found["fixed 10 s"])
        yield f"| {length} | {shape} | {spread:.0%} | {share} |"


def told(result: Result, base: Result) -> str:
    return f"{result.calls:,.0f} | {result.delay:.1f} | {result.product / base.product:.2f}"


if __name__ == "__main__":
    for line in table(int(sys.argv[-1]) if "--seed" in sys.argv else SEED):
        print(line)
    print()
    for line in bounds():
        print(line)
