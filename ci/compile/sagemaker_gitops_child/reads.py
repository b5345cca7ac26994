"""What a compile reads, so that the parent can tell whether it would come to the same again.

A file that is opened counts with its content, a path that is only looked at with its kind and
size, or as missing, a folder with the names in it. What Python and its packages read of
themselves is not told: the environment as a whole stands for it. A compile that starts another
process cannot tell what it read.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

_PROCESSES = frozenset(
    ("subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn")
)
_FOLDERS = frozenset(("os.listdir", "os.scandir"))
_LOOKS = ("stat", "lstat", "access", "readlink")
_PACKAGES = ("site-packages", "dist-packages")
_OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/")
# Who looks for some names only: imports, and versions of distributions.
_LISTERS = {
    "<frozen importlib._bootstrap_external>": "modules",
    metadata.__file__: "distributions",
}
_CACHE = f"{os.sep}__pycache__{os.sep}"


class Reads:
    """`paths` holds (kind, absolute path), kinds being `file`, `look`, `missing`,
    `folder`, `modules`, `distributions`. `blind` says why that cannot be all."""

    def __init__(self, own: list[str], shows: Callable[[str], bool]) -> None:
        """`own` are folders that this program writes; `shows` tells what is the same outside."""
        self.paths: set[tuple[str, str]] = set()
        self.blind: str | None = None
        self._skipped = (*_OF_THE_SYSTEM, *(f"{path}{os.sep}" for path in (*own, *_installed())))
        self._getcwd = os.getcwd
        self._shows = shows

    def watch(self) -> None:
        """Record from now on. What is watched cannot be unwatched."""
        for name in _LOOKS:
            self._wrap(name)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self.add("file", arguments[0])
        elif event in _FOLDERS:
            caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001  who lists: an import?
            self.add(_LISTERS.get(caller, "folder"), arguments[0] or ".")
        elif event == "sqlite3.connect":
            self.add("file", arguments[0])
        elif event in _PROCESSES and self.blind is None:
            self.blind = f"it starts a process ({event})"

    def _wrap(self, name: str) -> None:
        look: Callable[..., Any] = getattr(os, name)

        @functools.wraps(look)
        def looked(path: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                found = look(path, *args, **kwargs)
            except (FileNotFoundError, NotADirectoryError):
                self.add("missing", path)
                raise
            self.add("look", path)
            return found

        setattr(os, name, looked)
        for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if look in known:
                known.add(looked)
        if look in os.supports_effective_ids:
            os.supports_effective_ids.add(looked)

    def add(self, kind: str, path: Any) -> None:
        """Remember a path, unless it is Python's, the system's or this compile's own."""
        if isinstance(path, str) and path.startswith(self._skipped):  # nearly all of them
            return
        try:
            text = os.fsdecode(path)
        except TypeError:  # a descriptor of what was opened, and told, before
            return
        if not text.startswith(os.sep):
            try:
                text = f"{self._getcwd()}{os.sep}{text}"
            except OSError:
                return
        if _CACHE in text and text.endswith(".pyc"):
            try:
                text = importlib.util.source_from_cache(text)
            except ValueError:
                return
        if not f"{text}{os.sep}".startswith(self._skipped):
            self.paths.add((kind, text))

    def report(self) -> dict[str, Any]:
        """For the parent: what was read, with the environment that read it."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                self.add("file", file)
        paths = {
            (kind, found)
            for kind, path in list(self.paths)
            if not f"{(found := os.path.normpath(path))}{os.sep}".startswith(self._skipped)
            and self._shows(found)
        }
        return {
            "paths": sorted([kind, path] for kind, path in paths),
            "packages": sorted(path for path in _packages() if Path(path).is_dir()),
            "executable": sys.executable,
            "blind": self.blind,
        }


def _packages() -> set[str]:
    return {path for path in sys.path if Path(path).name in _PACKAGES}


def _installed() -> set[str]:
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    zipped = {path for path in sys.path if path.endswith(".zip") and not Path(path).exists()}
    own = str(Path(__file__).parent)
    return {path for path in (*standard, *zipped, *_packages(), own) if path}
