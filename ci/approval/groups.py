"""Decides which model package groups are this project's: each pipeline's own, and those that an
environment names for its pull requests.

Names that could be others' count as well: nothing is deleted by them, and a package that is found
in such a group is held against the execution that registered it.
"""

import re

from ci.project.model import Project
from ci.project.owned import doubtful_names, own_names


def group_names(project: Project) -> tuple[set[str], list[re.Pattern[str]]]:
    """The groups that the project file names, and the forms of those for pull requests, whose
    first part in brackets is the number."""
    pipelines = project.pipelines.values()
    names = {each.model_package_group for each in pipelines if each.model_package_group is not None}
    forms = [
        each.form
        for place in project.environments.values()
        for each in (*own_names(project, place), *doubtful_names(project, place))
    ]
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
