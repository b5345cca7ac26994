"""Decides whether a metric passes its gate.

A bound is inclusive and compared exactly. A change against the champion forgives one part in
10^9 of the values, so that `0.95` against `1.0` is the 5 % it was written as.

A champion of zero has no percentage: with a gate in percent, any gain passes, any loss fails,
and no change counts as 0 %.
"""

import math
from collections.abc import Iterable, Sequence

from ci.metrics.model import ChangeUnit, Gate, GateOutcome, GateResult, MetricValue
from ci.metrics.words import format_number, format_percent, gain
from ci.sagemaker.model import ModelPackage

_TOLERANCE = 1e-9


def evaluate_gates(
    gates: Iterable[Gate], values: Sequence[MetricValue], champion: ModelPackage | None
) -> tuple[GateResult, ...]:
    """One result per gate, in order. `champion` None says that there is no production model."""
    by_name = {value.source.name: value for value in values}
    return tuple(_evaluate(gate, by_name.get(gate.metric), champion) for gate in gates)


def _evaluate(gate: Gate, metric: MetricValue | None, champion: ModelPackage | None) -> GateResult:
    if metric is None:
        return _result(gate, GateOutcome.UNKNOWN, f"no metric is named {gate.metric}")
    if metric.value is None or not math.isfinite(metric.value):
        return _result(gate, GateOutcome.UNKNOWN, metric.problem or "no finite value was read")
    broken = _broken_bound(gate, metric.value)
    if broken is not None:
        return _result(gate, GateOutcome.FAILED, broken)
    bound = _kept_bound(gate, metric.value)
    if gate.improve_by is None:
        return _result(gate, GateOutcome.PASSED, bound or "the gate asks for nothing")
    return _against_champion(gate, metric, champion, bound)


def _result(gate: Gate, outcome: GateOutcome, reason: str) -> GateResult:
    return GateResult(gate=gate, outcome=outcome, reason=reason)


def _broken_bound(gate: Gate, value: float) -> str | None:
    for limit, broken, word in (
        (gate.maximum, gate.maximum is not None and value > gate.maximum, "above the maximum"),
        (gate.minimum, gate.minimum is not None and value < gate.minimum, "below the minimum"),
    ):
        if limit is not None and broken:
            shown = format_number(value, apart_from=limit)
            return f"{shown} is {word} {format_number(limit, apart_from=value)}"
    return None


def _kept_bound(gate: Gate, value: float) -> str:
    parts = []
    if gate.minimum is not None:
        parts.append(f"at least {format_number(gate.minimum, apart_from=value)}")
    if gate.maximum is not None:
        parts.append(f"at most {format_number(gate.maximum, apart_from=value)}")
    return f"{format_number(value)} is {' and '.join(parts)}" if parts else ""


def _against_champion(
    gate: Gate, metric: MetricValue, champion: ModelPackage | None, bound: str
) -> GateResult:
    if metric.champion is None or not math.isfinite(metric.champion):
        if champion is None and metric.champion_problem is None:
            words = "no earlier approved model to compare with"
            return _result(gate, GateOutcome.NO_CHAMPION, _join(bound, words))
        why = metric.champion_problem or "its value was not measured and is not in its package"
        name = "the champion" if champion is None else f"production v{champion.version}"
        return _result(gate, GateOutcome.UNKNOWN, f"{name} has no value to compare with: {why}")
    assert metric.value is not None and gate.improve_by is not None  # noqa: S101, PT018
    passed, words = _compare(gate, metric.value, metric.champion, metric)
    if not passed:
        return _result(gate, GateOutcome.FAILED, words)
    return _result(gate, GateOutcome.PASSED, _join(bound, words))


def _compare(gate: Gate, value: float, champion: float, metric: MetricValue) -> tuple[bool, str]:
    change = gain(value, champion, metric.source.goal)
    need = gate.improve_by or 0.0
    if gate.improve_unit is ChangeUnit.ABSOLUTE:
        passed = change >= need - _TOLERANCE * max(abs(value), abs(champion))
        return passed, f"{_signed(change)} (asked: {_needed(need, format_number(abs(need)))})"
    needed = _needed(need, format_percent(abs(need)))
    if champion == 0:
        passed = change > 0 or (change == 0 and need <= 0)
        return passed, f"{_signed(change)} than a champion of 0 (asked: {needed})"
    percent = change / abs(champion) * 100
    slack = _TOLERANCE * 100 * max(abs(value), abs(champion)) / abs(champion)
    passed = percent >= need - slack
    shown = format_percent(abs(percent))
    return passed, f"{_direction(percent, shown)} (asked: {needed})"


def _signed(change: float) -> str:
    return _direction(change, format_number(abs(change)))


def _direction(change: float, shown: str) -> str:
    if change == 0:
        return "no change"
    return f"{shown} {'better' if change > 0 else 'worse'}"


def _needed(need: float, shown: str) -> str:
    if need == 0:
        return "at least as good"
    return f"{shown} better" if need > 0 else f"at most {shown} worse"


def _join(first: str, second: str) -> str:
    return f"{first}; {second}" if first else second
