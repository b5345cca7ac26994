"""A definition's text as values: what must hold before anything can be said of its contents.

Only the shape is decided here (objects where objects belong, names that are text). What SageMaker
would refuse beyond that is the business of `ci.definition.validate`.
"""

from ci.definition.model import Definition, Parameter, ParameterType, Step
from ci.definition.read import child_path, read_json
from ci.errors import DefinitionError


def parse_definition(data: bytes | str, *, where: str = "definition") -> Definition:
    """A definition from its JSON text. DefinitionError names the file and the JSON path."""
    return definition_of(read_json(data, where=where), where=where)


def definition_of(document: object, *, where: str = "definition") -> Definition:
    """A definition from a document that was read already (a YAML file's, for instance)."""
    place = _Place(where, "$")
    raw = place.mapping(document)
    for key in ("Version", "Steps"):
        if key not in raw:
            raise place.error(
                f"The definition has no {key}.",
                fix='{"Version": "2020-12-01", "Parameters": [], "Steps": [...]}',
            )
    return Definition(
        raw=raw,
        version=place.at("Version").text(raw["Version"]),
        parameters=_parameters(raw.get("Parameters"), place.at("Parameters")),
        steps=_steps(raw["Steps"], place.at("Steps"), None),
    )


def describe_type(value: object) -> str:
    """What JSON calls the type of a value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


class _Place:
    """Where in the document we are, for the error that may come."""

    def __init__(self, where: str, path: str) -> None:
        self.where = where
        self.path = path

    def at(self, key: str | int) -> "_Place":
        return _Place(self.where, child_path(self.path, key))

    def error(self, what: str, *, fix: str | None = None) -> DefinitionError:
        return DefinitionError(what, where=f"{self.where}: {self.path}", fix=fix)

    def mapping(self, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        raise self._mismatch(value, "an object")

    def sequence(self, value: object) -> list[object]:
        if isinstance(value, list):
            return value
        raise self._mismatch(value, "a list")

    def text(self, value: object) -> str:
        if isinstance(value, str):
            return value
        raise self._mismatch(value, "a text")

    def _mismatch(self, value: object, expected: str) -> DefinitionError:
        return self.error(f"{expected.capitalize()} belongs here, not {describe_type(value)}.")


def _parameters(value: object, place: _Place) -> dict[str, Parameter]:
    """Parameters by name; of two with one name the first counts (a rule tells of the second)."""
    result: dict[str, Parameter] = {}
    for index, item in enumerate(place.sequence([] if value is None else value)):
        parameter = _parameter(item, place.at(index))
        result.setdefault(parameter.name, parameter)
    return result


def _parameter(value: object, place: _Place) -> Parameter:
    raw = place.mapping(value)
    name = place.at("Name").text(raw.get("Name"))
    kind = place.at("Type").text(raw.get("Type"))
    try:
        parameter_type = ParameterType(kind)
    except ValueError:
        raise place.at("Type").error(
            f"Parameter {name!r} has the type {kind!r}.",
            fix=f"Use one of {', '.join(ParameterType)}.",
        ) from None
    default = raw.get("DefaultValue")
    if not isinstance(default, str | int | float | bool | None):
        raise place.at("DefaultValue").error(
            f"The default of parameter {name!r} is {describe_type(default)}, not a single value."
        )
    choices = place.at("EnumValues").sequence(raw.get("EnumValues") or [])
    return Parameter(
        name=name,
        type=parameter_type,
        default=default,
        choices=tuple(place.at("EnumValues").at(i).text(c) for i, c in enumerate(choices)),
    )


def _steps(value: object, place: _Place, parent: str | None) -> tuple[Step, ...]:
    if value is None and parent is not None:
        return ()
    return tuple(_step(item, place.at(i), parent) for i, item in enumerate(place.sequence(value)))


def _step(value: object, place: _Place, parent: str | None) -> Step:
    raw = place.mapping(value)
    name = place.at("Name").text(raw.get("Name"))
    kind = place.at("Type").text(raw.get("Type"))
    inside = place.at("Arguments")
    arguments = inside.mapping({} if raw.get("Arguments") is None else raw["Arguments"])
    branches = {
        key: _steps(arguments.get(key), inside.at(key), name) for key in _BRANCHES.get(kind, ())
    }
    depends_on, triggers = _depends_on(raw.get("DependsOn"), place.at("DependsOn"))
    return Step(
        name=name,
        type=kind,
        path=place.path,
        raw=raw,
        arguments=arguments,
        depends_on=depends_on,
        property_files=_property_files(raw.get("PropertyFiles"), place.at("PropertyFiles")),
        if_steps=branches.get("IfSteps", ()),
        else_steps=branches.get("ElseSteps", ()),
        body=branches.get("ForEachBody", ()),
        parent=parent,
        triggers=triggers,
    )


_BRANCHES = {"Condition": ("IfSteps", "ElseSteps"), "ForEach": ("ForEachBody",)}


def _depends_on(value: object, place: _Place) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names, and the outcome waited for where an entry is `{"Step": name, "Trigger": outcome}`."""
    names: list[str] = []
    triggers: dict[str, str] = {}
    for index, item in enumerate(place.sequence([] if value is None else value)):
        here = place.at(index)
        if isinstance(item, dict):
            name = here.at("Step").text(item.get("Step"))
            if "Trigger" in item:
                triggers[name] = here.at("Trigger").text(item["Trigger"])
        else:
            name = here.text(item)
        names.append(name)
    return tuple(names), triggers


def _property_files(value: object, place: _Place) -> dict[str, tuple[str, str]]:
    result: dict[str, tuple[str, str]] = {}
    for index, item in enumerate(place.sequence([] if value is None else value)):
        here = place.at(index)
        raw = here.mapping(item)
        name, output, path = (
            here.at(key).text(raw.get(key))
            for key in ("PropertyFileName", "OutputName", "FilePath")
        )
        result.setdefault(name, (output, path))
    return result
