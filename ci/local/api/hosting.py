"""Endpoints: which deployment answers, and what it takes to become another.

Creating -> InService or Failed; InService -> Updating -> InService, on the new configuration or,
where that does not come up, on the old one with a FailureReason. `endpoint_deployment` records
hold what is served and what is on its way, so that a restarted process goes on with both.
"""

import logging
import uuid
from functools import partial

from ci.local.api import models
from ci.local.api.launching import close_logs, launcher, open_logs
from ci.local.api.listing import page, select
from ci.local.api.models import find_config, resolve_variants, unsupported
from ci.local.api.tags import put_tags
from ci.local.context import ApiError, Context, Operations
from ci.local.serving.deployment import Container, Deployment, as_document, from_document
from ci.local.serving.fleet import (
    Fleet,
    FleetClosed,
    StartFailed,
    close_fleet,
    fleet_at,
    open_fleet,
)
from ci.local.store import Document

_LOG = logging.getLogger(__name__)

KIND = "endpoint"
DEPLOYMENT = "endpoint_deployment"
IN_WORK = frozenset({"Creating", "Updating"})
_REASON_LIMIT = 1024
_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")


def create_endpoint(context: Context, request: Document) -> Document:
    _check_deployment_config(request)
    name = request["EndpointName"]
    arn = context.arn(f"endpoint/{name}")
    deployment = _plan(context, request["EndpointConfigName"])
    now = context.clock()
    body = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": deployment.config,
        "EndpointStatus": "Creating",
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    with context.store.transaction():
        if context.store.get(KIND, name):
            raise ApiError(
                "ValidationException", f'Cannot create already existing endpoint "{arn}".'
            )
        context.store.put(KIND, name, body)
        context.store.put(DEPLOYMENT, name, {"current": None, "next": as_document(deployment)})
        put_tags(context, arn, request.get("Tags", []))
    resume_endpoint(context, name)
    return {"EndpointArn": arn}


def _check_deployment_config(request: Document) -> None:
    if request.get("DeploymentConfig", {}).get("AutoRollbackConfiguration"):
        raise unsupported("AutoRollbackConfiguration", "no alarms: a failed update rolls back")


def _plan(context: Context, config: str) -> Deployment:
    variants = resolve_variants(context, find_config(context, config))
    return Deployment(number=uuid.uuid4().hex[:12], config=config, variants=variants)


def update_endpoint(context: Context, request: Document) -> Document:
    _check_deployment_config(request)
    name = request["EndpointName"]
    with context.store.transaction():
        body = _settled(context, name)
        if body["EndpointStatus"] != "InService":
            raise ApiError(
                "ValidationException",
                f'Cannot update endpoint "{body["EndpointArn"]}" with status'
                f' "{body["EndpointStatus"]}". Delete it and create it anew.',
            )
        deployment = _plan(context, request["EndpointConfigName"])
        now = context.clock()
        body |= {
            "EndpointStatus": "Updating",
            "LastModifiedTime": now,
            "PendingDeploymentSummary": {"EndpointConfigName": deployment.config, "StartTime": now},
        }
        body.pop("FailureReason", None)
        context.store.put(KIND, name, body)
        context.store.update(DEPLOYMENT, name, next=as_document(deployment))
    resume_endpoint(context, name)
    return {"EndpointArn": body["EndpointArn"]}


def describe_endpoint(context: Context, request: Document) -> Document:
    resume_endpoint(context, request["EndpointName"])
    return find_endpoint(context, request["EndpointName"])


def find_endpoint(context: Context, name: str) -> Document:
    body = context.store.get(KIND, name)
    if body is None:
        arn = context.arn(f"endpoint/{name}")
        raise ApiError("ValidationException", f'Could not find endpoint "{arn}".')
    return body


def _settled(context: Context, name: str) -> Document:
    body = find_endpoint(context, name)
    if body["EndpointStatus"] in IN_WORK:
        raise ApiError(
            "ValidationException", f'Cannot update in-progress endpoint "{body["EndpointArn"]}".'
        )
    return body


def list_endpoints(context: Context, request: Document) -> Document:
    wanted = request.get("StatusEquals")
    field = {"Name": "EndpointName", "Status": "EndpointStatus"}.get(
        request.get("SortBy", ""), "CreationTime"
    )
    chosen, more = page(
        (
            endpoint
            for endpoint in select(context.store.all(KIND), request, name="EndpointName")
            if wanted in (None, endpoint["EndpointStatus"])
        ),
        request,
        key=lambda endpoint: (endpoint[field], endpoint["EndpointName"]),
        order="Descending",
    )
    return {"Endpoints": [{key: body[key] for key in _SUMMARY} for body in chosen], **more}


def delete_endpoint(context: Context, request: Document) -> Document:
    name = request["EndpointName"]
    with context.store.transaction():
        body = _settled(context, name)
        context.store.delete(KIND, name)
        context.store.delete(DEPLOYMENT, name)
        context.store.delete("tags", body["EndpointArn"])
    fleet_at(context.home).remove(name)
    return {}


def resume(context: Context) -> None:
    """Go on with every endpoint whose deployment was cut off. To be called once at the start."""
    fleet = open_fleet(context.home)
    open_logs(context)
    kept = {}
    for body in context.store.all(KIND):
        name = body["EndpointName"]
        record = context.store.get(DEPLOYMENT, name) or {}
        kept[name] = {part["number"] for part in record.values() if part is not None}
    fleet.prune(kept)
    for name in kept:
        resume_endpoint(context, name)


def close(context: Context) -> None:
    """Stop all serving processes, until `resume`. What is recorded stays as it is.

    To be called while S3 still answers: a download that fails then is no failure of the model.
    """
    close_fleet(context.home)
    close_logs(context)


def resume_endpoint(context: Context, name: str) -> None:
    """Work on the endpoint's next deployment in the background, unless that is being done."""
    record = context.store.get(DEPLOYMENT, name)
    if record is not None and record["next"] is not None:
        deployment = from_document(record["next"])
        fleet = fleet_at(context.home)
        work = partial(_deploy, context, fleet, name, deployment)
        fleet.run_job(name, deployment.number, work)


def _deploy(context: Context, fleet: Fleet, name: str, deployment: Deployment) -> None:
    try:
        running = fleet.start(name, deployment, launcher(context))
    except FleetClosed:
        return
    except (StartFailed, OSError) as error:
        _fail(context, name, deployment, str(error))
        fleet.discard(name, deployment)
        return
    with fleet.lock(name):
        taken = _succeed(context, name, deployment)
        old = fleet.swap(name, running) if taken else running
    fleet.retire(name, old)


def _succeed(context: Context, name: str, deployment: Deployment) -> bool:
    """Record that the deployment answers. False where another has taken its place."""
    with context.store.transaction():
        if not _is_next(context, name, deployment):
            return False
        body = find_endpoint(context, name)
        body.pop("PendingDeploymentSummary", None)
        body |= {
            "EndpointStatus": "InService",
            "EndpointConfigName": deployment.config,
            "ProductionVariants": _summaries(context, deployment),
            "LastModifiedTime": context.clock(),
        }
        context.store.put(KIND, name, body)
        served = {"current": as_document(deployment), "next": None}
        context.store.put(DEPLOYMENT, name, served)
        return True


def _fail(context: Context, name: str, deployment: Deployment, reason: str) -> None:
    _LOG.warning("endpoint %s: %s", name, reason)
    with context.store.transaction():
        if not _is_next(context, name, deployment):
            return
        record = context.store.update(DEPLOYMENT, name, next=None)
        body = find_endpoint(context, name)
        body.pop("PendingDeploymentSummary", None)
        body |= {
            "EndpointStatus": "Failed" if record["current"] is None else "InService",
            "FailureReason": shortened(reason),
            "LastModifiedTime": context.clock(),
        }
        context.store.put(KIND, name, body)


def _is_next(context: Context, name: str, deployment: Deployment) -> bool:
    record = context.store.get(DEPLOYMENT, name)
    following = None if record is None else record["next"]
    return following is not None and following["number"] == deployment.number


def shortened(reason: str) -> str:
    """At most as long as a FailureReason may be: the beginning, and the end of the log."""
    if len(reason) <= _REASON_LIMIT:
        return reason
    head = reason[:300].rsplit("\n", 1)[0]
    return f"{head}\n...\n{reason[-(_REASON_LIMIT - len(head) - 5) :]}"


def _summaries(context: Context, deployment: Deployment) -> list[Document]:
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [
                _image(context, container) for container in variant.containers if container.image
            ],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.count,
            "DesiredInstanceCount": variant.count,
        }
        for variant in deployment.variants
    ]


def _image(context: Context, container: Container) -> Document:
    return {
        "SpecifiedImage": container.image,
        "ResolvedImage": container.image,
        "ResolutionTime": context.clock(),
    }


OPERATIONS: Operations = {
    **models.OPERATIONS,
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "ListEndpoints": list_endpoints,
    "UpdateEndpoint": update_endpoint,
    "DeleteEndpoint": delete_endpoint,
}
