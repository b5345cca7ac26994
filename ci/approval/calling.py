"""Decides how a model package is deployed: by which function, with which inputs.

The pipeline says it itself: its Lambda step that takes the ARN of the package which its
RegisterModel step made. The function is called with the inputs that the step would have had, the
package put in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci.definition.model import Definition, Step
from ci.definition.references import ReferenceKind, step_references
from ci.definition.resolve import Scope, Unresolved, parameter_values, resolve, to_text
from ci.errors import UsageError
from ci.sagemaker.arn import pipeline_of

_REGISTER, _LAMBDA = "RegisterModel", "Lambda"
_MEMBER = "ModelPackageArn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a Lambda function. `function` is its ARN or name, `step` the step that says so."""

    function: str
    step: str
    inputs: Mapping[str, Any]


def deploying_step(definition: Definition, *, where: str) -> Step:
    """The Lambda step that deploys what is registered. UsageError where there is none, or several
    could be meant."""
    found = [
        step for step in definition.walk() if step.type == _LAMBDA and _takes(step, definition)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(step.name for step in found)
        what = f"the steps {names} all take the package that is registered: none is called"
    else:
        what = "no Lambda step takes the package that is registered: there is nothing to call"
    raise UsageError(
        what,
        where=where,
        why="on_approved: deploy and on_rejected: rollback call the function of the one Lambda"
        f" step whose inputs name {_MEMBER} of the RegisterModel step",
        fix="on_approved: nothing",
    )


def make_call(
    definition: Definition,
    step: Step,
    *,
    execution: str,
    package: str,
    parameters: Mapping[str, str],
) -> Call:
    """The step's call for `package`. `parameters` are those that `execution` was started with.
    UsageError for an input that only a running execution knows."""
    name = pipeline_of(execution)
    scope = Scope(
        parameters=parameter_values(definition, parameters),
        variables={
            "PipelineName": name,
            "PipelineArn": execution.partition("/execution/")[0],
            "PipelineExecutionArn": execution,
            "PipelineExecutionId": execution.rpartition("/")[2],
        },
        properties={
            each.name: {_MEMBER: package} for each in definition.walk() if each.type == _REGISTER
        },
    )
    try:
        return Call(
            function=to_text(resolve(step.raw.get("FunctionArn", ""), scope)),
            step=step.name,
            inputs=resolve(step.arguments, scope),
        )
    except Unresolved as error:
        raise UsageError(
            f"the inputs of step {step.name} cannot be told once the execution has ended",
            where=execution,
            why=str(error),
            fix=f"Give {step.name} inputs that are texts, parameters, or the package's ARN.",
        ) from None


def _takes(step: Step, definition: Definition) -> bool:
    registering = {each.name for each in definition.walk() if each.type == _REGISTER}
    return any(target in registering for target in _packages_of(step))


def _packages_of(step: Step) -> Iterator[str]:
    for reference in step_references(step):
        if reference.kind is ReferenceKind.STEP and reference.tokens == (_MEMBER,):
            yield reference.target
