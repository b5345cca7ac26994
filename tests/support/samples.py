"""Values that tests of metrics, reports and comments start from; each is changed by `replace`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ci.metrics.model import Goal, MetricSource, MetricValue, Origin
from ci.sagemaker.model import (
    ApprovalStatus,
    ExecutionSnapshot,
    ExecutionStatus,
    ModelPackage,
    StepSnapshot,
)

START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
ACCOUNT = "111122223333"
PREFIX = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
EXECUTION_ARN = f"{PREFIX}:pipeline/abalone-main/execution/a1b2c3d4e5f6"


def metric(
    value: float | None = 2.05,
    champion: float | None = 2.138,
    *,
    name: str = "rmse",
    goal: Goal = Goal.MINIMIZE,
    **changes: object,
) -> MetricValue:
    source = MetricSource(
        name=name,
        origin=Origin.PROPERTY_FILE,
        path=f"$.regression_metrics.{name}.value",
        goal=goal,
        champion_path=f"$.champion.{name}",
    )
    found = MetricValue(source=source, value=value, champion=champion)
    return replace(found, **changes)  # type: ignore[arg-type]


def package(version: int = 13, **changes: object) -> ModelPackage:
    group = str(changes.get("group", "abalone"))
    found = ModelPackage(
        arn=f"{PREFIX}:model-package/{group}/{version}",
        group=group,
        version=version,
        approval=ApprovalStatus.APPROVED,
        status="Completed",
        metrics_uri="s3://bucket/evaluation.json",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def step(name: str, minute: float = 0, minutes: float = 3, **changes: object) -> StepSnapshot:
    found = StepSnapshot(
        name=name,
        status="Succeeded",
        kind="Processing",
        started=START + timedelta(minutes=minute),
        ended=START + timedelta(minutes=minute + minutes),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def steps() -> tuple[StepSnapshot, ...]:
    """The reference pipeline's steps, all well."""
    return (
        step("Prepare", 0, 3.2, job=f"{PREFIX}:processing-job/prepare-1"),
        step("Train", 3.2, 12.5, kind="Training", job=f"{PREFIX}:training-job/train-1"),
        step("Evaluate", 15.7, 4, job=f"{PREFIX}:processing-job/evaluate-1"),
        step("CheckQuality", 19.7, 0, kind="Condition", outcome="True"),
        step("Register", 19.8, 0.1, kind="RegisterModel"),
        step("Deploy", 20, 4.5, kind="Lambda"),
    )


def execution(
    status: ExecutionStatus = ExecutionStatus.SUCCEEDED,
    found: tuple[StepSnapshot, ...] | None = None,
    **changes: object,
) -> ExecutionSnapshot:
    made = ExecutionSnapshot(
        arn=EXECUTION_ARN,
        pipeline_name="abalone-main",
        status=status,
        raw_status=status.value,
        steps=steps() if found is None else found,
        display_name="main-0123456789ab",
        started=START,
        modified=START + timedelta(minutes=25),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
