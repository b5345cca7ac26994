"""Decides whose a Lambda function is, and keeps pull requests off functions of others."""

from collections.abc import Mapping

from ci.compile.bundle import Function
from ci.errors import DefinitionError
from ci.project.names import OWN
from ci.sagemaker.functions import Functions

PULL_REQUEST = f"{OWN}pull-request"
_PARTS = ("project", "pipeline", "environment", "pull-request")
_IDENTITY = (f"{OWN}project", f"{OWN}environment", PULL_REQUEST)


def owner_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The part of a pipeline's tags that says whose something is, and not which commit it is."""
    names = (f"{OWN}{part}" for part in _PARTS)
    return {name: tags[name] for name in names if name in tags}


def same_owner(tags: Mapping[str, str], owner: Mapping[str, str]) -> bool:
    """One project, one environment, one pull request: a sibling pipeline's is one's own."""
    return bool(owner) and all(tags.get(name) == owner.get(name) for name in _IDENTITY)


def claim(functions: Functions, function: Function, owner: Mapping[str, str]) -> Mapping[str, str]:
    """The tags that the function is to carry; none for another's function that stays as it is.

    DefinitionError where a pull request would overwrite a function that is not its own. An
    environment that is no pull request's takes over what it names: it is what will stay.
    """
    if PULL_REQUEST not in owner:
        return owner
    held = functions.tags(function.name)
    if held is None or same_owner(held, owner):
        return owner
    if functions.equal(function):
        return {}
    number = owner[PULL_REQUEST]
    raise DefinitionError(
        f"pull request {number} would overwrite the Lambda function {function.name}, "
        f"which belongs to {_described(held)}",
        where=function.arn or function.name,
        why="the function's name does not depend on the pull request",
        fix="environments:\n  pull_request:\n    kwargs:\n"
        "      # the argument that the function's name is made of\n"
        "      endpoint_name: NAME-pr-{pull_request}",
    )


def _described(tags: Mapping[str, str]) -> str:
    environment, project = (tags.get(f"{OWN}{part}") for part in ("environment", "project"))
    if environment is None:
        return "no environment of this project"
    number = tags.get(PULL_REQUEST)
    place = f"pull request {number}" if number else f"the environment {environment!r}"
    return f"{place} of {project}"
