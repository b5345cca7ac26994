"""Prices, usage and the estimate, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Kind(StrEnum):
    """What an instance is paid for: the price lists differ by it."""

    PROCESSING = "processing"
    TRAINING = "training"
    TRANSFORM = "transform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices in USD per instance and hour, as of one day, by region, kind and type."""

    as_of: date
    source: str
    regions: Mapping[str, Mapping[Kind, Mapping[str, float]]] = field(default_factory=dict)

    def hourly(self, region: str, kind: Kind, instance: str) -> float | None:
        return self.regions.get(region, {}).get(kind, {}).get(instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Instances of one type in one job. `seconds` are billed ones for each instance; `saved` those
    that managed spot training did not bill."""

    step: str
    kind: Kind
    instance: str
    count: int
    seconds: float
    saved: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    usage: Usage
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the compute of an execution cost at list prices. `uncounted` says in words what is not
    in it, and why."""

    usd: float
    steps: tuple[StepCost, ...]
    as_of: date
    source: str
    region: str
    saved: float = 0.0
    uncounted: tuple[str, ...] = ()
