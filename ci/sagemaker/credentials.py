"""Decides how credentials stay fresh through a run that outlives them.

botocore renews profiles, container and instance credentials by itself. What it cannot renew is
what GitHub's OIDC gives: the token in a file or variable is used once and expires within the
hour. Here the job asks GitHub for a new web identity token and assumes the role again, each
time botocore's RefreshableCredentials says that the end is near.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.translate import translated

AUDIENCE = "sts.amazonaws.com"
ROLE_VARIABLE = "SAGEMAKER_GITOPS_ROLE_TO_ASSUME"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebIdentity:
    """GitHub's OIDC door as a job sees it, and the role to assume through it. `chosen`: it was
    named for this program, and goes before any keys that the job has."""

    request_url: str
    request_token: str
    role: str
    session_name: str
    chosen: bool = False
    duration: int = 3600

    def __repr__(self) -> str:
        return f"WebIdentity(role={self.role!r})"


def find_web_identity(environ: Mapping[str, str]) -> WebIdentity | None:
    """The OIDC door of this job: it needs `id-token: write` and AWS_ROLE_TO_ASSUME (or
    AWS_ROLE_ARN without a token file, which botocore itself would use)."""
    url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    token = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    role = environ.get(ROLE_VARIABLE) or environ.get("AWS_ROLE_TO_ASSUME")
    if not role and not environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        role = environ.get("AWS_ROLE_ARN")
    if not (url and token and role):
        return None
    session = f"sagemaker-gitops-{environ.get('GITHUB_RUN_ID', 'run')}"
    return WebIdentity(
        request_url=url,
        request_token=token,
        role=role,
        session_name=session[:64],
        chosen=bool(environ.get(ROLE_VARIABLE)),
    )


def fetch_identity_token(identity: WebIdentity, *, timeout: float = 10.0) -> str:
    """A new web identity token from GitHub, good for a few minutes."""
    import requests

    try:
        answer = requests.get(
            identity.request_url,
            params={"audience": AUDIENCE},
            headers={"Authorization": f"bearer {identity.request_token}"},
            timeout=timeout,
        )
        answer.raise_for_status()
        token = answer.json().get("value")
    except (requests.RequestException, ValueError) as error:
        raise _no_token(identity, type(error).__name__) from error
    if not isinstance(token, str) or not token:
        raise _no_token(identity, "the answer holds no token")
    return token


def job_environment(
    identity: WebIdentity, *, fetch_token: Callable[[WebIdentity], str] = fetch_identity_token
) -> str | None:
    """The GitHub Environment that this job runs in; None where it names none. No variable tells:
    the identity token does, by its claim `environment` (GitHub docs, "OpenID Connect reference").
    AwsError where GitHub gives no token."""
    body = fetch_token(identity).split(".")[1:2]
    try:
        claims = json.loads(base64.urlsafe_b64decode("".join(body) + "=="))
    except (ValueError, RecursionError):
        raise _no_token(identity, "the answer holds no token") from None
    found = claims.get("environment") if isinstance(claims, dict) else None
    return found if isinstance(found, str) and found else None


def _no_token(identity: WebIdentity, problem: str) -> AwsError:
    return AwsError(
        f"GitHub gave no identity token: {problem}",
        code="CredentialRetrievalError",
        operation="AssumeRoleWithWebIdentity",
        where=identity.role,
        why="The job may not ask for one, or it ended.",
        fix="permissions:\n  id-token: write",
    )


def assume_role(
    identity: WebIdentity, sts: Any, *, fetch_token: Callable[[WebIdentity], str]
) -> dict[str, str]:
    """New credentials in the form that botocore's RefreshableCredentials takes."""
    token = fetch_token(identity)
    with translated("sts", "AssumeRoleWithWebIdentity", identity.role):
        answer = sts.assume_role_with_web_identity(
            RoleArn=identity.role,
            RoleSessionName=identity.session_name,
            WebIdentityToken=token,
            DurationSeconds=identity.duration,
        )
    found = answer["Credentials"]
    return {
        "access_key": found["AccessKeyId"],
        "secret_key": found["SecretAccessKey"],
        "token": found["SessionToken"],
        "expiry_time": found["Expiration"].isoformat(),
    }


def install_web_identity(
    session: Any,
    identity: WebIdentity,
    make_sts: Callable[[], Any],
    *,
    fetch_token: Callable[[WebIdentity], str] = fetch_identity_token,
) -> None:
    """Put the OIDC door first in the credential chain of a botocore session."""
    from botocore.credentials import CredentialProvider, RefreshableCredentials

    def refresh() -> dict[str, str]:
        return assume_role(identity, make_sts(), fetch_token=fetch_token)

    class GitHubIdentity(CredentialProvider):  # type: ignore[misc]  # botocore has no types
        METHOD = "sagemaker-gitops-github-oidc"
        CANONICAL_NAME = None

        def load(self) -> object:
            return RefreshableCredentials.create_from_metadata(
                refresh(), refresh_using=refresh, method=self.METHOD
            )

    resolver = session.get_component("credential_provider")
    resolver.providers.insert(0, GitHubIdentity())
