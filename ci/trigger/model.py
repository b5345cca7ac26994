"""A trigger, as a value."""

from dataclasses import dataclass
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
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What a run is for.

    `commit` is 40 hex digits: on a pull request the head commit, never GitHub's merge commit.
    `branch` is the branch the commit is on (a pull request's head branch), None when detached.
    `repository` is `owner/name` on `host` (None: the door's own forge). `dirty` says the work tree
    differs from the commit (laptop).
    `from_fork` says the pull request's code comes from someone without write access, or that
    nothing shows the contrary. `base` is the commit that the change counts from, where the door
    tells (a pull request's base, what a push replaced). `comment` is the text of a comment; its
    `commit` is the default branch's, since the event does not name the pull request's: ask the
    forge before acting on it.
    """

    door: Door
    event: Event
    commit: str
    branch: str | None = None
    is_default_branch: bool = False
    pull_request: int | None = None
    from_fork: bool = False
    actor: str | None = None
    repository: str | None = None
    host: str | None = None
    run_url: str | None = None
    subject: str | None = None
    dirty: bool = False
    base: str | None = None
    comment: str | None = None
