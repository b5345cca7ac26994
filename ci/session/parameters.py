"""Decides whether what the project file says of a pipeline fits its definition, before anything of
it is deployed: parameters, which the service would only refuse when the pipeline has been changed
already, and the places that gates read, which would be missed when all is run and registered."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.definition.model import Definition, Parameter
from ci.definition.values import LONGEST_VALUE, read_value
from ci.errors import ProjectError, UsageError
from ci.execution.identity import ParameterValue
from ci.metrics.model import MetricSource, Origin
from ci.project.model import DefinitionSource, Environment, Pipeline, Project
from ci.project.validate import nearest


def own_parameters(
    parameters: Mapping[str, ParameterValue],
    definition: Definition,
    pipeline: Pipeline,
    *,
    overrides: Iterable[str] = (),
    alone: bool,
) -> dict[str, ParameterValue]:
    """An environment's parameters are for all pipelines of the project: one that is not `alone`
    there is not given what only others declare. What none declares, `find_undeclared` finds."""
    own = {*definition.parameters, *pipeline.parameters, *overrides}
    return {name: value for name, value in parameters.items() if alone or name in own}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undeclared:
    """A parameter of an environment that none of the compiled pipelines declares. `known` says that
    no other can: all were compiled, and as they are for this environment. `likely` is the name that
    was meant."""

    environment: str
    name: str
    known: bool
    likely: str | None
    declared: tuple[str, ...]

    def refusal(self, file: Path) -> ProjectError:
        declared = ", ".join(self.declared) or "none"
        return ProjectError(
            f"no pipeline of the project declares a parameter {self.name}; declared: {declared}"
            if self.known
            else f"no pipeline that was compiled declares a parameter {self.name}",
            where=f"{file.name}, environments.{self.environment}.parameters.{self.name}",
            fix=f"write {self.likely}"
            if self.likely
            else f"remove it, or declare {self.name} in a pipeline",
        )


def find_undeclared(
    project: Project, compiled_for: Environment, definitions: Mapping[str, Definition]
) -> Iterator[Undeclared]:
    """What the environments name and no pipeline declares, by definitions compiled for one of them:
    another one's arguments may give a module other parameters."""
    declared = tuple(
        dict.fromkeys(name for each in definitions.values() for name in each.parameters)
    )
    complete = definitions.keys() >= project.pipelines.keys()
    for environment in project.environments.values():
        for name in environment.parameters:
            if name not in declared:
                yield Undeclared(
                    environment=environment.name,
                    name=name,
                    known=complete
                    and all(
                        compiles_alike(pipeline, compiled_for, environment)
                        for pipeline in project.pipelines.values()
                    ),
                    likely=nearest(name, declared),
                    declared=declared,
                )


def compiles_alike(pipeline: Pipeline, one: Environment, other: Environment) -> bool:
    """Whether a pipeline declares the same parameters in both, surely."""
    return isinstance(pipeline.source, DefinitionSource) or one.kwargs == other.kwargs


def refuse_parameters(
    definition: Definition,
    pipeline: Pipeline,
    environment: Environment,
    given: Mapping[str, str],
    *,
    overrides: Mapping[str, str],
    file: Path,
) -> None:
    """UsageError where an override does not fit, ProjectError where the project file does not."""
    for name, text in given.items():
        told = next(_problems(name, text, definition), None)
        if told is None:
            continue
        what, fix = told
        if name in overrides:
            raise UsageError(what, where=f"--parameter {name}={text}", fix=fix)
        at = "environments" if name in environment.parameters else "pipelines"
        holder = environment.name if at == "environments" else pipeline.name
        raise ProjectError(what, where=f"{file.name}, {at}.{holder}.parameters.{name}", fix=fix)


def refuse_gates(definition: Definition, pipeline: Pipeline, *, file: Path) -> None:
    """ProjectError where a required gate hangs on a metric that no step of the definition gives:
    such a run could only fail, at its end."""
    gated = {gate.metric for gate in pipeline.gates if gate.required}
    for metric in pipeline.metrics:
        told = _unwritten(metric, definition) if metric.name in gated else None
        if told is not None:
            what, fix = told
            where = f"{file.name}, pipelines.{pipeline.name}.metrics, {metric.name}"
            raise ProjectError(f"a gate needs {metric.name}, and {what}", where=where, fix=fix)


def _unwritten(metric: MetricSource, definition: Definition) -> tuple[str, str] | None:
    match metric.origin:
        case Origin.PROPERTY_FILE:
            kind, key = "property file", "property_file"
            names = [name for step in definition.walk() for name in step.property_files]
        case Origin.TRAINING_JOB:
            kind, key = "training step", "training_step"
            names = [step.name for step in definition.walk() if step.type == "Training"]
        case Origin.MODEL_PACKAGE | Origin.S3:
            return None
    wanted = metric.reference
    found = [name for name in names if wanted in (None, name)]
    if len(found) == 1 or (found and metric.origin is Origin.TRAINING_JOB):
        return None
    if found:
        return f"the pipeline has {len(found)} {kind}s for it", f"{key}: a name that one step has"
    if not names:
        return f"the pipeline has no {kind}", f"add one, or remove the gate on {metric.name}"
    what = f"the pipeline has no {kind} {wanted}; it has: {', '.join(names)}"
    return what, f"{key}: {nearest(str(wanted), names) or names[0]}"


def _problems(name: str, text: str, definition: Definition) -> Iterator[tuple[str, str]]:
    declared = definition.parameters
    parameter = declared.get(name)
    if parameter is None:
        likely = nearest(name, list(declared))
        hint = f"write {likely}" if likely else f"remove it, or declare {name} in the pipeline"
        known = ", ".join(declared) or "none"
        yield f"the pipeline declares no parameter {name}; it declares: {known}", hint
    elif len(text) > LONGEST_VALUE:
        yield (
            f"parameter {name} takes {LONGEST_VALUE:,} characters, not {len(text):,}",
            f"put the text into an object on S3, and give {name} its address",
        )
    elif not _fits(parameter, text):
        wanted = f"one of {', '.join(parameter.choices)}" if parameter.choices else parameter.type
        yield (
            f"parameter {name} takes {wanted}, not {text!r}",
            f"give {name} a value of type {parameter.type}"
            if not parameter.choices
            else f"{name}: {nearest(text, parameter.choices) or parameter.choices[0]}",
        )


def _fits(parameter: Parameter, text: str) -> bool:
    known = read_value(parameter.type, text) is not None
    return known and (not parameter.choices or text in parameter.choices)
