"""Decides which model package groups are this project's: each pipeline's own, and those that an
environment names for its pull requests."""

import re
from collections.abc import Iterator

from ci.project.model import Project

_NUMBER = "{pull_request}"


def group_names(project: Project) -> tuple[set[str], list[re.Pattern[str]]]:
    """The groups that the project file names, and the forms of those for pull requests, whose
    first part in brackets is the number."""
    names = {
        pipeline.model_package_group
        for pipeline in project.pipelines.values()
        if pipeline.model_package_group is not None
    }
    forms = []
    for template, environment in _templates(project):
        for pipeline in project.pipelines:
            text = template.replace("{pipeline}", pipeline).replace("{environment}", environment)
            forms.append(re.compile("([0-9]+)".join(map(re.escape, text.split(_NUMBER)))))
    return names, forms


def is_own_group(project: Project, group: str) -> bool:
    names, forms = group_names(project)
    return group in names or any(form.fullmatch(group) for form in forms)


def pull_request_of(project: Project, group: str) -> int | None:
    """The pull request that a group's name tells; None where it tells none."""
    names, forms = group_names(project)
    if group in names:
        return None
    found = next(filter(None, (form.fullmatch(group) for form in forms)), None)
    return None if found is None else int(found[1])


def _templates(project: Project) -> Iterator[tuple[str, str]]:
    for environment in project.environments.values():
        for value in (*environment.kwargs.values(), *environment.parameters.values()):
            if isinstance(value, str) and _NUMBER in value:
                yield value, environment.name
