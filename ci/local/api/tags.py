"""Tags, on every ARN that exists here, executions included."""

from ci.local.api.listing import page
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "tags"
_MOST = 50
_PAGE = 50
_BY_NAME = {
    "model-package-group": "model_package_group",
    "model": "model",
    "endpoint-config": "endpoint_config",
    "endpoint": "endpoint",
    "processing-job": "processing_job",
    "training-job": "training_job",
}


def put_tags(context: Context, arn: str, tags: list[Document]) -> dict[str, str]:
    """Add tags or replace their values. Raises ApiError past AWS's 50 tags of a resource."""
    repeated = sorted({tag["Key"] for tag in tags if _count(tags, tag["Key"]) > 1})
    if repeated:
        message = f"Duplicate tag keys found: {', '.join(repeated)}"
        raise ApiError("ValidationException", message)
    reserved = [tag["Key"] for tag in tags if tag["Key"].lower().startswith("aws:")]
    if reserved:
        message = f"Tag keys starting with 'aws:' are reserved for AWS use: {', '.join(reserved)}"
        raise ApiError("ValidationException", message)
    with context.store.transaction():
        held = read_tags(context, arn) | {tag["Key"]: tag["Value"] for tag in tags}
        if len(held) > _MOST:
            message = f"{arn} would have {len(held)} tags; a resource can have at most {_MOST}"
            raise ApiError("ResourceLimitExceeded", message)
        context.store.put(KIND, arn, dict(held))
    return held


def read_tags(context: Context, arn: str) -> dict[str, str]:
    return dict(context.store.get(KIND, arn) or {})


def drop_tags(context: Context, arn: str) -> None:
    """Forget all tags of a resource that goes."""
    context.store.delete(KIND, arn)


def add_tags(context: Context, request: Document) -> Document:
    arn = _existing(context, request["ResourceArn"])
    return {"Tags": _listed(put_tags(context, arn, request["Tags"]))}


def delete_tags(context: Context, request: Document) -> Document:
    arn = _existing(context, request["ResourceArn"])
    with context.store.transaction():
        held = read_tags(context, arn)
        context.store.put(
            KIND, arn, {key: held[key] for key in held if key not in request["TagKeys"]}
        )
    return {}


def list_tags(context: Context, request: Document) -> Document:
    arn = _existing(context, request["ResourceArn"])
    tags, more = page(
        _listed(read_tags(context, arn)),
        {"MaxResults": _PAGE} | request,
        key=lambda tag: (tag["Key"],),
        order="Ascending",
    )
    return {"Tags": tags, **more}


def _listed(tags: dict[str, str]) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _count(tags: list[Document], key: str) -> int:
    return sum(tag["Key"] == key for tag in tags)


def _existing(context: Context, arn: str) -> str:
    if arn.startswith(context.arn("")) and _exists(context, arn, arn.split(":", 5)[5]):
        return arn
    raise ApiError("ResourceNotFound", f"Resource {arn} does not exist")


def _exists(context: Context, arn: str, resource: str) -> bool:
    kind, _, name = resource.partition("/")
    match kind:
        case "pipeline" if "/execution/" in name:
            return context.store.get("execution", arn) is not None
        case "pipeline":
            return context.store.get("pipeline", name) is not None
        case "model-package":
            return context.store.get("model_package", arn) is not None
        case _ if kind in _BY_NAME:
            return context.store.get(_BY_NAME[kind], name) is not None
        case _:
            return False


OPERATIONS: Operations = {
    "AddTags": add_tags,
    "DeleteTags": delete_tags,
    "ListTags": list_tags,
}
