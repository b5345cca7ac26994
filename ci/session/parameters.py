"""Decides whether an execution's parameters fit what its definition declares, before anything of
it is deployed: the service would only say so when the pipeline has been changed already."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci.definition.model import Definition, Parameter, ParameterType
from ci.errors import ProjectError, UsageError
from ci.project.model import Target
from ci.project.validate import nearest


def refuse_parameters(
    definition: Definition,
    target: Target,
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
        environment = target.environment
        at = "environments" if name in environment.parameters else "pipelines"
        holder = environment.name if at == "environments" else target.pipeline.name
        raise ProjectError(what, where=f"{file.name}, {at}.{holder}.parameters.{name}", fix=fix)


def _problems(name: str, text: str, definition: Definition) -> Iterator[tuple[str, str]]:
    declared = definition.parameters
    parameter = declared.get(name)
    if parameter is None:
        likely = nearest(name, list(declared))
        hint = f"write {likely}" if likely else f"remove it, or declare {name} in the pipeline"
        known = ", ".join(declared) or "none"
        yield f"the pipeline declares no parameter {name}; it declares: {known}", hint
    elif not _fits(parameter, text):
        wanted = f"one of {', '.join(parameter.choices)}" if parameter.choices else parameter.type
        yield (
            f"parameter {name} takes {wanted}, not {text!r}",
            f"give {name} a value of type {parameter.type}"
            if not parameter.choices
            else f"{name}: {nearest(text, parameter.choices) or parameter.choices[0]}",
        )


def _fits(parameter: Parameter, text: str) -> bool:
    match parameter.type:
        case ParameterType.STRING:
            return bool(text) and (not parameter.choices or text in parameter.choices)
        case ParameterType.BOOLEAN:
            return text.lower() in {"true", "false"}
        case ParameterType.INTEGER | ParameterType.FLOAT:
            read = int if parameter.type is ParameterType.INTEGER else float
            try:
                return math.isfinite(read(text))
            except (ValueError, OverflowError):
                return False
