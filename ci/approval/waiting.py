"""Decides which model packages of a pipeline wait for a decision in an environment."""

from itertools import islice

from ci.project.model import Target
from ci.project.owned import own_names
from ci.project.target import is_isolated
from ci.registry.packages import read_provenance
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.session import Session

_MOST = 5  # of a group; each takes a call


def read_waiting(session: Session, pipeline: str) -> tuple[ModelPackage, ...]:
    """The newest packages of a pipeline whose approval is pending in the session's environment.
    One that nobody stamped counts, whatever made it."""
    target = session.target(pipeline)
    packages, pending = session.adapter(target.region).packages, ApprovalStatus.PENDING
    return tuple(
        found
        for group in _groups(session, target)
        for listed in islice(packages.in_group(group, approval=pending), _MOST)
        if _is_here(found := packages.describe(listed.arn), target)
    )


def _groups(session: Session, target: Target) -> list[str]:
    place, number = target.environment, session.trigger.pull_request
    if is_isolated(place) and number is not None:
        return sorted({each.of(str(number)) for each in own_names(session.project, place)})
    group = target.pipeline.model_package_group
    return [] if group is None else [group]


def _is_here(package: ModelPackage, target: Target) -> bool:
    """ARNs hold a pipeline's name in small letters."""
    made = read_provenance(package)
    if made is None:
        return True
    _, _, place = made.execution.partition(":pipeline/")
    name = place.partition("/")[0].lower()
    return target.environment.name == made.environment and name in {
        "",
        target.pipeline_name.lower(),
    }
