"""A work tree on a laptop, as a Trigger.

Every command begins here. What a checkout shows takes a few plain questions to git, asked side by
side; GitPython (`ci.trigger.history`) would take longer to import than they take.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ci.errors import TriggerError
from ci.trigger.access import guarding, no_git, no_repository, refused, work_tree
from ci.trigger.model import Door, Event, Trigger
from ci.trigger.values import parse_host, parse_repository

_USUAL = ("main", "master")
_REMOTE, _LOCAL = "refs/remotes/origin/", "refs/heads/"
_QUESTIONS = {
    "state": ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"),
    "references": (
        "for-each-ref",
        "--format=%(refname) %(objectname) %(symref)",
        _REMOTE,
        _LOCAL,
    ),
    "commit": ("log", "-1", "--no-show-signature", "--format=%s%x00%an"),
    "address": ("remote", "get-url", "origin"),
}


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
        default_branch=default,
        is_default_branch=checkout.branch is not None and checkout.branch == default,
        actor=checkout.author,
        repository=checkout.repository,
        host=checkout.host,
        subject=checkout.subject,
        dirty=checkout.dirty,
    )


def read_checkout(start: Path) -> Checkout:
    """What the repository around `start` shows. TriggerError, with the fix, where it cannot."""
    answers = _ask(start, _QUESTIONS)
    state = answers["state"]
    if state.problem is not None:
        raise refused(state.problem, start)
    lines = state.text.split("\0")
    # Headers come first; later on a renamed file's old name may look like one.
    headers = list(takewhile(lambda line: line.startswith("# "), lines))
    told = dict(line[2:].split(" ", 1) for line in headers)
    head, branch = told["branch.oid"], told["branch.head"]
    if head == "(initial)":
        raise TriggerError(
            "there is no commit yet",
            where=str(start),
            fix="git add . && git commit -m 'First commit'",
        )
    references = _references(answers["references"].text)
    subject, _, author = answers["commit"].text.rstrip("\n").partition("\0")
    address = answers["address"].text.strip()
    return Checkout(
        commit=head,
        branch=None if branch == "(detached)" else branch,
        default_branch=_default_branch(start, references),
        dirty=any(lines[len(headers) :]),
        repository=parse_repository(address),
        host=parse_host(address),
        subject=subject,
        author=author or None,
        heads={
            name.removeprefix(_REMOTE): commit
            for name, (commit, _) in references.items()
            if name.startswith(_REMOTE)
        },
    )


def resolve_commit(start: Path, name: str) -> str | None:
    """The commit that git has under this name (`HEAD~1`, a branch, a short hash); None where there
    is none, or more than one."""
    if not name or name.startswith("-") or "\0" in name:
        return None
    question = ("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
    try:
        answer = _ask(start, {"commit": question})["commit"]
    except TriggerError:
        return None
    found = answer.text.strip()
    return found if answer.problem is None and re.fullmatch(r"[0-9a-f]{40,64}", found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What git printed; `problem` is what it said where it ended in an exit code."""

    text: str
    problem: str | None = None


def _ask(start: Path, questions: Mapping[str, tuple[str, ...]]) -> dict[str, _Answer]:
    if not start.is_dir():
        raise no_repository(start)
    # Nothing is waited for that another git holds, and messages are read in English.
    english = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0"}
    environ = {**os.environ, **english, **guarding(os.environ, start)}
    with ExitStack() as running:
        processes = {
            name: running.enter_context(_start(work_tree(start) or start, words, environ))
            for name, words in questions.items()
        }
        return {name: _answer(process) for name, process in processes.items()}


def _start(
    start: Path, words: tuple[str, ...], environ: Mapping[str, str]
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            ["git", *words],
            cwd=start,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise no_git() from error
    except OSError as error:
        what = f"git cannot be started here: {error.strerror}"
        raise TriggerError(what, where=str(start)) from error


def _answer(process: subprocess.Popen[str]) -> _Answer:
    text, said = process.communicate()
    return _Answer(text=text, problem=said.strip() if process.returncode else None)


def _references(listing: str) -> dict[str, tuple[str, str]]:
    """The commit of each reference, and what it points at where it is symbolic."""
    # Not `splitlines`: a name may hold what Unicode takes for the end of a line.
    lines = (line.split(" ") for line in listing.split("\n") if line)
    return {name: (commit, target) for name, commit, target in lines}


def _default_branch(start: Path, references: Mapping[str, tuple[str, str]]) -> str | None:
    """The remote's HEAD; else `init.defaultBranch` or a usual name, where it is a branch."""
    _, remote = references.get(f"{_REMOTE}HEAD", ("", ""))
    if remote:
        return remote.removeprefix(_REMOTE)
    question = {"name": ("config", "--get", "init.defaultBranch")}
    configured = _ask(start, question)["name"].text.strip()
    for name in ((configured,) if configured else ()) + _USUAL:
        if f"{_REMOTE}{name}" in references or f"{_LOCAL}{name}" in references:
            return name
    return None
