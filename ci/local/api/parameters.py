"""Which values an execution's parameters take: what the start gives, else the default."""

import math
import re
from collections.abc import Mapping

from ci.definition.model import Parameter, ParameterType
from ci.local.context import ApiError
from ci.local.store import Document

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

Value = str | int | float | bool


def resolve_parameters(
    declared: Mapping[str, Parameter], given: list[Document]
) -> dict[str, Value]:
    """Name to typed value, defaults included, in the order of their declaration.

    Raises ApiError (ValidationException) with everything that is wrong with what was given.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for item in given:
        if item["Name"] in values:
            problems.append(f"Parameter [{item['Name']}] is given more than once")
        values[item["Name"]] = item["Value"]
    unknown = [name for name in values if name not in declared]
    if unknown:
        known = ", ".join(declared) or "none"
        problems.append(f"Unknown parameters {_names(unknown)}; the pipeline declares: {known}")
    resolved: dict[str, Value] = {}
    missing: list[str] = []
    for name, parameter in declared.items():
        if name in values:
            try:
                resolved[name] = _read(parameter, values[name])
            except ValueError as error:
                problems.append(str(error))
        elif parameter.default is None:
            missing.append(name)
        else:
            resolved[name] = parameter.default
    if missing:
        problems.append(f"Missing values for required parameters {_names(missing)}")
    if problems:
        raise ApiError("ValidationException", "; ".join(problems))
    return resolved


def as_text(value: Value) -> str:
    """A value as ListPipelineParametersForExecution shows it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names(names: list[str]) -> str:
    return "[" + ", ".join(names) + "]"


def _read(parameter: Parameter, text: str) -> Value:
    match parameter.type:
        case ParameterType.STRING:
            return _read_string(parameter, text)
        case ParameterType.INTEGER if _INTEGER.fullmatch(text):
            return int(text)
        case ParameterType.FLOAT if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        case ParameterType.BOOLEAN if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        case _:
            message = f"Parameter [{parameter.name}] is of type {parameter.type}, not {text!r}"
            raise ValueError(message)


def _read_string(parameter: Parameter, text: str) -> str:
    if not text:
        message = (
            f'Parameter [{parameter.name}]: [string "" is too short'
            " (length: 0, required minimum: 1)]"
        )
        raise ValueError(message)
    if parameter.choices and text not in parameter.choices:
        allowed = ", ".join(parameter.choices)
        message = f"Parameter [{parameter.name}] must be one of [{allowed}], not {text!r}"
        raise ValueError(message)
    return text
