"""What a step refers to: every `Get` and `Std:JsonGet` in it, with its place and its target."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ci.definition.model import Definition, Step
from ci.definition.read import child_path

_BRANCH_KEYS = frozenset({"IfSteps", "ElseSteps", "ForEachBody"})
_HOLDERS = (dict, list)  # a union would be built anew, and asked slowly, for each value
_TOKEN = re.compile(
    r"\.(?P<member>[^.\[\]]+)|\[(?P<index>\d+)\]|\['(?P<single>[^']*)'\]|\[\"(?P<double>[^\"]*)\"\]"
)


class ReferenceKind(StrEnum):
    PARAMETER = "Parameters"
    EXECUTION = "Execution"
    STEP = "Steps"
    PROPERTY_FILE = "PropertyFiles"
    FOR_EACH = "ForEach"
    ITERATION_OUTPUT = "IterationOutput"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference. `path` is the JSON path of the object that holds it, `text` the `Get`'s text.

    `target` names the parameter, the execution variable or the step; empty where the text is
    malformed. `tokens` is the property path within the target: member names and map keys as
    text, list indexes as numbers (`Steps.S.A['k'][0]` gives `("A", "k", 0)`). A property
    file's reference has its name in `property_file` and the JsonGet's path in `json_path`.
    """

    kind: ReferenceKind
    path: str
    text: str
    target: str = ""
    tokens: tuple[str | int, ...] = ()
    property_file: str | None = None
    json_path: str | None = None

    @property
    def step(self) -> str | None:
        """The step this reference waits for, if it is to a step."""
        match self.kind:
            case ReferenceKind.STEP | ReferenceKind.PROPERTY_FILE:
                return self.target
            case _:
                return None


def parse_reference(text: str, *, path: str = "$") -> Reference:
    """A `Get`'s text, taken apart. Text of no known form gives the kind MALFORMED."""
    root, _, rest = text.partition(".")
    match root:
        case "Parameters" | "Execution" if rest:
            return Reference(kind=ReferenceKind(root), path=path, text=text, target=rest)
        case "Steps" | "IterationOutput" if rest:
            return _step_reference(ReferenceKind(root), text, rest, path)
        case "ForEach":
            tokens = _tokens("." + rest)
            if tokens and tokens[0] == "CurrentItem":
                return Reference(
                    kind=ReferenceKind.FOR_EACH,
                    path=path,
                    text=text,
                    target="CurrentItem",
                    tokens=tuple(tokens[1:]),
                )
        case _:
            pass
    return Reference(kind=ReferenceKind.MALFORMED, path=path, text=text)


def as_reference(value: object) -> str | None:
    """The text of a `{"Get": text}` object, None for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        text = value.get("Get")
        return text if isinstance(text, str) else None
    return None


def is_expression(value: object) -> bool:
    """Whether SageMaker computes this value when the step starts."""
    return as_reference(value) is not None or (
        isinstance(value, dict)
        and len(value) == 1
        and next(iter(value)) in ("Std:Join", "Std:JsonGet")
    )


def find_references(value: object, *, path: str = "$") -> list[Reference]:
    """Every reference inside a JSON value, in the document's order."""
    found: list[Reference] = []
    _collect(value, path, [], found)
    return found


def step_references(step: Step) -> Iterator[Reference]:
    """Every reference of a step itself; those of the steps inside it belong to them.

    The whole step is searched, not its arguments alone: check steps and callbacks keep some of
    their arguments beside `Arguments`.
    """
    for key, value in step.raw.items():
        path = child_path(step.path, key)
        if key == "Arguments":
            for name, argument in step.arguments.items():
                if not (step.children and name in _BRANCH_KEYS):
                    yield from find_references(argument, path=child_path(path, name))
        elif key != "DependsOn":
            yield from find_references(value, path=path)


def definition_references(definition: Definition) -> Iterator[tuple[Step | None, Reference]]:
    """Every reference of the document with the step it stands in, None outside the steps."""
    for key, value in definition.raw.items():
        if key not in ("Steps", "Parameters"):
            for reference in find_references(value, path=child_path("$", key)):
                yield None, reference
    for step in definition.walk():
        for reference in step_references(step):
            yield step, reference


def _collect(value: object, root: str, keys: list[str | int], found: list[Reference]) -> None:
    """Paths are put together for what is found alone: most of a definition refers to nothing."""
    if isinstance(value, dict):
        if len(value) == 1:
            if isinstance(text := value.get("Get"), str):
                found.append(parse_reference(text, path=_path(root, keys)))
                return
            if isinstance(body := value.get("Std:JsonGet"), dict):
                found.extend(_json_get(body, _path(root, keys)))
                return
        for key, child in value.items():
            if isinstance(child, _HOLDERS):
                keys.append(key)
                _collect(child, root, keys, found)
                keys.pop()
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, _HOLDERS):
                keys.append(index)
                _collect(child, root, keys, found)
                keys.pop()


def _path(root: str, keys: list[str | int]) -> str:
    for key in keys:
        root = child_path(root, key)
    return root


def _json_get(body: Mapping[str, object], path: str) -> list[Reference]:
    json_path = body.get("Path")
    text = as_reference(body.get("PropertyFile"))
    if text is None:
        return find_references(dict(body), path=child_path(path, "Std:JsonGet"))
    found = parse_reference(text, path=path)
    return [replace(found, json_path=json_path if isinstance(json_path, str) else None)]


def _step_reference(kind: ReferenceKind, text: str, rest: str, path: str) -> Reference:
    name = re.split(r"[.\[]", rest, maxsplit=1)[0]
    tail = rest[len(name) :]
    prefix = ".PropertyFiles."
    if kind is ReferenceKind.STEP and tail.startswith(prefix) and len(tail) > len(prefix):
        return Reference(
            kind=ReferenceKind.PROPERTY_FILE,
            path=path,
            text=text,
            target=name,
            property_file=tail[len(prefix) :],
        )
    tokens = _tokens(tail)
    if not name or tokens is None:
        return Reference(kind=ReferenceKind.MALFORMED, path=path, text=text)
    return Reference(
        kind=kind,
        path=path,
        text=text,
        target=name,
        tokens=tuple(tokens),
    )


def _tokens(tail: str) -> list[str | int] | None:
    """`.A.B['k'][0]` taken apart."""
    result: list[str | int] = []
    position = 0
    while position < len(tail):
        match = _TOKEN.match(tail, position)
        if match is None:
            return None
        index = match["index"]
        names = (match["member"], match["single"], match["double"])
        result.append(
            next(name for name in names if name is not None) if index is None else int(index[:18])
        )
        position = match.end()
    return result
