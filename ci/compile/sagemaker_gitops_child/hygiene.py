"""Leaves no trace, and lets nothing of the moment into what is made."""

from __future__ import annotations

import gc
import importlib.machinery
import itertools
import py_compile
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def limit(memory: int) -> None:
    """Bound what one compile may take: `memory` is in bytes, 0 for no bound."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def collect_seldom() -> None:
    """Importing the SDK makes objects by the million and garbage by the handful: looking for it
    after every 700 takes a sixth of the compile."""
    gc.set_threshold(50_000)


def name_temporary_files() -> None:
    """Temporary files get names by number, because the SDK uploads some under their own name.

    The folder of temporary files is this compile's own, so that nobody else makes a file there.
    """
    replaced: Any = tempfile
    name = "_name_sequence"
    if hasattr(replaced, name):
        setattr(replaced, name, (f"{number:08d}" for number in itertools.count()))


def is_installed(file: str) -> bool:
    """Whether a source file belongs to an installed package of this Python."""
    folders = [f"{path}/" for path in sys.path if Path(path).name == "site-packages"]
    return file.endswith(".py") and ".." not in file and file.startswith(tuple(folders))


def pass_byte_code(wanted: Callable[[str], None]) -> None:
    """Byte code of installed packages is asked for from who may write it; none beside the source.

    Without it SDK v3 would take 10 s to import each time, and not 4.
    """
    loader: Any = importlib.machinery.SourceFileLoader
    name = "_cache_bytecode"
    if not hasattr(loader, name):
        sys.dont_write_bytecode = True
        return

    def cache_bytecode(_self: Any, source_path: str, _cache_path: str, _data: bytes) -> None:
        if is_installed(source_path):
            wanted(source_path)

    setattr(loader, name, cache_bytecode)


def write_byte_code(file: str) -> None:
    """Of one installed file, as Python would: nobody but the file itself says what goes in."""
    if is_installed(file):
        try:
            py_compile.compile(file, doraise=True, quiet=2)
        except (OSError, ValueError, py_compile.PyCompileError):
            return
