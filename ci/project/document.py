"""Reads YAML into plain values that remember where they stand, and refuses what is ambiguous.

Editors read YAML 1.2, PyYAML reads 1.1. A plain scalar that the two read differently (`no`,
`010`, `1e3`, `1_000`, `12:30`) is refused with both ways to write it; dates stay text, since no
field is a date. Duplicate keys, tags and a second document are refused; anchors and merge keys
work.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

Path = tuple[str | int, ...]

LARGEST_FILE = 256 * 1024
LARGEST_TREE = 50_000
DEEPEST = 40

_STRING = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
} | {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_ENDLESS = {".inf", ".nan"}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the file; both numbers count from one."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the project file, and how to put it right."""

    mark: Mark
    what: str
    fix: str | None = None


@dataclass(slots=True)
class Document:
    """`data` in plain values; `keys` and `values` tell where a path's key and value stand, `texts`
    how a number was written that Python writes in another way (`1.10`, `0x10`)."""

    data: object = None
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def at(self, path: Path) -> Mark:
        """Where `path` stands: its key, else its value, else the nearest parent that is there."""
        for length in range(len(path), -1, -1):
            mark = self.keys.get(path[:length]) or self.values.get(path[:length])
            if mark:
                return mark
        return Mark(1, 1)


def parse_document(text: str) -> Document:
    """YAML text as a Document. Never raises: what is wrong stands in `problems`."""
    document = Document()
    if len(text) > LARGEST_FILE:
        document.problems.append(Problem(Mark(1, 1), "the file is larger than 256 KiB"))
        return document
    try:
        # Not the loader in C: deep nesting overflows its stack.
        nodes = [
            node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None
        ]
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error))
        return document
    except RecursionError:
        document.problems.append(Problem(Mark(1, 1), "the file is nested too deeply"))
        return document
    if len(nodes) > 1:
        mark = _mark(nodes[1])
        document.problems.append(Problem(mark, "a second YAML document begins: there may be one"))
    if nodes:
        _Reader(document).read(nodes[0])
    return document


class _TooMuch(Exception):
    pass


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._seen: set[Problem] = set()

    def read(self, node: yaml.Node) -> None:
        try:
            self._document.data = self._value(node, ())
        except _TooMuch as error:
            self._problem(node, str(error))

    def _problem(self, node: yaml.Node, what: str, fix: str | None = None) -> None:
        problem = Problem(_mark(node), what, fix)
        if problem not in self._seen:
            self._seen.add(problem)
            self._document.problems.append(problem)

    def _value(self, node: yaml.Node, path: Path) -> object:
        self._nodes += 1
        if self._nodes > LARGEST_TREE:
            raise _TooMuch(
                f"the file stands for more than {LARGEST_TREE} values (its aliases grow)"
            )
        if len(path) > DEEPEST:
            raise _TooMuch(f"the file is nested more than {DEEPEST} levels deep")
        self._document.values[path] = _mark(node)
        if node.tag not in _PLAIN_TAGS:
            self._problem(node, f"the tag `{_short_tag(node.tag)}` is not taken here")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            return None
        value = self._scalar(node)
        self._document.texts.pop(path, None)  # of what was merged here before
        if isinstance(value, int | float) and str(value).lower() != node.value.lower():
            self._document.texts[path] = node.value
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        own: dict[str, yaml.Node] = {}
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge" and not key_node.style:
                result.update(self._merged(value_node, path))
                continue
            key = self._key(key_node)
            if key is None:
                continue
            if key in own:
                first = own[key].start_mark.line + 1
                self._problem(key_node, f"`{key}` stands twice; it first stands in line {first}")
                continue
            own[key] = key_node
        for key_node, value_node in node.value:
            name = _text(key_node)
            if own.get(name) is key_node:
                self._document.keys[(*path, name)] = _mark(key_node)
                result[name] = self._value(value_node, (*path, name))
        return result

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, object]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, object] = {}
        for source in reversed(sources):
            if isinstance(source, yaml.MappingNode):
                merged = self._value(source, path)
                result.update(merged if isinstance(merged, dict) else {})
            else:
                self._problem(source, "`<<` merges mappings, and this is none")
        return result

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, "a key is text, not a list or a mapping")
            return None
        if not node.style and node.tag != _STRING:
            self._problem(node, f"the key `{node.value}` is not text to YAML", f'"{node.value}":')
        return _text(node)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        text = node.value
        kind = node.tag.rpartition(":")[2]
        if node.style or kind in {"timestamp", "value"}:
            return text
        if kind == "str" and not _differs_as_string(text):
            return text
        if kind in {"int", "float"}:
            return self._number(node, kind)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        return self._ambiguous(node)

    def _number(self, node: yaml.ScalarNode, kind: str) -> float | str | None:
        text = node.value
        if _INTEGER.fullmatch(text):
            return self._integer(node)
        if _HEXADECIMAL.fullmatch(text):
            return int(text, 16)
        if kind == "float" and (_FLOAT.fullmatch(text) or text.lstrip("+-").lower() in _ENDLESS):
            return self._finite(node)
        return self._ambiguous(node)

    def _integer(self, node: yaml.ScalarNode) -> int | None:
        if len(node.value) > 40:
            self._problem(node, "a number of more than 40 digits", f'"{node.value[:20]}…"')
            return None
        return int(node.value)

    def _finite(self, node: yaml.ScalarNode) -> float | None:
        number = float(node.value) if _FLOAT.fullmatch(node.value) else math.nan
        if math.isfinite(number):
            return number
        self._problem(node, f"`{node.value}` is not a finite number")
        return None

    def _ambiguous(self, node: yaml.ScalarNode) -> str:
        """Its text, with which the rest of the file can be judged."""
        text: str = node.value
        self._problem(
            node,
            f"`{text}` means one thing to YAML 1.1 and another to YAML 1.2 ({_readings(node)})",
            f'"{text}"  (as text)' + _alternative(text),
        )
        return text


def _differs_as_string(text: str) -> bool:
    """Whether YAML 1.2 reads a number where PyYAML reads text: `1e3`, `0o17`, `08`."""
    digits = re.fullmatch(r"[-+]?[0-9]+", text) is not None
    octal = re.fullmatch(r"0o[0-7]+", text) is not None
    return digits or octal or _FLOAT.fullmatch(text) is not None


_BOOLEANS: Mapping[str, str] = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _readings(node: yaml.ScalarNode) -> str:
    text = node.value
    if text.lower() in _BOOLEANS:
        return f"{_BOOLEANS[text.lower()]}, or the text {text!r}"
    if node.tag == _STRING:
        return f"the text {text!r}, or a number"
    if ":" in text:
        return "a number in base 60, or text"
    if "_" in text:
        return "a number, or text"
    if text.startswith("0b"):
        return "a binary number, or text"
    return f"the octal number {int(text, 8)}, or {int(text)}"


def _alternative(text: str) -> str:
    if text.lower() in _BOOLEANS:
        return f" or {_BOOLEANS[text.lower()]}  (as a boolean)"
    if "_" in text and _FLOAT.fullmatch(text.replace("_", "")):
        return f" or {text.replace('_', '')}  (as a number)"
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        shown = repr(float(text))
        return f" or {shown if '.' in shown else shown.replace('e', '.0e')}  (as a number)"
    return ""


def _text(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _mark(node: yaml.Node | None) -> Mark:
    if node is None:
        return Mark(1, 1)
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    context, begun = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context and begun and begun.line + 1 < place.line:
        context += f" that begins in line {begun.line + 1}"
    fix = None
    if "tab" in said or "\\t" in said:
        fix = "indent with spaces"
    elif "mapping values are not allowed" in said:
        fix = "indent the line under its parent, or quote the value that holds `: `"
    return Problem(place, f"not YAML: {said}" + (f" ({context})" if context else ""), fix)


def walk(data: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every value of `data` with its path."""
    yield path, data
    if isinstance(data, dict):
        for key, value in data.items():
            yield from walk(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from walk(value, (*path, index))
