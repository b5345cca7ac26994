"""Decides which EventBridge event a change of a record is, as SageMaker publishes them.

Shapes: Amazon SageMaker AI Developer Guide, "Events that SageMaker AI sends to EventBridge".
Each function takes the record's key and its body before and after the change, and returns an
entry for PutEvents, or None where nothing that AWS tells has changed. Times are written as that
guide shows them, which differs from kind to kind.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ci.local.store import Document, Teller

SOURCE = "aws.sagemaker"
EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
STEP = "SageMaker Model Building Pipeline Execution Step Status Change"
MODEL_PACKAGE = "SageMaker Model Package State Change"
TRAINING_JOB = "SageMaker Training Job State Change"
PROCESSING_JOB = "SageMaker Processing Job State Change"
ENDPOINT = "SageMaker Endpoint State Change"

_RUNNING = frozenset({"Executing", "Stopping"})
_PACKAGE_FIELDS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "CustomerMetadataProperties",
    "ModelMetrics",
    "ModelLifeCycle",
    "LastModifiedTime",
)
_PACKAGE_UPDATES = (
    "ModelLifeCycle",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "SourceUri",
    "CustomerMetadataProperties",
    "InferenceSpecification",
)
_ENDPOINT_FIELDS = ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def execution_event(key: str, before: Document | None, after: Document) -> Document | None:
    """Its first event has no previous status to tell."""
    del key
    status, previous = (
        after["PipelineExecutionStatus"],
        (before or {}).get("PipelineExecutionStatus"),
    )
    if status == previous:
        return None
    ended = None if status in _RUNNING else after["LastModifiedTime"]
    detail = {
        "pipelineExecutionDisplayName": after.get("PipelineExecutionDisplayName"),
        "pipelineExecutionDescription": after.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": _text(after["CreationTime"]),
        "executionEndTime": _text(ended),
        "pipelineArn": after["PipelineArn"],
        "pipelineExecutionArn": after["PipelineExecutionArn"],
    }
    arns = [after["PipelineArn"], after["PipelineExecutionArn"]]
    return _entry(EXECUTION, arns, detail, after["LastModifiedTime"])


def step_event(key: str, before: Document | None, after: Document) -> Document | None:
    """A step that is first recorded at its end was executing before."""
    status = after["StepStatus"]
    unseen = "Starting" if status == "Executing" else "Executing"
    previous = before["StepStatus"] if before else unseen
    if status == previous:
        return None
    execution = key.partition("#")[0]
    pipeline = execution.partition("/execution/")[0]
    detail = {
        "metadata": _camel(after.get("Metadata") or {}),
        "stepStartTime": _text(after.get("StartTime")),
        "stepEndTime": _text(after.get("EndTime")),
        "stepName": after["StepName"],
        "stepType": after.get("StepType"),
        "previousStepStatus": previous,
        "currentStepStatus": status,
        "failureReason": after.get("FailureReason") if status == "Failed" else None,
        "cacheHitResult": _camel(after.get("CacheHitResult")),
        "pipelineArn": pipeline,
        "pipelineExecutionArn": execution,
    }
    return _entry(
        STEP, [pipeline, execution], detail, after.get("EndTime") or after.get("StartTime")
    )


def package_event(key: str, before: Document | None, after: Document) -> Document | None:
    """Told when it is made, and when one of the fields changes that may."""
    del key
    changed = [name for name in _PACKAGE_UPDATES if (before or {}).get(name) != after.get(name)]
    if before is not None and not changed:
        return None
    detail = _picked(after, _PACKAGE_FIELDS, time=_text)
    if before is not None:
        detail["UpdatedModelPackageFields"] = changed
    modified = after.get("LastModifiedTime") or after["CreationTime"]
    detail["LastModifiedTime"] = _text(modified)
    return _entry(MODEL_PACKAGE, [after["ModelPackageArn"]], detail, modified)


def training_event(key: str, before: Document | None, after: Document) -> Document | None:
    del key
    statuses = ("TrainingJobStatus", "SecondaryStatus")
    return _job_event(TRAINING_JOB, statuses, before, after, time=lambda at: str(_milliseconds(at)))


def processing_event(key: str, before: Document | None, after: Document) -> Document | None:
    del key
    return _job_event(PROCESSING_JOB, ("ProcessingJobStatus",), before, after, time=_milliseconds)


def endpoint_event(key: str, before: Document | None, after: Document) -> Document | None:
    """Its status is written `IN_SERVICE` here, not as DescribeEndpoint has it."""
    del key
    if before and before["EndpointStatus"] == after["EndpointStatus"]:
        return None
    detail = _picked(after, _ENDPOINT_FIELDS, time=_milliseconds) | {
        "EndpointStatus": _WORD.sub("_", str(after["EndpointStatus"])).upper(),
        "CreationTime": _milliseconds(after["CreationTime"]),
        "LastModifiedTime": _milliseconds(after["LastModifiedTime"]),
        "Tags": {},
    }
    return _entry(ENDPOINT, [after["EndpointArn"]], detail, after["LastModifiedTime"])


TELLERS: Mapping[str, Teller] = {
    "execution": execution_event,
    "step": step_event,
    "model_package": package_event,
    "training_job": training_event,
    "processing_job": processing_event,
    "endpoint": endpoint_event,
}


def _job_event(
    kind: str,
    statuses: tuple[str, ...],
    before: Document | None,
    after: Document,
    *,
    time: Callable[[float], object],
) -> Document | None:
    if before and all(before.get(name) == after.get(name) for name in statuses):
        return None
    arn = after[statuses[0].removesuffix("Status") + "Arn"]
    modified = after.get("LastModifiedTime") or after["CreationTime"]
    return _entry(kind, [arn], _picked(after, tuple(after), time=time), modified)


def _entry(kind: str, resources: list[str], detail: Document, when: float | None) -> Document:
    told = {name: value for name, value in detail.items() if value is not None}
    entry: Document = {
        "Source": SOURCE,
        "DetailType": kind,
        "Resources": resources,
        "Detail": json.dumps(told, separators=(",", ":")),
    }
    return entry if when is None else entry | {"Time": when}


def _picked(body: Document, names: tuple[str, ...], *, time: Callable[[float], object]) -> Document:
    return {
        name: time(body[name])
        if name.endswith("Time") and isinstance(body[name], int | float)
        else body[name]
        for name in names
        if name in body
    }


def _text(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _milliseconds(moment: float) -> int:
    return int(moment * 1000)


def _camel(value: Any) -> Any:
    """With member names as events write them: `processingJob` for `ProcessingJob`."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _camel(each) for name, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value
