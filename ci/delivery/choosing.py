"""Decides what `auto` does: from a trigger and the environments to one action. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from ci.project.model import Project
from ci.project.target import choose_environment, find_environment, is_isolated
from ci.trigger.model import Door, Event, Trigger


class Action(StrEnum):
    """PLAN shows what a commit changes; RUN plans, then starts and follows executions. CHAT does
    what a comment asks for, APPROVALS what follows from a decision on a model package."""

    PLAN = "plan"
    RUN = "run"
    CLEANUP = "cleanup"
    CHAT = "chat"
    APPROVALS = "approvals"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`reason` says in words why; `touched` that only pipelines the commit touches count."""

    action: Action
    reason: str
    environment: str | None = None
    touched: bool = False


def choose_action(
    project: Project, trigger: Trigger, *, named: str | None = None, credentials: bool = True
) -> Choice:
    """What this trigger asks for. `named` is the environment that was named, `credentials` says
    whether the job has any. UsageError for an environment that is not there or does not follow.
    """
    if named:
        find_environment(project, named)
    silent = _silence(trigger, named)
    if silent is not None:
        return _nothing(silent)
    if trigger.event in _ANSWERED:
        action, reason = _ANSWERED[trigger.event]
        return Choice(action=action, reason=reason, environment=named)
    if trigger.event is Event.PULL_REQUEST_CLOSED:
        return _on_close(trigger, named or "pull_request", credentials=credentials)
    if trigger.pull_request is not None:
        return _on_pull_request(project, trigger, named or "pull_request")
    if trigger.event is Event.PUSH:
        return _on_push(project, trigger, named)
    return _in(project, choose_environment(project, trigger, named))


_ANSWERED = {
    Event.COMMENT: (Action.CHAT, "a comment, which may hold a command"),
    Event.APPROVAL: (Action.APPROVALS, "the approval of a model package changed"),
}
_SILENT = {
    Event.DELETION: "a branch or a tag was deleted",
    Event.MERGE_GROUP: "a merge queue: the pull request was run, and the push will deploy",
    Event.WORKFLOW_RUN: "another workflow ended; `command: post` posts the comment it left",
}


def _silence(trigger: Trigger, named: str | None) -> str | None:
    """Why nothing is done, whatever the project says; None where something may be."""
    if trigger.event is Event.OTHER and not named:
        return "no environment follows from an event of this kind; name one to run in it"
    if trigger.event is Event.COMMENT and trigger.pull_request is None:
        return "a comment on an issue, which is no pull request"
    return _SILENT.get(trigger.event)


def _on_pull_request(project: Project, trigger: Trigger, environment: str) -> Choice:
    place = project.environments[environment]
    plan = Choice(action=Action.PLAN, reason="", environment=environment, touched=True)
    if trigger.from_fork:
        return replace(plan, reason=_FORK + _VOUCH.get(trigger.door, ""))
    if not is_isolated(place):
        return replace(
            plan,
            reason=f"{environment} is shared (no {{pull_request}} in its pipeline_name): "
            "planned and not run",
        )
    if not place.run:
        return replace(plan, reason=f"`run: false` in {environment}: planned and not run")
    return Choice(
        action=Action.RUN,
        reason="a pull request is planned, and run in isolation",
        environment=environment,
        touched=True,
    )


_FORK = "the code comes from a fork: it is planned and not run"
# CodeBuild does not say where a pull request comes from; see ci.trigger.codebuild.
_VOUCH = {
    Door.CODEBUILD: ", since no branch of this repository is at its commit"
    " (SAGEMAKER_GITOPS_TRUST_PULL_REQUESTS=true vouches for all pull requests)"
}


def _on_close(trigger: Trigger, environment: str, *, credentials: bool) -> Choice:
    if trigger.from_fork and not credentials:
        return _nothing("a fork's pull request has no credentials, and so made nothing")
    return Choice(
        action=Action.CLEANUP, reason="the pull request is closed", environment=environment
    )


def _on_push(project: Project, trigger: Trigger, named: str | None) -> Choice:
    if not (named or trigger.is_default_branch):
        branch = f"the branch {trigger.branch!r}" if trigger.branch else "a tag"
        return _nothing(f"a push to {branch}, which no environment follows from")
    return replace(_in(project, named or "main"), touched=True)


def _in(project: Project, environment: str) -> Choice:
    if project.environments[environment].run:
        action, reason = Action.RUN, f"deployed to {environment}, and run"
    else:
        action, reason = Action.PLAN, f"`run: false` in {environment}: planned and not run"
    return Choice(action=action, reason=reason, environment=environment)


def _nothing(reason: str) -> Choice:
    return Choice(action=Action.NOTHING, reason=reason)
