"""The one exception tree: every error a user can meet, and the exit code it ends in."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process ends with. The table in the README is this one."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BUG = 3
    RUNNING = 4
    APPROVAL = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130


class GitOpsError(Exception):
    """An error told in four parts: what happened, where, why most likely, and the way out.

    `where` is a place a reader can open: `file:line`, a step, a JSON path, an ARN.
    `fix` is YAML or a command where the way out is one. Only the command line turns a
    GitOpsError into an exit code.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(
        self, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (("where", self.where), ("why", self.why), ("fix", self.fix)):
            if text:
                indented = text.replace("\n", "\n" + " " * 9)
                parts.append(f"  {label + ':':<6} {indented}")
        return "\n".join(parts)


class UsageError(GitOpsError):
    """The command line was called in a way it does not take."""

    exit_code = ExitCode.USAGE


class ProjectError(GitOpsError):
    """The project file is missing, unreadable, or says something it may not say."""

    exit_code = ExitCode.USAGE


class TriggerError(GitOpsError):
    """The commit, branch or pull request this run is for cannot be told."""

    exit_code = ExitCode.USAGE


class CompileError(GitOpsError):
    """A pipeline source did not become a definition."""

    exit_code = ExitCode.USAGE


class DefinitionError(GitOpsError):
    """A definition that SageMaker would refuse, or that cannot be run where it is meant to."""

    exit_code = ExitCode.USAGE


class LocalError(GitOpsError):
    """The local endpoint could not be started, reached, or used."""

    exit_code = ExitCode.UNAVAILABLE


class NotReviewed(GitOpsError):
    """What would be applied is not what was reviewed."""

    exit_code = ExitCode.USAGE


class AwsError(GitOpsError):
    """AWS refused a call or could not be reached.

    `code` is AWS's error code (`AccessDeniedException`), or the name of botocore's own
    exception where no answer came. `status` is the HTTP status of the answer, if one came.
    """

    exit_code = ExitCode.UNAVAILABLE

    def __init__(
        self,
        what: str,
        *,
        code: str,
        operation: str,
        status: int | None = None,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.code = code
        self.operation = operation
        self.status = status


class ForgeError(GitOpsError):
    """The forge (GitHub, CodeCommit, ...) refused a call or could not be reached."""

    exit_code = ExitCode.UNAVAILABLE


class DeadlineReached(GitOpsError):
    """The deadline came while the execution was still running. It runs on; attach to it."""

    exit_code = ExitCode.RUNNING


class Interrupted(GitOpsError):
    """A signal asked this program to end."""

    exit_code = ExitCode.INTERRUPTED
