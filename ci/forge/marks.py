"""What a forge shows beside commits and pull requests: check runs, deployments, labels."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Conclusion(StrEnum):
    """How a check run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    CANCELLED = "cancelled"
    ACTION_REQUIRED = "action_required"


class Level(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A remark at a line of a file; `path` counts from the repository's root."""

    path: str
    line: int
    level: Level
    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check run is to say. `conclusion` None: still in progress. `reference` tells check
    runs of one commit apart, also from those of others with the same name. `planned`: nothing was
    to be started, so that it says nothing of an execution."""

    name: str
    commit: str
    reference: str
    conclusion: Conclusion | None
    title: str
    summary: str
    url: str | None = None
    started: datetime | None = None
    annotations: tuple[Annotation, ...] = ()
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """A check run as it is. `annotated` is how many annotations it has."""

    id: int
    completed: bool
    conclusion: str | None
    title: str | None
    summary: str | None
    url: str | None
    annotated: int = 0


class DeploymentState(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """`description` has at most 140 characters. `log_url` leads to the run, `environment_url` to
    what was deployed."""

    state: DeploymentState
    description: str = ""
    log_url: str | None = None
    environment_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A commit on its way to an environment; `task` tells those of one commit apart. `payload` are
    texts for whoever reads it by machine."""

    commit: str
    environment: str
    task: str
    description: str
    payload: tuple[tuple[str, str], ...]
    production: bool
    status: DeploymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`color` is six hex digits."""

    name: str
    color: str
    description: str


@runtime_checkable
class CheckRuns(Protocol):
    """A forge with check runs. Every call raises ForgeError where the forge refuses."""

    def check_runs(self, check: Check) -> tuple[CheckRun, ...]:
        """Those with the check's name and reference on its commit, oldest first."""

    def create_check_run(self, check: Check) -> CheckRun:
        """UncertainWrite where no answer came."""

    def update_check_run(self, run: CheckRun, check: Check) -> None: ...

    def annotations(self, run: CheckRun) -> tuple[Annotation, ...]: ...


@runtime_checkable
class Deployments(Protocol):
    """A forge with deployments. Every call raises ForgeError where the forge refuses."""

    def deployments(
        self, environment: str, task: str, *, commit: str | None = None
    ) -> tuple[int, ...]:
        """The ids of the newest, newest first."""

    def create_deployment(self, deployment: Deployment) -> int:
        """UncertainWrite where no answer came."""

    def deployment_status(self, deployment: int) -> DeploymentStatus | None:
        """The last that was set; None before the first."""

    def set_deployment_status(self, deployment: int, status: DeploymentStatus) -> None: ...


@runtime_checkable
class Labels(Protocol):
    """A forge with labels on pull requests. Every call raises ForgeError where it refuses."""

    def labels(self, pull_request: int) -> tuple[str, ...]: ...

    def add_label(self, pull_request: int, label: Label) -> None:
        """Made first where the repository does not have it."""

    def remove_label(self, pull_request: int, name: str) -> None:
        """Done as well where it is gone already."""
