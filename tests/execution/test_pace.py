"""The schedule of looks: bounds, sparse and dense, and the published goals by simulation."""

import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.execution.pace import LONGEST, SHORTEST, Milestone, Past, learn, next_interval

POLLING: dict[str, Any] = runpy.run_path(
    str(Path(__file__).parents[2] / "benchmarks" / "polling.py")
)
EVEN = POLLING["SHAPES"]["five even steps"]
UNSEEN_SEED = 977  # of executions that nothing was tuned on


def past(*durations: float) -> Past:
    """Steps `a`, `b`, … one after the other."""
    reached: dict[Milestone, float] = {}
    now = 0.0
    for name, seconds in zip("abcdef", durations, strict=False):
        reached[name, False] = now
        now += seconds
        reached[name, True] = now
    return Past(seconds=now, milestones=reached)


@given(
    elapsed=st.floats(-10, 1e7, allow_nan=False),
    durations=st.lists(st.lists(st.floats(0, 1e7), min_size=1, max_size=5), max_size=12),
    offset=st.floats(-1e6, 1e7),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_always_within_bounds(
    elapsed: float, durations: list[list[float]], offset: float, chance: float
) -> None:
    history = learn([past(*steps) for steps in durations])
    reached = {("a", False): 0.0, ("a", True): offset, ("unheard", True): 3.0}
    assert SHORTEST <= next_interval(elapsed, history, reached, chance=chance) <= LONGEST


def test_nothing_is_learned_from_nothing() -> None:
    assert learn([]) is None
    assert learn([past(0.0), Past(seconds=float("nan"), milestones={})]) is None


def test_sparse_before_dense_around_the_end() -> None:
    history = learn([past(seconds) for seconds in (3600.0, 3700.0, 3500.0, 3650.0, 3550.0)])
    begun = {("a", False): 0.0}
    assert next_interval(60, history, begun) == LONGEST
    assert next_interval(1200, history, begun) == LONGEST
    assert next_interval(3600, history, begun) <= 6.0
    # Long past every earlier one, history says nothing any more.
    assert next_interval(50_000, history, begun) == next_interval(50_000, None)


def test_nothing_is_due_before_steps_that_are_still_to_come() -> None:
    """`a` takes long this time; whatever it does, `b` takes its 100 s after it."""
    history = learn([past(1000.0, 100.0)] * 5)
    assert next_interval(1100, history, {("a", False): 0.0}) > 50
    begun = {("a", False): 0.0, ("a", True): 1100.0, ("b", False): 1100.0}
    assert next_interval(1120, history, begun) > 30
    assert next_interval(1199, history, begun) <= 6.0


def test_steps_read_a_while_ago_promise_less() -> None:
    history = learn([past(1000.0, 100.0)] * 5)
    reached = {("a", False): 0.0}
    fresh = next_interval(980, history, reached)
    assert next_interval(980, history, reached, seen=930) < fresh


def test_a_branch_that_few_took_is_not_waited_for() -> None:
    history = learn([past(100.0, 900.0), past(100.0), past(100.0)])
    assert history is not None
    assert ("b", True) not in history.certain
    assert ("a", True) in history.certain


def test_followers_that_start_together_drift_apart() -> None:
    assert next_interval(1000, None, chance=0.0) != next_interval(1000, None, chance=0.9)


def test_without_history_short_runs_are_seen_within_three_seconds() -> None:
    times = [0.0]
    while times[-1] < 60:
        times.append(times[-1] + next_interval(times[-1], None, chance=0.999))
    assert max(later - earlier for earlier, later in pairwise(times)) <= 3.1


def test_without_history_never_worse_than_a_fixed_interval_by_a_tenth() -> None:
    """At whatever second between two minutes and 30 hours the execution ends: exact."""
    now, calls = 0.0, 0
    while now < 108_000:
        interval = next_interval(now, None)
        calls += 1
        if now > 120:
            middle = now + interval / 2
            assert calls * interval / 2 <= 1.1 * (middle / 10 + 0.5) * 5
        now += interval


@pytest.mark.parametrize("length", POLLING["LENGTHS"])
def test_known_steps_make_a_quarter_of_fixed_polling(length: str) -> None:
    """At 15 %, with the calls that learn the history counted."""
    typical = POLLING["LENGTHS"][length]
    samples = 300 if typical < 10_000 else 60
    for shape in ("five even steps", "training 80 %"):
        found = POLLING["simulate"](
            typical, 0.15, POLLING["SHAPES"][shape], samples, seed=UNSEEN_SEED
        )
        fixed = found["fixed 10 s"].product
        assert found["history"].product <= 0.25 * fixed, shape
        assert found["no history"].product <= 1.25 * fixed, shape  # some 10 % of it is noise


def test_half_as_much_again_is_still_worth_it() -> None:
    found = POLLING["simulate"](3600.0, 0.5, EVEN, 200, seed=UNSEEN_SEED)
    assert found["history"].product <= 0.5 * found["fixed 10 s"].product
