"""A trigger, as a value."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Door(StrEnum):
    GITHUB_ACTIONS = "github_actions"
    CODEBUILD = "codebuild"
    CODEPIPELINE = "codepipeline"
    LAPTOP = "laptop"


class Event(StrEnum):
    PULL_REQUEST = "pull_request"
    PULL_REQUEST_CLOSED = "pull_request_closed"
    PUSH = "push"
    COMMENT = "comment"
    SCHEDULE = "schedule"
    MERGE_GROUP = "merge_group"
    WORKFLOW_RUN = "workflow_run"
    APPROVAL = "approval"
    DELETION = "deletion"
    MANUAL = "manual"
    OTHER = "other_event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment that was just written on a pull request. `written` is the forge's own time of it,
    `automated` says that no person wrote it."""

    id: int
    body: str
    author: str
    written: datetime | None = None
    automated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What a run is for.

    `commit` is 40 hex digits: on a pull request the head commit, never GitHub's merge commit.
    `branch` is the branch the commit is on (a pull request's head branch), None when detached;
    `default_branch` is the repository's, where the door tells.
    `repository` is `owner/name` on `host` (None: the door's own forge). `dirty` says the work tree
    differs from the commit (laptop), `checked_out` the commit that it holds in place of a pull
    request's own: the merge with its base, which GitHub checks out unless told otherwise.
    `from_fork` says the pull request's code comes from someone without write access, or that
    nothing shows the contrary. `base` is the commit that the change counts from, where the door
    tells (a pull request's base, what a push replaced). `comment` is one that may give an order;
    its trigger's `commit` is the default branch's, since the event does not name the pull
    request's: ask the forge before acting on it. `package` is the ARN of the model package whose
    approval changed; the event is a hint, and the registry is asked.
    """

    door: Door
    event: Event
    commit: str
    branch: str | None = None
    default_branch: str | None = None
    is_default_branch: bool = False
    pull_request: int | None = None
    from_fork: bool = False
    actor: str | None = None
    repository: str | None = None
    host: str | None = None
    run_url: str | None = None
    subject: str | None = None
    dirty: bool = False
    checked_out: str | None = None
    base: str | None = None
    comment: Remark | None = None
    package: str | None = None
