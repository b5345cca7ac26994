"""When to look again: bounded, dense where an end is due, sparse where none can be."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ci.execution.pace import LONGEST, SHORTEST, learn, next_interval

DURATIONS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30)


@given(st.floats(0, 1e7), DURATIONS, st.floats(0, 1, exclude_max=True))
def test_always_within_bounds(elapsed: float, durations: list[float], chance: float) -> None:
    interval = next_interval(elapsed, learn(durations), chance=chance)
    assert SHORTEST <= interval <= LONGEST


def test_nothing_is_learned_from_nothing() -> None:
    assert learn([]) is None
    assert learn([0.0, -5.0, math.nan, math.inf]) is None


def test_sparse_before_dense_around_the_end() -> None:
    expected = learn([3600.0, 3700.0, 3500.0, 3650.0, 3550.0, 3600.0])
    assert expected is not None
    assert next_interval(60, expected) == LONGEST
    assert next_interval(1200, expected) == LONGEST
    assert next_interval(3600, expected) <= 6.0
    # Long past every earlier one, history says nothing any more.
    assert next_interval(50_000, expected) >= 6.0


def test_a_long_sleep_ends_where_ends_begin() -> None:
    expected = learn([100.0] * 20)
    assert expected is not None
    begins = math.exp(expected.mean - 2.5 * expected.spread)
    now = begins - 5
    assert now + next_interval(now, expected) <= begins + 1


def test_followers_that_start_together_drift_apart() -> None:
    assert next_interval(1000, None, chance=0.0) != next_interval(1000, None, chance=0.9)


def test_without_history_quick_failures_are_seen_soon() -> None:
    assert next_interval(0, None) == SHORTEST
    assert next_interval(100, None) <= 6.0
    assert next_interval(4000, None) == 10.0


def test_simulated_products_keep_what_the_table_says() -> None:
    import runpy
    from pathlib import Path

    polling = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "polling.py"))
    for typical in (300.0, 3600.0):
        found = polling["simulate"](typical, 0.15, 200)
        base = typical / 2
        assert found["history"].product / base < 0.5
        assert found["no history"].product / base < 1.25
