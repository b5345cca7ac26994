"""Where a repository without a `get_pipeline` builds its pipelines, by reading it.

A function that gives the pipeline back can be named as it is. From a method, a script or a
notebook nothing comes back: there a person has to put a function around it.
"""

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ci.project.imports import LARGEST_SOURCE, parse_source

_CLASS = "Pipeline"
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A call of the SDK's `Pipeline`. `place` is what it stands in: a function, a method with its
    class, None at a module's top level. `function` is set where a top-level function of that name
    returns it. A notebook has no lines: `line` is None."""

    file: str
    line: int | None = None
    place: str | None = None
    function: str | None = None

    @property
    def where(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        return f"{self.file}{line}" + (f", in {self.place}" if self.place else "")


def find_builders(root: Path, sources: Iterable[str]) -> tuple[Builder, ...]:
    """Those of the files, which are relative to `root`."""
    found: list[Builder] = []
    for file in sources:
        found += _in_notebook(root, file) if file.endswith(".ipynb") else _in_module(root, file)
    return tuple(found[:_MOST])


def _in_module(root: Path, file: str) -> Iterator[Builder]:
    tree = parse_source(root / file, containing=_CLASS)
    names = frozenset(_names(tree)) if tree is not None else frozenset()
    if tree is not None and names:
        yield from _calls(tree, file, names)


def _names(tree: ast.Module) -> Iterator[str]:
    """What the SDK's class is called here: scikit-learn has one of the same name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sagemaker"):
            yield from (each.asname or each.name for each in node.names if each.name == _CLASS)


def _calls(tree: ast.Module, file: str, names: frozenset[str]) -> Iterator[Builder]:
    """In the order of the text. Without recursion: a sum of a thousand terms is as deep."""
    waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while waiting:
        node, around = waiting.pop()
        if _is_call(node, names):
            yield Builder(
                file=file,
                line=getattr(node, "lineno", None),
                place=".".join(getattr(each, "name", "") for each in around) or None,
                function=_returning(around, names),
            )
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            around = (*around, node)
        waiting += [(child, around) for child in reversed(list(ast.iter_child_nodes(node)))]


def _is_call(node: ast.AST | None, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _returning(around: tuple[ast.AST, ...], names: frozenset[str]) -> str | None:
    """The name of the one function around the call, where it returns what the call makes."""
    if len(around) != 1 or not isinstance(around[0], ast.FunctionDef):
        return None
    inside = list(ast.walk(around[0]))
    made = {
        target.id
        for node in inside
        if isinstance(node, ast.Assign) and _is_call(node.value, names)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    returned = (node.value for node in inside if isinstance(node, ast.Return))
    gives = any(
        _is_call(each, names) or (isinstance(each, ast.Name) and each.id in made)
        for each in returned
    )
    return around[0].name if gives else None


def _in_notebook(root: Path, file: str) -> Iterator[Builder]:
    """The cells are read as text: they hold more than Python."""
    try:
        if (root / file).stat().st_size > LARGEST_SOURCE:
            return
        cells = json.loads((root / file).read_text(encoding="utf-8"))["cells"]
        lines = ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return
    code = "\n".join(lines)
    if "sagemaker" in code and f"{_CLASS}(" in code:
        yield Builder(file=file)
