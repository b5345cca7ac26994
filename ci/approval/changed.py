"""Decides which model packages may have been decided on since a moment, without any event.

Looked at are the groups that the project file names, in every region that it names. Of each the
newest packages: the registry lists by the time of creation, and not by that of a change.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice

from ci.approval.groups import group_names
from ci.errors import AwsError
from ci.project.model import Project
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.session import Session

_MOST_PACKAGES = 100
_MOST_GROUPS = 200
_FORBIDDEN = 403


def decided_since(
    session: Session, since: datetime, *, tell: Callable[[str], None]
) -> list[ModelPackage]:
    """Packages that are approved or rejected and were changed since, oldest change first. A region
    of another environment where this role may not look is left out, and `tell` says so."""
    own = session.target(next(iter(session.project.pipelines))).region
    found: list[ModelPackage] = []
    for region in (own, *sorted(_regions(session) - {own})):
        try:
            found += _changed(session.project, session.adapter(region), since)
        except AwsError as error:
            if region == own or error.status != _FORBIDDEN:
                raise
            tell(f"What was decided on in {region} cannot be read: {error.what}")
    return sorted(found, key=lambda package: (package.modified or since, package.arn))


def _regions(session: Session) -> set[str]:
    default = session.project.region or session.region_default
    named = (place.region or default for place in session.project.environments.values())
    return {region for region in named if region is not None}


def _changed(project: Project, adapter: SageMaker, since: datetime) -> list[ModelPackage]:
    return [
        package
        for group in sorted(_groups(project, adapter))
        for package in _decided(adapter, group)
        if (package.modified or package.created or since) >= since
    ]


def _groups(project: Project, adapter: SageMaker) -> set[str]:
    names, forms = group_names(project)
    if forms:
        listed = islice(adapter.packages.groups(), _MOST_GROUPS)
        names |= {name for name in listed if any(form.fullmatch(name) for form in forms)}
    return names


def _decided(adapter: SageMaker, group: str) -> Iterator[ModelPackage]:
    for package in islice(adapter.packages.in_group(group), _MOST_PACKAGES):
        if package.approval is not ApprovalStatus.PENDING:
            yield adapter.packages.describe(package.arn)
