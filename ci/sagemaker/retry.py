"""Decides what is tried again, and where.

botocore's `standard` mode retries throttling, 5xx and connection errors within one call. It
does not cover answers whose body cannot be parsed or breaks off while it is streamed, nor the
refusals that pass by themselves (a conflict with a parallel update, tags that have not spread
yet). `persist` covers those, here and nowhere else, and never what botocore has tried already.
Following an execution needs neither: its next poll is the retry, so it polls through clients
that make one attempt (`Clients.once`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ci.errors import AwsError

T = TypeVar("T")

BODY_FAULTS = frozenset({"ResponseParserError", "IncompleteReadError", "ResponseStreamingError"})

UNREACHABLE = frozenset(
    {
        "EndpointConnectionError",
        "ConnectionError",
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "HTTPClientError",
        "ProxyConnectionError",
        "SSLError",
    }
)

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)

EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "CredentialRetrievalError",
        "ExpiredIdentityToken",
        "ExpiredCredentials",
    }
)

# botocore's own names for credentials that cannot be had: a sign-in that ran out, a door that
# gives none.
UNOBTAINED = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "MetadataRetrievalError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "RefreshWithMFAUnsupportedError",
    }
)

# The calls that give credentials, whoever makes them.
GIVING = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})

_PASSING = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "InternalFailure"}
    | {"InternalError", "InternalServerError", "ServiceUnavailableException"}
)

# What a wrong clock shows as: boto3 does not correct it, the machine's time service does.
CLOCK = frozenset({"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"})

_GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "404"})
_GONE_WORDS = ("could not find", "cannot find", "does not exist")


def is_transient(error: AwsError) -> bool:
    """Whether the same call may succeed later although nobody changes anything."""
    if error.code in BODY_FAULTS | UNREACHABLE | THROTTLED | _PASSING | CLOCK:
        return True
    if error.status is not None and (error.status >= 500 or error.status == 429):
        return True
    return "rate exceeded" in error.what.lower()


def is_expired(error: AwsError) -> bool:
    """Whether new credentials would make the call succeed."""
    return error.code in EXPIRED


def lacks_credentials(error: AwsError) -> bool:
    """Whether a call failed for want of credentials: they expired, or cannot be had. What it was
    about may be well."""
    return error.code in EXPIRED | UNOBTAINED or error.operation in GIVING


def is_gone(error: AwsError) -> bool:
    """Whether there is nothing of that name. SageMaker says so of most things only in words."""
    return error.code in _GONE or (
        error.code == "ValidationException"
        and any(words in error.what.lower() for words in _GONE_WORDS)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a call is made, and the seconds between: `first`, doubled up to `ceiling`."""

    attempts: int = 5
    first: float = 0.5
    ceiling: float = 8.0

    def pause(self, attempt: int) -> float:
        return float(min(self.ceiling, self.first * 2**attempt))


_PATIENCE = Patience()


def persist(
    call: Callable[[], T],
    *,
    sleep: Callable[[float], None],
    codes: frozenset[str],
    faults: frozenset[str] = BODY_FAULTS,
) -> T:
    """`call()`, again while it ends in one of `faults` or `codes`; without `faults` for what may
    be done once.

    Raises the last AwsError when `_PATIENCE` is at its end, any other at once.
    """
    for attempt in range(_PATIENCE.attempts - 1):
        try:
            return call()
        except AwsError as error:
            if error.code not in faults | codes:
                raise
        sleep(_PATIENCE.pause(attempt))
    return call()
