"""What the schema has against a document, in sentences with a place and a way out."""

import difflib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ci.project.acceptance import surely_accepts
from ci.project.document import Document, Path, Problem

if TYPE_CHECKING:
    from jsonschema import ValidationError

Schema = Mapping[str, Any]

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


@cache
def project_schema() -> Schema:
    """The published schema of the project file."""
    schema: Schema = json.loads(pathlib.Path(__file__).with_name("schema.json").read_bytes())
    return schema


def has_form(kind: str, text: str) -> bool:
    """Whether the file may say `text` where a `region` or a `role` stands."""
    return re.fullmatch(project_schema()["$defs"][kind]["pattern"], text) is not None


def check_schema(document: Document) -> list[Problem]:
    """Every violation once, in the order of the file."""
    if surely_accepts(project_schema(), document.data):
        return []
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(project_schema())
    found = [
        problem
        for error in validator.iter_errors(document.data)
        for problem in _problems(error, document)
    ]
    return sorted(set(found), key=lambda problem: (problem.mark, problem.what))


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The one of `words` that was most likely meant."""
    folded = {_fold(candidate): candidate for candidate in words}
    close = difflib.get_close_matches(_fold(word), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")[:200]


@dataclass(frozen=True, slots=True)
class _Error:
    """What jsonschema found, in types that can be relied on."""

    rule: str
    expected: Any
    value: Any
    schema: Schema
    message: str

    @property
    def properties(self) -> Schema:
        properties: Schema = self.schema.get("properties", {})
        return properties


def _translated(error: "ValidationError") -> _Error:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    rule, expected = str(error.validator), error.validator_value
    return _Error(rule, expected, error.instance, schema, error.message)


def _problems(error: "ValidationError", document: Document) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield Problem(*_bad_name(_translated(error), path, document))
    else:
        yield from _told(_translated(error), path, document)


def _told(error: _Error, path: Path, document: Document) -> Iterator[Problem]:
    match error.rule:
        case "additionalProperties":
            yield from _unknown_keys(error, path, document)
        case "required":
            yield from _missing_keys(error, path, document)
        case "oneOf" | "anyOf":
            yield from _alternatives(error, path, document)
        case _:
            where = document.values.get(path) or document.at(path)
            yield Problem(where, f"{_subject(path)} {_complaint(error)}", _example(error, path))


def _unknown_keys(error: _Error, path: Path, document: Document) -> Iterator[Problem]:
    known = error.properties
    present: Mapping[str, object] = error.value
    for key in present:
        if key in known:
            continue
        mark = document.at((*path, key))
        guess = _guess(key, error)
        what = f"{_inside(path)}there is no key `{_short(key)}`"
        if guess:
            yield Problem(mark, f"{what}; did you mean `{guess}`?", f"{guess}: …")
        else:
            yield Problem(mark, what, f"one of: {', '.join(known)}")


def _bad_name(error: _Error, path: Path, document: Document) -> tuple[Any, str, str]:
    name = str(error.value)
    what = f"{_inside(path)}`{_short(name)}` cannot be a name: it {_name_rule(error)}"
    return document.at((*path, name)), what, "give it another name"


def _name_rule(error: _Error) -> str:
    match error.rule:
        case "not":
            return "begins with aws: or sagemaker-gitops:, which are taken"
        case "minLength" | "maxLength":
            return "is empty or too long"
    return f"does not match {error.expected}"


def _guess(key: str, error: _Error) -> str | None:
    """The key that was most likely meant by one that there is not."""
    return nearest(key, [name for name in error.properties if name not in error.value])


def _mistyped(keys: Sequence[str], error: _Error) -> bool:
    """Whether one of `keys` is there under another name, which is told by itself."""
    return any(_guess(each, error) in keys for each in error.value if each not in error.properties)


def _missing_keys(error: _Error, path: Path, document: Document) -> Iterator[Problem]:
    for key in error.expected:
        if key not in error.value and not _mistyped([key], error):
            what = f"{_inside(path)}`{key}` is missing"
            yield Problem(document.at(path), what, _line(key, error.properties.get(key, {})))


def _alternatives(error: _Error, path: Path, document: Document) -> Iterator[Problem]:
    keys = [name for branch in error.expected for name in branch["required"]]
    present = [name for name in keys if name in error.value]
    if present:
        what = f"{_inside(path)}{' and '.join(f'`{key}`' for key in present)} exclude each other"
        yield Problem(document.at((*path, present[-1])), what, f"keep one of: {', '.join(keys)}")
    elif not _mistyped(keys, error):
        what = f"{_inside(path)}one of {', '.join(f'`{key}`' for key in keys)} is needed"
        yield Problem(document.at(path), what, _line(keys[0], error.properties[keys[0]]))


def _complaint(error: _Error) -> str:
    """What `error` says of its value, to follow the value's place."""
    value, rule = error.value, error.expected
    match error.rule:
        case "type":
            said = f"is {_kind_of(value)}; it must be {_kinds(rule)}"
        case "enum":
            guess = nearest(str(value), [str(choice) for choice in rule])
            hint = f"; did you mean `{guess}`?" if guess else ""
            said = f"is `{_short(value)}`; it must be one of {', '.join(map(str, rule))}{hint}"
        case "const":
            said = f"is `{_short(value)}`; it must be {json.dumps(rule)}"
        case "pattern":
            said = f"is `{_short(value)}`, which does not have the right form"
        case "uniqueItems":
            said = "names something twice"
        case "minimum":
            said = f"is {value}; the least is {rule}"
        case _:
            said = _SIZES.get(error.rule, "is not taken").format(rule)
    return said


_SIZES = {
    "minLength": "is empty",
    "minProperties": "is empty",
    "maxLength": "is longer than {} characters",
    "maxProperties": "has more than {} entries",
}


def _example(error: _Error, path: Path) -> str | None:
    key = next((part for part in reversed(path) if isinstance(part, str)), None)
    for candidate in (error.schema, _field_schema(path)):
        if key and candidate.get("examples"):
            return _line(key, candidate)
    return None


def _field_schema(path: Path) -> Schema:
    """The schema of the field at `path`, through references and free keys."""
    root = project_schema()
    schema: Schema = root
    for part in path:
        schema = _resolved(schema, root)
        if isinstance(part, int):
            schema = schema.get("items", {})
        else:
            more = schema.get("additionalProperties")
            free: Schema = more if isinstance(more, dict) else {}
            schema = schema.get("properties", {}).get(part, free)
    return schema


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    resolved: Schema = root["$defs"][reference.rpartition("/")[2]]
    return resolved


def _line(key: str, schema: Schema) -> str:
    example = schema.get("examples", [None])[0]
    if example is None:
        return f"{key}: …"
    text = json.dumps(example, ensure_ascii=False)
    plain = isinstance(example, str) and not any(c in example for c in "{}*%#")
    return f"{key}: {example if plain else text}"


def _subject(path: Path) -> str:
    return f"`{_dotted(path)}`" if path else "the file"


def _inside(path: Path) -> str:
    return f"in `{_dotted(path)}` " if path else ""


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_short(part)}"
    return text.lstrip(".")


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text `{_short(value)}`"
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
    return "a mapping"


def _kinds(rule: str | list[str]) -> str:
    names = [rule] if isinstance(rule, str) else rule
    return " or ".join(_KINDS[name] for name in names)


def _short(value: object) -> str:
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text if len(text) <= 80 else text[:79] + "…"
