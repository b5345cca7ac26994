"""One pipeline in one environment: where it goes, as whom, and with which parameters."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar, cast

from ci.errors import ProjectError, UsageError
from ci.project.model import Environment, Pipeline, Project, Target
from ci.project.names import OWN, fill_template, template_fields
from ci.project.validate import has_form, nearest
from ci.trigger.model import Event, Trigger

_T = TypeVar("_T")
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
_TAG_VALUE = re.compile(r"[^\w\s.:/=+\-@]")


def region_of_job(environ: Mapping[str, str]) -> str | None:
    """What AWS's own tools take where no region is named."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def in_region(project: Project, region: str | None) -> Project:
    """The project with all of its environments in this region: what the command line says goes
    before what the file says. UsageError for a text that is none."""
    if not region:
        return project
    if not has_form("region", region):
        raise UsageError(f"{region!r} is no AWS region", where="--region", fix="--region us-east-1")
    places = {name: replace(place, region=None) for name, place in project.environments.items()}
    return replace(project, region=region, environments=places)


def resolve_target(
    project: Project,
    *,
    pipeline: str,
    environment: str,
    trigger: Trigger,
    overrides: Mapping[str, str] | None = None,
    region_default: str | None = None,
    role_default: str | None = None,
) -> Target:
    """Everything that is settled before the first call.

    The defaults count where the project file is silent (a local run has a role of its own).
    Parameters: the command line's go before the environment's, those before the pipeline's.
    Raises UsageError for a name that is not there, ProjectError for a role or region that is
    nowhere.
    """
    entry = find_pipeline(project, pipeline)
    place = find_environment(project, environment)
    role = place.role or project.role or role_default
    if role is None:
        raise _missing(project, "role", environment, "arn:aws:iam::123456789012:role/NAME")
    region = place.region or project.region or region_default
    if region is None:
        raise _missing(project, "region", environment, "us-east-1")
    account = role.split(":")[4]
    fields = _fields(entry, place, trigger)
    kwargs = {
        **entry.kwargs,
        **{key: _filled(value, fields) for key, value in place.kwargs.items()},
    }
    parameters = {key: _filled(value, fields) for key, value in place.parameters.items()}
    return Target(
        pipeline=replace(
            entry, kwargs={**entry.kwargs, **kwargs}, endpoint=_endpoint(entry, place, fields)
        ),
        environment=place,
        pipeline_name=deployed_name(entry, place, trigger),
        role=role,
        account=account,
        region=region,
        bucket=project.artifacts.bucket or f"sagemaker-{region}-{account}",
        prefix=artifact_prefix(project.artifacts.prefix, place),
        parameters={**entry.parameters, **parameters, **_checked(overrides or {})},
        tags={**place.tags, **_own_tags(project, entry, place, trigger)},
    )


def choose_environment(project: Project, trigger: Trigger, named: str | None = None) -> str:
    """The environment a trigger is for: the named one, `pull_request`, or `main` for the default
    branch. UsageError where none follows."""
    if named:
        return find_environment(project, named).name
    if trigger.pull_request is not None or trigger.event in _OF_PULL_REQUESTS:
        return "pull_request"
    if trigger.is_default_branch:
        return "main"
    raise UsageError(
        f"no environment follows from {_described(trigger)}",
        why="only the default branch and pull requests have one of their own",
        fix=_ways_to(project),
    )


def _ways_to(project: Project) -> str:
    """The options that name each environment."""
    apart = [name for name, each in project.environments.items() if is_isolated(each)]
    shared = [name for name in project.environments if name not in apart]
    ways = [f"--environment {' | '.join(shared)}"] if shared else []
    return "\nor ".join([*ways, *(f"--environment {name} --pull-request NUMBER" for name in apart)])


_OF_PULL_REQUESTS = frozenset({Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED})


def _described(trigger: Trigger) -> str:
    return f"the branch {trigger.branch!r}" if trigger.branch else "a commit on no branch"


def find_pipeline(project: Project, name: str) -> Pipeline:
    """The pipeline of that name. UsageError names the nearest one."""
    return _find(project, "pipeline", name, project.pipelines)


def find_environment(project: Project, name: str) -> Environment:
    """The environment of that name. UsageError names the nearest one."""
    return _find(project, "environment", name, project.environments)


def _find(project: Project, kind: str, name: str, among: Mapping[str, _T]) -> _T:
    if name in among:
        return among[name]
    guess = nearest(name, list(among))
    raise UsageError(
        f"there is no {kind} {name!r}" + (f"; did you mean `{guess}`?" if guess else ""),
        where=str(project.file),
        fix=f"one of: {', '.join(among)}",
    )


def is_isolated(environment: Environment) -> bool:
    """Whether each pull request has a pipeline of its own in this environment."""
    return "pull_request" in template_fields(environment.pipeline_name)


def artifact_prefix(prefix: str, environment: Environment) -> str:
    """Where pull requests write, production does not read: whoever may write there could put other
    bytes under the name that a file of production will have."""
    return f"{prefix}/{environment.name}" if is_isolated(environment) else prefix


def deployed_name(pipeline: Pipeline, environment: Environment, trigger: Trigger) -> str:
    """The name of the deployed pipeline: safe for SageMaker, at most 82 characters."""
    values = _fields(pipeline, environment, trigger)
    for field in template_fields(environment.pipeline_name):
        if field not in values:
            raise UsageError(
                f"the environment `{environment.name}` needs a {field.replace('_', ' ')}, "
                "and this run has none",
                why=f"its pipeline_name is {environment.pipeline_name!r}",
                fix=("--pull-request NUMBER\nor " if field == "pull_request" else "")
                + "name another environment: --environment main",
            )
    return fill_template(environment.pipeline_name, values)


def _fields(pipeline: Pipeline, environment: Environment, trigger: Trigger) -> dict[str, str]:
    """What a template may name, as far as this run has it."""
    values = {"pipeline": pipeline.name, "environment": environment.name}
    if trigger.branch is not None:
        values["branch"] = trigger.branch
    if trigger.pull_request is not None:
        values["pull_request"] = str(trigger.pull_request)
    return values


def _endpoint(
    pipeline: Pipeline, environment: Environment, fields: Mapping[str, str]
) -> str | None:
    """A pull request's models must not be looked for on production's endpoint."""
    if environment.endpoint is not None:
        return _filled(environment.endpoint, fields)
    return None if environment.name == "pull_request" else pipeline.endpoint


def _filled(value: _T, fields: Mapping[str, str]) -> _T:
    """Text with its fields filled in. Other braces stay: a value may well be JSON."""
    if not isinstance(value, str):
        return value
    text: str = value
    for name, known in fields.items():
        text = text.replace("{" + name + "}", known)
    return cast(_T, text)


def _missing(project: Project, key: str, environment: str, example: str) -> ProjectError:
    return ProjectError(
        f"there is no {key} for the environment `{environment}`",
        where=str(project.file),
        fix=f"{key}: {example}\nor for this environment alone:\n"
        f"environments:\n  {environment}:\n    {key}: {example}",
    )


def _checked(overrides: Mapping[str, str]) -> Mapping[str, str]:
    for name in overrides:
        if not _PARAMETER.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a parameter", fix="--parameter Name=value")
    return overrides


def _own_tags(
    project: Project, pipeline: Pipeline, environment: Environment, trigger: Trigger
) -> dict[str, str]:
    tags = {
        f"{OWN}project": trigger.repository or project.root.name,
        f"{OWN}pipeline": pipeline.name,
        f"{OWN}environment": environment.name,
    }
    if is_isolated(environment) and trigger.pull_request is not None:
        tags[f"{OWN}pull-request"] = str(trigger.pull_request)
    return {key: _TAG_VALUE.sub("-", value)[:256] for key, value in tags.items()}
