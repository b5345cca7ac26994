"""The world around a deployment, and how one ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ci.errors import ExitCode, GitOpsError
from ci.execution.follow import Surroundings
from ci.execution.model import Change
from ci.report.model import Report


class Show(Protocol):
    """What follows the changes on a screen or in a log."""

    def change(self, change: Change) -> None: ...

    def lines(self, step: str, lines: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`publish` is handed every report worth showing, the running ones included; `surroundings`
    are what `follow` waits with; `commit_order` gives the pull request's commits, oldest first,
    as far as they are known; `hurry` is called in the handler of the signal that ends the run."""

    tell: Callable[[str], None]
    show: Show
    publish: Callable[[Report], None]
    now: Callable[[], datetime]
    surroundings: Surroundings
    commit_order: Callable[[], Sequence[str]] = tuple
    hurry: Callable[[], None] = lambda: None
    queue: str | None = None
    logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`error` is what ended following before the executions did, None where nothing did."""

    reports: tuple[Report, ...]
    code: ExitCode
    error: GitOpsError | None = None
