"""What a condition step decides."""

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from ci.definition.resolve import Scope, Unresolved, resolve

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": gt,
    "GreaterThanOrEqualTo": ge,
    "LessThan": lt,
    "LessThanOrEqualTo": le,
}


def evaluate(conditions: Sequence[Mapping[str, Any]], scope: Scope) -> bool:
    """Whether all conditions hold. Unresolved where one cannot be told, even if another decides."""
    return all(_each(conditions, scope))


def _each(conditions: Sequence[Mapping[str, Any]], scope: Scope) -> list[bool]:
    return [_holds(condition, scope) for condition in conditions]


def _holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    kind = condition.get("Type")
    match kind:
        case "Equals":
            return _equal(*_sides(condition, scope))
        case "GreaterThan" | "GreaterThanOrEqualTo" | "LessThan" | "LessThanOrEqualTo":
            left, right = _sides(condition, scope)
            if not _comparable(left, right):
                raise Unresolved(f"{kind} cannot compare {left!r} with {right!r}.")
            return _ORDER[kind](left, right)
        case "In":
            wanted = resolve(condition["QueryValue"], scope)
            return any(_equal(wanted, value) for value in resolve(condition["Values"], scope))
        case "Not":
            return not _holds(condition["Condition"], scope)
        case "Or":
            return any(_each(condition["Conditions"], scope))
        case "And":
            return all(_each(condition["Conditions"], scope))
        case _:
            raise Unresolved(f"{kind!r} is not a type of condition.")


def _sides(condition: Mapping[str, Any], scope: Scope) -> tuple[Any, Any]:
    return resolve(condition["LeftValue"], scope), resolve(condition["RightValue"], scope)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comparable(left: object, right: object) -> bool:
    return (_number(left) and _number(right)) or (isinstance(left, str) and isinstance(right, str))


def _equal(left: object, right: object) -> bool:
    """Equal in value and in kind: 1 equals 1.0, but neither "1" nor true."""
    if _number(left) and _number(right):
        return left == right
    return type(left) is type(right) and left == right
