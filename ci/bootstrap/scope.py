"""Derives from a project file which roles there are and which names each may touch. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from ci.bootstrap.model import Duty, RoleNeed, Scope, Setup
from ci.bootstrap.resources import CODE_PIPELINE, PREFIX
from ci.errors import UsageError
from ci.project.model import Environment, ForgeKind, Pipeline, Project
from ci.project.names import fill_template
from ci.project.owned import doubtful_names, is_telling, own_names
from ci.project.target import artifact_prefix, is_isolated

_FIELD = re.compile(r"\{[a-z_]+\}")
# Stands for what a run fills in, through what makes names safe; no name of a project holds it.
_ANY = "ANYTEXT"
_LONGEST_PREFIX = 32
# What the name of a stack may begin with, with room for what roles are called behind it.
NAME_FORM = f"[a-zA-Z][a-zA-Z0-9-]{{0,{_LONGEST_PREFIX - 1}}}"
PLAN = "plan"
MAIN = "main"


def plan_setup(
    project: Project,
    *,
    repository: str,
    default_branch: str,
    name: str | None = None,
    bucket: str | None = None,
    region: str | None = None,
) -> Setup:
    """The set-up of a project. `name` defaults to the repository's, made safe.

    `bucket` and `region` go before the project file's. UsageError for a name that stacks and roles
    cannot begin with.
    """
    if name is not None and not re.fullmatch(NAME_FORM, name):
        raise UsageError(
            f"no stack can be called {name}-events",
            why="a name begins with a letter; letters, digits and hyphens follow, 32 in all",
            fix=f"--name {default_name(name)}",
        )
    region = region or project.region
    scopes = {place.name: _scope(project, place, region) for place in project.environments.values()}
    seen = _with_forge(_joined(scopes.values()), project, repository)
    isolated = [each for each in project.environments.values() if is_isolated(each)]
    reviewed = _joined(scopes[each.name] for each in isolated)
    roles = [
        RoleNeed(
            name=place.name.replace("_", "-"),
            duty=Duty.PULL_REQUEST if place in isolated else Duty.MAIN,
            own=scopes[place.name],
            seen=seen,
            # Comments are answered with the role of main.
            reviewed=reviewed if place.name == MAIN else Scope(),
            environment=place.name,
        )
        for place in project.environments.values()
    ]
    return Setup(
        name=name or default_name(repository),
        repository=repository,
        default_branch=default_branch,
        region=region,
        bucket=bucket or project.artifacts.bucket or _default_bucket(project, region),
        prefix=project.artifacts.prefix,
        execution_role=_role_name(project.role),
        roles=(RoleNeed(name=PLAN, duty=Duty.PLAN, own=Scope(), seen=seen), *roles),
        functions=tuple(_function(each) for each in roles if each.duty is Duty.MAIN),
        seen=seen,
        remarks=tuple(_remarks(project, scopes)),
    )


def _function(role: RoleNeed) -> RoleNeed:
    own = replace(role.own, code_pipelines=(CODE_PIPELINE,))
    return replace(role, duty=Duty.FUNCTION, own=own, reviewed=Scope())


def default_name(repository: str) -> str:
    """`acme/ML ops` -> `ml-ops`: what begins the names of a project's resources."""
    text = re.sub(r"[^a-z0-9]+", "-", repository.rpartition("/")[2].lower()).strip("-")
    if not text[:1].isalpha():
        text = f"sagemaker-{text or 'gitops'}"
    return text[:_LONGEST_PREFIX].strip("-")


def _default_bucket(project: Project, region: str | None) -> str | None:
    return f"sagemaker-{region}-{project.role.split(':')[4]}" if region and project.role else None


def _scope(project: Project, place: Environment, region: str | None) -> Scope:
    own = [each.pattern for each in own_names(project, place)]
    shared = not is_isolated(place)
    groups = [each.model_package_group for each in project.pipelines.values() if shared]
    endpoints = [_endpoint(each, place, project) for each in project.pipelines.values()]
    hosted = _unique([*(name for name in endpoints if name), *own])
    pipelines = _unique(_pipeline(each, place) for each in project.pipelines.values())
    # A function is called after the endpoint it deploys to, or after the pipeline it belongs to.
    functions = _unique(f"{name}*".replace("**", "*") for name in (*hosted, *pipelines))
    role = place.role or project.role
    return Scope(
        regions=(place.region or region or "${AWS::Region}",),
        pipelines=pipelines,
        groups=_unique([*(name for name in groups if name), *own]),
        hosted=hosted,
        functions=functions,
        execution_roles=(role,) if role else (),
        artifacts=(artifact_prefix(PREFIX, place),),
        code_pipelines=(CODE_PIPELINE,) if place.name == MAIN else (),
    )


def _pipeline(pipeline: Pipeline, place: Environment) -> str:
    """The deployed name as a pattern. What a run fills in may add a hash, or be cut."""
    values = {"pipeline": pipeline.name, "environment": place.name}
    opened = dict.fromkeys(("pull_request", "branch"), _ANY)
    filled = fill_template(place.pipeline_name, {**opened, **values})
    return filled.replace(_ANY, "*").rstrip("*") + "*" if _ANY in filled else filled


def _endpoint(pipeline: Pipeline, place: Environment, project: Project) -> str | None:
    if place.endpoint is not None:
        text = place.endpoint.replace("{pipeline}", pipeline.name)
        pattern = _FIELD.sub("*", text.replace("{environment}", place.name))
        return pattern if "*" not in pattern or is_telling(pattern, project) else None
    return None if is_isolated(place) else pipeline.endpoint


def _joined(scopes: Iterable[Scope]) -> Scope:
    """All that any of them names. A role that looks passes none on."""
    every = list(scopes)
    return Scope(
        regions=_unique(name for each in every for name in each.regions),
        pipelines=_unique(name for each in every for name in each.pipelines),
        groups=_unique(name for each in every for name in each.groups),
        hosted=_unique(name for each in every for name in each.hosted),
        functions=_unique(name for each in every for name in each.functions),
    )


def _with_forge(seen: Scope, project: Project, repository: str) -> Scope:
    """What the forge needs of AWS: its token's place, or the repository itself."""
    token, kind = project.forge.token, project.forge.kind
    own = project.forge.repository or repository.rpartition("/")[2]
    return replace(
        seen,
        secrets=(token.secret,) if token and token.secret else (),
        parameters=(token.parameter.lstrip("/"),) if token and token.parameter else (),
        repositories=(own,) if kind is ForgeKind.CODECOMMIT else (),
    )


def _role_name(arn: str | None) -> str | None:
    return arn.rpartition("/")[2] if arn else None


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _remarks(project: Project, scopes: Mapping[str, Scope]) -> Iterator[str]:
    shared = [each.name for each in project.environments.values() if not is_isolated(each)]
    for place in project.environments.values():
        if is_isolated(place):
            yield from _too_wide(place, scopes, shared)
        if not scopes[place.name].execution_roles:
            yield (
                f"the environment `{place.name}` has no role: its role may pass none on, and no"
                " pipeline can be created. Set `role:` in the project file, and run again."
            )
        for each in doubtful_names(project, place):
            yield (
                f"`{each.setting}: {each.text}` of the environment `{place.name}` is taken for no"
                f" name of its own: {each.doubt}. Its role may not touch what is called so; begin"
                " it with a pipeline's name, below a key that says what it names."
            )
        if is_isolated(place) and not own_names(project, place):
            yield (
                f"the environment `{place.name}` names no model package group, endpoint or"
                " function of its own: its runs register with production's, which its role may"
                " neither change nor clean up. Give it kwargs or parameters with {pull_request}."
            )


def _too_wide(
    place: Environment, scopes: Mapping[str, Scope], shared: Iterable[str]
) -> Iterator[str]:
    """A pull request's patterns that reach into a shared environment."""
    for other in shared:
        for kind in ("pipelines", "groups", "hosted"):
            own, theirs = getattr(scopes[place.name], kind), getattr(scopes[other], kind)
            for pattern in own:
                met = [name for name in theirs if fnmatchcase(name, pattern)]
                if met:
                    yield (
                        f"the environment `{place.name}` may touch {met[0]!r} of `{other}`: its"
                        f" names are {pattern!r}. Begin them with what `{other}` does not use."
                    )
