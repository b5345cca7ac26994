"""Keeps manual approvals of CodePipeline and model packages in step, in both directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ci.approval.manual_approval import (
    UNNAMED,
    VARIABLE,
    Answered,
    Meaning,
    Place,
    Reply,
    approval_place,
    choose_reply,
    named_packages,
    read_answer,
)
from ci.errors import GitOpsError, UsageError
from ci.project.names import OWN
from ci.registry.decisions import Decision, decide
from ci.sagemaker.codepipeline import CodePipeline, WaitingApproval
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.sagemaker.packages import Packages
from ci.trigger.values import known_commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was done with one package; `reason` says why nothing was."""

    package: str
    approval: ApprovalStatus | None = None
    reason: str = ""


def answer_waiting(
    service: CodePipeline,
    packages: Packages,
    package: ModelPackage,
    places: Sequence[Place],
    tell: Callable[[str], None],
) -> int:
    """Answer the manual approvals that wait for this package; how many were answered."""
    answered = 0
    for place in places:
        for waiting in service.waiting_approvals(place.pipeline):
            if not place.takes(waiting.stage, waiting.action):
                continue
            reply = _reply(service, packages, package, waiting)
            answered += _give(service, waiting, reply, tell)
    return answered


def bring_answer(
    service: CodePipeline,
    packages: Packages,
    place: Place,
    execution: str,
    *,
    now: datetime,
) -> tuple[Kept, ...]:
    """Set the packages of a pipeline execution as its manual approval was answered.

    One that is gone is left out. One that was decided on otherwise by then stays as it is, and an
    error says so; the others are set first.
    """
    actions = service.actions(place.pipeline, execution)
    answer = read_answer(place, actions)
    if answer is None:
        return (Kept(package="", reason="nobody has answered the manual approval"),)
    named = named_packages(actions)
    if not named:
        raise UsageError(
            UNNAMED,
            where=f"{place.pipeline}, {execution}",
            fix="Give the action that trains a Namespace: its variable "
            f"{VARIABLE} is what is approved.",
        )
    revisions = service.revisions(place.pipeline, execution)
    return _decide_all(packages, named, answer, revisions, now=now)


def _decide_all(
    packages: Packages,
    named: Sequence[str],
    answer: Answered,
    revisions: Sequence[str],
    *,
    now: datetime,
) -> tuple[Kept, ...]:
    kept: list[Kept] = []
    problems: list[GitOpsError] = []
    for arn in named:
        try:
            held = packages.find(arn)
            if held is None:
                kept.append(Kept(package=arn, reason="it is gone"))
                continue
            decided = decide(packages, _decision(held, answer, revisions, now=now))
        except GitOpsError as error:
            problems.append(error)
        else:
            kept.append(Kept(package=arn, approval=decided.approval))
    if problems:
        raise problems[0]
    return tuple(kept)


def _decision(
    held: ModelPackage, answer: Answered, revisions: Sequence[str], *, now: datetime
) -> Decision:
    """Bound to the commit, where the pipeline has one source that is a repository."""
    commits = [each for each in map(known_commit, revisions) if each]
    reason = f"{answer.place}: {answer.reason}" if answer.reason else answer.place
    return Decision(
        package=held.arn,
        approval=answer.approval,
        expected=_expected(held, answer),
        actor=answer.by,
        at=now,
        reason=reason,
        commit=commits[0] if len(commits) == 1 else None,
    )


def _expected(held: ModelPackage, answer: Answered) -> ApprovalStatus:
    """A package that was registered Approved may still be rejected by the person who was asked;
    nothing else than a waiting one is approved."""
    if answer.approval is not ApprovalStatus.REJECTED:
        return ApprovalStatus.PENDING
    return ApprovalStatus.PENDING if f"{OWN}decision" in held.metadata else held.approval


def _reply(
    service: CodePipeline, packages: Packages, package: ModelPackage, waiting: WaitingApproval
) -> Reply:
    named = named_packages(service.actions(waiting.pipeline, waiting.execution))
    others = {}
    if package.arn in named:
        found = {arn: packages.find(arn) for arn in named if arn != package.arn}
        others = {arn: None if held is None else held.approval for arn, held in found.items()}
    return choose_reply(package, others, named=named)


def _give(
    service: CodePipeline, waiting: WaitingApproval, reply: Reply, tell: Callable[[str], None]
) -> int:
    place = approval_place(waiting)
    match reply.meaning:
        case Meaning.FOREIGN | Meaning.WAIT:
            tell(f"The approval of {place} is left waiting: {reply.text}")
            return 0
        case Meaning.APPROVE | Meaning.REJECT:
            approved = reply.meaning is Meaning.APPROVE
            taken = service.approve(waiting, approved=approved, summary=reply.text)
            tell(f"The approval of {place}: {reply.text}" + ("" if taken else " (answered before)"))
            return int(taken)
