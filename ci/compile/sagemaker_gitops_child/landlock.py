"""A compile under Landlock, where namespaces are not allowed: GitHub's hosted runners.

Needs no privilege. Nothing is written outside the scratch folder, hidden folders are not read,
processes that are not the compile's own are closed in /proc; with version 4 of Landlock (Linux
6.7) no TCP connection but to one port.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from . import linux
from .view import View, is_below

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_BENEATH, _PORT = 1, 2
# Rights over files by version: all up to making links, then moving, truncating, devices' ioctl.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}


def restrict(view: View, port: int) -> str:
    """Restrict this process for good; says how. OSError where it cannot be."""
    version = linux.landlock_version()
    if not version:
        raise OSError("no Landlock")
    rights = _RIGHTS[max(known for known in _RIGHTS if known <= version)]
    handled = [rights]
    if version >= 4:
        handled.append(_BIND_TCP | _CONNECT_TCP)
    if version >= 6:
        handled.append(0b11)  # no abstract Unix sockets and no signals out of it
    rules: list[tuple[int, bytes]] = []
    descriptors = []
    allowed = [(path, _READ & rights) for path in visible(view)]
    allowed += [(view.scratch, rights), ("/dev", (_READ | _WRITE_FILE) & rights)]
    try:
        for path, access in allowed:
            try:
                descriptor = os.open(path, os.O_PATH)
            except OSError:
                continue
            descriptors.append(descriptor)
            access &= rights if Path(path).is_dir() else _OF_FILES  # noqa: PLW2901
            rules.append((_BENEATH, struct.pack("=Qi", access, descriptor)))
        if version >= 4:
            rules.append((_PORT, struct.pack("=QQ", _CONNECT_TCP, port)))
        linux.landlock(struct.pack(f"={len(handled)}Q", *handled), rules)
        linux.give_up_privileges()  # a root that may trace everything is above Landlock
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    network = "and network" if version >= 4 else "alone"
    return f"Landlock {version}: files {network}"


def visible(view: View) -> list[str]:
    """All that is neither a hidden folder nor above one, and what is kept."""
    found, above = list(view.kept), {"/"}
    while above:
        folder = above.pop()
        try:
            names = sorted(entry.path for entry in os.scandir(folder))
        except OSError:
            continue
        for path in names:
            if path in view.hidden:
                continue
            if any(is_below(hidden, path) for hidden in view.hidden):
                above.add(path)
            else:
                found.append(path)
    return found
