"""Decides what a forge's token may do, by what can be read of it without writing.

One request each, or two: who asks has little time, and a forge that does not answer is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ci.doctor.model import Finding, fail, ok, warn
from ci.forge.bitbucket import manners_of
from ci.forge.gitlab import MANNERS
from ci.forge.http import GITHUB, HeaderAuth, Manners

_SECONDS = 10.0
_READS = "the token reads the repository"
_WRITES = ("push", "maintain", "admin")
_SCOPES = frozenset({"repo", "public_repo"})
_DEVELOPER = 30  # GitLab docs, "Members API": access levels
_SOON = timedelta(days=14)
# Of access tokens, and of API tokens (Bitbucket Cloud, "API token permissions").
_BITBUCKET = frozenset({"pullrequest:write", "write:pullrequest:bitbucket"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A token, the API's address that it is for, and the repository there."""

    address: str
    token: str = field(repr=False)
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`status` is 0 where no answer came: `body` says why then."""

    where: str
    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


def ask_github(held: Held, *, wanted: str, job: bool) -> Finding:
    """`wanted` are the permissions that a job has use for, as YAML; `job` says that it is a
    job's own token."""
    found = _get(held, f"/repos/{held.repository}", GITHUB, held.token)
    return judge_github(found, wanted=wanted, job=job)


def judge_github(found: Reply, *, wanted: str, job: bool) -> Finding:
    """What GitHub tells of a token with a repository (REST API, "Get a repository")."""
    if found.status != 200:
        return _refused(found, valid="GITHUB_TOKEN: ${{ github.token }}", rights=wanted)
    scopes = _scopes(found)
    if scopes and not scopes & _SCOPES:
        return fail(
            f"the token's scopes are {', '.join(sorted(scopes))}: it may not comment",
            where=found.where,
            fix="a token with the scope repo, or a fine-grained one with pull requests: write",
        )
    rights = found.body.get("permissions")
    if not isinstance(rights, Mapping):
        told = "the workflow's `permissions:` say what it may" if job else "it does not say what"
        return ok(f"{_READS}; {told}", where=found.where)
    if not any(rights.get(name) for name in _WRITES) and not job:
        return warn(
            "whose token this is may only read: comments will be refused",
            where=found.where,
            fix="a token of somebody who may write",
        )
    return ok(f"{_READS}, and may write", where=found.where)


def ask_gitlab(held: Held, *, now: float) -> Finding:
    """`now` is in epoch seconds."""
    token = _get(held, "/personal_access_tokens/self", MANNERS, held.token)
    project = _get(held, f"/projects/{quote(held.repository, safe='')}", MANNERS, held.token)
    return judge_gitlab(token, project, today=datetime.fromtimestamp(now, UTC).date())


def judge_gitlab(token: Reply, project: Reply, *, today: date) -> Finding:
    """`token` is what GitLab tells of itself of personal, project and group access tokens (GitLab
    docs, "Personal access tokens API"), and of no others; `project` of the role."""
    needed = MANNERS.advice or ""
    if project.status != 200:
        return _refused(project, valid=needed, rights=needed)
    scopes = token.body.get("scopes")
    if isinstance(scopes, list) and "api" not in scopes:
        told = ", ".join(sorted(map(str, scopes))) or "none"
        return fail(
            f"the token's scopes are {told}: it may not comment", where=project.where, fix=needed
        )
    level = max(_levels(project.body), default=None)
    if level is not None and level < _DEVELOPER:
        return warn(
            "the token's role is below Developer: statuses beside commits will be refused",
            where=project.where,
            fix=needed,
        )
    ends = _date(token.body.get("expires_at"))
    if ends is not None and ends - today <= _SOON:
        return warn(f"the token ends on {ends}", where=project.where, fix=f"renew it: {needed}")
    told = ", and may write" if level is not None and isinstance(scopes, list) else ""
    return ok(f"{_READS}{told}", where=project.where)


def _levels(project: Mapping[str, Any]) -> list[int]:
    rights = project.get("permissions")
    held = rights.values() if isinstance(rights, Mapping) else ()
    levels = (each.get("access_level") for each in held if isinstance(each, Mapping))
    return [level for level in levels if isinstance(level, int)]


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def ask_bitbucket(held: Held) -> Finding:
    manners, token = manners_of(held.token)
    return judge_bitbucket(_get(held, f"/repositories/{held.repository}", manners, token))


def judge_bitbucket(found: Reply) -> Finding:
    """Bitbucket names a token's scopes with every answer (support.atlassian.com, "How to fetch
    the scope of a token via command line")."""
    needed = manners_of("")[0].advice or ""
    if found.status != 200:
        return _refused(found, valid=needed, rights=needed)
    scopes = _scopes(found)
    if scopes and not scopes & _BITBUCKET:
        return fail(
            f"the token's scopes are {', '.join(sorted(scopes))}: it may not comment",
            where=found.where,
            fix=needed,
        )
    told = ", and may comment" if scopes else "; it does not say what it may"
    return ok(f"{_READS}{told}", where=found.where)


def _scopes(found: Reply) -> frozenset[str]:
    listed = found.headers.get("X-OAuth-Scopes", "").split(",")
    return frozenset(each.strip() for each in listed if each.strip())


def _refused(found: Reply, *, valid: str, rights: str) -> Finding:
    """`valid` is the way to a valid token, `rights` are those it needs."""
    if found.status == 0:
        return warn(f"the forge cannot be reached: {found.body.get('why')}", where=found.where)
    if found.status == 401:
        return fail("the token is not valid", where=found.where, fix=valid)
    if found.status in {301, 307, 308}:
        fix = "git remote set-url origin ..."
        return warn("the repository was renamed", where=found.where, fix=fix)
    if found.status in {403, 404}:
        return fail("the token does not see this repository", where=found.where, fix=rights)
    return warn(f"the forge answers HTTP {found.status}", where=found.where)


def _get(held: Held, path: str, manners: Manners, token: str) -> Reply:
    import requests

    url = f"{held.address}{path}"
    try:
        answer = requests.get(
            url,
            headers=dict(manners.headers),
            auth=HeaderAuth(manners.header, f"{manners.prefix}{token}"),
            timeout=_SECONDS,
            allow_redirects=False,
        )
        body = answer.json() if answer.status_code == 200 else {}
    except (requests.RequestException, ValueError, RecursionError) as error:
        return Reply(where=url, status=0, headers={}, body={"why": type(error).__name__})
    held_body = body if isinstance(body, dict) else {}
    return Reply(where=url, status=answer.status_code, headers=answer.headers, body=held_body)
