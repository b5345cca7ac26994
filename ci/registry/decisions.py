"""Decides whether a model package may be approved or rejected, and keeps who did it.

A decision is bound: to one package by its ARN, to the status and, where it is given, to the commit
that the decider saw. Where the package has another status by then, is of another commit, or, for an
approval, the pipeline has registered a newer one for the same commit or pull request, nothing is
changed and the reader is told. A rejection of an older one stands: it may be the one that serves.
(The API has no conditional update: of two who decide within the same moment the later one stands,
and the other reads that back.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from ci.errors import ExitCode, GitOpsError
from ci.project.names import OWN
from ci.registry.elsewhere import (
    AT,
    BY,
    DECIDED,
    ON,
    TEXT,
    decided_elsewhere,
    keeps_decision,
    moment,
    text_digest,
)
from ci.registry.packages import Provenance, keep_metadata, read_provenance, with_room
from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.sagemaker.packages import Packages
from ci.text.clean import clean

# How many newer packages of a group are looked at; each takes a call.
_MOST_NEWER = 100
_COMMIT = f"{OWN}decided-commit"
_SETTLED = f"{OWN}settled"
BY_COMMAND = "a command"  # the place of a decision that was made on no pull request
_LONGEST_TEXT = 1024  # of ApprovalDescription


class ApprovalError(GitOpsError):
    """The package is not, or no longer, as the approval takes it to be."""

    exit_code = ExitCode.APPROVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`expected` is the status the decider saw, `commit` the commit (7 digits are enough). `at` is
    when. `reason` goes into ApprovalDescription."""

    package: str
    approval: ApprovalStatus
    expected: ApprovalStatus
    actor: str
    at: datetime
    reason: str = ""
    pull_request: int | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Who decided on a package as it is now. `place` is where: a pull request, or SageMaker."""

    approval: ApprovalStatus
    actor: str
    at: str
    place: str | None = None


def decide(
    packages: Packages,
    decision: Decision,
    *,
    confirm: Callable[[ModelPackage], None] = lambda _: None,
) -> ModelPackage:
    """Approve or reject; the package as read back. Doing it twice is doing it once. `confirm` is
    shown the package once nothing speaks against it, before anything is changed, and may raise.

    Raises ApprovalError where the package is not the one that was decided on (see above), or
    did not complete.
    """
    held = _fitting(packages, decision)
    if decision.approval is ApprovalStatus.APPROVED is not held.approval:
        _refuse_superseded(packages, held)
    confirm(held)
    held = _fitting(packages, decision)  # looking at newer ones, and an answer, take their time
    if held.approval is decision.approval:
        return held
    text = approval_text(decision)
    packages.update(
        held.arn,
        approval=decision.approval,
        description=text,
        metadata=with_room(held, _decision_metadata(held, decision, text)),
    )
    after = packages.describe(held.arn)
    if after.approval is not decision.approval:
        raise ApprovalError(
            f"The package is {after.approval} although it was set to {decision.approval}",
            where=held.arn,
            why="Someone else decided at the same moment.",
        )
    return after


def read_decision(package: ModelPackage) -> Decided | None:
    """The decision that the package keeps; None where it keeps none, or one before the last."""
    if not keeps_decision(package):
        return None
    held = package.metadata
    return Decided(approval=package.approval, actor=held[BY], at=held[AT], place=held.get(ON))


def decided_because(package: ModelPackage) -> str:
    """Why it was decided so: ApprovalDescription, without who and when where this program wrote
    that before it. Empty where no reason was given."""
    told, decided = package.approval_description or "", read_decision(package)
    if decided is None or not told.startswith(f"{package.approval} by "):
        return told
    head, found, reason = told.partition(f", {decided.at}")
    return reason.removeprefix(":").strip() if found else head


def keep_decision(packages: Packages, package: ModelPackage, *, now: datetime) -> ModelPackage:
    """Keep who approved or rejected it elsewhere, as SageMaker names whoever changed it last; the
    package as read back. Nothing where that is kept, or nobody has decided."""
    found = decided_elsewhere(package, now=now)
    if not found or not keep_metadata(packages, package, found):
        return package
    return packages.describe(package.arn)


def is_settled(package: ModelPackage) -> bool:
    """Whether all that follows from this very decision was done once: what became of the endpoint
    since is another package's doing. A mark of an earlier decision counts for nothing, though it
    was the same one."""
    return package.metadata.get(_SETTLED) == _settled_text(package)


def mark_settled(packages: Packages, package: ModelPackage) -> None:
    if not is_settled(package):
        keep_metadata(packages, package, {_SETTLED: _settled_text(package)})


def _settled_text(package: ModelPackage) -> str:
    decided = read_decision(package)
    return f"{package.approval.value} {decided.at if decided else ''}".strip()


def approval_text(decision: Decision) -> str:
    """ApprovalDescription: who, where, on what, when, and why."""
    parts = [f"{decision.approval} by {decision.actor}"]
    if decision.pull_request:
        parts.append(f"on pull request {decision.pull_request}")
    if decision.commit:
        parts.append(f"at {decision.commit[:12]}")
    text = f"{' '.join(parts)}, {moment(decision.at)}"
    told = clean(f"{text}: {decision.reason}" if decision.reason.strip() else text)
    return told[:_LONGEST_TEXT]


def _fitting(packages: Packages, decision: Decision) -> ModelPackage:
    """The package, if it is as the decider saw it, or decided like that already."""
    held = packages.describe(decision.package)
    _refuse_other_commit(held, decision)
    if held.approval is not decision.approval:
        _refuse_other_status(held, decision)
    return held


def _refuse_other_commit(held: ModelPackage, decision: Decision) -> None:
    if decision.commit is None:
        return
    provenance = read_provenance(held)
    if provenance is None:
        raise ApprovalError(
            "The package does not say which commit it is of: nothing was changed",
            where=held.arn,
            why="Its metadata has no sagemaker-gitops:commit.",
            fix="Name it without --commit, if it is the one that you mean.",
        )
    if not provenance.commit.startswith(decision.commit):
        raise ApprovalError(
            f"The package is of commit {provenance.commit[:12]}, not {decision.commit[:12]}:"
            " nothing was changed",
            where=held.arn,
            fix="Look at the newest report, then decide on its package.",
        )


def _refuse_other_status(held: ModelPackage, decision: Decision) -> None:
    if held.approval is not decision.expected:
        raise ApprovalError(
            f"The package is {held.approval}, not {decision.expected}: nothing was changed",
            where=held.arn,
            why=held.approval_description or "Someone else decided in between.",
            fix=f"Look at it again, then repeat the command with --from {held.approval}.",
        )
    if decision.approval is ApprovalStatus.APPROVED and held.status not in {"", "Completed"}:
        raise ApprovalError(f"The package is {held.status}, not Completed", where=held.arn)


def _refuse_superseded(packages: Packages, held: ModelPackage) -> None:
    own = read_provenance(held)
    if own is None:
        return
    for newer in _newer(packages, held):
        other = read_provenance(newer)
        if other is not None and _same_subject(own, other):
            subject = (
                f"pull request {own.pull_request}"
                if own.pull_request is not None
                else f"commit {own.commit[:12]}"
            )
            raise ApprovalError(
                f"{held.group} v{newer.version} is newer, of the same {subject}:"
                " nothing was changed",
                where=held.arn,
                why=f"It was made of commit {other.commit[:12]}.",
                fix=f"Decide on the newer one: {newer.arn}",
            )


def _same_subject(own: Provenance, other: Provenance) -> bool:
    """Two pipelines may register in one group: a sibling's package replaces none."""
    if own.environment != other.environment:
        return False
    if pipeline_of(own.execution) != pipeline_of(other.execution):
        return False
    same_pull = own.pull_request is not None and own.pull_request == other.pull_request
    return same_pull or own.commit == other.commit


def _newer(packages: Packages, held: ModelPackage) -> Iterator[ModelPackage]:
    for package in islice(packages.in_group(held.group), _MOST_NEWER):
        if package.version <= held.version:
            return
        yield packages.describe(package.arn)


def _decision_metadata(held: ModelPackage, decision: Decision, text: str) -> dict[str, str]:
    """With it goes what an earlier decision left: a decision has settled nothing yet."""
    provenance = read_provenance(held)
    number = decision.pull_request
    return {
        DECIDED: decision.approval.value,
        BY: decision.actor,
        AT: moment(decision.at),
        ON: BY_COMMAND if number is None else f"pull request {number}",
        TEXT: text_digest(text),
        _COMMIT: decision.commit or (provenance.commit if provenance else ""),
        _SETTLED: "no",
    }
