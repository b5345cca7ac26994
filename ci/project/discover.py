"""Finds the pipelines of a repository by reading its Python, never by importing it, and its
definition files."""

import ast
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.project.builders import Builder, find_builders
from ci.project.definition_files import ENDINGS, conditions_of, group_of, read_definition
from ci.project.imports import imported_files, parse_source

FUNCTION = "get_pipeline"
_SKIPPED = {
    "__pycache__", "build", "dist", "env", "node_modules", "site-packages", "test", "tests", "venv"
}  # fmt: skip
# Files and folders whose name says that a pipeline is there, and not which.
_USUAL_FILES = {
    "pipeline", "__init__", "_pipeline", "main",
    "definition", "pipeline-definition", "pipeline_definition",
}  # fmt: skip
_USUAL_FOLDERS = {
    "code", "definitions", "lib", "ml", "mlops", "pipeline", "pipelines", "python", "sagemaker",
    "source", "src",
}  # fmt: skip
_GROUPS = ("model_package_group_name", "model_package_group")
_ENDPOINTS = ("endpoint_name", "endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMetric:
    """A value that a condition of the pipeline reads from a property file."""

    name: str
    property_file: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A function that gives a pipeline, or a definition file, whose `function` is None. `file` is
    relative to the root, with forward slashes.

    `group` is the model package group that it registers into by default; `needed` are arguments
    without a default beyond those that every pipeline is given; `imports` are the repository's
    files outside of the module's folder that it imports; `named` are the arguments, with their
    defaults, that name what production has: groups and endpoints.
    """

    name: str
    file: str
    function: str | None = FUNCTION
    group: str | None = None
    needed: tuple[str, ...] = ()
    metrics: tuple[FoundMetric, ...] = ()
    imports: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        """As the project file names it."""
        return self.file if self.function is None else f"{self.file}:{self.function}"


# File, function's name, and the function in its module.
_Known = tuple[str, str, tuple[ast.Module, ast.FunctionDef]]
# What a compile gives to whoever takes it (sagemaker_gitops_child.source).
_GIVEN = frozenset(
    {
        "region",
        "role",
        "role_arn",
        "default_bucket",
        "pipeline_name",
        "pipeline_session",
        "sagemaker_session",
    }
)


def discover_pipelines(root: Path, repository: str | None = None) -> tuple[Found, ...]:
    """Every module with a top-level `get_pipeline`, in the order of their paths, names unique: of a
    package's own and the one beside it that it wraps, the one that needs fewer arguments. Where
    there is none, the functions that return a pipeline of the SDK. Then the definition files, but
    for those beside a module, which came of it. `repository` names those whose file and folders do
    not; the root's own name where it is not known."""
    files = sorted(_sources(root, ".py"))
    found = [(file, FUNCTION, _function(root, file, FUNCTION)) for file in files]
    if not any(function for _, _, function in found):
        named = ((each.file, each.function) for each in find_builders(root, files))
        unique = dict.fromkeys((file, name) for file, name in named if name is not None)
        found = [(file, name, _function(root, file, name)) for file, name in unique]
    known = [(file, name, function) for file, name, function in found if function is not None]
    name, taken = repository or root.resolve().name, set[str]()
    modules = tuple(_all(root, _unwrapped(root, known), name, taken))
    return (*modules, *_definitions(root, {Path(file).parent for file, _, _ in known}, name, taken))


def discover_python(root: Path) -> str | None:
    """The repository's own Python with the SageMaker SDK, relative to `root`."""
    for name in (".venv", "venv"):
        packages = (root / name).glob("lib/python3*/site-packages/sagemaker-[0-9]*.dist-info")
        if (root / name / "bin" / "python").exists() and any(packages):
            return f"{name}/bin/python"
    return None


def discover_builders(root: Path) -> tuple[Builder, ...]:
    """Where pipelines are built that no function gives back."""
    return find_builders(root, sorted(_sources(root, ".py", ".ipynb")))


def _unwrapped(root: Path, known: Sequence[_Known]) -> list[_Known]:
    """Without what is the same pipeline as another: that of `__init__`, or that of the module
    beside it which `__init__` imports."""
    needed = {file: len(_needed(function)) for file, _, (_, function) in known}
    left: set[str] = set()
    for file in needed:
        beside = {each for each in needed if Path(each).parent == Path(file).parent} - {file}
        wrapped = beside & set(imported_files(root, file))
        if Path(file).name == "__init__.py" and len(wrapped) == 1:
            # The module on a tie: the pipeline is described there.
            left.add(max(file, *wrapped, key=lambda each: (needed[each], each == file)))
    return [each for each in known if each[0] not in left]


def _all(root: Path, known: Sequence[_Known], repository: str, taken: set[str]) -> Iterator[Found]:
    files = [file for file, _, _ in known]
    for file, name, (tree, function) in known:
        # A file with several functions names none of its pipelines.
        own = _name_of(file, repository) if files.count(file) == 1 else _safe(name)
        unique = _unique(own, taken)
        taken.add(unique.replace("_", "-"))
        yield Found(
            name=unique,
            file=file,
            function=name,
            group=_group(function),
            needed=_needed(function),
            metrics=tuple(_metrics(tree)),
            imports=tuple(_imports(root, file)),
            named=tuple(_named(function)),
        )


def _definitions(root: Path, built: set[Path], repository: str, taken: set[str]) -> Iterator[Found]:
    for file in sorted(_sources(root, *ENDINGS)):
        document = None if Path(file).parent in built else read_definition(root / file)
        if document is not None:
            name = _unique(_name_of(file, repository), taken)
            taken.add(name.replace("_", "-"))
            yield Found(
                name=name,
                file=file,
                function=None,
                group=group_of(document),
                metrics=tuple(_distinct(conditions_of(document))),
            )


def _sources(root: Path, *endings: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            each
            for each in folders
            if each not in _SKIPPED
            and not each.startswith(".")
            and not (Path(folder) / each / "pyvenv.cfg").exists()
        ]
        for name in files:
            if name.endswith(endings):
                yield (Path(folder) / name).relative_to(root).as_posix()


def _imports(root: Path, file: str) -> Iterator[str]:
    folder = Path(file).parent
    for found in imported_files(root, file):
        if folder not in Path(found).parents:
            yield found


def _function(root: Path, file: str, name: str) -> tuple[ast.Module, ast.FunctionDef] | None:
    """The module, and its top-level function of that name."""
    tree = parse_source(root / file, containing=name)
    for node in tree.body if tree is not None else ():
        if tree is not None and isinstance(node, ast.FunctionDef) and node.name == name:
            return tree, node
    return None


def _name_of(file: str, repository: str) -> str:
    """`pipelines/<name>/pipeline.py`: the name of the nearest folder that tells one, or the
    repository's; any other file's own name."""
    path = Path(file)
    if path.stem not in _USUAL_FILES:
        return _safe(path.stem)
    folders = (each.name for each in path.parents if each.name)
    telling = (name for name in folders if name.lower() not in _USUAL_FOLDERS)
    return _safe(next(telling, repository))


def _safe(text: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:60]
    return safe or "pipeline"


def _unique(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate.replace("_", "-") in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _needed(function: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(each for each in _required(function) if each not in _GIVEN)


def _required(function: ast.FunctionDef) -> Iterator[str]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    for argument in positional[: len(positional) - len(arguments.defaults)]:
        yield argument.arg
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            yield argument.arg


def _group(function: ast.FunctionDef) -> str | None:
    found = (text for name, text in _named(function) if name in _GROUPS)
    return next((text[:63].rstrip("-") for text in found), None)


def _named(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    first = len(positional) - len(arguments.defaults)
    pairs = [
        *zip(positional[first:], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        text = _text(default)
        known = argument.arg in _GROUPS + _ENDPOINTS
        if known and text and re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]*", text):
            yield argument.arg, text


def _metrics(tree: ast.Module) -> Iterator[FoundMetric]:
    """What `JsonGet(property_file=..., json_path=...)` reads, each once."""
    files: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _called(node.value) == "PropertyFile":
            name = _keyword(node.value, "name", 0)
            for target in node.targets:
                if isinstance(target, ast.Name) and name:
                    files[target.id] = name
    calls = (node for node in ast.walk(tree) if _called(node) == "JsonGet")
    pairs = ((_property_file(each, files), _keyword(each, "json_path", 2)) for each in calls)
    yield from _distinct((file, path) for file, path in pairs if file and path)


def _distinct(pairs: Iterable[tuple[str, str]]) -> Iterator[FoundMetric]:
    """Of property files and paths in them."""
    seen: set[str] = set()
    for file, path in pairs:
        if re.fullmatch(r"[A-Za-z0-9_.\[\]-]+", path):
            name = _metric_name(path)
            if name not in seen:
                seen.add(name)
                yield FoundMetric(name=name, property_file=file, path=f"$.{path}")


def _metric_name(path: str) -> str:
    """`regression_metrics.mse.value`: mse."""
    pieces = [piece for piece in re.split(r"[.\[\]]+", path) if piece]
    return pieces[-2] if len(pieces) > 1 and pieces[-1] == "value" else pieces[-1]


def _called(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _argument(node: ast.AST, name: str, position: int) -> ast.expr | None:
    if not isinstance(node, ast.Call):
        return None
    for keyword in node.keywords:
        if keyword.arg == name:
            return keyword.value
    return node.args[position] if len(node.args) > position else None


def _keyword(node: ast.AST, name: str, position: int) -> str | None:
    return _text(_argument(node, name, position))


def _property_file(node: ast.AST, files: dict[str, str]) -> str | None:
    value = _argument(node, "property_file", 1)
    if isinstance(value, ast.Name):
        return files.get(value.id)
    return _text(value)


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
