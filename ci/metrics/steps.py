"""What the steps of an execution say beside their status: failures, choices, cache hits."""

from collections.abc import Mapping

from ci.sagemaker.model import ExecutionSnapshot, StepSnapshot

# The step types whose results SageMaker keeps (developer guide, "Caching pipeline steps").
_CACHEABLE = frozenset(
    {
        "AutoML", "ClarifyCheck", "EMR", "Processing", "QualityCheck", "Training", "Transform",
        "Tuning",
    }
)  # fmt: skip


def failed_steps(execution: ExecutionSnapshot) -> tuple[StepSnapshot, ...]:
    """The steps that failed, in the order in which they ended."""
    failed = [step for step in execution.steps if step.status == "Failed"]
    ended = [step for step in failed if step.ended]
    ended.sort(key=lambda step: step.ended.timestamp() if step.ended else 0.0)
    return (*ended, *(step for step in failed if not step.ended))


def active_steps(execution: ExecutionSnapshot) -> tuple[StepSnapshot, ...]:
    return tuple(
        step for step in execution.steps if step.status in {"Starting", "Executing", "Stopping"}
    )


def gate_steps(
    execution: ExecutionSnapshot,
) -> tuple[StepSnapshot, tuple[StepSnapshot, ...]] | None:
    """The Fail step that ended the execution, and the conditions that led there.

    None where another kind of step failed, or where no condition was evaluated: a Fail step
    that always runs is no gate.
    """
    failed = failed_steps(execution)
    conditions = tuple(step for step in execution.steps if step.outcome is not None)
    if not failed or not conditions or any(step.kind != "Fail" for step in failed):
        return None
    return failed[0], conditions


def else_branches(execution: ExecutionSnapshot) -> tuple[StepSnapshot, ...]:
    """The conditions that came out false."""
    return tuple(
        step
        for step in execution.steps
        if step.outcome is not None and step.outcome.lower() == "false"
    )


def cached_everything(execution: ExecutionSnapshot) -> bool:
    """Whether every result that could come from the cache did, and at least one did."""
    cacheable = [step for step in execution.steps if step.kind in _CACHEABLE or step.cache_hit]
    return bool(cacheable) and all(step.cache_hit for step in cacheable)


def failure_text(step: StepSnapshot) -> str | None:
    """Why the step failed: the service's reason, or a Fail step's own message."""
    if step.failure_reason and step.failure_reason.strip():
        return step.failure_reason.strip()
    for place in (step.properties, step.properties.get("Fail")):
        if isinstance(place, Mapping):
            message = place.get("ErrorMessage")
            if isinstance(message, str) and message.strip():
                return message.strip()
    return None
