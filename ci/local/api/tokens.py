"""Whether a request with a ClientRequestToken is a new one or one that was done before."""

import hashlib
import json

from ci.local.context import ApiError, Context
from ci.local.store import Document

KIND = "token"


def done_before(context: Context, operation: str, scope: str, request: Document) -> str | None:
    """The ARN that this token made in `scope`, None where the token is new.

    Raises ApiError (ConflictException) where the token came with another request: AWS's rule for
    idempotent operations is that a token stands for one set of parameters.
    """
    record = context.store.get(KIND, _key(operation, scope, request))
    if record is None:
        return None
    if record["Request"] != fingerprint(request):
        raise ApiError(
            "ConflictException",
            f"ClientRequestToken {request['ClientRequestToken']} was used for another {operation}"
            f" request with different parameters, which made {record['Arn']}",
        )
    return str(record["Arn"])


def remember(
    context: Context,
    operation: str,
    scope: str,
    request: Document,
    arn: str,
    *,
    state: float | None = None,
) -> None:
    """Record what the token made. To be called in the transaction that makes it. `state` is the
    time of the last change before it."""
    body = {"Arn": arn, "Request": fingerprint(request), "State": state}
    context.store.put(KIND, _key(operation, scope, request), body, parent=scope)


def state_before(context: Context, operation: str, scope: str, request: Document) -> float | None:
    """The time of the last change before the token's request was taken, None where it was not."""
    record = context.store.get(KIND, _key(operation, scope, request))
    return None if record is None else record["State"]


def forget(context: Context, scope: str) -> None:
    context.store.delete_all(KIND, parent=scope)


def _key(operation: str, scope: str, request: Document) -> str:
    return f"{operation} {scope} {request['ClientRequestToken']}"


def fingerprint(request: Document) -> str:
    """Equal for requests that ask for the same."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
