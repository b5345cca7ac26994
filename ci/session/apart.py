"""Decides whether a run of a pull request stays apart from production."""

from collections.abc import Iterator, Mapping

from ci.definition.model import Step
from ci.errors import ProjectError
from ci.execution.identity import parameter_text
from ci.project.model import Project
from ci.project.target import is_isolated
from ci.session.job import Job

_PARAMETER = "Parameters."


def refuse_production(project: Project, job: Job) -> None:
    """ProjectError where the run of a pull request would register into a model package group, or
    hand a function an endpoint, that the project file names as production's. Its model would be
    the next champion, or serve, before anyone merged it."""
    environment = job.target.environment
    if not is_isolated(environment) or environment.touches_production:
        return
    met = next(_meetings(project, job), None)
    if met is None:
        return
    step, kind, name = met
    raise ProjectError(
        f"this pull request's run would use production's {kind} {name!r}",
        where=f"step {step}, environment {environment.name}",
        why=f"the definition names it, and the project file names it as production's: {kind}s of "
        "pull requests have names of their own",
        fix=f"environments:\n  {environment.name}:\n    kwargs:      # or parameters:, whichever "
        f"the pipeline takes the name by\n      ARGUMENT: {name}-pr-{{pull_request}}\n"
        f"or, to plan pull requests and not run them:\n    run: false\n"
        f"or, if it is meant:\n    touches_production: true",
    )


def _meetings(project: Project, job: Job) -> Iterator[tuple[str, str, str]]:
    """Step, kind and name of what is production's."""
    pipelines = project.pipelines.values()
    groups = {each.model_package_group for each in pipelines if each.model_package_group}
    endpoints = {each.endpoint for each in pipelines if each.endpoint}
    values = _values(job)
    for step in job.definition.walk():
        group = _text(step.arguments.get("ModelPackageGroupName"), values)
        if step.type == "RegisterModel" and group in groups:
            yield step.name, "model package group", str(group)
        for handed in _handed(step):
            endpoint = _text(handed, values)
            if endpoint in endpoints:
                yield step.name, "endpoint", str(endpoint)


def _handed(step: Step) -> Iterator[object]:
    """What a function is called with."""
    if step.type == "Lambda":
        yield from step.arguments.values()


def _values(job: Job) -> Mapping[str, str]:
    defaults = {
        name: parameter_text(parameter.default)
        for name, parameter in job.definition.parameters.items()
        if parameter.default is not None
    }
    return {**defaults, **job.identity.parameters}


def _text(value: object, values: Mapping[str, str]) -> str | None:
    """A text, or the value of the parameter that stands for one."""
    if isinstance(value, dict) and str(value.get("Get", "")).startswith(_PARAMETER):
        return values.get(str(value["Get"]).removeprefix(_PARAMETER))
    return value if isinstance(value, str) else None
