"""A pipeline definition, as values. The raw JSON stays at hand: it is the contract."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ParameterType(StrEnum):
    STRING = "String"
    INTEGER = "Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A pipeline parameter. `default` None means that every start must give it."""

    name: str
    type: ParameterType
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step; `path` is its JSON path in the document (`$.Steps[2].Arguments.IfSteps[0]`).

    `depends_on` holds step names as `DependsOn` gives them, references not included.
    `property_files` maps a property file's name to `(output name, file path)`.
    `if_steps`/`else_steps` are a condition's branches, `body` a ForEach step's body, all empty
    elsewhere. `parent` names the condition or ForEach step that holds this one. `triggers` maps
    a name of `depends_on` to the outcome waited for (`Failed`, `Any`, ...) where one is given.
    """

    name: str
    type: str
    path: str
    raw: Mapping[str, object]
    arguments: Mapping[str, object]
    depends_on: tuple[str, ...] = ()
    property_files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    if_steps: tuple["Step", ...] = ()
    else_steps: tuple["Step", ...] = ()
    body: tuple["Step", ...] = ()
    parent: str | None = None
    triggers: Mapping[str, str] = field(default_factory=dict)

    @property
    def children(self) -> tuple["Step", ...]:
        """The steps directly inside this one, in the document's order."""
        return self.if_steps + self.else_steps + self.body

    def walk(self) -> Iterator["Step"]:
        """This step, then every step of its branches, in the document's order."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    raw: Mapping[str, object]
    version: str
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]

    def walk(self) -> Iterator[Step]:
        """Every step, branches included, in the document's order."""
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What `find_problems` found: `rule` is its id, `path` a JSON path, `step` the step's name."""

    rule: str
    path: str
    message: str
    fix: str | None = None
    step: str | None = None
