"""Whether the schema surely accepts a document: a quick look that saves the import of jsonschema.

A yes is certain. A no only says that jsonschema has to look, which also finds the words: for a
document that breaks the schema, and for what is not known here.
"""

import math
import re
from collections.abc import Callable, Mapping, Sized
from typing import Any

Schema = Mapping[str, Any]

_SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "default"})

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def surely_accepts(schema: Schema, value: object) -> bool:
    """Whether JSON Schema 2020-12 accepts `value`, as far as it is known here."""
    return _accepts(schema, value, schema)


def _accepts(schema: object, value: object, root: Schema) -> bool:
    if not isinstance(schema, dict):
        return schema is True
    return all(
        keyword in _SILENT or (keyword in _RULES and _RULES[keyword](schema, value, root))
        for keyword in schema
    )


def _reference(schema: Schema, value: object, root: Schema) -> bool:
    kind, _, name = str(schema["$ref"]).rpartition("/")
    return kind == "#/$defs" and _accepts(root.get("$defs", {}).get(name), value, root)


def _type(schema: Schema, value: object, _: Schema) -> bool:
    names = schema["type"]
    return any(_is(name, value) for name in ([names] if isinstance(names, str) else names))


def _is(name: str, value: object) -> bool:
    match name:
        case "number":
            return _is_number(value)
        case "integer":
            return _is_number(value) and isinstance(value, int)
    return name in _TYPES and isinstance(value, _TYPES[name])


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _enum(schema: Schema, value: object, _: Schema) -> bool:
    return isinstance(value, str) and value in schema["enum"]


def _const(schema: Schema, value: object, _: Schema) -> bool:
    return type(value) is type(schema["const"]) and value == schema["const"]


def _properties(schema: Schema, value: object, root: Schema) -> bool:
    return not isinstance(value, dict) or all(
        _accepts(inner, value[name], root)
        for name, inner in schema["properties"].items()
        if name in value
    )


def _additional(schema: Schema, value: object, root: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    known, inner = schema.get("properties", {}), schema["additionalProperties"]
    return "patternProperties" not in schema and all(
        _accepts(inner, member, root) for name, member in value.items() if name not in known
    )


def _names(schema: Schema, value: object, root: Schema) -> bool:
    return not isinstance(value, dict) or all(
        _accepts(schema["propertyNames"], name, root) for name in value
    )


def _required(schema: Schema, value: object, _: Schema) -> bool:
    return not isinstance(value, dict) or all(name in value for name in schema["required"])


def _items(schema: Schema, value: object, root: Schema) -> bool:
    return not isinstance(value, list) or all(
        _accepts(schema["items"], item, root) for item in value
    )


def _unique(schema: Schema, value: object, _: Schema) -> bool:
    if schema["uniqueItems"] is not True or not isinstance(value, list):
        return schema["uniqueItems"] in (True, False)
    return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)


def _pattern(schema: Schema, value: object, _: Schema) -> bool:
    return not isinstance(value, str) or re.search(schema["pattern"], value) is not None


def _one_of(schema: Schema, value: object, root: Schema) -> bool:
    # Of the others it must be certain that they refuse; that is certain of `required` alone.
    branches = schema["oneOf"]
    return (
        isinstance(value, dict)
        and all(set(branch) == {"required"} for branch in branches)
        and sum(_required(branch, value, root) for branch in branches) == 1
    )


def _any_of(schema: Schema, value: object, root: Schema) -> bool:
    return any(_accepts(branch, value, root) for branch in schema["anyOf"])


def _not(schema: Schema, value: object, _: Schema) -> bool:
    inner = schema["not"]
    return (
        isinstance(inner, dict)
        and set(inner) == {"pattern"}
        and isinstance(value, str)
        and re.search(inner["pattern"], value) is None
    )


def _minimum(schema: Schema, value: object, _: Schema) -> bool:
    return not isinstance(value, int | float) or value >= schema["minimum"]


def _maximum(schema: Schema, value: object, _: Schema) -> bool:
    return not isinstance(value, int | float) or value <= schema["maximum"]


def _at_least(kind: type[Sized], keyword: str) -> "_Rule":
    return lambda schema, value, _: not isinstance(value, kind) or len(value) >= schema[keyword]


def _at_most(kind: type[Sized], keyword: str) -> "_Rule":
    return lambda schema, value, _: not isinstance(value, kind) or len(value) <= schema[keyword]


_Rule = Callable[[Schema, object, Schema], bool]
_RULES: Mapping[str, _Rule] = {
    "$ref": _reference,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "required": _required,
    "items": _items,
    "uniqueItems": _unique,
    "pattern": _pattern,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "not": _not,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _at_least(str, "minLength"),
    "maxLength": _at_most(str, "maxLength"),
    "minItems": _at_least(list, "minItems"),
    "maxItems": _at_most(list, "maxItems"),
    "minProperties": _at_least(dict, "minProperties"),
    "maxProperties": _at_most(dict, "maxProperties"),
}
