"""Gates: bounds are inclusive, changes count for the better, nothing unknown passes."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import metric, package

from ci.metrics.gates import evaluate_gates
from ci.metrics.model import ChangeUnit, Gate, GateOutcome, Goal, MetricValue

PERCENT = ChangeUnit.PERCENT


def outcome(gate: Gate, value: MetricValue, *, first: bool = False) -> GateOutcome:
    (result,) = evaluate_gates([gate], [value], None if first else package(12))
    assert result.reason
    return result.outcome


@pytest.mark.parametrize(
    ("gate", "value", "expected"),
    [
        (Gate(metric="rmse", maximum=2.0), 2.0, "passed"),
        (Gate(metric="rmse", maximum=2.0), math.nextafter(2.0, 3), "failed"),
        (Gate(metric="rmse", minimum=2.0), 2.0, "passed"),
        (Gate(metric="rmse", minimum=2.0), math.nextafter(2.0, 1), "failed"),
        (Gate(metric="rmse", minimum=1.0, maximum=3.0), 2.0, "passed"),
        (Gate(metric="rmse", minimum=1.0, maximum=3.0), 4.0, "failed"),
        (Gate(metric="rmse"), 4.0, "passed"),
    ],
)
def test_bounds(gate: Gate, value: float, expected: str) -> None:
    assert outcome(gate, metric(value, None)) == expected


@pytest.mark.parametrize(
    ("goal", "value", "champion", "need", "unit", "expected"),
    [
        (Goal.MINIMIZE, 0.95, 1.0, 5, "percent", "passed"),
        (Goal.MINIMIZE, 0.951, 1.0, 5, "percent", "failed"),
        (Goal.MAXIMIZE, 1.05, 1.0, 5, "percent", "passed"),
        (Goal.MAXIMIZE, 0.95, 1.0, 5, "percent", "failed"),
        (Goal.MAXIMIZE, 0.95, 1.0, -5, "percent", "passed"),
        (Goal.MINIMIZE, 1.0, 1.0, 0, "absolute", "passed"),
        (Goal.MINIMIZE, 0.9, 1.0, 0.1, "absolute", "passed"),
        (Goal.MINIMIZE, 0.3, 0.1 + 0.2, 0, "absolute", "passed"),
        (Goal.MAXIMIZE, -0.9, -1.0, 10, "percent", "passed"),
        (Goal.MINIMIZE, 0.0, 0.0, 0, "percent", "passed"),
        (Goal.MINIMIZE, 0.0, 0.0, 1, "percent", "failed"),
        (Goal.MAXIMIZE, 0.1, 0.0, 50, "percent", "passed"),
        (Goal.MAXIMIZE, -0.1, 0.0, -50, "percent", "failed"),
    ],
)
def test_change(
    goal: Goal, value: float, champion: float, need: float, unit: str, expected: str
) -> None:
    gate = Gate(metric="rmse", improve_by=need, improve_unit=ChangeUnit(unit))
    assert outcome(gate, metric(value, champion, goal=goal)) == expected


def test_first_model_has_nothing_to_beat() -> None:
    gate = Gate(metric="rmse", improve_by=0)
    assert outcome(gate, metric(9.9, None), first=True) is GateOutcome.NO_CHAMPION
    bound = Gate(metric="rmse", improve_by=0, maximum=5)
    assert outcome(bound, metric(9.9, None), first=True) is GateOutcome.FAILED


def test_a_champion_without_a_value_is_not_a_first_model() -> None:
    gate = Gate(metric="rmse", improve_by=0)
    (result,) = evaluate_gates([gate], [metric(1.0, None)], package(12))
    assert result.outcome is GateOutcome.UNKNOWN
    assert "production v12 has no value" in result.reason
    broken = metric(1.0, None, champion_problem="$.c is NaN")
    assert outcome(gate, broken, first=True) is GateOutcome.UNKNOWN


def test_unknown_metrics_are_unknown() -> None:
    gate = Gate(metric="auc", minimum=0)
    assert outcome(gate, metric()) is GateOutcome.UNKNOWN
    lost = metric(None, problem="$.x is NaN, not a finite number")
    (result,) = evaluate_gates([Gate(metric="rmse", maximum=9)], [lost], None)
    assert (result.outcome, result.reason) == (
        GateOutcome.UNKNOWN,
        "$.x is NaN, not a finite number",
    )


def test_the_reason_says_what_was_compared() -> None:
    gate = Gate(metric="rmse", maximum=2.5, improve_by=5, improve_unit=PERCENT)
    (result,) = evaluate_gates([gate], [metric()], package(12))
    assert result.reason == "4.1 % better (asked: 5.0 % better)"
    (result,) = evaluate_gates([replace(gate, improve_by=4)], [metric()], package(12))
    assert result.reason == "2.05 is at most 2.5; 4.1 % better (asked: 4.0 % better)"
    (result,) = evaluate_gates([replace(gate, maximum=None)], [metric(2.0, 2.0)], package(12))
    assert result.reason == "no change (asked: 5.0 % better)"
    close = Gate(metric="rmse", maximum=2.0)
    (result,) = evaluate_gates([close], [metric(2.0000001, None)], None)
    assert result.reason == "2.0000001 is above the maximum 2"


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, numbers, numbers, st.sampled_from(Goal), st.sampled_from(ChangeUnit))
def test_better_passes_where_worse_passes(
    value: float, champion: float, need: float, goal: Goal, unit: ChangeUnit
) -> None:
    gate = Gate(metric="rmse", improve_by=need, improve_unit=unit)
    better = champion - abs(value) if goal is Goal.MINIMIZE else champion + abs(value)
    worse = champion + abs(value) if goal is Goal.MINIMIZE else champion - abs(value)
    if math.isfinite(better) and math.isfinite(worse):
        first = outcome(gate, metric(worse, champion, goal=goal))
        second = outcome(gate, metric(better, champion, goal=goal))
        assert {first, second} <= {GateOutcome.PASSED, GateOutcome.FAILED}
        assert first is GateOutcome.FAILED or second is GateOutcome.PASSED
