"""A new pipeline in a reader's words: what each step runs on, and what it takes and makes.

Everything of a new pipeline is new, and a list of all its arguments tells a reviewer less than one
line for each step does. What is not told here is in the plan's own lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ci.definition.references import as_reference
from ci.plan.model import Kind, NamedChange, Plan, StepChange
from ci.plan.normal import BRANCH
from ci.plan.words import names, shown

_LONGEST = 120
_COMPARISONS = {
    "Equals": "=",
    "GreaterThan": ">",
    "GreaterThanOrEqualTo": ">=",
    "LessThan": "<",
    "LessThanOrEqualTo": "<=",
    "In": "in",
}
_MAKES = {
    "Tuning": "makes models, and tells the best",
    "Model": "makes a model that can be hosted",
}
_LABELS = {"if": "if {} holds", "else": "if {} does not hold", "body": "for each of {}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A step or a function in short. `when` says which step leads there, `does` holds clauses
    without a full stop. Names and values in it are foreign text, and not made inert yet."""

    name: str
    type: str
    on: str = ""
    when: str = ""
    does: tuple[str, ...] = ()


def outline(plan: Plan) -> tuple[Outline, ...]:
    """The functions and steps of a plan for a pipeline that is not there yet."""
    inside: dict[str, list[str]] = {}
    for step in plan.steps:
        inside.setdefault(str(step.content.get(BRANCH, "")), []).append(step.name)
    functions = (_function(each) for each in plan.functions)
    steps = (_step(each, inside) for each in plan.steps if each.kind is Kind.ADDED)
    return (*functions, *steps)


def _function(function: NamedChange) -> Outline:
    new = function.new if isinstance(function.new, Mapping) else {}
    return Outline(name=function.name, type="Lambda function", on=_told(new.get("Runtime", "")))


def _step(step: StepChange, inside: Mapping[str, Sequence[str]]) -> Outline:
    condition, _, label = str(step.content.get(BRANCH, "")).rpartition(" / ")
    arguments = step.content.get("Arguments")
    held = arguments if isinstance(arguments, Mapping) else {}
    return Outline(
        name=step.name,
        type=step.type,
        on=", ".join(part for part in (step.instances, step.image) if part),
        when=_LABELS.get(label, "in {}").format(condition) if condition else "",
        does=tuple(part for part in _does(step, held, inside) if part),
    )


def _does(
    step: StepChange, held: Mapping[str, object], inside: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    match step.type:
        case "Processing":
            yield _listed("makes", _outputs(held))
            files = _members(step.content.get("PropertyFiles"), "PropertyFileName")
            yield _listed("reports", files)
        case "Training":
            yield _listed("with", _hyperparameters(held))
            yield "makes a model"
        case "Transform":
            yield f"makes predictions in {_told(_at(held, 'TransformOutput', 'S3OutputPath'))}"
        case "RegisterModel":
            yield f"makes a model package of the group {_told(held.get('ModelPackageGroupName'))}"
        case "Lambda":
            yield f"calls {_told(step.content.get('FunctionArn')).rpartition(':')[2]}"
        case "Condition":
            yield f"asks {' and '.join(_conditions(held.get('Conditions')))}"
            yield _listed("then:", inside.get(f"{step.name} / if", ()))
            yield _listed("else:", inside.get(f"{step.name} / else", ()))
        case "Fail":
            yield _told(held.get("ErrorMessage", ""))
        case _:
            yield _MAKES.get(step.type, "")


def _outputs(held: Mapping[str, object]) -> list[str]:
    return _members(_at(held, "ProcessingOutputConfig", "Outputs"), "OutputName")


def _hyperparameters(held: Mapping[str, object]) -> list[str]:
    """But for those that an SDK sets for its own containers."""
    found = held.get("HyperParameters")
    pairs = found.items() if isinstance(found, Mapping) else ()
    return [f"{name}={_told(value)}" for name, value in pairs if not name.startswith("sagemaker_")]


def _conditions(found: object) -> list[str]:
    items = found if isinstance(found, list) else []
    return [_condition(each) for each in items if isinstance(each, Mapping)]


def _condition(held: Mapping[str, object]) -> str:
    kind = str(held.get("Type"))
    if kind == "Not":
        return f"not ({' and '.join(_conditions([held.get('Condition')]))})"
    if kind == "Or":
        return f"({' or '.join(_conditions(held.get('Conditions')))})"
    left = held.get("LeftValue", held.get("QueryValue"))
    right = held.get("RightValue", held.get("Values"))
    return f"{_told(left)} {_COMPARISONS.get(kind, kind)} {_told(right)}"


def _told(value: object) -> str:
    """A value in a sentence: parameters by their name, a property file's value by both names."""
    text = _sentence(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _sentence(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_sentence, value))
    if (reference := as_reference(value)) is not None:
        return reference.removeprefix("Parameters.")
    match value:
        case str():
            return value
        case {"Std:JsonGet": {"PropertyFile": file, "Path": path}}:
            return f"{_sentence(file).rpartition('.PropertyFiles.')[2]} {_sentence(path)}"
        case {"Std:Join": {"Values": list() as parts, **rest}}:
            return str(rest.get("On", "")).join(map(_sentence, parts))
        case _:
            return shown(value, _LONGEST)


def _listed(verb: str, items: Sequence[str]) -> str:
    return f"{verb} {names(items)}" if items else ""


def _members(items: object, field: str) -> list[str]:
    held = items if isinstance(items, list) else []
    return [str(item.get(field)) for item in held if isinstance(item, Mapping) and item.get(field)]


def _at(node: Mapping[str, object], *path: str) -> object:
    found: object = node
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
