"""What a reference in a definition stands for, at the moment its step starts.

Understands `{"Get": ...}`, `Std:Join` and `Std:JsonGet` anywhere in a step's arguments, as the
SDKs write them (`sagemaker.*.workflow.functions`, `.properties`, `.execution_variables`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ci.definition.model import Definition, Parameter, ParameterType
from ci.definition.references import Reference, ReferenceKind, parse_reference

_NAME_KEYS = ("OutputName", "InputName", "ChannelName", "MetricName", "Name")


class Unresolved(Exception):
    """A reference that stands for nothing; its text becomes the step's failure reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What references may name: parameters by name (typed), execution variables by name, each
    finished step's properties, each step's property files as `name -> (output name, path)`, and
    a way to read the text of an S3 object."""

    parameters: Mapping[str, object]
    variables: Mapping[str, str]
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    property_files: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    read_text: Callable[[str], str] | None = None


def resolve(value: object, scope: Scope) -> Any:
    """`value` with every reference in it replaced by what it stands for. Unresolved if one
    stands for nothing."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            (key,) = value
            match key:
                case "Get":
                    return _get(str(value[key]), scope)
                case "Std:Join":
                    return _join(value[key], scope)
                case "Std:JsonGet":
                    return _json_get(value[key], scope)
        return {str(key): resolve(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, scope) for item in value]
    return value


def to_text(value: object) -> str:
    """A value where the API wants a string: booleans as JSON writes them, whole floats kept."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, Mapping | list):
        return json.dumps(value)
    return str(value)


def parameter_values(
    definition: Definition, given: Mapping[str, object] | Sequence[Mapping[str, Any]]
) -> dict[str, object]:
    """Each declared parameter's typed value: what the start gave, else its default. `given` is
    the API's list of Name and Value, or a mapping."""
    named = given if isinstance(given, Mapping) else {item["Name"]: item["Value"] for item in given}
    values: dict[str, object] = {}
    for name, parameter in definition.parameters.items():
        raw = named.get(name, parameter.default)
        if raw is not None:
            values[name] = _typed(parameter, raw)
    return values


def _typed(parameter: Parameter, raw: object) -> object:
    try:
        match parameter.type:
            case ParameterType.STRING:
                return to_text(raw)
            case ParameterType.INTEGER:
                return int(str(raw))
            case ParameterType.FLOAT:
                return float(str(raw))
            case ParameterType.BOOLEAN:
                return {"true": True, "false": False}[str(raw).lower()]
    except (ValueError, KeyError):
        raise Unresolved(
            f"Parameter {parameter.name} is declared {parameter.type} but its value is {raw!r}."
        ) from None


def _get(text: str, scope: Scope) -> Any:
    reference = parse_reference(text)
    match reference.kind:
        case ReferenceKind.PARAMETER:
            if reference.target not in scope.parameters:
                raise Unresolved(f"{text}: no value was given and there is no default.")
            return scope.parameters[reference.target]
        case ReferenceKind.EXECUTION:
            if reference.target not in scope.variables:
                raise Unresolved(
                    f"{text} is not an execution variable here; there are "
                    f"{', '.join(sorted(scope.variables))}."
                )
            return scope.variables[reference.target]
        case ReferenceKind.STEP:
            return _property(reference, scope)
        case _:
            raise Unresolved(f"{text} is no reference to a parameter, execution or step.")


def _property(reference: Reference, scope: Scope) -> Any:
    step = reference.target
    if step not in scope.properties:
        raise Unresolved(f"{reference.text}: step {step} has no result in this execution.")
    if not reference.tokens:
        raise Unresolved(f"{reference.text} names no property.")
    return _walk(scope.properties[step], reference.tokens, reference.text)


def _walk(value: Any, tokens: Sequence[str | int], reference: str) -> Any:
    seen = ""
    for token in tokens:
        value = _child(value, token, f"{reference}: {seen or 'the result'} has no {token!r}")
        seen = f"{seen}.{token}" if seen else str(token)
    return value


def _child(value: Any, token: str | int, complaint: str) -> Any:
    if isinstance(value, Mapping) and str(token) in value:
        return value[str(token)]
    if isinstance(value, list):
        if isinstance(token, int) and token < len(value):
            return value[token]
        for item in value:
            if isinstance(item, Mapping) and token in (item.get(key) for key in _NAME_KEYS):
                return item
    if isinstance(value, Mapping):
        complaint += f" (there are {', '.join(map(str, value)) or 'none'})"
    raise Unresolved(complaint + ".")


def _join(spec: Any, scope: Scope) -> str:
    values = resolve(spec["Values"], scope)
    return str(spec.get("On", "")).join(to_text(value) for value in values)


def _json_get(spec: Any, scope: Scope) -> Any:
    if "PropertyFile" in spec:
        uri = _property_file_uri(spec["PropertyFile"], scope)
    else:
        uri = to_text(resolve(spec["S3Uri"], scope))
    path = to_text(resolve(spec["Path"], scope))
    if scope.read_text is None:
        raise Unresolved(f"Std:JsonGet cannot read {uri} here.")
    document = parse_strict_json(scope.read_text(uri), uri)
    return _select(document, path, uri)


def _property_file_uri(target: Any, scope: Scope) -> str:
    text = str(target["Get"]) if isinstance(target, Mapping) else str(target)
    reference = parse_reference(text)
    name, step = reference.property_file, reference.target
    if name is None:
        raise Unresolved(f"{text} is not of the form Steps.<name>.PropertyFiles.<file>.")
    declared = scope.property_files.get(step, {})
    if name not in declared:
        raise Unresolved(
            f"{text}: step {step} declares no property file {name!r} "
            f"(it declares {', '.join(declared) or 'none'})."
        )
    output, path = declared[name]
    folder = _property(
        Reference(
            kind=ReferenceKind.STEP,
            path=reference.path,
            text=text,
            target=step,
            tokens=("ProcessingOutputConfig", "Outputs", output, "S3Output", "S3Uri"),
        ),
        scope,
    )
    return f"{to_text(folder).rstrip('/')}/{path.lstrip('/')}"


def parse_strict_json(text: str, uri: str) -> Any:
    """JSON as the service reads it: NaN and Infinity, which Python writes, are refused."""

    def refuse(word: str) -> NoReturn:
        raise Unresolved(
            f"{uri} contains {word}, which is not JSON. A metric was not computed: "
            "check the step that wrote the file."
        )

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Unresolved(f"{uri} is not JSON: {error}.") from None


def _select(document: Any, path: str, uri: str) -> Any:
    plain = path.removeprefix("$")
    steps = f"Steps.x{plain}" if plain[:1] in ("", ".", "[") else f"Steps.x.{plain}"
    reference = parse_reference(steps)
    if reference.kind is ReferenceKind.STEP and "*" not in reference.tokens and ".." not in path:
        return _walk_json(document, reference.tokens, f"{uri} at {path}")
    return _select_by_expression(document, path, uri)


def _walk_json(document: Any, tokens: Sequence[str | int], place: str) -> Any:
    """Members by their name, elements by their number, as JSONPath has it and nothing more:
    only properties of steps know elements by name."""
    value = document
    for token in tokens:
        fits = isinstance(value, Mapping if isinstance(token, str) else list)
        if not fits or (token not in value if isinstance(token, str) else token >= len(value)):
            raise Unresolved(f"{place} has no {token!r}.")
        value = value[token]
    return value


def _select_by_expression(document: Any, path: str, uri: str) -> Any:
    from jsonpath import JSONPathError, findall

    try:
        found = findall(path if path.startswith("$") else f"$.{path}", document)
    except JSONPathError as error:
        raise Unresolved(f"{path} is not a JSON path: {error}.") from None
    if len(found) != 1:
        raise Unresolved(f"{uri}: {path} selects {len(found)} values, exactly one is wanted.")
    return found[0]
