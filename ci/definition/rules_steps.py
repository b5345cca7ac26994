"""Rules on what each type of step must say for itself, and on how steps wait for one another."""

import re
from collections.abc import Iterator, Mapping

from ci.definition.graph import dependencies, find_cycles
from ci.definition.model import Definition, Problem, Step
from ci.definition.read import child_path
from ci.definition.references import is_expression
from ci.definition.rules import Rule

TRIGGERS = frozenset({"Completed", "Failed", "Stopped", "Any"})
_COMPARISONS = frozenset(
    {"Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"}
)
# ISO 8601 as the SDK documents it, which also writes `p30d` and `T12H`.
_DURATION = re.compile(
    r"P?(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.IGNORECASE
)
_TARGETS = {
    "Lambda": (("FunctionArn",), "the ARN of the function it calls"),
    "Callback": (("SqsQueueUrl",), "the URL of the queue it writes to"),
    "Fail": (("Arguments", "ErrorMessage"), "the message it fails with"),
}


def step_problems(definition: Definition) -> Iterator[Problem]:
    types = {step.name: step.type for step in definition.walk()}
    for step in definition.walk():
        yield from _depends_on(step, types)
        yield from _target(step)
        yield from _settings(step)
        if step.type == "Condition":
            yield from _condition_step(step)
    for cycle in find_cycles(dependencies(definition)):
        first = next(step for step in definition.walk() if step.name == cycle[0])
        yield Problem(
            rule=Rule.CYCLE,
            path=first.path,
            message="These steps wait for one another: " + " -> ".join((*cycle, cycle[0])) + ".",
            fix="Take one of the references or DependsOn entries out.",
            step=first.name,
        )


def _depends_on(step: Step, types: Mapping[str, str]) -> Iterator[Problem]:
    path = f"{step.path}.DependsOn"
    for name in step.depends_on:
        if name not in types:
            yield Problem(
                rule=Rule.DEPENDS_ON,
                path=path,
                message=f"DependsOn names {name!r:.80}; no step has this name.",
                step=step.name,
            )
        elif types[name] == "Fail":
            yield Problem(
                rule=Rule.DEPENDS_ON_FAIL,
                path=path,
                message=f"{name!r} is a Fail step: it ends the execution, nothing runs after it.",
                step=step.name,
            )
    for name, trigger in step.triggers.items():
        if trigger not in TRIGGERS:
            yield Problem(
                rule=Rule.TRIGGER,
                path=path,
                message=f"The trigger {trigger!r:.80} on {name!r:.80} is none of"
                f" {', '.join(sorted(TRIGGERS))}.",
                step=step.name,
            )


def _target(step: Step) -> Iterator[Problem]:
    if step.type == "RegisterModel" and not step.arguments.get("ModelPackageGroupName"):
        yield Problem(
            rule=Rule.REGISTER_GROUP,
            path=f"{step.path}.Arguments.ModelPackageGroupName",
            message="RegisterModel names no model package group: the model would have no version,"
            " and no approval could be asked for.",
            fix="Pass model_package_group_name (v2: model.register(model_package_group_name=...)).",
            step=step.name,
        )
    keys, what = _TARGETS.get(step.type, ((), ""))
    if keys:
        value: object = step.raw
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not (value and (isinstance(value, str) or is_expression(value))):
            yield Problem(
                rule=Rule.STEP_TARGET,
                path=f"{step.path}.{'.'.join(keys)}",
                message=f"A {step.type} step needs {what}.",
                step=step.name,
            )


def _settings(step: Step) -> Iterator[Problem]:
    cache = step.raw.get("CacheConfig")
    if cache is not None and not _is_cache(cache):
        yield Problem(
            rule=Rule.CACHE,
            path=f"{step.path}.CacheConfig",
            message="CacheConfig takes Enabled (true or false) and ExpireAfter (an ISO 8601"
            " duration).",
            fix='"CacheConfig": {"Enabled": true, "ExpireAfter": "P30D"}',
            step=step.name,
        )
    policies = step.raw.get("RetryPolicies")
    if policies is not None and not (
        isinstance(policies, list) and all(_is_policy(policy) for policy in policies)
    ):
        yield Problem(
            rule=Rule.RETRY,
            path=f"{step.path}.RetryPolicies",
            message="A retry policy takes ExceptionType (a list of at least one), and MaxAttempts"
            " (1 to 20) or ExpireAfterMin.",
            step=step.name,
        )


def _is_cache(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("Enabled"), bool):
        return False
    expiry = value.get("ExpireAfter")
    return expiry is None or (isinstance(expiry, str) and bool(_DURATION.fullmatch(expiry)))


def _is_policy(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    types, attempts = value.get("ExceptionType"), value.get("MaxAttempts")
    limited = attempts is None or (isinstance(attempts, int) and 1 <= attempts <= 20)
    bounded = attempts is not None or value.get("ExpireAfterMin") is not None
    return isinstance(types, list) and bool(types) and limited and bounded


def _condition_step(step: Step) -> Iterator[Problem]:
    path = f"{step.path}.Arguments.Conditions"
    conditions = step.arguments.get("Conditions")
    for where, message in _conditions(conditions, path, "A condition step"):
        yield Problem(rule=Rule.CONDITION, path=where, message=message, step=step.name)


def _condition(value: object, path: str) -> Iterator[tuple[str, str]]:
    kind = value.get("Type") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(kind, str):
        yield path, "A condition is an object with a Type."
    elif kind in _COMPARISONS:
        yield from _operands(value, ("LeftValue", "RightValue"), path)
    elif kind == "In":
        yield from _operands(value, ("QueryValue",), path)
        values = value.get("Values")
        if not isinstance(values, list) or not values or not all(map(_is_operand, values)):
            yield f"{path}.Values", "In needs a list of at least one value."
    elif kind == "Not":
        yield from _condition(value.get("Condition"), f"{path}.Condition")
    elif kind == "Or":
        yield from _conditions(value.get("Conditions"), f"{path}.Conditions", "Or")
    else:
        names = ", ".join(sorted(_COMPARISONS | {"In", "Not", "Or"}))
        yield f"{path}.Type", f"There is no condition {kind!r:.80}; there are {names}."


def _conditions(value: object, path: str, owner: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list) or not value:
        yield path, f"{owner} needs a list of at least one condition."
        return
    for index, condition in enumerate(value):
        yield from _condition(condition, child_path(path, index))


def _operands(
    value: Mapping[str, object], keys: tuple[str, ...], path: str
) -> Iterator[tuple[str, str]]:
    for key in keys:
        if not _is_operand(value.get(key)):
            yield f"{path}.{key}", f"{value['Type']} compares values: {key} is missing or no value."


def _is_operand(value: object) -> bool:
    return isinstance(value, str | int | float) or is_expression(value)
