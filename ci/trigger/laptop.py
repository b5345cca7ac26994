"""A work tree on a laptop, read with GitPython, as a Trigger."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import git

from ci.errors import TriggerError
from ci.trigger.model import Door, Event, Trigger
from ci.trigger.values import parse_host, parse_repository

_USUAL = ("main", "master")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What the work tree and its remote show. `heads` are the remote's branches as last fetched."""

    commit: str
    branch: str | None
    default_branch: str | None
    dirty: bool
    repository: str | None
    host: str | None
    subject: str
    author: str | None
    heads: Mapping[str, str]


def parse_checkout(checkout: Checkout) -> Trigger:
    """The trigger of a run by hand."""
    default = checkout.default_branch
    return Trigger(
        door=Door.LAPTOP,
        event=Event.MANUAL,
        commit=checkout.commit,
        branch=checkout.branch,
        is_default_branch=checkout.branch is not None and checkout.branch == default,
        actor=checkout.author,
        repository=checkout.repository,
        host=checkout.host,
        subject=checkout.subject,
        dirty=checkout.dirty,
    )


def read_checkout(start: Path) -> Checkout:
    """What the repository around `start` shows. TriggerError, with the fix, where it cannot."""
    with open_repository(start) as repository:
        try:
            return _read(repository)
        except git.GitCommandError as error:
            raise _refused(error, Path(repository.git_dir)) from error


def open_repository(start: Path) -> git.Repo:
    """The repository around `start`: a work tree or a linked one. TriggerError otherwise."""
    try:
        repository = git.Repo(start, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise TriggerError(
            "this folder is in no git repository",
            where=str(start),
            fix="git init, and commit; or run it in a clone",
        ) from None
    except git.GitCommandNotFound as error:
        raise TriggerError("git is not installed, or not on PATH") from error
    if repository.bare:
        repository.close()
        raise TriggerError(
            "this repository is bare: it has no work tree to read",
            where=str(start),
            fix="git worktree add ../work main",
        )
    return repository


def _read(repository: git.Repo) -> Checkout:
    command = repository.git
    try:
        head = command.rev_parse("--verify", "--quiet", "HEAD^{commit}")
    except git.GitCommandError as error:
        if error.stderr.strip("\n '"):
            raise
        raise TriggerError(
            "there is no commit yet",
            where=str(repository.working_dir),
            fix="git add . && git commit -m 'First commit'",
        ) from None
    reference = _quietly(repository, "symbolic-ref", "--quiet", "HEAD")
    heads = _heads(repository)
    subject, _, author = command.show("--no-patch", "--format=%s%x00%an", head).partition("\0")
    return Checkout(
        commit=head,
        branch=reference.removeprefix("refs/heads/") if reference else None,
        default_branch=_default_branch(repository, heads),
        dirty=bool(command.status("--porcelain", "--untracked-files=normal")),
        repository=_repository(repository),
        host=_host(repository),
        subject=subject,
        author=author or None,
        heads=heads,
    )


def _quietly(repository: git.Repo, *words: str) -> str | None:
    """What git answers, None where it answers with an exit code alone."""
    try:
        return str(repository.git.execute(["git", *words])) or None
    except git.GitCommandError:
        return None


def _heads(repository: git.Repo) -> dict[str, str]:
    listing = repository.git.for_each_ref(
        "--format=%(refname) %(objectname)", "refs/remotes/origin"
    )
    prefix = "refs/remotes/origin/"
    pairs = (line.rpartition(" ") for line in listing.splitlines())
    return {name.removeprefix(prefix): commit for name, _, commit in pairs}


def _default_branch(repository: git.Repo, heads: Mapping[str, str]) -> str | None:
    """The remote's HEAD; else `init.defaultBranch` or a usual name, where it is a branch."""
    remote = _quietly(repository, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
    if remote:
        return remote.removeprefix("refs/remotes/origin/")
    configured = _quietly(repository, "config", "--get", "init.defaultBranch")
    local = set(repository.git.for_each_ref("--format=%(refname)", "refs/heads").splitlines())
    for name in ((configured,) if configured else ()) + _USUAL:
        if name in heads or f"refs/heads/{name}" in local:
            return name
    return None


def _host(repository: git.Repo) -> str | None:
    url = _quietly(repository, "remote", "get-url", "origin")
    return parse_host(url) if url else None


def _repository(repository: git.Repo) -> str | None:
    url = _quietly(repository, "remote", "get-url", "origin")
    return parse_repository(url) if url else None


def _refused(error: git.GitCommandError, folder: Path) -> TriggerError:
    said = str(error.stderr).strip().removeprefix("stderr:").strip().strip("'").strip()
    if "dubious ownership" in said:
        top = folder.parent if folder.name == ".git" else folder
        return TriggerError(
            "git refuses this repository: it belongs to another user",
            where=str(top),
            why="the work tree was made by another user than the one that runs this "
            f"(uid {os.getuid()}), as in containers",
            fix=f"git config --global --add safe.directory {_quoted(top)}",
        )
    return TriggerError(f"git refused: {said}", where=str(folder))


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
