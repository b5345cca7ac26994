"""The model registry: versions of a group, their approval, and what may change about them.

A package is immutable but for its approval, its customer metadata, its life cycle and its source;
its version number is never given out twice.
"""

from ci.local.api import groups
from ci.local.api.groups import find_group, identity
from ci.local.api.listing import page, select
from ci.local.api.tags import put_tags
from ci.local.api.tokens import fingerprint
from ci.local.context import ApiError, Context, Operations
from ci.local.store import Document

KIND = "model_package"
_COUNTER = "model_package_counter"
_TOKEN = "model_package_token"  # noqa: S105 - a kind of record, no secret

_NOT_RECORDED = frozenset({"Tags", "ClientToken", "ModelPackageName", "ModelPackageGroupName"})
_SUMMARY = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)
_BATCH_SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
)
_REPLACED_BY_UPDATE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)
_METADATA_LIMIT = 50


def create_package(context: Context, request: Document) -> Document:
    """The same ClientToken and request give the same package, however often they come."""
    group, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
    if group and name:
        raise ApiError(
            "ValidationException",
            "Both ModelPackageName and ModelPackageGroupName are provided in the input."
            " Cannot determine which one to use.",
        )
    if not group and not name:
        raise ApiError("ValidationException", "Missing ARN.")
    with context.store.transaction():
        seen = _seen(context, request)
        if seen:
            return {"ModelPackageArn": seen}
        body = _versioned(context, request) if group else _unversioned(context, request)
        arn = str(body["ModelPackageArn"])
        context.store.put(KIND, arn, body, parent=body.get("ModelPackageGroupName", ""))
        put_tags(context, arn, request.get("Tags", []))
        _remember(context, request, arn)
    return {"ModelPackageArn": arn}


def _seen(context: Context, request: Document) -> str | None:
    token = request.get("ClientToken")
    record = context.store.get(_TOKEN, token) if token else None
    if record is None or context.store.get(KIND, record["arn"]) is None:
        return None
    if record["request"] != fingerprint(request):
        raise ApiError(
            "ConflictException",
            f"ClientToken {token} was used before, with other parameters, for {record['arn']}.",
        )
    return str(record["arn"])


def _remember(context: Context, request: Document, arn: str) -> None:
    token = request.get("ClientToken")
    if token:
        record = {"arn": arn, "request": fingerprint(request)}
        context.store.put(_TOKEN, token, record)


def _versioned(context: Context, request: Document) -> Document:
    group = find_group(context, request["ModelPackageGroupName"])["ModelPackageGroupName"]
    counter = context.store.get(_COUNTER, group) or {"last": 0}
    version = int(counter["last"]) + 1
    context.store.put(_COUNTER, group, {"last": version})
    return _body(context, request) | {
        "ModelPackageName": group,
        "ModelPackageGroupName": group,
        "ModelPackageVersion": version,
        "ModelPackageArn": context.arn(f"model-package/{group}/{version}"),
        "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
    }


def _unversioned(context: Context, request: Document) -> Document:
    name = request["ModelPackageName"]
    arn = context.arn(f"model-package/{name}")
    if context.store.get(KIND, arn):
        raise ApiError("ValidationException", f"Model Package already exists: {arn}")
    return _body(context, request) | {"ModelPackageName": name, "ModelPackageArn": arn}


def _body(context: Context, request: Document) -> Document:
    given = {name: value for name, value in request.items() if name not in _NOT_RECORDED}
    return {
        "CertifyForMarketplace": False,
        **given,
        "CreationTime": context.clock(),
        "CreatedBy": identity(context),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }


def describe_package(context: Context, request: Document) -> Document:
    body = find_package(context, request["ModelPackageName"])
    if request.get("IncludedData") == "MetadataOnly":
        body.pop("ModelMetrics", None)
    return body


def find_package(context: Context, name: str) -> Document:
    """The package under an ARN, `group/version` or name. Raises ValidationException."""
    arn = name if name.startswith("arn:") else context.arn(f"model-package/{name}")
    body = context.store.get(KIND, arn)
    if body is None:
        raise ApiError("ValidationException", f"ModelPackage {arn} does not exist.")
    return body


def list_packages(context: Context, request: Document) -> Document:
    by_name = request.get("SortBy") == "Name"
    approval = request.get("ModelApprovalStatus")
    found = [
        package
        for package in select(_candidates(context, request), request, name="ModelPackageName")
        if approval is None or package.get("ModelApprovalStatus") == approval
    ]

    def key(package: Document) -> tuple[object, ...]:
        place = (package["ModelPackageName"], package.get("ModelPackageVersion", 0))
        return place if by_name else (package["CreationTime"], *place)

    chosen, more = page(found, request, key=key, order="Ascending")
    return {"ModelPackageSummaryList": [_pick(package, _SUMMARY) for package in chosen], **more}


def _candidates(context: Context, request: Document) -> list[Document]:
    """Without a group or a type only unversioned packages are listed, as the API documents."""
    group = request.get("ModelPackageGroupName")
    if group:
        return context.store.all(KIND, parent=group.rsplit("/", 1)[-1])
    match request.get("ModelPackageType", "Unversioned"):
        case "Both":
            return context.store.all(KIND)
        case "Versioned":
            return [p for p in context.store.all(KIND) if "ModelPackageVersion" in p]
        case _:
            return context.store.all(KIND, parent="")


def _pick(package: Document, fields: tuple[str, ...]) -> Document:
    return {field: package[field] for field in fields if field in package}


def update_package(context: Context, request: Document) -> Document:
    arn = request["ModelPackageArn"]
    with context.store.transaction():
        before = find_package(context, arn)
        after = _updated(before, request) | {
            "LastModifiedTime": context.clock(),
            "LastModifiedBy": identity(context),
        }
        context.store.put(KIND, arn, after)
    return {"ModelPackageArn": arn}


def _updated(package: Document, request: Document) -> Document:
    changed = package | _pick(request, _REPLACED_BY_UPDATE)
    metadata = {
        **package.get("CustomerMetadataProperties", {}),
        **request.get("CustomerMetadataProperties", {}),
    }
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        metadata.pop(key, None)
    if len(metadata) > _METADATA_LIMIT:
        raise ApiError(
            "ValidationException",
            f"CustomerMetadataProperties may hold at most {_METADATA_LIMIT} entries,"
            f" and would hold {len(metadata)}.",
        )
    changed.pop("CustomerMetadataProperties", None)
    if metadata:
        changed["CustomerMetadataProperties"] = metadata
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    if added:
        field = "AdditionalInferenceSpecifications"
        changed[field] = [*package.get(field, []), *added]
    return changed


def delete_package(context: Context, request: Document) -> Document:
    with context.store.transaction():
        arn = find_package(context, request["ModelPackageName"])["ModelPackageArn"]
        context.store.delete(KIND, arn)
        context.store.delete("tags", arn)
    return {}


def batch_describe_packages(context: Context, request: Document) -> Document:
    found: Document = {}
    missing: Document = {}
    for arn in request["ModelPackageArnList"]:
        package = context.store.get(KIND, arn)
        if package and "InferenceSpecification" in package:
            found[arn] = {"ModelPackageGroupName": package["ModelPackageName"]} | _pick(
                package, _BATCH_SUMMARY
            )
        else:
            missing[arn] = {
                "ErrorCode": "ValidationException",
                "ErrorResponse": f"ModelPackage {arn} does not exist.",
            }
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}


OPERATIONS: Operations = {
    **groups.OPERATIONS,
    "CreateModelPackage": create_package,
    "DescribeModelPackage": describe_package,
    "ListModelPackages": list_packages,
    "UpdateModelPackage": update_package,
    "DeleteModelPackage": delete_package,
    "BatchDescribeModelPackage": batch_describe_packages,
}
