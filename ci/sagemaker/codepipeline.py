"""CodePipeline: the answers to a job, the artifacts of one, and its manual approvals."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.clients import Clients
from ci.sagemaker.translate import translated

_SERVICE = "codepipeline"
_OVER = frozenset({"InvalidJobStateException", "JobNotFoundException"})
_DECIDED = frozenset({"ApprovalAlreadyCompletedException", "InvalidApprovalTokenException"})
_VARIABLES_TOO_LARGE = "OutputVariablesSizeExceededException"
_CHUNK = 1 << 20
_SUMMARY, _MESSAGE, _REASON, _EXTERNAL = 2048, 5000, 512, 1500
_MANUAL = ("Approval", "Manual")


class FailureType(StrEnum):
    JOB_FAILED = "JobFailed"
    CONFIGURATION = "ConfigurationError"
    PERMISSION = "PermissionError"
    OUT_OF_SYNC = "RevisionOutOfSync"
    UNAVAILABLE_REVISION = "RevisionUnavailable"
    UNAVAILABLE = "SystemUnavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """`continuation` asks to be called again. `variables` are what later actions may read."""

    summary: str
    continuation: str | None = None
    percent: int | None = None
    external: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    kind: FailureType
    message: str
    external: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingApproval:
    """A manual approval that waits for an answer; `execution` is the pipeline execution that it
    stops. The token is good for this one answer."""

    pipeline: str
    stage: str
    action: str
    execution: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """An action of one pipeline execution, as its history tells it; `status` is CodePipeline's.
    `by` is the ARN of whoever changed it last, `summary` what was said. `broken`: it ended by an
    error or a timeout, and by nobody's answer."""

    stage: str
    action: str
    status: str
    manual: bool = False
    by: str | None = None
    summary: str | None = None
    broken: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


class CodePipeline:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def succeed(self, job: str, success: Success) -> bool:
        """Answer a job; False where it was answered, or ended, before. Variables that are more
        than CodePipeline keeps are left out, the largest first."""
        variables = dict(success.variables)
        while True:
            request = _success(job, success, variables)
            try:
                return self._answer("PutJobSuccessResult", request)
            except AwsError as error:
                if error.code != _VARIABLES_TOO_LARGE or not variables:
                    raise
            del variables[max(variables, key=lambda name: len(variables[name]))]

    def fail(self, job: str, failure: Failure) -> bool:
        """The same where the job has failed."""
        details = {"type": failure.kind.value, "message": _within(failure.message, _MESSAGE)}
        if failure.external:
            details["externalExecutionId"] = failure.external[:_EXTERNAL]
        return self._answer("PutJobFailureResult", {"jobId": job, "failureDetails": details})

    def waiting_approvals(self, pipeline: str) -> tuple[WaitingApproval, ...]:
        """The manual approvals of a pipeline that wait for an answer."""
        answer = self._clients.call(
            _SERVICE, "GetPipelineState", {"name": pipeline}, where=pipeline
        )
        stages = answer.get("stageStates") or ()
        return tuple(found for stage in stages for found in _waiting(pipeline, stage))

    def approve(self, waiting: WaitingApproval, *, approved: bool, summary: str) -> bool:
        """Answer it; False where it was answered, or is past, by now."""
        request = {
            "pipelineName": waiting.pipeline,
            "stageName": waiting.stage,
            "actionName": waiting.action,
            "result": {
                "status": "Approved" if approved else "Rejected",
                "summary": _within(summary, _REASON),
            },
            "token": waiting.token,
        }
        try:
            self._clients.call(_SERVICE, "PutApprovalResult", request, where=_place(waiting))
        except AwsError as error:
            if error.code in _DECIDED:
                return False
            raise
        return True

    def actions(self, pipeline: str, execution: str) -> tuple[ActionRun, ...]:
        """What the actions of one pipeline execution did, newest first."""
        pages = self._clients.pages(
            _SERVICE,
            "ListActionExecutions",
            {"pipelineName": pipeline, "filter": {"pipelineExecutionId": execution}},
            items="actionExecutionDetails",
            where=pipeline,
            token=("nextToken", "nextToken"),
        )
        return tuple(_action(item) for item in pages)

    def revisions(self, pipeline: str, execution: str) -> tuple[str, ...]:
        """The source revisions that one pipeline execution is of."""
        answer = self._clients.call(
            _SERVICE,
            "GetPipelineExecution",
            {"pipelineName": pipeline, "pipelineExecutionId": execution},
            where=pipeline,
        )
        held = answer.get("pipelineExecution") or {}
        found = (item.get("revisionId") for item in held.get("artifactRevisions") or ())
        return tuple(each for each in found if each)

    def _answer(self, operation: str, request: Mapping[str, object]) -> bool:
        try:
            self._clients.call(_SERVICE, operation, request, where=str(request["jobId"]))
        except AwsError as error:
            if error.code in _OVER:
                return False
            raise
        return True


def fetch_object(clients: Clients, bucket: str, key: str, file: Path, *, limit: int) -> int:
    """Write an object to a file, piece by piece; its size in bytes. AwsError where it holds more
    than `limit` (code ObjectTooLarge), or is not there."""
    where = f"s3://{bucket}/{key}"
    answer = clients.call("s3", "GetObject", {"Bucket": bucket, "Key": key}, where=where)
    size = 0
    with (
        translated("s3", "GetObject", where),
        contextlib.closing(answer["Body"]) as body,
        file.open("wb") as out,
    ):
        for piece in body.iter_chunks(_CHUNK):
            size += len(piece)
            if size > limit:
                raise AwsError(
                    f"The object holds more than the {limit >> 20} MiB that are read",
                    code="ObjectTooLarge",
                    operation="GetObject",
                    where=where,
                )
            out.write(piece)
    return size


def put_object(clients: Clients, bucket: str, key: str, data: bytes, *, kms: str | None) -> None:
    """Write an output artifact. Artifact buckets take nothing that is not encrypted with KMS."""
    request: dict[str, object] = {"Bucket": bucket, "Key": key, "Body": data}
    request["ServerSideEncryption"] = "aws:kms"
    if kms:
        request["SSEKMSKeyId"] = kms
    clients.call("s3", "PutObject", request, where=f"s3://{bucket}/{key}")


def _success(job: str, success: Success, variables: Mapping[str, str]) -> dict[str, object]:
    details: dict[str, object] = {"summary": _within(success.summary, _SUMMARY)}
    if success.external:
        details["externalExecutionId"] = success.external[:_EXTERNAL]
    if success.percent is not None:
        details["percentComplete"] = max(0, min(100, success.percent))
    request: dict[str, object] = {"jobId": job, "executionDetails": details}
    if success.continuation is not None:
        request["continuationToken"] = success.continuation
    if variables:
        request["outputVariables"] = dict(variables)
    return request


def _waiting(pipeline: str, stage: Mapping[str, Any]) -> Sequence[WaitingApproval]:
    execution = (stage.get("latestExecution") or {}).get("pipelineExecutionId")
    found = []
    for action in stage.get("actionStates") or ():
        latest = action.get("latestExecution") or {}
        # Only an approval that waits has a token.
        if execution and latest.get("status") == "InProgress" and latest.get("token"):
            found.append(
                WaitingApproval(
                    pipeline=pipeline,
                    stage=stage["stageName"],
                    action=action["actionName"],
                    execution=execution,
                    token=latest["token"],
                )
            )
    return found


def _action(item: Mapping[str, Any]) -> ActionRun:
    kind = (item.get("input") or {}).get("actionTypeId") or {}
    output = item.get("output") or {}
    result = output.get("executionResult") or {}
    return ActionRun(
        stage=item.get("stageName", ""),
        action=item.get("actionName", ""),
        status=item.get("status", ""),
        manual=(kind.get("category"), kind.get("provider")) == _MANUAL,
        by=item.get("updatedBy"),
        summary=result.get("externalExecutionSummary"),
        broken=bool((result.get("errorDetails") or {}).get("code")),
        variables=dict(output.get("outputVariables") or {}),
    )


def _place(waiting: WaitingApproval) -> str:
    return f"{waiting.pipeline}, {waiting.stage}, {waiting.action}"


def _within(text: str, limit: int) -> str:
    """CodePipeline takes no empty text, and refuses a longer one whole."""
    text = text.strip() or "(no text)"
    return text if len(text) <= limit else text[: limit - 1] + "…"
