"""How a metric went over the models before: which of them count, and what was measured of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ci.metrics.model import Goal, MetricSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A registered model and what is known of its metrics, by name. `commit` is None for a model
    that nobody stamped with one."""

    version: int
    values: Mapping[str, float] = field(default_factory=dict)
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    version: int
    value: float
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One metric over earlier models, the oldest first."""

    metric: str
    goal: Goal
    points: tuple[TrendPoint, ...]
    unit: str | None = None


def make_trends(sources: Iterable[MetricSource], measured: Iterable[Measured]) -> tuple[Trend, ...]:
    """One trend for each metric that any of the models has a value of, in the sources' order."""
    models = sorted(measured, key=lambda model: model.version)
    trends = (_trend(source, models) for source in sources)
    return tuple(trend for trend in trends if trend.points)


def _trend(source: MetricSource, models: Iterable[Measured]) -> Trend:
    points = tuple(
        TrendPoint(version=model.version, value=model.values[source.name], commit=model.commit)
        for model in models
        if source.name in model.values
    )
    return Trend(metric=source.name, goal=source.goal, unit=source.unit, points=points)
