"""Rules on a step's arguments: what botocore's model of the request they become would refuse.

A reference or function may stand for any value; where its type is known, it must be the type that
the argument takes: SageMaker refuses a definition that assigns a number to a text.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ci.definition.model import Definition, Problem, Step
from ci.definition.patterns import matches
from ci.definition.read import child_path
from ci.definition.references import as_reference, is_expression, parse_reference
from ci.definition.rules import Rule
from ci.definition.rules_references import expression_type
from ci.definition.shapes import ARGUMENT_SHAPES, Shape, service_shapes

_NUMBERS = frozenset({"integer", "long", "float", "double"})
_Found = Iterator[tuple[Rule, str, str]]


def argument_problems(definition: Definition) -> Iterator[Problem]:
    steps = {step.name: step for step in definition.walk()}
    for step in definition.walk():
        for rule, path, message in _step(step, definition, steps):
            yield Problem(rule=rule, path=path, message=message, step=step.name)


def _step(step: Step, definition: Definition, steps: Mapping[str, Step]) -> _Found:
    name, filled_in = ARGUMENT_SHAPES.get(step.type, ("", frozenset[str]()))
    if step.type == "AutoML":
        version = "V2" if "AutoMLProblemTypeConfig" in step.arguments else ""
        name, filled_in = f"CreateAutoMLJob{version}Request", frozenset({"AutoMLJobName"})
    if not name:
        return
    shapes = service_shapes("sagemaker")
    if name in shapes:
        checker = _Checker(shapes=shapes, definition=definition, steps=steps, filled_in=filled_in)
        yield from checker.check(shapes[name], step.arguments, f"{step.path}.Arguments")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checker:
    shapes: Mapping[str, Shape]
    definition: Definition
    steps: Mapping[str, Step]
    filled_in: frozenset[str]

    def check(self, shape: Shape, value: object, path: str) -> _Found:
        if is_expression(value):
            yield from self._expression(shape, value, path)
            return
        match shape["type"]:
            case "structure":
                yield from self._structure(shape, value, path)
            case "list":
                yield from self._list(shape, value, path)
            case "map":
                yield from self._map(shape, value, path)
            case "string":
                yield from _text(shape, value, path)
            case "boolean":
                if not isinstance(value, bool):
                    yield _wrong("true or false", value, path)
            case kind if kind in _NUMBERS:
                yield from _number(shape, value, path)
            case _:
                pass

    def _structure(self, shape: Shape, value: object, path: str) -> _Found:
        if not isinstance(value, Mapping):
            yield _wrong("an object", value, path)
            return
        members = shape["members"]
        top = path.endswith(".Arguments")
        for name in shape.get("required", ()):
            if value.get(name) is None and not (top and name in self.filled_in):
                yield Rule.ARGUMENT_MISSING, child_path(path, name), f"{name} is required here."
        for name, child in value.items():
            if name not in members:
                known = ", ".join(list(members)[:12]) + (", ..." if len(members) > 12 else "")
                message = f"There is no argument {name!r:.80} here; there are {known}."
                yield Rule.ARGUMENT_UNKNOWN, child_path(path, name), message
            elif child is not None:
                inner = self.shapes[members[name]["shape"]]
                yield from self.check(inner, child, child_path(path, name))

    def _list(self, shape: Shape, value: object, path: str) -> _Found:
        if not isinstance(value, list):
            yield _wrong("a list", value, path)
            return
        yield from _size(shape, len(value), "entries", path)
        member = self.shapes[shape["member"]["shape"]]
        for index, child in enumerate(value):
            yield from self.check(member, child, child_path(path, index))

    def _map(self, shape: Shape, value: object, path: str) -> _Found:
        if not isinstance(value, Mapping):
            yield _wrong("an object", value, path)
            return
        yield from _size(shape, len(value), "entries", path)
        keys, values = (self.shapes[shape[part]["shape"]] for part in ("key", "value"))
        for key, child in value.items():
            here = child_path(path, key)
            yield from _text(keys, key, here)
            yield from self.check(values, child, here)

    def _expression(self, shape: Shape, value: object, path: str) -> _Found:
        wanted = shape["type"]
        text = as_reference(value)
        if text is None:
            if isinstance(value, Mapping) and "Std:Join" in value:
                if wanted not in ("string", "blob"):
                    yield Rule.REFERENCE_TYPE, path, f"Std:Join gives a text, not a {wanted}."
                yield from _joined(shape, value["Std:Join"], path)
            return
        reference = parse_reference(text, path=path)
        given = expression_type(reference, self.definition.parameters, self.steps)
        if given is not None and not _assignable(given, wanted):
            fix = " Use .to_string() in the SDK, which wraps it in Std:Join."
            yield (
                Rule.REFERENCE_TYPE,
                path,
                f"{text} gives a {given}, the argument takes a {wanted}."
                + (fix if wanted == "string" else ""),
            )


def _assignable(given: str, wanted: str) -> bool:
    """Whether a value of one of the service model's types fits an argument of another."""
    if given == wanted or "timestamp" in (given, wanted):
        return True
    whole = {"integer", "long"}
    if wanted in whole:
        return given in whole
    return wanted in _NUMBERS and given in _NUMBERS


def _joined(shape: Shape, body: object, path: str) -> _Found:
    parts = body.get("Values") if isinstance(body, Mapping) else None
    glue = body.get("On", "") if isinstance(body, Mapping) else None
    if not isinstance(parts, list) or not isinstance(glue, str):
        yield Rule.EXPRESSION, path, "Std:Join takes On (a text) and Values (a list)."
        return
    fixed = sum(len(part) for part in parts if isinstance(part, str))
    least = fixed + len(glue) * max(0, len(parts) - 1)
    most = shape.get("max")
    if most is not None and least > most:
        message = f"The fixed parts of this text have {least:,} characters; {most:,} are allowed."
        yield Rule.ARGUMENT_LENGTH, path, message


def _text(shape: Shape, value: object, path: str) -> _Found:
    if not isinstance(value, str):
        yield _wrong("a text", value, path)
        return
    yield from _size(shape, len(value), "characters", path)
    allowed = shape.get("enum")
    if allowed is not None and value not in allowed and not _is_newer_instance(value, allowed):
        few = ", ".join(allowed[:12]) + (", ..." if len(allowed) > 12 else "")
        yield Rule.ARGUMENT_VALUE, path, f"{value!r:.80} is none of {few}."
    pattern = shape.get("pattern")
    if pattern is not None and len(value) <= shape.get("max", 2048) and not matches(pattern, value):
        yield Rule.ARGUMENT_VALUE, path, f"{value!r:.120} does not match {pattern}."


def _is_newer_instance(value: str, allowed: list[str]) -> bool:
    """An instance family that AWS has and this botocore does not know yet, in a size there is."""
    family, _, size = value.rpartition(".")
    if not allowed[0].startswith("ml.") or not family.startswith("ml."):
        return False
    known = {name.rpartition(".")[0] for name in allowed}
    sizes = {name.rpartition(".")[2] for name in allowed}
    return family not in known and size in sizes


def _number(shape: Shape, value: object, path: str) -> _Found:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield _wrong("a number", value, path)
        return
    if shape["type"] in ("integer", "long") and not isinstance(value, int):
        yield _wrong("a whole number", value, path)
    least, most = shape.get("min"), shape.get("max")
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"{'' if least is None else least} to {'' if most is None else most}"
        yield Rule.ARGUMENT_VALUE, path, f"{value} is outside of {bounds}."


def _size(shape: Shape, size: int, what: str, path: str) -> _Found:
    least, most = shape.get("min"), shape.get("max")
    if most is not None and size > most:
        message = f"{size:,} {what}; {most:,} are allowed."
        yield Rule.ARGUMENT_LENGTH, path, message
    elif least is not None and size < least:
        yield Rule.ARGUMENT_LENGTH, path, f"{size:,} {what}; at least {least:,} are needed."


def _wrong(expected: str, value: object, path: str) -> tuple[Rule, str, str]:
    return Rule.ARGUMENT_TYPE, path, f"This argument takes {expected}, not {value!r:.80}."
