"""Turns answers of the SageMaker API into values. Pure; no answer makes it raise but one
without the members that the API always gives."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.model import (
    ApprovalStatus,
    DeployedPipeline,
    ExecutionSnapshot,
    ExecutionStatus,
    ExecutionSummary,
    ModelPackage,
    StepSnapshot,
)

Answer = Mapping[str, Any]

# Metadata kinds whose definition step type has another name; the others are the same word.
_KINDS = {
    "TrainingJob": "Training",
    "ProcessingJob": "Processing",
    "TransformJob": "Transform",
    "TuningJob": "Tuning",
    "AutoMLJob": "AutoML",
}


def parse_status(raw: str) -> ExecutionStatus:
    """A status newer than this program is UNKNOWN, which is not terminal."""
    try:
        return ExecutionStatus(raw)
    except ValueError:
        return ExecutionStatus.UNKNOWN


def parse_pipeline(
    answer: Answer, *, tags: Mapping[str, str], version_id: int | None
) -> DeployedPipeline:
    parallelism = (answer.get("ParallelismConfiguration") or {}).get("MaxParallelExecutionSteps")
    return DeployedPipeline(
        name=answer["PipelineName"],
        arn=answer["PipelineArn"],
        definition=answer["PipelineDefinition"].encode(),
        role=answer.get("RoleArn", ""),
        parallelism=parallelism,
        description=answer.get("PipelineDescription"),
        tags=tags,
        version_id=version_id,
        modified=answer.get("LastModifiedTime"),
    )


def parse_summary(answer: Answer) -> ExecutionSummary:
    raw = answer.get("PipelineExecutionStatus") or ""
    return ExecutionSummary(
        arn=answer["PipelineExecutionArn"],
        status=parse_status(raw),
        raw_status=raw,
        display_name=answer.get("PipelineExecutionDisplayName"),
        description=answer.get("PipelineExecutionDescription"),
        failure_reason=answer.get("PipelineExecutionFailureReason"),
        started=answer.get("StartTime"),
    )


def parse_execution(answer: Answer, steps: tuple[StepSnapshot, ...]) -> ExecutionSnapshot:
    raw = answer.get("PipelineExecutionStatus") or ""
    arn = answer["PipelineExecutionArn"]
    return ExecutionSnapshot(
        arn=arn,
        pipeline_name=pipeline_of(answer.get("PipelineArn") or arn),
        status=parse_status(raw),
        raw_status=raw,
        steps=steps,
        display_name=answer.get("PipelineExecutionDisplayName"),
        description=answer.get("PipelineExecutionDescription"),
        failure_reason=answer.get("FailureReason"),
        started=answer.get("CreationTime"),
        modified=answer.get("LastModifiedTime"),
        version_id=answer.get("PipelineVersionId"),
    )


def parse_step(answer: Answer) -> StepSnapshot:
    metadata: Mapping[str, Any] = answer.get("Metadata") or {}
    member = next(iter(metadata), None)
    detail = metadata[member] if member is not None else {}
    detail = detail if isinstance(detail, Mapping) else {}
    return StepSnapshot(
        name=answer.get("StepName") or "",
        status=answer.get("StepStatus") or "",
        kind=None if member is None else _KINDS.get(member, member),
        display_name=answer.get("StepDisplayName"),
        started=answer.get("StartTime"),
        ended=answer.get("EndTime"),
        attempts=answer.get("AttemptCount") or 0,
        failure_reason=answer.get("FailureReason") or detail.get("ErrorMessage"),
        cache_hit=(answer.get("CacheHitResult") or {}).get("SourcePipelineExecutionArn"),
        outcome=detail.get("Outcome"),
        job=detail.get("Arn") or detail.get("CheckJobArn"),
        properties=metadata,
    )


def parse_package(answer: Answer) -> ModelPackage:
    quality = ((answer.get("ModelMetrics") or {}).get("ModelQuality") or {}).get("Statistics") or {}
    containers = (answer.get("InferenceSpecification") or {}).get("Containers") or [{}]
    arn = answer["ModelPackageArn"]
    created: datetime | None = answer.get("CreationTime")
    return ModelPackage(
        arn=arn,
        group=answer.get("ModelPackageGroupName") or "",
        version=answer.get("ModelPackageVersion") or 0,
        approval=ApprovalStatus(answer.get("ModelApprovalStatus") or ApprovalStatus.PENDING),
        status=answer.get("ModelPackageStatus") or "",
        approval_description=answer.get("ApprovalDescription"),
        metadata=dict(answer.get("CustomerMetadataProperties") or {}),
        metrics_uri=quality.get("S3Uri"),
        model_data=containers[0].get("ModelDataUrl"),
        created=created,
        modified=answer.get("LastModifiedTime"),
        modified_by=_person(answer.get("LastModifiedBy") or {}),
    )


def _person(context: Answer) -> str | None:
    """A Studio user's profile, else who the IAM identity is: `alice`, `Admin/alice` of a role's
    session."""
    profile = context.get("UserProfileName")
    if profile:
        return str(profile)
    arn = (context.get("IamIdentity") or {}).get("Arn") or ""
    return str(arn).rpartition(":")[2].partition("/")[2] or None
