"""Calls and delay of following an execution, by simulation: `python benchmarks/polling.py`.

For each length and spread of durations, executions are drawn log-normally and followed with
fixed intervals and with `ci.execution.pace`, with ten past durations as history and with none.
The delay is from the end to the poll that sees it. Prints the table of docs/polling.md.
"""

import math
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ci.execution.pace import Expectation, learn, next_interval

LENGTHS = {"5 min": 300.0, "1 h": 3600.0, "8 h": 28_800.0, "30 h": 108_000.0}
SPREADS = (0.05, 0.15, 0.50)
HISTORY = 10
SEED = 20_250

Interval = Callable[[float], float]


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


def poll_times(interval: Interval) -> Iterator[float]:
    now = 0.0
    while True:
        now += interval(now)
        yield now


def follow_one(length: float, interval: Interval) -> tuple[int, float]:
    for calls, now in enumerate(poll_times(interval), start=1):
        if now >= length:
            return calls, now - length
    raise AssertionError


def measure(lengths: list[float], choose: Callable[[int], Interval]) -> Result:
    found = [follow_one(length, choose(number)) for number, length in enumerate(lengths)]
    return Result(
        calls=statistics.fmean(calls for calls, _ in found),
        delay=statistics.fmean(delay for _, delay in found),
    )


def paced(expected: Expectation | None, chance: random.Random) -> Interval:
    return lambda now: next_interval(now, expected, chance=chance.random())


def fixed(seconds: float, chance: random.Random) -> Interval:
    """From a random phase on: an end stands in no relation to the beat of the polls."""
    first = chance.random()
    return lambda now: seconds if now else seconds * first


def simulate(typical: float, spread: float, samples: int) -> dict[str, Result]:
    chance = random.Random(f"{SEED} {typical} {spread}")
    lengths = [draw(chance, typical, spread) for _ in range(samples)]
    pasts = [learn([draw(chance, typical, spread) for _ in range(HISTORY)]) for _ in lengths]
    return {
        "fixed 10 s": measure(lengths, lambda _number: fixed(10.0, chance)),
        "fixed 30 s": measure(lengths, lambda _number: fixed(30.0, chance)),
        "no history": measure(lengths, lambda _number: paced(None, chance)),
        "history": measure(lengths, lambda number: paced(pasts[number], chance)),
    }


def samples_for(typical: float) -> int:
    return 400 if typical < 10_000 else 120


def table() -> Iterator[str]:
    yield "| length | varies by | how | calls | mean delay (s) | calls × delay, fixed 10 s = 1 |"
    yield "|---|---|---|---:|---:|---:|"
    for name, typical in LENGTHS.items():
        for spread in SPREADS:
            found = simulate(typical, spread, samples_for(typical))
            # By theory half the run time; measured it would carry the noise of both.
            base = typical / 2
            for how, result in found.items():
                share = result.product / base
                yield (
                    f"| {name} | {spread:.0%} | {how} | {result.calls:,.0f}"
                    f" | {result.delay:.1f} | {share:.2f} |"
                )


if __name__ == "__main__":
    for line in table():
        print(line)
