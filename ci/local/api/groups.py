"""Model package groups: what they are called, and when one may go."""

from ci.local.api.listing import page, select
from ci.local.api.tags import put_tags
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "model_package_group"


def create_group(context: Context, request: Document) -> Document:
    name = request["ModelPackageGroupName"]
    arn = group_arn(context, name)
    body = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn,
        "CreationTime": context.clock(),
        "CreatedBy": identity(context),
        "ModelPackageGroupStatus": "Completed",
    }
    for field in ("ModelPackageGroupDescription", "ManagedConfiguration"):
        if field in request:
            body[field] = request[field]
    with context.store.transaction():
        if context.store.get(KIND, name):
            raise ApiError("ValidationException", f"Model Package Group already exists: {arn}")
        context.store.put(KIND, name, body)
        put_tags(context, arn, request.get("Tags", []))
    return {"ModelPackageGroupArn": arn}


def describe_group(context: Context, request: Document) -> Document:
    return find_group(context, request["ModelPackageGroupName"])


def list_groups(context: Context, request: Document) -> Document:
    by_name = request.get("SortBy") == "Name"
    found = select(context.store.all(KIND), request, name="ModelPackageGroupName")
    chosen, more = page(
        found,
        request,
        key=lambda group: (
            (group["ModelPackageGroupName"],)
            if by_name
            else (group["CreationTime"], group["ModelPackageGroupName"])
        ),
        order="Ascending",
    )
    summaries = [{k: v for k, v in group.items() if k != "CreatedBy"} for group in chosen]
    return {"ModelPackageGroupSummaryList": summaries, **more}


def delete_group(context: Context, request: Document) -> Document:
    with context.store.transaction():
        group = find_group(context, request["ModelPackageGroupName"])
        name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
        if context.store.all("model_package", parent=name):
            raise ApiError(
                "ConflictException",
                f"Model Package Group {arn} cannot be deleted because it still contains"
                " model packages.",
            )
        context.store.delete(KIND, name)
        context.store.delete("model_package_counter", name)
        context.store.delete("tags", arn)
    return {}


def find_group(context: Context, arn_or_name: str) -> Document:
    """The group's record. Raises ValidationException where there is none."""
    name = arn_or_name.rsplit("/", 1)[-1]
    group = context.store.get(KIND, name)
    if group is None or (":" in arn_or_name and group["ModelPackageGroupArn"] != arn_or_name):
        arn = arn_or_name if ":" in arn_or_name else group_arn(context, name)
        raise ApiError("ValidationException", f"ModelPackageGroup {arn} does not exist.")
    return group


def group_arn(context: Context, name: str) -> str:
    return context.arn(f"model-package-group/{name}")


def identity(context: Context) -> Document:
    """The UserContext of a caller that signed with whatever credentials it had."""
    return {
        "IamIdentity": {
            "Arn": f"arn:aws:iam::{context.account}:root",
            "PrincipalId": context.account,
        }
    }


OPERATIONS: Operations = {
    "CreateModelPackageGroup": create_group,
    "DescribeModelPackageGroup": describe_group,
    "ListModelPackageGroups": list_groups,
    "DeleteModelPackageGroup": delete_group,
}
