"""Which files of a repository a module imports, by reading them, never by importing."""

import ast
from collections.abc import Iterator
from pathlib import Path

LARGEST_SOURCE = 1024 * 1024
_MOST_FILES = 500


def parse_source(file: Path, *, containing: str = "") -> ast.Module | None:
    """The module; None for one that is no Python, does not contain that text, or is too large to
    be written by hand."""
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_SOURCE:
            return None
        source = file.read_bytes()
        return ast.parse(source) if containing.encode() in source else None
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imported_files(root: Path, file: str) -> tuple[str, ...]:
    """The files under `root` that `file` imports, directly or through one another, sorted;
    relative to `root` with forward slashes, `file` itself left out.

    Absolute names are looked for from the root and from the module's own folder, which is where
    a compile finds them.
    """
    seen = {file}
    waiting = [file]
    while waiting and len(seen) < _MOST_FILES:
        current = waiting.pop()
        tree = parse_source(root / current)
        for found in () if tree is None else _imports(root, current, tree):
            if found not in seen:
                seen.add(found)
                waiting.append(found)
    return tuple(sorted(seen - {file}))


def _imports(root: Path, file: str, tree: ast.Module) -> Iterator[str]:
    folder = Path(file).parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            places = [Path(), folder]
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            places = [_above(folder, node.level)] if node.level else [Path(), folder]
            module = f"{node.module}." if node.module else ""
            names = [module + alias.name for alias in node.names]
        else:
            continue
        for place in places:
            for name in names:
                yield from _files_of(root, place, name)


def _above(folder: Path, level: int) -> Path:
    for _ in range(level - 1):
        folder = folder.parent
    return folder


def _files_of(root: Path, place: Path, name: str) -> Iterator[str]:
    """`a.b.c` below a place: every package on the way, and the module itself or the one that
    holds the name."""
    pieces = name.split(".")
    for length in range(1, len(pieces) + 1):
        stem = place.joinpath(*pieces[:length])
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (root / candidate).is_file():
                yield candidate.as_posix()
