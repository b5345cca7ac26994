"""The plan's lines of values and code, the same in every rendering: `- old` and `+ new`.

Everything that comes from a definition or a file is shown as it is: `visible` leaves no character
in it that does anything.
"""

from collections.abc import Iterator, Mapping, Sequence

from ci.plan.model import CodeChange, Kind, NamedChange, Plan, StepChange
from ci.plan.words import SIGNS, change_lines, shown, value_lines, visible

LONGEST_PLACE = 80  # characters of what a step runs on
_LONGEST_VALUE = 160


def step_lines(step: StepChange) -> Iterator[str]:
    if step.kind in (Kind.ADDED, Kind.REMOVED):
        content = {key: value for key, value in step.content.items() if key != "Type"}
        yield from value_lines(SIGNS[step.kind], "", content, longest=_LONGEST_VALUE)
    else:
        yield from change_lines(step.changes, longest=_LONGEST_VALUE)


def function_lines(function: NamedChange) -> Iterator[str]:
    old = function.old if isinstance(function.old, dict) else {}
    new = function.new if isinstance(function.new, dict) else {}
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            if key in old:
                yield f"- {visible(key)}: {shown(old[key], _LONGEST_VALUE)}"
            if key in new:
                yield f"+ {visible(key)}: {shown(new[key], _LONGEST_VALUE)}"


def named_lines(changes: Sequence[NamedChange]) -> Iterator[str]:
    for change in changes:
        name = visible(change.name)
        if change.kind is not Kind.ADDED:
            yield f"- {name}: {shown(change.old, _LONGEST_VALUE)}"
        if change.kind is not Kind.REMOVED:
            yield f"+ {name}: {shown(change.new, _LONGEST_VALUE)}"


def parameter_lines(changes: Sequence[NamedChange], given: Mapping[str, object]) -> Iterator[str]:
    """What the definition declares anew, and what executions are given of all that it declares."""
    for change in changes:
        name = f"parameter {visible(change.name)}"
        if change.kind is not Kind.ADDED:
            yield f"- {name}: {_parameter(change.old)}"
        if change.kind is not Kind.REMOVED:
            value = given.get(change.name)
            then = "" if value is None else f"; given {shown(value, _LONGEST_VALUE)}"
            yield f"+ {name}: {_parameter(change.new)}{then}"
    changed = {change.name for change in changes}
    for name in sorted(given.keys() - changed):
        yield f"  parameter {visible(name)}: given {shown(given[name], _LONGEST_VALUE)}"


def _parameter(value: object) -> str:
    if not isinstance(value, dict):
        return shown(value, _LONGEST_VALUE)
    text = str(value.get("Type"))
    if "DefaultValue" in value:
        text += f" = {shown(value['DefaultValue'], _LONGEST_VALUE)}"
    if "EnumValues" in value:
        text += f", one of {shown(value['EnumValues'], _LONGEST_VALUE)}"
    return text


def whole_lines(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Functions and steps that have arguments, with a line for each."""
    for function in plan.functions:
        yield function.name, list(function_lines(function))
    for step in plan.steps:
        yield step.name, list(step_lines(step))


def unreadable(change: CodeChange) -> str:
    sides = " and ".join({"old": "deployed", "new": "new"}[side] for side in change.unreadable)
    hashes = f"{(change.old or 'none')[:12]} -> {(change.new or 'none')[:12]}"
    return f"changed ({hashes}); the {sides} files could not be read"
