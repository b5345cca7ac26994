"""How a compile is cut off, by the best means that the system allows.

    outside   waits, writes byte code of packages, ends as the compile ends
      maker   makes the namespaces, or restricts itself by Landlock
        init  the first process in the namespaces: when it ends, all end
          compile   runs user code, without any privilege

Without namespaces there is no init. Where nothing can be had, the audit hook stands alone. See
`namespaces`, `landlock`, `guard`.
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
    refused: list[str] = []
    for level in request["levels"]:
        found = _fork(level, request, refused)
        if isinstance(found, Isolated):
            return found
        refused.append(f"no {level}: {found}")
    raise OSError("; ".join(refused))


def _fork(level: str, request: dict[str, Any], refused: list[str]) -> Isolated | str:
    """The compile in a process of its own; outside, which ends in here, why it could not be."""
    read, write = os.pipe()
    maker = os.fork()
    if maker == 0:
        os.close(read)
        try:
            return _enter(level, request, write, refused)
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


def _enter(level: str, request: dict[str, Any], pipe: int, refused: list[str]) -> Isolated:
    """In the maker, and back as the compile."""
    end_with_parent()
    view = None if level == "audit" else view_for(request)
    writable = [request["scratch"]]
    if level == "namespaces" and view is not None:
        writable = namespaces.enter(view, Path(request["root"]))
        _become_child(pipe)  # maker stays behind
        namespaces.close(writable)
        listener, told = listen(), "user, network, mount and process namespaces"
    elif view is not None:
        listener = listen()
        told = landlock.restrict(view, int(listener.getsockname()[1]))
    else:
        listener, told = listen(), "audit hook alone"
    _check(request)
    _become_child(pipe)  # init stays behind
    _tell(pipe, "ready", "")
    return Isolated(
        level,
        "; ".join([told, *refused]),
        listener,
        writable,
        view,
        lambda file: _tell(pipe, "byte", file),
    )


def end_with_parent() -> None:
    """A killed command leaves no compile behind."""
    if sys.platform.startswith("linux"):
        linux.end_with_parent()


def _check(request: dict[str, Any]) -> None:
    """What a compile cannot do without; a source may belong to another user."""
    for path in (request["file"], request["root"], request["scratch"], sys.executable):
        if not os.access(path, os.R_OK):
            raise OSError(f"{path} cannot be read there")
    if not os.access(request["scratch"], os.W_OK):
        raise OSError("the scratch folder cannot be written there")


def _become_child(pipe: int) -> None:
    """Fork, and go on as the child; the parent waits and ends, telling how the child did."""
    child = os.fork()
    if child == 0:
        end_with_parent()
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
