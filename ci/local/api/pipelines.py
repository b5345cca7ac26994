"""Pipelines: a name, a role, a definition, and a new version whenever the definition changes."""

from ci.local.api.definitions import read_definition
from ci.local.api.groups import identity
from ci.local.api.listing import page
from ci.local.api.tags import drop_tags, put_tags
from ci.local.api.tokens import done_before, forget, remember
from ci.local.api.versions import KIND as VERSION
from ci.local.api.versions import (
    add_version,
    created_within,
    find_pipeline,
    find_version,
    pipeline_arn,
)
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "pipeline"
UNFINISHED = frozenset({"Executing", "Stopping"})

_SETTINGS = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
_DESCRIBED = (
    "PipelineArn",
    "PipelineName",
    *_SETTINGS,
    "PipelineStatus",
    "CreationTime",
    "LastModifiedTime",
    "LastRunTime",
    "CreatedBy",
    "LastModifiedBy",
)
_OF_VERSION = (
    "PipelineDefinition",
    "PipelineVersionDisplayName",
    "PipelineVersionDescription",
    "PipelineVersionAliases",
)


def create_pipeline(context: Context, request: Document) -> Document:
    name = request["PipelineName"]
    arn = pipeline_arn(context, name)
    made = done_before(context, "CreatePipeline", arn, request)
    if made is not None:
        return {"PipelineArn": made}
    definition = read_definition(context, request)
    if definition is None:
        raise ApiError(
            "ValidationException",
            "One of PipelineDefinition and PipelineDefinitionS3Location must be specified",
        )
    now = context.clock()
    pipeline: Document = {
        "PipelineArn": arn,
        "PipelineName": name,
        "PipelineDisplayName": name,
        "PipelineDefinition": definition,
        "PipelineStatus": "Active",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": identity(context),
        "LastModifiedBy": identity(context),
        "LatestVersion": 1,
    } | {member: request[member] for member in _SETTINGS if member in request}
    with context.store.transaction():
        if context.store.get(KIND, name.lower()) is not None:
            # The SDK's upsert tells an existing pipeline by this code and these words.
            raise ApiError(
                "ValidationException",
                "Pipeline names must be unique within an AWS account and region."
                f" Pipeline with name ({name}) already exists.",
            )
        context.store.put(KIND, name.lower(), pipeline)
        add_version(context, pipeline, 1, request.get("PipelineVersionAliases", []))
        put_tags(context, arn, request.get("Tags", []))
        remember(context, "CreatePipeline", arn, request, arn)
    return {"PipelineArn": arn}


def update_pipeline(context: Context, request: Document) -> Document:
    """Only a changed definition makes a version; settings belong to the pipeline."""
    find_pipeline(context, request["PipelineName"])
    definition = read_definition(context, request)
    aliases = request.get("PipelineVersionAliases", [])
    with context.store.transaction():
        pipeline = find_pipeline(context, request["PipelineName"])
        changed = definition is not None and definition != pipeline["PipelineDefinition"]
        pipeline |= {member: request[member] for member in _SETTINGS if member in request}
        pipeline["LastModifiedTime"] = context.clock()
        pipeline["LastModifiedBy"] = identity(context)
        if changed:
            pipeline["PipelineDefinition"] = definition
            pipeline["LatestVersion"] += 1
            add_version(context, pipeline, pipeline["LatestVersion"], aliases)
        elif aliases:
            raise ApiError(
                "ValidationException",
                "PipelineVersionAliases can be specified only when the update changes the pipeline"
                " definition. To change the aliases of an existing version, use"
                " UpdatePipelineVersion.",
            )
        context.store.put(KIND, pipeline["PipelineName"].lower(), pipeline)
    return {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineVersionId": pipeline["LatestVersion"],
    }


def describe_pipeline(context: Context, request: Document) -> Document:
    pipeline = find_pipeline(context, request["PipelineName"])
    version = find_version(
        context,
        pipeline,
        number=request.get("PipelineVersionId"),
        alias=request.get("PipelineVersionAlias"),
    )
    described = {member: pipeline.get(member) for member in _DESCRIBED}
    return described | {member: version.get(member) for member in _OF_VERSION}


def list_pipelines(context: Context, request: Document) -> Document:
    prefix = request.get("PipelineNamePrefix", "")
    found = [] if request.get("ManagedBy") == "AWS" else context.store.all(KIND)
    items = [item for item in found if item["PipelineName"].startswith(prefix)]
    by = {"Name": "PipelineName"}.get(request.get("SortBy", ""), "CreationTime")
    chosen, more = page(
        created_within(items, request),
        request,
        key=lambda item: (item[by], item["PipelineName"]),
        order="Descending",
    )
    return {"PipelineSummaries": [_summary(item) for item in chosen], **more}


def _summary(pipeline: Document) -> Document:
    members = (
        "PipelineArn",
        "PipelineName",
        "PipelineDisplayName",
        "PipelineDescription",
        "RoleArn",
        "CreationTime",
        "LastModifiedTime",
    )
    summary = {member: pipeline.get(member) for member in members}
    return summary | {"LastExecutionTime": pipeline.get("LastRunTime")}


def delete_pipeline(context: Context, request: Document) -> Document:
    """Versions, executions and their steps go with the pipeline."""
    store = context.store
    arn = pipeline_arn(context, request["PipelineName"])
    with store.transaction():
        pipeline = find_pipeline(context, request["PipelineName"])
        name = pipeline["PipelineName"]
        executions = store.all("execution", parent=name)
        running = [
            execution["PipelineExecutionArn"]
            for execution in executions
            if execution["PipelineExecutionStatus"] in UNFINISHED
        ]
        if running:
            raise ApiError(
                "ConflictException",
                f"Pipeline '{arn}' cannot be deleted while {len(running)} of its executions run,"
                f" {running[0]} among them. Stop them first (StopPipelineExecution).",
            )
        for execution in executions:
            execution_arn = execution["PipelineExecutionArn"]
            store.delete_all("step", parent=execution_arn)
            drop_tags(context, execution_arn)
        store.delete_all("execution", parent=name)
        store.delete_all("step_result", parent=name)
        store.delete_all(VERSION, parent=name)
        store.delete(KIND, name.lower())
        drop_tags(context, arn)
        forget(context, arn)
    return {"PipelineArn": arn}


OPERATIONS: Operations = {
    "CreatePipeline": create_pipeline,
    "DeletePipeline": delete_pipeline,
    "DescribePipeline": describe_pipeline,
    "ListPipelines": list_pipelines,
    "UpdatePipeline": update_pipeline,
}
