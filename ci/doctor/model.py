"""A check, what it is given, and what it finds, as values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ci.errors import ExitCode, GitOpsError
from ci.project.model import Environment, Project
from ci.sagemaker.clients import Clients
from ci.trigger.model import Trigger


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Topic(StrEnum):
    PROJECT = "project"
    MACHINE = "machine"
    AWS = "aws"
    FORGE = "forge"
    CI = "ci"

    @property
    def code(self) -> ExitCode:
        """What the process ends with where a check fails: the surroundings are others' to mend."""
        return ExitCode.UNAVAILABLE if self in {Topic.AWS, Topic.FORGE} else ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`what` is a sentence, `fix` YAML or a command, `where` a place that can be opened.
    `unsigned`: AWS could not be asked for want of credentials, whatever the question was."""

    state: State
    what: str
    where: str | None = None
    fix: str | None = None
    unsigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What there is to look at. What could not be had is None, and `problem` says why of the
    project file.

    `deadline` is in seconds: how long a run follows, None for as long as it takes. `clients` are
    those of the project's region, with the credentials that a run would have.
    """

    root: Path
    environ: Mapping[str, str]
    project: Project | None = None
    problem: GitOpsError | None = None
    environment: Environment | None = None
    trigger: Trigger | None = None
    region: str | None = None
    account: str | None = None
    role: str | None = None
    bucket: str | None = None
    deadline: float | None = None
    repository: str | None = None
    renews: bool = False
    local: bool = False
    clients: Clients | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question. `needs` names what of the site it cannot do without; `warns` and `fails` say
    when, for the page of checks."""

    name: str
    topic: Topic
    question: str
    look: Callable[[Site], Iterable[Finding]]
    fails: str = ""
    warns: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    check: Check
    finding: Finding


def ok(what: str, *, where: str | None = None) -> Finding:
    return Finding(state=State.OK, what=what, where=where)


def warn(what: str, *, where: str | None = None, fix: str | None = None) -> Finding:
    return Finding(state=State.WARN, what=what, where=where, fix=fix)


def fail(what: str, *, where: str | None = None, fix: str | None = None) -> Finding:
    return Finding(state=State.FAIL, what=what, where=where, fix=fix)
