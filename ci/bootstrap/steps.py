"""Decides whether a stack can be changed now, and which value each parameter of it takes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ci.bootstrap.template import Parameter, Template
from ci.errors import AwsError, UsageError
from ci.sagemaker.stacks import Stack

_STUCK = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A template that is ready for its stack. `parameters` are sent, `kept` are those whose value
    the stack holds and keeps."""

    stack: str
    template: Template
    create: bool
    parameters: Mapping[str, str]
    kept: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


def plan_step(
    template: Template, found: Stack | None, given: Mapping[str, str], *, stack: str
) -> Step:
    """`found` is the stack as it stands, `given` parameters by name.

    UsageError for a parameter that is missing or takes no such value, AwsError for a stack that
    cannot be changed now.
    """
    held = _settled(found)
    parameters, known = _choose(template, held, given)
    return Step(
        stack=stack,
        template=template,
        create=held is None or held.empty,
        parameters=parameters,
        kept={name: held.parameters[name] for name in known} if held else {},
        outputs=held.outputs if held else {},
    )


def preset(template: Template, given: Mapping[str, str]) -> Template:
    """The template with the values given as its parameters' defaults. UsageError for one that a
    parameter does not take."""
    fitting = _fitting(template, given)
    parameters = {
        name: replace(each, default=fitting.get(name, each.default))
        for name, each in template.parameters.items()
    }
    return replace(template, parameters=parameters)


def _choose(
    template: Template, found: Stack | None, given: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values to send, and the names that keep the stack's value.

    What was given goes first, then what the project file says, then what the stack has.
    """
    held = found.parameters if found is not None and not found.empty else {}
    values = _fitting(template, given)
    known: list[str] = []
    missing: list[str] = []
    for name, parameter in template.parameters.items():
        if name in values:
            continue
        if name in held and not (parameter.settled and parameter.default is not None):
            known.append(name)
        elif parameter.default is not None:
            values[name] = str(parameter.default)
        else:
            missing.append(name)
    if missing:
        raise UsageError(
            f"the template {template.name} needs {', '.join(missing)}",
            why="; ".join(template.parameters[name].description for name in missing),
            fix=" ".join(f"--parameter {name}=VALUE" for name in missing),
        )
    return values, tuple(known)


def _fitting(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """What is given for parameters of this template."""
    values = {name: value for name, value in given.items() if name in template.parameters}
    for name, value in values.items():
        if not template.parameters[name].takes(value):
            raise _unfit(name, value, template.parameters[name])
    return values


def _unfit(name: str, value: str, parameter: Parameter) -> UsageError:
    form = " or ".join(parameter.allowed) or f"a text of the form {parameter.pattern}"
    return UsageError(
        f"the parameter {name} cannot be {value!r}",
        why=parameter.description,
        fix=f"--parameter {name}=VALUE with {form}",
    )


def _settled(found: Stack | None) -> Stack | None:
    """A stack that can be changed now. AwsError for one that cannot."""
    if found is None:
        return None
    if found.moving:
        raise AwsError(
            f"The stack {found.name} is {found.status}",
            code=found.status,
            operation="DescribeStacks",
            where=found.id,
            why="Another change of it is under way.",
            fix="Run again when it has ended.",
        )
    if found.status in _STUCK:
        raise AwsError(
            f"The stack {found.name} is {found.status} and takes no change",
            code=found.status,
            operation="DescribeStacks",
            where=found.id,
            why=found.reason,
            fix=f"aws cloudformation delete-stack --stack-name {found.name}",
        )
    return found
