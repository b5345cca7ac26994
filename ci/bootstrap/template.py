"""CloudFormation templates as data: typed intrinsics, and YAML that is the same every time.

Short forms of the intrinsic functions: CloudFormation User Guide, "Intrinsic function reference".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_VARIABLE = re.compile(r"\$\{[A-Za-z]")
# CloudFormation takes a template in a request up to this size; larger ones go through S3.
LARGEST_BODY = 51_200


@dataclass(frozen=True, slots=True)
class Ref:
    name: str


NO_VALUE = Ref("AWS::NoValue")


@dataclass(frozen=True, slots=True)
class GetAtt:
    resource: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Sub:
    text: str


@dataclass(frozen=True, slots=True)
class If:
    """Without `otherwise` nothing stands there where the condition is false."""

    condition: str
    then: object
    otherwise: object = NO_VALUE


@dataclass(frozen=True, slots=True)
class Equals:
    left: object
    right: object


@dataclass(frozen=True, slots=True)
class Not:
    condition: object


def given(parameter: str) -> Not:
    """The condition that a parameter is not empty."""
    return Not(Equals(Ref(parameter), ""))


def sub(text: str) -> Sub | str:
    """Text with its variables filled in by CloudFormation; plain text where it has none."""
    return Sub(text) if _VARIABLE.search(text) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of type String, but for `kind`. Without a default a value has to be given.

    `settled`: the project file says it, so that an update takes the template's default; any other
    keeps the value that the stack has.
    """

    description: str
    default: str | int | None = None
    kind: str = "String"
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    settled: bool = False

    def takes(self, value: str) -> bool:
        fits = self.pattern is None or re.fullmatch(self.pattern, value) is not None
        return fits and (not self.allowed or value in self.allowed)

    def document(self) -> dict[str, object]:
        settled: dict[str, object] = {"Type": self.kind, "Description": self.description}
        if self.default is not None:
            settled["Default"] = self.default
        if self.pattern is not None:
            settled["AllowedPattern"] = self.pattern
        if self.allowed:
            settled["AllowedValues"] = list(self.allowed)
        return settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`keep`: the resource and what it holds outlive the stack."""

    kind: str
    properties: Mapping[str, object]
    condition: str | None = None
    keep: bool = False
    after: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        settled: dict[str, object] = {"Type": self.kind}
        if self.condition is not None:
            settled["Condition"] = self.condition
        if self.after:
            settled["DependsOn"] = list(self.after)
        if self.keep:
            settled |= {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
        return settled | {"Properties": dict(self.properties)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    value: object
    description: str
    condition: str | None = None

    def document(self) -> dict[str, object]:
        settled: dict[str, object] = {"Description": self.description, "Value": self.value}
        return settled | ({"Condition": self.condition} if self.condition else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One stack. `name` is its concern (`artifacts`); `capabilities` what has to be acknowledged
    when it is created."""

    name: str
    description: str
    parameters: Mapping[str, Parameter]
    resources: Mapping[str, Resource]
    conditions: Mapping[str, object] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)

    @property
    def capabilities(self) -> tuple[str, ...]:
        made = any(each.kind.startswith("AWS::IAM::") for each in self.resources.values())
        return ("CAPABILITY_NAMED_IAM",) if made else ()

    def made(self, parameters: Mapping[str, str]) -> Mapping[str, Resource]:
        """The resources whose condition holds, with a value for every parameter."""
        return {
            name: each
            for name, each in self.resources.items()
            if each.condition is None or evaluate(self.conditions[each.condition], parameters)
        }

    def document(self) -> dict[str, object]:
        settled: dict[str, object] = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": self.description,
            "Parameters": {name: each.document() for name, each in self.parameters.items()},
        }
        if self.conditions:
            settled["Conditions"] = dict(self.conditions)
        settled["Resources"] = {name: each.document() for name, each in self.resources.items()}
        if self.outputs:
            settled["Outputs"] = {name: each.document() for name, each in self.outputs.items()}
        return settled


def evaluate(term: object, parameters: Mapping[str, str]) -> object:
    """What a condition comes to."""
    match term:
        case Ref(name):
            return parameters[name]
        case Equals(left, right):
            return evaluate(left, parameters) == evaluate(right, parameters)
        case Not(inner):
            return not evaluate(inner, parameters)
        case _:
            return term


def render_template(template: Template) -> str:
    """The template as YAML, in the order in which it was built."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Keeps the order of keys, and never writes an anchor."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    def scalar(tag: str, text: str) -> Any:
        return yaml.ScalarNode(tag, text, style='"' if tag == "!Sub" else None)

    for kind, represent in {
        Ref: lambda _, value: scalar("!Ref", value.name),
        GetAtt: lambda _, value: scalar("!GetAtt", f"{value.resource}.{value.attribute}"),
        Sub: lambda _, value: scalar("!Sub", value.text),
        If: lambda dumper, value: dumper.represent_sequence(
            "!If", [value.condition, value.then, value.otherwise]
        ),
        Equals: lambda dumper, value: dumper.represent_sequence(
            "!Equals", [value.left, value.right], flow_style=True
        ),
        Not: lambda dumper, value: dumper.represent_sequence(
            "!Not", [value.condition], flow_style=True
        ),
        tuple: lambda dumper, value: dumper.represent_list(value),
        str: _represent_text,
    }.items():
        Dumper.add_representer(kind, represent)
    text: str = yaml.dump(
        template.document(), Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True
    )
    return text


def _represent_text(dumper: Any, text: str) -> Any:
    """Text of several lines as a block."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
