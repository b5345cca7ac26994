"""Decides what follows from an approval or a rejection: a deployment, a rollback, or nothing.

From what the registry and the endpoint hold now, never from what an event said: an event that
comes twice, late or out of order leads to the same end.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ci.metrics.facts import EndpointFact
from ci.project.model import Environment, OnApproved, OnRejected
from ci.sagemaker.model import ApprovalStatus, ModelPackage


class Act(StrEnum):
    DEPLOY = "deploy"
    ROLL_BACK = "roll back"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """`package` is what the endpoint is to serve. `reason` says why in words; with `missed` it
    says what keeps that from coming true which the environment asks for. `told` says that a
    reader of the report has to know."""

    act: Act
    reason: str
    package: ModelPackage | None = None
    missed: bool = False
    told: bool = False


def asks_for_more(environment: Environment, package: ModelPackage) -> bool:
    """Whether something is to follow from the package's status in this environment."""
    match package.approval:
        case ApprovalStatus.APPROVED:
            return environment.on_approved is OnApproved.DEPLOY
        case ApprovalStatus.REJECTED:
            return environment.on_rejected is OnRejected.ROLLBACK
        case ApprovalStatus.PENDING:
            return False
        case _:
            assert_never(package.approval)


def describe_expected(environment: Environment, package: ModelPackage, endpoint: str | None) -> str:
    """What is to follow from the package's status, as far as the project file tells."""
    if not asks_for_more(environment, package):
        return f"nothing else follows in {environment.name}"
    asked = _asked(environment, package)
    if endpoint is None:
        return f"{asked}, but the project file names no endpoint of {environment.name}"
    if package.approval is ApprovalStatus.APPROVED:
        return f"the endpoint {endpoint} will serve it ({asked}), unless a newer one is approved"
    return (
        f"the endpoint {endpoint} will go back to the last approved model ({asked}), if it serves"
        " this one"
    )


def choose_consequence(
    environment: Environment,
    package: ModelPackage,
    *,
    newest: ModelPackage | None,
    endpoint: EndpointFact | None,
) -> Consequence:
    """What is to be done. `newest` is the newest approved package of the group, `endpoint` what
    the environment's endpoint serves, None where the project file names no endpoint."""
    if not asks_for_more(environment, package):
        return _nothing("nothing is to follow here")
    if endpoint is None:
        return _missed(
            f"{_asked(environment, package)}, but the project file names no endpoint of"
            f" {environment.name} to read back from"
        )
    if package.approval is ApprovalStatus.APPROVED:
        return _on_approved(package, newest, endpoint)
    return _on_rejected(package, newest, endpoint)


def _on_approved(
    package: ModelPackage, newest: ModelPackage | None, endpoint: EndpointFact
) -> Consequence:
    if newest is not None and newest.arn != package.arn and newest.version > package.version:
        reason = f"v{newest.version} is newer, and approved as well"
        return Consequence(act=Act.NOTHING, reason=reason, told=True)
    if endpoint.serves(package.arn):
        return _nothing(f"the endpoint {endpoint.name} serves it")
    return Consequence(act=Act.DEPLOY, package=package, reason=f"v{package.version} was approved")


def _on_rejected(
    package: ModelPackage, newest: ModelPackage | None, endpoint: EndpointFact
) -> Consequence:
    if endpoint.package != package.arn:
        return _nothing(f"the endpoint {endpoint.name} does not serve it")
    if newest is None:
        return _missed(
            f"the endpoint {endpoint.name} still serves it, for there is no approved package of"
            f" {package.group} to go back to"
        )
    return Consequence(act=Act.ROLL_BACK, package=newest, reason=f"v{package.version} was rejected")


def _asked(environment: Environment, package: ModelPackage) -> str:
    if package.approval is ApprovalStatus.APPROVED:
        return f"on_approved: {environment.on_approved}"
    return f"on_rejected: {environment.on_rejected}"


def _nothing(reason: str) -> Consequence:
    return Consequence(act=Act.NOTHING, reason=reason)


def _missed(reason: str) -> Consequence:
    return Consequence(act=Act.NOTHING, reason=reason, missed=True, told=True)
