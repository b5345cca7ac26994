"""CodeBuild and CodePipeline: their environment variables, as a Trigger. Pure.

CodeBuild's variables: docs.aws.amazon.com/codebuild, "Environment variables in build
environments". A CodePipeline stage gets its branch and repository by variables of this project,
since CodeBuild tells neither there; a build that a rule starts for a pull request in CodeCommit
gets the number, the status and the branch (docs/forges.md), since CodeCommit has no webhooks.
"""

import re
from collections.abc import Mapping

from ci.errors import TriggerError
from ci.trigger.model import Door, Event, Trigger
from ci.trigger.values import (
    branch_of,
    checked_commit,
    checked_package,
    is_codecommit,
    known_commit,
    parse_host,
    parse_repository,
)

BRANCH = "SAGEMAKER_GITOPS_BRANCH"
DEFAULT_BRANCH = "SAGEMAKER_GITOPS_DEFAULT_BRANCH"
REPOSITORY = "SAGEMAKER_GITOPS_REPOSITORY"
SUBJECT = "SAGEMAKER_GITOPS_SUBJECT"
TRUSTED = "SAGEMAKER_GITOPS_TRUST_PULL_REQUESTS"
# Set by an EventBridge rule's input transformer (docs/approval.md).
EVENT_PACKAGE = "SAGEMAKER_GITOPS_EVENT_PACKAGE"
EVENT_PULL_REQUEST = "SAGEMAKER_GITOPS_EVENT_PULL_REQUEST"
EVENT_STATUS = "SAGEMAKER_GITOPS_EVENT_PULL_REQUEST_STATUS"

# A merge request is `pr/7` or `mr/7`; a source version may end in `^{commit}`.
_PULL_REQUEST = re.compile(
    r"(?:[pm]r/|refs/(?:pull|pull-requests|merge-requests)/)(?P<number>[1-9][0-9]{0,17})"
    r"(?:/[a-z]+)?(?:\^\{[0-9a-f]+\})?"
)
_AT_COMMIT = re.compile(r"\^\{[0-9a-f]*\}$")
_CLOSED = {"PULL_REQUEST_MERGED", "PULL_REQUEST_CLOSED"}


def parse_codebuild(
    environ: Mapping[str, str],
    *,
    default_branch: str | None = None,
    heads: Mapping[str, str] | None = None,
) -> Trigger:
    """The trigger of a CodeBuild build.

    `default_branch` and `heads` (branch to commit) are what the clone's remote shows. CodeBuild
    does not say whether a pull request comes from a fork: it counts as one unless its commit is
    the head of a branch of this repository, the repository is in CodeCommit, which has no forks,
    or the project vouches for all (TRUSTED is `true`, with a webhook filter on actors).
    """
    event = environ.get("CODEBUILD_WEBHOOK_EVENT", "")
    number = _pull_request_number(environ)
    branch = branch_of(environ.get("CODEBUILD_WEBHOOK_HEAD_REF")) or _source_branch(environ)
    commit = _commit(environ)
    default = environ.get(DEFAULT_BRANCH) or default_branch
    foreign = number is not None and not _is_own(environ, branch, commit, heads or {})
    package = environ.get(EVENT_PACKAGE)
    return Trigger(
        door=Door.CODEBUILD,
        event=_event(environ, event, number),
        commit=commit,
        branch=branch,
        default_branch=default,
        is_default_branch=number is None and branch is not None and branch == default,
        pull_request=number,
        from_fork=foreign,
        actor=environ.get("CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID") or None,
        repository=environ.get(REPOSITORY)
        or parse_repository(environ.get("CODEBUILD_SOURCE_REPO_URL", "")),
        host=parse_host(environ.get("CODEBUILD_SOURCE_REPO_URL", "")),
        run_url=environ.get("CODEBUILD_BUILD_URL") or None,
        subject=environ.get(SUBJECT) or None,
        base=_base(environ, number, heads or {}),
        package=checked_package(package, EVENT_PACKAGE) if package else None,
    )


def parse_codepipeline(environ: Mapping[str, str], *, default_branch: str | None = None) -> Trigger:
    """The trigger of a build that is a stage of CodePipeline.

    Such a pipeline watches one branch: it counts as the default branch unless the branch and
    the default branch are both known and differ.
    """
    branch = _named_branch(environ)
    default = environ.get(DEFAULT_BRANCH) or default_branch
    commit = known_commit(environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION"))
    if commit is None:
        raise TriggerError(
            "the source revision is not the hash of a commit: "
            f"{environ.get('CODEBUILD_RESOLVED_SOURCE_VERSION')!r}",
            where="CODEBUILD_RESOLVED_SOURCE_VERSION",
            why="the stage's primary source is not a repository (an S3 source, or another "
            "stage's output)",
            fix="make the repository's source artifact the primary source of this action",
        )
    return Trigger(
        door=Door.CODEPIPELINE,
        event=Event.PUSH,
        commit=commit,
        branch=branch,
        is_default_branch=branch is None or default is None or branch == default,
        actor=environ.get("CODEBUILD_INITIATOR") or None,
        repository=environ.get(REPOSITORY) or None,
        run_url=environ.get("CODEBUILD_BUILD_URL") or None,
        subject=environ.get(SUBJECT) or None,
    )


def _commit(environ: Mapping[str, str]) -> str:
    """What was checked out. After a squash Bitbucket may have lost the pull request's own."""
    names = (
        "CODEBUILD_RESOLVED_SOURCE_VERSION",
        "CODEBUILD_SOURCE_VERSION",
        "CODEBUILD_WEBHOOK_MERGE_COMMIT",
    )
    found = next((environ[name] for name in names if known_commit(environ.get(name))), None)
    return checked_commit(found or environ.get(names[0]) or environ.get(names[1]), names[0])


def _pull_request_number(environ: Mapping[str, str]) -> int | None:
    for name in ("CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION"):
        match = _PULL_REQUEST.fullmatch(environ.get(name, ""))
        if match:
            return int(match["number"])
    told = environ.get(EVENT_PULL_REQUEST, "").strip()
    if not told:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,17}", told):
        raise TriggerError(
            f"{told!r} is not the number of a pull request", where=EVENT_PULL_REQUEST
        )
    return int(told)


def _source_branch(environ: Mapping[str, str]) -> str | None:
    """A build started by hand names a branch, a tag or a commit as its source version."""
    trigger = environ.get("CODEBUILD_WEBHOOK_TRIGGER", "")
    if trigger.startswith("branch/"):
        return trigger.removeprefix("branch/") or None
    version = _AT_COMMIT.sub("", environ.get("CODEBUILD_SOURCE_VERSION", ""))
    if version.startswith("refs/"):
        return branch_of(version)
    other = known_commit(version) or version.startswith(("pr/", "mr/", "arn:"))
    return _named_branch(environ) or (None if other else version or None)


def _named_branch(environ: Mapping[str, str]) -> str | None:
    """The branch as a variable tells it, by its name or as a reference."""
    told = environ.get(BRANCH, "").strip()
    return (branch_of(told) if told.startswith("refs/") else told) or None


def _event(environ: Mapping[str, str], webhook: str, number: int | None) -> Event:
    if environ.get(EVENT_PACKAGE):
        return Event.APPROVAL
    if webhook in _CLOSED or environ.get(EVENT_STATUS, "").lower() == "closed":
        return Event.PULL_REQUEST_CLOSED
    if number is not None:
        return Event.PULL_REQUEST
    if webhook == "PUSH":
        return Event.PUSH
    if webhook:  # RELEASED, WORKFLOW_JOB_QUEUED, ...
        return Event.OTHER
    scheduled = environ.get("CODEBUILD_INITIATOR", "").startswith("rule/")
    return Event.SCHEDULE if scheduled else Event.MANUAL


def _base(environ: Mapping[str, str], number: int | None, heads: Mapping[str, str]) -> str | None:
    """A pull request counts from the branch it goes to, a push from what it replaced."""
    if number is None:
        return known_commit(environ.get("CODEBUILD_WEBHOOK_PREV_COMMIT"))
    into = branch_of(environ.get("CODEBUILD_WEBHOOK_BASE_REF"))
    return heads.get(into) if into else None


def _is_own(
    environ: Mapping[str, str], branch: str | None, commit: str, heads: Mapping[str, str]
) -> bool:
    if environ.get(TRUSTED, "").lower() == "true":
        return True
    if is_codecommit(parse_host(environ.get("CODEBUILD_SOURCE_REPO_URL", ""))):
        return True
    return branch is not None and heads.get(branch) == commit
