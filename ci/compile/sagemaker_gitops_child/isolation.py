"""How a compile is cut off, by the best means that the system allows.

    outside   waits, writes byte code of packages, ends as the compile ends
      maker   makes the namespaces
        init  the first process in them: when it ends, all end
          compile   runs user code, without any privilege

Without namespaces `compile` is a child of `outside` under Landlock; without that, under the audit
hook alone. See `namespaces`, `landlock`, `guard`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import landlock, linux, namespaces
from .hygiene import write_byte_code
from .view import View, view_for

LEVELS = ("namespaces", "landlock", "audit")


@dataclass(frozen=True)
class Isolated:
    """In the compile: the level and a sentence on it, the socket its calls reach, where it may
    write, what it sees (None: everything), and how to ask for byte code."""

    level: str
    told: str
    listener: socket.socket
    writable: list[str]
    view: View | None
    ask: Callable[[str], None]


def isolate(request: dict[str, Any]) -> Isolated:
    """Returns in the compile's process alone, by the first of the levels that can be had."""
    why = "namespaces are Linux's"
    for level in request["levels"]:
        if level == "audit" or not sys.platform.startswith("linux"):
            break
        found = _fork(level, request)
        if isinstance(found, Isolated):
            return found
        why = found
    scratch = request["scratch"]
    told = f"audit hook alone: {why}"
    return Isolated("audit", told, listen(), [scratch], None, write_byte_code)


def _fork(level: str, request: dict[str, Any]) -> Isolated | str:
    """The compile in a process of its own; outside, which ends in here, why it could not be."""
    read, write = os.pipe()
    maker = os.fork()
    if maker == 0:
        os.close(read)
        try:
            linux.end_with_parent()
            return _enter(level, request, write)
        except BaseException as error:  # noqa: BLE001  outside goes on with the next level
            _tell(write, "failed", str(error))
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "r", encoding="utf-8", errors="replace") as lines:
        kind, _, text = lines.readline().rstrip("\n").partition(" ")
        if kind == "ready":
            _stand_by(lines, maker)
    os.waitpid(maker, 0)
    return text or "the process died"


def _enter(level: str, request: dict[str, Any], pipe: int) -> Isolated:
    view = view_for(request)
    if level == "namespaces":
        writable = namespaces.enter(view, Path(request["root"]))
        _become_child(pipe)  # maker stays behind
        namespaces.close(writable)
        _check(view, request)
        listener = listen()
        _become_child(pipe)  # init stays behind
        told = "user, network, mount and process namespaces"
    else:
        listener, writable = listen(), [view.scratch]
        told = landlock.restrict(view, int(listener.getsockname()[1]))
        _check(view, request)
        _become_child(pipe)
    _tell(pipe, "ready", "")
    return Isolated(level, told, listener, writable, view, lambda file: _tell(pipe, "byte", file))


def _check(view: View, request: dict[str, Any]) -> None:
    """What a compile cannot do without; a source may belong to another user."""
    for path in (request["file"], request["root"], view.scratch, sys.executable):
        if not os.access(path, os.R_OK):
            raise OSError(f"{path} cannot be read there")
    if not os.access(view.scratch, os.W_OK):
        raise OSError("the scratch folder cannot be written there")


def _become_child(pipe: int) -> None:
    """Fork, and go on as the child; the parent waits and ends, telling how the child did."""
    child = os.fork()
    if child == 0:
        linux.end_with_parent()
        return
    while True:
        found, status = os.wait()
        if found == child:
            _tell(pipe, "status", str(status))
            os._exit(0)


def _tell(pipe: int, kind: str, text: str) -> None:
    line = f"{kind} {text}".replace("\n", " ")
    try:
        os.write(pipe, line.encode("utf-8", "replace") + b"\n")
    except OSError:
        return


def _stand_by(lines: IO[str], maker: int) -> None:
    """Outside, until the compile ends; then this process ends in the same way."""
    status = None
    for line in lines:
        kind, _, text = line.rstrip("\n").partition(" ")
        if kind == "byte":
            write_byte_code(text)
        elif kind == "status":
            status = int(text) if status is None and text.isdigit() else status
            break
    os.waitpid(maker, 0)
    code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)


def listen() -> socket.socket:
    """The socket on which the parent will answer, made in this process's namespace."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener
