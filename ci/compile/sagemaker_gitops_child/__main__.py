"""The conversation with the parent, over one Unix socket whose number is the only argument.

The parent sends a request. The child sends the socket its AWS calls will reach, so that it may
live in a network namespace of its own, and at the end one reply.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from .guard import Guard
from .hygiene import (
    collect_seldom,
    limit,
    name_temporary_files,
    pass_byte_code,
    write_byte_code,
)
from .isolation import end_with_parent, isolate
from .reads import Reads
from .sdk import Finder, Mends, Uploads
from .source import compile_source, describe_error, versions


class Cut:
    """This process cut off: how, what was refused, what it reads."""

    def __init__(self, request: dict[str, Any], connection: socket.socket) -> None:
        found = isolate(request)
        with found.listener as listener:
            port = int(listener.getsockname()[1])
            socket.send_fds(connection, [b"L"], [listener.fileno()])
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        pass_byte_code(found.ask)
        self.shows = found.view.shows if found.view else lambda _path: True
        self.level, self.told = found.level, found.told
        self.guard = Guard(port, found.writable, list(found.view.kept) if found.view else [])
        ours = [request["scratch"], f"{request['root']}/.sagemaker-gitops"]
        self.reads = Reads(ours, self.shows)
        self.guard.start()

    def report(self, error: BaseException | None) -> dict[str, Any]:
        reached, path = self.guard.reached, getattr(error, "filename", None)
        if isinstance(error, OSError) and isinstance(path, str) and not reached:
            if error.errno == errno.EROFS:
                reached.append(f"to write {path}")
            elif not self.shows(path):
                reached.append(f"to read {path}, which is hidden")
        return {
            "level": self.level,
            "isolation": self.told,
            "reached": reached,
            "reads": self.reads.report(),
        }


def work(request: dict[str, Any], cut: Cut | None) -> dict[str, Any]:
    """Run the user's function. The reply, whatever comes of it."""
    os.chdir(request["working_directory"])
    name_temporary_files()
    uploads = Uploads(Path(request["scratch"]) / "uploads")
    if cut is not None:
        cut.reads.watch()
    sys.meta_path.insert(0, Finder(Mends(request, uploads).apply))
    reply: dict[str, Any] = {"level": "live", "isolation": "none: compile: live", "reads": None}
    reply["reached"], failed = [], None
    try:
        reply["definition"] = compile_source(request)
    except BaseException as error:  # noqa: BLE001  user code may raise anything at all
        reply["error"], failed = describe_error(error, request["root"]), error
    if cut is not None:
        reply.update(cut.report(failed))
    reply.update(objects=uploads.objects, folders=uploads.folders, versions=versions())
    return reply


def main() -> None:
    end_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    with connection.makefile("rb") as lines:
        request: dict[str, Any] = json.loads(lines.readline())
    limit(request["memory"])
    collect_seldom()
    cut = Cut(request, connection) if request["hermetic"] else None
    if cut is None:
        pass_byte_code(write_byte_code)
    reply = work(request, cut)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()  # user code may have closed it
    connection.sendall(json.dumps(reply).encode("utf-8") + b"\n")
    os._exit(0)  # threads that user code left behind must not hold the compile


if __name__ == "__main__":
    main()
