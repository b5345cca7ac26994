"""Decides what a model package's status means for a manual approval of CodePipeline that waits,
and what an answered one means for the package. Pure.

The two are about the same thing only where CodePipeline itself tells so: an action of the very
pipeline execution named the package in its output variables. What a package says of its commit is
no proof: whoever registers one may write it, a pull request's run included. Both directions start
from what is held now, so that an event that comes twice, late or out of order changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ci.errors import UsageError
from ci.registry.decisions import decided_because, read_decision
from ci.sagemaker.codepipeline import ActionRun, WaitingApproval
from ci.sagemaker.model import ApprovalStatus, ModelPackage

VARIABLE = "SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN"
# Names the manual approvals that a package's status answers: PIPELINE or PIPELINE/STAGE/ACTION.
PLACES = "SAGEMAKER_GITOPS_CODEPIPELINE"
UNNAMED = "no action of this pipeline execution names a model package"
_STATUS = {"Succeeded": ApprovalStatus.APPROVED, "Failed": ApprovalStatus.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The manual approvals that are meant: all of a pipeline's, or the one of a stage's action."""

    pipeline: str
    stage: str | None = None
    action: str | None = None

    def takes(self, stage: str, action: str) -> bool:
        return self.stage in {None, stage} and self.action in {None, action}


class Meaning(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    WAIT = "wait"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to do with a waiting approval; `text` says why, and is what CodePipeline keeps."""

    meaning: Meaning
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A manual approval that somebody has answered. `by` names them as far as CodePipeline does."""

    approval: ApprovalStatus
    by: str
    reason: str
    place: str


def parse_places(text: str, where: str) -> tuple[Place, ...]:
    """`PIPELINE` or `PIPELINE/STAGE/ACTION`, several with commas or spaces. UsageError else."""
    places = []
    for word in text.replace(",", " ").split():
        parts = word.split("/")
        if len(parts) not in {1, 3} or not all(parts):
            raise UsageError(
                f"{word!r} names no manual approval", where=where, fix="PIPELINE/STAGE/ACTION"
            )
        stage, action = (parts[1], parts[2]) if len(parts) == 3 else (None, None)
        places.append(Place(pipeline=parts[0], stage=stage, action=action))
    return tuple(places)


def named_packages(actions: Sequence[ActionRun]) -> tuple[str, ...]:
    """The model packages that the actions of one pipeline execution told of, newest run first. Of
    an action that a retried stage ran again the last run counts: what an earlier one registered is
    nobody's to decide on any more."""
    newest: dict[tuple[str, str], ActionRun] = {}
    for run in actions:
        newest.setdefault((run.stage, run.action), run)
    found = (run.variables.get(VARIABLE) for run in newest.values())
    return tuple(dict.fromkeys(arn for arn in found if arn))


def choose_reply(
    package: ModelPackage, others: Mapping[str, ApprovalStatus | None], *, named: Sequence[str]
) -> Reply:
    """What to answer for a package. `others` are the statuses of the further packages that the
    pipeline execution named, None of one that is gone: one approval stands for all of them."""
    if not named:
        return Reply(meaning=Meaning.FOREIGN, text=UNNAMED)
    if package.arn not in named:
        return Reply(meaning=Meaning.FOREIGN, text="the pipeline execution is about another model")
    statuses = {package.arn: package.approval, **others}
    if package.approval is ApprovalStatus.REJECTED:
        return Reply(meaning=Meaning.REJECT, text=_told(package))
    rejected = [arn for arn, status in statuses.items() if status is ApprovalStatus.REJECTED]
    if rejected:
        return Reply(meaning=Meaning.REJECT, text=f"{rejected[0]} is Rejected")
    undecided = [arn for arn, status in statuses.items() if status is not ApprovalStatus.APPROVED]
    if undecided:
        state = "is gone" if statuses[undecided[0]] is None else "awaits approval"
        return Reply(meaning=Meaning.WAIT, text=f"{undecided[0]} {state}")
    return Reply(meaning=Meaning.APPROVE, text=_told(package))


def read_answer(place: Place, actions: Sequence[ActionRun]) -> Answered | None:
    """The answer to a pipeline execution's manual approval; None where nobody has answered it (it
    waits, or ran out of time). UsageError where several manual approvals could be meant."""
    manual = [
        action for action in actions if action.manual and place.takes(action.stage, action.action)
    ]
    names = {(action.stage, action.action) for action in manual}
    if len(names) > 1:
        listed = " | ".join(sorted(f"{place.pipeline}/{s}/{a}" for s, a in names))
        raise UsageError(
            "the pipeline has several manual approvals", where=place.pipeline, fix=listed
        )
    # A stage that was retried has run its action again: the newest run counts, and it comes first.
    newest = manual[0] if manual else None
    if newest is None or newest.status not in _STATUS or newest.broken or not newest.by:
        return None
    return Answered(
        approval=_STATUS[newest.status],
        by=person(newest.by),
        reason=newest.summary or "",
        place=f"{place.pipeline}, {newest.stage}, {newest.action}",
    )


def person(arn: str) -> str:
    """Who an ARN of IAM or STS stands for: `user/alice` and `assumed-role/Admin/alice` -> the
    name, with the role before it where there is one."""
    resource = arn.split(":", 5)[-1]
    kind, _, name = resource.partition("/")
    return name if name and kind in {"user", "assumed-role", "federated-user"} else resource


def approval_place(waiting: WaitingApproval) -> str:
    return f"{waiting.pipeline}, {waiting.stage}, {waiting.action}"


def _told(package: ModelPackage) -> str:
    name = f"{package.group} v{package.version}"
    decided = read_decision(package)
    said = f"{name} is {package.approval.value}"
    if decided is not None:
        said = f"{said}, by {decided.actor}, {decided.at}"
    reason = decided_because(package)
    return f"{said}: {reason}" if reason else said
