"""Decides who may change an approval, and what ties a model package to its commit.

An approval is bound: to one package by its ARN, and to the status that the approver saw. Where
the package has another status by then, nothing is changed and the reader is told. (The API has no
conditional update: of two who decide within the same moment the later one stands.)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ci.errors import ExitCode, GitOpsError
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.sagemaker.packages import Packages

KEY = "sagemaker-gitops:"
_VALUE_LIMIT = 256
_UNSAFE = re.compile(r"[^\w .:/=+\-@]", re.UNICODE)


class ApprovalError(GitOpsError):
    """The package is not, or no longer, as the approval takes it to be."""

    exit_code = ExitCode.APPROVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model package comes from."""

    commit: str
    execution: str
    environment: str
    digest: str
    repository: str | None = None
    pull_request: int | None = None
    run_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`expected` is the status the decider saw. `reason` goes into ApprovalDescription."""

    package: str
    approval: ApprovalStatus
    expected: ApprovalStatus
    actor: str
    reason: str = ""
    pull_request: int | None = None


def decide(packages: Packages, decision: Decision) -> ModelPackage:
    """Approve or reject; the package as read back. Doing it twice is doing it once.

    Raises ApprovalError where the status is neither `expected` nor already the wanted one, or
    where the package did not complete.
    """
    held = packages.describe(decision.package)
    if held.approval is decision.approval:
        return held
    if held.approval is not decision.expected:
        raise ApprovalError(
            f"The package is {held.approval}, not {decision.expected}: nothing was changed",
            where=held.arn,
            why=held.approval_description or "Someone else decided in between.",
            fix="Look at it again, then repeat the command.",
        )
    if decision.approval is ApprovalStatus.APPROVED and held.status not in {"", "Completed"}:
        raise ApprovalError(f"The package is {held.status}, not Completed", where=held.arn)
    packages.update(
        held.arn,
        approval=decision.approval,
        description=_approval_text(decision),
        metadata=_safe_metadata(_decision_metadata(decision)),
    )
    after = packages.describe(held.arn)
    if after.approval is not decision.approval:
        raise ApprovalError(
            f"The package is {after.approval} although it was set to {decision.approval}",
            where=held.arn,
            why="Someone else decided at the same moment.",
        )
    return after


def stamp_package(packages: Packages, package: str, provenance: Provenance) -> bool:
    """Write where the package comes from; False where it says so already."""
    wanted = _safe_metadata(_provenance_metadata(provenance))
    held = packages.describe(package)
    missing = {key: value for key, value in wanted.items() if held.metadata.get(key) != value}
    if missing:
        packages.update(package, metadata=missing)
    return bool(missing)


def champion(
    packages: Packages, group: str, *, challenger: str | None, before: datetime | None
) -> ModelPackage | None:
    """The newest Approved package of the group but the challenger, made before `before` (the
    execution's start). None: the first model ever."""
    for package in packages.in_group(group, approval=ApprovalStatus.APPROVED, before=before):
        if package.arn != challenger and (
            before is None or package.created is None or package.created < before
        ):
            return packages.describe(package.arn)
    return None


def _approval_text(decision: Decision) -> str:
    place = f" on pull request {decision.pull_request}" if decision.pull_request else ""
    reason = " ".join(decision.reason.split())
    return f"{decision.approval} by {decision.actor}{place}" + (f": {reason}" if reason else "")


def _decision_metadata(decision: Decision) -> dict[str, str]:
    number = decision.pull_request
    return {f"{KEY}decided-by": decision.actor} | (
        {} if number is None else {f"{KEY}decided-on": f"pull request {number}"}
    )


def _provenance_metadata(provenance: Provenance) -> dict[str, str]:
    found = {
        "commit": provenance.commit,
        "execution": provenance.execution,
        "environment": provenance.environment,
        "digest": provenance.digest,
        "repository": provenance.repository,
        "pull-request": None if provenance.pull_request is None else str(provenance.pull_request),
        "run-url": provenance.run_url,
    }
    return {f"{KEY}{name}": value for name, value in found.items() if value}


def _safe_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Values in the alphabet and length that CustomerMetadataProperties takes."""
    safe = {key: _UNSAFE.sub("-", value)[:_VALUE_LIMIT] for key, value in metadata.items()}
    return {key: value for key, value in safe.items() if value}
