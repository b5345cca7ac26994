"""Which values an execution's parameters take: what the start gives, else the default."""

from collections.abc import Mapping

from ci.definition.model import Parameter, ParameterType
from ci.definition.values import Value, read_value
from ci.local.context import ApiError
from ci.local.store import Document


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
    if parameter.type is ParameterType.STRING:
        return _read_string(parameter, text)
    value = read_value(parameter.type, text)
    if value is None:
        raise ValueError(f"Parameter [{parameter.name}] is of type {parameter.type}, not {text!r}")
    return value


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
