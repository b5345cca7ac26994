"""Step caching: whether an earlier result of the same step may stand for a new run.

What counts for each type of step is the service's list of default cache key attributes
(developer guide, "Default cache key attributes by pipeline step type").
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ci.local.engine.failure import StepFailure

KIND = "step_result"
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
}
_DURATION = re.compile(
    r"P?(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?",
    re.IGNORECASE,
)
_DAY = 86_400
_SECONDS = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3_600, 60, 1)


def cache_key(
    pipeline: str, step: str, kind: str, arguments: Mapping[str, Any], extra: Mapping[str, Any]
) -> str | None:
    """What two runs of a step must share for one to stand for the other. `extra` is what a type
    keeps beside its arguments (a Lambda's ARN). None for types that are never cached."""
    if kind == "Lambda":
        counted: Mapping[str, Any] = {"Arguments": arguments, **extra}
    elif kind in _ATTRIBUTES:
        counted = {name: arguments.get(name) for name in _ATTRIBUTES[kind]}
    else:
        return None
    text = json.dumps([pipeline, step, kind, counted], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def parse_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration as CacheConfig takes it, with or without its P: `30d`,
    `PT1H`, `P30DT5H`, `T16m`. StepFailure for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise StepFailure(
            f"ClientError: CacheConfig.ExpireAfter {text!r} is not an ISO 8601 duration "
            "(examples: P30D, PT1H, P30DT5H)."
        )
    return sum(int(count or 0) * each for count, each in zip(match.groups(), _SECONDS, strict=True))
