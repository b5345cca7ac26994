"""A definition without its noise: one flat document for each step.

Noise is what two compiles of one source may differ in and SageMaker does not look at: the order of
steps, parameters and dependencies, null members, and where a content-addressed artifact lies (the
bucket and prefix before the hash).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ci.definition.model import Definition, Step

BRANCH = "Branch"
ADDRESS = re.compile(r"(?:s3://[^\s\"'/]+(?:/[^\s\"'/]+)*/|(?<=/)|^)([0-9a-f]{64})(?=[/\"'\s]|$)")
ARTIFACT = re.compile(r"artifact:([0-9a-f]{64})")
_ADDRESS_LENGTH = 64
_NOT_PLAIN = (dict, list, str)
_BRANCH_KEYS = ("IfSteps", "ElseSteps", "ForEachBody")
_OUTSIDE_STEPS = frozenset({"Steps", "Parameters"})


@dataclass(frozen=True, slots=True)
class FlatStep:
    """A step alone. `document` has its members without noise; the steps inside it are told by
    their own `Branch`. `addresses` maps an artifact's hash to the URI it was found under."""

    step: Step
    document: Mapping[str, object]
    addresses: Mapping[str, str] = field(default_factory=dict)
    branch: str | None = None


def flat_step(step: Step, branch: str | None = None) -> FlatStep:
    """`branch` is `condition / if`, `condition / else` or `for each / body`."""
    addresses: dict[str, str] = {}
    document: dict[str, object] = {}
    for key, value in step.raw.items():
        if key == "Arguments":
            arguments = {
                name: argument
                for name, argument in step.arguments.items()
                if not (name in _BRANCH_KEYS and step.type in ("Condition", "ForEach"))
            }
            document[key] = _plain(arguments, addresses)
        elif value is not None and key != "Name":
            document[key] = _plain(value, addresses)
    depends_on = document.get("DependsOn")
    if isinstance(depends_on, list):
        document["DependsOn"] = sorted(depends_on, key=repr)
        if not depends_on:
            del document["DependsOn"]
    if branch is not None:
        document[BRANCH] = branch
    return FlatStep(step, document, addresses, branch)


def branches(definition: Definition) -> dict[str, str | None]:
    """For each step the branch it stands in, None at the top."""
    result: dict[str, str | None] = {step.name: None for step in definition.steps}
    for step in definition.walk():
        for label, children in (
            ("if", step.if_steps),
            ("else", step.else_steps),
            ("body", step.body),
        ):
            for child in children:
                result[child.name] = f"{step.name} / {label}"
    return result


def outer_document(definition: Definition) -> dict[str, object]:
    """What stands beside the steps and parameters, without empty members."""
    return {
        key: _plain(value, {})
        for key, value in definition.raw.items()
        if key not in _OUTSIDE_STEPS and value not in (None, {}, [])
    }


def _plain(value: object, addresses: dict[str, str]) -> object:
    if isinstance(value, str):
        return _without_place(value, addresses) if len(value) >= _ADDRESS_LENGTH else value
    if isinstance(value, dict):
        return {
            key: _plain(member, addresses) if isinstance(member, _NOT_PLAIN) else member
            for key, member in value.items()
            if member is not None
        }
    if isinstance(value, list):
        return [_plain(item, addresses) for item in value]
    return value


def _without_place(text: str, addresses: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        found = match.group(0)
        addresses.setdefault(match.group(1), found)
        return f"artifact:{match.group(1)}"

    return ADDRESS.sub(replace, text)
