"""What stands in an account already: not made a second time, or made use of."""

from ci.bootstrap import artifacts, github
from ci.bootstrap.model import Setup
from ci.bootstrap.template import LARGEST_BODY
from ci.errors import AwsError, UsageError
from ci.sagemaker.artifacts import Artifacts
from ci.sagemaker.clients import Clients
from ci.sagemaker.stacks import Stack

_MISSING = frozenset({"404", "NoSuchBucket", "NotFound"})


def known_parameters(clients: Clients, template: str, stack: Stack | None) -> dict[str, str]:
    """Parameters that follow from what the account holds: its OIDC provider for GitHub, of which
    there can be one, unless this stack is who made it."""
    if template != github.NAME or (stack is not None and not stack.empty):
        return {}
    answer = clients.call("iam", "ListOpenIDConnectProviders", {})
    for provider in answer.get("OpenIDConnectProviderList") or ():
        if provider["Arn"].endswith(f"oidc-provider/{github.ISSUER}"):
            return {"OidcProvider": provider["Arn"]}
    return {}


def stands_already(
    clients: Clients, template: str, stack: Stack | None, setup: Setup
) -> str | None:
    """Why a template has nothing to make; None where it has."""
    if template != artifacts.NAME or setup.bucket is None:
        return None
    if stack is not None and not stack.empty:
        return None
    try:
        clients.call("s3", "HeadBucket", {"Bucket": setup.bucket}, where=f"s3://{setup.bucket}")
    except AwsError as error:
        if error.code in _MISSING:
            return None
        raise
    return f"the bucket {setup.bucket} is there already, and was not made by this stack"


def store_template(clients: Clients, setup: Setup, body: str) -> str:
    """The URL of a template that is too large for a request, in the bucket of artifacts."""
    if setup.bucket is None:
        raise UsageError(
            f"a template is larger than the {LARGEST_BODY} bytes that CloudFormation takes in a"
            " request, and no bucket is named to put it into",
            fix="artifacts:\n  bucket: NAME",
        )
    try:
        key = Artifacts(clients).put_bytes(
            body.encode(), "template.yaml", bucket=setup.bucket, prefix=f"{setup.prefix}/templates"
        )
    except AwsError as error:
        if error.code not in _MISSING:
            raise
        raise AwsError(
            f"a template is larger than the {LARGEST_BODY} bytes that CloudFormation takes in a"
            " request, and the bucket that it goes through is not there yet",
            code=error.code,
            operation=error.operation,
            status=error.status,
            where=f"s3://{setup.bucket}",
            why="Its own stack comes first, and a preview makes nothing.",
            fix="sagemaker-gitops bootstrap artifacts --deploy --yes",
        ) from error
    if clients.endpoint is not None:
        return f"{clients.endpoint}/{setup.bucket}/{key}"
    china = ".cn" if clients.region.startswith("cn-") else ""
    return f"https://{setup.bucket}.s3.{clients.region}.amazonaws.com{china}/{key}"
