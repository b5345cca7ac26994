"""How git is run on a repository, and what it means where git refuses one."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ci.errors import TriggerError

OLDEST = "2.15"
_FOREIGN = re.compile(r"dubious ownership in repository at '(.+)'")
_OLD = re.compile(r"unknown option|unsupported porcelain|takes no value")


class NoRepository(TriggerError):
    """There is no repository whose history could be read."""


def work_tree(start: Path) -> Path | None:
    """The nearest folder from `start` upwards that holds `.git`, which no commit can bring. git is
    run there: from a folder that looks like a repository and is content it would take that one's
    configuration, and run the programs that it names."""
    start = start.resolve()
    return next((each for each in (start, *start.parents) if (each / ".git").exists()), None)


def guarding(environ: Mapping[str, str], start: Path) -> dict[str, str]:
    """What is added to git's environment. No repository counts but that of a work tree. In a job
    of CI the checkout around `start` is the job's own, whoever owns its files: in a container that
    is another user than the one who runs there. Git before 2.38 does not take either of them from
    its environment."""
    told = environ.get("GIT_CONFIG_COUNT") or "0"
    if not told.isdecimal():
        return {}
    settings = [("safe.bareRepository", "explicit")]
    top = work_tree(start)
    if top and (environ.get("GITHUB_ACTIONS") == "true" or environ.get("CODEBUILD_BUILD_ID")):
        settings.append(("safe.directory", str(top)))
    added = {"GIT_CONFIG_COUNT": str(int(told) + len(settings))}
    for number, (key, value) in enumerate(settings, int(told)):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return added


def no_git() -> TriggerError:
    return TriggerError("git is not installed, or not on PATH")


def no_repository(start: Path) -> NoRepository:
    return NoRepository(
        "this folder is in no git repository",
        where=str(start),
        fix="git init, and commit; or run it in a clone",
    )


def bare_repository(start: Path) -> TriggerError:
    return TriggerError(
        "this repository is bare: it has no work tree to read",
        where=str(start),
        fix="git worktree add ../work main",
    )


def refused(said: str, start: Path) -> TriggerError:
    """`said` is what git wrote to stderr, in English."""
    if "not a git repository" in said:
        return no_repository(start)
    if "must be run in a work tree" in said or "cannot use bare repository" in said:
        return bare_repository(start)
    if found := _FOREIGN.search(said):
        return TriggerError(
            "git refuses this repository: it belongs to another user",
            where=found[1],
            why="the work tree was made by another user than the one that runs this "
            f"(uid {os.getuid()}), as in containers",
            fix=f"git config --global --add safe.directory {shlex.quote(found[1])}",
        )
    old = f"git {OLDEST} or newer is needed" if _OLD.search(said) else None
    return TriggerError(f"git refused: {said}", where=str(start), fix=old)
