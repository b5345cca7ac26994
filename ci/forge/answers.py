"""What a forge's answer means: its JSON, or the error that it stands for."""

import json
import re
from collections.abc import Mapping
from typing import Any

import requests

from ci.errors import ForgeError
from ci.forge.model import CommentTooLong, PermissionMissing, UncertainWrite

# The second are the words of older GitHub Enterprise Servers.
_LIMITED = re.compile(r"rate limit|abuse detection", re.IGNORECASE)
# What GitHub refuses to everyone, or to every app: a locked conversation, a full one, a repository
# that was put away.
_CLOSED = re.compile(r"is locked|more than \d+ comments|was archived", re.IGNORECASE)
# GitHub's and GitLab's words, and Bitbucket's.
_TOO_LONG = re.compile(r"too long|at most \d+ characters|less than \d+ characters", re.IGNORECASE)


def refusal(
    method: str,
    answer: requests.Response,
    purpose: str,
    needs: Mapping[str, str],
    advice: str | None = None,
) -> ForgeError:
    """`needs` are permissions as GitHub calls them; `advice` is what other forges' users do where
    a right is missing."""
    said = _message(answer)
    where = f"{method} {answer.url}"
    status = answer.status_code
    if rate_limited(answer):
        return limit_used_up(purpose, where=where, why=said)
    if status in {401, 403, 404} and not (status == 403 and _CLOSED.search(said)):
        if advice is None:
            return _missing(status, where, purpose, said, needs)
        what = f"could not {purpose}: HTTP {status}"
        return PermissionMissing(what, where=where, why=said, fix=advice, status=status)
    if status in {400, 413, 422} and _TOO_LONG.search(said):
        return CommentTooLong(f"could not {purpose}: it is too long", where=where, why=said)
    if status >= 500 and method == "POST":
        return UncertainWrite(f"could not {purpose}: HTTP {status}", where=where, why=said)
    return ForgeError(f"could not {purpose}: HTTP {status}", where=where, why=said)


def limit_used_up(purpose: str, *, where: str, why: str) -> ForgeError:
    what = f"could not {purpose}: the forge's rate limit is used up"
    return ForgeError(what, where=where, why=why, fix="run again later")


def _missing(
    status: int, where: str, purpose: str, said: str, needs: Mapping[str, str]
) -> PermissionMissing:
    if status == 401:
        return PermissionMissing(
            f"could not {purpose}: the token is not valid",
            where=where,
            why=said,
            fix="env:\n  GITHUB_TOKEN: ${{ github.token }}",
        )
    return PermissionMissing(
        f"could not {purpose}: HTTP {status}",
        where=where,
        why=f"{said}; most likely the token lacks a permission (a pull request from a fork or"
        " from Dependabot never has it)",
        fix=permissions_block(needs) if needs else None,
        needs=needs,
        status=status,
    )


def permissions_block(needs: Mapping[str, str]) -> str:
    """The YAML of a job's `permissions`."""
    return "\n".join(["permissions:", *(f"  {name}: {access}" for name, access in needs.items())])


def rate_limited(answer: requests.Response) -> bool:
    if answer.status_code == 429:
        return True
    if answer.status_code != 403:
        return False
    return (
        "Retry-After" in answer.headers
        or answer.headers.get("X-RateLimit-Remaining") == "0"
        or _LIMITED.search(_message(answer)) is not None
    )


def no_answer(method: str, url: str, purpose: str, broken: Exception | None) -> ForgeError:
    kind = UncertainWrite if method == "POST" else ForgeError
    why = type(broken).__name__ if broken else None
    return kind(f"could not {purpose}: no answer", where=f"{method} {url}", why=why)


def _message(answer: requests.Response) -> str:
    """The forge's own words, short; never the whole page of a proxy."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return f"HTTP {answer.status_code} {answer.reason}"
    if not isinstance(found, dict):
        return f"HTTP {answer.status_code} {answer.reason}"
    errors = found.get("errors")
    more = f" ({json.dumps(errors)})" if errors else ""
    said = found.get("message") or found.get("error") or answer.reason
    # Bitbucket's {"error": {"message": ...}}; GitLab's {"message": {"note": ["is too long"]}}.
    inner = said.get("message", json.dumps(said)) if isinstance(said, dict) else said
    return f"{inner}{more}"[:400]


def json_of(answer: requests.Response, purpose: str) -> Any:
    if answer.status_code == 204 or not answer.content:
        return None
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise ForgeError(
            f"could not {purpose}: the answer is not JSON",
            where=answer.url,
            why="a proxy or a login page may stand in between",
        ) from None
