"""Checks of the token that comments are posted with: what can be read of it without writing."""

from collections.abc import Iterator, Mapping
from typing import Any

from ci.doctor.model import Finding, Site, State, fail, ok, warn
from ci.forge.answers import permissions_block
from ci.posting.marking import PULL_REQUEST
from ci.posting.refusals import wanted_permissions
from ci.project.model import ForgeKind, ReportSettings

_SECONDS = 10.0
_API = "https://api.github.com"
_WRITES = ("push", "maintain", "admin")
_SCOPES = frozenset({"repo", "public_repo"})


def check_token(site: Site) -> Iterator[Finding]:
    """Whether there is a token, whether it reads this repository, and what it says it may."""
    kind = _kind(site)
    if kind is not None and kind is not ForgeKind.GITHUB:
        what = f"the token for {kind.value} is not looked at: GitHub's alone is"
        yield Finding(state=State.SKIPPED, what=what)
        return
    token = (site.environ.get("GITHUB_TOKEN") or site.environ.get("GH_TOKEN") or "").strip()
    if not site.repository:
        yield warn("which repository this is cannot be told: no comment is posted")
        return
    if not token:
        yield warn(
            "there is no token: no comment is posted, nor is what was reviewed looked up",
            fix=f"GITHUB_TOKEN: ${{{{ github.token }}}}\n{_permissions(site)}",
        )
        return
    yield from _ask(site, token)


def _kind(site: Site) -> ForgeKind | None:
    from ci.forge.opening import kind_of

    if site.project is not None and site.project.forge.kind is not None:
        return site.project.forge.kind
    return None if site.trigger is None else kind_of(site.trigger, site.environ)


def _ask(site: Site, token: str) -> Iterator[Finding]:
    import requests

    address = (site.environ.get("GITHUB_API_URL") or _API).rstrip("/")
    url = f"{address}/repos/{site.repository}"
    try:
        answer = requests.get(
            url,
            headers={"Accept": "application/vnd.github+json"},
            auth=_bearer(token),
            timeout=_SECONDS,
            allow_redirects=False,
        )
        body = answer.json() if answer.content else {}
    except (requests.RequestException, ValueError) as error:
        yield warn(f"the forge cannot be reached: {type(error).__name__}", where=url)
        return
    yield judge_answer(
        answer.status_code,
        answer.headers,
        body if isinstance(body, dict) else {},
        where=url,
        wanted=_permissions(site),
        job="ACTIONS_RUNTIME_TOKEN" in site.environ or site.environ.get("GITHUB_ACTIONS") == "true",
    )


def judge_answer(
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    where: str,
    wanted: str,
    job: bool,
) -> Finding:
    """What GitHub tells of a token with a repository (REST API, "Get a repository"). `wanted` are
    the permissions that a job has use for, as YAML."""
    if status != 200:
        return _refused(status, where, wanted)
    scopes = {each.strip() for each in headers.get("X-OAuth-Scopes", "").split(",") if each.strip()}
    if scopes and not scopes & _SCOPES:
        return fail(
            f"the token's scopes are {', '.join(sorted(scopes))}: it may not comment",
            where=where,
            fix="a token with the scope repo, or a fine-grained one with pull requests: write",
        )
    held = body.get("permissions")
    if not isinstance(held, Mapping):
        told = "the workflow's `permissions:` say what it may" if job else "it does not say what"
        return ok(f"the token reads the repository; {told}", where=where)
    if not any(held.get(name) for name in _WRITES) and not job:
        return warn(
            "whose token this is may only read: comments will be refused",
            where=where,
            fix="a token of somebody who may write",
        )
    return ok("the token reads the repository, and may write", where=where)


def _permissions(site: Site) -> str:
    """What a job needs for all that the project file asks of the forge."""
    settings = site.project.report if site.project is not None else ReportSettings()
    deploys = site.environment is None or site.environment.name != PULL_REQUEST
    wanted = wanted_permissions(settings, comment=True, deploys=deploys, oidc=True)
    return permissions_block(wanted)


def _refused(status: int, where: str, wanted: str) -> Finding:
    if status == 401:
        return fail("the token is not valid", where=where, fix="GITHUB_TOKEN: ${{ github.token }}")
    if status in {301, 307, 308}:
        return warn("the repository was renamed", where=where, fix="git remote set-url origin ...")
    if status in {403, 404}:
        return fail(
            "the token does not see this repository",
            where=where,
            fix=wanted,
        )
    return warn(f"the forge answers HTTP {status}", where=where)


def _bearer(token: str) -> Any:
    """As `auth`, so that a .netrc file can not put another password in its place."""
    import requests

    class Bearer(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

    return Bearer()
