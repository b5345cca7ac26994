"""The history of a repository, read with GitPython, for what asks more of it than its checkout."""

from pathlib import Path

import git

from ci.errors import TriggerError


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
