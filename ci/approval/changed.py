"""Decides which model packages may have been decided on since a moment, without any event.

Looked at are the groups that the project file names: each pipeline's own, and those that an
environment names for its pull requests. Of each the newest packages: the registry lists by the
time of creation, and not by that of a change.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from ci.project.model import Project
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.session import Session

_MOST_PACKAGES = 100
_MOST_GROUPS = 200
_NUMBER = "{pull_request}"


def decided_since(session: Session, since: datetime) -> Iterator[ModelPackage]:
    """Packages that are approved or rejected and were changed since, oldest change first."""
    adapter = session.adapter(_region(session))
    found = [
        package
        for group in sorted(_groups(session.project, adapter))
        for package in _decided(adapter, group)
        if (package.modified or package.created or since) >= since
    ]
    yield from sorted(found, key=lambda package: (package.modified or since, package.arn))


def group_names(project: Project) -> tuple[set[str], list[re.Pattern[str]]]:
    """The groups that the project file names, and the forms of those for pull requests."""
    names = {
        pipeline.model_package_group
        for pipeline in project.pipelines.values()
        if pipeline.model_package_group is not None
    }
    forms = []
    for template, environment in _templates(project):
        for pipeline in project.pipelines:
            text = template.replace("{pipeline}", pipeline).replace("{environment}", environment)
            forms.append(re.compile("[0-9]+".join(map(re.escape, text.split(_NUMBER)))))
    return names, forms


def _templates(project: Project) -> Iterator[tuple[str, str]]:
    for environment in project.environments.values():
        for value in (*environment.kwargs.values(), *environment.parameters.values()):
            if isinstance(value, str) and _NUMBER in value:
                yield value, environment.name


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


def _region(session: Session) -> str:
    return session.target(next(iter(session.project.pipelines))).region
