"""Which part of the file system a compile sees: the system, the repository, the Python.

Folders where people and machines keep secrets are hidden, with what a compile needs of them kept.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_SECRET = re.compile(r"^\s*(extraheader|password|token|helper)\b|://[^/\s]*@", re.IGNORECASE)


@dataclass(frozen=True)
class View:
    """`hidden` are real folders; `kept` real paths that stay, `links` those that lead to them.

    `scratch` is where the module may write.
    """

    scratch: str
    hidden: tuple[str, ...]
    kept: tuple[str, ...]
    links: tuple[tuple[str, str], ...]

    def shows(self, path: str) -> bool:
        """Whether a path is what it is outside."""
        return any(is_below(path, kept) for kept in self.kept) or not any(
            is_below(path, hidden) for hidden in self.hidden
        )

    def kept_below(self, folder: str) -> list[str]:
        return [path for path in self.kept if is_below(path, folder)]

    def links_below(self, folder: str) -> list[tuple[str, str]]:
        return [
            (path, target)
            for path, target in self.links
            if is_below(path, folder) and not any(is_below(path, kept) for kept in self.kept)
        ]


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def view_for(request: dict[str, Any]) -> View:
    """What this compile needs, and what it need not see."""
    links: dict[str, str] = {}
    wanted = {follow(path, links) for path in needed(request)}
    kept = [
        path for path in sorted(wanted) if not any(is_below(path, up) for up in wanted - {path})
    ]
    hidden = {os.path.realpath(path) for path in request["hidden"]}
    return View(
        scratch=os.path.realpath(request["scratch"]),
        hidden=tuple(
            folder
            for folder in sorted(hidden)
            if folder != "/"
            and Path(folder).is_dir()
            and not any(is_below(folder, k) for k in kept)
        ),
        kept=tuple(kept),
        links=tuple(links.items()),
    )


def follow(path: str, links: dict[str, str]) -> str:
    """The real path, with every link on the way added to `links` (its real place: its target)."""
    current = "/"
    for part in Path(path).parts[1:]:
        step = str(Path(current, part))
        if Path(step).is_symlink():
            links[step] = os.readlink(step)  # noqa: PTH115  as text
            current = follow(os.path.normpath(Path(current, links[step])), links)
        else:
            current = step
    return current


def needed(request: dict[str, Any]) -> set[str]:
    """Paths without which the module cannot be compiled, those that exist."""
    root = Path(request["root"])
    paths = [request[name] for name in ("root", "working_directory", "scratch", "file")]
    paths += [str(repository(root)), str(Path(__file__).parent)]
    paths += [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable]
    paths += [*sys.path, *editable()]
    paths += os.environ.get("LD_LIBRARY_PATH", "").split(":")
    paths += [os.path.realpath(sys.executable)]
    return {os.path.abspath(path) for path in paths if path and Path(path).exists()}  # noqa: PTH100


def repository(folder: Path) -> Path:
    """The nearest folder with `.git`: a module may use its neighbours in a monorepo."""
    return next((up for up in (folder, *folder.parents) if (up / ".git").exists()), folder)


def editable() -> list[str]:
    """Where packages that are installed in place are: PEP 610."""
    found = []
    for folder in sys.path:
        if Path(folder).name not in ("site-packages", "dist-packages"):
            continue
        for file in Path(folder).glob("*.dist-info/direct_url.json"):
            try:
                url = json.loads(file.read_bytes())["url"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if isinstance(url, str) and url.startswith("file://"):
                found.append(unquote(urlsplit(url).path))
    return found


def git_settings(folder: Path) -> list[tuple[Path, str]]:
    """Files in which a checkout keeps its token, with what is left of them without it."""
    git = repository(folder) / ".git"
    found = []
    for file in [git / "config", git / "config.worktree", *git.glob("modules/**/config")]:
        try:
            lines = file.read_text("utf-8", "surrogateescape").splitlines(keepends=True)
        except OSError:
            continue
        clean = [line for line in lines if not _SECRET.search(line)]
        if clean != lines:
            found.append((file, "".join(clean)))
    return found
