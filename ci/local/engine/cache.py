"""Step caching: whether an earlier result of the same step may stand for a new run.

What counts for each type of step is the service's list of default cache key attributes
(developer guide, "Default cache key attributes by pipeline step type").
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ci.definition.model import Step
from ci.definition.resolve import Scope, resolve
from ci.local.engine.failure import StepFailure
from ci.local.engine.steps import Result
from ci.local.store import Document, Store

_KIND = "step_result"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An earlier result, and the API's CacheHitResult that says whose."""

    result: Result
    source: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCache:
    """The results of one pipeline's steps, for the execution with this ARN."""

    store: Store
    clock: Callable[[], float]
    pipeline: str
    execution: str

    def key(self, step: Step, arguments: Mapping[str, Any], scope: Scope) -> str | None:
        """None for a step that is not cached. `arguments` are resolved."""
        config = step.raw.get("CacheConfig")
        if not isinstance(config, Mapping) or not resolve(config.get("Enabled"), scope):
            return None
        extra = {"FunctionArn": resolve(step.raw.get("FunctionArn"), scope)}
        return cache_key(self.pipeline, step.name, step.type, arguments, extra)

    def find(self, step: Step, key: str) -> Hit | None:
        """A result that is not older than the step allows."""
        found = self.store.get(_KIND, key)
        if found is None:
            return None
        config: Any = step.raw["CacheConfig"]
        if config.get("ExpireAfter"):
            age = self.clock() - found["EndTime"]
            if age > parse_duration(str(config["ExpireAfter"])):
                return None
        return Hit(
            result=Result(metadata=found["Metadata"], properties=found["Properties"]),
            source={"SourcePipelineExecutionArn": found["ExecutionArn"]},
        )

    def keep(self, step: Step, key: str, result: Result) -> None:
        body = {
            "ExecutionArn": self.execution,
            "StepName": step.name,
            "EndTime": self.clock(),
            "Metadata": result.metadata,
            "Properties": result.properties,
        }
        self.store.put(_KIND, key, body, parent=self.pipeline)
