"""Checks on what the doors hand over: commits, references, addresses of repositories."""

import re
from datetime import datetime
from urllib.parse import urlsplit

from ci.errors import TriggerError

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SCP = re.compile(r"(?:[^@/\s]+@)?\[?[^:/\s\]]+\]?:(?P<path>[^\s]+)")
_CODECOMMIT = re.compile(
    r"codecommit(?:::(?P<region>[a-z0-9-]+))?://(?:[^@/\s]+@)?(?P<name>[^/\s]+)"
)
_CODECOMMIT_HOST = re.compile(
    r"codecommit|git-codecommit(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
)
_NOTHING = "0" * 40
_PACKAGE = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[\w.-]{1,63}/[0-9]{1,9}"
)


def checked_commit(text: object, where: str) -> str:
    """A commit's full hash. TriggerError for anything else."""
    commit = text.strip().lower() if isinstance(text, str) else ""
    if not _COMMIT.fullmatch(commit) or not commit.strip("0"):
        raise TriggerError(f"{text!r} is not the hash of a commit", where=where)
    return commit


def known_commit(text: object) -> str | None:
    """A commit's full hash, None for none (a branch that is new has forty zeros before it)."""
    commit = text.strip().lower() if isinstance(text, str) else ""
    return commit if _COMMIT.fullmatch(commit) and commit.strip("0") else None


def checked_package(text: object, where: str) -> str:
    """The ARN of a version of a model package group. TriggerError for anything else."""
    arn = text.strip() if isinstance(text, str) else ""
    if not _PACKAGE.fullmatch(arn):
        shown = str(text)[:200]
        raise TriggerError(f"{shown!r} is not the ARN of a versioned model package", where=where)
    return arn


def moment_of(text: object) -> datetime | None:
    """A time with its offset; None for anything else."""
    try:
        found = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def branch_of(reference: str | None) -> str | None:
    """The branch of `refs/heads/x`; None for tags, pull requests' references and nothing."""
    prefix = "refs/heads/"
    return (
        (reference or "")[len(prefix) :] or None if (reference or "").startswith(prefix) else None
    )


def parse_repository(address: str) -> str | None:
    """`owner/name` of a remote's address; None where it holds none.

    Takes https, ssh, scp-like and git addresses of any host, GitHub Enterprise's and GitLab's
    subgroups (`group/subgroup/name`), and CodeCommit's, whose repositories have a name alone.
    Credentials in the address are never part of the answer.
    """
    address = address.strip()
    codecommit = _CODECOMMIT.fullmatch(address)
    if codecommit:
        return codecommit["name"]
    if "://" in address:
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        if parts.scheme not in {"https", "http", "ssh", "git", "git+ssh"}:
            return None
        path = parts.path
    else:
        match = _SCP.fullmatch(address)
        if match is None or re.match(r"[A-Za-z]:[\\/]", address):
            return None
        path = match["path"]
    return _repository(path)


def parse_host(address: str) -> str | None:
    """The host of a remote's address, in lower case; None where it names none. What
    git-remote-codecommit takes for an address names a region, or `codecommit` alone."""
    address = address.strip()
    helper = _CODECOMMIT.fullmatch(address)
    if helper:
        region = helper["region"]
        return f"git-codecommit.{region}.amazonaws.com" if region else "codecommit"
    try:
        host = urlsplit(address if "://" in address else f"ssh://{address}").hostname
    except ValueError:
        # `host:path`: what stands for the port is a path.
        host = address.rpartition("@")[2].partition(":")[0].lower()
    return host or None


def is_codecommit(host: str | None) -> bool:
    return _CODECOMMIT_HOST.fullmatch(host or "") is not None


def codecommit_region(host: str | None) -> str | None:
    """The region that a host of CodeCommit names; None for any other, and where it names none."""
    found = _CODECOMMIT_HOST.fullmatch(host or "")
    return found["region"] if found else None


def _repository(path: str) -> str | None:
    path = path.strip("/").removesuffix(".git")
    for prefix in ("v1/repos/", "scm/"):
        path = path.removeprefix(prefix)
    pieces = path.split("/")
    if not path or any(piece in ("", ".", "..") for piece in pieces):
        return None
    return path if re.fullmatch(r"[\w.~+/-]+", path) else None
