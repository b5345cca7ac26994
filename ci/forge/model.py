"""What the project needs of a forge: comments on a pull request, and who is asking."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from ci.errors import ForgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """`node` is the forge's other name of the comment, where it has two (GitHub's node id).
    `changed` is when it was written, or rewritten last, by the forge's own clock; None where that
    is not asked of the forge (those whose comments give no orders)."""

    id: int
    body: str
    author: str
    url: str
    node: str | None = None
    changed: datetime | None = None


class PermissionMissing(ForgeError):
    """The token may not do this. The run goes on without it. `needs` are the permissions that it
    takes, as the forge calls them: `{"checks": "write"}`; `status` is the answer's."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        needs: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.needs = dict(needs or {})
        self.status = status


class CommentTooLong(ForgeError):
    """The forge holds no comment of this length."""


class UncertainWrite(ForgeError):
    """A write got no answer: it may have been done, or not. Look before doing it again."""


class StatusState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """The mark beside a commit. `context` tells statuses of one commit apart; `description` has
    at most 140 characters."""

    context: str
    state: StatusState
    description: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """`head` and `base` are commits, `branch` is the head's. `from_fork` says the head is not in
    the repository itself, or is Dependabot's, whose runs have a fork's rights. `merge_commit` is
    what it was merged as, where the forge tells."""

    number: int
    head: str
    base: str
    branch: str
    open: bool
    merged: bool
    from_fork: bool
    title: str
    merge_commit: str | None = None


class Forge(Protocol):
    """A host of repositories. Every call raises ForgeError where the forge refuses."""

    def whoami(self) -> str:
        """The login under which comments of this token appear."""

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        """All comments of all pages, oldest first."""

    def create_comment(self, pull_request: int, body: str) -> Comment: ...

    def update_comment(self, comment: Comment, body: str) -> Comment: ...

    def delete_comment(self, comment: Comment) -> None:
        """Done as well where it is gone already."""

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        """The commits of the pull request, oldest first."""

    def pull_request_of(self, commit: str) -> int | None:
        """The pull request a commit on a branch came from, merged in whatever way."""

    def pull_request(self, number: int) -> PullRequest: ...


@runtime_checkable
class Hiding(Protocol):
    """A forge that folds comments away without a word in them."""

    def minimise_comment(self, comment: Comment) -> None:
        """As outdated. ForgeError where the forge refuses."""


@runtime_checkable
class Statuses(Protocol):
    """A forge that puts marks beside commits."""

    def status(self, commit: str, context: str) -> CommitStatus | None:
        """The status of this context that counts; None where there is none."""

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """The last status of a context is the one that counts."""


@runtime_checkable
class Members(Protocol):
    """A forge that tells what people may do in the repository."""

    def permission_of(self, login: str) -> str:
        """`admin`, `maintain`, `write`, `triage`, `read` or `none`: what the repository grants."""


@runtime_checkable
class Reviewed(Protocol):
    """A forge whose runs wait for reviewers of a protected environment, and which keeps the times
    of pushes. Every call raises ForgeError where the forge refuses."""

    def approvers_of(self, run: str, environment: str | None = None) -> tuple[str, ...]:
        """Who let a workflow run go on into the forge's environment of that name, oldest first;
        each once. Without a name nobody, where the run was let into several."""

    def pushed_at(self, branch: str, commit: str) -> datetime | None:
        """When the branch was last brought to this commit, by the forge's own clock; None where
        it does not tell."""


@runtime_checkable
class Conversation(Members, Protocol):
    """A forge on which people give orders by comment. Every call raises ForgeError where the
    forge refuses."""

    def pull_request(self, number: int) -> PullRequest: ...

    def react(self, comment: int, content: str) -> None:
        """Put a reaction (`+1`, `-1`, `eyes`, `rocket`, `confused`) on a comment; done as well
        where it is there already."""


class CommentAction(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT_NEWER = "kept_newer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentResult:
    """What was done. `problem` says in full why a comment could not be posted, `refused` is the
    error that it comes from. `newer` is the commit whose comment was left as it is."""

    action: CommentAction
    url: str | None = None
    problem: str | None = None
    refused: ForgeError | None = None
    newer: str | None = None
