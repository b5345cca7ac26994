"""Pipeline executions: start, follow, stop, retry. The step engine runs what is recorded here."""

import secrets
import string

from ci.definition.values import Value
from ci.local.api.definitions import parse
from ci.local.api.groups import identity
from ci.local.api.listing import page
from ci.local.api.parameters import as_text, resolve_parameters
from ci.local.api.pipelines import KIND as PIPELINE
from ci.local.api.pipelines import UNFINISHED
from ci.local.api.tokens import done_before, remember, state_before
from ci.local.api.versions import KIND as VERSION
from ci.local.api.versions import created_within, find_pipeline, find_version
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "execution"

_DESCRIBED = (
    "PipelineArn",
    "PipelineExecutionArn",
    "PipelineExecutionDisplayName",
    "PipelineExecutionStatus",
    "PipelineExecutionDescription",
    "PipelineExperimentConfig",
    "FailureReason",
    "CreationTime",
    "LastModifiedTime",
    "CreatedBy",
    "LastModifiedBy",
    "ParallelismConfiguration",
    "PipelineVersionId",
    "RoleArn",
)
_STEP = (
    "StepName",
    "StepDisplayName",
    "StepDescription",
    "StartTime",
    "EndTime",
    "StepStatus",
    "CacheHitResult",
    "FailureReason",
    "Metadata",
    "AttemptCount",
)
_RETRYABLE = frozenset({"Failed", "Stopped", "CompletedWithFailures"})
_UNSUPPORTED = ("SelectiveExecutionConfig", "MlflowExperimentName")
_ID_LETTERS = string.ascii_lowercase + string.digits


def start(context: Context, request: Document) -> Document:
    _refuse_unsupported(request)
    pipeline = find_pipeline(context, request["PipelineName"])
    arn = pipeline["PipelineArn"]
    scoped = request | {"PipelineName": arn}
    with context.store.transaction():
        made = done_before(context, "StartPipelineExecution", arn, scoped)
        if made is not None:
            return {"PipelineExecutionArn": made}
        execution = _new_execution(context, pipeline, request)
        execution_arn: str = execution["PipelineExecutionArn"]
        name = pipeline["PipelineName"]
        context.store.put(KIND, execution_arn, execution, parent=name)
        context.store.update(PIPELINE, name.lower(), LastRunTime=execution["CreationTime"])
        version = f"{name}#{execution['PipelineVersionId']}"
        context.store.update(VERSION, version, LastExecutionPipelineExecutionArn=execution_arn)
        remember(context, "StartPipelineExecution", arn, scoped, execution_arn)
    # A kill right here loses nothing: what is recorded is taken up at the next start.
    context.engine.submit(execution_arn)
    return {"PipelineExecutionArn": execution_arn}


def _refuse_unsupported(request: Document) -> None:
    for member in _UNSUPPORTED:
        if member in request:
            message = f"{member} is not supported by the local endpoint. Run this against AWS."
            raise ApiError("ValidationException", message)
    if "RoleArn" in request:
        raise ApiError(
            "ValidationException",
            "RoleArn can't be specified for a pipeline that you created: its executions use the"
            " pipeline's role",
        )


def _new_execution(context: Context, pipeline: Document, request: Document) -> Document:
    version = find_version(
        context,
        pipeline,
        number=request.get("PipelineVersionId"),
        alias=request.get("PipelineVersionAlias"),
    )
    definition = version["PipelineDefinition"]
    declared = parse(definition).parameters
    now = context.clock()
    identifier = "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
    limits = request.get("ParallelismConfiguration", pipeline.get("ParallelismConfiguration"))
    display_name = request.get("PipelineExecutionDisplayName", f"execution-{int(now * 1000)}")
    execution: Document = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{identifier}",
        "PipelineExecutionDisplayName": display_name,
        "PipelineExecutionStatus": "Executing",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": identity(context),
        "LastModifiedBy": identity(context),
        "PipelineVersionId": version["PipelineVersionId"],
        "PipelineName": pipeline["PipelineName"],
        "ClientRequestToken": request["ClientRequestToken"],
        "Parameters": resolve_parameters(declared, request.get("PipelineParameters", [])),
        "Definition": definition,
        "RoleArn": pipeline["RoleArn"],
    }
    if "PipelineExecutionDescription" in request:
        execution["PipelineExecutionDescription"] = request["PipelineExecutionDescription"]
    if limits is not None:
        execution["ParallelismConfiguration"] = limits
    return execution


def describe(context: Context, request: Document) -> Document:
    execution = _find(context, request["PipelineExecutionArn"])
    number = execution["PipelineVersionId"]
    version = context.store.get(VERSION, f"{execution['PipelineName']}#{number}") or {}
    described = {member: execution.get(member) for member in _DESCRIBED}
    return described | {"PipelineVersionAliases": version.get("PipelineVersionAliases") or None}


def list_executions(context: Context, request: Document) -> Document:
    pipeline = find_pipeline(context, request["PipelineName"])
    executions = context.store.all(KIND, parent=pipeline["PipelineName"])
    alias = request.get("PipelineVersionAlias")
    if alias is not None:
        version = find_version(context, pipeline, number=None, alias=alias)
        number = version["PipelineVersionId"]
        executions = [item for item in executions if item["PipelineVersionId"] == number]
    by = request.get("SortBy", "CreationTime")
    chosen, more = page(
        created_within(executions, request),
        request,
        key=lambda item: (item[by], item["PipelineExecutionArn"]),
        order="Descending",
    )
    aliases = {
        version["PipelineVersionId"]: version.get("PipelineVersionAliases")
        for version in context.store.all(VERSION, parent=pipeline["PipelineName"])
    }
    summaries = [_summary(item, aliases.get(item["PipelineVersionId"])) for item in chosen]
    return {"PipelineExecutionSummaries": summaries, **more}


def _summary(execution: Document, aliases: list[str] | None) -> Document:
    return {
        "PipelineExecutionArn": execution["PipelineExecutionArn"],
        "StartTime": execution["CreationTime"],
        "PipelineExecutionStatus": execution["PipelineExecutionStatus"],
        "PipelineExecutionDescription": execution.get("PipelineExecutionDescription"),
        "PipelineExecutionDisplayName": execution.get("PipelineExecutionDisplayName"),
        "PipelineExecutionFailureReason": execution.get("FailureReason"),
        "PipelineVersionAliases": aliases or None,
    }


def list_steps(context: Context, request: Document) -> Document:
    arn = request.get("PipelineExecutionArn")
    if arn is None:
        raise ApiError("ValidationException", "PipelineExecutionArn must be specified")
    _find(context, arn)
    steps, more = page(
        context.store.all("step", parent=arn),
        request,
        key=lambda step: (step.get("StartTime", 0), step["StepName"]),
        order="Descending",
    )
    listed = [{member: step.get(member) for member in _STEP} for step in steps]
    return {"PipelineExecutionSteps": listed, **more}


def describe_definition(context: Context, request: Document) -> Document:
    execution = _find(context, request["PipelineExecutionArn"])
    return {
        "PipelineDefinition": execution["Definition"],
        "CreationTime": execution["CreationTime"],
    }


def list_parameters(context: Context, request: Document) -> Document:
    execution = _find(context, request["PipelineExecutionArn"])
    values = execution["Parameters"].items()
    numbered = [{"Number": number, "Item": item} for number, item in enumerate(values)]
    chosen, more = page(numbered, request, key=lambda entry: (entry["Number"],), order="Ascending")
    listed = [{"Name": name, "Value": as_text(value)} for name, value in _items(chosen)]
    return {"PipelineParameters": listed, **more}


def _items(entries: list[Document]) -> list[tuple[str, Value]]:
    return [entry["Item"] for entry in entries]


def update(context: Context, request: Document) -> Document:
    arn = request["PipelineExecutionArn"]
    changes = {member: request[member] for member in request if member != "PipelineExecutionArn"}
    with context.store.transaction():
        _find(context, arn)
        context.store.update(KIND, arn, **changes, LastModifiedTime=context.clock())
    return {"PipelineExecutionArn": arn}


def stop(context: Context, request: Document) -> Document:
    """Asking again is no mistake: whoever was cut off after asking cannot know that they did."""
    execution = _find(context, request["PipelineExecutionArn"])
    arn: str = execution["PipelineExecutionArn"]
    if done_before(context, "StopPipelineExecution", execution["PipelineArn"], request) is None:
        _require(execution, UNFINISHED, "stopped")
        remember(context, "StopPipelineExecution", execution["PipelineArn"], request, arn)
    if execution["PipelineExecutionStatus"] in UNFINISHED:
        context.engine.stop(arn)
    return {"PipelineExecutionArn": arn}


def retry(context: Context, request: Document) -> Document:
    arn: str = request["PipelineExecutionArn"]
    operation = "RetryPipelineExecution"
    with context.store.transaction():
        execution = _find(context, arn)
        scope, changed = execution["PipelineArn"], execution["LastModifiedTime"]
        if done_before(context, operation, scope, request) is None:
            _require(execution, _RETRYABLE, "retried")
            if "ParallelismConfiguration" in request:
                limits = request["ParallelismConfiguration"]
                context.store.update(KIND, arn, ParallelismConfiguration=limits)
            remember(context, operation, scope, request, arn, state=changed)
        elif state_before(context, operation, scope, request) != changed:
            return {"PipelineExecutionArn": arn}
    # Outside the transaction: the engine has locks of its own. A kill in between is made good by
    # asking again, since nothing has changed since the token was taken.
    context.engine.retry(arn)
    if _find(context, arn)["LastModifiedTime"] == changed:
        message = f"Pipeline execution {arn} is still coming to its end. Try again in a moment."
        raise ApiError("ConflictException", message)
    return {"PipelineExecutionArn": arn}


def _find(context: Context, arn: str) -> Document:
    execution = context.store.get(KIND, arn)
    if execution is None:
        raise ApiError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
    return execution


def _require(execution: Document, allowed: frozenset[str], what: str) -> None:
    status = execution["PipelineExecutionStatus"]
    if status not in allowed:
        raise ApiError(
            "ConflictException",
            f"Pipeline execution with ARN {execution['PipelineExecutionArn']} has status {status}."
            f" Only executions with status {', '.join(sorted(allowed))} can be {what}.",
        )


OPERATIONS: Operations = {
    "DescribePipelineDefinitionForExecution": describe_definition,
    "DescribePipelineExecution": describe,
    "ListPipelineExecutionSteps": list_steps,
    "ListPipelineExecutions": list_executions,
    "ListPipelineParametersForExecution": list_parameters,
    "RetryPipelineExecution": retry,
    "StartPipelineExecution": start,
    "StopPipelineExecution": stop,
    "UpdatePipelineExecution": update,
}
