"""The history of a repository, read with GitPython, for what asks more of it than its checkout."""

import os
from pathlib import Path, PurePosixPath

import git

from ci.errors import TriggerError
from ci.trigger.access import (
    NoRepository,
    bare_repository,
    guarding,
    no_git,
    no_repository,
    refused,
    work_tree,
)


def open_repository(start: Path) -> git.Repo:
    """The repository around `start`: a work tree or a linked one. NoRepository where there
    is none, TriggerError where git refuses it."""
    top = work_tree(start)
    try:
        repository = git.Repo(top or start, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise no_repository(start) from None
    except git.GitCommandNotFound as error:
        raise no_git() from error
    try:
        if top is None:
            raise bare_repository(start)
        _require_readable(repository, start)
    except TriggerError:
        repository.close()
        raise
    return repository


def _require_readable(repository: git.Repo, start: Path) -> None:
    if repository.bare:
        raise bare_repository(start)
    repository.git.update_environment(LC_ALL="C", **guarding(os.environ, start))
    try:
        repository.git.rev_parse("--git-dir")
    except git.GitCommandError as error:
        raise refused(str(error.stderr), start) from None


def file_at(file: Path, commit: str) -> bytes | None:
    """The content of a file as it was at a commit (a full hash), empty where there was none; None
    where the history does not reach back to the commit. TriggerError outside of a repository."""
    with open_repository(file.parent) as repository:
        if not _has(repository, commit):
            return None
        place = _within(repository, file)
        try:
            return bytes(
                repository.git.cat_file("blob", f"{commit}:{place}", stdout_as_string=False)
            )
        except git.GitCommandError:
            return b""


def tracked_names(path: Path) -> tuple[str, ...]:
    """What of the checked-out commit a path is made of: the file, all below a folder, and links
    on the way to it; as git names them. Nothing outside of the repository."""
    try:
        repository = open_repository(_existing(path))
    except NoRepository:  # a program of the system
        return ()
    with repository:
        try:
            place = _within(repository, path)
        except ValueError:
            return ()
        ways = [parent.as_posix() for parent in PurePosixPath(place).parents][:-1]
        links = [way for way in ways if (_top(repository) / way).is_symlink()]
        found = repository.git.ls_files("-z", "--full-name", "--", f":(literal){place}", *links)
        return tuple(name for name in str(found).split("\0") if name)


def _within(repository: git.Repo, path: Path) -> str:
    """The path from the top of the work tree; links are what git has there, and not followed but
    on the way to the top."""
    top = _top(repository)
    for parent in (path, *path.parents):
        if parent.resolve() == top:
            return path.relative_to(parent).as_posix()
    raise ValueError(path)


def _top(repository: git.Repo) -> Path:
    return Path(str(repository.working_tree_dir)).resolve()


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.is_dir())


def descends(start: Path, commit: str, ancestor: str) -> bool | None:
    """Whether `commit` holds `ancestor` (both full hashes) in its history; None where this
    repository does not have it, or not all of it."""
    with open_repository(start) as repository:
        if not (_has(repository, commit) and _has(repository, ancestor)):
            return None
        try:
            repository.git.merge_base("--is-ancestor", ancestor, commit)
        except git.GitCommandError:
            shallow = repository.git.rev_parse("--is-shallow-repository")
            return False if shallow == "false" else None
        return True


def _has(repository: git.Repo, commit: str) -> bool:
    try:
        repository.git.cat_file("-e", f"{commit}^{{commit}}")
    except git.GitCommandError:
        return False
    return True
