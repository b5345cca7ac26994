"""Whether a value fits a shape of the service model, and in which words SageMaker says that not.

Two kinds of misfit: a value of the wrong JSON type cannot be read at all (SerializationException);
one that was read can break constraints (ValidationException, which lists every one). Where
botocore's own validator looks at required members, types and unknown members, this one also
checks lengths, values, patterns and enumerations, on requests and on responses.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ci.definition.patterns import matches
from ci.local.service import ServiceModel, Shape

_SHOWN = 1000
_INTEGERS = {"integer": 2**31, "long": 2**63}


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """`path` is the member in the API's own spelling (`Tags.1.member.Key`). `malformed` says that
    the value has the wrong type, or that the member does not exist."""

    path: str
    message: str
    malformed: bool = False


def find_misfits(model: ServiceModel, shape_name: str | None, value: object) -> list[Misfit]:
    """Every way in which `value` does not fit; empty where it does. No shape admits only `{}`."""
    if shape_name is None:
        return [] if value == {} else [_unknown(name, "") for name in _names(value)]
    return list(_walk(model, model.shape(shape_name), value, ""))


def as_validation_message(misfits: list[Misfit]) -> str:
    """The message of SageMaker's ValidationException."""
    plural = "s" if len(misfits) > 1 else ""
    listed = "; ".join(misfit.message for misfit in misfits)
    return f"{len(misfits)} validation error{plural} detected: {listed}"


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, dict) else ["(the body)"]


def _walk(model: ServiceModel, shape: Shape, value: Any, path: str) -> Iterator[Misfit]:
    kind = shape["type"]
    wrong = _wrong_type(kind, value)
    if wrong is not None:
        yield Misfit(path=path, message=wrong, malformed=True)
        return
    match kind:
        case "structure":
            yield from _structure(model, shape, value, path)
        case "list":
            yield from _size(shape, len(value), "length", value, path)
            member = model.shape(shape["member"]["shape"])
            for number, item in enumerate(value, 1):
                yield from _walk(model, member, item, f"{path}.{number}.member")
        case "map":
            yield from _map(model, shape, value, path)
        case "string" | "character":
            yield from _string(shape, value, path)
        case "blob":
            yield from _size(shape, len(base64.b64decode(value)), "length", value, path)
        case "integer" | "long" | "float" | "double":
            yield from _size(shape, value, "value", value, path)


def _structure(
    model: ServiceModel, shape: Shape, value: dict[str, Any], path: str
) -> Iterator[Misfit]:
    members = shape["members"]
    for name in shape.get("required", ()):
        if value.get(name) is None:
            yield _broken(None, _join(path, name), "Member must not be null")
    for name, item in value.items():
        if name not in members:
            yield _unknown(name, path)
        elif item is not None:
            yield from _walk(model, model.shape(members[name]["shape"]), item, _join(path, name))
    if shape.get("union") and len([item for item in value.values() if item is not None]) != 1:
        yield _broken(value, path, "Member must hold exactly one of its members")


def _map(model: ServiceModel, shape: Shape, value: dict[str, Any], path: str) -> Iterator[Misfit]:
    yield from _size(shape, len(value), "length", value, path)
    key_shape = model.shape(shape["key"]["shape"])
    value_shape = model.shape(shape["value"]["shape"])
    for key, item in value.items():
        yield from _walk(model, key_shape, key, f"{path}.{key}.key")
        yield from _walk(model, value_shape, item, f"{path}.{key}.value")


def _string(shape: Shape, value: str, path: str) -> Iterator[Misfit]:
    yield from _size(shape, len(value), "length", value, path)
    pattern = shape.get("pattern")
    if pattern is not None and not matches(pattern, value):
        rule = f"Member must satisfy regular expression pattern: {pattern}"
        yield _broken(value, path, rule)
    allowed = shape.get("enum")
    if allowed is not None and value not in allowed:
        yield _broken(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


def _size(shape: Shape, size: float, what: str, value: object, path: str) -> Iterator[Misfit]:
    least, most = shape.get("min"), shape.get("max")
    if least is not None and size < least:
        yield _broken(value, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _broken(value, path, f"Member must have {what} less than or equal to {most}")


def _wrong_type(kind: str, value: object) -> str | None:
    """None where a value can be read as this kind, else the serializer's complaint."""
    match kind:
        case "structure" | "map":
            fits = isinstance(value, dict)
        case "list":
            fits = isinstance(value, list)
        case "string" | "character":
            fits = isinstance(value, str)
        case "boolean":
            fits = isinstance(value, bool)
        case "integer" | "long":
            whole = isinstance(value, int) and not isinstance(value, bool)
            fits = whole and -_INTEGERS[kind] <= int(str(value)) < _INTEGERS[kind]
        case "float" | "double" | "timestamp":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fits = number and math.isfinite(float(str(value)))
        case "blob":
            fits = isinstance(value, str) and _is_base64(value)
        case _:
            fits = True
    return None if fits else _cannot_read(kind, value)


def _cannot_read(kind: str, value: object) -> str:
    if kind in {"structure", "map"}:
        return "Expected a JSON object" if value is None else f"Unexpected {_token(value)}"
    if kind == "list":
        return f"Expected list or null, found {_token(value)}"
    if isinstance(value, dict):
        return "Start of structure or map found where not expected."
    if isinstance(value, list):
        return "Start of list found where not expected"
    wanted = {"string": "a String", "boolean": "a Boolean", "integer": "an Integer"}
    return f"{_token(value)} can not be converted to {wanted.get(kind, f'a {kind.title()}')}"


def _token(value: object) -> str:
    match value:
        case None:
            return "NULL_VALUE"
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case int() | float():
            return "NUMBER_VALUE"
        case str():
            return "STRING_VALUE"
        case list():
            return "START_ARRAY"
        case _:
            return "START_OBJECT"


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _broken(value: object, path: str, rule: str) -> Misfit:
    if value is None:
        shown = "null"
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = f"'{text[:_SHOWN]}…'" if len(text) > _SHOWN else f"'{text}'"
    where = ".".join(part[:1].lower() + part[1:] for part in path.split("."))
    return Misfit(
        path=path, message=f"Value {shown} at '{where}' failed to satisfy constraint: {rule}"
    )


def _unknown(name: str, path: str) -> Misfit:
    where = f" of {path}" if path else ""
    message = f"Unknown member {name!r}{where}: the API's model has no such member"
    return Misfit(path=_join(path, name), message=message, malformed=True)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
