"""Versions of a pipeline: one for each definition it had, and the aliases that name them."""

from ci.local.api.listing import page
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "pipeline_version"
_MOST_ALIASES = 10
_SUMMARY = (
    "PipelineArn",
    "PipelineVersionId",
    "CreationTime",
    "PipelineVersionDescription",
    "PipelineVersionDisplayName",
    "LastExecutionPipelineExecutionArn",
    "PipelineVersionAliases",
)


def find_pipeline(context: Context, name_or_arn: str) -> Document:
    """The pipeline's record. SageMaker lowers a pipeline's name in its ARN, so that names which
    differ in case alone name the same pipeline. Raises ApiError (ResourceNotFound)."""
    name = name_or_arn.rsplit("/", 1)[-1]
    arn = pipeline_arn(context, name)
    pipeline = context.store.get("pipeline", name.lower())
    if pipeline is None or (name_or_arn.startswith("arn:") and name_or_arn.lower() != arn):
        wanted = name_or_arn if name_or_arn.startswith("arn:") else arn
        raise ApiError("ResourceNotFound", f"Pipeline '{wanted}' does not exist.")
    return pipeline


def pipeline_arn(context: Context, name: str) -> str:
    return context.arn(f"pipeline/{name.lower()}")


def add_version(context: Context, pipeline: Document, number: int, aliases: list[str]) -> None:
    """Record the pipeline's present definition as a version."""
    name = pipeline["PipelineName"]
    body: Document = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineVersionId": number,
        "CreationTime": pipeline["LastModifiedTime"],
        "PipelineDefinition": pipeline["PipelineDefinition"],
    }
    _take_aliases(context, name, body, aliases)
    context.store.put(KIND, f"{name}#{number}", body, parent=name)


def find_version(
    context: Context, pipeline: Document, *, number: int | None, alias: str | None
) -> Document:
    """The version asked for, the latest where nothing is. Raises ApiError."""
    if number is not None and alias is not None:
        raise ApiError(
            "ValidationException",
            "Only one of PipelineVersionId and PipelineVersionAlias can be specified",
        )
    name, arn = pipeline["PipelineName"], pipeline["PipelineArn"]
    if alias is not None:
        for version in context.store.all(KIND, parent=name):
            if alias in version.get("PipelineVersionAliases", ()):
                return version
        message = f"Pipeline '{arn}' has no version with the alias '{alias}'."
        raise ApiError("ResourceNotFound", message)
    wanted = pipeline["LatestVersion"] if number is None else number
    found = context.store.get(KIND, f"{name}#{wanted}")
    if found is None:
        message = f"Pipeline version '{wanted}' of pipeline '{arn}' does not exist."
        raise ApiError("ResourceNotFound", message)
    return found


def list_versions(context: Context, request: Document) -> Document:
    pipeline = find_pipeline(context, request["PipelineName"])
    versions = created_within(context.store.all(KIND, parent=pipeline["PipelineName"]), request)
    chosen, more = page(
        versions, request, key=lambda item: (item["PipelineVersionId"],), order="Descending"
    )
    summaries = [{key: item[key] for key in _SUMMARY if key in item} for item in chosen]
    return {"PipelineVersionSummaries": summaries, **more}


def update_version(context: Context, request: Document) -> Document:
    arn, number = request["PipelineArn"], request["PipelineVersionId"]
    with context.store.transaction():
        pipeline = find_pipeline(context, arn)
        name = pipeline["PipelineName"]
        version = find_version(context, pipeline, number=number, alias=None)
        for member in ("PipelineVersionDisplayName", "PipelineVersionDescription"):
            if member in request:
                version[member] = request[member]
        operations = request.get("PipelineVersionAliasOperations", {})
        held = version.get("PipelineVersionAliases", [])
        missing = [alias for alias in operations.get("Remove", ()) if alias not in held]
        if missing:
            message = f"Pipeline version '{number}' has no alias {', '.join(missing)}"
            raise ApiError("ValidationException", message)
        version["PipelineVersionAliases"] = [
            alias for alias in held if alias not in operations.get("Remove", ())
        ]
        _take_aliases(context, name, version, operations.get("Add", []))
        context.store.put(KIND, f"{name}#{number}", version)
    return {"PipelineArn": pipeline["PipelineArn"], "PipelineVersionId": number}


def created_within(items: list[Document], request: Document) -> list[Document]:
    """Those created after `CreatedAfter` and before `CreatedBefore`, where a request says so."""
    after, before = request.get("CreatedAfter"), request.get("CreatedBefore")
    return [
        item
        for item in items
        if (after is None or item["CreationTime"] > after)
        and (before is None or item["CreationTime"] < before)
    ]


def _take_aliases(context: Context, name: str, version: Document, aliases: list[str]) -> None:
    """Give aliases to a version: unique within the pipeline, at most ten, never digits alone."""
    number = version["PipelineVersionId"]
    for alias in aliases:
        if alias.isdigit():
            message = f"Alias '{alias}' is invalid: an alias can't consist of numbers only"
            raise ApiError("ValidationException", message)
    for other in context.store.all(KIND, parent=name) if aliases else ():
        taken = set(aliases) & set(other.get("PipelineVersionAliases", ()))
        if taken and other["PipelineVersionId"] != number:
            raise ApiError(
                "ConflictException",
                f"Alias '{min(taken)}' is held by version {other['PipelineVersionId']} of pipeline"
                f" '{version['PipelineArn']}'. Remove it there first (UpdatePipelineVersion).",
            )
    held = list(dict.fromkeys([*version.get("PipelineVersionAliases", ()), *aliases]))
    if len(held) > _MOST_ALIASES:
        message = f"Pipeline version '{number}' would have {len(held)} aliases, more than 10"
        raise ApiError("ValidationException", message)
    version["PipelineVersionAliases"] = held


OPERATIONS: Operations = {
    "ListPipelineVersions": list_versions,
    "UpdatePipelineVersion": update_version,
}
