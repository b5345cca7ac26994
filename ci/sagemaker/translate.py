"""Decides what a botocore exception means to the reader: one AwsError with the way out."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ci.errors import AwsError
from ci.sagemaker.retry import CLOCK, EXPIRED, GIVING, THROTTLED, UNOBTAINED, UNREACHABLE

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"})
_NO_CREDENTIALS = UNOBTAINED | {"ProfileNotFound"}

# From the Service Authorization Reference: calls whose IAM action has another name.
_ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "lambda:GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
}

_TOLERATED = 240.0  # seconds that this machine's clock may be off; AWS takes 300

# A HEAD that is refused has no body.
_UNTOLD = (
    (
        "The answer to a HEAD gives no reason: most often the credentials have expired, or the"
        " bucket is in another region."
    ),
    "Renew the credentials (aws sso login, or the job's role), look at `region:`, and run again.",
)

_NOT_AUTHORIZED = re.compile(
    r"not authorized to perform:? (?P<action>[a-zA-Z0-9-]+:[A-Za-z0-9*]+)"
    r"(?: on resource:? (?P<resource>\S+))?"
)


@contextmanager
def translated(service: str, operation: str, where: str | None = None) -> Iterator[None]:
    """Turns what botocore raises inside into an AwsError. `service` is boto3's name of it."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        if error.operation_name in GIVING:
            # Made by botocore itself, for the credentials that the call is to be signed with.
            service, operation = "sts", error.operation_name
        raise _refused(service, operation, where, error.response) from error
    except (BotoCoreError, ResponseParserError, HTTPError) as error:
        raise _unanswered(service, operation, where, error) from error


def _refused(
    service: str, operation: str, where: str | None, response: Mapping[str, object]
) -> AwsError:
    details = response.get("Error")
    details = details if isinstance(details, Mapping) else {}
    code = str(details.get("Code") or "Unknown")
    message = str(details.get("Message") or "").strip() or "no message"
    metadata = response.get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
    why, fix = _explain_clock(code, metadata) or _explain(service, operation, code, message)
    return AwsError(
        f"{operation} was refused: {code}: {message}",
        code=code,
        operation=operation,
        status=status if isinstance(status, int) else None,
        where=where,
        why=why,
        fix=fix,
    )


def _unanswered(service: str, operation: str, where: str | None, error: BaseException) -> AwsError:
    code = type(error).__name__
    if code in {"ProtocolError", "IncompleteRead"}:
        code = "ResponseStreamingError"
    if code == "ParamValidationError":
        hint: tuple[str | None, str | None] = (
            "A value does not have the form that the API takes.",
            "Correct the value named above.",
        )
    else:
        hint = _explain(service, operation, code, str(error))
    what = f"{operation} got no usable answer: {code}: {error}"
    return AwsError(what, code=code, operation=operation, where=where, why=hint[0], fix=hint[1])


def _explain_clock(code: str, metadata: object) -> tuple[str, str] | None:
    """Signatures and temporary keys are judged by AWS's clock, which its answer tells."""
    headers = metadata.get("HTTPHeaders") if isinstance(metadata, Mapping) else None
    if code not in CLOCK | EXPIRED or not isinstance(headers, Mapping):
        return None
    try:
        theirs = parsedate_to_datetime(str(headers.get("date")))
    except ValueError:
        return None
    off = (datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds()
    if abs(off) < _TOLERATED:
        return None
    state = f"{abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'} AWS's"
    return (
        f"The clock of this machine is {state}; AWS takes at most five minutes.",
        "Set the clock (timedatectl set-ntp true, or chronyc makestep), then run again.",
    )


def _explain(
    service: str, operation: str, code: str, message: str
) -> tuple[str | None, str | None]:
    if code in DENIED:
        return _denied(service, operation, message)
    if code in EXPIRED:
        return (
            "The credentials have expired or were revoked.",
            (
                "Sign in again (aws sso login), or let the job assume its role anew while it runs:"
                " in GitHub Actions give it `permissions: id-token: write` and the action"
                " `role-to-assume`."
            ),
        )
    if code in _NO_CREDENTIALS:
        return (
            "No AWS credentials were found in the environment, the profiles or the container.",
            (
                "In GitHub Actions give the action `role-to-assume` and the job `permissions:"
                " id-token: write`, or run aws-actions/configure-aws-credentials first; on a laptop"
                " run `aws sso login` and set AWS_PROFILE."
            ),
        )
    if code in THROTTLED:
        return (
            "Too many calls at once on this account and region.",
            "Run fewer jobs at a time, or ask for a higher quota in Service Quotas.",
        )
    if code in UNREACHABLE:
        return (
            "The endpoint cannot be reached: name resolution, proxy, VPC endpoint or region.",
            "Check the region's name and the network of this machine, then run again.",
        )
    return _explain_service(service, code, message)


def _explain_service(service: str, code: str, message: str) -> tuple[str | None, str | None]:
    match code:
        case "NoSuchBucket":
            return (
                "The bucket does not exist in this account and region.",
                (
                    "Create it (`aws s3 mb s3://NAME`), or name another in sagemaker-gitops.yaml:\n"
                    "artifacts:\n  bucket: NAME"
                ),
            )
        case "ResourceNotFound" | "ResourceNotFoundException":
            return (
                "Nothing of this name is in this account and region.",
                "Check the name, the region, and the account (aws sts get-caller-identity).",
            )
        case "ResourceLimitExceeded" | "LimitExceededException":
            return "A quota of this account is used up.", "Ask for more in Service Quotas."
        case "ConflictException" | "ResourceConflictException":
            return "Another change to the same resource is under way.", "Run again in a minute."
        case "ValidationException" if service == "sagemaker" and "role" in message.lower():
            return (
                "SageMaker cannot assume the role.",
                "The role's trust policy must allow sagemaker.amazonaws.com.",
            )
        case _:
            return _UNTOLD if code == "400" else (None, None)


def _denied(service: str, operation: str, message: str) -> tuple[str, str]:
    found = _NOT_AUTHORIZED.search(message)
    plain = f"{service.removesuffix('-runtime')}:{operation}"
    action = found["action"] if found else _ACTIONS.get(plain, plain)
    resource = (found["resource"] or "*").rstrip(".,") if found else "*"
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    allow = "llow it in the policy of the role this runs with:\n" + json.dumps(statement)
    if plain == "s3:HeadBucket":
        # Asked of the artifact bucket alone; the answer to a HEAD gives no reason.
        return (
            (
                "The bucket belongs to another account (bucket names are shared by all), or the"
                f" credentials in use may not do {action} on it."
            ),
            f"Name a bucket of this account:\nartifacts:\n  bucket: NAME\nor a{allow}",
        )
    return f"The credentials in use may not do {action}.", f"A{allow}"
