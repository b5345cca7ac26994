"""What is wrong with a module as far as its text tells, without running it."""

import ast
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci.compile.interpreter import find_python
from ci.errors import CompileError
from ci.project.imports import LARGEST_SOURCE
from ci.project.model import ModuleSource, Pipeline
from ci.text.paths import shown_path

_PARSE = "import ast, sys; ast.parse(open(sys.argv[1], 'rb').read())"
_LONGEST = 60.0  # seconds
# A module that uses one of these may get a name that its text does not bind.
_DYNAMIC = frozenset({"globals", "exec", "setattr", "vars", "__dict__", "__getattr__", "*"})


def check_unread(
    pipeline: Pipeline, source: ModuleSource, *, root: Path, environ: Mapping[str, str]
) -> None:
    """CompileError for a `python` that is not there, a file that is no Python, and one that does
    not bind the function; nothing is imported or run."""
    if pipeline.python is not None:
        find_python(pipeline.python, root=root, environ=environ)
    tree = _parse(pipeline, source.file, root=root, environ=environ)
    if tree is None:
        return
    bound = set(_bound(tree))
    if source.function in bound or bound & _DYNAMIC:
        return
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    raise CompileError(
        f"The module has no function {source.function!r}.",
        where=str(source.file),
        why=f"its functions: {', '.join(functions[:10])}" if functions else "it has no function",
        fix=f"source: {shown_path(source.file, root)}:{functions[-1] if functions else 'FUNCTION'}",
    )


def _parse(
    pipeline: Pipeline, file: Path, *, root: Path, environ: Mapping[str, str]
) -> ast.Module | None:
    """None where this Python cannot tell."""
    try:
        text = file.read_bytes()
        return ast.parse(text) if len(text) <= LARGEST_SOURCE else None
    except (RecursionError, MemoryError):
        return None
    except OSError as error:
        raise CompileError(
            f"The pipeline's source cannot be read: {error.strerror}.", where=str(file)
        ) from error
    except (SyntaxError, ValueError) as error:
        if _parses(find_python(pipeline.python, root=root, environ=environ), file):
            return None  # in the syntax of a newer Python than this one
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise CompileError(
            "The pipeline's source is no Python.",
            where=f"{file}{line}",
            why=error.msg if isinstance(error, SyntaxError) else str(error),
        ) from error


def _parses(python: list[str], file: Path) -> bool:
    try:
        done = subprocess.run(
            [*python, "-I", "-c", _PARSE, str(file)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _bound(tree: ast.Module) -> Iterator[str]:
    """Every name that the module binds anywhere, and those of `_DYNAMIC` that it uses."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _DYNAMIC:
                yield name
