"""Deploy: bring an approved model package to an endpoint. Runs as a Lambda function.

Names follow from the package, so that the function may run twice: what is already there is used.
An endpoint takes minutes to come up on AWS and a function has fifteen at most, so this one asks
for the change and returns: `Deploying` is what it knows, the endpoint's status tells the rest.
"""

import hashlib
import time

import boto3
from botocore.exceptions import ClientError

VARIANT = "AllTraffic"
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
PATIENCE = 300  # seconds for an earlier change of the same endpoint to end


def handler(event, context):
    """`{"status": "Deployed" | "Deploying" | "NotApproved", "endpoint", "model_package_arn"}`.

    The event holds model_package_arn, endpoint_name, role (an ARN) and instance_type.
    """
    sagemaker = boto3.client("sagemaker")
    arn, endpoint = event["model_package_arn"], event["endpoint_name"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    answer = {
        "endpoint": endpoint,
        "model_package_arn": arn,
        "approval": package.get("ModelApprovalStatus", "PendingManualApproval"),
    }
    if answer["approval"] != "Approved":
        return {**answer, "status": "NotApproved"}

    instance_type = event.get("instance_type", "ml.m5.large")
    role = event.get("role") or event["role_arn"]
    config = name_for(endpoint, arn, role, instance_type)
    tags = own_tags(context)
    create(
        sagemaker.create_model,
        Tags=tags,
        ModelName=config,
        PrimaryContainer={"ModelPackageName": arn},
        ExecutionRoleArn=role,
    )
    create(
        sagemaker.create_endpoint_config,
        Tags=tags,
        EndpointConfigName=config,
        ProductionVariants=[
            {
                "VariantName": VARIANT,
                "ModelName": config,
                "InitialInstanceCount": 1,
                "InstanceType": instance_type,
            }
        ],
    )
    status = point(sagemaker, endpoint, config, tags, deadline(context))
    return {**answer, "status": status}


def own_tags(context):
    """This function's own tags: what it makes belongs to whom it belongs, and goes with it."""
    if context is None:
        return []
    arn = ":".join(context.invoked_function_arn.split(":")[:7])  # without a version
    try:
        held = boto3.client("lambda").list_tags(Resource=arn)["Tags"]
    except ClientError as error:  # a role that may not look deploys all the same
        print(f"the function's tags cannot be read: {error}")
        return []
    return [{"Key": key, "Value": held[key]} for key in sorted(held) if not key.startswith("aws:")]


def name_for(endpoint, arn, role, instance_type):
    """One name, of at most 63 characters, for one package on one kind of endpoint."""
    digest = hashlib.sha256(f"{arn}|{role}|{instance_type}".encode()).hexdigest()[:12]
    version = arn.rsplit("/", 1)[-1][:16]
    return f"{endpoint[:32].rstrip('-')}-{version}-{digest}"


def create(operation, **arguments):
    """Call a create operation; what exists under this name is what was wanted."""
    try:
        operation(**arguments)
    except ClientError as error:
        if "already existing" not in error.response["Error"]["Message"]:
            raise


def deadline(context):
    """Until when to wait for an earlier change: well before the function is cut off."""
    left = context.get_remaining_time_in_millis() / 1000 - 20 if context else PATIENCE
    return time.monotonic() + max(0, min(left, PATIENCE))


def point(sagemaker, endpoint, config, tags, until):
    """Make the endpoint serve the config; returns Deployed or Deploying."""
    while True:
        state = describe(sagemaker, endpoint)
        if state is None:
            sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config, Tags=tags)
            return "Deploying"
        pending = state.get("PendingDeploymentSummary") or state
        status, serves = state["EndpointStatus"], pending.get("EndpointConfigName") == config
        if status == "InService" and serves:
            return "Deployed"
        if status in ("Creating", "Updating") and serves:
            return "Deploying"
        if status == "InService":
            sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
            return "Deploying"
        if status not in BUSY:  # Failed, OutOfService: nothing is served, and only a delete helps
            sagemaker.delete_endpoint(EndpointName=endpoint)
        if time.monotonic() >= until:
            raise RuntimeError(
                f"endpoint {endpoint} is still {status} from an earlier change; run again later"
            )
        time.sleep(2)


def describe(sagemaker, endpoint):
    try:
        return sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
