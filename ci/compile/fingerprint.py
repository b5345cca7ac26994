"""What a path held when a compile read it, as a short text that is equal as long as it holds that.

Kinds, as the child tells them: `file` (content and whether it is executable), `look` (kind and
size), `missing` (the same, and nothing was there), `folder` (the names in it), `modules` (the
names in it that Python could import), `distributions` (those of installed packages' metadata).
Two more stand for an environment: `packages` (a site-packages folder) and `program` (an
interpreter).
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci.compile.archive import is_no_source

ABSENT = "absent"
_METADATA = (".dist-info", ".egg-info", ".egg")
_LARGEST = 1 << 30  # bytes read for one fingerprint of a whole compile


class TooMuch(Exception):
    """There is more to read than reading it again would spare."""


@dataclass(slots=True, kw_only=True)
class Fingerprints:
    """Fingerprints of paths, each file's content hashed once. OSError where reading fails,
    KeyError for another kind."""

    budget: int = _LARGEST
    _contents: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str, path: str) -> str:
        match kind:
            case "file":
                return self._file(path)
            case "look" | "missing":
                return _look(path)
            case "program":
                return _program(path)
            case _:
                return _digest(_LISTINGS[kind](path))

    def _file(self, path: str) -> str:
        try:
            found = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        if not stat.S_ISREG(found.st_mode):
            return _kind(found.st_mode)
        if path not in self._contents:
            self.budget -= found.st_size
            if self.budget < 0:
                raise TooMuch
            with Path(path).open("rb") as stream:
                self._contents[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        return f"{self._contents[path]}{' executable' if found.st_mode & 0o111 else ''}"


def changed_since(moment: int, kind: str, path: str, found: str) -> bool:
    """Whether what was read may not be what was `found` here afterwards, because it changed at or
    after `moment` (nanoseconds of the epoch).

    For a file that is not there, the folder that would hold it counts; that a folder is one,
    and that nothing is where nothing was, holds by itself.
    """
    match kind:
        case "missing":
            return found != ABSENT
        case "file" | "look" if found == "folder":
            return False
        case _:
            return _changed(path) >= moment


def _changed(path: str) -> int:
    place = Path(path)
    while True:
        try:
            return place.stat().st_ctime_ns
        except (FileNotFoundError, NotADirectoryError):
            place = place.parent


def _look(path: str) -> str:
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    return f"{found.st_size}" if stat.S_ISREG(found.st_mode) else _kind(found.st_mode)


def _kind(mode: int) -> str:
    return "folder" if stat.S_ISDIR(mode) else "other"


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from entries


def _names(path: str) -> Iterator[str]:
    """Names but for those of what no bundle holds, and which comes and goes by itself."""
    for entry in _entries(path):
        if not is_no_source(entry.name):
            yield f"{entry.name}{'/' if entry.is_dir() else ''}"


def _importable(path: str) -> Iterator[str]:
    for entry in _entries(path):
        stem, _, suffix = entry.name.partition(".")
        if stem.isidentifier() and stem != "__pycache__":
            if not suffix and entry.is_dir():
                yield f"{stem}/"
            elif suffix.endswith(("py", "pyc", "so", "pyd")):
                yield entry.name


def _distributions(path: str) -> Iterator[str]:
    for entry in _entries(path):
        if entry.name.endswith(_METADATA):
            yield entry.name


def _packages(path: str) -> Iterator[str]:
    """Names of what is installed, and when each distribution was."""
    for entry in _entries(path):
        yield entry.name
        if entry.name.endswith(_METADATA):
            record = Path(entry.path, "RECORD")
            yield f"{entry.name} {_moment(record if record.exists() else Path(entry.path))}"
        elif entry.name.endswith((".pth", ".egg-link")):
            yield f"{entry.name} {_moment(Path(entry.path))}"


_LISTINGS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "folder": _names,
    "modules": _importable,
    "distributions": _distributions,
    "packages": _packages,
}


def _program(path: str) -> str:
    settings = Path(path).parent.parent / "pyvenv.cfg"
    parts = [str(Path(path).resolve()), _moment(Path(path))]
    parts += [settings.read_text("utf-8", "replace")] if settings.exists() else []
    return _digest(iter(parts))


def _moment(path: Path) -> str:
    found = path.stat()
    return f"{found.st_mtime_ns} {found.st_size}"


def _digest(lines: Iterator[str]) -> str:
    try:
        return hashlib.sha256("\0".join(sorted(lines)).encode("utf-8", "replace")).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
